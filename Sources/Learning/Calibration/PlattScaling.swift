/// Calibration by a line in the log-odds: logit q = slope · logit p + intercept (Platt 1999).
@frozen
public struct PlattScaling: BitwiseCopyable, Sendable, Equatable {
  public var slope: Double
  public var intercept: Double

  /// The identity by default.
  @inlinable
  public init(slope: Double = 1, intercept: Double = 0) {
    self.slope = slope
    self.intercept = intercept
  }

  /// The calibrated log-odds. A negative slope counts as 0: calibration does not turn a ranking
  /// round.
  @inlinable
  public func logit(_ logit: Double) -> Double {
    max(slope, 0) * min(max(logit, -35), 35) + intercept
  }

  /// The calibrated probability of a raw one, in [10⁻⁶, 1 − 10⁻⁶].
  @inlinable
  public func callAsFunction(_ probability: Double) -> Double {
    Loss.bounded(Elementary.logistic(logit(Elementary.logit(Loss.bounded(probability)))))
  }

  /// The most probable line after counts, with a normal prior around the identity. O(points) a
  /// step, some ten steps.
  ///
  /// - Parameters:
  ///   - strength: Precision of the prior in both parameters: 10 is a standard deviation of 0.3.
  ///     At least 0.
  ///   - smoothed: Count outcomes as Platt did: as (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2) of a
  ///     positive.
  public static func fit(
    _ points: [CalibrationPoint], strength: Double = 10, smoothed: Bool = false
  ) -> PlattScaling {
    var points = points
    if smoothed {
      let positives = points.reduce(0) { $0 + $1.positives }
      let negatives = points.reduce(0) { $0 + $1.negatives }
      let high = (positives + 1) / (positives + 2)
      let low = 1 / (negatives + 2)
      points = points.map {
        let expected = $0.positives * high + $0.negatives * low
        return CalibrationPoint(
          probability: $0.probability, positives: expected, negatives: $0.weight - expected)
      }
    }
    let fit = LogisticFit(
      prior: SIMD4(1, 0, 0, 0), precision: SIMD4(strength, strength, 0, 0), parameters: 2)
    let theta = fit.fit(points) {
      SIMD4(Elementary.logit(Loss.bounded($0.probability)), 1, 0, 0)
    }
    return PlattScaling(slope: theta[0], intercept: theta[1])
  }
}

/// Platt scaling example by example: a normal belief about slope and intercept, with both their
/// variances and their covariance.
///
/// Each example moves the mean to the most probable line given the belief before it (a Newton
/// search in one dimension) and adds its curvature to the precision (Laplace's approximation;
/// Chapelle and Li 2011 with a full covariance). 40 bytes, O(1).
@frozen
public struct OnlinePlatt: BitwiseCopyable, Sendable, Equatable {
  public var slope: Double
  public var intercept: Double
  /// The precision matrix: of the slope, of both, of the intercept.
  @usableFromInline var slopePrecision: Double
  @usableFromInline var crossPrecision: Double
  @usableFromInline var interceptPrecision: Double

  /// The belief without evidence: around a line (the identity, or the line of a level above).
  ///
  /// - Parameter strength: Precision in both parameters, above 0.
  @inlinable
  public init(prior: PlattScaling = PlattScaling(), strength: Double = 10) {
    slope = prior.slope
    intercept = prior.intercept
    slopePrecision = strength
    crossPrecision = 0
    interceptPrecision = strength
  }

  /// The line believed now.
  @inlinable public var scaling: PlattScaling {
    PlattScaling(slope: slope, intercept: intercept)
  }

  /// Learns from an outcome.
  ///
  /// - Parameters:
  ///   - logit: The raw prediction's log-odds; counts as at most 35 in magnitude.
  ///   - label: In 0...1.
  ///   - weight: At least 0. There is no taking back: let the belief fade.
  public mutating func learn(logit raw: Double, label: Double, weight: Double = 1) {
    guard raw == raw, weight > 0 else { return }
    let x = min(max(raw, -35), 35)
    let determinant = slopePrecision * interceptPrecision - crossPrecision * crossPrecision
    guard determinant > 0 else { return }
    // The covariance times (x, 1).
    let toSlope = (interceptPrecision * x - crossPrecision) / determinant
    let toIntercept = (slopePrecision - crossPrecision * x) / determinant
    let before = slope * x + intercept
    let reach = max(toSlope * x + toIntercept, 0) * weight
    let logit = OnlinePlatt.mode(before: before, reach: reach, label: label)
    let p = Elementary.logistic(logit)
    slope += toSlope * weight * (label - p)
    intercept += toIntercept * weight * (label - p)
    let curvature = weight * p * (1 - p)
    slopePrecision += curvature * x * x
    crossPrecision += curvature * x
    interceptPrecision += curvature
  }

  /// The root of z = before + reach · (label − logistic(z)), which lies between its ends for the
  /// two extreme probabilities.
  static func mode(before: Double, reach: Double, label: Double) -> Double {
    var low = before + reach * (label - 1)
    var high = before + reach * label
    var z = min(max(before, low), high)
    for _ in 0..<60 {
      let p = Elementary.logistic(z)
      let excess = z - before - reach * (label - p)
      if excess > 0 { high = z } else { low = z }
      let step = excess / (1 + reach * p * (1 - p))
      var next = z - step
      if !(next >= low && next <= high) { next = low + (high - low) / 2 }
      if (next - z).magnitude <= 1e-14 * max(1, z.magnitude) { return next }
      z = next
    }
    return z
  }

  /// Lets evidence fade: keeps a part of the precision beyond the prior's, so that newer outcomes
  /// count more.
  ///
  /// - Parameters:
  ///   - keep: In 0...1.
  ///   - strength: The prior's.
  public mutating func forget(keep: Double, strength: Double = 10) {
    slopePrecision = strength + keep * max(slopePrecision - strength, 0)
    crossPrecision *= keep
    interceptPrecision = strength + keep * max(interceptPrecision - strength, 0)
  }
}
