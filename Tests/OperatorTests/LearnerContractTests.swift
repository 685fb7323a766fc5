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

  private func records(_ count: Int, _ seed: UInt64) -> [[UInt8]] {
    Learning.history(count, seed: seed, duration: .hours(2), accounts: 3)
  }

  @Test(
    arguments: [
      "", LearnerContractTests.models, "delay: dfm", "delay: es_dfm\n    wait: 7m", "delay: fnw",
    ])
  func keepsTheContract(_ settings: String) throws {
    var contract = OperatorContract(
      of: Learner.self, named: "learner", topology: try Learning.topology(settings),
      registry: OperatorRegistry.all
    ) { records(250, $0) }
    contract.eventTypes = [.impression]
    let violations = try contract.violations(seeds: 1...3)
    #expect(violations == [])
  }

  @Test func batchesMayBeCutAnywhere() throws {
    try WholeHistories(topology: Learning.topology())
      .expectCutsMakeNoDifference(records(1_500, 5), outputsMin: 1_500)
  }

  /// While labels mature.
  @Test(arguments: ["", "delay: dfm"])
  func survivesFaults(_ settings: String) throws {
    try WholeHistories(topology: Learning.topology(settings))
      .expectFaultsAreSurvived(seeds: 1...25, least: 10) { records(200, $0) }
  }
}
