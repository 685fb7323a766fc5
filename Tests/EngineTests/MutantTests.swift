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
  /// Other partitions, or an account without its neighbours, notice this one.
  static let ofPartitions: [Mutant] = [.countedClock]

  @Test(arguments: Mutant.allCases.filter { !(ofBatches + ofPartitions).contains($0) })
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

  @Test(arguments: ofPartitions)
  func isCaughtByThePartitionIdentity(_ mutant: Mutant) throws {
    let history = Partitions.History(seed: 3, records: 2_000)
    let one = try Partitions.run(history, over: 1, mutant: mutant)
    let four = try Partitions.run(history, over: 4, mutant: mutant)
    #expect(one.outputs != four.outputs)
  }

  @Test(arguments: ofPartitions)
  func isCaughtByNeighbourIndependence(_ mutant: Mutant) throws {
    var contract = try OperatorContractTests.tally()
    contract.mutant = mutant.rawValue
    let violations = try contract.violations(seeds: 1...3)
    #expect(violations.contains { $0.law == .neighbourIndependence })
  }
}
