// Decoding: from a record's bytes to an `Event`. `EventDecoder` is the way in. Records of the
// frequent types go through `FastDecoding` in one pass; whatever that does not take, including
// everything that is to be refused, goes through `ThoroughDecoding`, which is complete and decides
// alone what is wrong with a record. Both read the same plan of fields, the same numbers, times
// and strings. Nothing here allocates per accepted event, keeps a reference to a record beyond
// its batch, or knows of logs, topics or operators.

/// Text eight bytes at a time in one machine word ("SIMD within a register").
///
/// The first byte of the text is always the lowest byte of the word.
enum Words {
  static let ones: UInt64 = 0x0101_0101_0101_0101
  static let highs: UInt64 = 0x8080_8080_8080_8080

  @inline(__always)
  static func load(_ p: UnsafePointer<UInt8>) -> UInt64 {
    UInt64(littleEndian: UnsafeRawPointer(p).loadUnaligned(as: UInt64.self))
  }

  @inline(__always)
  static func loadHalf(_ p: UnsafePointer<UInt8>) -> UInt32 {
    UInt32(littleEndian: UnsafeRawPointer(p).loadUnaligned(as: UInt32.self))
  }

  /// The `count` (0…8) bytes from `p` on, zero above them; reads no others.
  static func load(_ p: UnsafePointer<UInt8>, count: Int) -> UInt64 {
    var word: UInt64 = 0
    var index = count
    while index > 0 {
      index &-= 1
      word = (word &<< 8) | UInt64(p[index])
    }
    return word
  }

  /// The lowest `count` (0…7) bytes of a word.
  @inline(__always)
  static func low(_ word: UInt64, _ count: Int) -> UInt64 {
    word & ((1 &<< UInt64(truncatingIfNeeded: count &* 8)) &- 1)
  }

  /// The high bit of each byte that ends or interrupts plain ASCII text in a JSON string: a quote,
  /// a backslash, a control character or a byte of 0x80 and above. The lowest bit set is exact;
  /// borrows may set bits above it.
  @inline(__always)
  static func interruptions(_ word: UInt64) -> UInt64 {
    // Flipping bit 1 moves the quote (0x22) to 0x20, next to the control characters. Bytes of 0x80
    // and above keep their high bit in one of the differences: 0xDC loses it to the second alone,
    // 0x80…0xA2 to the first alone.
    let quotesAndControls = (word ^ (ones &* 0x02)) &- (ones &* 0x21)
    let backslashes = (word ^ (ones &* 0x5C)) &- ones
    return (quotesAndControls | backslashes) & highs
  }

  /// The high bit of each byte that is not an ASCII digit; exact for all eight.
  @inline(__always)
  static func nonDigits(_ word: UInt64) -> UInt64 {
    let offset = word ^ (ones &* 0x30)
    return (((offset & (ones &* 0x7F)) &+ (ones &* 0x76)) | offset) & highs
  }

  /// The index of the byte that the lowest bit of a mask stands in; 8 for an empty mask.
  @inline(__always)
  static func firstByte(_ mask: UInt64) -> Int {
    mask.trailingZeroBitCount &>> 3
  }

  /// The value of the `count` (1…8) ASCII digits in the low bytes of a word.
  @inline(__always)
  static func digits(_ word: UInt64, _ count: Int) -> UInt64 {
    // Digits move up to the last byte; the zero bytes that follow them in act as leading zeros.
    let shift = UInt64(truncatingIfNeeded: 64 &- count &* 8)
    let digits = ((word ^ (ones &* 0x30)) &<< shift)
    let pairs = (digits &* 10) &+ (digits &>> 8)
    let mask: UInt64 = 0x0000_00FF_0000_00FF
    let high = (pairs & mask) &* 0x000F_4240_0000_0064
    let low = ((pairs &>> 16) & mask) &* 0x0000_2710_0000_0001
    return (high &+ low) &>> 32
  }
}
