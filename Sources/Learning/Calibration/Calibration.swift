// Calibration: maps from a model's probability to one that outcomes agree with. Fitted to counts by
// score, or example by example; all start from the identity and need evidence to leave it.
//
// A map is a small value; fitting is a pure function of counts. When to refit, and of which
// campaigns, is the operator's affair. Never fit on predictions that were made after calibration
// by the same map: give the raw scores.

/// Outcomes of predictions that were alike.
@frozen
public struct CalibrationPoint: BitwiseCopyable, Sendable, Equatable {
  /// The raw prediction, or the mean of several.
  public var probability: Double
  /// Weight of positive outcomes, at least 0.
  public var positives: Double
  /// Weight of negative outcomes, at least 0.
  public var negatives: Double

  @inlinable
  public init(probability: Double, positives: Double, negatives: Double) {
    self.probability = probability
    self.positives = positives
    self.negatives = negatives
  }

  @inlinable public var weight: Double { positives + negatives }
}

extension ScoreHistogram {
  /// The outcomes of each bin that is not empty, lowest score first. O(bins).
  public var points: [CalibrationPoint] {
    bins().compactMap { bin in
      guard bin.weight > 0 else { return nil }
      return CalibrationPoint(
        probability: Loss.bounded(bin.predictions / bin.weight), positives: bin.positives,
        negatives: bin.negatives)
    }
  }
}

/// The maximum of a weighted logistic likelihood of up to four parameters times a normal prior.
struct LogisticFit {
  /// Mean of the prior, also the start.
  var prior: SIMD4<Double>
  /// Precisions of the prior; 0 is no prior. What lies beyond `parameters` is ignored.
  var precision: SIMD4<Double>
  var parameters: Int

  /// Newton's method with halved steps; the loss is convex, so what it finds is the maximum.
  ///
  /// - Parameter features: Of a point.
  /// - Returns: Finite parameters: those with the least loss found within 100 steps.
  func fit(
    _ points: [CalibrationPoint], features: (CalibrationPoint) -> SIMD4<Double>
  ) -> SIMD4<Double> {
    let rows = points.map(features)
    var theta = prior
    var best = loss(points, rows, theta)
    for _ in 0..<100 {
      guard let step = newtonStep(points, rows, theta) else { break }
      var length = 1.0
      var next = theta - step
      var value = loss(points, rows, next)
      while !(value <= best), length > 1e-10 {
        length /= 2
        next = theta - length * step
        value = loss(points, rows, next)
      }
      guard value <= best else { break }
      let moved = (next - theta) * (next - theta)
      theta = next
      best = value
      if moved.sum() < 1e-24 { break }
    }
    return theta
  }

  private func dot(_ a: SIMD4<Double>, _ b: SIMD4<Double>) -> Double {
    var sum = 0.0
    for i in 0..<parameters { sum += a[i] * b[i] }
    return sum
  }

  private func loss(
    _ points: [CalibrationPoint], _ rows: [SIMD4<Double>], _ theta: SIMD4<Double>
  ) -> Double {
    let offset = theta - prior
    var sum = dot(precision * offset, offset) / 2
    for (point, row) in zip(points, rows) {
      let logit = dot(theta, row)
      sum +=
        point.positives * Elementary.softplus(-logit) + point.negatives * Elementary.softplus(logit)
    }
    return sum
  }

  /// The gradient divided by the curvature (Cholesky); nil where the curvature is singular.
  private func newtonStep(
    _ points: [CalibrationPoint], _ rows: [SIMD4<Double>], _ theta: SIMD4<Double>
  ) -> SIMD4<Double>? {
    var gradient = precision * (theta - prior)
    var matrix = [SIMD4<Double>](repeating: .zero, count: 4)
    for i in 0..<parameters { matrix[i][i] = precision[i] }
    for (point, row) in zip(points, rows) {
      let p = Elementary.logistic(dot(theta, row))
      gradient += (p * point.weight - point.positives) * row
      let curvature = point.weight * p * (1 - p)
      for i in 0..<parameters { matrix[i] += (curvature * row[i]) * row }
    }
    // matrix = L Lᵀ, L in its lower half; then L z = gradient, Lᵀ step = z.
    for i in 0..<parameters {
      for j in 0...i {
        var value = matrix[i][j]
        for k in 0..<j { value -= matrix[i][k] * matrix[j][k] }
        if i == j {
          guard value > 1e-300 else { return nil }
          matrix[i][i] = value.squareRoot()
        } else {
          matrix[i][j] = value / matrix[j][j]
        }
      }
    }
    var step = SIMD4<Double>.zero
    for i in 0..<parameters {
      var value = gradient[i]
      for k in 0..<i { value -= matrix[i][k] * step[k] }
      step[i] = value / matrix[i][i]
    }
    for i in stride(from: parameters - 1, through: 0, by: -1) {
      var value = step[i]
      for k in (i + 1)..<max(parameters, i + 1) { value -= matrix[k][i] * step[k] }
      step[i] = value / matrix[i][i]
    }
    for i in 0..<parameters where !step[i].isFinite { return nil }
    return step
  }
}
