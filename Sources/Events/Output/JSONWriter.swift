// Output: records as compact JSON. `JSONWriter` knows JSON and its numbers; each output record has
// its own file and says which fields it has, in the contract's order. Nothing here knows where
// records go.

/// Appends JSON to a growing buffer that is used again; allocates only when the buffer grows.
///
/// It places commas; that containers are closed in the order they were opened and that members
/// have keys is up to the caller. Text must be valid UTF-8, as all text of accepted events is.
public struct JSONWriter: ~Copyable {
  private var buffer: UnsafeMutablePointer<UInt8>
  private var capacity: Int
  private var used = 0
  /// A value stands before this place, in the same container.
  private var needsComma = false

  public init(capacity: Int = 4_096) {
    self.capacity = max(capacity, 64)
    buffer = .allocate(capacity: self.capacity)
  }

  deinit { buffer.deallocate() }

  /// Bytes written so far.
  public var count: Int { used }

  /// What was written; valid until the next write.
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: buffer, count: used) }

  /// A copy of what was written.
  public var string: String { String(decoding: bytes, as: UTF8.self) }

  /// Forgets what was written; keeps the memory.
  public mutating func removeAll() {
    used = 0
    needsComma = false
  }

  // MARK: Structure

  public mutating func beginObject() { open(UInt8(ascii: "{")) }
  public mutating func endObject() { close(UInt8(ascii: "}")) }
  public mutating func beginArray() { open(UInt8(ascii: "[")) }
  public mutating func endArray() { close(UInt8(ascii: "]")) }

  /// The key of the next value; must have no character that JSON escapes.
  public mutating func key(_ name: StaticString) {
    let length = name.utf8CodeUnitCount
    reserve(length &+ 4)
    if needsComma { push(UInt8(ascii: ",")) }
    push(UInt8(ascii: "\""))
    copy(name.utf8Start, count: length)
    push(UInt8(ascii: "\""))
    push(UInt8(ascii: ":"))
    needsComma = false
  }

  /// The key of the next value, of any text.
  public mutating func key(text name: String) {
    string(name)
    push(UInt8(ascii: ":"))
    needsComma = false
  }

  /// Ends a record; a further one may follow.
  public mutating func newline() {
    reserve(1)
    push(0x0A)
    needsComma = false
  }

  // MARK: Values

  public mutating func string(_ text: Identifier) { string(text.bytes) }
  public mutating func string(_ text: StaticString) { text.withUTF8Buffer { string($0) } }

  public mutating func string(_ text: String) {
    var text = text
    text.withUTF8 { string($0) }
  }

  /// UTF-8, escaped where JSON demands it and nowhere else.
  public mutating func string(_ text: UnsafeBufferPointer<UInt8>) {
    // A byte becomes six at most, "\u001f".
    beginValue(text.count &* 6 &+ 2)
    push(UInt8(ascii: "\""))
    if let start = text.baseAddress { escape(start, count: text.count) }
    push(UInt8(ascii: "\""))
  }

  /// Bytes as a string in base64, padded (RFC 4648, section 4).
  public mutating func base64(_ bytes: UnsafeRawBufferPointer) {
    beginValue((bytes.count &+ 2) / 3 &* 4 &+ 2)
    push(UInt8(ascii: "\""))
    var index = 0
    while index &+ 3 <= bytes.count {
      base64Group(bytes[index], bytes[index &+ 1], bytes[index &+ 2])
      index &+= 3
    }
    let rest = bytes.count &- index
    if rest > 0 {
      base64Group(bytes[index], rest == 2 ? bytes[index &+ 1] : 0, 0)
      buffer[used &- 1] = UInt8(ascii: "=")
      if rest == 1 { buffer[used &- 2] = UInt8(ascii: "=") }
    }
    push(UInt8(ascii: "\""))
  }

  public mutating func integer(_ value: Int64) {
    beginValue(20)
    signedDigits(value)
  }

  /// Whole milliseconds since the epoch.
  public mutating func time(_ value: EventTime) { integer(value.rawValue) }

  /// The shortest exact decimal: `12.5`, `0.000001`, `-3`.
  public mutating func money(_ value: Money) { decimal(value.micros, unit: 1_000_000, places: 6) }

  /// `number` / `unit`, which is ten to the power of `places`, without zeros at its end.
  private mutating func decimal(_ number: Int64, unit: UInt64, places: Int) {
    beginValue(32)
    if number < 0 { push(UInt8(ascii: "-")) }
    var (whole, rest) = number.magnitude.quotientAndRemainder(dividingBy: unit)
    digits(whole)
    if rest == 0 { return }
    push(UInt8(ascii: "."))
    var places = places
    while rest % 100 == 0 {
      rest /= 100
      places &-= 2
    }
    if rest % 10 == 0 {
      rest /= 10
      places &-= 1
    }
    var place = used &+ places
    used = place
    while places >= 2 {
      place &-= 2
      (rest, whole) = rest.quotientAndRemainder(dividingBy: 100)
      pair(whole, at: place)
      places &-= 2
    }
    if places > 0 { buffer[place &- 1] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest) }
  }

  /// The shortest decimal that reads back as the same `Double`. It must be finite. Those of more
  /// than 15 characters pass through a temporary string.
  public mutating func double(_ value: Double) {
    precondition(value.isFinite, "JSON has no infinities and no NaN")
    var text = value.description
    text.withUTF8 { raw(UnsafeRawBufferPointer($0)) }
  }

  /// A `Double` to so many decimal places (at most 9), rounded half away from zero and without the
  /// zeros at its end. It must be finite; beyond what 63 bits hold it is written as `double` does.
  public mutating func decimal(_ value: Double, places: Int) {
    precondition(value.isFinite, "JSON has no infinities and no NaN")
    let unit = JSONWriter.powersOfTen(places)
    let scaled = (value * Double(unit)).rounded(.toNearestOrAwayFromZero)
    guard abs(scaled) < 9e18 else { return double(value) }
    decimal(Int64(scaled), unit: unit, places: places)
  }

  private static func powersOfTen(_ places: Int) -> UInt64 {
    precondition(places >= 0 && places <= 9, "at most nine decimal places")
    var power: UInt64 = 1
    for _ in 0..<places { power &*= 10 }
    return power
  }

  public mutating func bool(_ value: Bool) {
    raw(value ? "true" : "false")
  }

  public mutating func null() { raw("null") }

  /// A value that is JSON already.
  public mutating func raw(_ json: UnsafeRawBufferPointer) {
    beginValue(json.count)
    guard let start = json.baseAddress else { return }
    UnsafeMutableRawPointer(buffer + used).copyMemory(from: start, byteCount: json.count)
    used &+= json.count
  }

  /// Bytes that were written before, once more: whole members of an object, from the first one's
  /// key on, after a comma where one is due.
  public mutating func again(_ range: Range<Int>) {
    precondition(range.upperBound <= used, "only what was written can be written again")
    beginValue(range.count)
    (buffer + used).update(from: buffer + range.lowerBound, count: range.count)
    used &+= range.count
  }

  /// A value that is JSON already.
  public mutating func raw(_ json: StaticString) {
    json.withUTF8Buffer { raw(UnsafeRawBufferPointer($0)) }
  }

  /// What caused a record, from its prepared beginning.
  public mutating func source(_ source: RecordSource) {
    beginValue(source.prefix.count &+ 21)
    if let start = source.prefix.baseAddress {
      (buffer + used).update(from: start, count: source.prefix.count)
      used &+= source.prefix.count
    }
    signedDigits(source.number)
    push(UInt8(ascii: "}"))
  }

  /// Bytes that stand outside of any JSON value, such as a record's key before the record.
  public mutating func unframed(_ bytes: UnsafeBufferPointer<UInt8>) {
    reserve(bytes.count &+ 1)
    if let start = bytes.baseAddress {
      (buffer + used).update(from: start, count: bytes.count)
      used &+= bytes.count
    }
    needsComma = false
  }

  /// Text outside of any JSON value.
  public mutating func unframed(_ text: String) {
    var text = text
    text.withUTF8 { unframed($0) }
  }

  /// One byte outside of any JSON value: a separator between parts of a key.
  public mutating func unframed(_ byte: UInt8) {
    reserve(1)
    push(byte)
    needsComma = false
  }

  // MARK: Members

  public mutating func member(_ key: StaticString, _ value: Identifier) {
    self.key(key)
    string(value)
  }

  public mutating func member(_ key: StaticString, _ value: Int64) {
    self.key(key)
    integer(value)
  }

  public mutating func member(_ key: StaticString, _ value: Money) {
    self.key(key)
    money(value)
  }

  public mutating func member(_ key: StaticString, _ value: EventTime) {
    self.key(key)
    time(value)
  }

  public mutating func member(_ key: StaticString, _ value: Double) {
    self.key(key)
    double(value)
  }

  public mutating func member(_ key: StaticString, _ value: Double, places: Int) {
    self.key(key)
    decimal(value, places: places)
  }

  public mutating func member(_ key: StaticString, _ value: Bool) {
    self.key(key)
    bool(value)
  }

  public mutating func member(_ key: StaticString, text value: StaticString) {
    self.key(key)
    string(value)
  }

  /// Sixteen digits.
  public mutating func member(_ key: StaticString, hexadecimal value: UInt64) {
    self.key(key)
    beginValue(18)
    push(UInt8(ascii: "\""))
    for shift in stride(from: UInt64(60), through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: value &>> shift) & 15
      push(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit)
    }
    push(UInt8(ascii: "\""))
  }

  public mutating func member(_ key: StaticString, text value: String) {
    self.key(key)
    string(value)
  }
}

// The bytes.
extension JSONWriter {
  private mutating func open(_ bracket: UInt8) {
    beginValue(1)
    push(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    reserve(1)
    push(bracket)
    needsComma = true
  }

  /// Room for a value of at most `count` bytes, after a comma where one is due.
  @inline(__always)
  private mutating func beginValue(_ count: Int) {
    reserve(count &+ 1)
    if needsComma { push(UInt8(ascii: ",")) }
    needsComma = true
  }

  @inline(__always)
  private mutating func push(_ byte: UInt8) {
    buffer[used] = byte
    used &+= 1
  }

  @inline(__always)
  private mutating func reserve(_ count: Int) {
    if capacity &- used < count { grow(count) }
  }

  @inline(never)
  private mutating func grow(_ count: Int) {
    let larger = max(capacity * 2, used + count)
    let replacement = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
    replacement.update(from: buffer, count: used)
    buffer.deallocate()
    buffer = replacement
    capacity = larger
  }

  private mutating func escape(_ start: UnsafePointer<UInt8>, count: Int) {
    var index = 0
    while index &+ 8 <= count {
      let word = Words.load(start + index)
      if isPlain(word) {
        store(word, at: used)
        used &+= 8
        index &+= 8
      } else {
        escape(start[index])
        index &+= 1
      }
    }
    let rest = count &- index
    if rest == 0 { return }
    if count >= 8 {
      // The last eight bytes; where they are plain, the first of them stand there already.
      let word = Words.load(start + (count &- 8))
      if isPlain(word) {
        store(word, at: used &+ rest &- 8)
        used &+= rest
        return
      }
    }
    while index < count {
      escape(start[index])
      index &+= 1
    }
  }

  /// Nothing in eight bytes has to be escaped.
  @inline(__always)
  private func isPlain(_ word: UInt64) -> Bool { Words.interruptions(word & ~Words.highs) == 0 }

  @inline(__always)
  private func store(_ word: UInt64, at place: Int) {
    UnsafeMutableRawPointer(buffer + place).storeBytes(of: word.littleEndian, as: UInt64.self)
  }

  /// Short bytes, for which a call of the library's copy takes longer than copying. Room must be
  /// there.
  @inline(__always)
  private mutating func copy(_ start: UnsafePointer<UInt8>, count: Int) {
    if count >= 8 {
      var index = 0
      while index &+ 8 < count {
        store(Words.load(start + index), at: used &+ index)
        index &+= 8
      }
      store(Words.load(start + (count &- 8)), at: used &+ count &- 8)
    } else if count >= 4 {
      let (first, last) = (Words.loadHalf(start), Words.loadHalf(start + (count &- 4)))
      let target = UnsafeMutableRawPointer(buffer + used)
      target.storeBytes(of: first.littleEndian, as: UInt32.self)
      target.storeBytes(of: last.littleEndian, toByteOffset: count &- 4, as: UInt32.self)
    } else {
      for index in 0..<count { buffer[used &+ index] = start[index] }
    }
    used &+= count
  }

  @inline(__always)
  private mutating func escape(_ byte: UInt8) {
    if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
      push(byte)
      return
    }
    push(UInt8(ascii: "\\"))
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): push(byte)
    case 0x0A: push(UInt8(ascii: "n"))
    case 0x0D: push(UInt8(ascii: "r"))
    case 0x09: push(UInt8(ascii: "t"))
    default:
      push(UInt8(ascii: "u"))
      push(UInt8(ascii: "0"))
      push(UInt8(ascii: "0"))
      push(UInt8(ascii: "0") &+ byte &>> 4)
      let low = byte & 15
      push(low < 10 ? UInt8(ascii: "0") &+ low : UInt8(ascii: "a") &+ low &- 10)
    }
  }

  private mutating func signedDigits(_ value: Int64) {
    if value < 0 { push(UInt8(ascii: "-")) }
    digits(value.magnitude)
  }

  /// Writes from the last digit to the first, two at a time.
  private mutating func digits(_ value: UInt64) {
    let count = Self.digitsCount(value)
    var place = used &+ count
    used = place
    var rest = value
    while rest >= 10 {
      let (quotient, last) = rest.quotientAndRemainder(dividingBy: 100)
      place &-= 2
      pair(last, at: place)
      rest = quotient
    }
    if place > used &- count {
      buffer[place &- 1] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest)
    }
  }

  /// Two digits of a number below 100.
  @inline(__always)
  private func pair(_ number: UInt64, at place: Int) {
    let tens = UInt8(truncatingIfNeeded: (number &* 103) &>> 10)
    buffer[place] = UInt8(ascii: "0") &+ tens
    buffer[place &+ 1] = UInt8(ascii: "0") &+ (UInt8(truncatingIfNeeded: number) &- tens &* 10)
  }

  @inline(__always)
  private static func digitsCount(_ value: UInt64) -> Int {
    var count = 1
    var rest = value
    while rest >= 10_000 {
      count &+= 4
      rest /= 10_000
    }
    return count &+ (rest >= 10 ? 1 : 0) &+ (rest >= 100 ? 1 : 0) &+ (rest >= 1_000 ? 1 : 0)
  }

  private mutating func base64Group(_ a: UInt8, _ b: UInt8, _ c: UInt8) {
    push(Self.base64Digit(a &>> 2))
    push(Self.base64Digit((a & 3) &<< 4 | b &>> 4))
    push(Self.base64Digit((b & 15) &<< 2 | c &>> 6))
    push(Self.base64Digit(c & 63))
  }

  @inline(__always)
  private static func base64Digit(_ value: UInt8) -> UInt8 {
    switch value {
    case 0..<26: UInt8(ascii: "A") &+ value
    case 26..<52: UInt8(ascii: "a") &+ value &- 26
    case 52..<62: UInt8(ascii: "0") &+ value &- 52
    case 62: UInt8(ascii: "+")
    default: UInt8(ascii: "/")
    }
  }
}
