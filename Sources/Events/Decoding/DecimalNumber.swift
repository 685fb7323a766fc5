/// A JSON number by its digits, so that amounts never pass through a binary float.
struct DecimalNumber {
  private let text: UnsafeBufferPointer<UInt8>
  private let isNegative: Bool
  /// Offset and count of the digits before the point.
  private let whole: (start: Int, count: Int)
  /// Offset and count of the digits after the point.
  private let fraction: (start: Int, count: Int)
  /// Held to ±2^40, which no digits of a record can make up for.
  private let exponent: Int

  /// What a number times a power of ten is as an integer.
  enum Scaled {
    case value(Int64)
    /// Not a whole number.
    case fractional
    /// Whole, but beyond ±(2^63 - 1).
    case tooLarge(isNegative: Bool)
  }

  /// nil where `text` is not exactly one JSON number.
  init?(_ text: UnsafeBufferPointer<UInt8>) {
    guard
      let base = text.baseAddress, !text.isEmpty,
      (try? JSONGrammar(base: base, end: text.count).endOfNumber(at: 0)) == text.count
    else { return nil }
    self.text = text
    var index = 0
    isNegative = base[0] == UInt8(ascii: "-")
    if isNegative { index = 1 }
    func skipDigits() -> Int {
      let start = index
      while index < text.count, base[index] &- UInt8(ascii: "0") <= 9 { index &+= 1 }
      return index &- start
    }
    whole = (index, skipDigits())
    if index < text.count, base[index] == UInt8(ascii: ".") {
      index &+= 1
      fraction = (index, skipDigits())
    } else {
      fraction = (index, 0)
    }
    var exponent = 0
    if index < text.count {
      let sign = base[index &+ 1]
      let isSigned = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
      for digit in text[(index &+ (isSigned ? 2 : 1))...] where exponent < 1 &<< 36 {
        exponent = exponent &* 10 &+ Int(digit &- UInt8(ascii: "0"))
      }
      if sign == UInt8(ascii: "-") { exponent = -exponent }
    }
    self.exponent = exponent
  }

  /// This number × 10^`power`, exactly.
  func scaled(_ power: Int) -> Scaled {
    let significant = significantDigits()
    if significant.count == 0 { return .value(0) }
    let shift = significant.exponent &+ power
    if shift < 0 { return .fractional }
    guard significant.count &+ shift <= 19 else { return .tooLarge(isNegative: isNegative) }
    var magnitude = integer(significant)
    for _ in 0..<shift { magnitude &*= 10 }
    guard magnitude <= UInt64(Int64.max) else { return .tooLarge(isNegative: isNegative) }
    let value = Int64(magnitude)
    return .value(isNegative ? -value : value)
  }

  /// The nearest `Double`, ties to even; infinite where there is none.
  func double() -> Double {
    let significant = significantDigits()
    if significant.count == 0 { return isNegative ? -0.0 : 0.0 }
    if significant.count <= 19, abs(significant.exponent) <= 22 {
      let mantissa = integer(significant)
      if mantissa <= 1 &<< 53 {
        // Both operands are exact, so the one operation rounds correctly.
        let power = PowersOfTen.double(abs(significant.exponent))
        let value =
          significant.exponent < 0 ? Double(mantissa) / power : Double(mantissa) * power
        return isNegative ? -value : value
      }
    }
    guard let value = Double(String(decoding: text, as: UTF8.self)) else {
      preconditionFailure("every JSON number is a number to the standard library")
    }
    return value
  }

  /// The digits from the first to the last that is not zero: this number is they × 10^exponent.
  private func significantDigits() -> (first: Int, count: Int, exponent: Int) {
    let digits = whole.count &+ fraction.count
    var first = 0
    while first < digits, digit(first) == 0 { first &+= 1 }
    if first == digits { return (0, 0, 0) }
    var last = digits &- 1
    while digit(last) == 0 { last &-= 1 }
    return (first, last &- first &+ 1, whole.count &- 1 &- last &+ exponent)
  }

  /// At most 19 digits fit.
  private func integer(_ significant: (first: Int, count: Int, exponent: Int)) -> UInt64 {
    var value: UInt64 = 0
    for index in significant.first..<(significant.first &+ significant.count) {
      value = value &* 10 &+ UInt64(digit(index))
    }
    return value
  }

  @inline(__always)
  private func digit(_ index: Int) -> UInt8 {
    let offset =
      index < whole.count ? whole.start &+ index : fraction.start &+ index &- whole.count
    return text[offset] &- UInt8(ascii: "0")
  }
}

/// Exact powers of ten. The switches compile to tables of constants.
enum PowersOfTen {
  /// 10^0 … 10^22: the ones that a `Double` holds exactly.
  @inline(__always)
  static func double(_ exponent: Int) -> Double {
    switch exponent {
    case 0: 1e0
    case 1: 1e1
    case 2: 1e2
    case 3: 1e3
    case 4: 1e4
    case 5: 1e5
    case 6: 1e6
    case 7: 1e7
    case 8: 1e8
    case 9: 1e9
    case 10: 1e10
    case 11: 1e11
    case 12: 1e12
    case 13: 1e13
    case 14: 1e14
    case 15: 1e15
    case 16: 1e16
    case 17: 1e17
    case 18: 1e18
    case 19: 1e19
    case 20: 1e20
    case 21: 1e21
    case 22: 1e22
    default: preconditionFailure("beyond 10^22 a Double is not exact")
    }
  }

  /// 10^0 … 10^8: what eight digits at a time need.
  @inline(__always)
  static func integer(_ exponent: Int) -> UInt64 {
    switch exponent {
    case 0: 1
    case 1: 10
    case 2: 100
    case 3: 1_000
    case 4: 10_000
    case 5: 100_000
    case 6: 1_000_000
    case 7: 10_000_000
    case 8: 100_000_000
    default: preconditionFailure("eight digits are read at a time")
    }
  }
}
