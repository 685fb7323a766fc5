public import Learning

/// How far a model's rates and what came of them agree: sums over labels that are known, of which
/// the older ones fade. 16 bytes, O(1).
@frozen
public struct RateAgreement: BitwiseCopyable, Sendable, Equatable {
  /// Successes that the model expected, and those that came.
  public private(set) var expected = 0.0
  public private(set) var observed = 0.0

  public init() {}

  /// - Parameters:
  ///   - rate: What the model had said, in (0, 1).
  ///   - outcome: What came, in 0...1.
  ///   - keep: What is kept of the sums, in (0, 1].
  public mutating func add(rate: Double, outcome: Double, keep: Double) {
    expected = expected * keep + rate
    observed = observed * keep + outcome
  }

  /// Square of the relative error that a rate of the model is taken to have: its bias over all that
  /// is known, the chance in that, and the error that it has of a single ad at best. ∞ while nothing
  /// was observed.
  public func errorSquared(atBest error: Double) -> Double {
    let bias = Elementary.log((observed + 1) / (expected + 1))
    return bias * bias + 1 / observed + error * error
  }
}

/// A rate that is believed by an ad's own evidence, together with what a model expects of its
/// traffic.
///
/// The model counts as so many trials as would give its rate the relative error that it is taken to
/// have: it is one more Beta distribution, and both are added. Where an ad has little evidence the
/// model's view of ads and placements like it counts; where it has much, also if that is thousands of
/// impressions without a click, or where the model has been wrong, the evidence does. Both have seen
/// the same clicks, so the sum is no surer than the better one of them, and is not used as if it were.
@frozen
public struct RateBlend: BitwiseCopyable, Sendable, Equatable {
  /// What the model expects; 0 where it says nothing.
  public var predicted = 0.0
  /// The model's part of the average, 0...1.
  public var weight = 0.0

  public init() {}

  /// - Parameters:
  ///   - predicted: The model's rate, in (0, 1); else nothing is made of it.
  ///   - errorSquared: As `RateAgreement` tells; above 0.
  public init(_ belief: BetaDistribution, predicted: Double, errorSquared: Double) {
    guard predicted > 0, predicted < 1, errorSquared > 0 else { return }
    self.predicted = predicted
    let trials = max((1 - predicted) / (predicted * errorSquared) - 1, 0)
    weight = trials / (trials + belief.alpha + belief.beta)
  }

  /// What a rate is multiplied by to become that of both; 1 where the model has no part in it.
  public func factor(of rate: Double) -> Double {
    guard weight > 0, rate > 0 else { return 1 }
    return 1 + weight * (predicted / rate - 1)
  }
}
