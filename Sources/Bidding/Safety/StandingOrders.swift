public import Events

/// The orders that stand for one scope: an account, a campaign or an ad.
///
/// An order with an end holds while the clock is before it. A later order of the same kind
/// replaces an earlier one.
public struct StandingOrders: BitwiseCopyable, Sendable, Equatable {
  /// Ends in ms of event time; `Int64.min` where there is no order, `Int64.max` for no end.
  public private(set) var pauseEnd = Int64.min
  public private(set) var killEnd = Int64.min
  public private(set) var maxBidEnd = Int64.min
  public private(set) var multiplierEnd = Int64.min
  private var maxBidMicrosOrdered: Int64 = 0
  private var multiplierMillionths: Int64 = 1_000_000

  public init() {}

  /// Why an order cannot be obeyed.
  public enum Refusal: Sendable {
    /// `set_max_bid` or `set_multiplier` without a value.
    case missingValue
    /// Its `until` has passed.
    case expired
  }

  /// Takes an order.
  ///
  /// - Parameters:
  ///   - valueMicros: `set_max_bid`: money; `set_multiplier`: a factor. Below 0 counts as 0.
  ///   - until: nil for no end.
  /// - Returns: nil when the order stands.
  public mutating func take(
    _ action: EventDetails.Control.Action, valueMicros: Int64?, until: EventTime?,
    clock: EventTime
  ) -> Refusal? {
    let end = until?.milliseconds ?? Int64.max
    switch action {
    case .resume:
      pauseEnd = Int64.min
      return nil
    case .release:
      self = StandingOrders()
      return nil
    case .pause, .kill, .setMaxBid, .setMultiplier:
      guard end > clock.milliseconds else { return .expired }
    }
    switch action {
    case .pause: pauseEnd = end
    case .kill: killEnd = end
    case .setMaxBid:
      guard let valueMicros else { return .missingValue }
      maxBidMicrosOrdered = max(valueMicros, 0)
      maxBidEnd = end
    case .setMultiplier:
      guard let valueMicros else { return .missingValue }
      multiplierMillionths = max(valueMicros, 0)
      multiplierEnd = end
    case .resume, .release: break
    }
    return nil
  }

  public func isPaused(at clock: EventTime) -> Bool { pauseEnd > clock.milliseconds }
  public func isKilled(at clock: EventTime) -> Bool { killEnd > clock.milliseconds }

  /// nil where no order caps the bid.
  public func maxBidMicros(at clock: EventTime) -> Int64? {
    maxBidEnd > clock.milliseconds ? maxBidMicrosOrdered : nil
  }

  /// 1 where no order says otherwise.
  public func multiplier(at clock: EventTime) -> Double {
    multiplierEnd > clock.milliseconds ? Double(multiplierMillionths) / 1e6 : 1
  }

  /// Everything that makes up the orders, for a digest.
  public var words: (Int64, Int64, Int64, Int64, Int64, Int64) {
    (pauseEnd, killEnd, maxBidEnd, maxBidMicrosOrdered, multiplierEnd, multiplierMillionths)
  }
}
