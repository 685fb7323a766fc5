/// Writes JSON text into memory of its own, without bounds on the way: the longest record that
/// the generator writes is far below the capacity, which is checked when a record is taken.
struct RecordWriter: ~Copyable {
  private let start: UnsafeMutablePointer<UInt8>
  private(set) var count = 0
  private static let capacity = 16_384

  init() { start = .allocate(capacity: Self.capacity) }

  deinit { start.deallocate() }

  var bytes: UnsafeBufferPointer<UInt8> {
    precondition(count <= Self.capacity, "a generated record is longer than its buffer")
    return UnsafeBufferPointer(start: start, count: count)
  }

  mutating func clear() { count = 0 }

  mutating func truncate(to newCount: Int) { count = min(count, newCount) }

  @inline(__always)
  mutating func byte(_ value: UInt8) {
    start[count] = value
    count += 1
  }

  @inline(__always)
  mutating func text(_ text: StaticString) {
    (start + count).update(from: text.utf8Start, count: text.utf8CodeUnitCount)
    count += text.utf8CodeUnitCount
  }

  /// Bytes that are known to need no escapes.
  @inline(__always)
  mutating func plain(_ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { source in
      guard let base = source.baseAddress else { return }
      (start + count).update(from: base, count: source.count)
    }
    count += bytes.count
  }

  /// Decimal digits, with zeros in front up to `width`.
  @inline(__always)
  mutating func decimal(_ value: UInt64, width: Int = 1) {
    var length = 1
    var rest = value / 10
    while rest > 0 {
      rest /= 10
      length += 1
    }
    length = max(length, width)
    rest = value
    var i = count + length
    while i > count {
      i -= 1
      start[i] = UInt8(truncatingIfNeeded: rest % 10) &+ 48
      rest /= 10
    }
    count += length
  }

  /// The lowest `digits` hexadecimal digits.
  @inline(__always)
  mutating func hexadecimal(_ value: UInt64, digits: Int) {
    var i = digits
    while i > 0 {
      i -= 1
      let nibble = UInt8(truncatingIfNeeded: (value >> (UInt64(i) * 4)) & 15)
      byte(nibble < 10 ? nibble &+ 48 : nibble &+ 87)
    }
  }

  /// Millionths as a decimal number without zeros at its end: 1500000 is `1.5`.
  mutating func millionths(_ value: Int64) {
    if value < 0 { byte(UInt8(ascii: "-")) }
    let magnitude = value.magnitude
    decimal(magnitude / 1_000_000)
    var fraction = magnitude % 1_000_000
    guard fraction > 0 else { return }
    var width = 6
    while fraction % 10 == 0 {
      fraction /= 10
      width -= 1
    }
    byte(UInt8(ascii: "."))
    decimal(fraction, width: width)
  }

  /// Milliseconds since the epoch as RFC 3339 text, UTC. The civil date is Hinnant's
  /// `civil_from_days`.
  mutating func timestamp(_ milliseconds: Int64) {
    let days = milliseconds / 86_400_000
    let ofDay = UInt64(milliseconds % 86_400_000)
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    decimal(UInt64(year), width: 4)
    byte(UInt8(ascii: "-"))
    decimal(UInt64(month), width: 2)
    byte(UInt8(ascii: "-"))
    decimal(UInt64(day), width: 2)
    byte(UInt8(ascii: "T"))
    decimal(ofDay / 3_600_000, width: 2)
    byte(UInt8(ascii: ":"))
    decimal(ofDay / 60_000 % 60, width: 2)
    byte(UInt8(ascii: ":"))
    decimal(ofDay / 1000 % 60, width: 2)
    byte(UInt8(ascii: "."))
    decimal(ofDay % 1000, width: 3)
    byte(UInt8(ascii: "Z"))
  }
}
