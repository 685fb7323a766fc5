/// UTF-8 as the Unicode standard's table 3-7 has it: no overlong forms, no surrogates, nothing
/// above U+10FFFF.
enum UTF8Text {
  /// The offset of the first byte in `range` that does not begin a well-formed sequence lying
  /// wholly in the range; nil where all is well.
  static func firstInvalid(_ base: UnsafePointer<UInt8>, in range: Range<Int>) -> Int? {
    var index = range.lowerBound
    let end = range.upperBound
    while index < end {
      if index &+ 8 <= end, Words.load(base + index) & Words.highs == 0 {
        index &+= 8
        continue
      }
      let length = sequenceLength(base, at: index, end: end)
      if length == 0 { return index }
      index &+= length
    }
    return nil
  }

  /// The length of the well-formed sequence at `index`, 1…4; 0 where there is none.
  static func sequenceLength(_ base: UnsafePointer<UInt8>, at index: Int, end: Int) -> Int {
    let first = base[index]
    if first < 0x80 { return 1 }
    if first < 0xC2 || first > 0xF4 { return 0 }
    guard index &+ 1 < end else { return 0 }
    let second = base[index &+ 1]
    if first < 0xE0 { return isContinuation(second) ? 2 : 0 }
    let lowest: UInt8 = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80
    let highest: UInt8 = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF
    guard second >= lowest, second <= highest else { return 0 }
    guard index &+ 2 < end, isContinuation(base[index &+ 2]) else { return 0 }
    if first < 0xF0 { return 3 }
    guard index &+ 3 < end, isContinuation(base[index &+ 3]) else { return 0 }
    return 4
  }

  @inline(__always)
  private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
}
