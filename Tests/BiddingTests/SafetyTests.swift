import Bidding
import Events
import Testing

@Suite struct BidLimitsTests {
  @Test func eachLimitIsNamedWithWhatItDid() {
    let limits = BidLimits(
      maxBidMicros: 9_000, controlMaxBidMicros: 8_000, ceiling: 0.5, stepLimit: 1.25)
    let bounded = limits.bound(bidMicros: 10_000, valueMicros: 12_000, lastMicros: 4_000)
    #expect(bounded.bidMicros == 5_000)
    #expect(bounded.capMicros == 8_000)
    #expect(bounded.reasons == [.maxBid, .controlMaxBid, .ceiling, .stepLimit])
    #expect(bounded.clips.0 == clip(.maxBid, 10_000, 9_000))
    #expect(bounded.clips.1 == clip(.controlMaxBid, 9_000, 8_000))
    #expect(bounded.clips.2 == clip(.ceiling, 8_000, 6_000))
    #expect(bounded.clips.3 == clip(.stepLimit, 6_000, 5_000))
  }

  private func clip(_ limit: BidReasons, _ raw: Int64, _ clipped: Int64) -> BidLimits.Clip {
    var clip = BidLimits.Clip.none
    clip.limit = limit
    clip.rawMicros = raw
    clip.clippedMicros = clipped
    return clip
  }

  @Test func whatIsWithinItsLimitsStays() {
    let limits = BidLimits(maxBidMicros: 10_000, ceiling: 1, stepLimit: 1.25)
    let bounded = limits.bound(bidMicros: 10_000, valueMicros: 10_000, lastMicros: 8_000)
    #expect(bounded.bidMicros == 10_000)
    #expect(bounded.reasons == [])
  }

  @Test func theSmallestBidCanRise() {
    let limits = BidLimits(stepLimit: 1.25)
    #expect(limits.bound(bidMicros: 100, valueMicros: nil, lastMicros: 1).bidMicros == 2)
    #expect(limits.bound(bidMicros: 100, valueMicros: nil, lastMicros: 8).bidMicros == 10)
  }

  @Test func valuesThatAreNotKnownBindNothing() {
    let limits = BidLimits(ceiling: 0.8, stepLimit: 1.25)
    #expect(limits.bound(bidMicros: 500, valueMicros: nil, lastMicros: nil).bidMicros == 500)
    #expect(limits.bound(bidMicros: 500, valueMicros: 0, lastMicros: nil).bidMicros == 0)
  }

  @Test func noNumberIsNoBid() {
    #expect(BidLimits.micros(.nan) == 0)
    #expect(BidLimits.micros(-3) == 0)
    #expect(BidLimits.micros(.infinity) == BidLimits.bidMicrosMax)
    #expect(BidLimits.micros(0.5) == 1)
    let limits = BidLimits(ceiling: 1e300, stepLimit: 1_000)
    let bounded = limits.bound(
      bidMicros: BidLimits.bidMicrosMax, valueMicros: 1e300, lastMicros: BidLimits.bidMicrosMax)
    #expect(bounded.bidMicros == BidLimits.bidMicrosMax)
  }
}

@Suite struct StandingOrdersTests {
  private let now = EventTime(milliseconds: 1_000)

  private func until(_ milliseconds: Int64) -> EventTime { EventTime(milliseconds: milliseconds) }

  @Test func aPauseEnds() {
    var orders = StandingOrders()
    #expect(orders.take(.pause, valueMicros: nil, until: until(5_000), at: now, clock: now) == nil)
    #expect(orders.isPaused(at: until(4_999)))
    #expect(!orders.isPaused(at: until(5_000)))
    #expect(orders.take(.pause, valueMicros: nil, until: nil, at: now, clock: now) == nil)
    #expect(orders.isPaused(at: .latest))
    #expect(orders.take(.resume, valueMicros: nil, until: nil, at: now, clock: now) == nil)
    #expect(!orders.isPaused(at: now))
  }

  @Test func onlyAReleaseLiftsAKill() {
    var orders = StandingOrders()
    #expect(orders.take(.kill, valueMicros: nil, until: nil, at: now, clock: now) == nil)
    #expect(orders.take(.resume, valueMicros: nil, until: nil, at: now, clock: now) == nil)
    #expect(orders.isKilled(at: now))
    #expect(orders.take(.release, valueMicros: nil, until: nil, at: now, clock: now) == nil)
    #expect(!orders.isKilled(at: now))
    #expect(orders.nextEnd(after: now) == nil)
  }

  /// An order counts by when it was given, not by when it came.
  @Test func anOlderOrderChangesNothing() {
    var orders = StandingOrders()
    let (early, late) = (until(300), until(600))
    #expect(orders.take(.kill, valueMicros: nil, until: nil, at: late, clock: now) == nil)
    #expect(
      orders.take(.release, valueMicros: nil, until: nil, at: early, clock: now) == nil,
      "of the other kinds nothing newer is known")
    #expect(orders.isKilled(at: now))
    #expect(
      orders.take(.kill, valueMicros: nil, until: until(9_000), at: early, clock: now)
        == .superseded)
    #expect(orders.nextEnd(after: now) == nil)
    #expect(orders.take(.release, valueMicros: nil, until: nil, at: late, clock: now) == nil)
    #expect(!orders.isKilled(at: now))
  }

  @Test func capsAndFactorsNeedAValue() {
    var orders = StandingOrders()
    #expect(
      orders.take(.setMaxBid, valueMicros: nil, until: nil, at: now, clock: now) == .missingValue)
    #expect(
      orders.take(.setMultiplier, valueMicros: nil, until: nil, at: now, clock: now)
        == .missingValue)
    #expect(orders == StandingOrders())
    #expect(orders.take(.setMaxBid, valueMicros: -5, until: nil, at: now, clock: now) == nil)
    #expect(orders.maxBidMicros(at: now) == 0)
    #expect(
      orders.take(.setMultiplier, valueMicros: 1_500_000, until: until(2_000), at: now, clock: now)
        == nil)
    #expect(orders.multiplier(at: now) == 1.5)
    #expect(orders.multiplier(at: until(2_000)) == 1)
  }

  @Test func ordersOfThePastAreRefused() {
    var orders = StandingOrders()
    #expect(
      orders.take(.kill, valueMicros: nil, until: until(1_000), at: now, clock: now) == .expired)
    #expect(!orders.isKilled(at: now))
  }
}

@Suite struct BidGoalTests {
  @Test func worthByGoal() {
    func worth(_ kind: EventDetails.Campaign.GoalKind, _ target: Int64) -> Double {
      BidGoal(kind: kind, targetMicros: target).worthMicros(valueMicros: 3_000, conversions: 0.001)
    }
    #expect(worth(.maxValue, 0) == 3_000)
    #expect(worth(.cpa, 5_000_000) == 5_000)
    #expect(worth(.roas, 2_000_000) == 1_500)
    #expect(worth(.roas, 0) == 3_000)
    #expect(worth(.cpa, -1) == 3_000)
  }

  @Test func aCostPerConversionDoesNotAskForValues() {
    let cpa = BidGoal(kind: .cpa, targetMicros: 5_000_000)
    #expect(cpa.isByConversions && cpa.deviation(value: .infinity, conversions: 0.2) == 0.2)
    let roas = BidGoal(kind: .roas, targetMicros: 5_000_000)
    #expect(!roas.isByConversions && roas.deviation(value: 0.3, conversions: 0.2) == 0.3)
    #expect(!BidGoal(kind: .cpa, targetMicros: 0).isByConversions)
  }
}
