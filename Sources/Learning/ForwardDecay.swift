/// Exponential forgetting by weights that grow: what is observed at `t` counts
/// 2^((t − landmark) / half-life), and a sum of such weights, read at `now`, is divided by the
/// weight of `now` (Cormode et al. 2009).
///
/// Sums need no touching while time passes, and an observation is taken back by subtracting the
/// weight that it was added with, whenever that is. Every 32 half-lives a new landmark begins;
/// bringing a sum there is a multiplication by an exact power of two, so it does not matter when,
/// or in how many steps, it is done.
@frozen
public struct ForwardDecay: BitwiseCopyable, Sendable {
  /// Milliseconds, at least 1.
  public let halfLife: Int64
  @usableFromInline let span: Int64
  @usableFromInline let rate: Double

  /// - Parameter halfLife: In milliseconds: 1 up to 2⁵⁰.
  @inlinable
  public init(halfLife: Int64) {
    precondition(halfLife > 0 && halfLife < 1 << 50, "a half-life is 1 ms up to 2⁵⁰ ms")
    self.halfLife = halfLife
    span = halfLife * 32
    rate = 1 / Double(halfLife)
  }

  /// Number of the landmark that a time (ms, not negative) counts from.
  @inlinable @inline(__always)
  public func landmark(_ time: Int64) -> Int64 { time / span }

  /// The weight at a time, counted from any landmark; 0 when it is more than 1000 half-lives
  /// before that.
  @inlinable
  public func weight(_ time: Int64, from landmark: Int64) -> Double {
    let own = self.landmark(time)
    return Elementary.exp2(Double(time &- own &* span) * rate)
      * ForwardDecay.rescale(from: own, to: landmark)
  }

  /// What brings a sum from one landmark to another: an exact power of two.
  @inlinable
  public static func rescale(from old: Int64, to new: Int64) -> Double {
    let steps = old &- new
    if steps == 0 { return 1 }
    if steps < -31 { return 0 }
    return Elementary.power(32 * min(steps, 31))
  }

  /// What a sum counted from a landmark is worth at `now`: multiply by this.
  @inlinable
  public func discount(_ now: Int64, from landmark: Int64) -> Double {
    1 / weight(now, from: landmark)
  }
}
