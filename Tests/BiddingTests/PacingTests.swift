import Bidding
import Events
import Testing

/// Plans and controllers, against numbers that were computed elsewhere (algorithms by hand in
/// Python: pacing.py, vectors.py).
@Suite struct PacingTests {
  private func close(_ a: Double, _ b: Double, within tolerance: Double = 1e-9) -> Bool {
    abs(a - b) <= tolerance * max(1, abs(b))
  }

  private let forecast: [Double] = [1, 1, 2, 4, 6, 6, 4, 2]
  private let day = PacingPlan(
    from: EventTime(milliseconds: 0), to: EventTime(milliseconds: 8_000),
    forecast: [1, 1, 2, 4, 6, 6, 4, 2])

  @Test func aPlanFollowsItsForecast() {
    let expected = [
      3.8461538462, 7.6923076923, 15.3846153846, 30.7692307692, 53.8461538462, 76.9230769231,
      92.3076923077, 100,
    ]
    for (slot, target) in expected.enumerated() {
      let end = EventTime(milliseconds: Int64(slot + 1) * 1_000)
      #expect(close(day.target(of: 100, by: end), target))
    }
    #expect(day.target(of: 100, by: EventTime(milliseconds: 0)) == 0)
    #expect(day.target(of: 100, by: EventTime(milliseconds: 9_999)) == 100)
    let half = EventTime(milliseconds: 2_500)
    #expect(close(day.target(of: 100, by: half), (7.6923076923 + 15.3846153846) / 2))
  }

  @Test func theRestOfAPlanIsSharedByWhatIsToCome() {
    let uniform = PacingPlan(
      from: EventTime(milliseconds: 0), to: EventTime(milliseconds: 86_400_000))
    let noon = EventTime(milliseconds: 43_200_000)
    #expect(close(uniform.next(of: 720, from: noon, for: .minutes(1)), 1))
    #expect(uniform.next(of: 720, from: uniform.end, for: .minutes(1)) == 720)
    #expect(uniform.next(of: 720, from: uniform.end - .seconds(1), for: .minutes(1)) == 720)
    // Of 24 that are to come after the first two slots, the next two bring 6.
    let now = EventTime(milliseconds: 2_000)
    #expect(close(day.next(of: 48, from: now, for: .seconds(2)), 12))
    // Spending what is planned leaves exactly nothing.
    var left = 1_000.0
    for slot in 0..<8 as Range<Int64> {
      left -= day.next(of: left, from: EventTime(milliseconds: slot * 1_000), for: .seconds(1))
    }
    #expect(abs(left) < 1e-9)
  }

  @Test func throttlingFollowsItsGoldenPath() {
    var throttle = Throttle()
    var spent = 0.0
    let spends = [2, 4.2, 9.04, 19.688, 37.2572, 56.58332, 70.755808, 78.550676]
    let probabilities = [
      0.11, 0.121, 0.1331, 0.14641, 0.161051, 0.1771561, 0.19487171, 0.214358881,
    ]
    for (slot, traffic) in forecast.enumerated() {
      spent += throttle.probability * traffic * 40 * 0.5
      #expect(close(spent, spends[slot], within: 1e-7))
      let end = EventTime(milliseconds: Int64(slot + 1) * 1_000)
      throttle.step(spent: spent, planned: day.target(of: 100, by: end))
      #expect(close(throttle.probability, probabilities[slot]))
    }
  }

  @Test func aThrottleNeverClosesAndNeverExceedsOne() {
    var throttle = Throttle()
    for _ in 0..<1_000 { throttle.step(spent: 2, planned: 1) }
    #expect(throttle.probability == Throttle.probabilityMin)
    for _ in 0..<1_000 { throttle.step(spent: 1, planned: 1) }
    #expect(throttle.probability == 1)
  }

  @Test func aStepIsMultiplicativeFarFromZero() {
    // exp(0.1 · 0.5) = 1.0512710963760241
    var dual = BudgetDual(mu: 1_000)
    dual.step(spent: 150, target: 100, price: 1, rate: 0.1)
    #expect(close(dual.mu + 0.1, 1_000.1 * 1.0512710963760241, within: 1e-15))
    dual.step(spent: 50, target: 100, price: 1, rate: 0.1)
    #expect(close(dual.mu, 1_000, within: 1e-14))
  }

  @Test func thePriceOfBudgetVanishesAndComesBack() {
    var dual = BudgetDual(mu: 3)
    for _ in 0..<40 { dual.step(spent: 0, target: 100, price: 1, rate: 0.1) }
    #expect(dual.mu == 0)
    #expect(dual.multiplier == 1)
    for _ in 0..<10 { dual.step(spent: 1_000, target: 100, price: 1, rate: 0.1) }
    #expect(dual.mu > 3)
    for _ in 0..<100 { dual.step(spent: 1e300, target: 0, price: 0, rate: 0.1) }
    #expect(dual.mu == BudgetDual.muMax)
    #expect(dual.multiplier > 0)
    let before = dual
    dual.step(spent: 0, target: 0, price: 0, rate: 0.1)
    #expect(dual.mu == before.mu)
  }

  @Test func onePurchaseOfASparseCampaignIsNoFlood() {
    // A target of a sixtieth of a purchase per step: an hour with one purchase changes nothing.
    var dual = BudgetDual(mu: 1)
    for step in 0..<60 {
      dual.step(spent: step == 30 ? 60 : 0, target: 1, price: 60, rate: 0.1)
    }
    #expect(close(dual.mu, 1, within: 1e-12))
  }

  @Test func aLedgerStopsAtItsLimit() {
    var ledger = SpendLedger()
    #expect(ledger.add(Money(micros: Int64.max - 5), isToday: false) == 0)
    #expect(ledger.add(Money(micros: 3), isToday: true) == 0)
    #expect(ledger.todayMicros == 3)
    #expect(ledger.add(Money(micros: 10), isToday: true) == 8)
    #expect(ledger.totalMicros == Int64.max)
    #expect(ledger.todayMicros == 13)
    #expect(ledger.add(Money(micros: Int64.max), isToday: true) == Int64.max)
    #expect(ledger.todayMicros == Int64.max)
  }
}
