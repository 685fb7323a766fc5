/// Where a record leaves RFC 8259 or goes too deep.
struct GrammarProblem: Error {
  enum Expected {
    case record, value, key, keyOrEnd, colon, commaOrBrace, commaOrBracket
    case literal, digit, numberEnd, escape, hexDigits, lowSurrogate, highSurrogate
    case noControlCharacter, closingQuote, end, lessDepth
  }

  var offset: Int
  var expected: Expected
}

/// A checker of JSON text, by the letter of RFC 8259 and the limit of depth; iterative.
///
/// It takes bytes of 0x80 and above for granted inside strings: UTF-8 is checked apart.
struct JSONGrammar {
  let base: UnsafePointer<UInt8>
  let end: Int

  /// Checks a whole record: one object and nothing but white space around it.
  func checkRecord() throws(GrammarProblem) {
    let start = skipWhitespace(0)
    guard start < end, base[start] == UInt8(ascii: "{") else {
      throw GrammarProblem(offset: start, expected: .record)
    }
    let rest = skipWhitespace(try endOfValue(at: start, depth: 0))
    if rest < end { throw GrammarProblem(offset: rest, expected: .end) }
  }

  @inline(__always)
  func skipWhitespace(_ start: Int) -> Int {
    var index = start
    while index < end, JSONGrammar.isWhitespace(base[index]) { index &+= 1 }
    return index
  }

  @inline(__always)
  static func isWhitespace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
  }

  /// The offset after the value at `start`, inside of `depth` containers.
  func endOfValue(at start: Int, depth outer: Int) throws(GrammarProblem) -> Int {
    var depth = outer
    // Bit n: the container at depth n is an object.
    var objects: UInt32 = 0
    var index = start
    while true {
      index = skipWhitespace(index)
      guard index < end else { throw GrammarProblem(offset: index, expected: .value) }
      let byte = base[index]
      if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
        depth &+= 1
        guard depth <= Limits.depth else {
          throw GrammarProblem(offset: index, expected: .lessDepth)
        }
        let isObject = byte == UInt8(ascii: "{")
        let bit: UInt32 = 1 &<< UInt32(truncatingIfNeeded: depth)
        objects = isObject ? objects | bit : objects & ~bit
        let first = skipWhitespace(index &+ 1)
        if first < end, base[first] == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
          index = first &+ 1
          depth &-= 1
        } else if isObject {
          index = try endOfKey(at: first, orEnd: true)
          continue
        } else {
          index = first
          continue
        }
      } else {
        index = try endOfScalar(at: index)
      }
      index = try close(after: index, depth: &depth, outer: outer, objects: objects)
      if depth == outer { return index }
    }
  }

  /// Goes on after a value: over the ends of containers to the place of the next value, or, with
  /// `depth` back at `outer`, to the end of the whole.
  private func close(
    after value: Int, depth: inout Int, outer: Int, objects: UInt32
  ) throws(GrammarProblem) -> Int {
    var index = value
    while depth > outer {
      index = skipWhitespace(index)
      let isObject = objects & (1 &<< UInt32(truncatingIfNeeded: depth)) != 0
      let byte = index < end ? base[index] : 0
      if byte == UInt8(ascii: ",") {
        return isObject
          ? try endOfKey(at: skipWhitespace(index &+ 1), orEnd: false) : index &+ 1
      }
      guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
        throw GrammarProblem(
          offset: index, expected: isObject ? .commaOrBrace : .commaOrBracket)
      }
      index &+= 1
      depth &-= 1
    }
    return index
  }

  /// The offset after a key and its colon.
  private func endOfKey(at start: Int, orEnd: Bool) throws(GrammarProblem) -> Int {
    guard start < end, base[start] == UInt8(ascii: "\"") else {
      throw GrammarProblem(offset: start, expected: orEnd ? .keyOrEnd : .key)
    }
    let colon = skipWhitespace(try endOfString(at: start))
    guard colon < end, base[colon] == UInt8(ascii: ":") else {
      throw GrammarProblem(offset: colon, expected: .colon)
    }
    return colon &+ 1
  }

  private func endOfScalar(at start: Int) throws(GrammarProblem) -> Int {
    switch base[start] {
    case UInt8(ascii: "\""): try endOfString(at: start)
    case UInt8(ascii: "t"): try endOfLiteral("true", at: start)
    case UInt8(ascii: "f"): try endOfLiteral("false", at: start)
    case UInt8(ascii: "n"): try endOfLiteral("null", at: start)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try endOfNumber(at: start)
    default: throw GrammarProblem(offset: start, expected: .value)
    }
  }

  private func endOfLiteral(
    _ literal: StaticString, at start: Int
  ) throws(GrammarProblem) -> Int {
    let length = literal.utf8CodeUnitCount
    guard
      start &+ length <= end,
      Text.equal(UnsafeBufferPointer(start: base + start, count: length), literal)
    else { throw GrammarProblem(offset: start, expected: .literal) }
    return start &+ length
  }

  func endOfNumber(at start: Int) throws(GrammarProblem) -> Int {
    var index = start
    if base[index] == UInt8(ascii: "-") { index &+= 1 }
    if index < end, base[index] == UInt8(ascii: "0") {
      index &+= 1
      // "01" is no number: two would stand here without anything between them.
      if index < end, isDigit(index) { throw GrammarProblem(offset: index, expected: .numberEnd) }
    } else {
      index = try endOfDigits(at: index)
    }
    if index < end, base[index] == UInt8(ascii: ".") { index = try endOfDigits(at: index &+ 1) }
    if index < end, base[index] | 0x20 == UInt8(ascii: "e") {
      index &+= 1
      if index < end, base[index] == UInt8(ascii: "+") || base[index] == UInt8(ascii: "-") {
        index &+= 1
      }
      index = try endOfDigits(at: index)
    }
    return index
  }

  private func endOfDigits(at start: Int) throws(GrammarProblem) -> Int {
    guard start < end, isDigit(start) else {
      throw GrammarProblem(offset: start, expected: .digit)
    }
    var index = start &+ 1
    while index < end, isDigit(index) { index &+= 1 }
    return index
  }

  @inline(__always)
  private func isDigit(_ index: Int) -> Bool { base[index] &- UInt8(ascii: "0") <= 9 }

  /// The offset after the string whose opening quote is at `start`.
  func endOfString(at start: Int) throws(GrammarProblem) -> Int {
    var index = start &+ 1
    while index < end {
      if index &+ 8 <= end {
        let marks = Words.interruptions(Words.load(base + index) & ~Words.highs)
        if marks == 0 {
          index &+= 8
          continue
        }
        index &+= Words.firstByte(marks)
      }
      switch base[index] {
      case UInt8(ascii: "\""): return index &+ 1
      case UInt8(ascii: "\\"): index = try JSONEscape.read(base, at: index, end: end).next
      case 0..<0x20: throw GrammarProblem(offset: index, expected: .noControlCharacter)
      default: index &+= 1
      }
    }
    throw GrammarProblem(offset: index, expected: .closingQuote)
  }
}

/// One escape sequence of a JSON string; a pair of `\u` surrogates counts as one.
struct JSONEscape {
  var scalar: UInt32
  /// The offset after it.
  var next: Int

  static func read(
    _ base: UnsafePointer<UInt8>, at start: Int, end: Int
  ) throws(GrammarProblem) -> JSONEscape {
    guard start &+ 1 < end else { throw GrammarProblem(offset: end, expected: .escape) }
    let simple: UInt32? =
      switch base[start &+ 1] {
      case UInt8(ascii: "\""): 0x22
      case UInt8(ascii: "\\"): 0x5C
      case UInt8(ascii: "/"): 0x2F
      case UInt8(ascii: "b"): 0x08
      case UInt8(ascii: "f"): 0x0C
      case UInt8(ascii: "n"): 0x0A
      case UInt8(ascii: "r"): 0x0D
      case UInt8(ascii: "t"): 0x09
      default: nil
      }
    if let simple { return JSONEscape(scalar: simple, next: start &+ 2) }
    guard base[start &+ 1] == UInt8(ascii: "u") else {
      throw GrammarProblem(offset: start, expected: .escape)
    }
    let unit = try hexadecimal(base, at: start &+ 2, end: end)
    if unit & 0xF800 != 0xD800 { return JSONEscape(scalar: unit, next: start &+ 6) }
    guard unit < 0xDC00 else { throw GrammarProblem(offset: start, expected: .highSurrogate) }
    guard
      start &+ 7 < end, base[start &+ 6] == UInt8(ascii: "\\"),
      base[start &+ 7] == UInt8(ascii: "u")
    else { throw GrammarProblem(offset: start, expected: .lowSurrogate) }
    let low = try hexadecimal(base, at: start &+ 8, end: end)
    guard low & 0xFC00 == 0xDC00 else {
      throw GrammarProblem(offset: start, expected: .lowSurrogate)
    }
    return JSONEscape(
      scalar: 0x10000 &+ ((unit & 0x3FF) &<< 10) &+ (low & 0x3FF), next: start &+ 12)
  }

  private static func hexadecimal(
    _ base: UnsafePointer<UInt8>, at start: Int, end: Int
  ) throws(GrammarProblem) -> UInt32 {
    var value: UInt32 = 0
    for index in start..<(start &+ 4) {
      guard index < end else { throw GrammarProblem(offset: end, expected: .hexDigits) }
      let digit: UInt8 =
        switch base[index] {
        case let byte where byte &- UInt8(ascii: "0") <= 9: byte &- UInt8(ascii: "0")
        case let byte where (byte | 0x20) &- UInt8(ascii: "a") <= 5:
          (byte | 0x20) &- UInt8(ascii: "a") &+ 10
        default: throw GrammarProblem(offset: index, expected: .hexDigits)
        }
      value = (value &<< 4) | UInt32(digit)
    }
    return value
  }
}

/// Strings as identifiers: in place where the record has them as they are, in an arena where it
/// has escapes.
enum JSONString {
  struct Scanned {
    var text: Identifier
    /// The offset after the closing quote.
    var next: Int
  }

  /// Reads and validates the string whose opening quote is at `start`; nil where it is malformed
  /// in any way (the thorough way says how).
  static func scan(
    _ base: UnsafePointer<UInt8>, at start: Int, end: Int, arena: inout TextArena
  ) -> Scanned? {
    guard
      let close = try? JSONGrammar(base: base, end: end).endOfString(at: start),
      UTF8Text.firstInvalid(base, in: (start &+ 1)..<(close &- 1)) == nil
    else { return nil }
    return Scanned(text: text(base, from: start, to: close, arena: &arena), next: close)
  }

  /// The meaning of the valid string that stands with its quotes in `start..<end`.
  static func text(
    _ base: UnsafePointer<UInt8>, from start: Int, to end: Int, arena: inout TextArena
  ) -> Identifier {
    let inner = UnsafeBufferPointer(start: base + start + 1, count: end &- start &- 2)
    guard inner.contains(UInt8(ascii: "\\")) else { return identifier(inner) }
    // Unescaping never makes text longer.
    let target = arena.reserve(inner.count)
    var length = 0
    var index = start &+ 1
    while index < end &- 1 {
      if base[index] != UInt8(ascii: "\\") {
        target[length] = base[index]
        length &+= 1
        index &+= 1
      } else if let escape = try? JSONEscape.read(base, at: index, end: end) {
        length &+= encode(escape.scalar, target + length)
        index = escape.next
      } else {
        preconditionFailure("only strings whose escapes are valid are unescaped")
      }
    }
    arena.commit(length)
    return identifier(UnsafeBufferPointer(start: target, count: length))
  }

  /// The text as an identifier; absent where it is empty.
  static func identifier(_ bytes: UnsafeBufferPointer<UInt8>) -> Identifier {
    if bytes.isEmpty { return .absent }
    return Identifier(
      hash: Hash.text(bytes), start: bytes.baseAddress,
      length: UInt32(truncatingIfNeeded: bytes.count))
  }

  private static func encode(_ scalar: UInt32, _ target: UnsafeMutablePointer<UInt8>) -> Int {
    func continuation(_ shift: UInt32) -> UInt8 {
      0x80 | UInt8(truncatingIfNeeded: (scalar &>> shift) & 0x3F)
    }
    if scalar < 0x80 {
      target[0] = UInt8(truncatingIfNeeded: scalar)
      return 1
    }
    if scalar < 0x800 {
      target[0] = 0xC0 | UInt8(truncatingIfNeeded: scalar &>> 6)
      target[1] = continuation(0)
      return 2
    }
    if scalar < 0x10000 {
      target[0] = 0xE0 | UInt8(truncatingIfNeeded: scalar &>> 12)
      target[1] = continuation(6)
      target[2] = continuation(0)
      return 3
    }
    target[0] = 0xF0 | UInt8(truncatingIfNeeded: scalar &>> 18)
    target[1] = continuation(12)
    target[2] = continuation(6)
    target[3] = continuation(0)
    return 4
  }
}
