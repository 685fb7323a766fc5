/// The fields that only rare event types carry, beside the fixed layout of `Event`.
public enum EventDetails: Sendable {
  case dealStage(DealStage)
  case conversion(signals: Signals)
  case campaign(Campaign)
  case control(Control)
  case adjustment(Adjustment)
  case lease(LeaseAction)
  case actuals(Actuals)
  case prior(kind: Identifier, payload: Identifier)

  /// Weak evidence of who somebody is. Every field may be absent.
  public struct Signals: Sendable {
    public var ip = Identifier.absent
    public var userAgent = Identifier.absent
    public var language = Identifier.absent
    public var timezone = Identifier.absent
    public var postal = Identifier.absent
    public init() {}
  }

  public struct DealStage: Sendable {
    /// `"default"` when not given.
    public var pipeline: Identifier
    /// nil when the record had none.
    public var signals: Signals?
    public init(pipeline: Identifier, signals: Signals?) {
      self.pipeline = pipeline
      self.signals = signals
    }
  }

  /// The catalogue entry of a campaign. Absent fields are nil; defaults are the operators'.
  public struct Campaign: Sendable {
    public enum Status: UInt8, Sendable, BitwiseCopyable { case active, paused, ended }
    public enum GoalKind: UInt8, Sendable, BitwiseCopyable { case maxValue, cpa, roas }
    public enum Mode: UInt8, Sendable, BitwiseCopyable { case direct, pipeline }
    public enum Auction: UInt8, Sendable, BitwiseCopyable { case firstPrice, secondPrice }

    public var status: Status?
    public var dailyBudget: Money?
    public var totalBudget: Money?
    public var start: EventTime?
    public var end: EventTime?
    /// An IANA name; absent means UTC.
    public var timezone = Identifier.absent
    public var goal: GoalKind?
    /// Micros: an amount for `cpa`, a ratio for `roas`.
    public var goalTarget: Money?
    public var defaultBid: Money?
    public var maxBid: Money?
    /// The alpha of alpha × value, in millionths.
    public var ceilingMicros: Int64?
    public var mode: Mode?
    public var auction: Auction?
    public init() {}
  }

  /// A person's or a risk system's order.
  public struct Control: Sendable {
    public enum Action: UInt8, Sendable, BitwiseCopyable {
      case pause, resume, kill, setMaxBid, setMultiplier, release
    }
    public var action: Action
    /// Micros: money for `set_max_bid`, a factor for `set_multiplier`.
    public var valueMicros: Int64?
    public var until: EventTime?
    public var by = Identifier.absent
    public var reason = Identifier.absent
    public init(action: Action) { self.action = action }
  }

  /// A later correction of an earlier event; the event's id is `Event.reference`.
  public struct Adjustment: Sendable {
    public enum Kind: UInt8, Sendable, BitwiseCopyable { case refund, restate, invalidTraffic }
    public var kind: Kind
    public var targetType: EventType
    public init(kind: Kind, targetType: EventType) {
      self.kind = kind
      self.targetType = targetType
    }
  }

  public enum LeaseAction: UInt8, Sendable { case request, `return` }

  /// What the ad platform reports for a closed period.
  public struct Actuals: Sendable {
    public var from: EventTime
    public var to: EventTime
    public var impressions: Int64?
    public var clicks: Int64?
    public var conversions: Int64?
    public var spend: Money?
    public var revenue: Money?
    public init(from: EventTime, to: EventTime) {
      self.from = from
      self.to = to
    }
  }
}
