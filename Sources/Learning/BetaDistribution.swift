/// The Beta distribution: what is believed about a rate after successes and failures.
@frozen
public struct BetaDistribution: BitwiseCopyable, Sendable, Equatable {
  /// Both above 0.
  public var alpha: Double
  public var beta: Double

  @inlinable
  public init(alpha: Double, beta: Double) {
    self.alpha = alpha
    self.beta = beta
  }

  /// A prior of a mean in (0, 1) and the weight of so many trials.
  @inlinable
  public init(mean: Double, strength: Double) {
    self.init(alpha: strength * mean, beta: strength * (1 - mean))
  }

  @inlinable public var mean: Double { alpha / (alpha + beta) }

  @inlinable public var variance: Double {
    let sum = alpha + beta
    return (alpha / sum) * (beta / sum) / (sum + 1)
  }

  /// The density at `x`; 0 outside [0, 1], ∞ at an end where it has a pole.
  public func density(_ x: Double) -> Double {
    guard x > 0, x < 1 else {
      guard x == 0 || x == 1 else { return 0 }
      let (near, far) = x == 0 ? (alpha, beta) : (beta, alpha)
      return near > 1 ? 0 : near < 1 ? .infinity : far
    }
    let kernel = Elementary.logBetaKernel(alpha, beta, x, 1 - x)
    return Elementary.exp(kernel - Elementary.log(x) - Elementary.log1p(-x))
  }

  /// P(X ≤ x). Relative error below 10⁻¹² while alpha + beta < 10⁶. O(√max(alpha, beta)).
  public func cdf(_ x: Double) -> Double {
    Elementary.incompleteBeta(alpha, beta, x, 1 - x).lower
  }

  /// The `x` with P(X ≤ x) = p, for p in [0, 1]. Some ten evaluations of the distribution.
  public func quantile(_ p: Double) -> Double { quantilePair(p).x }

  /// The quantile and 1 minus it, each to its own digits.
  func quantilePair(_ p: Double) -> (x: Double, y: Double) {
    guard p > 0 else { return (0, 1) }
    guard p < 1 else { return (1, 0) }
    let t = logitQuantile(p)
    return BetaDistribution.rates(t)
  }

  /// A log-odds as a rate and 1 minus it.
  static func rates(_ t: Double) -> (x: Double, y: Double) {
    if t < 0 {
      let odds = Elementary.exp(t)
      return (odds / (1 + odds), 1 / (1 + odds))
    }
    let odds = Elementary.exp(-t)
    return (1 / (1 + odds), odds / (1 + odds))
  }

  /// The quantile's log-odds, in -744...744: Newton's method on the logarithm of the smaller tail,
  /// which is concave in the log-odds, within a bracket.
  func logitQuantile(_ p: Double) -> Double {
    let wanted = p <= 0.5 ? p : 1 - p
    var low = -744.0
    var high = 744.0
    let spread = (1 / alpha + 1 / beta).squareRoot()
    var t = Elementary.log(alpha / beta) + spread * Elementary.normalQuantile(p)
    for _ in 0..<200 {
      if !(t > low && t < high) { t = low + (high - low) / 2 }
      let (x, y) = BetaDistribution.rates(t)
      let (lower, upper) = Elementary.incompleteBeta(alpha, beta, x, y)
      let tail = p <= 0.5 ? lower : upper
      // More than wanted below t, or less than wanted above it.
      if (tail > wanted) == (p <= 0.5) { high = t } else { low = t }
      let slope = Elementary.exp(Elementary.logBetaKernel(alpha, beta, x, y))
      let step = Elementary.log(tail / wanted) * tail / slope
      let next = p <= 0.5 ? t - step : t + step
      if next == t || high - low < 1e-15 { break }
      let isDone = (next - t).magnitude <= 1e-15 * max(1, t.magnitude)
      t = next
      if isDone { break }
    }
    return min(max(t, -744), 744)
  }
}
