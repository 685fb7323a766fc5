// Delay: learning from labels that come late. How long conversions take, and what a learner may be
// shown of a click whose conversion may still come: a label between 0 and 1, a weight, a gradient.
//
// Ages and lags are numbers that the caller passes; nothing here waits, keeps a queue of pending
// clicks, or knows which learner uses the answer.

/// What a learner is shown of a label that is not final.
///
/// The gradient of the weighted log-loss in the logit is `weight · (p − label)`.
@frozen
public struct WeightedLabel: BitwiseCopyable, Sendable, Equatable {
  /// In 0...1.
  public var label: Double
  /// At least 0.
  public var weight: Double

  @inlinable
  public init(label: Double, weight: Double) {
    self.label = label
    self.weight = weight
  }

  /// Derivative of the loss in the logit at a predicted probability.
  @inlinable
  public func gradient(at probability: Double) -> Double { weight * (probability - label) }
}

extension Elementary {
  /// 1 / (1 + e^(−x)), in [0, 1].
  @inlinable
  static func logistic(_ x: Double) -> Double {
    if x < 0 {
      let e = exp(x)
      return e / (1 + e)
    }
    return 1 / (1 + exp(-x))
  }

  /// ln(1 + eˣ): the log-loss of a logit.
  @inlinable
  static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-x.magnitude)) }

  /// ln(p / (1 − p)) of a probability cut to 2⁻¹⁰²²...1 − 2⁻⁵³.
  @inlinable
  static func logit(_ p: Double) -> Double {
    let inside = min(max(p, .leastNormalMagnitude), 1 - 0x1p-53)
    return log(inside) - log1p(-inside)
  }
}
