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
  private static let published = "models: { publish: true, every: 2m, whole: 10m, chunk: 4096 }"

  private func records(_ count: Int, _ seed: UInt64) -> [[UInt8]] {
    Learning.history(count, seed: seed, duration: .hours(2), accounts: 3)
  }

  @Test(arguments: ["", LearnerContractTests.models, LearnerContractTests.published])
  func keepsTheContract(_ settings: String) throws {
    var contract = OperatorContract(
      of: Learner.self, named: "learner", topology: try Learning.topology(settings),
      registry: OperatorRegistry.all
    ) { records(250, $0) }
    contract.eventTypes = [.impression]
    contract.holdsBack = settings == Self.published
    let violations = try contract.violations(seeds: 1...3)
    #expect(violations == [])
  }

  @Test func batchesMayBeCutAnywhere() throws {
    let replaying = Replaying(
      topology: try Learning.topology(Self.published), registry: OperatorRegistry.all)
    let records = records(1_500, 5)
    let whole = try replaying.run(records, publishAtEnd: true)
    #expect(whole.outputs.count > 1_500)
    for limit in [1, 7, 64] {
      let cut = try replaying.run(
        records, fetchLimit: limit, commitEvents: limit * 3, publishAtEnd: true)
      #expect(cut == whole, "batches of \(limit)")
    }
  }

  /// Crashes, refused commits, torn snapshots and zombies while labels mature.
  @Test func survivesFaults() throws {
    let topology = try Learning.topology(Self.published)
    var (recoveries, outputs, snapshots) = (0, 0, 0)
    for seed in 1...25 as ClosedRange<UInt64> {
      let records = records(200, seed)
      var settings = FaultSimulation.Settings()
      settings.idleClock = false
      let expected = try Replaying(topology: topology, registry: OperatorRegistry.all)
        .run(records).digest
      var simulation = FaultSimulation(
        topology: topology, registry: OperatorRegistry.all,
        inputs: [LogInput(source: "events", topic: "events")], history: [records], seed: seed,
        settings: settings)
      let report = simulation.run(expectedDigest: expected)
      #expect(report.failure == nil, "seed \(seed)")
      recoveries += report.recoveries
      snapshots += report.snapshots
      outputs += report.outputs
    }
    print("\(recoveries) recoveries, \(snapshots) snapshots, \(outputs) outputs")
    #expect(recoveries > 10 && snapshots > 10 && outputs > 1_000)
  }
}
