// The words of rejections: what was found, and what was expected.

extension Rejection {
  static var emptyRecord: Rejection {
    Rejection(
      reason: .malformedJSON, field: nil,
      detail: "the record is empty; expected one JSON object", byteOffset: 0)
  }

  static func tooLarge(_ count: Int) -> Rejection {
    Rejection(
      reason: .tooLarge, field: nil,
      detail: "the record has \(count) bytes; at most \(Limits.recordBytes) are allowed",
      byteOffset: 0)
  }

  static func invalidUTF8(_ base: UnsafePointer<UInt8>, at offset: Int, end: Int) -> Rejection {
    let bytes = (offset..<min(offset + 4, end)).map { index in
      let digits = String(base[index], radix: 16, uppercase: true)
      return digits.utf8.count == 1 ? "0" + digits : digits
    }
    return Rejection(
      reason: .invalidUTF8, field: nil,
      detail: "the bytes \(bytes.joined(separator: " ")) at offset \(offset) are not UTF-8",
      byteOffset: offset)
  }

  static func malformed(
    _ problem: GrammarProblem, _ base: UnsafePointer<UInt8>, end: Int
  ) -> Rejection {
    if case .lessDepth = problem.expected {
      return Rejection(
        reason: .tooDeep, field: nil,
        detail: "more than \(Limits.depth) objects and arrays stand inside one another",
        byteOffset: problem.offset)
    }
    return Rejection(
      reason: .malformedJSON, field: nil,
      detail:
        "expected \(problem.expectation), \(found(base, at: problem.offset, end: end))",
      byteOffset: problem.offset)
  }

  private static func found(_ base: UnsafePointer<UInt8>, at offset: Int, end: Int) -> String {
    guard offset < end else { return "but the record ends" }
    let byte = base[offset]
    if byte < 0x20 || byte == 0x7F {
      return "found the control character 0x" + String(byte, radix: 16)
    }
    if byte == 0xEF, offset + 2 < end, base[offset + 1] == 0xBB, base[offset + 2] == 0xBF {
      return "found a byte order mark"
    }
    return "found " + excerpt(base, from: offset, to: end, bytesMax: 16)
  }

  /// The beginning of a stretch of valid UTF-8, cut between characters.
  static func excerpt(
    _ base: UnsafePointer<UInt8>, from start: Int, to end: Int, bytesMax: Int = 48
  ) -> String {
    var stop = min(end, start + bytesMax)
    while stop < end, stop > start, base[stop] & 0xC0 == 0x80 { stop -= 1 }
    let bytes = UnsafeBufferPointer(start: base + start, count: stop - start)
    return String(decoding: bytes, as: UTF8.self) + (stop < end ? "…" : "")
  }
}

extension GrammarProblem {
  fileprivate var expectation: String {
    switch expected {
    case .record: "one JSON object"
    case .value: "a value"
    case .key: "a key in quotes"
    case .keyOrEnd: "a key in quotes or \"}\""
    case .colon: "\":\" after a key"
    case .commaOrBrace: "\",\" or \"}\" after a value"
    case .commaOrBracket: "\",\" or \"]\" after a value"
    case .literal: "true, false or null"
    case .digit: "a digit"
    case .numberEnd: "no digit after a leading zero"
    case .escape: "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u"
    case .hexDigits: "four hexadecimal digits after \\u"
    case .lowSurrogate: "a low surrogate after a high one"
    case .highSurrogate: "a high surrogate before a low one"
    case .noControlCharacter: "control characters in a string to be escaped"
    case .closingQuote: "a closing quote"
    case .end: "nothing after the object"
    case .lessDepth: "less depth"
    }
  }
}

extension EventType {
  /// All the words, for messages.
  static var words: String {
    allCases.map { $0.name.description }.joined(separator: ", ")
  }

  /// The type that a record's word means.
  init?(word: UnsafeBufferPointer<UInt8>) {
    guard let type = Self.allCases.first(where: { Text.equal(word, $0.name) }) else { return nil }
    self = type
  }
}
