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
}
