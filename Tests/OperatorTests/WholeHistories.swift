import Operators
import Streaming
import TestKit
import Testing

/// What holds for every topology over whole histories: results depend on the sequence alone.
struct WholeHistories {
  var topology: CheckedTopology

  var replaying: Replaying { Replaying(topology: topology, registry: OperatorRegistry.all) }

  /// Where batches are cut decides nothing.
  func expectCutsMakeNoDifference(
    _ records: [[UInt8]], limits: [Int] = [1, 7, 64], outputsMin: Int
  ) throws {
    let whole = try replaying.run(records, publishAtEnd: true)
    #expect(whole.outputs.count > outputsMin)
    for limit in limits {
      let cut = try replaying.run(
        records, fetchLimit: limit, commitEvents: limit * 3, publishAtEnd: true)
      #expect(cut == whole, "batches of \(limit)")
    }
  }

  /// Crashes, refused commits, torn snapshots and zombies: snapshots are taken and restored at any
  /// point, and what was committed is what an undisturbed run gives.
  ///
  /// - Parameters:
  ///   - least: how many recoveries and snapshots there must have been in all.
  ///   - outputsMin: how many records must have been published.
  func expectFaultsAreSurvived(
    seeds: ClosedRange<UInt64>, least: Int, outputsMin: Int = 1_000,
    _ records: (UInt64) -> [[UInt8]]
  ) throws {
    var (recoveries, outputs, snapshots) = (0, 0, 0)
    for seed in seeds {
      let records = records(seed)
      var settings = FaultSimulation.Settings()
      settings.idleClock = false
      var simulation = FaultSimulation(
        topology: topology, registry: OperatorRegistry.all,
        inputs: [
          LogInput(
            source: "events", topic: "events",
            trusted: topology.topology.sources.contains(where: \.trusted))
        ], history: [records], seed: seed,
        settings: settings)
      let report = simulation.run(expectedDigest: try replaying.run(records).digest)
      #expect(report.failure == nil, "seed \(seed)")
      recoveries += report.recoveries
      snapshots += report.snapshots
      outputs += report.outputs
    }
    print("\(recoveries) recoveries, \(snapshots) snapshots, \(outputs) outputs")
    #expect(recoveries > least && snapshots > least && outputs > outputsMin)
  }
}
