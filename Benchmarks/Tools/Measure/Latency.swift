import Events
import LocalLog
import Operators
import Streaming
import Support

#if canImport(Glibc)
  @preconcurrency import Glibc
#elseif canImport(Musl)
  @preconcurrency import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How long an event is in the process before what it changes is predicted from: replays of
/// `live.yaml` at full speed, every impression, click and conversion timed by an operator
/// that stands behind `learner`.
///
/// Two times end with an event's walk through the learner. One begins when the log handed over the
/// chunk that it came in: an event waits for those before it in the chunk. The other begins when
/// the window of events that it is decoded with was begun. Both are of every event. What they are
/// made of is shown by leaving out, one after the other:
///
/// - windows in which the system gave the processor to somebody else;
/// - pauses between two events: a replay at full speed is a full load, but its time goes faster than
///   under such a load, and what is done every minute is done every few milliseconds;
/// - windows in which memory was touched for the first time: state that is new, in huge pages, which
///   the system has to clear.
enum Latency {
  /// Records that a fetch may bring; the engine itself asks for the first.
  private static let limits = [4_096, 1_024, 256]

  static func report(_ settings: Report.Settings) throws {
    let file = "\(settings.directory)/market-\(settings.events).jsonl"
    try Histories.writeMarket(records: settings.events, to: file)
    let topology = try topology()
    let isPinned = System.useCores(1)
    defer { System.useCores(System.coreCount) }
    print(
      "\nlatency to the updated prediction, live.yaml at full speed, one core"
        + "\(isPinned ? "" : " (not pinned)"), µs; exact, medians of \(settings.rounds) rounds")
    print(
      "  " + "records a fetch, from".padding(to: 34) + "% of events".left(to: 12)
        + "p50".left(to: 9) + "p99".left(to: 9) + "p99.9".left(to: 9) + "longest".left(to: 10)
        + "CPU ns an event".left(to: 17))
    var rounds = [[Round]](repeating: [], count: limits.count)
    for _ in 0..<settings.rounds {
      for (i, limit) in limits.enumerated() {
        rounds[i].append(
          try run(topology, file: file, limit: limit, directory: settings.directory))
      }
    }
    for (i, limit) in limits.enumerated() {
      let cost = System.median(rounds[i].map(\.nanosecondsPerEvent)).text(0).left(to: 17)
      show("\(limit), handed over", rounds[i].map { $0.chunks[0] }, cost)
      show("  all of it left out", rounds[i].map { $0.chunks[3] })
      show("\(limit), its window begun", rounds[i].map { $0.windows[0] })
      show("  without others' time", rounds[i].map { $0.windows[1] })
      show("  and pauses between events", rounds[i].map { $0.windows[2] })
      show("  and new memory", rounds[i].map { $0.windows[3] })
    }
    show("pauses of more than 10 µs", rounds[0].map(\.pauses))
    guard let round = rounds[0].first else { return }
    print(
      "  \(round.count) events timed a round, over \(round.hours.text(1)) hours of event time; "
        + "\(round.pauseCount) pauses, \((round.pausedShare * 100).text(1)) % of the time; "
        + "\(Report.loadText()) at the end")
  }

  private static func show(_ name: String, _ rounds: [Quantiles], _ cost: String = "") {
    func median(_ value: (Quantiles) -> Double, _ digits: Int = 0) -> String {
      System.median(rounds.map(value)).text(digits)
    }
    print(
      "  " + name.padding(to: 34) + median({ $0.share * 100 }, 1).left(to: 12)
        + median(\.half).left(to: 9) + median(\.p99).left(to: 9) + median(\.p999).left(to: 9)
        + median(\.longest).left(to: 10) + cost)
  }

  /// In microseconds.
  private struct Quantiles {
    var share, half, p99, p999, longest: Double

    init(_ unsorted: [UInt64], of count: Int) {
      let nanoseconds = unsorted.sorted()
      func quantile(_ share: Double) -> Double {
        guard !nanoseconds.isEmpty else { return .nan }
        let place = Int(Double(nanoseconds.count) * share)
        return Double(nanoseconds[min(place, nanoseconds.count - 1)]) / 1e3
      }
      share = Double(nanoseconds.count) / Double(max(count, 1))
      (half, p99, p999, longest) = (quantile(0.5), quantile(0.99), quantile(0.999), quantile(1))
    }
  }

  private struct Round {
    var count: Int
    /// As they are; undisturbed; without pauses; without new memory.
    var chunks: [Quantiles]
    var windows: [Quantiles]
    var pauses: Quantiles
    var pauseCount: Int
    /// Of the time of the run.
    var pausedShare: Double
    /// From the first event to the last.
    var hours: Double
    var nanosecondsPerEvent: Double
  }

  private static func topology() throws -> CheckedTopology {
    let root = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()
    let path = root + "/Topologies/live.yaml"
    let text = try Report.text(of: path)
    guard let start = text.firstRange(of: "\noperators:\n"),
      let end = text.firstRange(of: "\n# Where results go.")
    else { throw BenchmarkFailure("\(path) has no place for operators more") }
    let gate = "  gate: { operator: latency_gate, from: events }\n"
    let probe = "\n  probe: { operator: latency_probe, from: [journeys, learner] }\n"
    return try CheckedTopology.parse(
      text: text[..<start.upperBound] + gate + text[start.upperBound..<end.lowerBound] + probe
        + text[end.lowerBound...], file: path, registry: registry.map(\.description))
  }

  private static let registry =
    OperatorRegistry.all + [OperatorType(LatencyGate.self), OperatorType(LatencyProbe.self)]

  private static func run(
    _ topology: CheckedTopology, file: String, limit: Int, directory: String
  ) throws -> Round {
    let replay = try FileReplay.open(
      files: [file], source: "", outputs: Jobs.outputs(topology),
      to: .init(directory: directory + "/out", overwrite: true))
    LatencyStamps.shared.begin()
    let engine = try Engine(
      topology: topology, registry: registry,
      partitions: [
        .init(
          log: StampedLog(replay.partitions[0], limit: limit), options: RunnerOptions(mode: .replay)
        )
      ], workers: 1)
    let cost = try System.cost { try engine.run() }
    try replay.finish()
    let records = engine.statuses.reduce(0) { $0 + $1.current.records }
    let stamps = LatencyStamps.shared
    stamps.end()
    let state = stamps.state.pointee
    let paused = stamps.pauses.reduce(0) { $0 + Double($1) / 1e9 }
    return Round(
      count: state.count, chunks: quantiles(stamps.events, \.chunk),
      windows: quantiles(stamps.events, \.window),
      pauses: Quantiles(Array(stamps.pauses), of: state.pauseCount), pauseCount: state.pauseCount,
      pausedShare: paused / cost.seconds, hours: Double(state.newest &- state.oldest) / 3.6e6,
      nanosecondsPerEvent: cost.cpuSeconds * 1e9 / Double(max(records, 1)))
  }

  private static func quantiles(
    _ events: UnsafeMutableBufferPointer<LatencyStamps.Event>,
    _ time: KeyPath<LatencyStamps.Event, LatencyStamps.Time>
  ) -> [Quantiles] {
    let times = events.map { $0[keyPath: time] }
    let calm = times.filter { !$0.isSwitched }
    return [
      Quantiles(times.map(\.nanoseconds), of: events.count),
      Quantiles(calm.map(\.nanoseconds), of: events.count),
      Quantiles(calm.map { $0.nanoseconds &- $0.paused }, of: events.count),
      Quantiles(
        calm.filter { !$0.isFaulted }.map { $0.nanoseconds &- $0.paused }, of: events.count),
    ]
  }
}

/// What log, gate and probe of the one partition tell each other. All are called by its worker
/// alone.
private final class LatencyStamps: @unchecked Sendable {
  static let shared = LatencyStamps()

  /// How long something took an event.
  struct Time {
    var nanoseconds: UInt64 = 0
    /// Of them in pauses between events.
    var paused: UInt64 = 0
    /// Meanwhile the system gave the processor to somebody else, or cleared memory.
    var isSwitched = false
    var isFaulted = false
  }

  /// An event behind the learner: since its chunk came, and since its window was begun.
  struct Event {
    var chunk = Time()
    var window = Time()
  }

  struct State {
    // Monotonic nanoseconds.
    var arrived: UInt64 = 0
    var windowBegun: UInt64 = 0
    /// When what comes before the next event's walk was done: the last walk, or decoding.
    var ready: UInt64 = 0
    /// Nanoseconds of all pauses so far, and when chunk and window began.
    var paused: UInt64 = 0
    var pausedAtArrival: UInt64 = 0
    var pausedAtWindow: UInt64 = 0
    var count = 0
    var pauseCount = 0
    /// The window's first event, and what its thread has been through before it.
    var windowStart = 0
    var switches = 0
    var faults = 0
    /// Behind the window before, and while the one at hand was decoded.
    var windowIsSwitched = false
    var windowIsFaulted = false
    /// Since the chunk came, the window at hand not counted.
    var chunkIsSwitched = false
    var chunkIsFaulted = false
    /// Event time, in ms.
    var oldest = Int64.max
    var newest = Int64.min
  }

  private static let capacity = 1 << 22
  /// Shorter ones are the walk's own.
  private static let pauseMin: UInt64 = 10_000
  let state: UnsafeMutablePointer<State>
  private let kept: UnsafeMutablePointer<Event>
  private let keptPauses: UnsafeMutablePointer<UInt64>

  private init() {
    state = .allocate(capacity: 1)
    state.initialize(to: State())
    kept = .allocate(capacity: LatencyStamps.capacity)
    keptPauses = .allocate(capacity: LatencyStamps.capacity)
    // Pages that are there before they are needed.
    kept.initialize(repeating: Event(), count: LatencyStamps.capacity)
    keptPauses.initialize(repeating: 0, count: LatencyStamps.capacity)
  }

  func begin() { state.pointee = State() }

  /// Only its thread could say what the last window has been through.
  func end() { state.pointee.count = state.pointee.windowStart }

  var events: UnsafeMutableBufferPointer<Event> {
    .init(start: kept, count: state.pointee.count)
  }

  var pauses: UnsafeMutableBufferPointer<UInt64> {
    .init(start: keptPauses, count: state.pointee.pauseCount)
  }

  func arrive() {
    // Of the chunk before.
    _ = judge()
    (state.pointee.windowIsSwitched, state.pointee.windowIsFaulted) = (false, false)
    state.pointee.arrived = System.nanoseconds()
    state.pointee.pausedAtArrival = state.pointee.paused
    (state.pointee.chunkIsSwitched, state.pointee.chunkIsFaulted) = (false, false)
  }

  /// A window is decoded: it was begun when the event before it was done, or when the chunk came.
  func decoded() {
    let (isSwitched, isFaulted) = judge()
    (state.pointee.windowIsSwitched, state.pointee.windowIsFaulted) = (isSwitched, isFaulted)
    state.pointee.windowBegun = max(state.pointee.arrived, state.pointee.ready)
    state.pointee.pausedAtWindow = state.pointee.paused
    state.pointee.ready = System.nanoseconds()
  }

  /// What the thread has been through since it was last asked: in the window that has ended, and in
  /// what came behind it.
  private func judge() -> (isSwitched: Bool, isFaulted: Bool) {
    var usage = rusage()
    // RUSAGE_THREAD: the calling thread's. Elsewhere than on Linux nothing is known.
    getrusage(1, &usage)
    let isSwitched = usage.ru_nivcsw > state.pointee.switches
    let isFaulted = usage.ru_minflt > state.pointee.faults
    (state.pointee.switches, state.pointee.faults) = (usage.ru_nivcsw, usage.ru_minflt)
    let windowIsSwitched = isSwitched || state.pointee.windowIsSwitched
    let windowIsFaulted = isFaulted || state.pointee.windowIsFaulted
    if windowIsSwitched { state.pointee.chunkIsSwitched = true }
    if windowIsFaulted { state.pointee.chunkIsFaulted = true }
    for i in state.pointee.windowStart..<state.pointee.count {
      kept[i].window.isSwitched = windowIsSwitched
      kept[i].window.isFaulted = windowIsFaulted
      kept[i].chunk.isSwitched = state.pointee.chunkIsSwitched
      kept[i].chunk.isFaulted = state.pointee.chunkIsFaulted
    }
    state.pointee.windowStart = state.pointee.count
    return (isSwitched, isFaulted)
  }

  /// An event's walk begins.
  @inline(__always)
  func enter(_ time: Int64) {
    state.pointee.oldest = min(state.pointee.oldest, time)
    state.pointee.newest = max(state.pointee.newest, time)
    let now = System.nanoseconds()
    let pause = now &- state.pointee.ready
    // Of events that do not come as far as the probe this is all that is known.
    state.pointee.ready = now
    guard pause > LatencyStamps.pauseMin else { return }
    state.pointee.paused &+= pause
    let count = state.pointee.pauseCount
    guard count < LatencyStamps.capacity else { return }
    keptPauses[count] = pause
    state.pointee.pauseCount = count &+ 1
  }

  /// An event has been walked through the learner.
  @inline(__always)
  func leave() {
    let now = System.nanoseconds()
    let count = state.pointee.count
    state.pointee.ready = now
    guard count < LatencyStamps.capacity else { return }
    let paused = state.pointee.paused
    kept[count] = Event(
      chunk: Time(
        nanoseconds: now &- state.pointee.arrived,
        paused: paused &- state.pointee.pausedAtArrival),
      window: Time(
        nanoseconds: now &- state.pointee.windowBegun,
        paused: paused &- state.pointee.pausedAtWindow))
    state.pointee.count = count &+ 1
  }
}

/// Stands before everything else.
private struct LatencyGate: Operator {
  static let description = OperatorDescription(
    name: "latency_gate", version: 1, summary: "Notes when an event's walk begins.",
    inputs: [.init(.events)], outputs: [], settings: [])

  private let stamps = LatencyStamps.shared
  private let events: EventInput

  init(_ setup: OperatorSetup) throws(SettingProblem) { events = setup.events() }

  mutating func process(_ entry: borrowing Entry) {
    guard let event = events.current else { return }
    stamps.enter(event.pointer.pointee.time.milliseconds)
  }

  func prefetch(_ batch: EventBatch) { stamps.decoded() }

  func digest(into digest: inout StateDigest) {}

  func deallocate() { events.deallocate() }
}

/// Stands behind `learner` and notes when it is done with an event.
private struct LatencyProbe: Operator {
  static let description = OperatorDescription(
    name: "latency_probe", version: 1, summary: "Notes when an event has been walked.",
    inputs: [.init(.interactions), .init(.predictions)], outputs: [], settings: [])

  private let stamps = LatencyStamps.shared

  init(_ setup: OperatorSetup) throws(SettingProblem) {}

  mutating func process(_ entry: borrowing Entry) {
    if !entry.isClock { stamps.leave() }
  }

  func digest(into digest: inout StateDigest) {}
}

/// A log that notes when it hands over records, and hands over no more than so many.
private final class StampedLog: PartitionLog {
  private let log: FileReplayLog
  private let limit: Int

  init(_ log: FileReplayLog, limit: Int) {
    self.log = log
    self.limit = limit
  }

  var inputs: [LogInput] { log.inputs }
  var deadLetterForm: DeadLetterForm { log.deadLetterForm }

  func fetch(
    _ input: Int, into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    let status = try log.fetch(input, into: chunk, maxRecords: min(maxRecords, limit))
    LatencyStamps.shared.arrive()
    return status
  }

  func seek(_ input: Int, to offset: Int64) throws(LogError) {
    try log.seek(input, to: offset)
  }
  func firstOffsets() throws(LogError) -> [Int64] { try log.firstOffsets() }
  func committed() throws(LogError) -> CommitPoint? { try log.committed() }
  func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) { try log.journal(after: number, body) }
  func commit(_ transaction: Transaction) throws(LogError) { try log.commit(transaction) }
  func close() { log.close() }
}
