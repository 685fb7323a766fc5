import Events
import Simulation
import Streaming
import Synchronization
import Testing

@testable import bidmill

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// What a load counts and computes, without waiting: time is a number here.

/// Time that passes when somebody sleeps, or when a test lets it.
private final class ScriptedClock: LoadClock {
  private let time: Mutex<Int64>

  init(at time: Int64) { self.time = Mutex(time) }

  func now() -> Int64 { time.withLock { $0 } }

  func sleep(until wanted: Int64) { time.withLock { $0 = max($0, wanted) } }

  func pass(_ nanoseconds: Int64) { time.withLock { $0 += nanoseconds } }
}

/// A log in memory that is slow where a test wants it to be.
private final class ScriptedTarget: LoadTarget {
  struct Taken: Equatable {
    var number: Int
    var topic: Int
    var partition: Int
    var key: String
    var value: String
  }

  var taken: [Taken] = []
  var batches: [Int] = []
  var isFinished = false
  /// Called by each flush, with its number.
  var onFlush: (Int) throws(LogError) -> Void = { _ in }
  private var pending = 0

  func append(
    _ record: LoadRecord, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
  ) throws(LogError) {
    taken.append(
      Taken(
        number: record.number, topic: record.topic, partition: record.partition,
        key: String(decoding: key, as: UTF8.self), value: String(decoding: value, as: UTF8.self)))
    pending += 1
  }

  func flush() throws(LogError) {
    batches.append(pending)
    pending = 0
    try onFlush(batches.count - 1)
  }

  func finish() throws(LogError) { isFinished = true }
}

/// What comes out of a run that a test plays.
private final class ScriptedRun: LoadObservation {
  var offsets: [Int64]?
  var records: [String] = []

  func arrivals(_ body: (UnsafeRawBufferPointer) -> Void) throws(LogError) -> Int {
    for record in records { Array(record.utf8).withUnsafeBytes { body($0) } }
    defer { records = [] }
    return records.count
  }

  func committed() throws(LogError) -> [Int64]? { offsets }
}

private let millisecond: Int64 = 1_000_000

@Suite("Load: emission")
struct LoadEmissionTests {
  @Test("Each event is due at its time, whatever the rate", arguments: [1.0, 7, 333.3, 1e6, 9.9e6])
  func schedule(rate: Double) {
    let schedule = LoadSchedule(start: 5_000_000_000_000, rate: rate, count: 10_000)
    #expect(schedule.due(at: schedule.start - 1) == 0)
    #expect(schedule.due(at: schedule.start) >= 1)
    for number in stride(from: 0, to: 10_000, by: 37) {
      let time = schedule.intended(number)
      #expect(schedule.due(at: time) > number)
      #expect(schedule.due(at: time - 1) <= number)
    }
    #expect(schedule.due(at: .max / 2) == 10_000)
  }

  private func plan(rate: Double = 10_000, seconds: Int64 = 2) -> LoadPlan {
    LoadPlan(rate: rate, warmUp: .seconds(0), duration: .seconds(seconds))
  }

  private func emit(
    _ plan: LoadPlan, to target: ScriptedTarget, clock: ScriptedClock,
    progress: EmitterProgress = EmitterProgress()
  ) throws -> LoadSchedule {
    let start = clock.now() + 50 * millisecond
    let schedule = LoadSchedule(start: start, rate: plan.rate, count: plan.count)
    let history = plan.settings(from: EventTime(milliseconds: 1_790_000_000_000))
    let routes = LoadRoutes(history, topics: ["events"], partitions: 3) {
      Partitioner.murmur2($0, partitions: 3)
    }
    var emitter = Emitter(
      clock: clock, schedule: schedule, history: history, routes: routes, target: target,
      progress: progress)
    try emitter.run()
    return schedule
  }

  @Test("Every event goes once to its account's partition, heartbeats to all, at their times")
  func emitsEachOnce() throws {
    let plan = plan()
    let (target, clock) = (ScriptedTarget(), ScriptedClock(at: 1_000))
    let progress = EmitterProgress()
    let schedule = try emit(plan, to: target, clock: clock, progress: progress)
    #expect(target.isFinished)
    #expect(progress.count == plan.count)
    #expect(Set(target.taken.map(\.number)) == Set(0..<plan.count))
    let route = AccountRoute(partitions: 3, acceptsPriors: false)
    for (number, records) in Dictionary(grouping: target.taken, by: \.number) {
      let record = records[0]
      let isHeartbeat = record.value.hasPrefix(#"{"type":"heartbeat""#)
      #expect(Set(records.map(\.partition)).count == records.count)
      #expect(records.count == (isHeartbeat ? 3 : 1), "\(number): \(record.value)")
      guard !isHeartbeat else { continue }
      let decided = Array(record.value.utf8).withUnsafeBytes {
        let decision = route.decide($0)
        return (decision.partition, String(decoding: decision.account.bytes, as: UTF8.self))
      }
      // Of a record that breaks the contract the account may be unreadable; it is keyed all the same.
      if !decided.1.isEmpty { #expect(decided == (record.partition, record.key)) }
    }
    // Nothing is emitted before its time, and nobody was in the way: at most a turn late.
    #expect(progress.delays.count == plan.count)
    #expect((progress.delays.milliseconds(100) ?? 99) <= 1.01)
    #expect(target.batches.allSatisfy { $0 <= 10 + 3 * 2 })
    #expect(progress.lastAt >= schedule.intended(plan.count - 1))
  }

  @Test("A log that stands still makes events late, never fewer or later planned")
  func lateness() throws {
    let (target, clock) = (ScriptedTarget(), ScriptedClock(at: 0))
    target.onFlush = { (batch) throws(LogError) in
      if batch == 100 { clock.pass(500 * millisecond) }
    }
    let progress = EmitterProgress()
    let plan = plan(rate: 1000)
    _ = try emit(plan, to: target, clock: clock, progress: progress)
    #expect(progress.count == 2000)
    // Those of the half second wait 500 ms, 499 ms, … : a quarter of 2000 events.
    let delays = progress.delays
    #expect(abs((delays.milliseconds(100) ?? 0) - 500) <= 2)
    #expect(abs((delays.milliseconds(87.5) ?? 0) - 250) <= 3)
    #expect((delays.milliseconds(74) ?? 99) <= 1.01)
    // What has become late is still handed over a millisecond's worth at a time.
    #expect(target.batches.allSatisfy { $0 <= 2 * 3 })
  }

  @Test("Where the log fails, what was handed over until then is known")
  func failure() throws {
    let (target, clock) = (ScriptedTarget(), ScriptedClock(at: 0))
    target.onFlush = { (batch) throws(LogError) in
      if batch == 10 { throw LogError(.unavailable, "no space left") }
    }
    let progress = EmitterProgress()
    #expect(throws: LogError.self) {
      _ = try emit(plan(), to: target, clock: clock, progress: progress)
    }
    #expect(progress.count > 0 && progress.count < 1000)
    #expect(!target.isFinished)
  }

  @Test("Loads that begin at different milliseconds share no id and no order")
  func freshIdentifiers() throws {
    func identifiers(_ start: Int64) -> Set<String> {
      var generator = HistoryGenerator(
        plan(rate: 3000).settings(from: EventTime(milliseconds: start)))
      var (bytes, found): ([UInt8], Set<String>) = ([], [])
      while let record = generator.next(into: &bytes) {
        guard record.rejection == nil, record.type != .heartbeat else { continue }
        let json = JSONRecord(bytes)
        found.insert("\(record.type) \(json["id"] ?? "")")
        if let order = json["order"] { found.insert("order \(order)") }
        if let deal = json["deal"] { found.insert("deal \(deal)") }
      }
      return found
    }
    let (first, second) = (identifiers(1_790_000_000_000), identifiers(1_790_000_000_001))
    #expect(first.count > 5000 && second.count > 5000)
    #expect(first.isDisjoint(with: second))
  }

  @Test("Types go to the topics that are named like them, the rest to the first")
  func topics() {
    let routes = LoadRoutes(
      HistorySettings(), topics: ["impressions", "clicks", "deal-stages"], partitions: 2
    ) { _ in 1 }
    func topic(_ type: EventType) -> [Int] {
      routes.places(of: type, account: 0).map { $0.topic * 10 + $0.partition }
    }
    #expect(topic(.impression) == [1])
    #expect(topic(.click) == [11])
    #expect(topic(.dealStage) == [21])
    #expect(topic(.conversion) == [1])
    #expect(topic(.heartbeat) == [0, 1, 10, 11, 20, 21])
  }
}

@Suite("Load: what is seen")
struct LoadWatchTests {
  private static func parameter(_ offset: Int64, partition: Int = 0, topic: String = "events")
    -> String
  {
    #"{"account":"a","ad":"\"source\":{}","time":5,"source":{"topic":"\#(topic)","#
      + #""partition":\#(partition),"offset":\#(offset)},"seq":1}"#
  }

  @Test func readsSources() {
    let reader = SourceReader(topics: ["events", "clicks"], partitions: 2)
    func read(_ text: String) -> SourceReader.Source {
      Array(text.utf8).withUnsafeBytes { reader.read($0) }
    }
    #expect(read(Self.parameter(7)) == .record(place: 0, offset: 7))
    #expect(read(Self.parameter(9, partition: 1, topic: "clicks")) == .record(place: 3, offset: 9))
    #expect(read(Self.parameter(7, partition: 2)) == .foreign)
    #expect(read(Self.parameter(7, topic: "other")) == .foreign)
    #expect(read(#"{"account":"a","source":{"clock":77}}"#) == .clock)
    for odd in ["", "{}", "[1]", #"{"source":7}"#, #"{"source":{"topic":"events"}}"#, "{\"sou"] {
      #expect(read(odd) == .foreign, "\(odd)")
    }
  }

  @Test("Latency is from when an event was to be emitted, and each event has one at most")
  func matching() throws {
    let clock = ScriptedClock(at: 0)
    // Number 0 at 1 s, then one each 10 ms.
    let schedule = LoadSchedule(start: 1000 * millisecond, rate: 100, count: 1000)
    let emissions = Emissions(first: [50, 500])
    let run = ScriptedRun()
    var watch = LoadWatch(
      clock: clock, schedule: schedule, firstMeasured: 2, emissions: emissions,
      source: SourceReader(topics: ["events"], partitions: 2), observation: run, lookEvery: 0)
    emissions.add([0, 2, 3], at: 50, in: 0)
    emissions.add([1, 4], at: 500, in: 1)
    #expect(emissions.count == 5)

    // The emitter was late with all of them; that is part of it.
    clock.sleep(until: 1500 * millisecond)
    run.records = [
      Self.parameter(51), Self.parameter(51), Self.parameter(50), Self.parameter(49),
      Self.parameter(501, partition: 1), #"{"source":{"clock":1}}"#, Self.parameter(9, topic: "x"),
      // Not known yet: it stands in the log, and the emitter has not heard of it.
      Self.parameter(503, partition: 1),
    ]
    run.offsets = [52, 500]
    #expect(try watch.turn(emitted: 5))
    #expect(
      watch.counts
        == .init(matched: 3, more: 1, clock: 1, foreign: 2, all: 8))
    // Numbers 2 (due at 1020) and 4 (1040); number 0 belongs to the warm-up.
    #expect(watch.published.count == 2)
    #expect(abs((watch.published.milliseconds(100) ?? 0) - 480) < 0.5)
    #expect(abs((watch.published.milliseconds(0) ?? 0) - 460) < 0.5)
    #expect(watch.processed == 2)
    #expect(watch.committed.count == 1)
    #expect(watch.lag == 3)

    clock.sleep(until: 2000 * millisecond)
    emissions.add([5], at: 503, in: 1)
    run.offsets = [53, 504]
    #expect(try watch.turn(emitted: 6))
    #expect(watch.counts.matched == 4)
    // Seen at 1500, whenever its offset came to be known.
    #expect(abs((watch.published.milliseconds(0) ?? 0) - 450) < 0.5)
    #expect(watch.processed == emissions.count)
    #expect(watch.committed.count == 4)
    #expect(watch.lag == 0)
    #expect(try !watch.turn(emitted: 6))
    #expect(watch.committed.count == 4)
  }

  @Test("Every event is counted once, whatever the order of commits and arrivals")
  func accounting() throws {
    for seed in UInt64(1)...20 {
      var random = SplitMix64(seed: seed)
      let clock = ScriptedClock(at: 0)
      let partitions = 3
      let schedule = LoadSchedule(start: 0, rate: 1000, count: 3000)
      let first: [Int64] = [0, 17, 4_000_000_000]
      let emissions = Emissions(first: first)
      let run = ScriptedRun()
      var watch = LoadWatch(
        clock: clock, schedule: schedule, firstMeasured: 0, emissions: emissions,
        source: SourceReader(topics: ["events"], partitions: partitions), observation: run,
        lookEvery: 0)
      var ends = first
      var committed = first
      var published = Set<[Int64]>()
      var (number, foreign) = (0, 0)
      while number < schedule.count || committed != ends {
        clock.pass(Int64(random.next() % 5_000_000))
        for _ in 0..<(random.next() % 40) where number < schedule.count {
          let place = Int(random.next() % 3)
          // Somebody else's records stand between now and then.
          if random.next() % 50 == 0 {
            ends[place] += 1
            foreign += 1
          }
          emissions.add([UInt32(number)], at: ends[place], in: place)
          ends[place] += 1
          number += 1
        }
        for place in 0..<partitions {
          let step = Int64(random.next() % 60)
          committed[place] = min(ends[place], committed[place] + step)
          for offset in first[place]..<committed[place] where random.next() % 500 == 0 {
            run.records.append(Self.parameter(offset, partition: place))
            published.insert([Int64(place), offset])
          }
        }
        run.offsets = committed
        _ = try watch.turn(emitted: number)
      }
      #expect(emissions.count == schedule.count, "seed \(seed)")
      #expect(watch.processed == schedule.count, "seed \(seed)")
      #expect(watch.committed.count == schedule.count, "seed \(seed)")
      #expect(watch.lag == 0)
      let all = watch.counts
      #expect(all.matched + all.more + all.foreign + all.clock == all.all, "seed \(seed)")
      #expect(all.matched <= published.count && all.matched >= published.count - foreign)
      #expect(watch.published.count == all.matched)
    }
  }
}

@Suite("Load: judgement")
struct LoadJudgementTests {
  @Test("Percentiles are those of a sorted list, to three digits")
  func percentiles() {
    for seed in UInt64(1)...5 {
      var random = SplitMix64(seed: seed)
      var latencies = Latencies()
      var values: [Int64] = []
      for _ in 0..<20_000 {
        // From microseconds to minutes.
        let value = Int64(1000 << (random.next() % 26)) + Int64(random.next() % 1000)
        values.append(value)
        latencies.record(nanoseconds: value)
      }
      values.sort()
      for (name, percentile) in Latencies.reported {
        let rank = max(1, Int((percentile / 100 * Double(values.count)).rounded(.up)))
        let exact = Double(values[rank - 1]) / 1e6
        let reported = latencies.milliseconds(percentile) ?? -1
        #expect(
          abs(reported - exact) <= exact * 0.001 + 0.001, "seed \(seed) \(name): \(exact)")
      }
    }
    #expect(Latencies().milliseconds(50) == nil)
    var early = Latencies()
    early.record(nanoseconds: -5)
    #expect(early.milliseconds(100) == 0)
  }

  /// Lag as a run with commits 100 ms apart has it, sampled each 37 ms.
  private func lag(
    seed: UInt64, rate: Double, growth: Double, seconds: Double = 10, noise: Double = 0.2
  ) -> [Trend.Sample] {
    var random = SplitMix64(seed: seed)
    return (0..<Int(seconds / 0.037)).map { index in
      let time = Double(index) * 0.037
      let sinceCommit = time.truncatingRemainder(dividingBy: 0.1)
      let chance = Double(random.next() % 1000) / 1000 * noise * 0.1
      return Trend.Sample(
        seconds: time, lag: max(0, rate * (sinceCommit + chance + growth * time)))
    }
  }

  @Test("Flat lag is flat and growing lag grows", arguments: [UInt64(1), 2, 3, 4, 5, 6])
  func trends(seed: UInt64) throws {
    for rate in [100.0, 20_000, 500_000] {
      let flat = try #require(Trend(lag(seed: seed, rate: rate, growth: 0)))
      #expect(!flat.grows(at: rate), "seed \(seed), rate \(rate): \(flat)")
      #expect(abs(flat.mean / rate - 0.06) < 0.02)
      // A twentieth of what comes is not processed.
      let growing = try #require(Trend(lag(seed: seed, rate: rate, growth: 0.05)))
      #expect(growing.grows(at: rate), "seed \(seed), rate \(rate): \(growing)")
      #expect(abs(growing.slope / rate - 0.05) < 0.01)
      // What is left of a bad start becomes less.
      let falling = try #require(
        Trend(
          lag(seed: seed, rate: rate, growth: 0).map {
            .init(seconds: $0.seconds, lag: $0.lag + (10 - $0.seconds) * rate)
          }))
      #expect(!falling.grows(at: rate))
    }
    // One second's halt in the middle, caught up with, is no growth.
    let halt = lag(seed: seed, rate: 1000, growth: 0).map {
      Trend.Sample(
        seconds: $0.seconds, lag: $0.lag + ((4.5...5.5).contains($0.seconds) ? 900 : 0))
    }
    #expect(try !#require(Trend(halt)).grows(at: 1000))
  }

  @Test func tooLittleToTell() {
    #expect(Trend([]) == nil)
    #expect(Trend([.init(seconds: 1, lag: 5)]) == nil)
    #expect(Trend((0..<3).map { .init(seconds: Double($0), lag: 5) }) == nil)
    #expect(Trend((0..<4).map { .init(seconds: Double($0), lag: 5) })?.slope == 0)
  }

  @Test(
    "The search comes to the highest rate that is sustained",
    arguments: [20.0, 900, 12_345, 3e6, 1e9], [100.0, 20_000])
  func search(limit: Double, start: Double) throws {
    var search = RateSearch(from: start, bounds: 10...10e6)
    var tried = 0
    while let rate = search.next {
      search.note(rate, isSustained: rate <= limit)
      tried += 1
      try #require(tried < 40)
    }
    let found = try #require(search.sustained)
    #expect(found <= limit)
    #expect(found >= min(limit, 10e6) / 1.1)
  }

  @Test func searchWithoutAnyRate() {
    var search = RateSearch(from: 100, bounds: 10...10e6)
    while let rate = search.next { search.note(rate, isSustained: false) }
    #expect(search.sustained == nil)
  }

  @Test("Axes end at round numbers and hold what they were made for")
  func axes() {
    for top in [0.0, 0.3, 1, 7, 99, 100.5, 12_345, 9e6] {
      let axis = SVGAxis.fromZero(to: top, places: (100, 0))
      #expect(axis.values.upperBound >= top)
      #expect((2...12).contains(axis.ticks.count), "\(top): \(axis.ticks)")
      #expect(axis.place(0) == 100)
      #expect(axis.place(axis.values.upperBound) == 0)
    }
    #expect(SVGDrawing.escaped(#"a<b>&"c""#) == "a&lt;b&gt;&amp;&quot;c&quot;")
  }
}

/// `load` as a command, on a local log.
@Suite("Load: the command")
struct LoadCommandTests {
  private let work = Workplace()

  private var environment: [String: String] {
    ["TALLY_LOG": work.path + "/data", "TALLY_STATE": work.path + "/state"]
  }

  private func load(_ arguments: String...) -> Outcome {
    work.run(["load", Workplace.tally] + arguments, environment: environment)
  }

  @Test("Everything that was emitted is in the log and processed, and the report says so")
  func endToEnd() throws {
    let outcome = load(
      "--rate", "2000", "--duration", "1500ms", "--warm-up", "500ms", "--run", "--partitions", "2",
      "--set", "operators.totals.every=1s", "--plot", "load.svg", "--json", "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.member("emitted") == "4000")
    #expect(outcome.member("processed") == outcome.member("records"))
    #expect(work.lines("load.svg").last == "</svg>")
    // One heartbeat a partition beside the load's records, which asked for the run.
    let lines = work.run("log", "cat", "data", "events").lines.count
    #expect(outcome.member("records") == "\(lines - 2)")
    let replay = work.run(
      "replay", Workplace.tally, "--from", "data", "--out", "out", "--json", "-q",
      "--set", "operators.totals.every=1s", environment: environment)
    #expect(replay.status == 0, "\(replay.errors)")
    #expect(work.run("log", "verify", "data").status == 0)

    let read = load("--read-only", "--json", "-q")
    #expect(read.member("records") == "\(lines)")
  }

  @Test("Arguments that cannot be meant are refused before anything is emitted")
  func badArguments() {
    for arguments in [
      ["--rate", "0"], ["--rate", "nan"], ["--rate", "1e9"], ["--duration", "0s"],
      ["--duration", "soon"], ["--rate", "10000000", "--duration", "24h"], ["--workers", "2"],
      ["--read-only", "--run"], ["--sink", "nothing"], ["--plot", "load.png"], ["--ads", "0"],
    ] {
      let outcome = work.run(["load", Workplace.tally] + arguments, environment: environment)
      #expect(outcome.status == 64, "\(arguments): \(outcome.errors)")
    }
    #expect(work.run("load", "none.yaml").status == 66)
    #expect(!work.files(".").contains("data"))
  }

  @Test("Without a run nothing is emitted but what asks for one")
  func missingRun() {
    let outcome = load("--rate", "1000", "--duration", "1s", "--patience", "1s", "-q")
    #expect(outcome.status == 69, "\(outcome.errors)")
    #expect(outcome.errors.contains("bidmill run") && outcome.errors.contains("--run"))
    let records = work.run("log", "cat", "data", "events").lines
    #expect(!records.isEmpty)
    #expect(records.allSatisfy { $0.contains("heartbeat") })
  }

  @Test("A run that cannot start ends the load, with its own message")
  func runThatFails() {
    work.write("state", "in the way")
    let outcome = load("--rate", "100", "--duration", "1s", "--run", "-q")
    #expect(outcome.status == 69, "\(outcome.errors)")
    #expect(outcome.errors.contains("the run has ended"))
  }

  @Test("^C ends it with what was measured until then")
  func interrupted() throws {
    let running = work.start(
      [
        "load", Workplace.tally, "--rate", "500", "--duration", "10m", "--run", "--json", "-q",
      ], environment: environment)
    while running.isRunning, work.run("log", "cat", "data", "events").lines.count < 300 {
      usleep(50_000)
    }
    running.send(SIGINT)
    let outcome = running.wait()
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.member("interrupted") == "true")
    #expect(outcome.member("processed") == outcome.member("records"))
  }
}
