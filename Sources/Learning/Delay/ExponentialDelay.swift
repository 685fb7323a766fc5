/// The delayed-feedback model: a click converts with probability p = 1 / (1 + e^(−a)), and if it
/// does, after an exponential delay of rate λ = eˡ (Chapelle, KDD 2014).
///
/// Two heads are learned: the logit a and the logarithm l of the rate. Ages and delays are in the
/// unit that the rate is per (days, say), at least 0; any finite logit and log-rate is accepted,
/// and the log-rate counts as at most 300 in magnitude. All O(1).
///
/// The model has no end of the window: when a click's window closes without a conversion, its
/// label is 0 for certain and the plain log-loss applies.
public enum ExponentialDelay {
  /// A loss's derivatives in the two heads' outputs.
  @frozen
  public struct Gradient: BitwiseCopyable, Sendable, Equatable {
    /// In the logit of conversion.
    public var logit: Double
    /// In the logarithm of the delay's rate.
    public var logRate: Double

    @inlinable
    public init(logit: Double, logRate: Double) {
      self.logit = logit
      self.logRate = logRate
    }
  }

  /// λ times an age; finite.
  @inlinable
  static func product(_ logRate: Double, _ age: Double) -> Double {
    min(Elementary.exp(min(max(logRate, -300), 300)) * max(age, 0), 1e300)
  }

  /// Probability that a click will still convert, none having been seen up to its age: the soft
  /// label of a pending click, in [0, 1].
  ///
  /// p e^(−λe) / (1 − p + p e^(−λe)): the odds have shrunk by e^(−λe).
  @inlinable
  public static func pendingLabel(logit: Double, logRate: Double, age: Double) -> Double {
    Elementary.logistic(logit - product(logRate, age))
  }

  /// −ln of the probability that no conversion was seen up to an age.
  @inlinable
  public static func pendingLoss(logit: Double, logRate: Double, age: Double) -> Double {
    Elementary.softplus(logit) - Elementary.softplus(logit - product(logRate, age))
  }

  /// −ln of the probability density of a conversion after a delay.
  @inlinable
  public static func convertedLoss(logit: Double, logRate: Double, delay: Double) -> Double {
    Elementary.softplus(-logit) - min(max(logRate, -300), 300) + product(logRate, delay)
  }

  /// Gradient of `pendingLoss`: p − r and r λ e, with r the soft label.
  @inlinable
  public static func pendingGradient(logit: Double, logRate: Double, age: Double) -> Gradient {
    let passed = product(logRate, age)
    let label = Elementary.logistic(logit - passed)
    return Gradient(logit: Elementary.logistic(logit) - label, logRate: label * passed)
  }

  /// Gradient of `convertedLoss`: −(1 − p) and λ d − 1.
  @inlinable
  public static func convertedGradient(
    logit: Double, logRate: Double, delay: Double
  ) -> Gradient {
    Gradient(logit: -Elementary.logistic(-logit), logRate: product(logRate, delay) - 1)
  }
}
