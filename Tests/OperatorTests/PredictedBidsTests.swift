import Events
import Foundation
import Operators
import Streaming
import TestKit
import Testing

/// `bids` with a learner before it.
@Suite struct PredictedBidsTests {
  private static func topology(
    _ settings: String = "", learner: Bool = true
  ) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: bidding
        time: { out_of_orderness: 5s, max_gap: 3660d }
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          unique: { operator: deduplicate, from: events, within: 1h }
          people: { operator: identity, from: unique, key: secret, device_ttl: 8h, ttl: 9h }
          journeys: { operator: journeys, from: people, lookback: 7h, max_touches: 20 }
          credits:
            operator: attribution
            from: journeys
            models: [last_touch]
            primary: last_touch
            windows: { click: 6h, view: 2h }
          learner:
            operator: learner
            from: [journeys, credits]
            click_window: 5m
            conversion_window: 40m
            prior: { ctr: 0.02 }
            features: [bias, campaign, ad, "features.*"]
          posteriors:
            operator: posteriors
            from: [unique, journeys, credits]
            maturity: { click: 5m, conversion: 40m }
            prior: { ctr: 0.02 }
          bids: { operator: bids, from: [unique, posteriors\(learner ? ", learner" : "")] \(settings) }
          safety: { operator: safety, from: [unique, bids] }
        sinks:
          proposals: { from: bids, log: { topic: proposals } }
          bid_parameters: { from: safety, log: { topic: bid-parameters } }
          predictions: { from: learner, log: { topic: predictions } }
        """,
      file: "bidding.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  private static let start: Int64 = 1_800_000_000_000

  /// Impressions of three ads, of which the third is new and of the kind of the first; the kinds
  /// differ in their click rates.
  private func proposals(_ topology: CheckedTopology) throws -> [String: [String: Any]] {
    let driver = try TopologyDriver(topology, registry: OperatorRegistry.all)
    func show(_ i: Int, _ ad: String, _ kind: String, isClicked: Bool) throws {
      let time = Self.start + Int64(i) * 500
      let place = #""account":"acme","campaign":"c","ad":"\#(ad)""#
      try driver.send(
        #"{"type":"impression","id":"i\#(i)\#(ad)","time":\#(time),\#(place),"price":0.001,"#
          + #""user":"u\#(i % 300)","features":{"kind":"\#(kind)"}}"#)
      guard isClicked else { return }
      try driver.send(
        #"{"type":"click","id":"c\#(i)\#(ad)","time":\#(time + 100),\#(place),"#
          + #""user":"u\#(i % 300)","impression":"i\#(i)\#(ad)"}"#)
      if i % 3 == 0 {
        try driver.send(
          #"{"type":"conversion","id":"v\#(i)\#(ad)","time":\#(time + 200),"account":"acme","#
            + #""user":"u\#(i % 300)","value":2}"#)
      }
    }
    for i in 0..<12_000 {
      try show(i, "good", "hot", isClicked: i % 20 == 0)
      try show(i, "poor", "cold", isClicked: i % 200 == 0)
      if i >= 11_000, i % 10 == 0 { try show(i, "new", "hot", isClicked: false) }
    }
    try driver.advance(to: EventTime(milliseconds: Self.start + 10_800_000))
    var newest: [String: [String: Any]] = [:]
    for record in try driver.outputs(of: "proposals").map({ try Attributing.object($0) }) {
      newest[record["ad"] as? String ?? ""] = record
    }
    for record in try driver.outputs(of: "bid_parameters").map({ try Attributing.object($0) }) {
      newest[record["ad"] as? String ?? ""]?["bid_parameters"] = record
    }
    return newest
  }

  @Test func whatTheModelKnowsCountsWhereAnAdIsNew() throws {
    let with = try proposals(Self.topology())
    let without = try proposals(Self.topology(learner: false))
    for ad in ["good", "poor", "new"] {
      let (mine, other) = (try #require(with[ad]), try #require(without[ad]))
      // What is believed is the posterior's either way.
      #expect(Estimating.number(mine, "ctr", "mean") == Estimating.number(other, "ctr", "mean"))
      #expect(other["prediction"] == nil)
      let weight = Estimating.number(mine, "prediction", "ctr_weight")
      let predicted = Estimating.number(mine, "prediction", "ctr")
      print(
        ad, Estimating.number(mine, "ctr", "mean"), predicted, weight,
        Estimating.number(mine, "worth"), Estimating.number(other, "worth"))
      let parameters = try #require(mine["bid_parameters"] as? [String: Any])
      #expect((parameters["model"] as? Int ?? 0) > 10_000)
      #expect((other["bid_parameters"] as? [String: Any])?["model"] as? Int == 0)
      // Both rates, over the posterior's.
      func factor(_ name: String) -> Double {
        let (rate, weight) = (
          Estimating.number(mine, "prediction", name),
          Estimating.number(mine, "prediction", name + "_weight")
        )
        let mean = Estimating.number(mine, name, "mean")
        return 1 + weight * (rate / mean - 1)
      }
      let value = Estimating.number(mine, "value", "per_impression")
      let worth = Estimating.number(mine, "worth")
      #expect((worth / (value * factor("ctr") * factor("cvr")) - 1).magnitude < 1e-3, "\(ad)")
    }
    // Its kind is clicked often; a hundred impressions without a click say less.
    let new = try #require(with["new"])
    #expect(Estimating.number(new, "prediction", "ctr_weight") > 0.3)
    #expect(
      Estimating.number(new, "prediction", "ctr") > Estimating.number(new, "ctr", "mean") * 1.2)
    #expect(
      Estimating.number(new, "worth")
        > Estimating.number(try #require(without["new"]), "worth") * 1.05)
    let good = try #require(with["good"])
    #expect(Estimating.number(good, "prediction", "ctr_weight") < 0.3)
  }

  @Test(arguments: ["", ", predictions: { impressions: 5, labels: 20, conversion_error: 0.05 }"])
  func keepsTheContract(_ settings: String) throws {
    var contract = OperatorContract(
      of: Bids.self, named: "bids", topology: try Self.topology(settings),
      registry: OperatorRegistry.all
    ) { Learning.history(250, seed: $0, duration: .hours(2), accounts: 3) }
    contract.eventTypes = [.impression]
    #expect(try contract.violations(seeds: 1...3) == [])
  }
}
