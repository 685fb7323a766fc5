/// Reads JSON from the front to the back: whoever calls it says what should come next.
///
/// Complete for records as the service writes them and takes them; not a judge of what is valid
/// JSON. Texts are decoded as UTF-8, mended where they are none.
struct JSONReader {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var index = 0
  private var depth = 0

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  private func problem(_ expected: String) -> ModelProblem {
    ModelProblem("byte \(index): expected \(expected)")
  }

  private var here: UInt8 { index < bytes.count ? bytes[index] : 0 }

  private mutating func skipSpace() {
    while here == 0x20 || here == 0x09 || here == 0x0A || here == 0x0D { index += 1 }
  }

  /// The first byte of the next value.
  mutating func next() -> UInt8 {
    skipSpace()
    return here
  }

  private mutating func expect(_ byte: Unicode.Scalar) throws(ModelProblem) {
    skipSpace()
    guard here == UInt8(ascii: byte) else { throw problem("`\(byte)`") }
    index += 1
  }

  private mutating func takes(_ byte: Unicode.Scalar) -> Bool {
    skipSpace()
    guard here == UInt8(ascii: byte) else { return false }
    index += 1
    return true
  }

  /// Nothing but white space is left.
  mutating func end() throws(ModelProblem) {
    skipSpace()
    guard index == bytes.count else { throw problem("the end") }
  }

  // MARK: Containers

  /// Calls `member` at each value of an object; it reads or skips the value.
  mutating func object(
    _ member: (String, inout JSONReader) throws(ModelProblem) -> Void
  ) throws(ModelProblem) {
    try open("{")
    if !takes("}") {
      repeat {
        let key = try string()
        try expect(":")
        try member(key, &self)
      } while takes(",")
      try expect("}")
    }
    depth -= 1
  }

  /// The same for an array.
  mutating func array(
    _ element: (inout JSONReader) throws(ModelProblem) -> Void
  ) throws(ModelProblem) {
    try open("[")
    if !takes("]") {
      repeat { try element(&self) } while takes(",")
      try expect("]")
    }
    depth -= 1
  }

  private mutating func open(_ bracket: Unicode.Scalar) throws(ModelProblem) {
    try expect(bracket)
    depth += 1
    guard depth <= 32 else { throw problem("no more than 32 levels") }
  }

  /// Passes over a value.
  mutating func skip() throws(ModelProblem) {
    switch next() {
    case UInt8(ascii: "{"): try object { (_, value) throws(ModelProblem) in try value.skip() }
    case UInt8(ascii: "["): try array { (value) throws(ModelProblem) in try value.skip() }
    case UInt8(ascii: "\""): _ = try string()
    default: _ = try word()
    }
  }

  // MARK: Values

  /// The bytes of a number or a literal.
  private mutating func word() throws(ModelProblem) -> Range<Int> {
    skipSpace()
    let start = index
    while index < bytes.count {
      switch here {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "E"):
        index += 1
      default:
        guard index > start else { throw problem("a value") }
        return start..<index
      }
    }
    guard index > start else { throw problem("a value") }
    return start..<index
  }

  private mutating func text() throws(ModelProblem) -> String {
    String(decoding: bytes[try word()], as: UTF8.self)
  }

  mutating func boolean() throws(ModelProblem) -> Bool {
    switch try text() {
    case "true": return true
    case "false": return false
    default: throw problem("`true` or `false`")
    }
  }

  mutating func integer() throws(ModelProblem) -> Int64 {
    guard let value = Int64(try text()) else { throw problem("a whole number") }
    return value
  }

  /// The nearest `Double`.
  mutating func number() throws(ModelProblem) -> Double {
    guard let value = Double(try text()), value.isFinite else { throw problem("a number") }
    return value
  }

  /// A number by its bits: a string of hexadecimal digits.
  mutating func bits() throws(ModelProblem) -> Double {
    guard let bits = UInt64(try string(), radix: 16) else {
      throw problem("hexadecimal digits")
    }
    let value = Double(bitPattern: bits)
    guard value.isFinite else { throw problem("a finite number's bits") }
    return value
  }

  mutating func string() throws(ModelProblem) -> String {
    let (range, isPlain) = try quoted()
    if isPlain { return String(decoding: bytes[range], as: UTF8.self) }
    return try unescaped(range)
  }

  /// What stands between the quotes of a string, and whether it means itself.
  private mutating func quoted() throws(ModelProblem) -> (Range<Int>, isPlain: Bool) {
    try expect("\"")
    let start = index
    var isPlain = true
    while index < bytes.count {
      switch here {
      case UInt8(ascii: "\""):
        index += 1
        return (start..<index - 1, isPlain)
      case UInt8(ascii: "\\"):
        isPlain = false
        index += 2
      default: index += 1
      }
    }
    throw problem("a closing quote")
  }

  private func unescaped(_ range: Range<Int>) throws(ModelProblem) -> String {
    var units: [UInt16] = []
    var plain: [UInt8] = []
    var result = ""
    func flush() {
      result += String(decoding: units, as: UTF16.self) + String(decoding: plain, as: UTF8.self)
      units.removeAll()
      plain.removeAll()
    }
    var i = range.lowerBound
    while i < range.upperBound {
      guard bytes[i] == UInt8(ascii: "\\"), i + 1 < range.upperBound else {
        if !units.isEmpty { flush() }
        plain.append(bytes[i])
        i += 1
        continue
      }
      if !plain.isEmpty { flush() }
      let letter = bytes[i + 1]
      i += 2
      guard letter == UInt8(ascii: "u") else {
        units.append(JSONReader.escape(letter))
        continue
      }
      guard i + 4 <= range.upperBound,
        let unit = UInt16(String(decoding: bytes[i..<i + 4], as: UTF8.self), radix: 16)
      else { throw problem("four hexadecimal digits in a string") }
      units.append(unit)
      i += 4
    }
    flush()
    return result
  }

  private static func escape(_ letter: UInt8) -> UInt16 {
    switch letter {
    case UInt8(ascii: "n"): 0x0A
    case UInt8(ascii: "r"): 0x0D
    case UInt8(ascii: "t"): 0x09
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0C
    default: UInt16(letter)
    }
  }

  /// A string's bytes, from base64 with padding.
  mutating func base64() throws(ModelProblem) -> [UInt8] {
    let (range, isPlain) = try quoted()
    guard isPlain, range.count % 4 == 0 else { throw problem("base64") }
    var result: [UInt8] = []
    result.reserveCapacity(range.count / 4 * 3)
    for start in stride(from: range.lowerBound, to: range.upperBound, by: 4) {
      var group: UInt32 = 0
      var padding = 0
      for i in start..<start + 4 {
        if bytes[i] == UInt8(ascii: "="), i >= range.upperBound - 2 {
          padding += 1
          group <<= 6
          continue
        }
        guard padding == 0, let digit = JSONReader.base64Digit(bytes[i]) else {
          throw problem("base64")
        }
        group = group << 6 | digit
      }
      for i in 0..<3 - padding { result.append(UInt8(truncatingIfNeeded: group >> (16 - 8 * i))) }
    }
    return result
  }

  private static func base64Digit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
