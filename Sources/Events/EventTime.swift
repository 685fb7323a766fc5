/// A moment of event time, in whole milliseconds since the Unix epoch (UTC, no leap seconds).
///
/// The engine has no other clock: every time it reads comes from an event or from a clock entry
/// of the sequence.
@frozen
public struct EventTime: RawRepresentable, Hashable, Comparable, Sendable, BitwiseCopyable {
  public var rawValue: Int64

  @inlinable
  public init(rawValue: Int64) { self.rawValue = rawValue }

  /// The moment `milliseconds` after 1970-01-01T00:00:00Z.
  @inlinable
  public init(milliseconds: Int64) { self.rawValue = milliseconds }

  @inlinable
  public var milliseconds: Int64 { rawValue }

  /// Before every event: 1970-01-01T00:00:00Z is the earliest time that an event may carry.
  public static let earliest = EventTime(milliseconds: 0)
  /// 9999-12-31T23:59:59.999Z, the latest time that RFC 3339 can write.
  public static let latest = EventTime(milliseconds: 253_402_300_799_999)

  @inlinable
  public static func < (a: EventTime, b: EventTime) -> Bool { a.rawValue < b.rawValue }

  @inlinable
  public static func + (time: EventTime, span: TimeSpan) -> EventTime {
    EventTime(rawValue: time.rawValue + span.milliseconds)
  }

  @inlinable
  public static func - (time: EventTime, span: TimeSpan) -> EventTime {
    EventTime(rawValue: time.rawValue - span.milliseconds)
  }

  @inlinable
  public static func - (a: EventTime, b: EventTime) -> TimeSpan {
    TimeSpan(milliseconds: a.rawValue - b.rawValue)
  }
}

/// A length of event time, in whole milliseconds.
@frozen
public struct TimeSpan: Hashable, Comparable, Sendable, BitwiseCopyable {
  public var milliseconds: Int64

  @inlinable
  public init(milliseconds: Int64) { self.milliseconds = milliseconds }

  @inlinable public static func milliseconds(_ n: Int64) -> TimeSpan { TimeSpan(milliseconds: n) }
  @inlinable public static func seconds(_ n: Int64) -> TimeSpan { TimeSpan(milliseconds: n * 1000) }
  @inlinable public static func minutes(_ n: Int64) -> TimeSpan { .seconds(n * 60) }
  @inlinable public static func hours(_ n: Int64) -> TimeSpan { .minutes(n * 60) }
  @inlinable public static func days(_ n: Int64) -> TimeSpan { .hours(n * 24) }

  @inlinable
  public static func < (a: TimeSpan, b: TimeSpan) -> Bool { a.milliseconds < b.milliseconds }
}
