/// Randomness that is counted, not advanced: draw number `counter` of an entity for a purpose is a
/// pure function of these and the seed, so the order in which others draw changes nothing.
///
/// Not for cryptography. A value holds the place within one draw, which may take several words.
@frozen
public struct Draws: BitwiseCopyable, Sendable {
  @usableFromInline var key: UInt64
  @usableFromInline var tweak: UInt64
  @usableFromInline var position: UInt64 = 0

  /// - Parameters:
  ///   - seed: The topology's.
  ///   - account: Hash of the account's path.
  ///   - purpose: What is drawn; one number per use.
  ///   - entity: Hash of the entity's path, or its number.
  ///   - counter: How often this entity has drawn for this purpose.
  @inlinable
  public init(
    seed: UInt64, account: UInt64, purpose: UInt64, entity: UInt64, counter: UInt64
  ) {
    var hash = Draws.mix(seed &+ 0x9E37_79B9_7F4A_7C15)
    hash = Draws.mix((hash ^ account) &+ 0x9E37_79B9_7F4A_7C15)
    hash = Draws.mix((hash ^ purpose) &+ 0x9E37_79B9_7F4A_7C15)
    tweak = Draws.mix((hash ^ entity) &+ 0x9E37_79B9_7F4A_7C15)
    key = Draws.mix((tweak ^ counter) &+ 0x9E37_79B9_7F4A_7C15)
  }

  /// Variant 13 of Stafford's mixers, SplitMix64's finaliser.
  @inlinable @inline(__always)
  static func mix(_ word: UInt64) -> UInt64 {
    var z = word
    z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z &>> 31)
  }

  /// 64 random bits.
  @inlinable @inline(__always)
  public mutating func word() -> UInt64 {
    position &+= 1
    return Draws.mix(tweak ^ Draws.mix(key &+ position &* 0x9E37_79B9_7F4A_7C15))
  }

  /// Uniform in (0, 1), on the middles of 2⁵² steps: never an end.
  @inlinable @inline(__always)
  public mutating func uniform() -> Double {
    (Double(word() &>> 12) + 0.5) * 0x1p-52
  }

  /// Standard normal, by inversion: one word a draw.
  @inlinable
  public mutating func normal() -> Double { Elementary.normalQuantile(uniform()) }

  /// Gamma of a shape above 0 and scale 1. Marsaglia and Tsang (2000).
  public mutating func gamma(shape: Double) -> Double {
    shape < 1 ? Elementary.exp(logGamma(shape: shape)) : gammaAboveOne(shape)
  }

  /// The logarithm of a gamma draw: of a small shape the draw itself can be 0.
  mutating func logGamma(shape: Double) -> Double {
    guard shape < 1 else { return Elementary.log(gammaAboveOne(shape)) }
    let raised = gammaAboveOne(shape + 1)
    return Elementary.log(raised) + Elementary.log(uniform()) / shape
  }

  private mutating func gammaAboveOne(_ shape: Double) -> Double {
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = normal()
      let root = 1 + c * x
      guard root > 0 else { continue }
      let v = root * root * root
      let u = uniform()
      let square = x * x
      // The squeeze spares most draws the logarithms.
      if u < 1 - 0.0331 * square * square { return d * v }
      if Elementary.log(u) < 0.5 * square + d * (1 - v + Elementary.log(v)) { return d * v }
    }
  }

  /// A rate of a Beta distribution; in [0, 1].
  public mutating func beta(_ distribution: BetaDistribution) -> Double {
    if distribution.alpha >= 1 && distribution.beta >= 1 {
      let a = gammaAboveOne(distribution.alpha)
      let b = gammaAboveOne(distribution.beta)
      return a / (a + b)
    }
    let a = logGamma(shape: distribution.alpha)
    let b = logGamma(shape: distribution.beta)
    return 1 / (1 + Elementary.exp(b - a))
  }
}
