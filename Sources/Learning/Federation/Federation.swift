// Federation: what accounts may learn from each other, and what must not show in it. Updates are
// cut to a length and noised so that no account's part can be told; patterns are reported only if
// many accounts have them; averages become priors.
//
// Arithmetic alone: what is shared, with whom and when is elsewhere. Draws are no cryptography:
// privacy holds against those who do not know the seed that the noise was drawn with.

/// Updates as vectors that accounts contribute.
public enum Contribution {
  /// Shortens a vector to a length, in place: u · min(1, limit / ‖u‖). O(n).
  ///
  /// Elements that are no finite numbers become 0 before.
  ///
  /// - Parameter limit: The greatest Euclidean length, above 0.
  /// - Returns: The length before; ∞ where it is beyond all numbers.
  @discardableResult
  public static func clip(_ vector: UnsafeMutableBufferPointer<Double>, to limit: Double) -> Double
  {
    precondition(limit > 0, "a vector is clipped to a length above 0")
    var largest = 0.0
    for i in 0..<vector.count {
      if !vector[i].isFinite { vector[i] = 0 }
      largest = max(largest, vector[i].magnitude)
    }
    guard largest > 0 else { return 0 }
    // The largest element first, for the square of a large number is none.
    var squares = 0.0
    for i in 0..<vector.count {
      let part = vector[i] / largest
      squares += part * part
    }
    let length = squares.squareRoot()
    guard largest > limit / length else { return largest * length }
    let factor = limit / length
    for i in 0..<vector.count { vector[i] = vector[i] / largest * factor }
    return largest * length
  }

  /// Adds normal noise to a sum of clipped vectors, in place. O(n).
  ///
  /// - Parameters:
  ///   - deviation: Of each element: noise multiplier times the clipping length.
  ///   - draws: Those of this sum; n normals are drawn.
  public static func addNoise(
    _ sum: UnsafeMutableBufferPointer<Double>, deviation: Double, draws: inout Draws
  ) {
    for i in 0..<sum.count { sum[i] += deviation * draws.normal() }
  }

  /// Takes a vector into a mean weighted by examples: after all, `mean` is Σ n w / Σ n (federated
  /// averaging, McMahan et al. 2017). O(n).
  ///
  /// - Parameters:
  ///   - total: Σ n before; grows by `examples`.
  ///   - examples: At least 0.
  public static func average(
    _ vector: UnsafeBufferPointer<Double>, examples: Double,
    into mean: UnsafeMutableBufferPointer<Double>, total: inout Double
  ) {
    precondition(vector.count == mean.count, "contributions have the same length")
    guard examples > 0 else { return }
    total += examples
    let part = examples / total
    for i in 0..<mean.count { mean[i] += part * (vector[i] - mean[i]) }
  }
}
