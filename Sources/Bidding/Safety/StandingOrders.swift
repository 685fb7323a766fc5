public import Events

/// The orders that stand for one scope: an account, a campaign or an ad.
///
/// An order with an end holds while the clock is before it. Of two orders of a kind the one given
/// later holds, by the time of the order and not by when it arrived.
public struct StandingOrders: BitwiseCopyable, Sendable, Equatable {
  /// Ends in ms of event time; `Int64.min` where there is no order, `Int64.max` for no end.
  public private(set) var pauseEnd = Int64.min
  public private(set) var killEnd = Int64.min
  public private(set) var maxBidEnd = Int64.min
  public private(set) var multiplierEnd = Int64.min
  private var maxBidMicrosOrdered: Int64 = 0
  private var multiplierMillionths: Int64 = 1_000_000
  /// When the newest word about each was given, in ms of event time.
  private var pauseTime = Int64.min
  private var killTime = Int64.min
  private var maxBidTime = Int64.min
  private var multiplierTime = Int64.min

  public init() {}

  /// Why an order has no effect.
  public enum Refusal: Sendable {
    /// `set_max_bid` or `set_multiplier` without a value.
    case missingValue
    /// Its `until` has passed.
    case expired
    /// A later order came before it.
    case superseded
  }

  /// Takes an order.
  ///
  /// - Parameters:
  ///   - valueMicros: `set_max_bid`: money; `set_multiplier`: a factor. Below 0 counts as 0.
  ///   - until: nil for no end.
  ///   - time: when it was given.
  /// - Returns: nil when the order stands.
  public mutating func take(
    _ action: EventDetails.Control.Action, valueMicros: Int64?, until: EventTime?,
    at time: EventTime, clock: EventTime
  ) -> Refusal? {
    let given = time.milliseconds
    let end = until?.milliseconds ?? Int64.max
    switch action {
    case .resume: return Self.lift(&pauseEnd, &pauseTime, given) ? nil : .superseded
    case .release:
      let lifted = [
        Self.lift(&pauseEnd, &pauseTime, given), Self.lift(&killEnd, &killTime, given),
        Self.lift(&maxBidEnd, &maxBidTime, given),
        Self.lift(&multiplierEnd, &multiplierTime, given),
      ]
      return lifted.contains(true) ? nil : .superseded
    case .pause: return Self.give(&pauseEnd, &pauseTime, given, until: end, clock)
    case .kill: return Self.give(&killEnd, &killTime, given, until: end, clock)
    case .setMaxBid:
      guard let valueMicros else { return .missingValue }
      let refusal = Self.give(&maxBidEnd, &maxBidTime, given, until: end, clock)
      if refusal == nil { maxBidMicrosOrdered = max(valueMicros, 0) }
      return refusal
    case .setMultiplier:
      guard let valueMicros else { return .missingValue }
      let refusal = Self.give(&multiplierEnd, &multiplierTime, given, until: end, clock)
      if refusal == nil { multiplierMillionths = max(valueMicros, 0) }
      return refusal
    }
  }

  private static func lift(_ end: inout Int64, _ newest: inout Int64, _ given: Int64) -> Bool {
    guard given >= newest else { return false }
    (end, newest) = (Int64.min, given)
    return true
  }

  private static func give(
    _ end: inout Int64, _ newest: inout Int64, _ given: Int64, until: Int64, _ clock: EventTime
  ) -> Refusal? {
    guard until > clock.milliseconds else { return .expired }
    guard given >= newest else { return .superseded }
    (end, newest) = (until, given)
    return nil
  }

  /// When the next of the orders that stand ends; nil where none does.
  public func nextEnd(after clock: EventTime) -> EventTime? {
    var next = Int64.max
    for end in [pauseEnd, killEnd, maxBidEnd, multiplierEnd] where end > clock.milliseconds {
      next = min(next, end)
    }
    return next == Int64.max ? nil : EventTime(milliseconds: next)
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

  /// When they were given, for a digest.
  public var times: (Int64, Int64, Int64, Int64) {
    (pauseTime, killTime, maxBidTime, multiplierTime)
  }
}
