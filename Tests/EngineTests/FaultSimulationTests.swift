import Events
import Operators
import Streaming
import TestKit
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// One process's life in a hostile world, over and over; a failing seed is printed and replays.
@Suite struct FaultSimulationTests {
  /// More seeds for a long run: `FAULT_SEEDS=50000 swift test --filter FaultSimulationTests`.
  static let seeds: Int = getenv("FAULT_SEEDS").flatMap { Int(String(cString: $0)) } ?? 500

  static func simulate(
    seed: UInt64, mutant: String? = nil, moveRate: Int = 0
  ) throws -> FaultSimulation.Report {
    var choice = SeededChoice(seed: seed)
    let records = History.records(
      choice.inside(20...400), seed: seed, duration: .minutes(Int64(choice.inside(1...30))))
    let inputCount = choice.inside(1...2)
    var history: [[[UInt8]]] = Array(repeating: [], count: inputCount)
    for record in records { history[choice.below(inputCount)].append(record) }
    let inputs = (0..<inputCount).map { LogInput(source: "events", topic: "events\($0)") }
    let topology = try Tallying.twice(every: choice.pick(["1s", "10s", "1m"]))
    var settings = FaultSimulation.Settings()
    settings.mutant = mutant
    settings.moveRate = moveRate
    settings.idleClock = inputCount > 1 || choice.once(in: 2)
    // Without an idle clock and a merge, an undisturbed replay must come to the same state.
    let expected =
      settings.idleClock
      ? nil
      : try Replaying(topology: topology, registry: OperatorRegistry.all).run(history[0]).digest
    var simulation = FaultSimulation(
      topology: topology, registry: OperatorRegistry.all, inputs: inputs, history: history,
      seed: seed, settings: settings)
    return simulation.run(expectedDigest: expected)
  }

  @Test func everyOutputIsCommittedExactlyOnce() throws {
    var crashes = 0
    var recoveries = 0
    var outputs = 0
    for seed in 1...UInt64(FaultSimulationTests.seeds) {
      let report = try FaultSimulationTests.simulate(seed: seed)
      if let failure = report.failure {
        Issue.record("seed \(seed): \(failure)")
        return
      }
      crashes += report.crashes
      recoveries += report.recoveries
      outputs += report.outputs
    }
    print(
      "\(FaultSimulationTests.seeds) seeds: \(crashes) crashes, \(recoveries) recoveries, \(outputs) outputs"
    )
    #expect(crashes > FaultSimulationTests.seeds && recoveries > 0 && outputs > 0)
  }

  @Test func partitionsMoveBetweenProcesses() throws {
    let seeds = FaultSimulationTests.seeds / 4
    var returns = 0
    var warm = 0
    for seed in 1...UInt64(seeds) {
      let report = try FaultSimulationTests.simulate(seed: seed, moveRate: 12)
      if let failure = report.failure {
        Issue.record("seed \(seed): \(failure)")
        return
      }
      returns += report.returns
      warm += report.warmReturns
    }
    print("\(seeds) seeds: \(returns) returns, \(warm) of them warm")
    #expect(warm > seeds && returns - warm > seeds / 2)
  }
}
