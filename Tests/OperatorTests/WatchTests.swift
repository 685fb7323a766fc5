import Events
import Operators
import Streaming
import TestKit
import Testing

/// Calibration, drift and promotion where the truth is known.
@Suite struct WatchTests {
  // MARK: Calibration

  /// A model that never learns and begins far from the truth: what is published is right all the
  /// same, and the scores show both.
  @Test(arguments: ["platt", "isotonic", "beta", "temperature"])
  func calibrationRepairsABiasedModel(_ method: String) throws {
    let scene = try WatchScene(
      """
      champion: { stuck: { alpha: 0.000001 } }
          prior: { ctr: 0.01, cvr: 0.02 }
          calibration: \(method)
          evaluation: { report_every: 1h, half_life: 30m }
      """, seed: 7, step: 1_000)
    try scene.run(12_000)
    scene.driver.finish()
    let scores = try scene.take()["scores", default: []].filter { $0["campaign"] == nil }
    for head in ["pctr", "pcvr"] {
      let score = try #require(scores.last { $0["head"] as? String == head })
      let calibrated = Estimating.number(score, "recent", "calibration")
      let raw = Estimating.number(score, "raw", "calibration")
      print("\(method) \(head): \(raw) becomes \(calibrated)")
      #expect(calibrated > 0.9 && calibrated < 1.1, "\(head)")
      #expect(raw < 0.2, "\(head)")
      #expect(
        Estimating.number(score, "recent", "log_loss") < Estimating.number(score, "raw", "log_loss")
      )
    }
  }

  @Test func withoutCalibrationModelsSpeakForThemselves() throws {
    let scene = try WatchScene("", seed: 7)
    try scene.run(3_000)
    scene.driver.finish()
    let scores = try scene.take()["scores", default: []]
    #expect(!scores.isEmpty && scores.allSatisfy { $0["raw"] == nil })
  }

  // MARK: Drift

  private static let drift = """
    champion: { main: { alpha: 0.02 } }
        prior: { ctr: 0.2, cvr: 0.2 }
        drift: { warmup: 3000 }
    """

  /// Clicks become more frequent by an odds ratio of e at once, or over ten thousand impressions.
  @Test(arguments: [0, 10_000], [1, 2, 3] as [UInt64])
  func aChangeIsFound(over ramp: Int, _ seed: UInt64) throws {
    let scene = try WatchScene(Self.drift, seed: seed)
    try scene.run(10_000)
    #expect(try scene.alerts("drift").isEmpty)
    // Labels are a minute, 600 impressions, behind.
    let change = scene.market.now
    try scene.run(ramp + 3_000) { i in
      .init(shift: ramp == 0 ? 1 : min(Double(i) / Double(ramp), 1))
    }
    let alerts = try scene.alerts("drift")
    let found = try #require(alerts.first { $0["severity"] as? String == "warning" })
    let delay = Estimating.number(found, "time") - Double(change)
    print("seed \(seed), over \(ramp): found \(Int(delay) / 100) impressions after it began")
    #expect(found["head"] as? String == "pctr" && found["model"] as? String == "main")
    #expect(Estimating.number(found, "observed") > Estimating.number(found, "expected"))
    #expect(delay < Double((ramp == 0 ? 2_000 : ramp) * 100))
    // Never silently: that something was forgotten is a record too.
    #expect(alerts.contains { ($0["message"] as? String)?.hasPrefix("the model forgets") == true })
    #expect(scene.driver.counter("learner.drifts") ?? 0 >= 1)
    #expect(scene.driver.counter("learner.forgets") == scene.driver.counter("learner.drifts"))
  }

  /// A change that the model follows leaves no residuals, and is told all the same: once for every
  /// fifth or so that it is worth.
  @Test(arguments: [401, 402, 403] as [UInt64])
  func aChangeThatTheModelFollowsIsTold(_ seed: UInt64) throws {
    let scene = try WatchScene("prior: { ctr: 0.2, cvr: 0.2 }", seed: seed)
    try scene.run(15_000)
    #expect(try scene.alerts("drift").isEmpty)
    let change = scene.market.now
    // From 0.21 to 0.28.
    try scene.run(25_000) { i in .init(shift: 0.405 * min(Double(i) / 20_000, 1)) }
    let alerts = try scene.alerts("drift")
    let told = alerts.filter {
      ($0["message"] as? String)?.hasPrefix("outcomes are more or less frequent") == true
    }
    let found = try #require(told.first)
    let delay = Int(Estimating.number(found, "time") - Double(change)) / 100
    print("seed \(seed): \(told.count) times, first \(delay) impressions after it began")
    #expect(found["severity"] as? String == "info" && found["head"] as? String == "pctr")
    let (before, after) = (
      Estimating.number(found, "expected"), Estimating.number(found, "observed")
    )
    #expect(before > 0.18 && before < 0.24 && after > 1.2 * before && after < 0.32)
    #expect(delay < 24_000 && told.count <= 2)
    #expect(scene.driver.counter("learner.rate_changes") == Int64(told.count))
  }

  /// Rates that come and go are told when they come, not every time.
  @Test func whatComesAgainIsToldOnce() throws {
    let scene = try WatchScene(
      "prior: { ctr: 0.2, cvr: 0.2 }\n    drift: { respond: false }", seed: 5)
    try scene.run(8_000)
    for round in 0..<6 {
      try scene.run(4_000) { _ in .init(shift: round % 2 == 0 ? 0.7 : 0) }
    }
    let changes = try #require(scene.driver.counter("learner.rate_changes"))
    print("\(changes) changes told of 6")
    #expect(changes >= 1 && changes <= 2)
  }

  /// A feature means the opposite from now on, and as many are clicked as before.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func aChangeOfMeaningIsFound(_ seed: UInt64) throws {
    let scene = try WatchScene(Self.drift, seed: seed)
    try scene.run(15_000)
    #expect(try scene.alerts("drift").isEmpty)
    let change = scene.market.now
    try scene.run(5_000) { _ in .init(turn: 1) }
    let alerts = try scene.alerts("drift")
    let found = try #require(alerts.first { $0["severity"] as? String == "warning" })
    let delay = Estimating.number(found, "time") - Double(change)
    print("seed \(seed): found \(Int(delay) / 100) impressions after it began")
    #expect(delay < 400_000)
  }

  @Test func aStationaryWorldIsQuiet() throws {
    var (alarms, labels) = (0, 0)
    for seed in 11...15 as ClosedRange<UInt64> {
      let scene = try WatchScene(Self.drift, seed: seed)
      try scene.run(12_000)
      // That a model comes nearer to its labels is no alarm.
      let found = try scene.alerts("drift").filter { $0["severity"] as? String == "warning" }
      print("seed \(seed): \(found.count) false alarms in 12,000 impressions")
      alarms += found.count
      labels += 12_000
    }
    #expect(alarms == 0, "of \(labels) labels")
  }

  /// Labels that wait long: thousands of predictions share what the model did not know yet. Neither
  /// that it comes to its labels behind the first wait, nor its errors later, are findings.
  @Test(arguments: [411, 412] as [UInt64])
  func waitingForLabelsLooksLikeNoChange(_ seed: UInt64) throws {
    let scene = try WatchScene("", seed: seed, step: 400, clickWindow: "30m")
    try scene.run(24_000)
    let alerts = try scene.alerts("drift")
    print("seed \(seed): \(alerts.map { $0["message"] ?? "" })")
    #expect(alerts.isEmpty)
  }

  /// One change is one alarm: what was predicted before the answer does not ask for the next step.
  @Test(arguments: [421, 422, 423] as [UInt64])
  func oneChangeIsAnsweredOnce(_ seed: UInt64) throws {
    let scene = try WatchScene(Self.drift, seed: seed, clickWindow: "10m")
    try scene.run(20_000)
    try scene.run(12_000) { _ in .init(shift: 1) }
    #expect(scene.driver.counter("learner.drifts") == 1)
    #expect(scene.driver.counter("learner.forgets") == 1)
  }

  /// Every alarm soon after another is answered by more.
  @Test func theLadderIsClimbedStepByStep() throws {
    let scene = try WatchScene(
      """
      champion: { main: { alpha: 0.02 } }
          challengers: { spare: { alpha: 0.2 } }
          prior: { ctr: 0.2, cvr: 0.2 }
          calibration: platt
          drift: { warmup: 2000, escalation: 10d }
          promotion: { trial: 400d }
      """, seed: 5)
    try scene.run(6_000)
    for round in 0..<6 {
      try scene.run(4_000) { _ in .init(shift: round % 2 == 0 ? 1.5 : -1.5) }
    }
    let alerts = try scene.take()["alerts", default: []]
    let messages = alerts.compactMap { ($0["message"] as? String)?.split(separator: ":").first }
    print(messages.map(String.init))
    let first = { (text: String) in messages.firstIndex { $0.hasPrefix(text) } }
    let forgets = try #require(first("the model forgets"))
    let recalibrates = try #require(first("calibration forgets"))
    let restarts = try #require(first("a challenger begins anew"))
    #expect(forgets < recalibrates && recalibrates < restarts)
    #expect(scene.driver.counter("learner.recalibrations") ?? 0 >= 1)
    #expect(scene.driver.counter("learner.challengers_restarted") ?? 0 >= 1)
  }

  @Test func driftCanBeWatchedOnly() throws {
    let scene = try WatchScene(
      Self.drift.replacing("warmup: 3000", with: "warmup: 3000, respond: false"), seed: 1)
    try scene.run(8_000)
    try scene.run(4_000) { _ in .init(shift: 1) }
    #expect(scene.driver.counter("learner.drifts") ?? 0 >= 1)
    #expect(scene.driver.counter("learner.forgets") == 0)
    let off = try WatchScene(
      Self.drift.replacing("warmup: 3000", with: "warmup: 3000, enabled: false"), seed: 1)
    try off.run(8_000)
    try off.run(4_000) { _ in .init(shift: 1) }
    #expect(off.driver.counter("learner.drifts") == 0)
  }

  /// A feature whose words come in other shares is told by name; outcomes are as before.
  @Test func aFeatureThatChangesIsTold() throws {
    let scene = try WatchScene("drift: { warmup: 1000000 }", seed: 9, step: 1_000)
    try scene.run(18_000)
    #expect(try scene.alerts("drift").isEmpty)
    try scene.run(6_000) { _ in .init(isOtherSlot: true) }
    let found = try scene.alerts("drift")
    #expect(found.count == 1 && scene.driver.counter("learner.feature_drifts") == 1)
    let alert = try #require(found.first)
    // MurmurHash3 of `slot`.
    #expect(alert["feature"] as? String == "features.#\(String(Hash.murmur3("slot"), radix: 16))")
    #expect(Estimating.number(alert, "observed") > 0.25)
    #expect(Estimating.number(alert, "observed") > 10 * Estimating.number(alert, "expected"))
  }

  // MARK: Promotion

  private static func trial(_ champion: String, _ challenger: String) -> String {
    """
    champion: { \(champion) }
        challengers: { \(challenger) }
        prior: { ctr: 0.5, cvr: 0.2 }
        drift: { enabled: false }
        promotion: { trial: 1m, positives: 200, cooldown: 1d, probation: 5m, \
    calibration_low: 0.8, calibration_high: 1.25 }
    """
  }

  private static let stuck = "stuck: { alpha: 0.000001 }"
  private static let learning = "learning: { alpha: 0.2 }"

  @Test(arguments: [1, 2, 3] as [UInt64])
  func aBetterChallengerIsPromoted(_ seed: UInt64) throws {
    let scene = try WatchScene(
      Self.trial(Self.stuck, Self.learning), seed: seed, sinks: ["alerts", "scores", "predictions"])
    try scene.run(9_000)
    let records = try scene.take()
    let decisions = records["alerts", default: []].filter { $0["kind"] as? String == "promotion" }
    let promoted = try #require(decisions.first)
    print("seed \(seed): \(decisions.map { "\($0["model"] ?? "") \($0["message"] ?? "")" })")
    #expect(promoted["model"] as? String == "learning")
    #expect((promoted["message"] as? String)?.hasPrefix("a challenger proved better") == true)
    #expect(Estimating.number(promoted, "observed") < Estimating.number(promoted, "expected"))
    #expect(scene.driver.counter("learner.promotions") == 1)
    #expect(scene.driver.counter("learner.rollbacks") == 0)
    // The probation went well.
    #expect(decisions.count == 2 && decisions[1]["severity"] as? String == "info")
    // From then on its predictions count.
    let time = Estimating.number(promoted, "time")
    for prediction in records["predictions", default: []] where prediction["click"] == nil {
      let isLate = Estimating.number(prediction, "time") >= time
      let isLearning = prediction["model"] as? String == "learning"
      #expect(prediction["champion"] as? Bool == (isLate == isLearning))
    }
    scene.driver.finish()
    let champions = try scene.take()["scores", default: []].filter {
      $0["champion"] as? Bool == true
    }
    #expect(!champions.isEmpty && champions.allSatisfy { $0["model"] as? String == "learning" })
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func aWorseChallengerIsNot(_ seed: UInt64) throws {
    let scene = try WatchScene(Self.trial(Self.learning, Self.stuck), seed: seed)
    try scene.run(9_000)
    let decisions = try scene.alerts("promotion")
    #expect(scene.driver.counter("learner.promotions") == 0)
    #expect(decisions.allSatisfy { $0["model"] as? String == "stuck" } && !decisions.isEmpty)
  }

  /// Two models that are the same: nothing is ever decided for certain.
  @Test func equalsAreLeftAlone() throws {
    for seed in 21...24 as ClosedRange<UInt64> {
      let scene = try WatchScene(
        Self.trial("a: { alpha: 0.1 }", "b: { alpha: 0.1 }"), seed: seed)
      try scene.run(6_000)
      let decisions = try scene.alerts("promotion")
      print("seed \(seed): \(decisions.count) decisions between equals")
      #expect(decisions.isEmpty)
    }
  }

  /// What was promoted goes back when it proves wrong within its probation.
  @Test func aPromotionIsUndone() throws {
    let scene = try WatchScene(
      Self.trial(Self.stuck, "slow: { alpha: 0.02 }")
        .replacing("probation: 5m", with: "probation: 1d")
        .replacing("calibration_high: 1.25", with: "calibration_high: 2"), seed: 3, base: -3)
    try scene.run(12_000)
    #expect(scene.driver.counter("learner.promotions") == 1)
    try scene.run(6_000) { _ in .init(shift: 3) }
    let decisions = try scene.alerts("promotion")
    print(decisions.map { "\($0["model"] ?? "") \($0["message"] ?? "")" })
    #expect(scene.driver.counter("learner.rollbacks") == 1)
    let undone = try #require(decisions.last { $0["severity"] as? String == "warning" })
    #expect(undone["model"] as? String == "slow")
  }

  // MARK: Questions

  @Test func saysWhatACampaignsPredictionsAreWorth() throws {
    let driver = try Attributing.driver(Learning.topology())
    for record in Learning.history(800, seed: 4) { try driver.send(record) }
    try driver.advance(to: EventTime(milliseconds: driver.clock.milliseconds + 7_200_000))
    let score = try #require(
      try driver.outputs(of: "scores").map { try Attributing.object($0) }
        .last { $0["campaign"] != nil && $0["head"] as? String == "pctr" })
    let answer = try #require(
      driver.answer(
        Question(
          account: score["account"] as? String ?? "",
          campaign: score["campaign"] as? String ?? "")))
    #expect(answer.contains(#""learner":{"model":"ftrl","pctr":{"labels":"#))
    #expect(answer.contains("log_loss"))
  }

  @Test(arguments: [
    "evaluation: { curves: maybe }", "calibration: always", "drift: { delta: 2 }",
    "promotion: { head: pctcvr }",
  ])
  func settingsAreChecked(_ settings: String) {
    #expect(throws: (any Error).self) { try Learning.topology(settings) }
  }
}
