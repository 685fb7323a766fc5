/// The limits on one ad's bid, and what they make of it.
public struct BidLimits: Sendable {
  /// The campaign's `bid.max` in micros; nil for none.
  public var maxBidMicros: Int64?
  /// The lowest `set_max_bid` of its scopes; nil for none.
  public var controlMaxBidMicros: Int64?
  /// Bids stay below `ceiling` × value; nil for none.
  public var ceiling: Double?
  /// Bids rise to at most this times the last one.
  public var stepLimit: Double

  public init(
    maxBidMicros: Int64? = nil, controlMaxBidMicros: Int64? = nil, ceiling: Double? = nil,
    stepLimit: Double
  ) {
    self.maxBidMicros = maxBidMicros
    self.controlMaxBidMicros = controlMaxBidMicros
    self.ceiling = ceiling
    self.stepLimit = stepLimit
  }

  /// A limit that lowered the bid.
  public struct Clip: BitwiseCopyable, Sendable, Equatable {
    public var limit: BidReasons
    public var rawMicros: Int64
    public var clippedMicros: Int64

    /// No limit.
    public static let none = Clip(limit: [], rawMicros: 0, clippedMicros: 0)
  }

  /// A bid within its limits, and which of them it met.
  public struct Bounded: BitwiseCopyable, Sendable {
    public var bidMicros: Int64
    /// The cap that stands whatever is proposed: the lowest of the configured ones; nil for none.
    public var capMicros: Int64?
    /// In the order in which they were applied; unused ones have no limit.
    public var clips: (Clip, Clip, Clip, Clip)
    public private(set) var reasons: BidReasons = []

    init(bidMicros: Int64) {
      self.bidMicros = bidMicros
      clips = (.none, .none, .none, .none)
    }

    mutating func lower(to limit: Int64, because reason: BidReasons) {
      guard bidMicros > limit else { return }
      let clip = Clip(limit: reason, rawMicros: bidMicros, clippedMicros: limit)
      switch reason {
      case .maxBid: clips.0 = clip
      case .controlMaxBid: clips.1 = clip
      case .ceiling: clips.2 = clip
      default: clips.3 = clip
      }
      bidMicros = limit
      reasons.insert(reason)
    }
  }

  /// - Parameters:
  ///   - bidMicros: What was proposed; not below 0.
  ///   - valueMicros: Of an average impression; nil while it is not known well enough to bind.
  ///   - lastMicros: The newest bid above 0 that was published; nil before the first.
  public func bound(bidMicros: Int64, valueMicros: Double?, lastMicros: Int64?) -> Bounded {
    var bounded = Bounded(bidMicros: bidMicros)
    if let maxBidMicros {
      bounded.lower(to: maxBidMicros, because: .maxBid)
      bounded.capMicros = maxBidMicros
    }
    if let controlMaxBidMicros {
      bounded.lower(to: controlMaxBidMicros, because: .controlMaxBid)
      bounded.capMicros = min(bounded.capMicros ?? controlMaxBidMicros, controlMaxBidMicros)
    }
    if let ceiling, let valueMicros {
      bounded.lower(to: BidLimits.micros(ceiling * valueMicros), because: .ceiling)
    }
    if let lastMicros {
      // At least one micro up, or a bid of a few micros could never rise again.
      let step = BidLimits.micros((Double(lastMicros) * stepLimit).rounded(.down))
      bounded.lower(to: max(step, lastMicros &+ 1), because: .stepLimit)
    }
    return bounded
  }

  /// The largest bid that is ever published, in micros: a million units of currency.
  public static let bidMicrosMax: Int64 = 1_000_000_000_000

  /// A bid as whole micros: from 0 to `bidMicrosMax`. What is no number is no bid.
  public static func micros(_ value: Double) -> Int64 {
    guard value > 0 else { return 0 }
    return Int64(min(value, Double(bidMicrosMax)).rounded())
  }
}
