/// Steele, Lea and Flood's SplitMix64: the seeded generator of tests, goldens and simulations.
///
/// Not for decisions of the engine, whose randomness is counter-based per entity.
@frozen
public struct SplitMix64: RandomNumberGenerator, Sendable, BitwiseCopyable {
  @usableFromInline var state: UInt64

  @inlinable
  public init(seed: UInt64) { state = seed }

  @inlinable
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Hash.mix(state)
  }

  /// Uniform in [0, 1), on multiples of 2^-53.
  @inlinable
  public mutating func nextUnit() -> Double {
    Double(next() &>> 11) * 0x1p-53
  }
}
