import Bidding
import Events

/// What `pacing` keeps of a campaign. Times and spans in ms, money in micros.
struct PacedCampaign: BitwiseCopyable {
  /// In place of a timer's time: later than any.
  static let noTimer = Int64.max
  /// A schedule that ends later than three years ahead says no more about how to spread a budget
  /// than one without an end does: some write the last day of the calendar where they mean none.
  static let planSpanMax: Int64 = 1_096 * 86_400_000

  // Touched by every event.
  var ledger = SpendLedger()
  /// The local day that was reached: [dayStart, dayEnd).
  var dayStart = Int64.min
  var dayEnd = Int64.min
  /// Below 0: none.
  var dailyBudget: Int64 = -1
  var totalBudget: Int64 = -1
  /// Spend since the last correction, and how many purchases it was.
  var tickMicros: Int64 = 0
  var tickCount: Int64 = 0
  var state = PaceState.running
  /// The catalogue has an entry.
  var isKnown = false
  /// A timer for the next correction is set.
  var isTicking = false
  /// An alert about spend beyond the budget was given today.
  var isAlerted = false
  var zone = TimeZoneID.utc
  /// The soonest that the timers of these kinds are set for.
  var midnightTimer = noTimer
  var scheduleTimer = noTimer

  // Touched by corrections.
  /// Event time of the newest catalogue entry; older ones that come after it count no more.
  var catalogueTime = Int64.min
  var start = Int64.min
  var end = Int64.max
  var lastTick: Int64 = 0
  var lastTickMicros: Int64 = 0
  /// What may have been on its way when the budget ran out: the last purchase, or as much as was
  /// spent between two corrections.
  var inFlightMicros: Int64 = 0
  /// Since when the present plan holds, and what was spent before it.
  var planStart: Int64 = 0
  var planBaseMicros: Int64 = 0
  /// The price of budget; 1 / (1 + mu) is the multiplier.
  var mu: Double = 0
  /// What a purchase costs, fading.
  var price: Double = 0
  /// The multiplier that was published last.
  var published: Double = 1

  /// There is something to control.
  var isLimited: Bool {
    @inline(__always) get {
      dailyBudget >= 0 || totalBudget >= 0 || start != Int64.min || end != Int64.max
    }
  }

  /// A budget is reached. Without one it compares as the largest number that there is.
  var isExhausted: Bool {
    @inline(__always) get {
      UInt64(bitPattern: ledger.todayMicros) >= UInt64(bitPattern: dailyBudget)
        || UInt64(bitPattern: ledger.totalMicros) >= UInt64(bitPattern: totalBudget)
    }
  }

  /// The schedule's end, where it is near enough to plan for.
  private func planEnd(at now: EventTime) -> Int64? {
    end != Int64.max && end &- now.milliseconds <= PacedCampaign.planSpanMax ? end : nil
  }

  /// A plan needs a budget and an end: the day's, or the schedule's.
  func hasPlan(at now: EventTime) -> Bool {
    dailyBudget >= 0 || (totalBudget >= 0 && planEnd(at: now) != nil)
  }

  /// Spend should set a timer that is not set yet.
  @inline(__always)
  func lacksTimer(at now: EventTime) -> Bool {
    dailyBudget >= 0 ? !isTicking || midnightTimer > dayEnd : !isTicking && hasPlan(at: now)
  }

  /// Corrections are due while there is spend, or a price of budget that should fall without it.
  func needsTick(at now: EventTime) -> Bool {
    state == .running && hasPlan(at: now) && (mu > 0 || tickMicros > 0)
  }

  @inline(__always)
  mutating func take(_ price: Money) {
    let sum = tickMicros.addingReportingOverflow(price.micros)
    tickMicros = sum.overflow ? Int64.max : sum.partialValue
    tickCount &+= 1
  }

  mutating func findDay(_ now: EventTime) {
    let rules = TimeZoneRules(zone)
    dayStart = rules.startOfDay(containing: now).milliseconds
    dayEnd = rules.nextMidnight(after: now).milliseconds
  }

  func state(at now: EventTime) -> PaceState {
    if now.milliseconds >= end { return .ended }
    if now.milliseconds < start { return .notStarted }
    if totalBudget >= 0, ledger.totalMicros >= totalBudget { return .totalExhausted }
    if dailyBudget >= 0, ledger.todayMicros >= dailyBudget { return .dailyExhausted }
    return .running
  }

  /// When the schedule next changes the state; nil when it does not any more.
  func nextBoundary(after now: EventTime) -> Int64? {
    if now.milliseconds < start, start < end { return start }
    return now.milliseconds < end && end != Int64.max ? end : nil
  }

  mutating func beginPlan(at time: EventTime) {
    planStart = time.milliseconds
    planBaseMicros = ledger.totalMicros
  }

  /// Forgets spend since the last correction: it tells nothing about what comes.
  mutating func skipTick() {
    tickMicros = 0
    tickCount = 0
    lastTickMicros = 0
  }

  mutating func closeTick() {
    lastTickMicros = tickMicros
    tickMicros = 0
    tickCount = 0
  }

  /// The budget that is left and the time until which it must last, of whichever budget asks for
  /// the slower pace.
  private func remaining(at now: EventTime) -> (budget: Double, end: EventTime) {
    let dayEnd = EventTime(milliseconds: min(dayEnd, end))
    let scheduleEnd = EventTime(milliseconds: planEnd(at: now) ?? self.dayEnd)
    guard dailyBudget >= 0 else { return (Double(totalBudget - ledger.totalMicros), scheduleEnd) }
    let daily = (Double(dailyBudget - ledger.todayMicros), dayEnd)
    guard totalBudget >= 0 else { return daily }
    let total = (Double(totalBudget - ledger.totalMicros), scheduleEnd)
    let spans = (
      daily: Double(max(1, (dayEnd - now).milliseconds)),
      total: Double(max(1, (scheduleEnd - now).milliseconds))
    )
    return daily.0 / spans.daily <= total.0 / spans.total ? daily : total
  }

  /// Moves the price of budget by what was spent since the last correction.
  mutating func correct(at now: EventTime, isThrottling: Bool, rate: Double) {
    let spent = Double(tickMicros)
    let (left, end) = remaining(at: now)
    if tickCount > 0 {
      let mean = spent / Double(tickCount)
      price = price == 0 ? mean : price + 0.1 * (mean - price)
    }
    if isThrottling {
      let spent = Double(ledger.totalMicros - planBaseMicros)
      let plan = PacingPlan(from: EventTime(milliseconds: planStart), to: end)
      var throttle = Throttle(probability: 1 / (1 + mu))
      throttle.step(spent: spent, planned: plan.target(of: left + spent, by: now), rate: rate)
      mu = 1 / throttle.probability - 1
    } else {
      let last = EventTime(milliseconds: lastTick)
      let plan = PacingPlan(from: last, to: end)
      let target = plan.next(of: left + spent, from: last, for: now - last)
      var dual = BudgetDual(mu: mu)
      dual.step(spent: spent, target: target, price: price, rate: rate)
      mu = dual.mu
    }
  }
}
