public import Events

/// A time zone as far as a market needs it: how far its clocks are ahead of UTC, and from when.
public struct MarketZone: Sendable, Equatable {
  public struct Change: Sendable, Equatable {
    public var from: EventTime
    /// Seconds that local time is ahead of UTC (east is positive).
    public var offsetSeconds: Int

    public init(from: EventTime, offsetSeconds: Int) {
      self.from = from
      self.offsetSeconds = offsetSeconds
    }
  }

  /// Its IANA name.
  public let name: String
  /// By time; the first one also holds before it.
  public let changes: [Change]

  public static let utc = MarketZone(name: "UTC", changes: [])

  public init(name: String, changes: [Change]) {
    self.name = name
    self.changes = changes
  }

  /// Seconds that local time is ahead of UTC at a moment.
  public func offsetSeconds(at time: EventTime) -> Int {
    var offset = changes.first?.offsetSeconds ?? 0
    for change in changes where change.from <= time { offset = change.offsetSeconds }
    return offset
  }

  /// Milliseconds since local midnight by the clock on the wall, 0 ..< 86,400,000.
  func timeOfDay(at time: EventTime) -> Int64 {
    let local = time.milliseconds + Int64(offsetSeconds(at: time)) * 1000
    let day: Int64 = 86_400_000
    return ((local % day) + day) % day
  }

  /// The local day that a moment lies in: from midnight to midnight.
  public func day(containing time: EventTime) -> (start: EventTime, end: EventTime) {
    let length: Int64 = 86_400_000
    let local = time.milliseconds + Int64(offsetSeconds(at: time)) * 1000
    let midnight = local - ((local % length) + length) % length
    return (moment(ofLocal: midnight), moment(ofLocal: midnight + length))
  }

  /// When the clocks show a time; where they skip it, the moment at which they do.
  private func moment(ofLocal local: Int64) -> EventTime {
    // The offset of the moment is not known before the moment is: the earliest offset that agrees
    // with itself, or the change that skips the time.
    let guesses = Set(changes.map(\.offsetSeconds)).union([offsetSeconds(at: .earliest)]).sorted(
      by: >)
    for guess in guesses {
      let moment = EventTime(milliseconds: local - Int64(guess) * 1000)
      if offsetSeconds(at: moment) == guess { return moment }
    }
    for (earlier, later) in zip(changes, changes.dropFirst()) {
      let skipped = later.from.milliseconds + Int64(earlier.offsetSeconds) * 1000
      if local >= skipped, local < later.from.milliseconds + Int64(later.offsetSeconds) * 1000 {
        return later.from
      }
    }
    return EventTime(milliseconds: local - Int64(guesses.first ?? 0) * 1000)
  }
}
