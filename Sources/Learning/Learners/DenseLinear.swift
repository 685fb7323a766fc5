/// Regression with few features whose dependence counts: all covariances are kept. For calibration
/// maps, trends and priors of tens of features, not for hashed ones: O(features³) an update.
public struct DensePosterior: Sendable, Equatable {
  /// Of the weights.
  public private(set) var means: [Double]
  /// The inverse of their covariance, row by row; symmetric.
  public private(set) var precisions: [Double]

  public var count: Int { means.count }

  /// Independent weights with mean 0.
  public init(count: Int, precision: Double) {
    precondition(count > 0 && precision > 0, "a prior has weights and a precision above 0")
    means = Array(repeating: 0, count: count)
    precisions = Array(repeating: 0, count: count * count)
    for i in 0..<count { precisions[i * count + i] = precision }
  }

  /// Learns outcomes that are linear in the features, with normal noise.
  ///
  /// - Parameter precision: 1 / variance of the noise.
  public mutating func learn(_ rows: [[Double]], outcomes: [Double], precision: Double = 1) {
    var shifts = product(precisions, means)
    for (row, outcome) in zip(rows, outcomes) {
      precondition(row.count == count, "an example has a value for every weight")
      addSquare(of: row, times: precision, to: &precisions)
      for i in 0..<count { shifts[i] += precision * outcome * row[i] }
    }
    means = Cholesky(precisions, count).solve(shifts)
  }

  /// Learns outcomes in 0...1 of logistic regression together: the means go to the posterior's
  /// maximum, the precisions to its curvature there (Laplace's approximation).
  ///
  /// - Parameter diagonal: Keep the precisions' diagonal only, as Chapelle and Li (NIPS 2011).
  public mutating func learnLogistic(
    _ rows: [[Double]], outcomes: [Double], diagonal: Bool = false
  ) {
    let (prior, mean) = (precisions, means)
    var loss = logisticLoss(rows, outcomes, prior, mean)
    for _ in 0..<100 {
      var curvature = prior
      var slope = product(prior, difference(means, mean))
      for (row, outcome) in zip(rows, outcomes) {
        precondition(row.count == count, "an example has a value for every weight")
        let rate = Rate.sigmoid(dot(row, means))
        addSquare(of: row, times: rate * (1 - rate), to: &curvature)
        for i in 0..<count { slope[i] += (rate - outcome) * row[i] }
      }
      let step = Cholesky(curvature, count).solve(slope)
      let before = means
      var part = 1.0
      // Newton's step may go too far where rates are near 0 or 1.
      while part > 1e-9 {
        for i in 0..<count { means[i] = before[i] - part * step[i] }
        let next = logisticLoss(rows, outcomes, prior, mean)
        if next <= loss {
          loss = next
          break
        }
        part /= 2
      }
      guard part > 1e-9 else {
        means = before
        break
      }
      if step.allSatisfy({ $0.magnitude < 1e-12 }) { break }
    }
    for row in rows {
      let rate = Rate.sigmoid(dot(row, means))
      addSquare(of: row, times: rate * (1 - rate), to: &precisions)
    }
    guard diagonal else { return }
    for i in 0..<count * count where i / count != i % count { precisions[i] = 0 }
  }

  /// The normal distribution of the linear form at some features.
  public func predict(_ row: [Double]) -> (mean: Double, variance: Double) {
    precondition(row.count == count, "an example has a value for every weight")
    return (dot(row, means), dot(row, Cholesky(precisions, count).solve(row)))
  }

  private func logisticLoss(
    _ rows: [[Double]], _ outcomes: [Double], _ prior: [Double], _ mean: [Double]
  ) -> Double {
    let away = difference(means, mean)
    var loss = 0.5 * dot(away, product(prior, away))
    for (row, outcome) in zip(rows, outcomes) {
      let logit = min(max(dot(row, means), -700), 700)
      loss += Elementary.log1p(Elementary.exp(-logit.magnitude)) + max(logit, 0) - outcome * logit
    }
    return loss
  }

  private func addSquare(of row: [Double], times factor: Double, to matrix: inout [Double]) {
    for i in 0..<count {
      for j in 0..<count { matrix[i * count + j] += factor * row[i] * row[j] }
    }
  }

  private func product(_ matrix: [Double], _ vector: [Double]) -> [Double] {
    (0..<count).map { i in
      var sum = 0.0
      for j in 0..<count { sum += matrix[i * count + j] * vector[j] }
      return sum
    }
  }

  private func difference(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 - $1 } }

  private func dot(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for i in 0..<a.count { sum += a[i] * b[i] }
    return sum
  }
}

/// The factor L of a symmetric positive definite matrix L Lᵀ.
private struct Cholesky {
  private var factor: [Double]
  private let count: Int

  init(_ matrix: [Double], _ count: Int) {
    self.count = count
    factor = matrix
    for i in 0..<count {
      for j in 0...i {
        var sum = matrix[i * count + j]
        for k in 0..<j { sum -= factor[i * count + k] * factor[j * count + k] }
        // Rounding can make 0 of what is barely above it.
        factor[i * count + j] =
          i == j ? max(sum, 1e-300).squareRoot() : sum / factor[j * count + j]
      }
    }
  }

  func solve(_ vector: [Double]) -> [Double] {
    var x = vector
    for i in 0..<count {
      for k in 0..<i { x[i] -= factor[i * count + k] * x[k] }
      x[i] /= factor[i * count + i]
    }
    for i in stride(from: count - 1, through: 0, by: -1) {
      for k in i + 1..<count { x[i] -= factor[k * count + i] * x[k] }
      x[i] /= factor[i * count + i]
    }
    return x
  }
}
