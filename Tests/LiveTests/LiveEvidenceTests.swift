import Events
import Foundation
import Operators
import Simulation
import Streaming
import TestKit
import Testing

/// What is published reconciles with the input, to the last micro.
@Suite struct LiveEvidenceTests {
  private struct Counts: Equatable {
    var impressions: Int64 = 0
    var clicks: Int64 = 0
    var spendMicros: Int64 = 0
    var conversionsMillionths: Int64 = 0
    var valueMicros: Int64 = 0
  }

  private func key(_ record: [String: Any]) -> String {
    ["account", "campaign", "ad"].map { record[$0] as? String ?? "" }.joined(separator: "/")
  }

  /// A plain count of the good records, each once, and of the primary model's credits.
  private func count(_ history: Living.History, credits: [[String: Any]]) throws -> [String: Counts]
  {
    var counts: [String: Counts] = [:]
    for (bytes, fact) in zip(history.records, history.facts)
    where fact.rejection == nil && !fact.isDuplicate {
      guard fact.type == .impression || fact.type == .click else { continue }
      let record = try Living.object(String(decoding: bytes, as: UTF8.self))
      let price =
        (record["price"] as? String).map { Int64((Double($0)! * 1e6).rounded()) }
        ?? record["price"].map { Living.millionths($0) } ?? 0
      var row = counts[key(record)] ?? Counts()
      if fact.type == .impression { row.impressions += 1 } else { row.clicks += 1 }
      row.spendMicros += price
      counts[key(record)] = row
    }
    for credit in credits where credit["model"] as? String == "time_decay" && credit["ad"] != nil {
      counts[key(credit), default: Counts()].conversionsMillionths += Living.millionths(
        credit["credit"])
      counts[key(credit), default: Counts()].valueMicros += Living.millionths(credit["value"])
    }
    return counts
  }

  private func evidence(_ record: [String: Any]) -> Counts {
    let evidence = record["evidence"] as? [String: Any] ?? [:]
    return Counts(
      impressions: (evidence["impressions"] as? NSNumber)?.int64Value ?? -1,
      clicks: (evidence["clicks"] as? NSNumber)?.int64Value ?? -1,
      spendMicros: Living.millionths(evidence["spend"]),
      conversionsMillionths: Living.millionths(evidence["conversions"]),
      valueMicros: Living.millionths(evidence["value"]))
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func evidenceIsAPlainCount(seed: UInt64) throws {
    let topology = try Living.topology()
    let history = Living.history(1_500, seed: seed)
    let outcome = try Replaying(topology: topology, registry: OperatorRegistry.all)
      .run(history.records, publishAtEnd: true)
    let credits = try Living.records(outcome, of: "attributions", in: topology)
    let expected = try count(history, credits: credits)
    var last: [String: Counts] = [:]
    var sequence: [String: Int64] = [:]
    for record in try Living.records(outcome, of: "bid_parameters", in: topology) {
      let seq = (record["seq"] as? NSNumber)?.int64Value ?? -1
      #expect(seq > sequence[key(record)] ?? 0, "seed \(seed), \(key(record))")
      sequence[key(record)] = seq
      last[key(record)] = evidence(record)
    }
    #expect(expected.count > 10)
    for (ad, counts) in expected.sorted(by: { $0.key < $1.key }) {
      #expect(last[ad] == counts, "seed \(seed), \(ad)")
    }
    // Ads that only auctions spoke of have no evidence.
    for (ad, counts) in last where expected[ad] == nil {
      #expect(counts == Counts(), "seed \(seed), \(ad)")
    }
    #expect(
      history.facts.contains { $0.isDuplicate } && history.facts.contains { $0.rejection != nil })
  }

  /// Also in between: a record's evidence is what was counted when it was published.
  @Test func evidenceIsExactAtEveryMoment() throws {
    let topology = try Living.topology()
    let history = Living.history(600, seed: 77)
    let driver = try TopologyDriver(topology, registry: OperatorRegistry.all)
    var counted = Living.History()
    var credits: [[String: Any]] = []
    var compared = 0
    for (record, fact) in zip(history.records, history.facts) {
      try driver.send(record)
      let before = try count(counted, credits: credits)
      counted.records.append(record)
      counted.facts.append(fact)
      credits += try driver.outputs(of: "attributions").map { try Living.object($0) }
      let after = try count(counted, credits: credits)
      for output in driver.outputs(of: "bid_parameters") {
        let published = try Living.object(output)
        let byClock = (published["source"] as? [String: Any])?["clock"] != nil
        let expected = (byClock ? before : after)[key(published)] ?? Counts()
        #expect(evidence(published) == expected, "\(output)")
        compared += 1
      }
    }
    #expect(compared > 300)
  }
}
