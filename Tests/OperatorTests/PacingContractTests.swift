import Events
import Operators
import Streaming
import TestKit
import Testing

/// `pacing` over whole histories: the contract of operators, crashes, and a naive recount.
@Suite struct PacingContractTests {
  private func records(_ count: Int, _ seed: UInt64, lateMax: Int64 = 4_000) -> [[UInt8]] {
    PacingWorld.facts(count, seed: seed, lateMax: lateMax).map(\.record)
  }

  @Test(arguments: ["every: 1m", "every: 10m, policy: throttle"])
  func keepsTheContract(_ settings: String) throws {
    var contract = OperatorContract(
      of: Pacing.self, named: "pace", topology: try PacingHistory.topology(settings),
      registry: OperatorRegistry.all
    ) { records(250, $0) }
    contract.eventTypes = [.impression]
    #expect(try contract.violations(seeds: 1...3) == [])
  }

  @Test func batchesMayBeCutAnywhere() throws {
    try WholeHistories(topology: PacingHistory.topology())
      .expectCutsMakeNoDifference(records(1_500, 5), outputsMin: 500)
  }

  /// In the middle of days.
  @Test func survivesFaults() throws {
    try WholeHistories(topology: PacingHistory.topology())
      .expectFaultsAreSurvived(seeds: 1...25, least: 10) { records(200, $0) }
  }

  @Test func everyStateIsThatOfANaiveRecount() throws {
    var (exhausted, sayings) = (0, 0)
    for seed in 1...25 as ClosedRange<UInt64> {
      let facts = PacingWorld.facts(600, seed: seed, lateMax: 4_000)
      let last = (facts.map(\.time).max() ?? 0) / 1_000 * 1_000 + 100 * 3_600_000
      let driver = try PacingHistory.driver()
      for fact in facts { try driver.send(fact.record) }
      try driver.advance(to: EventTime(milliseconds: last))
      try driver.finish()
      let paces = try driver.paces()
      for campaign in Set(facts.map(\.campaign)).sorted() {
        let naive = NaivePacing(facts.filter { $0.campaign == campaign }, until: last)
        var state = "running"
        var said: [NaivePacing.Saying] = []
        for pace in paces where pace.campaign == campaign && pace.state != state {
          state = pace.state
          said.append(
            .init(
              time: pace.time, state: state, spentToday: pace.spentToday,
              spentTotal: pace.spentTotal))
        }
        #expect(said == naive.sayings, "seed \(seed), \(campaign)")
        sayings += said.count
        exhausted += said.count { $0.state == "daily_exhausted" }
      }
    }
    print("\(sayings) changes of state, \(exhausted) of them exhausted days")
    #expect(exhausted > 200 && sayings > 500)
  }

  @Test func multipliersStayInTheirRange() throws {
    for settings in ["every: 1m, rate: 1", "every: 1m, policy: throttle, rate: 1"] {
      let driver = try PacingHistory.driver(settings)
      for record in records(2_000, 77) { try driver.send(record) }
      try driver.finish()
      let paces = try driver.paces()
      #expect(paces.count > 100)
      #expect(paces.allSatisfy { $0.pacing > 0 && $0.pacing <= 1 && $0.mu >= 0 })
    }
  }
}
