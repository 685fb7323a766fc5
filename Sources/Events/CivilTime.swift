// RFC 3339 to and from `EventTime`, with the proleptic Gregorian calendar and no library.

/// A calendar day, counted from 1970-01-01.
package enum CivilDay {
  /// Days from 1970-01-01 to a date (negative before it), counting years from March, so that the
  /// leap day is a year's last.
  package static func number(year: Int, month: Int, day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let monthFromMarch = (month + 9) % 12
    let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
    let leapDays = floorDivide(shifted, 4) - floorDivide(shifted, 100) + floorDivide(shifted, 400)
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    return shifted * 365 + leapDays + dayOfYear - 719_468
  }

  /// The date of a day between the years 0 and 9999.
  package static func date(_ number: Int) -> (year: Int, month: Int, day: Int) {
    let days = number + 719_468
    let era = floorDivide(days, 146_097)
    let dayOfEra = days - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
  }

  package static func daysInMonth(_ month: Int, of year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func floorDivide(_ a: Int, _ b: Int) -> Int {
    a >= 0 ? a / b : -((b - 1 - a) / b)
  }
}

extension EventTime {
  /// What an RFC 3339 text says.
  enum Parsed {
    case time(EventTime)
    /// A real moment, but before 1970 or after 9999.
    case outOfRange
    /// Not RFC 3339, or a date or time of day that does not exist.
    case invalid
  }

  /// Reads `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`; `t`, `z` and a blank for the `T` are
  /// allowed. Digits beyond milliseconds are cut. Second 60 is the next minute's second 0.
  static func parse(rfc3339 text: UnsafeBufferPointer<UInt8>) -> Parsed {
    var reader = DigitReader(text: text)
    guard
      let year = reader.number(4), reader.take("-"), let month = reader.number(2),
      reader.take("-"), let day = reader.number(2), reader.takeDateEnd(),
      let hour = reader.number(2), reader.take(":"), let minute = reader.number(2),
      reader.take(":"), let second = reader.number(2), let fraction = reader.fraction(),
      let offset = reader.offsetMinutes(), reader.isAtEnd,
      (1...12).contains(month), day >= 1, day <= CivilDay.daysInMonth(month, of: year),
      hour <= 23, minute <= 59, second <= 60
    else { return .invalid }
    let days = CivilDay.number(year: year, month: month, day: day)
    let minutes = days * 1_440 + hour * 60 + minute - offset
    let time = EventTime(milliseconds: Int64((minutes * 60 + second) * 1_000 + fraction))
    return time < .earliest || time > .latest ? .outOfRange : .time(time)
  }

  /// The moment that an RFC 3339 text names; nil where it names none between 1970 and 9999.
  public init?(rfc3339 text: String) {
    var text = text
    let parsed = text.withUTF8 { EventTime.parse(rfc3339: $0) }
    guard case .time(let time) = parsed else { return nil }
    self = time
  }

  /// For people: `2026-01-01T00:00:00.123Z`. Outside of the years 1970–9999, the milliseconds as
  /// a number.
  public var rfc3339: String {
    guard self >= .earliest, self <= .latest else { return String(rawValue) }
    let (days, inDay) = Int(rawValue).quotientAndRemainder(dividingBy: 86_400_000)
    let (year, month, day) = CivilDay.date(days)
    func padded(_ number: Int, _ width: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: width - digits.utf8.count) + digits
    }
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
      + "T\(padded(inDay / 3_600_000, 2)):\(padded(inDay / 60_000 % 60, 2))"
      + ":\(padded(inDay / 1_000 % 60, 2)).\(padded(inDay % 1_000, 3))Z"
  }
}

extension EventTime: CustomStringConvertible {
  public var description: String { rfc3339 }
}

/// Reads fixed-width digits off a text.
private struct DigitReader {
  let text: UnsafeBufferPointer<UInt8>
  var position = 0

  var isAtEnd: Bool { position == text.count }

  mutating func number(_ width: Int) -> Int? {
    guard position + width <= text.count else { return nil }
    var value = 0
    for _ in 0..<width {
      guard let digit = digit() else { return nil }
      value = value * 10 + digit
    }
    return value
  }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func takeDateEnd() -> Bool { take("T") || take("t") || take(" ") }

  /// The milliseconds of `.fraction`; 0 where there is none, nil where the point has no digits.
  mutating func fraction() -> Int? {
    guard take(".") else { return 0 }
    guard var value = digit().map({ $0 * 100 }) else { return nil }
    var weight = 10
    while let digit = digit() {
      value += digit * weight
      weight /= 10
    }
    return value
  }

  /// How far local time is ahead of UTC.
  mutating func offsetMinutes() -> Int? {
    if take("Z") || take("z") { return 0 }
    let isBehind = take("-")
    guard isBehind || take("+") else { return nil }
    guard let hours = number(2), take(":"), let minutes = number(2), hours <= 23, minutes <= 59
    else { return nil }
    return isBehind ? -(hours * 60 + minutes) : hours * 60 + minutes
  }

  private mutating func digit() -> Int? {
    guard position < text.count, text[position] &- UInt8(ascii: "0") <= 9 else { return nil }
    position += 1
    return Int(text[position - 1] - UInt8(ascii: "0"))
  }
}
