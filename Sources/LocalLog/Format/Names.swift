import Streaming

/// Names of topics, groups and sinks as file names.
enum FileName {
  /// Letters, digits, `-`, `_` and inner dots stand for themselves, other bytes as `%XX`.
  /// - Throws: `.configuration` for an empty name and one that no file system would take.
  static func encode(_ name: String) throws(LogError) -> String {
    guard !name.isEmpty else { throw LogError(.configuration, "a name is empty") }
    var encoded = ""
    for (index, byte) in name.utf8.enumerated() {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: ".") where index > 0:
        encoded.append(".")
      default:
        let digits = Array("0123456789ABCDEF")
        encoded.append("%")
        encoded.append(digits[Int(byte >> 4)])
        encoded.append(digits[Int(byte & 15)])
      }
    }
    guard encoded.utf8.count <= 200 else {
      throw LogError(
        .configuration, "the name \(name.prefix(40))… is too long: 200 bytes are allowed")
    }
    return encoded
  }

  /// 20 digits, so that names sort as their numbers do.
  static func padded(_ number: Int64) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 20 - digits.utf8.count)) + digits
  }

  /// The number of a name made by `padded` with a suffix; nil for any other name.
  static func number(_ name: String, suffix: String) -> Int64? {
    guard name.hasSuffix(suffix), name.utf8.count == 20 + suffix.utf8.count else { return nil }
    let digits = name.prefix(20)
    guard digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
      return nil
    }
    return Int64(digits)
  }
}
