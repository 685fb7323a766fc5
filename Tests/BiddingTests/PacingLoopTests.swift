import Bidding
import Events
import Testing

/// The controller in a closed loop: a second-price market of log-normal values and rivals whose
/// traffic follows the hour of the day, minutes of feedback, whole days.
@Suite struct PacingLoopTests {
  private struct Market {
    var random: SplitMix64
    /// Auctions a minute, on average over the day.
    var traffic: Double

    init(seed: UInt64, traffic: Double) {
      random = SplitMix64(seed: seed)
      self.traffic = traffic
    }

    /// A standard normal by the sum of twelve uniforms: no tails, no logarithms.
    mutating func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + random.nextUnit() } }

    /// e to a normal of this mean and deviation.
    mutating func logNormal(_ mean: Double, _ deviation: Double) -> Double {
      let x = (mean + deviation * normal()) / 1_024
      var power = 1 + x + x * x / 2 + x * x * x / 6
      for _ in 0..<10 { power *= power }
      return power
    }

    mutating func auctions(atMinute minute: Int) -> Int {
      // A parabola between nights at 0.4 and an afternoon at 1.6 of the average.
      let hour = Double((minute + 540) % 1_440) / 1_440
      let expected = traffic * (0.4 + 7.2 * hour * (1 - hour) * 0.5)
      return Int(expected + random.nextUnit())
    }
  }

  private struct Day {
    var spent = 0.0
    /// Spend by the end of each minute, multipliers during each.
    var path: [Double] = []
    var multipliers: [Double] = []
    var exhausted: Int?
  }

  /// One day; `budget` is asked every minute. Auctions of the minute in which the budget runs out
  /// that were bid for already are still won: `inFlight` of them.
  private func run(
    _ market: inout Market, _ dual: inout BudgetDual, inFlight: Int = 3,
    budget: (Int) -> Double
  ) -> Day {
    var day = Day()
    var price = 0.0
    var late = 0
    let end = EventTime(milliseconds: 1_440 * 60_000)
    for minute in 0..<1_440 {
      let before = day.spent
      var purchases = 0
      for _ in 0..<market.auctions(atMinute: minute) {
        let bid = market.logNormal(0, 0.5) * dual.multiplier
        let rival = market.logNormal(-0.3, 0.8)
        if day.spent >= budget(minute) { late += 1 }
        guard late <= inFlight, bid >= rival else { continue }
        day.spent += rival
        purchases += 1
      }
      if day.spent >= budget(minute) {
        day.exhausted = day.exhausted ?? minute
      } else {
        let now = EventTime(milliseconds: Int64(minute) * 60_000)
        let spent = day.spent - before
        if purchases > 0 {
          let mean = spent / Double(purchases)
          price = price == 0 ? mean : price + 0.1 * (mean - price)
        }
        let plan = PacingPlan(from: now, to: end)
        let target = plan.next(of: budget(minute) - before, from: now, for: .minutes(1))
        dual.step(spent: spent, target: target, price: price, rate: 0.1)
      }
      day.path.append(day.spent)
      day.multipliers.append(dual.multiplier)
    }
    return day
  }

  private func deviation(_ values: some Collection<Double>) -> Double {
    let mean = values.reduce(0, +) / Double(values.count)
    let square = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (square / Double(values.count)).squareRoot() / mean
  }

  @Test(arguments: [(20.0, 1_500.0), (60, 3_000), (60, 12_000), (5, 400), (0.5, 60)])
  func spendLandsOnTheBudget(traffic: Double, budget: Double) {
    for seed in 1...2 as ClosedRange<UInt64> {
      var market = Market(seed: seed, traffic: traffic)
      var dual = BudgetDual()
      for number in 0..<3 {
        let day = run(&market, &dual) { _ in budget }
        let place = "traffic \(traffic), budget \(budget), seed \(seed), day \(number)"
        #expect(day.spent >= 0.97 * budget, "\(place): \(day.spent)")
        // The last purchase and what was in flight; the dearest rival costs e^4.5.
        #expect(day.spent <= budget + 30, "\(place): \(day.spent)")
        // It lasts: through all but the last quarter of an hour where purchases are many.
        if traffic >= 5 { #expect((day.exhausted ?? 1_440) >= 1_425, "\(place)") }
      }
    }
  }

  @Test func theFirstHoursAreEnoughAndThenItIsCalm() {
    var market = Market(seed: 7, traffic: 60)
    var dual = BudgetDual()
    let budget = 3_000.0
    let day = run(&market, &dual) { _ in budget }
    // Two hours after a start without knowledge, each hour spends what is planned for it.
    for hour in 2..<23 {
      let spent = day.path[hour * 60 + 59] - day.path[hour * 60 - 1]
      let planned = (budget - day.path[hour * 60 - 1]) / Double(24 - hour)
      #expect(abs(spent / planned - 1) < 0.1, "hour \(hour): \(spent) of \(planned)")
      let calm = deviation(day.multipliers[hour * 60..<hour * 60 + 60])
      #expect(calm < 0.15, "hour \(hour): multipliers deviate by \(calm)")
    }
  }

  @Test func withoutEnoughSupplyNothingIsHeldBack() {
    var market = Market(seed: 8, traffic: 10)
    var dual = BudgetDual(mu: 2)
    let day = run(&market, &dual) { _ in 1e6 }
    #expect(day.exhausted == nil)
    #expect(day.multipliers.dropFirst(60).allSatisfy { $0 == 1 })
  }

  @Test(arguments: [(3_000.0, 2_000.0), (3_000, 6_000)])
  func aBudgetThatChangesAtNoonIsMet(before: Double, after: Double) {
    var market = Market(seed: 9, traffic: 60)
    var dual = BudgetDual()
    let day = run(&market, &dual) { $0 < 720 ? before : after }
    #expect(abs(day.spent / after - 1) < 0.03, "\(day.spent) of \(after)")
    // Two hours later each hour spends what is planned for it again.
    for hour in 14..<23 {
      let spent = day.path[hour * 60 + 59] - day.path[hour * 60 - 1]
      let planned = (after - day.path[hour * 60 - 1]) / Double(24 - hour)
      #expect(abs(spent / planned - 1) < 0.1, "hour \(hour): \(spent) of \(planned)")
    }
  }

  @Test func aBudgetCutBelowWhatIsSpentStops() {
    var market = Market(seed: 10, traffic: 60)
    var dual = BudgetDual()
    let day = run(&market, &dual) { $0 < 720 ? 3_000 : 1_000 }
    #expect(day.exhausted == 720)
    #expect(day.path[1_439] - day.path[719] < 30)
  }
}
