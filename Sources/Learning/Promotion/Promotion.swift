// Promotion: which of two models to trust, when one looks all the time. Confidence sequences hold at
// every moment at once, so stopping when they are convincing is no cheating; the gate turns them
// into promotions and roll-backs.
//
// Losses and labels are numbers; what a model is, and how traffic moves to it, is elsewhere.

/// A lower and an upper bound.
@frozen
public struct ConfidenceInterval: BitwiseCopyable, Sendable, Equatable {
  public var low: Double
  public var high: Double

  @inlinable
  public init(low: Double, high: Double) {
    self.low = low
    self.high = high
  }
}

/// Confidence sequences that need no more than a count, a mean and a variance.
public enum NormalMixture {
  /// The mixture's parameter that makes the bound tightest where the variance's sum is
  /// `varianceSum` (Howard et al. 2021).
  public static func rho(tightestAt varianceSum: Double, alpha: Double = 0.05) -> Double {
    let confidence = 2 * Elementary.log(1 / alpha)
    return varianceSum / (confidence + Elementary.log(1 + confidence))
  }

  /// How far a sum of differences may lie from its expectation, two-sided, at every time at once:
  /// √((V + ρ) ln((V + ρ) / (ρ α²))), for normal differences whose variances sum to `varianceSum`
  /// (Howard et al. 2021, two-sided normal mixture).
  public static func radius(varianceSum: Double, rho: Double, alpha: Double = 0.05) -> Double {
    let sum = max(varianceSum, 0) + rho
    return (sum * Elementary.log(sum / (rho * alpha * alpha))).squareRoot()
  }

  /// How far the mean of `count` differences of standard deviation `deviation` may lie from its
  /// expectation, at every late time at once (Waudby-Smith et al. 2021, asymptotic): for any
  /// distribution, but only once there are many.
  ///
  /// - Parameter rho: In (0, 1], larger for being tight sooner.
  public static func meanRadius(
    count: Double, deviation: Double, rho: Double = 0.1, alpha: Double = 0.05
  ) -> Double {
    guard count > 0 else { return .infinity }
    let scaled = count * rho * rho + 1
    let confidence = Elementary.log(scaled.squareRoot() / alpha)
    return deviation * (2 * scaled / (count * count * rho * rho) * confidence).squareRoot()
  }
}
