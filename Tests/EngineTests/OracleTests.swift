import Events
import Operators
import Simulation
import Streaming
import TestKit
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The engine beside a naive recomputation, record for record, and beside the generator's truth.
@Suite struct OracleTests {
  /// A topology's times, and the naive settings that say the same.
  struct Case {
    var naive = NaiveTally.Settings()
    var outOfOrderness: Int64 = 5_000

    func topology() throws -> CheckedTopology {
      let types = naive.within.map { ", \($0.key.name): \($0.value)ms" }.sorted().joined()
      return try CheckedTopology.parse(
        text: """
          topology: oracle
          time: { tick: \(naive.tick)ms, out_of_orderness: \(outOfOrderness)ms }
          sources:
            events: { log: { directory: data, topics: [events] } }
          operators:
            unique:
              operator: deduplicate
              from: events
              within: { default: \(naive.withinDefault)ms, order: \(naive.withinOrder)ms\(types) }
            totals: { operator: tally, from: unique, every: \(naive.every)ms }
          sinks:
            tallies: { from: totals, log: { topic: tallies } }
            accepted: { from: unique, stream: events, log: { topic: accepted } }
            dead_letters: { log: { topic: dead-letters } }
          """,
        file: "oracle.yaml", registry: OperatorRegistry.all.map(\.description))
    }

    /// Windows of all lengths that duplicates are exact for.
    static func random(_ choice: inout SeededChoice) -> Case {
      var random = Case()
      random.naive.tick = choice.pick([250, 1_000, 1_000, 10_000])
      random.outOfOrderness = choice.pick([0, 5_000, 15_000])
      random.naive.every = choice.pick([1_000, 7_000, 10_000, 60_000])
      let shortest = random.naive.tick + random.outOfOrderness
      func window() -> Int64 {
        choice.pick([shortest + Int64(choice.below(60_000)), shortest, 600_000, 86_400_000])
      }
      random.naive.withinDefault = max(window(), 1_000)
      random.naive.withinOrder = max(window(), 1_000)
      for type in EventType.allCases where choice.once(in: 4) {
        random.naive.within[type] = max(window(), 1_000)
      }
      return random
    }
  }

  /// What is different; nil where the engine agrees with the recomputation in everything.
  static func difference(_ records: [[UInt8]], _ subject: Case, fetchLimit: Int) throws -> String? {
    let naive = NaiveTally(records, subject.naive)
    let driver = try PartitionDriver(
      subject.topology(), registry: OperatorRegistry.all, fetchLimit: { fetchLimit })
    try driver.send(records)
    driver.finish()
    try driver.commit()
    // Nothing is lost: each record is one of these and only one.
    let sorts = [naive.accepted, naive.dropped, naive.refused, naive.heartbeats]
    guard sorts.reduce(0, { $0 + $1.count }) == records.count,
      driver.recordsTaken == Int64(records.count),
      driver.count(ofSink: "accepted") == naive.accepted.count,
      driver.counter("unique.duplicates") == Int64(naive.dropped.count),
      driver.count(ofSink: "dead_letters") == naive.refused.count
    else {
      return "\(records.count) records: accepted, dropped, refused and heartbeats should be "
        + "\(sorts.map(\.count)); \(driver.count(ofSink: "accepted") ?? -1) were accepted, "
        + "\(driver.counter("unique.duplicates") ?? -1) dropped"
    }
    var sinks: [[String]] = [[], [], []]
    for output in driver.broker.outputs {
      let value = String(decoding: output.value, as: UTF8.self)
      sinks[Int(output.sink)].append(
        output.sink == 0 ? String(decoding: output.key, as: UTF8.self) + " " + value : value)
    }
    // What is passed on is the record, byte for byte; what is refused names its place.
    let accepted = naive.accepted.map { String(decoding: records[$0], as: UTF8.self) }
    return compare("tallies", sinks[0], naive.tallies)
      ?? compare("accepted events", sinks[1], accepted)
      ?? compare("dead letters", sinks[2].map(offset), naive.refused.map(String.init))
  }

  private static func offset(_ letter: String) -> String {
    letter.split(separator: #""offset":"#, maxSplits: 1).last.map {
      String($0.prefix { $0.isNumber })
    } ?? "none"
  }

  private static func compare(_ what: String, _ found: [String], _ expected: [String]) -> String? {
    guard found != expected else { return nil }
    let place = zip(found, expected).enumerated().first { $1.0 != $1.1 }?.offset
    let first = place ?? min(found.count, expected.count)
    func at(_ list: [String]) -> String { first < list.count ? list[first] : "nothing" }
    return "\(found.count) \(what) instead of \(expected.count); number \(first) is \(at(found)) "
      + "instead of \(at(expected))"
  }

  /// A log that means harm: few names, ids and orders used again at all distances, repeats, events
  /// out of order, far too late or far ahead, records that are none.
  static func hostileLog(_ subject: Case, _ choice: inout SeededChoice) -> [[UInt8]] {
    var now: Int64 = 1_700_000_000_000 + Int64(choice.below(100_000))
    var sent: [(time: Int64, bytes: [UInt8])] = []
    var log: [[UInt8]] = []
    for n in 0..<choice.inside(5...120) {
      switch choice.below(30) {
      case 0: now += Int64(choice.below(3 * Int(min(subject.naive.withinDefault, 3_600_000))))
      case 1: now += Int64(choice.below(120_000))
      case 2...10: break
      default: now += Int64(choice.below(4_000))
      }
      var time = now - Int64(choice.below(Int(subject.outOfOrderness) + 1))
      var id = "i\(choice.below(12))"
      switch choice.below(25) {
      case 0:
        log.append(
          Array(choice.pick(["", "{}", "no", #"{"type":"click","id":"1","time":-1}"#]).utf8))
        continue
      case 1:
        // Still in time, so that it must be found.
        let recent = sent.filter { $0.time >= now - subject.outOfOrderness }
        if !recent.isEmpty {
          log.append(choice.pick(recent).bytes)
          continue
        }
      case 2:
        // Too late for anyone to ask whether it was seen; it still counts.
        time = now - Int64(choice.below(100_000_000))
        id = "late\(n)"
      case 3 where !sent.isEmpty:
        time = now + subject.naive.maxGap + 1 + Int64(choice.below(1_000_000))
      default: break
      }
      let record = OracleTests.record(
        id: id, time: time, mayRepeatOrder: time >= now - subject.outOfOrderness, &choice)
      if time <= now { sent.append((time, record)) }
      log.append(record)
    }
    return log
  }

  private static func record(
    id: String, time: Int64, mayRepeatOrder: Bool, _ choice: inout SeededChoice
  ) -> [UInt8] {
    let head = #""id":"\#(id)","time":\#(time),"account":"a\#(choice.below(3))""#
    let ad = #""campaign":"c\#(choice.below(2))","ad":"d\#(choice.below(3))""#
    let price = "\(choice.below(3)).\(choice.below(1_000_000))"
    let text =
      switch choice.below(12) {
      case 0...3: #"{"type":"impression",\#(head),\#(ad),"price":\#(price)}"#
      case 4...6: #"{"type":"click",\#(head),\#(ad),"price":"\#(price)"}"#
      case 7: #"{"type":"auction",\#(head),\#(ad),"bid":1,"won":\#(choice.once(in: 2))}"#
      case 8:
        #"{"type":"conversion",\#(head),"order":"\#(mayRepeatOrder ? "o\(choice.below(6))" : id)","#
          + #""action":"\#(choice.pick(["sale", "lead"]))"}"#
      case 9: #"{"type":"conversion",\#(head)}"#
      case 10: #"{"type":"control",\#(head),"action":"pause"}"#
      default: #"{"type":"heartbeat","time":\#(time)}"#
      }
    return Array(text.utf8)
  }

  /// More seeds for a long run: `ORACLE_SEEDS=20000 swift test --filter OracleTests`.
  static let seeds: UInt64 = getenv("ORACLE_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 260

  @Test func hostileLogsAreCountedAsTheyShould() throws {
    for seed in 1...OracleTests.seeds as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let subject = Case.random(&choice)
      let log = OracleTests.hostileLog(subject, &choice)
      if let detail = try OracleTests.difference(log, subject, fetchLimit: choice.inside(1...90)) {
        Issue.record("seed \(seed), \(subject): \(detail)")
        return
      }
    }
  }

  @Test func generatedHistoriesAreCountedAsTheyShould() throws {
    for seed in 1...50 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      var subject = Case()
      subject.naive.withinDefault = choice.pick([30_000, 86_400_000])
      subject.naive.every = choice.pick([5_000, 60_000])
      let records = History.records(200, seed: seed, duration: .minutes(10)) {
        $0.duplicateDelayMax = .seconds(5)
      }
      if let detail = try OracleTests.difference(records, subject, fetchLimit: 64) {
        Issue.record("seed \(seed): \(detail)")
        return
      }
    }
  }

  @Test func theEngineFindsTheGeneratorsTruth() throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      var settings = HistorySettings()
      settings.seed = seed
      settings.records = 3_000
      settings.accounts = 3
      settings.duration = .hours(2)
      settings.duplicatesPerMillion = 50_000
      settings.latePerMillion = 50_000
      settings.badPerMillion = 20_000
      var generator = HistoryGenerator(settings)
      let driver = try PartitionDriver(Case().topology(), registry: OperatorRegistry.all)
      var line: [UInt8] = []
      var records: [[UInt8]] = []
      while generator.next(into: &line) != nil { records.append(line) }
      try driver.send(records)
      driver.finish()
      let outputs = try driver.outputs
      let counts = generator.counts
      #expect(counts.duplicates > 50 && counts.rejected.reduce(0, +) > 20)
      #expect(driver.counter("unique.duplicates") == Int64(counts.duplicates))
      let accepted = counts.accepted.reduce(0, +) - counts.accepted(.heartbeat)
      #expect(driver.count(ofSink: "accepted") == accepted)
      for reason in RejectionReason.allCases {
        let letters = outputs.count { $0.hasPrefix("2 ") && $0.contains("\"\(reason.code)\"") }
        #expect(letters == counts.rejected(reason), "seed \(seed), \(reason.code)")
      }
      var last: [String: String] = [:]
      for output in outputs where output.hasPrefix("0 ") {
        let parts = output.split(separator: " ", maxSplits: 2)
        last[String(parts[1])] = String(parts[2])
      }
      OracleTests.compareTotals(generator, last)
    }
  }

  private static func compareTotals(_ truth: borrowing HistoryGenerator, _ last: [String: String]) {
    var ads = 0
    for account in 0..<truth.settings.accounts {
      for campaign in 0..<truth.settings.campaignsPerAccount {
        for ad in 0..<truth.settings.adsPerCampaign {
          let totals = truth.totals(account: account, campaign: campaign, ad: ad)
          guard totals.impressions + totals.clicks + totals.auctions > 0 else { continue }
          ads += 1
          let key = [
            truth.accountName(account), truth.campaignName(account: account, campaign: campaign),
            truth.adName(account: account, campaign: campaign, ad: ad),
          ].joined(separator: "/")
          guard let text = last[key] else {
            Issue.record("no tally of \(key)")
            continue
          }
          #expect(text.contains(#""impressions":\#(totals.impressions),"#))
          #expect(text.contains(#""clicks":\#(totals.clicks),"#))
          #expect(text.contains(#""auctions":\#(totals.auctions),"wins":\#(totals.wins)}"#))
          let spend = text.split(separator: #""spend":"#).last?.prefix { $0 != "," } ?? ""
          #expect(Double(spend).map { Int64(($0 * 1_000_000).rounded()) } == totals.spendMicros)
        }
      }
    }
    #expect(ads == last.count)
  }
}
