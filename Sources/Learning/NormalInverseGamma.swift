/// Sums that hold all that is needed of a sample: adding and taking away are the same operation.
@frozen
public struct Moments: BitwiseCopyable, Sendable, Equatable {
  /// Number of observations; weights may be fractions.
  public var count: Double
  public var sum: Double
  public var sumOfSquares: Double

  @inlinable
  public init(count: Double = 0, sum: Double = 0, sumOfSquares: Double = 0) {
    self.count = count
    self.sum = sum
    self.sumOfSquares = sumOfSquares
  }

  /// Adds an observation; a negative weight takes one away.
  @inlinable
  public mutating func add(_ value: Double, weight: Double = 1) {
    count += weight
    sum += weight * value
    sumOfSquares += weight * value * value
  }

  /// Sum of squared deviations from the mean; never below 0.
  @inlinable
  public var squaredDeviations: Double {
    count > 0 ? max(0, sumOfSquares - sum * sum / count) : 0
  }
}

/// The Normal–Inverse-Gamma distribution: what is believed about a mean and a variance together.
@frozen
public struct NormalInverseGamma: BitwiseCopyable, Sendable, Equatable {
  /// m: where the mean is believed to be.
  public var mean: Double
  /// k: the weight of that belief, in observations.
  public var strength: Double
  /// a and b of the variance's inverse gamma distribution.
  public var shape: Double
  public var scale: Double

  @inlinable
  public init(mean: Double, strength: Double, shape: Double, scale: Double) {
    self.mean = mean
    self.strength = strength
    self.shape = shape
    self.scale = scale
  }

  /// The belief after a sample, in closed form from its sums, so that a retraction is a
  /// subtraction from them.
  @inlinable
  public func updated(with moments: Moments) -> NormalInverseGamma {
    guard moments.count > 0 else { return self }
    let strength = self.strength + moments.count
    let distance = moments.sum / moments.count - mean
    return NormalInverseGamma(
      mean: (self.strength * mean + moments.sum) / strength, strength: strength,
      shape: shape + moments.count / 2,
      scale: scale + moments.squaredDeviations / 2
        + self.strength * moments.count * distance * distance / (2 * strength))
  }

  /// Variance of the mean; ∞ while `shape` ≤ 1.
  @inlinable
  public var varianceOfMean: Double {
    shape > 1 ? scale / ((shape - 1) * strength) : .infinity
  }
}

/// Student's t distribution with a location and a scale.
@frozen
public struct StudentT: BitwiseCopyable, Sendable, Equatable {
  /// Degrees of freedom, above 0.
  public var degrees: Double
  public var location: Double
  public var scale: Double

  @inlinable
  public init(degrees: Double, location: Double = 0, scale: Double = 1) {
    self.degrees = degrees
    self.location = location
    self.scale = scale
  }

  /// P(X ≤ x); relative error below 10⁻¹².
  public func cdf(_ x: Double) -> Double {
    let t = (x - location) / scale
    let sum = degrees + t * t
    guard sum < .infinity else { return t < 0 ? 0 : 1 }
    let (lower, _) = Elementary.incompleteBeta(degrees / 2, 0.5, degrees / sum, t * t / sum)
    return t < 0 ? lower / 2 : 1 - lower / 2
  }

  /// The `x` with P(X ≤ x) = p, for p in (0, 1).
  public func quantile(_ p: Double) -> Double {
    guard p != 0.5 else { return location }
    let tail = 2 * (p < 0.5 ? p : 1 - p)
    let (x, y) = BetaDistribution(alpha: degrees / 2, beta: 0.5).quantilePair(tail)
    let t = (degrees * y / x).squareRoot()
    return location + scale * (p < 0.5 ? -t : t)
  }
}
