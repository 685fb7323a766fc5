import Bidding
public import Events
public import Streaming

/// Spreads each campaign's budget over its day, and says at once when it is used up.
///
/// Spend is the price of impressions and clicks. It counts into the local day of its event's time,
/// in the campaign's own time zone, and into all time. A campaign that reaches its daily budget is
/// exhausted in that very entry and until its own midnight; one that reaches its total budget
/// until that is raised. While it runs, every `every` the price of budget follows what was spent
/// against what should have been: the remaining budget, spread evenly over what remains of the day
/// (or until the schedule ends; an end more than three years ahead counts as none here, so that a
/// total budget is not spread over centuries). A campaign without a plan is not slowed down.
///
/// 176 bytes a campaign. A campaign without budget and schedule costs no timers, one without spend
/// none for corrections and midnight. There is one timer for the next correction, and one each for
/// midnight and schedule: it stays where the moment is put off and is set anew when it comes. Only
/// a moment that is put forward costs one more, until the later one has lapsed.
///
/// Of catalogue entries the newest by event time counts; an older one that comes after it is
/// ignored as a whole.
public struct Pacing: Operator {
  public static let description = OperatorDescription(
    name: "pacing", version: 1,
    summary: "Spreads budgets over the day; stops what is exhausted or out of schedule.",
    // Credits are for goals by realised value; budgets do without them.
    inputs: [.init(.events), .init(.attributions, required: false)],
    outputs: [.paces, .alerts],
    settings: [
      SettingDescription(
        "every", .duration(.seconds(1)...(.hours(1))), default: "1m",
        meaning: "How often the pace is corrected: at every multiple of it, in event time."),
      SettingDescription(
        "policy", .choice(["dual", "throttle"]), default: "dual",
        meaning: """
          `dual` prices the budget and scales bids by it; `throttle` moves the share of auctions \
          to take part in by a tenth at a time.
          """),
      SettingDescription(
        "rate", .number(0.001...1), default: "0.1",
        meaning: """
          How fast the pace follows, per correction: `dual` changes by this share when nothing is \
          spent or twice of what should be, `throttle` by this share each time.
          """),
    ],
    data: ["tz \(TimeZoneRules.release)"])

  /// One change of the multiplier that is worth a record, as a share of the last published one.
  static let noticeableChange = 0.001

  private enum TimerKind: Int64 {
    case tick, midnight, schedule
  }

  private let events: EventInput
  private let output: Stream<PaceRecord>
  private let alerts: Stream<AlertRecord>
  private let timers: Timers
  private let directory: Directory
  private let every: Int64
  private let isThrottling: Bool
  private let rate: Double
  /// By the directory's row of the campaign.
  private let campaigns: Table<PacedCampaign>
  private let books: Table<Books>

  /// Money that came in against money that is kept: the two must agree.
  struct Books: BitwiseCopyable {
    var seenMicros: Int64 = 0
    /// What totals at their limit could not take.
    var beyondLimitMicros: Int64 = 0
  }

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    events = setup.events()
    output = setup.output(PaceRecord.self)
    alerts = setup.output(AlertRecord.self)
    timers = setup.timers
    directory = setup.directory
    every = setup.settings.duration("every").milliseconds
    isThrottling = setup.settings.text("policy") == "throttle"
    rate = setup.settings.number("rate")
    campaigns = setup.store.table("campaigns", of: PacedCampaign.self)
    books = setup.store.table("books", of: Books.self, capacity: 1)
    books.append(Books())
  }

  public func deallocate() { events.deallocate() }

  public mutating func process(_ entry: borrowing Entry) {
    guard let event = events.current?.pointer else { return }
    switch event.pointee.type {
    case .impression, .click: spend(event, entry)
    case .campaign: change(event, entry)
    default: break
    }
  }

  /// Budgets, what is spent of them, and how fast it may go on.
  public func query(
    _ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter
  ) -> Bool {
    guard Int(query.campaign) < campaigns.count else { return false }
    let row = campaigns[query.campaign]
    json.member("state", text: row.state(at: entry.clock).name)
    json.member("pacing", row.published, places: 9)
    json.member("mu", row.mu, places: 9)
    let isToday = entry.clock.milliseconds < row.dayEnd
    json.member("spent_today", isToday ? Money(micros: row.ledger.todayMicros) : .zero)
    if row.dailyBudget >= 0 { json.member("budget_today", Money(micros: row.dailyBudget)) }
    json.member("spent_total", Money(micros: row.ledger.totalMicros))
    if row.totalBudget >= 0 { json.member("budget_total", Money(micros: row.totalBudget)) }
    return true
  }

  @inline(__always)
  private func campaign(_ row: Int32) -> UnsafeMutablePointer<PacedCampaign> {
    if Int(row) >= campaigns.count { campaigns.fill(to: Int(row) + 1, with: PacedCampaign()) }
    return campaigns.update(row)
  }

  // MARK: Spend

  @inline(__always)
  private func spend(_ event: UnsafePointer<Event>, _ entry: borrowing Entry) {
    let price = event.pointee.price
    guard price.micros > 0 else { return }
    let number = event.pointee.campaign.row
    let row = campaign(number)
    let now = max(entry.clock, event.pointee.time)
    if now.milliseconds >= row.pointee.dayEnd { beginDay(number, row, now, entry) }
    let isToday = event.pointee.time.milliseconds >= row.pointee.dayStart
    let lost = row.pointee.ledger.add(price, isToday: isToday)
    let books = books.update(0)
    books.pointee.seenMicros &+= price.micros
    books.pointee.beyondLimitMicros &+= lost
    if row.pointee.isLimited { control(number, row, price, now, entry) }
  }

  /// What spend does to a campaign that has a budget or a schedule.
  @inline(__always)
  private func control(
    _ number: Int32, _ row: UnsafeMutablePointer<PacedCampaign>, _ price: Money,
    _ now: EventTime, _ entry: borrowing Entry
  ) {
    if row.pointee.state == .running {
      if row.pointee.isExhausted {
        row.pointee.inFlightMicros = max(
          row.pointee.tickMicros, row.pointee.lastTickMicros, price.micros)
        settle(number, row, now, entry)
      } else if row.pointee.lacksTimer(at: now) {
        row.pointee.take(price)
        return setTimers(number, row, now, entry)
      }
    } else if row.pointee.isExhausted {
      // Spend that was on its way may reach the total budget too.
      settle(number, row, now, entry)
      watch(number, row)
    }
    row.pointee.take(price)
  }

  /// Spend that goes on where there is no budget left: some was on its way, more is a fault.
  @inline(never)
  private func watch(_ number: Int32, _ row: UnsafeMutablePointer<PacedCampaign>) {
    let spent: Int64
    let budget: Int64
    switch row.pointee.state {
    case .dailyExhausted:
      (spent, budget) = (row.pointee.ledger.todayMicros, row.pointee.dailyBudget)
    case .totalExhausted:
      (spent, budget) = (row.pointee.ledger.totalMicros, row.pointee.totalBudget)
    case .running, .notStarted, .ended: return
    }
    guard !row.pointee.isAlerted,
      spent &- budget > max(row.pointee.inFlightMicros, budget / 100)
    else { return }
    row.pointee.isAlerted = true
    alert(.overspend, .critical, .beyondBudget, number, observed: spent, expected: budget)
  }

  private func alert(
    _ kind: Alert.Kind, _ severity: Alert.Severity, _ subject: AlertRecord.Subject,
    _ number: Int32, observed: Int64 = 0, expected: Int64 = 0
  ) {
    alerts.append(
      AlertRecord(
        account: directory.campaigns.parent(number), campaign: number, kind: kind,
        severity: severity, subject: subject, observed: Double(observed) / 1e6,
        expected: Double(expected) / 1e6))
  }

  // MARK: Catalogue

  private func change(_ event: UnsafePointer<Event>, _ entry: borrowing Entry) {
    guard case .campaign(let details)? = entry.details(of: event) else { return }
    let number = event.pointee.campaign.row
    let row = campaign(number)
    guard event.pointee.time.milliseconds >= row.pointee.catalogueTime else { return }
    row.pointee.catalogueTime = event.pointee.time.milliseconds
    let now = max(entry.clock, event.pointee.time)
    if now.milliseconds >= row.pointee.dayEnd { beginDay(number, row, now, entry) }
    let before = row.pointee
    apply(details, number, row, now)
    // Without a plan nothing corrects the pace any more: it must not stay where it was.
    let hasPlan = row.pointee.hasPlan(at: now)
    if hasPlan != before.hasPlan(at: now) {
      row.pointee.mu = hasPlan && isThrottling ? 1 / Throttle.initialProbability - 1 : 0
    }
    let after = row.pointee
    if after.dailyBudget != before.dailyBudget, after.dailyBudget < after.ledger.todayMicros,
      after.dailyBudget >= 0
    {
      alert(
        .overspend, .warning, .budgetCut, number, observed: after.ledger.todayMicros,
        expected: after.dailyBudget)
    }
    if after.totalBudget != before.totalBudget, after.totalBudget < after.ledger.totalMicros,
      after.totalBudget >= 0
    {
      alert(
        .overspend, .warning, .budgetCut, number, observed: after.ledger.totalMicros,
        expected: after.totalBudget)
    }
    let isChanged =
      !before.isKnown || after.dailyBudget != before.dailyBudget
      || after.totalBudget != before.totalBudget || after.start != before.start
      || after.end != before.end || after.zone != before.zone
    guard isChanged else { return }
    row.pointee.beginPlan(at: now)
    row.pointee.isAlerted = false
    settle(number, row, now, entry, publishes: true)
  }

  private func apply(
    _ details: EventDetails.Campaign, _ number: Int32,
    _ row: UnsafeMutablePointer<PacedCampaign>, _ now: EventTime
  ) {
    row.pointee.isKnown = true
    if let budget = details.dailyBudget { row.pointee.dailyBudget = max(0, budget.micros) }
    if let budget = details.totalBudget { row.pointee.totalBudget = max(0, budget.micros) }
    if let start = details.start { row.pointee.start = start.milliseconds }
    if let end = details.end { row.pointee.end = end.milliseconds }
    guard !details.timezone.isAbsent else { return }
    guard let zone = TimeZoneRules.find(details.timezone.bytes) else {
      return alert(.anomaly, .warning, .unknownTimeZone, number)
    }
    guard zone != row.pointee.zone else { return }
    // What was counted stays counted: of the new zone's day, nothing tells it apart.
    row.pointee.zone = zone
    row.pointee.findDay(now)
  }

  // MARK: Days, schedules, states

  /// The first entry of a local day.
  @inline(never)
  private func beginDay(
    _ number: Int32, _ row: UnsafeMutablePointer<PacedCampaign>, _ now: EventTime,
    _ entry: borrowing Entry
  ) {
    let isFirst = row.pointee.dayEnd == Int64.min
    row.pointee.findDay(now)
    let hadSpend = row.pointee.ledger.todayMicros > 0
    row.pointee.ledger.todayMicros = 0
    row.pointee.isAlerted = false
    row.pointee.skipTick()
    row.pointee.lastTick = now.milliseconds
    row.pointee.beginPlan(at: EventTime(milliseconds: row.pointee.dayStart))
    guard row.pointee.isLimited, !isFirst else { return }
    settle(
      number, row, now, entry, publishes: hadSpend && row.pointee.dailyBudget >= 0)
  }

  /// Brings a campaign into the state that its budgets and its schedule ask for.
  private func settle(
    _ number: Int32, _ row: UnsafeMutablePointer<PacedCampaign>, _ now: EventTime,
    _ entry: borrowing Entry, publishes: Bool = false
  ) {
    let state = row.pointee.state(at: now)
    let isChanged = state != row.pointee.state
    if isChanged, state == .running {
      row.pointee.skipTick()
      row.pointee.beginPlan(at: now)
    }
    row.pointee.state = state
    if isChanged || publishes { publish(number, row) }
    setTimers(number, row, now, entry)
  }

  private func publish(_ number: Int32, _ row: UnsafeMutablePointer<PacedCampaign>) {
    let multiplier = BudgetDual(mu: row.pointee.mu).multiplier
    row.pointee.published = multiplier
    var record = PaceRecord(campaign: number)
    record.state = row.pointee.state
    record.multiplier = multiplier
    record.mu = row.pointee.mu
    record.spentToday = Money(micros: row.pointee.ledger.todayMicros)
    record.budgetToday = Money(micros: row.pointee.dailyBudget)
    record.spentTotal = Money(micros: row.pointee.ledger.totalMicros)
    record.budgetTotal = Money(micros: row.pointee.totalBudget)
    output.append(record)
  }

  // MARK: Timers

  /// Sets those timers that a campaign needs and does not have. Timers cannot be taken back: one
  /// that is set for an earlier moment than is needed serves, as it comes here when it is due.
  @inline(never)
  private func setTimers(
    _ number: Int32, _ row: UnsafeMutablePointer<PacedCampaign>, _ now: EventTime,
    _ entry: borrowing Entry
  ) {
    if row.pointee.needsTick(at: now), !row.pointee.isTicking {
      row.pointee.isTicking = true
      let last = entry.clock.milliseconds / every * every
      row.pointee.lastTick = max(row.pointee.lastTick, last)
      add(.tick, number, at: last + every)
    }
    if row.pointee.ledger.todayMicros > 0, row.pointee.dailyBudget >= 0,
      row.pointee.midnightTimer > row.pointee.dayEnd
    {
      row.pointee.midnightTimer = row.pointee.dayEnd
      add(.midnight, number, at: row.pointee.dayEnd)
    }
    if let boundary = row.pointee.nextBoundary(after: now),
      row.pointee.scheduleTimer > boundary
    {
      row.pointee.scheduleTimer = boundary
      add(.schedule, number, at: boundary)
    }
  }

  private func add(_ kind: TimerKind, _ number: Int32, at time: Int64) {
    timers.add(
      at: EventTime(milliseconds: time), key: kind.rawValue << 32 | Int64(number))
  }

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    for timer in due {
      let number = Int32(truncatingIfNeeded: timer.key)
      let row = campaigns.update(number)
      switch TimerKind(rawValue: timer.key >> 32) {
      case .tick: tick(number, row, entry)
      case .midnight where timer.due == row.pointee.midnightTimer:
        row.pointee.midnightTimer = PacedCampaign.noTimer
        if entry.clock.milliseconds >= row.pointee.dayEnd {
          beginDay(number, row, entry.clock, entry)
        } else {
          setTimers(number, row, entry.clock, entry)
        }
      case .schedule where timer.due == row.pointee.scheduleTimer:
        row.pointee.scheduleTimer = PacedCampaign.noTimer
        if entry.clock.milliseconds >= row.pointee.dayEnd {
          beginDay(number, row, entry.clock, entry)
        }
        settle(number, row, entry.clock, entry)
      // An earlier one was set since, and has done its work.
      default: break
      }
    }
  }

  /// A correction of the pace.
  private func tick(
    _ number: Int32, _ row: UnsafeMutablePointer<PacedCampaign>, _ entry: borrowing Entry
  ) {
    row.pointee.isTicking = false
    let now = entry.clock
    // It may come before the timers of midnight and of the schedule.
    if now.milliseconds >= row.pointee.dayEnd { beginDay(number, row, now, entry) }
    if row.pointee.state(at: now) != row.pointee.state { settle(number, row, now, entry) }
    guard row.pointee.state == .running, row.pointee.hasPlan(at: now) else {
      return row.pointee.closeTick()
    }
    // Nothing can be said about a time that has only begun.
    guard now.milliseconds > row.pointee.lastTick else {
      return setTimers(number, row, now, entry)
    }
    row.pointee.correct(at: now, isThrottling: isThrottling, rate: rate)
    let multiplier = BudgetDual(mu: row.pointee.mu).multiplier
    let change = abs(multiplier - row.pointee.published)
    if change >= Pacing.noticeableChange * row.pointee.published
      || (multiplier == 1 && change > 0)
    {
      publish(number, row)
    }
    row.pointee.closeTick()
    row.pointee.lastTick = now.milliseconds
    setTimers(number, row, now, entry)
  }

  // MARK: End

  public mutating func finish(_ entry: borrowing Entry) {
    // Spend in = spend kept, to the micro (modulo 2⁶⁴, as both sides are summed).
    var kept: Int64 = 0
    for row in 0..<Int32(campaigns.count) { kept &+= campaigns[row].ledger.totalMicros }
    precondition(
      kept &+ books[0].beyondLimitMicros == books[0].seenMicros,
      "pacing: the sum of all campaigns' spend differs from the spend that came in")
  }

  public func digest(into digest: inout StateDigest) {
    for number in 0..<Int32(campaigns.count) {
      let row = campaigns[number]
      guard row.isKnown || row.ledger.totalMicros != 0 else { continue }
      let owner = directory.campaigns.hash(number)
      digest.add(
        owner: owner, row.ledger.todayMicros, row.ledger.totalMicros, row.dayStart, row.dayEnd,
        Int64(row.state.rawValue), row.tickMicros, row.lastTickMicros, row.tickCount,
        row.lastTick, row.inFlightMicros, row.isAlerted ? 1 : 0)
      digest.add(
        owner: owner, row.isKnown ? 1 : 0, row.catalogueTime, row.dailyBudget, row.totalBudget,
        row.start, row.end, Int64(row.zone.rawValue))
      digest.add(
        owner: owner, Int64(bitPattern: row.mu.bitPattern),
        Int64(bitPattern: row.price.bitPattern), Int64(bitPattern: row.published.bitPattern),
        row.planStart, row.planBaseMicros, row.isTicking ? 1 : 0, row.midnightTimer,
        row.scheduleTimer)
    }
  }
}
