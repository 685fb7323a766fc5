import Events
import Operators
import Streaming
import TestKit
import Testing

/// Predictions and labels equal those of a naive learner, over random histories with duplicates and
/// bad records.
@Suite struct LearnerOracleTests {
  private static let settings = """
    champion: { main: { alpha: 0.2, l1: 0.01 } }
        features: [bias, campaign, ad, placement, hour, "features.*", journey.state, \
    "ad*placement", "features.os*features.recency"]
    """

  @Test(arguments: [1, 2, 3] as [UInt64])
  func equalsANaiveLearner(_ seed: UInt64) throws {
    let driver = try Attributing.driver(Learning.topology(Self.settings))
    var naive: [String: NaiveLearner] = [:]
    var inputs: [String: [String: Any]] = [:]
    var checked = (shown: 0, known: 0, clicked: 0, credited: 0)
    for record in Learning.history(4_000, seed: seed) {
      if let input = try? Attributing.object(String(decoding: record, as: UTF8.self)),
        let id = input["id"] as? String, let type = input["type"] as? String
      {
        inputs["\(input["account"] ?? "")/\(type)/\(id)"] = input
      }
      try driver.send(record)
      let clock = driver.clock.milliseconds
      var known: [String: [NaiveLearner.Known]] = [:]
      for account in naive.keys { known[account] = naive[account]?.advance(to: clock) }
      let predictions = try driver.outputs(of: "predictions").map { try Attributing.object($0) }
      for prediction in predictions where prediction["click"] != nil {
        let account = prediction["account"] as? String ?? ""
        let expected = try #require(known[account]?.first, "seed \(seed)")
        known[account]?.removeFirst()
        #expect(expected == label(prediction), "seed \(seed)")
        checked.known += 1
        if expected.isClicked { checked.clicked += 1 }
      }
      let isAllSeen = known.values.allSatisfy { $0.isEmpty }
      #expect(isAllSeen, "seed \(seed)")
      for interaction in try driver.outputs(of: "interactions").map({ try Attributing.object($0) })
      where interaction["id"] != nil {
        let account = interaction["account"] as? String ?? ""
        let key = "\(account)/\(interaction["type"] ?? "")/\(interaction["id"] ?? "")"
        guard let input = inputs[key] else { continue }
        // One that was not there yet has nothing to learn, but a clock to set.
        _ = naive[account, default: NaiveLearner()].advance(to: clock)
        let shown = take(input, interaction, &naive[account, default: NaiveLearner()])
        guard let shown else { continue }
        let prediction = try #require(predictions.last { $0["click"] == nil })
        check(prediction, shown, seed)
        checked.shown += 1
      }
      for credit in try driver.outputs(of: "attributions").map({ try Attributing.object($0) }) {
        guard credit["model"] as? String == "linear",
          let touch = credit["touch"] as? [String: Any], touch["type"] as? String == "click"
        else { continue }
        naive[credit["account"] as? String ?? ""]?.credit(
          touch["id"] as? String ?? "", millionths: Estimating.micros(credit, "credit"),
          value: Estimating.micros(credit, "value"))
      }
    }
    checked.credited = naive.values.reduce(0) { $0 + $1.credits }
    print("seed \(seed): \(checked)")
    #expect(checked.shown > 1_500 && checked.known > 1_500)
    #expect(checked.clicked > 100 && checked.credited > 30)
    #expect(driver.counter("learner.credits") == Int64(checked.credited))
  }

  private func label(_ prediction: [String: Any]) -> NaiveLearner.Known {
    NaiveLearner.Known(
      id: prediction["id"] as? String ?? "", isClicked: prediction["click"] as? Bool ?? false,
      credit: prediction["conversion"] == nil
        ? nil : Estimating.micros(prediction, "conversion"))
  }

  private func check(_ prediction: [String: Any], _ said: NaiveLearner.Said, _ seed: UInt64) {
    let rates = [("pctr", said.click), ("pcvr", said.conversion)]
    for (name, rate) in rates {
      let expected = min(max(rate, 1e-6), 1 - 1e-6)
      let distance = (Estimating.number(prediction, name) - expected).magnitude
      #expect(distance < 2e-9, "\(name), seed \(seed)")
    }
    let value = Estimating.number(prediction, "value")
    #expect((value - said.value).magnitude <= 1e-6 + 1e-9 * said.value, "value, seed \(seed)")
  }

  /// Feeds an accepted event; what the naive learner says of an impression.
  private func take(
    _ input: [String: Any], _ interaction: [String: Any], _ naive: inout NaiveLearner
  ) -> NaiveLearner.Said? {
    let id = input["id"] as? String ?? ""
    // The input may have it as a text.
    let time = Int64(interaction["time"] as? Int ?? 0)
    switch input["type"] as? String {
    case "impression":
      return naive.show(id, features(input, interaction, time), at: time)
    case "click":
      naive.click(id, of: input["impression"] as? String, at: time)
      return nil
    default: return nil
    }
  }

  private func features(
    _ input: [String: Any], _ interaction: [String: Any], _ time: Int64
  ) -> [String: Double] {
    let ad = "ad=\(input["ad"] ?? "")"
    let placement = "placement=\(input["placement"] ?? "")"
    var features = [
      "bias": 1.0, "campaign=\(input["campaign"] ?? "")": 1, ad: 1, placement: 1,
      "hour=\(time / 3_600_000 % 24)": 1, "state=\(interaction["state"] ?? "")": 1,
      "\(ad) \(placement)": 1,
    ]
    let own = input["features"] as? [String: Any] ?? [:]
    for (name, value) in own {
      if let text = value as? String {
        features["\(name): \(text)"] = 1
      } else if name == "returning" {
        features["\(name): true"] = 1
      } else {
        features["\(name)"] = Estimating.number(own, name)
      }
    }
    if let system = own["os"] as? String, own["recency"] != nil {
      features["os: \(system) recency"] = Estimating.number(own, "recency")
    }
    return features.filter { $0.value != 0 }
  }
}
