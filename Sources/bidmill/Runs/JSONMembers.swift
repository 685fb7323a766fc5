import Events

/// The members of a JSON object, found without decoding it: for looking at records that bidmill
/// wrote itself. Text with escapes is given as it stands.
struct JSONMembers: Sequence, IteratorProtocol {
  private let bytes: UnsafeRawBufferPointer
  private var place = 0
  private var isStarted = false

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  struct Member {
    /// Without quotes.
    var key: UnsafeRawBufferPointer
    /// A text with its quotes, a number, or a whole object or array.
    var value: UnsafeRawBufferPointer

    var integer: Int64? { Int64(text) }

    /// A text without its quotes; anything else as it stands.
    var text: String {
      var inner = value
      if inner.first == UInt8(ascii: "\""), inner.count >= 2 {
        inner = UnsafeRawBufferPointer(rebasing: inner.dropFirst().dropLast())
      }
      return String(decoding: inner, as: UTF8.self)
    }

    func isNamed(_ name: StaticString) -> Bool {
      name.withUTF8Buffer { key.elementsEqual($0) }
    }
  }

  /// The next member; nil at the end of the object, or where the bytes are no JSON object.
  mutating func next() -> Member? {
    skipBlanks()
    guard take(isStarted ? UInt8(ascii: ",") : UInt8(ascii: "{")) else { return nil }
    isStarted = true
    skipBlanks()
    guard let key = string() else { return nil }
    skipBlanks()
    guard take(UInt8(ascii: ":")) else { return nil }
    skipBlanks()
    let start = place
    guard skipValue() else { return nil }
    return Member(
      key: UnsafeRawBufferPointer(rebasing: key.dropFirst().dropLast()),
      value: UnsafeRawBufferPointer(rebasing: bytes[start..<place]))
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard place < bytes.count, bytes[place] == byte else { return false }
    place += 1
    return true
  }

  private mutating func skipBlanks() {
    while place < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[place]) { place += 1 }
  }

  /// A text with its quotes.
  private mutating func string() -> UnsafeRawBufferPointer.SubSequence? {
    let start = place
    guard take(UInt8(ascii: "\"")) else { return nil }
    while place < bytes.count {
      switch bytes[place] {
      case UInt8(ascii: "\\"): place += 2
      case UInt8(ascii: "\""):
        place += 1
        return bytes[start..<place]
      default: place += 1
      }
    }
    return nil
  }

  private mutating func skipValue() -> Bool {
    guard place < bytes.count else { return false }
    if bytes[place] == UInt8(ascii: "\"") { return string() != nil }
    var depth = 0
    let start = place
    while place < bytes.count {
      switch bytes[place] {
      case UInt8(ascii: "\""):
        guard string() != nil else { return false }
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if depth == 0 { return place > start }
        depth -= 1
        if depth == 0 {
          place += 1
          return true
        }
      case UInt8(ascii: ","): if depth == 0 { return place > start }
      default: break
      }
      place += 1
    }
    return false
  }
}

extension JSONMembers.Member {
  /// A decimal of at most six places, as a number or as a text.
  var money: Money? { Money(decimal: text) }
}

extension Money {
  /// A decimal of at most six places; nil for anything else.
  init?(decimal text: String) {
    let isNegative = text.hasPrefix("-")
    let parts = text.drop { $0 == "-" }.split(
      separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = parts.first.flatMap({ Int64($0) }) else { return nil }
    let places = parts.count > 1 ? String(parts[1]) : ""
    guard places.count <= 6,
      let fraction = Int64(places + String(repeating: "0", count: 6 - places.count))
    else { return nil }
    let (scaled, overflow) = whole.multipliedReportingOverflow(by: 1_000_000)
    let (sum, beyond) = scaled.addingReportingOverflow(fraction)
    guard !overflow, !beyond else { return nil }
    self.init(micros: isNegative ? -sum : sum)
  }
}
