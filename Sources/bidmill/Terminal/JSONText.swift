import Events

/// A result for programs: JSON with its members in the order in which they were given.
indirect enum JSONText {
  case object([(String, JSONText)])
  case array([JSONText])
  case string(String)
  case integer(Int64)
  case number(Double)
  case bool(Bool)
  case null

  static func count(_ number: some BinaryInteger) -> JSONText { .integer(Int64(number)) }

  static func time(_ time: EventTime?) -> JSONText {
    time.map { .integer($0.milliseconds) } ?? .null
  }

  /// Indented, with a line break at the end.
  var pretty: String {
    var text = ""
    write(to: &text, indent: 0)
    return text + "\n"
  }

  /// On one line, without a line break.
  var compact: String {
    switch self {
    case .object(let members):
      "{" + members.map { JSONText.scalar(.string($0)) + ":" + $1.compact }.joined(separator: ",")
        + "}"
    case .array(let items): "[" + items.map(\.compact).joined(separator: ",") + "]"
    default: JSONText.scalar(self)
    }
  }

  private func write(to text: inout String, indent: Int) {
    let inner = String(repeating: " ", count: indent + 2)
    let outer = String(repeating: " ", count: indent)
    switch self {
    case .object(let members) where !members.isEmpty:
      text += "{\n"
      for (place, (key, value)) in members.enumerated() {
        text += (place > 0 ? ",\n" : "") + inner + JSONText.scalar(.string(key)) + ": "
        value.write(to: &text, indent: indent + 2)
      }
      text += "\n" + outer + "}"
    case .array(let items) where !items.isEmpty:
      text += "[\n"
      for (place, item) in items.enumerated() {
        text += (place > 0 ? ",\n" : "") + inner
        item.write(to: &text, indent: indent + 2)
      }
      text += "\n" + outer + "]"
    default: text += compact
    }
  }

  private static func scalar(_ value: JSONText) -> String {
    var json = JSONWriter(capacity: 64)
    switch value {
    case .string(let text): json.string(text)
    case .integer(let number): json.integer(number)
    case .number(let number): if number.isFinite { json.double(number) } else { json.null() }
    case .bool(let value): json.bool(value)
    case .null, .object, .array: json.null()
    }
    return json.string
  }
}
