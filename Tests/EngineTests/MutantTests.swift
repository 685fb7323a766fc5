import Operators
import Streaming
import TestKit
import Testing

/// The tests would notice: each law, broken on purpose, is caught by the test that guards it.
@Suite struct MutantTests {
  /// Breaches that the fault simulation must find within so many seeds.
  static let seedsMax: UInt64 = 200
  /// A replay notices this one: where batches are cut is nothing that a journal would keep.
  static let ofBatches: [Mutant] = [.batchBoundaryClock]

  @Test(arguments: Mutant.allCases.filter { !ofBatches.contains($0) })
  func isCaughtByTheFaultSimulation(_ mutant: Mutant) throws {
    for seed in 1...MutantTests.seedsMax {
      let report = try FaultSimulationTests.simulate(seed: seed, mutant: mutant.rawValue)
      if let failure = report.failure {
        print("\(mutant): caught at seed \(seed): \(failure.prefix(100))")
        return
      }
    }
    Issue.record("\(mutant) lived through \(MutantTests.seedsMax) seeds")
  }

  @Test(arguments: ofBatches)
  func isCaughtByTheBatchIdentity(_ mutant: Mutant) throws {
    let replaying = Replaying(topology: try Tallying.topology(), registry: OperatorRegistry.all)
    let records = History.records(3_000, seed: 6)
    let whole = try replaying.run(records, fetchLimit: 4096, mutant: mutant.rawValue)
    let cut = try replaying.run(records, fetchLimit: 7, mutant: mutant.rawValue)
    #expect(whole != cut)
  }
}
