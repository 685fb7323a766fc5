import Events

/// Reads the payload of a `prior` event: an object with members that are texts, numbers, objects,
/// and arrays of numbers. What is something else is nil, whatever it is; nothing is assumed of the
/// bytes.
struct Payload {
  private let bytes: UnsafeBufferPointer<UInt8>

  /// - Parameter bytes: JSON.
  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// The value of a member, as JSON; the first one of this name.
  subscript(name: StaticString) -> Payload? {
    var index = skipSpace(0)
    guard byte(index) == UInt8(ascii: "{") else { return nil }
    index = skipSpace(index + 1)
    while byte(index) == UInt8(ascii: "\"") {
      guard let keyEnd = string(index) else { return nil }
      let key = bytes[(index + 1)..<(keyEnd - 1)]
      index = skipSpace(keyEnd)
      guard byte(index) == UInt8(ascii: ":") else { return nil }
      index = skipSpace(index + 1)
      guard let end = value(index) else { return nil }
      let isNamed = name.withUTF8Buffer { $0.elementsEqual(key) }
      if isNamed { return Payload(UnsafeBufferPointer(rebasing: bytes[index..<end])) }
      index = skipSpace(end)
      guard byte(index) == UInt8(ascii: ",") else { return nil }
      index = skipSpace(index + 1)
    }
    return nil
  }

  /// A text without escapes.
  var text: UnsafeBufferPointer<UInt8>? {
    guard bytes.count >= 2, bytes[0] == UInt8(ascii: "\""), string(0) == bytes.count else {
      return nil
    }
    let text = UnsafeBufferPointer(rebasing: bytes[1..<(bytes.count - 1)])
    return text.contains(UInt8(ascii: "\\")) ? nil : text
  }

  /// A text of sixteen hexadecimal digits.
  var hexadecimal: UInt64? {
    guard let text, text.count == 16 else { return nil }
    return UInt64(String(decoding: text, as: UTF8.self), radix: 16)
  }

  /// A finite number.
  var number: Double? { Payload.number(bytes[...]) }

  /// An array of so many whole numbers of 32 bits.
  func integers(_ count: Int, _ body: (Int, Int32) -> Void) -> Bool {
    elements(count) { index, element in
      guard let number = Payload.integer(element) else { return false }
      body(index, number)
      return true
    }
  }

  /// An array of so many finite numbers.
  func numbers(_ count: Int, _ body: (Int, Double) -> Void) -> Bool {
    elements(count) { index, element in
      guard let number = Payload.number(element) else { return false }
      body(index, number)
      return true
    }
  }

  private static func number(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Double? {
    // A JSON number begins with its sign or a digit; Swift reads words and hexadecimal ones too.
    guard text.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }),
      let number = Double(String(decoding: text, as: UTF8.self)), number.isFinite
    else { return nil }
    return number
  }

  private static func integer(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Int32? {
    var digits = text
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative { digits = digits.dropFirst() }
    guard (1...10).contains(digits.count) else { return nil }
    var number: Int64 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      number = number * 10 + Int64(digit - UInt8(ascii: "0"))
    }
    return Int32(exactly: isNegative ? -number : number)
  }

  private func elements(
    _ count: Int, _ body: (Int, Slice<UnsafeBufferPointer<UInt8>>) -> Bool
  ) -> Bool {
    var index = skipSpace(0)
    guard byte(index) == UInt8(ascii: "[") else { return false }
    for i in 0..<count {
      index = skipSpace(index + 1)
      let start = index
      while isBare(byte(index)) { index += 1 }
      guard index > start, body(i, bytes[start..<index]) else { return false }
      index = skipSpace(index)
      guard byte(index) == UInt8(ascii: i + 1 < count ? "," : "]") else { return false }
    }
    return index == bytes.count - 1
  }

  // MARK: Places

  /// 0 behind the end.
  private func byte(_ index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }

  private func skipSpace(_ start: Int) -> Int {
    var index = start
    while [0x20, 0x09, 0x0A, 0x0D].contains(byte(index)) { index += 1 }
    return index
  }

  private func isBare(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte != UInt8(ascii: ",") && byte != UInt8(ascii: "]")
      && byte != UInt8(ascii: "}") && byte != UInt8(ascii: "[") && byte != UInt8(ascii: "{")
      && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: ":")
  }

  /// Behind a text that begins here.
  private func string(_ start: Int) -> Int? {
    var index = start + 1
    while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
      index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
    }
    return index < bytes.count ? index + 1 : nil
  }

  /// Behind a value that begins here.
  private func value(_ start: Int) -> Int? {
    var (index, depth) = (start, 0)
    repeat {
      switch byte(index) {
      case UInt8(ascii: "\""):
        guard let end = string(index) else { return nil }
        index = end
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        index += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        index += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x09, 0x0A, 0x0D:
        guard depth > 0 else { return nil }
        index += 1
      default:
        let bare = index
        while isBare(byte(index)) { index += 1 }
        guard index > bare else { return nil }
      }
    } while depth > 0
    return depth == 0 ? index : nil
  }
}
