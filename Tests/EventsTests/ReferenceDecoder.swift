import Events

/// The contract's rules over a JSON tree, as plainly as they can be written: no pointers, no
/// words, no prediction. What `EventDecoder` must agree with.
enum ReferenceDecoder {
  enum Outcome: Equatable {
    /// A description of the event, field by field.
    case accepted([String: String], unknownFields: Int)
    /// `offset` is nil where the rules do not fix it (grammar).
    case rejected(RejectionReason, field: String?, offset: Int?)
  }

  struct Refusal: Error {
    var reason: RejectionReason
    var field: String?
    var offset: Int?
  }

  static func decode(_ record: [UInt8]) -> Outcome {
    do throws(Refusal) {
      return try accept(record)
    } catch {
      return .rejected(error.reason, field: error.field, offset: error.offset)
    }
  }

  private static func accept(_ record: [UInt8]) throws(Refusal) -> Outcome {
    if record.count > 1_048_576 { throw Refusal(reason: .tooLarge, offset: 0) }
    if String(validating: record, as: UTF8.self) == nil { throw Refusal(reason: .invalidUTF8) }
    var parser = ReferenceParser(bytes: record)
    let root: ReferenceNode
    do throws(RejectionReason) {
      root = try parser.record()
    } catch {
      throw Refusal(reason: error)
    }
    guard case .object(let members) = root.value else { throw Refusal(reason: .malformedJSON) }
    var reading = ReferenceReading(type: try readType(members))
    try reading.members(members)
    try reading.requireFields()
    reading.fillDefaults()
    return .accepted(reading.facts, unknownFields: reading.unknownFields)
  }

  private static func readType(_ members: [ReferenceMember]) throws(Refusal) -> EventType {
    let given = members.filter { $0.name == "type" }
    if given.count > 1 {
      throw Refusal(reason: .invalidField, field: "type", offset: given[1].offset)
    }
    guard let node = given.first?.node, node.value != .null else {
      throw Refusal(reason: .missingField, field: "type", offset: 0)
    }
    guard case .string(let word) = node.value else {
      throw Refusal(reason: .invalidField, field: "type", offset: node.offset)
    }
    guard let type = EventType.allCases.first(where: { Array("\($0.name)".utf8) == word }) else {
      throw Refusal(reason: .unknownType, field: "type", offset: node.offset)
    }
    return type
  }
}

struct ReferenceNode: Equatable {
  enum Value: Equatable {
    case string([UInt8])
    case number(String)
    case bool(Bool)
    case null
    case array
    case object([ReferenceMember])
  }

  var value: Value
  var offset: Int
  var raw: [UInt8]
}

struct ReferenceMember: Equatable {
  var key: [UInt8]
  var offset: Int
  var node: ReferenceNode

  var name: String { String(decoding: key, as: UTF8.self) }
}

/// Recursive descent, byte by byte.
struct ReferenceParser {
  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func record() throws(RejectionReason) -> ReferenceNode {
    skipWhitespace()
    guard peek() == UInt8(ascii: "{") else { throw .malformedJSON }
    let node = try value(depth: 0)
    skipWhitespace()
    if position < bytes.count { throw .malformedJSON }
    return node
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipWhitespace() {
    while let byte = peek(), [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
  }

  private mutating func take(_ text: String) throws(RejectionReason) {
    let wanted = Array(text.utf8)
    guard bytes[position...].starts(with: wanted) else { throw .malformedJSON }
    position += wanted.count
  }

  private mutating func value(depth: Int) throws(RejectionReason) -> ReferenceNode {
    skipWhitespace()
    let start = position
    let value: ReferenceNode.Value
    switch peek() {
    case UInt8(ascii: "{"):
      if depth == 8 { throw .tooDeep }
      value = .object(try object(depth: depth + 1))
    case UInt8(ascii: "["):
      if depth == 8 { throw .tooDeep }
      try array(depth: depth + 1)
      value = .array
    case UInt8(ascii: "\""): value = .string(try string())
    case UInt8(ascii: "t"):
      try take("true")
      value = .bool(true)
    case UInt8(ascii: "f"):
      try take("false")
      value = .bool(false)
    case UInt8(ascii: "n"):
      try take("null")
      value = .null
    default: value = .number(try number())
    }
    return ReferenceNode(value: value, offset: start, raw: Array(bytes[start..<position]))
  }

  private mutating func object(depth: Int) throws(RejectionReason) -> [ReferenceMember] {
    try take("{")
    skipWhitespace()
    var members: [ReferenceMember] = []
    if peek() == UInt8(ascii: "}") {
      try take("}")
      return members
    }
    while true {
      skipWhitespace()
      let start = position
      let key = try string()
      skipWhitespace()
      try take(":")
      members.append(ReferenceMember(key: key, offset: start, node: try value(depth: depth)))
      skipWhitespace()
      if peek() == UInt8(ascii: "}") {
        try take("}")
        return members
      }
      try take(",")
    }
  }

  private mutating func array(depth: Int) throws(RejectionReason) {
    try take("[")
    skipWhitespace()
    if peek() == UInt8(ascii: "]") { return try take("]") }
    while true {
      _ = try value(depth: depth)
      skipWhitespace()
      if peek() == UInt8(ascii: "]") { return try take("]") }
      try take(",")
    }
  }

  private mutating func string() throws(RejectionReason) -> [UInt8] {
    try take("\"")
    var text: [UInt8] = []
    while let byte = peek() {
      if byte < 0x20 { throw .malformedJSON }
      position += 1
      if byte == UInt8(ascii: "\"") { return text }
      if byte == UInt8(ascii: "\\") {
        text += Array(String(Character(try escape())).utf8)
      } else {
        text.append(byte)
      }
    }
    throw .malformedJSON
  }

  private mutating func escape() throws(RejectionReason) -> Unicode.Scalar {
    guard let byte = peek() else { throw .malformedJSON }
    position += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw .malformedJSON
    }
    let unit = try codeUnit()
    if let scalar = Unicode.Scalar(unit) { return scalar }
    try take("\\u")
    let low = try codeUnit()
    guard unit < 0xDC00, (0xDC00...0xDFFF).contains(low),
      let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00))
    else { throw .malformedJSON }
    return scalar
  }

  private mutating func codeUnit() throws(RejectionReason) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), byte < 0x80,
        let digit = Character(Unicode.Scalar(byte)).hexDigitValue
      else { throw .malformedJSON }
      value = value * 16 + UInt32(digit)
      position += 1
    }
    return value
  }

  private mutating func number() throws(RejectionReason) -> String {
    let start = position
    if peek() == UInt8(ascii: "-") { position += 1 }
    let first = peek()
    let whole = digits()
    if whole == 0 || (first == UInt8(ascii: "0") && whole > 1) { throw .malformedJSON }
    if peek() == UInt8(ascii: ".") {
      position += 1
      if digits() == 0 { throw .malformedJSON }
    }
    if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
      position += 1
      if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { position += 1 }
      if digits() == 0 { throw .malformedJSON }
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits() -> Int {
    var count = 0
    while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      position += 1
      count += 1
    }
    return count
  }

  /// Whether a text is exactly a JSON number.
  static func isNumber(_ text: [UInt8]) -> Bool {
    var parser = ReferenceParser(bytes: text)
    return (try? parser.number()) != nil && parser.position == text.count
  }
}
