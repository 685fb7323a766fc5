import Events
import Operators
import Streaming
import TestKit
import Testing

/// What `pacing` says of one campaign, step by step.
@Suite struct PacingTests {
  private let noon = PacingHistory.time("2026-06-01T12:00:00Z")
  private let hour: Int64 = 3_600_000

  @Test func withoutABudgetNothingIsSaid() throws {
    let driver = try PacingHistory.driver()
    for i in 0..<100 as Range<Int64> {
      try driver.send(PacingHistory.impression(noon + i * 60_000, 1_000_000))
    }
    try driver.advance(to: EventTime(milliseconds: noon + 100 * hour))
    try driver.finish()
    #expect(driver.outputs(of: "paces") == [])
    #expect(driver.outputs(of: "alerts") == [])
  }

  @Test func theCatalogueIsAnsweredAtOnce() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":5,"total":20.5}"#))
    let pace = try #require(try driver.paces().first)
    #expect(pace.state == "running" && pace.pacing == 1 && pace.mu == 0)
    #expect(pace.budgetToday == 5_000_000 && pace.budgetTotal == 20_500_000)
    #expect(pace.spentToday == 0 && pace.spentTotal == 0)
    // Nothing new, nothing to say; absent fields stay as they are.
    try driver.send(PacingHistory.campaign(noon + 1, ""))
    try driver.send(PacingHistory.campaign(noon + 2, #""budget":{"daily":5.0}"#))
    #expect(try driver.paces() == [])
    try driver.send(PacingHistory.campaign(noon + 3, #""budget":{"daily":6}"#))
    let changed = try #require(try driver.paces().first)
    #expect(changed.budgetToday == 6_000_000 && changed.budgetTotal == 20_500_000)
  }

  @Test func theEventThatReachesTheBudgetStopsInItsOwnEntry() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":1}"#))
    try driver.send(PacingHistory.impression(noon + 1, 600_000))
    _ = try driver.paces()
    try driver.send(PacingHistory.click(noon + 2, 399_999))
    #expect(try driver.paces() == [])
    try driver.send(PacingHistory.click(noon + 3, 1))
    let pace = try #require(try driver.paces().first)
    #expect(pace.state == "daily_exhausted" && pace.time == noon + 3 && !pace.isFromClock)
    #expect(pace.spentToday == 1_000_000)
    // What was on its way is counted and changes nothing.
    try driver.send(PacingHistory.impression(noon + 4, 5))
    #expect(try driver.paces() == [])
    #expect(driver.outputs(of: "alerts") == [])
  }

  /// Days of 23 and of 25 hours, and plain ones.
  @Test(arguments: [
    ("Europe/Berlin", "2026-03-29T08:00:00Z", "2026-03-29T22:00:00Z"),
    ("Europe/Berlin", "2026-10-25T08:00:00Z", "2026-10-25T23:00:00Z"),
    ("America/New_York", "2026-03-08T08:00:00Z", "2026-03-09T04:00:00Z"),
    ("America/New_York", "2026-11-01T08:00:00Z", "2026-11-02T05:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T08:00:00Z", "2026-06-01T18:15:00Z"),
    ("UTC", "2026-06-01T08:00:00Z", "2026-06-02T00:00:00Z"),
  ])
  func exhaustedUntilTheCampaignsOwnMidnight(
    zone: String, morning: String, midnight: String
  ) throws {
    let (morning, midnight) = (PacingHistory.time(morning), PacingHistory.time(midnight))
    let driver = try PacingHistory.driver()
    try driver.send(
      PacingHistory.campaign(morning, #""budget":{"daily":1},"timezone":"\#(zone)""#))
    try driver.send(PacingHistory.impression(morning + 1, 2_000_000))
    #expect(try driver.paces().last?.state == "daily_exhausted")
    try driver.advance(to: EventTime(milliseconds: midnight - 1))
    #expect(try driver.paces() == [])
    try driver.advance(to: EventTime(milliseconds: midnight))
    let paces = try driver.paces()
    #expect(paces.count == 1)
    #expect(paces.first?.state == "running" && paces.first?.time == midnight)
    #expect(paces.first?.spentToday == 0 && paces.first?.spentTotal == 2_000_000)
    #expect(paces.first?.isFromClock == true)
  }

  @Test func aDayMayBeginWithAnEventWhereTicksAreCoarse() throws {
    // Ticks of 7 s do not meet midnight.
    let driver = try PacingHistory.driver(tick: "7s")
    let midnight = PacingHistory.time("2026-06-02T00:00:00Z")
    try driver.send(PacingHistory.campaign(midnight - hour, #""budget":{"daily":1}"#))
    try driver.send(PacingHistory.impression(midnight - hour + 1, 2_000_000))
    _ = try driver.paces()
    try driver.send(PacingHistory.impression(midnight - 1, 1))
    #expect(try driver.paces() == [])
    try driver.send(PacingHistory.impression(midnight, 300_000))
    let pace = try #require(try driver.paces().first)
    #expect(pace.state == "running" && pace.time == midnight && !pace.isFromClock)
    // Yesterday's: all time knows it, today does not.
    try driver.send(PacingHistory.impression(midnight - 1, 400_000))
    try driver.send(PacingHistory.campaign(midnight + 1, #""budget":{"daily":2}"#))
    let changed = try #require(try driver.paces().last)
    #expect(changed.spentToday == 300_000 && changed.spentTotal == 2_700_001)
  }

  @Test func aLateEventOfYesterdayDoesNotSpendToday() throws {
    let driver = try PacingHistory.driver()
    let midnight = PacingHistory.time("2026-06-02T00:00:00Z")
    try driver.send(PacingHistory.campaign(midnight - hour, #""budget":{"daily":1}"#))
    try driver.send(PacingHistory.impression(midnight + 1_000, 100_000))
    try driver.send(PacingHistory.impression(midnight - 2_000, 5_000_000))
    #expect(try driver.paces().allSatisfy { $0.state == "running" })
    try driver.send(PacingHistory.campaign(midnight + 2_000, #""budget":{"total":9}"#))
    let pace = try #require(try driver.paces().last)
    #expect(pace.spentToday == 100_000 && pace.spentTotal == 5_100_000)
  }

  @Test func aRaisedBudgetGoesOn() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":1}"#))
    try driver.send(PacingHistory.impression(noon + 1, 1_000_000))
    try driver.send(PacingHistory.campaign(noon + 2, #""budget":{"daily":3}"#))
    let states = try driver.paces().map(\.state)
    #expect(states == ["running", "daily_exhausted", "running"])
    #expect(driver.outputs(of: "alerts") == [])
  }

  @Test func aTotalBudgetIsNotFilledUpAtMidnight() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":10,"total":1}"#))
    try driver.send(PacingHistory.impression(noon + 1, 1_500_000))
    try driver.advance(to: EventTime(milliseconds: noon + 72 * hour))
    let states = try driver.paces().map(\.state)
    #expect(states.first == "running")
    #expect(!states.dropFirst().isEmpty)
    #expect(states.dropFirst().allSatisfy { $0 == "total_exhausted" })
    try driver.send(PacingHistory.campaign(noon + 72 * hour, #""budget":{"total":2}"#))
    #expect(try driver.paces().map(\.state) == ["running"])
  }

  @Test func aBudgetCutBelowWhatIsSpentStopsAndAlerts() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":10}"#))
    try driver.send(PacingHistory.impression(noon + 1, 4_000_000))
    try driver.send(PacingHistory.campaign(noon + 2, #""budget":{"daily":3}"#))
    #expect(try driver.paces().last?.state == "daily_exhausted")
    let alert = try #require(driver.outputs(of: "alerts").first)
    #expect(alert.contains(#""kind":"overspend""#) && alert.contains(#""observed":4"#))
    #expect(alert.contains(#""expected":3"#) && alert.contains(#""severity":"warning""#))
  }

  @Test func spendThatGoesOnAlertsOnceADay() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":1}"#))
    for i in 1...30 as ClosedRange<Int64> {
      try driver.send(PacingHistory.impression(noon + i, 100_000))
    }
    #expect(try driver.paces().map(\.state) == ["running", "daily_exhausted"])
    let alerts = driver.outputs(of: "alerts")
    #expect(alerts.count == 1)
    // What was spent in the minute before may have been on its way once more: 0.9 beyond 1.
    #expect(alerts[0].contains(#""severity":"critical""#))
    #expect(alerts[0].contains(#""observed":2"#), "\(alerts[0])")
  }

  @Test func theScheduleStartsAndEnds() throws {
    let driver = try PacingHistory.driver()
    let (start, end) = (noon + hour, noon + 3 * hour)
    try driver.send(
      PacingHistory.campaign(noon, #""schedule":{"start":\#(start),"end":\#(end)}"#))
    #expect(try driver.paces().map(\.state) == ["not_started"])
    try driver.advance(to: EventTime(milliseconds: start - 1))
    #expect(try driver.paces() == [])
    try driver.advance(to: EventTime(milliseconds: end + hour))
    let paces = try driver.paces()
    #expect(paces.map(\.state) == ["running", "ended"])
    #expect(paces.map(\.time) == [start, end])
    try driver.send(
      PacingHistory.campaign(end + hour, #""schedule":{"end":\#(end + 2 * hour)}"#))
    try driver.advance(to: EventTime(milliseconds: end + 5 * hour))
    #expect(try driver.paces().map(\.state) == ["running", "ended"])
  }

  @Test func anUnknownTimeZoneIsUTCAndAnAlert() throws {
    let driver = try PacingHistory.driver()
    try driver.send(
      PacingHistory.campaign(noon, #""budget":{"daily":1},"timezone":"Mars/Olympus""#))
    let alert = try #require(driver.outputs(of: "alerts").first)
    #expect(alert.contains(#""kind":"anomaly""#) && alert.contains("timezone"))
    try driver.send(PacingHistory.impression(noon, 1_000_000))
    _ = try driver.paces()
    try driver.advance(to: EventTime(milliseconds: noon + 13 * hour))
    #expect(try driver.paces().first?.time == PacingHistory.time("2026-06-02T00:00:00Z"))
  }

  @Test func anotherTimeZoneMovesMidnight() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":1}"#))
    try driver.send(PacingHistory.impression(noon, 1_000_000))
    try driver.send(PacingHistory.campaign(noon + 1, #""timezone":"Asia/Tokyo""#))
    _ = try driver.paces()
    try driver.advance(to: EventTime(milliseconds: noon + 13 * hour))
    let paces = try driver.paces()
    #expect(paces.map(\.time) == [PacingHistory.time("2026-06-01T15:00:00Z")])
    #expect(paces.map(\.state) == ["running"])
  }

  @Test func hugePricesNeitherTrapNorPass() throws {
    let driver = try PacingHistory.driver()
    let huge: Int64 = 9_000_000_000_000_000_000
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":9223372036854}"#))
    for i in 1...4 as ClosedRange<Int64> {
      try driver.send(PacingHistory.impression(noon + i, huge))
    }
    try driver.send(PacingHistory.campaign(noon + 5, #""budget":{"daily":0,"total":0}"#))
    try driver.advance(to: EventTime(milliseconds: noon + 48 * hour))
    try driver.finish()
    let states = try driver.paces().map(\.state)
    #expect(states.contains("daily_exhausted") && states.contains("total_exhausted"))
    #expect(states.last == "total_exhausted")
  }

  // MARK: The pace

  /// A day of equal purchases, one each `gap` ms, as many as the multiplier lets through.
  private func spendOverADay(_ settings: String, budget: Int64) throws -> [Pace] {
    let driver = try PacingHistory.driver(settings)
    let midnight = PacingHistory.time("2026-06-01T00:00:00Z")
    try driver.send(
      PacingHistory.campaign(midnight, #""budget":{"daily":\#(PacingHistory.money(budget))}"#))
    var paces = try driver.paces()
    // 1,440 minutes of 20 offers; a fraction of them is bought as the multiplier says.
    var due = 0.0
    for minute in 0..<1_440 as Range<Int64> {
      guard paces.last?.state == "running" else { break }
      due += 20 * (paces.last?.pacing ?? 1)
      while due >= 1 {
        due -= 1
        try driver.send(PacingHistory.impression(midnight + minute * 60_000 + 1, 10_000))
      }
      paces += try driver.paces()
    }
    try driver.advance(to: EventTime(milliseconds: midnight + 24 * hour - 1))
    return try paces + driver.paces()
  }

  @Test(arguments: ["every: 1m", "every: 1m, policy: throttle, rate: 0.05"])
  func aBudgetLastsAllDay(_ settings: String) throws {
    // A third of what could be bought.
    let paces = try spendOverADay(settings, budget: 96_000_000)
    let last = try #require(paces.last)
    #expect(last.spentToday <= 96_000_000 + 10_000)
    let late = paces.filter { $0.time >= PacingHistory.time("2026-06-01T03:00:00Z") }
    #expect(!late.isEmpty)
    // At any time what is spent is near what is planned.
    let midnight = PacingHistory.time("2026-06-01T00:00:00Z")
    for pace in late {
      let planned = 96.0 * Double(pace.time - midnight) / Double(24 * hour)
      #expect(abs(Double(pace.spentToday) / 1e6 - planned) < 6, "\(pace)")
    }
    #expect(Double(last.spentToday) >= 0.97 * 96e6 * Double(last.time - midnight) / 86.4e6)
  }

  @Test func theMultiplierComesBackWhenNobodyBuys() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":100}"#))
    for i in 0..<600 as Range<Int64> {
      try driver.send(PacingHistory.impression(noon + i * 1_000, 100_000))
    }
    let pressed = try #require(try driver.paces().last)
    #expect(pressed.mu > 0.2)
    try driver.advance(to: EventTime(milliseconds: noon + 4 * hour))
    let paces = try driver.paces()
    #expect(paces.last?.pacing == 1 && paces.last?.mu == 0)
    // Records at multiples of `every`, by time alone, and none once there is nothing to say.
    #expect(paces.allSatisfy { $0.isFromClock && $0.time % 60_000 == 0 })
    #expect(paces.count < 100)
  }

  @Test func midnightKeepsThePriceOfBudget() throws {
    let driver = try PacingHistory.driver()
    let midnight = PacingHistory.time("2026-06-02T00:00:00Z")
    try driver.send(PacingHistory.campaign(midnight - 4 * hour, #""budget":{"daily":2}"#))
    for i in 0..<60 as Range<Int64> {
      try driver.send(PacingHistory.impression(midnight - 4 * hour + i * 5_000, 50_000))
    }
    let exhausted = try #require(try driver.paces().last)
    #expect(exhausted.state == "daily_exhausted" && exhausted.mu > 0)
    try driver.advance(to: EventTime(milliseconds: midnight))
    let running = try #require(try driver.paces().last)
    #expect(running.state == "running" && running.mu == exhausted.mu)
    // It falls from there, although nobody buys.
    try driver.advance(to: EventTime(milliseconds: midnight + hour))
    #expect(try driver.paces().last?.mu ?? 1 < exhausted.mu)
  }

  // MARK: Schedules, timers and the catalogue's order

  private func end(_ time: Int64) -> String { #""schedule":{"end":\#(time)}"# }

  /// Twice the daily budget's worth of traffic, all day long.
  private func dayOfSpend(_ fields: String) throws -> [Pace] {
    let driver = try PacingHistory.driver()
    let morning = PacingHistory.time("2026-06-01T00:00:00Z")
    try driver.send(PacingHistory.campaign(morning, fields))
    for i in 0..<1_200 as Range<Int64> {
      try driver.send(PacingHistory.impression(morning + i * 72_000, 20_000))
    }
    return try driver.paces()
  }

  @Test func anEndFarAheadIsNoneForThePlan() throws {
    let budget = #""budget":{"daily":100,"total":1000}"#
    let without = try dayOfSpend(budget)
    #expect(without.last?.pacing ?? 0 > 0.9)
    let far = PacingHistory.time("9999-12-31T00:00:00Z")
    #expect(try dayOfSpend(budget + "," + end(far)) == without)
    // Two years ahead, the total budget has to last for two years.
    let near = PacingHistory.time("2028-06-01T00:00:00Z")
    let slowed = try dayOfSpend(budget + "," + end(near))
    #expect(slowed.last?.pacing ?? 1 < 0.2)
  }

  @Test(arguments: ["every: 1m", "every: 1m, policy: throttle"])
  func whoeverLosesThePlanIsSlowedDownNoMore(_ settings: String) throws {
    let driver = try PacingHistory.driver(settings)
    try driver.send(
      PacingHistory.campaign(noon, #""budget":{"total":100},"# + end(noon + 24 * hour)))
    for i in 0..<600 as Range<Int64> {
      try driver.send(PacingHistory.impression(noon + i * 1_000, 100_000))
    }
    #expect(try driver.paces().last?.pacing ?? 1 < 0.8)
    let far = PacingHistory.time("9999-12-31T00:00:00Z")
    try driver.send(PacingHistory.campaign(noon + hour, end(far)))
    #expect(try driver.paces().last?.pacing == 1)
    // The total budget is still kept.
    try driver.send(PacingHistory.impression(noon + hour + 1, 40_000_000))
    #expect(try driver.paces().last?.state == "total_exhausted")
  }

  @Test func aMomentThatIsPutOffKeepsItsTimer() throws {
    let driver = try PartitionDriver(PacingHistory.topology(), registry: OperatorRegistry.all)
    func send(_ text: String) throws { try driver.send(text) }
    try send(PacingHistory.campaign(noon, #""budget":{"daily":5},"# + end(noon + hour)))
    try send(PacingHistory.impression(noon, 1_000))
    // The engine's own state: timers, and names that stay the same.
    let bytes = driver.stateBytes(of: "engine")
    #expect(bytes > 0)
    var records: [String] = []
    for i in 1...5_000 as ClosedRange<Int64> {
      let zone = i % 2 == 0 ? "UTC" : "America/New_York"
      records.append(
        PacingHistory.campaign(noon + i, end(noon + hour + i * 60_000) + #","timezone":"\#(zone)""#)
      )
    }
    try driver.send(records.map { Array($0.utf8) })
    #expect(driver.stateBytes(of: "engine") == bytes)
  }

  @Test func aMomentThatWasPutOffComesWhenItIsDue() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, end(noon + hour)))
    try driver.send(PacingHistory.campaign(noon + 1, end(noon + 2 * hour)))
    try driver.send(PacingHistory.campaign(noon + 2, end(noon + 3 * hour)))
    _ = try driver.paces()
    try driver.advance(to: EventTime(milliseconds: noon + 3 * hour - 1))
    #expect(try driver.paces() == [])
    try driver.advance(to: EventTime(milliseconds: noon + 4 * hour))
    #expect(try driver.paces().map(\.time) == [noon + 3 * hour])
    // Put off, it runs again; put forward, the earlier moment counts, once.
    try driver.send(PacingHistory.campaign(noon + 4 * hour, end(noon + 9 * hour)))
    try driver.send(PacingHistory.campaign(noon + 4 * hour + 1, end(noon + 6 * hour)))
    _ = try driver.paces()
    try driver.advance(to: EventTime(milliseconds: noon + 20 * hour))
    let paces = try driver.paces()
    #expect(paces.map(\.time) == [noon + 6 * hour] && paces.map(\.state) == ["ended"])
  }

  @Test func midnightComesWhereTheZoneWasMovedWestAndBack() throws {
    let driver = try PacingHistory.driver()
    let zones = ["Asia/Kathmandu", "America/New_York"]
    try driver.send(
      PacingHistory.campaign(noon, #""budget":{"daily":1},"timezone":"\#(zones[0])""#))
    try driver.send(PacingHistory.impression(noon + 1, 2_000_000))
    try driver.send(PacingHistory.campaign(noon + 2, #""timezone":"\#(zones[1])""#))
    _ = try driver.paces()
    try driver.advance(to: EventTime(milliseconds: noon + 30 * hour))
    let paces = try driver.paces()
    #expect(paces.map(\.time) == [PacingHistory.time("2026-06-02T04:00:00Z")])
    #expect(paces.map(\.state) == ["running"])
  }

  @Test func anOlderCatalogueEntryThatComesLateChangesNothing() throws {
    let driver = try PacingHistory.driver()
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":100}"#))
    try driver.send(PacingHistory.impression(noon + 1, 10_000_000))
    _ = try driver.paces()
    // Not even in what the newer entry leaves open.
    try driver.send(
      PacingHistory.campaign(noon - 1, #""budget":{"daily":5,"total":7},"timezone":"Nowhere/Land""#)
    )
    #expect(try driver.paces() == [])
    #expect(driver.outputs(of: "alerts") == [])
    // Of two of the same time the second counts.
    try driver.send(PacingHistory.campaign(noon, #""budget":{"daily":50}"#))
    let pace = try #require(try driver.paces().last)
    #expect(pace.budgetToday == 50_000_000 && pace.budgetTotal == nil && pace.state == "running")
  }

  // MARK: State

  /// Two histories after which the same events lead to different outputs have different digests.
  @Test func theDigestKnowsWhatDecidesOutputs() throws {
    func digest(_ records: [String]) throws -> StateDigest {
      let driver = try PacingHistory.driver()
      try driver.send(records)
      return driver.digest
    }
    let budget = #""budget":{"daily":5}"#
    // Overspend was alerted or not: the same spend, whether in many steps or few.
    func spend(_ micros: [Int64]) -> [String] {
      [PacingHistory.campaign(noon, budget)]
        + micros.enumerated().map { PacingHistory.impression(noon + 1 + Int64($0), $1) }
    }
    // The last purchase before exhaustion is what may be under way.
    #expect(
      try digest(spend([4_000_000, 1_000_000, 500_000]))
        != digest(spend([500_000, 4_500_000, 500_000])))
    // A newer entry that says nothing new keeps older ones out.
    #expect(
      try digest([PacingHistory.campaign(noon, budget), PacingHistory.campaign(noon + 5, "")])
        != digest([PacingHistory.campaign(noon, budget), PacingHistory.campaign(noon + 4, "")]))
    // A plan that began later spreads the budget otherwise.
    let twoBudgets = #""budget":{"daily":6}"#
    #expect(
      try digest([
        PacingHistory.campaign(noon, budget), PacingHistory.campaign(noon + 1, twoBudgets),
        PacingHistory.campaign(noon + 9, ""),
      ])
        != digest([
          PacingHistory.campaign(noon, budget), PacingHistory.campaign(noon + 2, twoBudgets),
          PacingHistory.campaign(noon + 9, ""),
        ]))
  }

  @Test func aCampaignTakes176Bytes() throws {
    let driver = try PartitionDriver(PacingHistory.topology(), registry: OperatorRegistry.all)
    func send(_ campaigns: Range<Int64>) throws {
      try driver.send(
        campaigns.map {
          let text =
            #"{"type":"campaign","id":"\#($0)","time":\#(noon),"account":"acme","#
            + #""campaign":"c\#($0)"}"#
          return Array(text.utf8)
        })
    }
    try send(0..<1)
    let first = driver.stateBytes(of: "pace")
    try send(1..<101)
    #expect(driver.stateBytes(of: "pace") - first == 100 * 176)
  }
}
