/// Numbers of features, from 32-bit hashes of their parts: the hashing trick (Weinberger et al.
/// 2009). Each part's hash contains the name of its field, so that equal texts in two fields differ.
public enum FeatureHash {
  /// Of two features together. The order counts. As Vowpal Wabbit's quadratic features.
  @inlinable @inline(__always)
  public static func cross(_ first: UInt32, _ second: UInt32) -> UInt32 {
    (first &* 16_777_619) ^ second
  }

  /// The lowest bits.
  ///
  /// - Parameter bits: 1...32.
  @inlinable @inline(__always)
  public static func masked(_ hash: UInt32, bits: Int) -> UInt32 {
    hash & (UInt32.max >> UInt32(32 - bits))
  }

  /// A small whole number (an hour, a bucket) of a field.
  @inlinable @inline(__always)
  public static func number(_ field: UInt32, _ number: Int32) -> UInt32 {
    // MurmurHash3's finaliser, over the number's distance from its field.
    var h = field ^ (UInt32(bitPattern: number) &* 0xCC9E_2D51)
    h = (h ^ (h &>> 16)) &* 0x85EB_CA6B
    h = (h ^ (h &>> 13)) &* 0xC2B2_AE35
    return h ^ (h &>> 16)
  }

  /// Which of buckets with bounds at powers of 2 and 0 a value lies in: 0 for 0 and what is no
  /// number, else one for each binary order of magnitude and sign.
  @inlinable
  public static func bucket(_ value: Double) -> Int32 {
    guard value == value, value != 0 else { return 0 }
    let exponent = Int32(truncatingIfNeeded: max(min(value.exponent, 62), -62)) + 64
    return value < 0 ? -exponent : exponent
  }

  /// Which of buckets a count lies in: small ones are themselves, negative ones 0, larger ones their
  /// binary order of magnitude.
  @inlinable @inline(__always)
  public static func countBucket(_ count: Int32) -> Int32 {
    count < 8 ? max(count, 0) : 8 + binaryOrder(Int64(count))
  }

  /// Which of buckets a time since something lies in: 0 for never, which is below 0.
  @inlinable @inline(__always)
  public static func elapsedBucket(milliseconds: Int64) -> Int32 {
    let seconds = milliseconds / 1_000
    return seconds < 0 ? 0 : 1 + binaryOrder(seconds)
  }

  /// The hour of the day in UTC, of a time since 1970.
  @inlinable @inline(__always)
  public static func hour(milliseconds: Int64) -> Int32 {
    Int32(truncatingIfNeeded: milliseconds / 3_600_000 % 24)
  }

  /// The day of the week in UTC, Monday is 0, of a time since 1970, which began on a Thursday.
  @inlinable @inline(__always)
  public static func weekday(milliseconds: Int64) -> Int32 {
    Int32(truncatingIfNeeded: (milliseconds / 86_400_000 &+ 3) % 7)
  }

  /// 0 for 0, else the number of binary digits.
  @inlinable @inline(__always)
  static func binaryOrder(_ number: Int64) -> Int32 { Int32(64 - number.leadingZeroBitCount) }
}

/// What becomes of a feature's number.
public enum NumericForm: String, BitwiseCopyable, Sendable {
  /// Itself.
  case value
  /// ln(1 + |x|) with the number's sign.
  case log1p
  /// Its sign and binary order of magnitude, as a word.
  case bucket

  /// The hash and the value of a feature.
  ///
  /// - Parameters:
  ///   - field: The field's hash.
  ///   - number: Of any size, or no number.
  @inlinable @inline(__always)
  public func feature(_ field: UInt32, _ number: Double) -> (hash: UInt32, value: Double) {
    switch self {
    case .value: return (field, FeatureValue.bounded(number))
    case .log1p:
      let size = Elementary.log1p(number.magnitude)
      return (field, FeatureValue.bounded(number < 0 ? -size : size))
    case .bucket: return (FeatureHash.number(field, FeatureHash.bucket(number)), 1)
    }
  }
}
