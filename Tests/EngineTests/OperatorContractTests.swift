import Events
import Operators
import Simulation
import Streaming
import TestKit
import Testing

/// Every shipped operator keeps its contract, and the suite notices one that does not.
@Suite struct OperatorContractTests {
  /// A history of some accounts, spread so thin that timers fire in between.
  static func history(_ seed: UInt64) -> [[UInt8]] {
    History.records(250, seed: seed, duration: .minutes(20), accounts: 4) {
      $0.duplicateDelayMax = .seconds(4)
    }
  }

  static func topology(_ operators: String, sinks: String, registry: [OperatorType]) throws
    -> CheckedTopology
  {
    try CheckedTopology.parse(
      text: """
        topology: contract
        time: { max_gap: 3660d }
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          \(operators)
        sinks:
          \(sinks)
        """,
      file: "contract.yaml", registry: registry.map(\.description))
  }

  static func tally() throws -> OperatorContract {
    var contract = OperatorContract(
      of: Tally.self, named: "totals",
      topology: try topology(
        "totals: { operator: tally, from: events, every: 10s }",
        sinks: "tallies: { from: totals, log: { topic: tallies } }",
        registry: OperatorRegistry.all),
      registry: OperatorRegistry.all, history: history)
    contract.eventTypes = [.impression, .click, .auction]
    contract.holdsBack = true
    return contract
  }

  static func deduplicate() throws -> OperatorContract {
    var contract = OperatorContract(
      of: Deduplicate.self, named: "unique",
      topology: try topology(
        "unique: { operator: deduplicate, from: events, within: { default: 2h, order: 3h } }",
        sinks: "events: { from: unique, log: { topic: accepted } }",
        registry: OperatorRegistry.all),
      registry: OperatorRegistry.all, history: history)
    contract.stateExpiresAfter = .hours(8)
    return contract
  }

  @Test func tallyKeepsTheContract() throws {
    #expect(try OperatorContractTests.tally().violations() == [])
  }

  @Test func deduplicateKeepsTheContract() throws {
    #expect(try OperatorContractTests.deduplicate().violations() == [])
  }

  @Test(arguments: Careless.Flaw.allCases)
  func aBrokenLawIsNoticed(_ flaw: Careless.Flaw) throws {
    let registry = [OperatorType(Careless.self)]
    var contract = OperatorContract(
      of: Careless.self, named: "counts",
      topology: try OperatorContractTests.topology(
        "counts: { operator: careless, from: events, flaw: \(flaw.rawValue) }",
        sinks: "counted: { from: counts, log: { topic: counted } }", registry: registry),
      registry: registry, history: OperatorContractTests.history)
    contract.eventTypes = [.impression]
    contract.holdsBack = true
    let violations = try contract.violations(seeds: 1...2)
    guard let law = flaw.breaks else {
      #expect(violations == [])
      return
    }
    #expect(violations.contains { $0.law == law }, "\(violations)")
  }

  @Test func withoutSourceLeavesTheRest() {
    let record = #"0 a/b {"account":"a","source":{"topic":"t","offset":3},"n":1}"#
    #expect(OperatorContract.withoutSource(record) == #"0 a/b {"account":"a",,"n":1}"#)
    #expect(OperatorContract.withoutSource("none") == "none")
  }
}
