/// Values at a place in a record, read in one pass while they are validated.
///
/// Every function returns the place after the value, or nil where it does not want to decide:
/// not only for what is wrong, but for what is right and rare.
///
/// No load reaches `end`. The byte before it is a brace, which ends every number, literal and run
/// of white space, and no string can close behind it; so whatever was read, the next byte is
/// there to be looked at, except behind a closing brace. Only what consumes braces (`skipped`
/// and objects) has to look for the end, and answers nil there: the record's own brace is missing.
struct FastValues {
  let base: UnsafePointer<UInt8>
  /// Behind the record's last brace.
  let end: UnsafePointer<UInt8>

  typealias Place = UnsafePointer<UInt8>

  /// nil where the record does not end in a brace, but for white space.
  init?(_ base: UnsafePointer<UInt8>, count: Int) {
    var end = base + count
    while end > base, JSONGrammar.isWhitespace((end - 1).pointee) { end -= 1 }
    guard end > base, (end - 1).pointee == UInt8(ascii: "}") else { return nil }
    self.base = base
    self.end = end
  }

  /// The next eight bytes, zeros where the record ends.
  @inline(__always)
  func word(_ p: Place) -> UInt64 {
    if end - p >= 8 { return Words.load(p) }
    return lastWord(p)
  }

  @inline(never)
  private func lastWord(_ p: Place) -> UInt64 {
    p < end ? Words.load(p, count: end - p) : 0
  }

  /// The first byte from `p` on that is not white space, and its place.
  @inline(__always)
  func significant(_ p: Place) -> Place {
    if p.pointee > 0x20 { return p }
    return afterWhitespace(p)
  }

  @inline(never)
  private func afterWhitespace(_ start: Place) -> Place {
    var p = start
    while JSONGrammar.isWhitespace(p.pointee) { p += 1 }
    return p
  }

  // MARK: Text

  /// The string at `p`, plain ASCII without escapes, hashed as it is scanned.
  @inline(__always)
  func plainText(_ p: Place, _ text: inout Identifier) -> Place? {
    guard p.pointee == UInt8(ascii: "\"") else { return nil }
    let start = p + 1
    var q = start
    var state = Hash.seed
    var word = self.word(q)
    var marks = Words.interruptions(word)
    while marks == 0 {
      state = Hash.absorb(state, word)
      q += 8
      word = self.word(q)
      marks = Words.interruptions(word)
    }
    // Beyond the end a word is zero, which interrupts and is no quote.
    let count = Words.firstByte(marks)
    guard UInt8(truncatingIfNeeded: word &>> UInt64(count &* 8)) == UInt8(ascii: "\"") else {
      return nil
    }
    q += count
    let length = q - start
    text = Identifier(
      hash: Hash.finish(state, tail: Words.low(word, count), length: length), start: start,
      length: UInt32(truncatingIfNeeded: length))
    return q + 1
  }

  /// Any valid string; what escapes mean goes into `arena`.
  @inline(__always)
  func text(_ p: Place, _ text: inout Identifier, _ batch: EventBatch) -> Place? {
    if let next = plainText(p, &text) { return next }
    return anyText(p, &text, batch)
  }

  @inline(never)
  private func anyText(_ p: Place, _ text: inout Identifier, _ batch: EventBatch) -> Place? {
    guard
      p.pointee == UInt8(ascii: "\""),
      let scanned = JSONString.scan(
        base, at: p - base, end: end - base, arena: &batch.state.pointee.arena)
    else { return nil }
    text = scanned.text
    return base + scanned.next
  }

  /// The place after the plain string at `p`.
  @inline(__always)
  func skippedText(_ p: Place) -> Place? {
    var text = Identifier.absent
    return plainText(p, &text)
  }

  // MARK: Numbers

  /// Money of at most 7 digits before and 6 after the point, not negative; the rest is `anyMoney`.
  @inline(__always)
  func money(_ p: Place, _ micros: inout Int64, _ batch: EventBatch) -> Place? {
    let whole = word(p)
    let wholeCount = Words.firstByte(Words.nonDigits(whole))
    // "0" and "0.5" are numbers, "05" is none.
    let isNumber =
      wholeCount == 1 || (wholeCount &- 2 <= 5 && UInt8(truncatingIfNeeded: whole) != 0x30)
    guard isNumber, wholeCount > 0 else { return anyMoney(p, &micros, batch) }
    let units = Words.digits(whole, wholeCount) &* 1_000_000
    var q = p + wholeCount
    guard UInt8(truncatingIfNeeded: whole &>> UInt64(wholeCount &* 8)) == UInt8(ascii: ".") else {
      micros = Int64(truncatingIfNeeded: units)
      return isEndOfNumber(q) ? q : anyMoney(p, &micros, batch)
    }
    q += 1
    let fraction = word(q)
    let fractionCount = Words.firstByte(Words.nonDigits(fraction))
    guard fractionCount &- 1 <= 5, fractionCount > 0 else { return anyMoney(p, &micros, batch) }
    let parts = Words.digits(fraction, fractionCount) &* PowersOfTen.integer(6 &- fractionCount)
    micros = Int64(truncatingIfNeeded: units &+ parts)
    q += fractionCount
    return isEndOfNumber(q) ? q : anyMoney(p, &micros, batch)
  }

  /// Whether no exponent follows.
  @inline(__always)
  private func isEndOfNumber(_ p: Place) -> Bool {
    let next = p.pointee
    return next == UInt8(ascii: ",") || next == UInt8(ascii: "}") || next <= 0x20
  }

  /// Money in any form that the contract allows.
  @inline(never)
  func anyMoney(_ p: Place, _ micros: inout Int64, _ batch: EventBatch) -> Place? {
    var digits: UnsafeBufferPointer<UInt8>
    var next: Place
    if p.pointee == UInt8(ascii: "\"") {
      var quoted = Identifier.absent
      guard let after = text(p, &quoted, batch) else { return nil }
      (digits, next) = (quoted.bytes, after)
    } else {
      guard let after = endOfNumber(p) else { return nil }
      (digits, next) = (UnsafeBufferPointer(start: p, count: after - p), after)
    }
    guard case .value(let value) = DecimalNumber(digits)?.scaled(6) else { return nil }
    micros = value
    return next
  }

  private func endOfNumber(_ p: Place) -> Place? {
    guard p.pointee == UInt8(ascii: "-") || p.pointee &- UInt8(ascii: "0") <= 9 else {
      return nil
    }
    let grammar = JSONGrammar(base: base, end: end - base)
    guard let next = try? grammar.endOfNumber(at: p - base) else { return nil }
    return base + next
  }

  /// Milliseconds of 9…15 digits; the rest is `anyTime`.
  @inline(__always)
  func time(_ p: Place, _ time: inout EventTime, _ batch: EventBatch) -> Place? {
    let first = word(p)
    let second = word(p + 8)
    let count = Words.firstByte(Words.nonDigits(second))
    guard
      Words.nonDigits(first) == 0, count &- 1 <= 6, count > 0,
      UInt8(truncatingIfNeeded: first) != 0x30
    else { return anyTime(p, &time, batch) }
    let milliseconds =
      Words.digits(first, 8) &* PowersOfTen.integer(count) &+ Words.digits(second, count)
    time = EventTime(milliseconds: Int64(truncatingIfNeeded: milliseconds))
    let next = p + (8 &+ count)
    if isEndOfNumber(next) { return time <= .latest ? next : nil }
    return anyTime(p, &time, batch)
  }

  @inline(never)
  private func anyTime(_ p: Place, _ time: inout EventTime, _ batch: EventBatch) -> Place? {
    let parsed: EventTime.Parsed
    let next: Place
    if p.pointee == UInt8(ascii: "\"") {
      var quoted = Identifier.absent
      guard let after = text(p, &quoted, batch) else { return nil }
      (parsed, next) = (EventTime.parse(rfc3339: quoted.bytes), after)
    } else {
      guard let after = endOfNumber(p) else { return nil }
      let digits = UnsafeBufferPointer(start: p, count: after - p)
      (parsed, next) = (RecordReader.time(milliseconds: digits), after)
    }
    guard case .time(let value) = parsed else { return nil }
    time = value
    return next
  }

  /// A number whose digits fit 53 bits; the rest is `anyDouble`.
  @inline(__always)
  func double(_ start: Place, _ value: inout Double) -> Place? {
    var p = start
    let isNegative = p.pointee == UInt8(ascii: "-")
    if isNegative { p += 1 }
    let whole = word(p)
    let wholeCount = Words.firstByte(Words.nonDigits(whole))
    let isNumber =
      wholeCount == 1 || (wholeCount &- 2 <= 5 && UInt8(truncatingIfNeeded: whole) != 0x30)
    guard isNumber, wholeCount > 0 else { return anyDouble(start, &value) }
    var mantissa = Words.digits(whole, wholeCount)
    p += wholeCount
    var power = 1.0
    if UInt8(truncatingIfNeeded: whole &>> UInt64(wholeCount &* 8)) == UInt8(ascii: ".") {
      p += 1
      let fraction = word(p)
      let fractionCount = Words.firstByte(Words.nonDigits(fraction))
      // Seven digits and eight are below 2^53.
      guard fractionCount > 0 else { return nil }
      mantissa =
        mantissa &* PowersOfTen.integer(fractionCount) &+ Words.digits(fraction, fractionCount)
      power = PowersOfTen.double(fractionCount)
      p += fractionCount
    }
    guard isEndOfNumber(p) else { return anyDouble(start, &value) }
    // Both operands are exact, so the one operation rounds correctly.
    let magnitude = Double(mantissa) / power
    value = isNegative ? -magnitude : magnitude
    return p
  }

  @inline(never)
  private func anyDouble(_ p: Place, _ value: inout Double) -> Place? {
    guard
      let next = endOfNumber(p),
      let number = DecimalNumber(UnsafeBufferPointer(start: p, count: next - p))?.double(),
      number.isFinite
    else { return nil }
    value = number
    return next
  }

  // MARK: Literals

  @inline(__always)
  func isTrue(_ p: Place) -> Bool { word(p) & 0xFFFF_FFFF == 0x6575_7274 }

  @inline(__always)
  func isFalse(_ p: Place) -> Bool { word(p) & 0xFF_FFFF_FFFF == 0x65_736C_6166 }

  @inline(__always)
  func isNull(_ p: Place) -> Bool { word(p) & 0xFFFF_FFFF == 0x6C6C_756E }

  // MARK: The unknown

  /// The place after any valid value, one container deep.
  @inline(never)
  func skipped(_ p: Place) -> Place? {
    let start = p - base
    let grammar = JSONGrammar(base: base, end: end - base)
    guard
      let next = try? grammar.endOfValue(at: start, depth: 1),
      UTF8Text.firstInvalid(base, in: start..<next) == nil, base + next < end
    else { return nil }
    return base + next
  }
}
