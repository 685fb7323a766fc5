// Safety: what a bid may be, whatever was proposed. Orders of people and of risk systems, caps,
// and the step limit, as plain values; when something is published is the operator's business.

/// What bounds a bid, or stops it. Raw values are stable: they stand in snapshots.
public struct BidReasons: OptionSet, Sendable, BitwiseCopyable, Hashable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The campaign's default bid stands in for a value that is not known well enough.
  public static let defaultBid = BidReasons(rawValue: 1 << 0)
  /// Bids are lowered so that the budget lasts.
  public static let pacing = BidReasons(rawValue: 1 << 1)
  /// A `set_multiplier` order.
  public static let controlMultiplier = BidReasons(rawValue: 1 << 2)
  /// The campaign's `bid.max`.
  public static let maxBid = BidReasons(rawValue: 1 << 3)
  /// A `set_max_bid` order.
  public static let controlMaxBid = BidReasons(rawValue: 1 << 4)
  /// The campaign's `bid.ceiling` times the value.
  public static let ceiling = BidReasons(rawValue: 1 << 5)
  /// So many times the bid that was published last.
  public static let stepLimit = BidReasons(rawValue: 1 << 6)

  // From here on: no bid at all.
  public static let dailyBudget = BidReasons(rawValue: 1 << 16)
  public static let totalBudget = BidReasons(rawValue: 1 << 17)
  public static let scheduleNotStarted = BidReasons(rawValue: 1 << 18)
  public static let scheduleEnded = BidReasons(rawValue: 1 << 19)
  /// The catalogue says `paused`.
  public static let campaignPaused = BidReasons(rawValue: 1 << 20)
  /// The catalogue says `ended`.
  public static let campaignEnded = BidReasons(rawValue: 1 << 21)
  public static let controlPause = BidReasons(rawValue: 1 << 22)
  public static let controlKill = BidReasons(rawValue: 1 << 23)

  private static let named: [(BidReasons, StaticString)] = [
    (.controlKill, "control_kill"), (.controlPause, "control_pause"),
    (.campaignEnded, "campaign_ended"), (.campaignPaused, "campaign_paused"),
    (.scheduleEnded, "schedule_ended"), (.scheduleNotStarted, "schedule_not_started"),
    (.totalBudget, "total_budget"), (.dailyBudget, "daily_budget"),
    (.defaultBid, "default_bid"), (.pacing, "pacing"),
    (.controlMultiplier, "control_multiplier"), (.maxBid, "max_bid"),
    (.controlMaxBid, "control_max_bid"), (.ceiling, "ceiling"), (.stepLimit, "step_limit"),
  ]

  /// Calls `body` with the name of each as it is published, the strongest first.
  public func forEachName(_ body: (StaticString) -> Void) {
    for (reason, name) in BidReasons.named where contains(reason) { body(name) }
  }
}

/// What a bidder may do with an ad. Raw values are stable: they stand in snapshots.
public enum BidStatus: UInt8, Sendable, BitwiseCopyable {
  /// Bids, and is not known well.
  case learning = 0
  case active = 1
  case paused = 2
  /// A budget is spent.
  case exhausted = 3
  case killed = 4

  public var name: StaticString {
    switch self {
    case .learning: "learning"
    case .active: "active"
    case .paused: "paused"
    case .exhausted: "exhausted"
    case .killed: "killed"
    }
  }

  /// Whether it bids at all.
  public var bids: Bool { self == .learning || self == .active }
}
