import Events
import Foundation
import Operators
import Streaming
import TestKit
import Testing

/// The engine's attributions and interactions against a recomputation over arrays.
@Suite struct AttributionOracleTests {
  /// A few people of two accounts, over half an hour, seen through too few identifiers.
  static func log(_ random: inout SplitMix64) -> [TestEvent] {
    func below(_ n: UInt64) -> UInt64 { random.next() % n }
    func name(_ prefix: String, _ n: UInt64, chance: UInt64) -> String? {
      below(100) < chance ? "\(prefix)\(below(n))" : nil
    }
    var events: [TestEvent] = []
    var now: Int64 = 1_800_000_000_000
    let people = 2 + below(6)
    let pace = 1 + below(40_000)
    for i in 0..<(20 + below(120)) {
      now += Int64(below(pace))
      if below(40) == 0 { now += Int64(below(400_000)) }
      var event = TestEvent()
      event.id = "e\(i)"
      event.time = below(5) == 0 ? now - Int64(below(20_000)) : now
      event.account = below(4) == 0 ? "other" : "acme"
      switch below(100) {
      case 0..<45: event.type = "impression"
      case 45..<70: event.type = "click"
      case 70..<92: event.type = "conversion"
      case 92..<97: event.type = "deal_stage"
      default: event.type = "erasure"
      }
      event.campaign = "c\(below(2))"
      event.ad = "a\(below(2))"
      event.user = name("u", people, chance: 60)
      event.device = name("d", people + 2, chance: 60)
      event.clickID = name("k", 4 * people, chance: 30)
      if event.type == "erasure", event.user == nil, event.device == nil { event.user = "u0" }
      event.consent = below(25) != 0 || event.type == "erasure"
      event.viewable = below(4) != 0
      event.value = below(3) == 0 ? Int64(below(100)) : Int64(below(1_000_000_000))
      events.append(event)
    }
    return events
  }

  @Test(arguments: 0..<4)
  func equalsTheRecomputation(quarter: Int) throws {
    let topology = try Attributing.topology()
    let replaying = Replaying(topology: topology, registry: OperatorRegistry.all)
    var (conversions, credited, merged, alerts) = (0, 0, 0, 0)
    for number in 0..<300 {
      let seed = UInt64(quarter * 1_000 + number)
      var random = SplitMix64(seed: seed)
      let events = Self.log(&random)
      var naive = NaiveAttribution()
      for event in events { naive.process(event) }
      let outcome = try replaying.run(
        events.map(\.json), fetchLimit: 1 + Int(random.next() % 50))
      try compareCredits(outcome, naive, seed)
      try compareVisits(outcome, naive, seed)
      let alerted = try Attributing.records(outcome, of: 1)
      try #require(alerted.count == naive.alerts, "seed \(seed)")
      conversions += naive.credits.count
      credited += naive.credits.count { $0.credits.first?.touch != nil }
      merged += outcome.outputs.count { $0.contains(#""type":"merge""#) }
      alerts += alerted.count
    }
    print("\(conversions) conversions, \(credited) credited, \(merged) merges, \(alerts) alerts")
    #expect(credited > 1_000 && conversions > credited && merged > 100 && alerts > 10)
  }

  private func compareCredits(_ outcome: RunOutcome, _ naive: NaiveAttribution, _ seed: UInt64)
    throws
  {
    var records = try Attributing.records(outcome, of: 0)[...]
    for (conversion, expected) in naive.credits {
      let mine = records.prefix(expected.count)
      records = records.dropFirst(expected.count)
      let sums = Dictionary(grouping: mine) { $0["model"] as? String ?? "" }.mapValues {
        $0.reduce(0) { $0 + Self.micros($1["credit"]) }
      }
      // Law 5: exactly 1 under each model, or nothing.
      try #require(
        sums.values.allSatisfy { $0 == 1_000_000 } || Array(sums.values) == [0], "seed \(seed)")
      for (record, credit) in zip(mine, expected) {
        let touch = (record["touch"] as? [String: Any])?["id"] as? String
        let slack: Int64 = credit.model == "time_decay" ? 1 : 0
        try #require(
          record["conversion"] as? String == conversion
            && record["model"] as? String == credit.model && touch == credit.touch
            && abs(Self.micros(record["credit"]) - credit.credit) <= slack
            && abs(Self.micros(record["value"]) - credit.value) <= slack
            && record["revision"] as? Int == 1 && record["kind"] as? String == "assert",
          "seed \(seed): \(record) is not \(credit) of \(conversion)")
      }
    }
    try #require(records.isEmpty, "seed \(seed): more attributions than conversions give")
  }

  private static func micros(_ value: Any?) -> Int64 {
    Int64((((value as? NSNumber)?.doubleValue ?? -1) * 1e6).rounded())
  }

  private func compareVisits(_ outcome: RunOutcome, _ naive: NaiveAttribution, _ seed: UInt64)
    throws
  {
    let records = try Attributing.records(outcome, of: 2).filter { $0["id"] != nil }
    var touches: [String: [String]] = [:]
    for record in try Attributing.records(outcome, of: 3) {
      let line = (record["source"] as? [String: Any])?["offset"] as? Int ?? -1
      touches["\(line)", default: []].append(record["id"] as? String ?? "")
    }
    try #require(records.count == naive.visits.count, "seed \(seed)")
    var pseudonyms: [Int: String] = [:]
    for (record, visit) in zip(records, naive.visits) {
      let person = record["person"] as? String ?? ""
      if visit.person >= 0 {
        // A merge may rename a person, but no two persons ever share a name.
        let others = pseudonyms.filter { $0.key != visit.person }.values
        try #require(!others.contains(person), "seed \(seed): \(visit)")
        pseudonyms[visit.person] = person
      }
      let line = (record["source"] as? [String: Any])?["offset"] as? Int ?? -1
      let mine = NaiveAttribution.Visit(
        id: record["id"] as? String ?? "", person: visit.person,
        method: record["method"] as? String ?? "", state: record["state"] as? String ?? "",
        session: record["session"] as? Int ?? -1,
        sinceTouch: (record["since_touch"] as? NSNumber)?.int64Value,
        views: ["campaign_views_1d", "campaign_views_7d", "ad_views_1d", "ad_views_7d"].map {
          record[$0] as? Int ?? -1
        }, touches: touches["\(line)"] ?? [])
      try #require(mine == visit, "seed \(seed)")
    }
  }
}
