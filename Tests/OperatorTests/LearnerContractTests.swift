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

  private func records(_ count: Int, _ seed: UInt64) -> [[UInt8]] {
    Learning.history(count, seed: seed, duration: .hours(2), accounts: 3)
  }

  @Test(
    arguments: [
      "", LearnerContractTests.models, LearnerContractTests.watching("platt"),
      LearnerContractTests.watching("isotonic"), LearnerContractTests.watching("beta"),
    ])
  func keepsTheContract(_ settings: String) throws {
    var contract = OperatorContract(
      of: Learner.self, named: "learner", topology: try Learning.topology(settings),
      registry: OperatorRegistry.all
    ) { records(250, $0) }
    contract.eventTypes = [.impression]
    // The histories end with a full hour.
    contract.holdsBack = settings.contains("report_every: 7m")
    let violations = try contract.violations(seeds: 1...3)
    #expect(violations == [])
  }

  @Test func batchesMayBeCutAnywhere() throws {
    let replaying = Replaying(
      topology: try Learning.topology(), registry: OperatorRegistry.all)
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
  @Test(arguments: ["", LearnerContractTests.watching("platt")])
  func survivesFaults(_ settings: String) throws {
    let topology = try Learning.topology(settings)
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
