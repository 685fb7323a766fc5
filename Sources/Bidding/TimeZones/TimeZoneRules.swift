public import Events

// Time zones: where a campaign's day begins. The rules are data that is compiled in, because the
// same log must give the same days on every machine and in every year; a machine's own zone
// information, its locale and its clock have no place here.
//
// `TimeZoneData` is generated, `TimeZoneTables` reads it once, `TimeZoneRules` answers.

/// Names a time zone in state: a hash of its IANA name, which stays the same in every release.
@frozen
public struct TimeZoneID: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt32

  @inlinable
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The zone `UTC`.
  public static let utc = TimeZoneID(rawValue: TimeZoneTables.hash(StaticString("UTC")))
}

/// The local time of one zone since 2000; what was before is not known here.
///
/// A local day begins at the first instant of its date, which is not always 00:00 and not always
/// 24 hours after the last one. Where clocks are set back over midnight, the date that was there
/// first goes on. A date that a zone leaves out has no day.
public struct TimeZoneRules: Sendable {
  /// The release of the IANA time zone database that the rules come from. Days depend on it, so
  /// it belongs into whatever names the rules of a computation.
  public static let release = TimeZoneData.release

  private let zone: TimeZoneTables.Zone

  /// The zone of an IANA name, links included; nil where there is none. Case matters. O(log n)
  /// over 600 names, allocates nothing.
  public static func find(_ name: UnsafeBufferPointer<UInt8>) -> TimeZoneID? {
    TimeZoneTables.shared.find(name)
  }

  /// The same, for a text.
  public static func find(_ name: String) -> TimeZoneID? {
    var name = name
    return name.withUTF8 { find($0) }
  }

  /// The rules of a zone; those of UTC where this release does not know it. O(log n).
  public init(_ id: TimeZoneID) {
    let tables = TimeZoneTables.shared
    zone = tables.zone(id) ?? tables.zone(.utc) ?? TimeZoneTables.Zone()
  }

  /// How far local time is ahead of UTC. O(log n) over the zone's changes.
  public func offsetSeconds(at time: EventTime) -> Int {
    Int(segment(at: time.milliseconds).offset / 1_000)
  }

  /// When the local day of this moment began. O(log n).
  public func startOfDay(containing time: EventTime) -> EventTime {
    // No day is longer than two of 26 hours; three days before, another one was on.
    var start = time - .days(3)
    while true {
      let next = nextMidnight(after: start)
      if next > time { return start }
      start = next
    }
  }

  /// When the next local day begins: the first instant after `time` whose date is later than any
  /// date so far. O(log n).
  public func nextMidnight(after time: EventTime) -> EventTime {
    var segment = segment(at: time.milliseconds)
    let date = TimeZoneRules.date(time.milliseconds &+ segment.offset)
    let next = max(date, newestDate(before: segment, time.milliseconds)) &+ 1
    while true {
      let midnight = max(next &* TimeZoneRules.day &- segment.offset, segment.start)
      if midnight < segment.end { return EventTime(milliseconds: midnight) }
      segment = self.segment(at: segment.end)
    }
  }

  private static let day = TimeSpan.days(1).milliseconds

  private static func date(_ local: Int64) -> Int64 {
    local >= 0 ? local / day : -((day &- 1 &- local) / day)
  }

  /// The latest date that was reached before a segment of constant offset began. Clocks that were
  /// set back may have been beyond today's date; two days later nobody remembers.
  private func newestDate(before segment: TimeZoneTables.Segment, _ time: Int64) -> Int64 {
    var newest = Int64.min
    var start = segment.start
    while start > time &- 2 &* TimeZoneRules.day {
      let before = self.segment(at: start &- 1)
      newest = max(newest, TimeZoneRules.date(start &- 1 &+ before.offset))
      start = before.start
    }
    return newest
  }

  private func segment(at time: Int64) -> TimeZoneTables.Segment { zone.segment(at: time) }
}
