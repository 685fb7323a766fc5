/// Calibration by three parameters: logit q = a ln p − b ln(1 − p) + c (Kull et al. 2017).
///
/// a and b bend the two ends apart, which a line in the log-odds cannot; a = b is Platt scaling.
@frozen
public struct BetaCalibration: BitwiseCopyable, Sendable, Equatable {
  /// At least 0.
  public var a: Double
  /// At least 0.
  public var b: Double
  public var c: Double

  /// The identity by default.
  @inlinable
  public init(a: Double = 1, b: Double = 1, c: Double = 0) {
    self.a = a
    self.b = b
    self.c = c
  }

  /// The calibrated probability of a raw one, in [10⁻⁶, 1 − 10⁻⁶].
  @inlinable
  public func callAsFunction(_ probability: Double) -> Double {
    let p = Loss.bounded(probability)
    return Loss.bounded(
      Elementary.logistic(a * Elementary.log(p) - b * Elementary.log1p(-p) + c))
  }

  /// The most probable parameters after counts, with a normal prior around the identity; one that
  /// would be negative is 0 and the others are fitted without it. O(points) a step.
  ///
  /// - Parameter strength: Precision of the prior in each parameter, at least 0.
  public static func fit(
    _ points: [CalibrationPoint], strength: Double = 10
  ) -> BetaCalibration {
    func parameters(_ useA: Bool, _ useB: Bool) -> BetaCalibration {
      let fit = LogisticFit(
        prior: SIMD4(useA ? 1 : 0, useB ? 1 : 0, 0, 0),
        // A feature that is always 0 needs some precision to keep the curvature invertible.
        precision: SIMD4(useA ? strength : 1, useB ? strength : 1, strength, 0), parameters: 3)
      let theta = fit.fit(points) {
        let p = Loss.bounded($0.probability)
        return SIMD4(useA ? Elementary.log(p) : 0, useB ? -Elementary.log1p(-p) : 0, 1, 0)
      }
      return BetaCalibration(a: theta[0], b: theta[1], c: theta[2])
    }
    let full = parameters(true, true)
    guard full.a < 0 || full.b < 0 else { return full }
    let reduced = full.a < 0 ? parameters(false, true) : parameters(true, false)
    return reduced.a < 0 || reduced.b < 0 ? parameters(false, false) : reduced
  }
}

/// Calibration by one parameter: logit q = logit p / T. Corrects confidence, not the rate.
@frozen
public struct TemperatureScaling: BitwiseCopyable, Sendable, Equatable {
  /// T, in 0.05...20; 1 is the identity.
  public var temperature: Double

  @inlinable
  public init(temperature: Double = 1) { self.temperature = min(max(temperature, 0.05), 20) }

  /// The calibrated probability of a raw one, in [10⁻⁶, 1 − 10⁻⁶].
  @inlinable
  public func callAsFunction(_ probability: Double) -> Double {
    Loss.bounded(Elementary.logistic(Elementary.logit(Loss.bounded(probability)) / temperature))
  }

  /// The most probable temperature after counts, with a normal prior of 1/T around 1.
  ///
  /// - Parameter strength: Precision of the prior, at least 0.
  public static func fit(
    _ points: [CalibrationPoint], strength: Double = 10
  ) -> TemperatureScaling {
    let fit = LogisticFit(
      prior: SIMD4(1, 0, 0, 0), precision: SIMD4(strength, 0, 0, 0), parameters: 1)
    let theta = fit.fit(points) {
      SIMD4(Elementary.logit(Loss.bounded($0.probability)), 0, 0, 0)
    }
    return TemperatureScaling(temperature: theta[0] > 0.05 ? 1 / theta[0] : 20)
  }
}
