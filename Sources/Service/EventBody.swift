/// The records of a request's body: one JSON object, an array of objects, or objects one after the
/// other (JSON Lines).
///
/// Finds where each begins and ends by its brackets and strings alone; what stands in between is
/// for the decoder of events to judge.
struct EventBody {
  /// More than events of a useful length can be in a body: each costs more memory than its bytes.
  static let recordsMax = 100_000

  /// Each record's bytes, as they came, without line breaks; `recordsMax` at most, and one more
  /// where there are more.
  let records: [[UInt8]]

  /// - Returns: nil where the body is no sequence of JSON values, with what is wrong in `problem`.
  init?(_ body: [UInt8], problem: inout String) {
    var place = EventBody.skipSpace(body, from: 0)
    let isArray = place < body.count && body[place] == UInt8(ascii: "[")
    if isArray { place = EventBody.skipSpace(body, from: place + 1) }
    var records: [[UInt8]] = []
    var isClosed = !isArray
    if isArray, place < body.count, body[place] == UInt8(ascii: "]") {
      isClosed = true
      place += 1
    }
    while place < body.count, !(isArray && isClosed) {
      guard let end = EventBody.endOfValue(body, from: place) else {
        problem = "record \(records.count) does not end: a bracket or a string is open"
        return nil
      }
      guard end > place else {
        problem = "byte \(place): a JSON object is expected"
        return nil
      }
      records.append(EventBody.onOneLine(body[place..<end]))
      if records.count > EventBody.recordsMax {
        self.records = records
        return
      }
      place = EventBody.skipSpace(body, from: end)
      guard isArray else { continue }
      guard place < body.count, body[place] == UInt8(ascii: ",") || body[place] == UInt8(ascii: "]")
      else {
        problem = "byte \(place): `,` or `]` is expected in the array"
        return nil
      }
      isClosed = body[place] == UInt8(ascii: "]")
      place = EventBody.skipSpace(body, from: place + 1)
    }
    guard isClosed, place == body.count else {
      problem = isClosed ? "byte \(place): nothing may follow the array" : "the array does not end"
      return nil
    }
    self.records = records
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
  }

  private static func skipSpace(_ bytes: [UInt8], from start: Int) -> Int {
    var place = start
    while place < bytes.count, isSpace(bytes[place]) { place += 1 }
    return place
  }

  /// Where the value ends that begins at `start`; nil where it does not. What is no object or array
  /// ends where a comma, a bracket or white space does.
  private static func endOfValue(_ bytes: [UInt8], from start: Int) -> Int? {
    var place = start
    var depth = 0
    while place < bytes.count {
      switch bytes[place] {
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        guard depth > 0 else { return place }
        depth -= 1
        if depth == 0 { return place + 1 }
      case UInt8(ascii: "\""):
        guard let end = endOfString(bytes, from: place) else { return nil }
        place = end
        if depth == 0 { return place }
        continue
      case let byte where depth == 0 && (isSpace(byte) || byte == UInt8(ascii: ",")): return place
      default: break
      }
      place += 1
    }
    return depth == 0 ? place : nil
  }

  private static func endOfString(_ bytes: [UInt8], from start: Int) -> Int? {
    var place = start + 1
    while place < bytes.count {
      switch bytes[place] {
      case UInt8(ascii: "\\"): place += 2
      case UInt8(ascii: "\""): return place + 1
      default: place += 1
      }
    }
    return nil
  }

  /// Logs are read line by line: breaks between a value's tokens become blanks. Those within
  /// strings are not allowed in JSON and stay, for the decoder to refuse.
  private static func onOneLine(_ value: ArraySlice<UInt8>) -> [UInt8] {
    guard value.contains(where: { $0 == 0x0A || $0 == 0x0D }) else { return Array(value) }
    var result: [UInt8] = []
    result.reserveCapacity(value.count)
    var isInString = false
    var isEscaped = false
    for byte in value {
      if isInString {
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInString = false
        }
        result.append(byte)
      } else {
        if byte == UInt8(ascii: "\"") { isInString = true }
        result.append(byte == 0x0A || byte == 0x0D ? 0x20 : byte)
      }
    }
    return result
  }
}
