/// One decoded event: fixed layout, no owned memory.
///
/// A field that the record does not have holds its default: absent identifiers, zero money,
/// `viewable` true, `consent` true. Whether a field was given at all can be asked with `given`.
/// What only rare types carry stands in the batch's `details`, at `detail`.
@frozen
public struct Event: BitwiseCopyable, @unchecked Sendable {
  public var time: EventTime
  public var type: EventType
  public var flags: Flags
  /// Index into `EventBatch.details`; -1 when this type has none.
  public var detail: Int32
  /// Range in `EventBatch.features`.
  public var featuresStart: Int32
  public var featuresCount: Int32

  public var id: Identifier
  public var account: Identifier
  public var campaign: Identifier
  public var ad: Identifier
  public var advertiser: Identifier
  public var user: Identifier
  public var device: Identifier
  public var clickID: Identifier
  public var placement: Identifier
  /// The bidder shard of an impression or lease.
  public var shard: Identifier
  /// What this event refers to: a click's `impression`, a conversion's `order`, a deal stage's
  /// `deal`, an adjustment's `target`.
  public var reference: Identifier
  /// A conversion's `action` (default `"conversion"`) or a deal stage's `stage`.
  public var action: Identifier

  /// impression, click, auction: `price`. lease: `amount`.
  public var price: Money
  /// impression, auction: `bid`.
  public var bid: Money
  /// conversion: `value`. deal_stage: `amount`. adjustment: `value`. control: `value` where it is
  /// money (`set_max_bid`).
  public var value: Money

  /// Facts of one bit each.
  @frozen
  public struct Flags: OptionSet, Sendable, BitwiseCopyable {
    public var rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// impression: could be seen (default true).
    public static var viewable: Flags { @inlinable get { Flags(rawValue: 1 << 0) } }
    /// `consent` was not given as false.
    public static var consent: Flags { @inlinable get { Flags(rawValue: 1 << 1) } }
    /// auction: the bid won.
    public static var won: Flags { @inlinable get { Flags(rawValue: 1 << 2) } }
    /// `price` was given.
    public static var hasPrice: Flags { @inlinable get { Flags(rawValue: 1 << 3) } }
    /// `bid` was given.
    public static var hasBid: Flags { @inlinable get { Flags(rawValue: 1 << 4) } }
    /// `value` or a deal's `amount` was given.
    public static var hasValue: Flags { @inlinable get { Flags(rawValue: 1 << 5) } }
    /// `features` was given (an empty object counts).
    public static var hasFeatures: Flags { @inlinable get { Flags(rawValue: 1 << 6) } }
    /// The record had fields that its type does not know.
    public static var hasUnknownFields: Flags { @inlinable get { Flags(rawValue: 1 << 7) } }
  }

  @inlinable
  public init(type: EventType, time: EventTime) {
    self.time = time
    self.type = type
    flags = [.viewable, .consent]
    detail = -1
    featuresStart = 0
    featuresCount = 0
    id = .absent
    account = .absent
    campaign = .absent
    ad = .absent
    advertiser = .absent
    user = .absent
    device = .absent
    clickID = .absent
    placement = .absent
    shard = .absent
    reference = .absent
    action = .absent
    price = .zero
    bid = .zero
    value = .zero
  }
}

/// One feature of an event, hashed when it was decoded.
///
/// `name` is MurmurHash3_x86_32 of the name (seed 0); `hash` goes on from it over the value's
/// text for strings and booleans (so the same text under two names differs) and equals `name`
/// for numbers, whose value is in `value`.
@frozen
public struct Feature: BitwiseCopyable, Sendable, Equatable {
  public var name: UInt32
  public var hash: UInt32
  /// A number's value; 1 for strings and booleans.
  public var value: Double

  @inlinable
  public init(name: UInt32, hash: UInt32, value: Double) {
    self.name = name
    self.hash = hash
    self.value = value
  }
}
