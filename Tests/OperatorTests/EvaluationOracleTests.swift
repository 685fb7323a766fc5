import Events
import Learning
import Operators
import Streaming
import TestKit
import Testing

/// What `scores` says equals what anyone can compute from `predictions`.
@Suite struct EvaluationOracleTests {
  private struct Key: Hashable {
    var account: String
    var campaign: String
    var model: String
    var head: String
  }

  private struct Scored {
    var probability: Double
    var label: Double
    var time: Int64
  }

  private static let settings = """
    champion: { main: { alpha: 0.2 } }
        challengers: { other: { algorithm: invariant } }
        prior: { ctr: 0.3, cvr: 0.2 }
        evaluation: { report_every: 20m, half_life: 1h }
    """

  @Test(arguments: ["none", "platt", "isotonic"], [1, 2] as [UInt64])
  func scoresAreThoseOfThePredictions(_ calibration: String, _ seed: UInt64) throws {
    let topology = try Learning.topology(
      Self.settings + "\n    calibration: \(calibration)")
    let driver = try Attributing.driver(topology)
    for record in Learning.history(5_000, seed: seed) { try driver.send(record) }
    let clock = driver.clock.milliseconds
    try driver.finish()
    var known: [Key: [Scored]] = [:]
    for prediction in try driver.outputs(of: "predictions").map({ try Attributing.object($0) })
    where prediction["click"] != nil {
      for (head, scored) in heads(prediction) {
        for campaign in ["", prediction["campaign"] as? String ?? ""] {
          let key = Key(
            account: prediction["account"] as? String ?? "", campaign: campaign,
            model: prediction["model"] as? String ?? "", head: head)
          known[key, default: []].append(scored)
        }
      }
    }
    var scores: [Key: [String: Any]] = [:]
    for score in try driver.outputs(of: "scores").map({ try Attributing.object($0) }) {
      let key = Key(
        account: score["account"] as? String ?? "", campaign: score["campaign"] as? String ?? "",
        model: score["model"] as? String ?? "", head: score["head"] as? String ?? "")
      scores[key] = score
      #expect((score["raw"] != nil) == (calibration != "none" && score["campaign"] == nil))
    }
    print("\(calibration), seed \(seed): \(scores.count) scores")
    // Three accounts with two campaigns, two models, three heads.
    #expect(scores.count == 54 && Set(scores.keys) == Set(known.keys))
    for (key, labels) in known {
      let score = try #require(scores[key])
      check(score, labels.map { ($0, 1) }, isAccount: key.campaign.isEmpty)
      let recent = score["recent"] as? [String: Any] ?? [:]
      check(
        recent,
        labels.map {
          ($0, NaiveLearner.exp(Double($0.time - clock) / 3_600_000 * 0.6931471805599453))
        },
        isAccount: key.campaign.isEmpty)
    }
  }

  /// What of a prediction is known by its record: each head is scored once.
  private func heads(_ prediction: [String: Any]) -> [(String, Scored)] {
    let time = Int64(prediction["time"] as? Int ?? 0)
    let isClicked = prediction["click"] as? Bool ?? false
    func scored(_ name: String, _ label: Double) -> (String, Scored) {
      let probability = Estimating.number(prediction, name)
      return (name, Scored(probability: probability, label: label, time: time))
    }
    guard prediction["conversion"] != nil else { return [scored("pctr", 1)] }
    let credit = Double(Estimating.micros(prediction, "conversion")) / 1e6
    if isClicked { return [scored("pcvr", credit), scored("pctcvr", credit)] }
    return [scored("pctr", 0), scored("pctcvr", 0)]
  }

  private func check(
    _ score: [String: Any], _ labels: [(Scored, Double)], isAccount: Bool
  ) {
    func near(_ name: String, _ expected: Double, _ tolerance: Double) {
      let found = Estimating.number(score, name)
      #expect(
        (found - expected).magnitude <= tolerance * max(expected.magnitude, 1e-3),
        "\(name): \(found) for \(expected)")
    }
    var (weight, positives, predicted, loss, square) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for (scored, w) in labels {
      let p = min(max(scored.probability, 1e-6), 1 - 1e-6)
      weight += w
      positives += w * scored.label
      predicted += w * p
      loss -= w * scored.label * NaiveLearner.log(p)
      loss -= w * (1 - scored.label) * NaiveLearner.log(1 - p)
      square += w * (p - scored.label) * (p - scored.label)
    }
    near("labels", weight, 1e-6)
    near("positives", positives, 1e-6)
    near("log_loss", loss / weight, 1e-5)
    near("brier", square / weight, 1e-5)
    guard positives > 0 else {
      #expect(score["calibration"] == nil && score["normalized_entropy"] == nil)
      return
    }
    near("calibration", predicted / positives, 1e-5)
    let rate = positives / weight
    if rate < 1 {
      let entropy =
        -rate * NaiveLearner.log(rate) - (1 - rate) * NaiveLearner.log(1 - rate)
      near("normalized_entropy", loss / weight / entropy, 1e-5)
    }
    guard isAccount else {
      #expect(score["auc"] == nil)
      return
    }
    checkRanking(score, labels, positives, weight)
  }

  /// What the highest scored have of the positives, whatever the order of those whose log-odds are
  /// within a sixteenth of the last one's.
  private static func captured(
    _ sorted: [(Scored, Double)], _ weight: Double
  ) -> (sure: Double, possible: Double) {
    var left = weight
    let edgePlace = sorted.firstIndex { scored in
      left -= scored.1
      return left <= 0
    }
    guard let last = edgePlace.map({ sorted[$0] }) ?? sorted.last else { return (0, 0) }
    let edge = Rate.logit(last.0.probability)
    var (sure, possible) = (0.0, 0.0)
    for (scored, weight) in sorted {
      let distance = Rate.logit(scored.probability) - edge
      if distance > 1.0 / 16 { sure += weight * scored.label }
      if distance >= -1.0 / 16 { possible += weight * scored.label }
    }
    return (sure, possible)
  }

  /// Against the single predictions, which the histogram knows only to a sixteenth of log-odds.
  private func checkRanking(
    _ score: [String: Any], _ labels: [(Scored, Double)], _ positives: Double, _ weight: Double
  ) {
    let sorted = labels.sorted { $0.0.probability > $1.0.probability }
    var (above, all, auc, precision) = (0.0, 0.0, 0.0, 0.0)
    var place = 0
    while place < sorted.count {
      // Predictions that are the same are one step.
      var (hits, misses) = (0.0, 0.0)
      let probability = sorted[place].0.probability
      while place < sorted.count, sorted[place].0.probability == probability {
        hits += sorted[place].1 * sorted[place].0.label
        misses += sorted[place].1 * (1 - sorted[place].0.label)
        place += 1
      }
      auc += misses * (above + hits / 2)
      above += hits
      all += hits + misses
      precision += hits * above / all
    }
    func near(_ name: String, _ expected: Double, _ tolerance: Double) {
      let found = Estimating.number(score, name)
      #expect((found - expected).magnitude <= tolerance, "\(name): \(found) for \(expected)")
    }
    if positives < weight { near("auc", auc / positives / (weight - positives), 0.03) }
    near("pr_auc", precision / positives, 0.05)
    // Within the bins at the edge of the tenth anything may stand first.
    let (sure, possible) = Self.captured(sorted, weight / 10)
    let capture = Estimating.number(score, "capture")
    #expect(capture >= sure / positives - 1e-6 && capture <= possible / positives + 1e-6)
    near("lift", capture * 10, 1e-5)
    #expect(Estimating.number(score, "ece") >= 0)
  }
}
