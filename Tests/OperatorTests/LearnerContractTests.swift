import Events
import Operators
import Simulation
import Streaming
import TestKit
import Testing

/// `learner` over whole histories: the contract of operators, crashes, every kind of model.
@Suite struct LearnerContractTests {
  private static let models = """
    champion: { main: { algorithm: fm, rank: 2 } }
        challengers: { a: { algorithm: invariant }, b: { algorithm: bayes, memory: 0.99 }, \
    c: { algorithm: ad_predictor }, d: { algorithm: fm, rank: 8 }, e: { l1: 0.1 } }
    """
  private static let published = """
    models: { publish: true, every: 2m, whole: 10m, chunk: 4096 }
        delay: dfm
        calibration: platt
    """

  /// Everything that watches models, at once and on edge: with warm-up, trials and reports of minutes
  /// there is something to decide in a short history.
  private static func watching(_ calibration: String) -> String {
    """
    champion: { a: { alpha: 0.000001 } }
        challengers: { b: { alpha: 0.5 }, c: { algorithm: invariant } }
        calibration: \(calibration)
        evaluation: { report_every: 7m, half_life: 1h }
        drift: { warmup: 10, delta: 0.4, check_every: 1, escalation: 1h }
        promotion: { trial: 0s, positives: 1, cooldown: 1m, probation: 10m, alpha: 0.5, \
    calibration_low: 0, calibration_high: 100 }
    """
  }

  /// The same, and published.
  private static func published(_ delay: String, _ calibration: String) -> String {
    """
    \(watching(calibration))
        delay: \(delay)
        models: { publish: true, every: 2m, whole: 10m, chunk: 4096 }
    """
  }

  private func records(_ count: Int, _ seed: UInt64) -> [[UInt8]] {
    Learning.history(count, seed: seed, duration: .hours(2), accounts: 3)
  }

  @Test(
    arguments: [
      "", LearnerContractTests.models, "delay: dfm", "delay: es_dfm\n    wait: 7m", "delay: fnw",
      LearnerContractTests.watching("platt"), LearnerContractTests.watching("isotonic"),
      LearnerContractTests.watching("beta"), LearnerContractTests.published,
      LearnerContractTests.published("mature", "isotonic"),
      LearnerContractTests.published("fnw", "platt"),
    ])
  func keepsTheContract(_ settings: String) throws {
    var contract = OperatorContract(
      of: Learner.self, named: "learner", topology: try Learning.topology(settings),
      registry: OperatorRegistry.all
    ) { records(250, $0) }
    contract.eventTypes = [.impression]
    // The histories end with a full hour.
    contract.holdsBack =
      settings.contains("report_every: 7m") || settings.contains("publish: true")
    let violations = try contract.violations(seeds: 1...3)
    #expect(violations == [])
  }

  @Test(arguments: [
    LearnerContractTests.published, LearnerContractTests.published("es_dfm", "beta"),
  ])
  func batchesMayBeCutAnywhere(_ settings: String) throws {
    try WholeHistories(topology: Learning.topology(settings + "\n    wait: 7m"))
      .expectCutsMakeNoDifference(records(1_500, 5), outputsMin: 1_500)
  }

  /// While labels mature.
  @Test(arguments: [
    "", "delay: dfm", LearnerContractTests.published, LearnerContractTests.watching("platt"),
    LearnerContractTests.published("dfm", "temperature"),
  ])
  func survivesFaults(_ settings: String) throws {
    try WholeHistories(topology: Learning.topology(settings))
      .expectFaultsAreSurvived(seeds: 1...25, least: 10) { records(200, $0) }
  }
}
