import Events

/// The generated text of all zones as arrays, made once when the first zone is asked for.
///
/// The text is a list of records of words:
/// `@ NAME… = OFFSET CHANGE… ~ STANDARD [SUMMER START END]`. Offsets are minutes ahead of UTC; a
/// change is `minutes since the one before (base 36):new offset`, the first one counted from 2000;
/// START and END of the yearly rule that holds after the last change are
/// `month.week.weekday.minute`, as in POSIX: week 5 is the month's last, minutes count on the
/// local clock before the change and may lie outside of the day.
struct TimeZoneTables: @unchecked Sendable {
  static let shared = TimeZoneTables()

  /// A change of offset: from `time` (ms) on it is `offset` (ms ahead of UTC).
  struct Change {
    var time: Int64
    var offset: Int64
  }

  /// A time in which the offset does not change, [start, end) in ms.
  struct Segment {
    var start: Int64
    var end: Int64
    var offset: Int64
  }

  private struct Name {
    var hash: UInt32
    var zone: Int32
    var text: UnsafeBufferPointer<UInt8>
  }

  private let names: UnsafeMutableBufferPointer<Name>
  private let zones: UnsafeMutableBufferPointer<Zone>

  private init() {
    let data = TimeZoneData.text
    var reader = Reader(UnsafeBufferPointer(start: data.utf8Start, count: data.utf8CodeUnitCount))
    var names: [Name] = []
    var zones: [Zone] = []
    while let word = reader.next() {
      precondition(TimeZoneTables.isText(word, "@"), "a time zone's record begins with @")
      while let name = reader.next(), !TimeZoneTables.isText(name, "=") {
        names.append(
          Name(hash: TimeZoneTables.hash(name), zone: Int32(zones.count), text: name))
      }
      zones.append(reader.zone())
    }
    names.sort { $0.hash < $1.hash }
    for (a, b) in zip(names, names.dropFirst()) {
      precondition(a.hash != b.hash, "two time zones have names of the same hash")
    }
    self.names = .allocate(capacity: names.count)
    _ = self.names.initialize(from: names)
    self.zones = .allocate(capacity: zones.count)
    _ = self.zones.initialize(from: zones)
  }

  static func hash(_ text: StaticString) -> UInt32 {
    hash(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Fowler–Noll–Vo, 32 bits, variant 1a. It stands in state: it never changes.
  static func hash(_ text: UnsafeBufferPointer<UInt8>) -> UInt32 {
    text.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
  }

  static func isText(_ word: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
    word.elementsEqual(
      UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  var nameCount: Int { names.count }

  func find(_ text: UnsafeBufferPointer<UInt8>) -> TimeZoneID? {
    let hash = TimeZoneTables.hash(text)
    guard let name = name(hash), name.text.elementsEqual(text) else { return nil }
    return TimeZoneID(rawValue: hash)
  }

  func zone(_ id: TimeZoneID) -> Zone? { name(id.rawValue).map { zones[Int($0.zone)] } }

  private func name(_ hash: UInt32) -> Name? {
    var range = 0..<names.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      if names[middle].hash == hash { return names[middle] }
      range =
        names[middle].hash < hash ? middle + 1..<range.upperBound : range.lowerBound..<middle
    }
    return nil
  }
}

extension TimeZoneTables {
  /// A yearly change, on the local clock before it.
  struct YearlyDate {
    var month = 1
    /// 1–4; 5 is the last.
    var week = 1
    /// 0 is Sunday.
    var weekday = 0
    /// After 00:00 of that day, in ms; may be negative or beyond the day.
    var time: Int64 = 0

    /// When it comes in a year, in ms of the local clock.
    func moment(in year: Int) -> Int64 {
      let first = CivilDay.number(year: year, month: month, day: 1)
      // 1970-01-01 was a Thursday.
      let weekdayOfFirst = ((first + 4) % 7 + 7) % 7
      var day = (weekday - weekdayOfFirst + 7) % 7 + (week - 1) * 7
      if day >= CivilDay.daysInMonth(month, of: year) { day -= 7 }
      return Int64(first + day) * 86_400_000 + time
    }
  }

  /// One zone: changes of its offset, which are never freed, and the rule that holds after the
  /// last of them.
  struct Zone: @unchecked Sendable {
    /// Before the first change.
    var offset: Int64 = 0
    var changes = UnsafeBufferPointer<Change>(start: nil, count: 0)
    var standard: Int64 = 0
    var summer: Int64 = 0
    var hasSummer = false
    var start = YearlyDate()
    var end = YearlyDate()

    func segment(at time: Int64) -> Segment {
      // The number of changes up to this time.
      var range = 0..<changes.count
      while !range.isEmpty {
        let middle = range.lowerBound + range.count / 2
        range =
          changes[middle].time <= time
          ? middle + 1..<range.upperBound : range.lowerBound..<middle
      }
      let count = range.lowerBound
      let begin = count == 0 ? Int64.min : changes[count - 1].time
      let offset = count == 0 ? offset : changes[count - 1].offset
      guard count == changes.count else {
        return Segment(start: begin, end: changes[count].time, offset: offset)
      }
      guard hasSummer else { return Segment(start: begin, end: .max, offset: offset) }
      return yearlySegment(at: time, Segment(start: begin, end: .max, offset: offset))
    }

    /// The segment among the yearly changes that come after the last one that is listed.
    private func yearlySegment(at time: Int64, _ listed: Segment) -> Segment {
      let year = CivilDay.date(Int((time &+ standard) / 86_400_000)).year
      var segment = listed
      func note(_ change: Int64, _ offset: Int64) {
        guard change > listed.start else { return }
        if change > time {
          segment.end = min(segment.end, change)
        } else if change > segment.start {
          segment.start = change
          segment.offset = offset
        }
      }
      for year in year - 1...year + 1 {
        note(start.moment(in: year) - standard, summer)
        note(end.moment(in: year) - summer, standard)
      }
      return segment
    }
  }
}

/// Takes the words of the text apart.
private struct Reader {
  private let text: UnsafeBufferPointer<UInt8>
  private var position = 0

  /// 2000-01-01T00:00Z in minutes.
  private static let year2000: Int64 = 15_778_080

  init(_ text: UnsafeBufferPointer<UInt8>) { self.text = text }

  mutating func next() -> UnsafeBufferPointer<UInt8>? {
    while position < text.count, text[position] <= UInt8(ascii: " ") { position += 1 }
    guard position < text.count else { return nil }
    let start = position
    while position < text.count, text[position] > UInt8(ascii: " ") { position += 1 }
    return UnsafeBufferPointer(rebasing: text[start..<position])
  }

  private var isAtRecord: Bool {
    mutating get {
      let start = position
      defer { position = start }
      return next().map { TimeZoneTables.isText($0, "@") } ?? true
    }
  }

  mutating func zone() -> TimeZoneTables.Zone {
    var zone = TimeZoneTables.Zone()
    zone.offset = offset()
    var changes: [TimeZoneTables.Change] = []
    var minutes = Reader.year2000
    while let word = next(), !TimeZoneTables.isText(word, "~") {
      let parts = Reader.parts(word)
      minutes += Reader.number(parts.head, radix: 36)
      changes.append(
        .init(time: minutes * 60_000, offset: Reader.number(parts.tail, radix: 10) * 60_000))
    }
    let kept = UnsafeMutableBufferPointer<TimeZoneTables.Change>.allocate(capacity: changes.count)
    _ = kept.initialize(from: changes)
    zone.changes = UnsafeBufferPointer(kept)
    zone.standard = offset()
    if !isAtRecord {
      zone.hasSummer = true
      zone.summer = offset()
      zone.start = yearlyDate()
      zone.end = yearlyDate()
    }
    return zone
  }

  private mutating func offset() -> Int64 {
    next().map { Reader.number($0[...], radix: 10) * 60_000 } ?? 0
  }

  private mutating func yearlyDate() -> TimeZoneTables.YearlyDate {
    let numbers = (next() ?? text).split(separator: UInt8(ascii: ".")).map {
      Reader.number($0, radix: 10)
    }
    precondition(numbers.count == 4, "a yearly change has a month, a week, a weekday and a time")
    return .init(
      month: Int(numbers[0]), week: Int(numbers[1]), weekday: Int(numbers[2]),
      time: numbers[3] * 60_000)
  }

  private static func parts(
    _ word: UnsafeBufferPointer<UInt8>
  ) -> (head: Slice<UnsafeBufferPointer<UInt8>>, tail: Slice<UnsafeBufferPointer<UInt8>>) {
    let colon = word.firstIndex(of: UInt8(ascii: ":")) ?? word.endIndex
    return (word[..<colon], word[min(colon + 1, word.endIndex)...])
  }

  private static func number(_ digits: Slice<UnsafeBufferPointer<UInt8>>, radix: Int64) -> Int64 {
    let isNegative = digits.first == UInt8(ascii: "-")
    let magnitude = digits.dropFirst(isNegative ? 1 : 0).reduce(Int64(0)) {
      let digit = $1 >= UInt8(ascii: "a") ? $1 - UInt8(ascii: "a") + 10 : $1 - UInt8(ascii: "0")
      return $0 * radix + Int64(digit)
    }
    return isNegative ? -magnitude : magnitude
  }
}
