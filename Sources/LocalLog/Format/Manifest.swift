import Streaming

/// A small flat JSON object of strings and integers: the only JSON that a log's directory holds.
struct Manifest {
  enum Value: Equatable {
    case string(String)
    case integer(Int64)
  }

  private(set) var fields: [(name: String, value: Value)] = []

  init() {}

  mutating func set(_ name: String, _ value: String) { fields.append((name, .string(value))) }
  mutating func set(_ name: String, _ value: Int64) { fields.append((name, .integer(value))) }

  func string(_ name: String) -> String? {
    for field in fields where field.name == name {
      if case .string(let text) = field.value { return text }
    }
    return nil
  }

  func integer(_ name: String) -> Int64? {
    for field in fields where field.name == name {
      if case .integer(let number) = field.value { return number }
    }
    return nil
  }

  var bytes: [UInt8] {
    var text = "{"
    for (index, field) in fields.enumerated() {
      text += index == 0 ? "\n  " : ",\n  "
      text += Manifest.quoted(field.name) + ": "
      switch field.value {
      case .string(let value): text += Manifest.quoted(value)
      case .integer(let value): text += String(value)
      }
    }
    return [UInt8]((text + "\n}\n").utf8)
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// Reads what `bytes` wrote, and any flat object of strings and integers; nil for the rest.
  init?(parsing bytes: [UInt8]) {
    var cursor = Cursor(bytes: bytes)
    guard cursor.take(UInt8(ascii: "{")) else { return nil }
    if cursor.take(UInt8(ascii: "}")) {
      guard cursor.isAtEnd else { return nil }
      return
    }
    repeat {
      guard let name = cursor.string(), cursor.take(UInt8(ascii: ":")) else { return nil }
      if let text = cursor.string() {
        fields.append((name, .string(text)))
      } else if let number = cursor.integer() {
        fields.append((name, .integer(number)))
      } else {
        return nil
      }
    } while cursor.take(UInt8(ascii: ","))
    guard cursor.take(UInt8(ascii: "}")), cursor.isAtEnd else { return nil }
  }

  private struct Cursor {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func skipSpace() {
      while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    var isAtEnd: Bool {
      mutating get {
        skipSpace()
        return index == bytes.count
      }
    }

    mutating func take(_ byte: UInt8) -> Bool {
      skipSpace()
      guard index < bytes.count, bytes[index] == byte else { return false }
      index += 1
      return true
    }

    mutating func integer() -> Int64? {
      skipSpace()
      let start = index
      while index < bytes.count, bytes[index] == 0x2D || (0x30...0x39).contains(bytes[index]) {
        index += 1
      }
      return Int64(String(decoding: bytes[start..<index], as: UTF8.self))
    }

    mutating func string() -> String? {
      guard take(UInt8(ascii: "\"")) else { return nil }
      var text: [UInt8] = []
      while index < bytes.count {
        let byte = bytes[index]
        index += 1
        if byte == UInt8(ascii: "\"") { return String(validating: text, as: UTF8.self) }
        guard byte == UInt8(ascii: "\\") else {
          text.append(byte)
          continue
        }
        guard let decoded = escape() else { return nil }
        text.append(contentsOf: decoded)
      }
      return nil
    }

    private mutating func escape() -> [UInt8]? {
      guard index < bytes.count else { return nil }
      let kind = bytes[index]
      index += 1
      switch kind {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [kind]
      case UInt8(ascii: "n"): return [0x0A]
      case UInt8(ascii: "t"): return [0x09]
      case UInt8(ascii: "r"): return [0x0D]
      case UInt8(ascii: "u"):
        guard index + 4 <= bytes.count else { return nil }
        let digits = String(decoding: bytes[index..<index + 4], as: UTF8.self)
        index += 4
        guard let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) else {
          return nil
        }
        return [UInt8](String(Character(scalar)).utf8)
      default: return nil
      }
    }
  }
}
