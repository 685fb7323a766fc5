public import Events

extension Money {
  /// Adds an amount of at least 0. Sums stay at 2⁶³ − 1 instead of overflowing: prices in a world
  /// may be so high that a day of them is more than there is money.
  @inline(__always)
  package mutating func add(micros: Int64) {
    let sum = rawValue.addingReportingOverflow(micros)
    rawValue = sum.overflow ? Int64.max : sum.partialValue
  }
}

/// What an ad is, and what it has brought so far; exact, but for amounts that reach 2⁶³ − 1 micros.
public struct AdTruth: Sendable, Equatable {
  /// Clicks per impression, of an average person who has not seen the campaign.
  public var clickRate = 0.0
  /// Conversions per click, of the same.
  public var conversionRate = 0.0

  public var impressions: Int64 = 0
  public var clicks: Int64 = 0
  /// Conversions that have happened.
  public var conversions: Int64 = 0
  public var spend = Money.zero
  /// Of the conversions that have happened.
  public var value = Money.zero
  public var auctionsLost: Int64 = 0

  /// Conversions that its clicks have led to, those under way too.
  public var causedConversions: Int64 = 0
  public var causedValue = Money.zero
  /// The sum of the chances that its impressions had to be clicked: the rate that an estimate
  /// should find is this over `impressions`.
  public var expectedClicks = 0.0
  /// The same for conversions, over its clicks.
  public var expectedConversions = 0.0

  public init() {}

  mutating func add(_ other: AdTruth) {
    impressions += other.impressions
    clicks += other.clicks
    conversions += other.conversions
    spend.add(micros: other.spend.micros)
    value.add(micros: other.value.micros)
    auctionsLost += other.auctionsLost
    causedConversions += other.causedConversions
    causedValue.add(micros: other.causedValue.micros)
    expectedClicks += other.expectedClicks
    expectedConversions += other.expectedConversions
  }
}

/// A campaign's day, in its own time zone.
public struct DayTruth: Sendable, Equatable {
  public var start: EventTime
  public var end: EventTime
  /// The whole day lies in the world.
  public var isWhole: Bool
  /// As it stood last.
  public var budget: Money
  public var spend = Money.zero
  /// What the default bid would have spent without a budget.
  public var reachable = Money.zero
  public var opportunities: Int64 = 0
  public var impressions: Int64 = 0
  /// When the budget was spent; nil while it was not.
  public var exhaustedAt: EventTime?
  /// The last impression.
  public var lastSpentAt: EventTime?
  /// The most that was spent within any stretch of `bidder.step` + `bidder.latency`: what may be
  /// under way when the budget is spent, for whoever learns of it so late.
  public var busiest = Money.zero
}

/// What was spent in the last stretch of time: exact up to 2⁶³ − 1 micros, and what is beyond them
/// is left out.
struct RecentSpend {
  private var items: ContiguousArray<(time: Int64, micros: Int64)> = []
  private var first = 0
  private var sum: Int64 = 0
  let span: Int64

  init(span: TimeSpan) { self.span = span.milliseconds }

  /// - Returns: the sum over the stretch that ends with this.
  @inline(__always)
  mutating func add(_ micros: Int64, at time: EventTime) -> Int64 {
    let now = time.milliseconds
    while first < items.count, items[first].time < now - span {
      sum -= items[first].micros
      first += 1
    }
    if first > 256, first * 2 > items.count {
      items.removeFirst(first)
      first = 0
    }
    // No more than there is room for, so that the sum is always that of the items.
    let taken = min(micros, Int64.max - sum)
    items.append((now, taken))
    sum += taken
    return sum
  }
}
