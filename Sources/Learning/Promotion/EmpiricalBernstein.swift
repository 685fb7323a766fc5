/// A confidence sequence for the mean of bounded values, by a predictable mixture of empirical
/// Bernstein bounds (Waudby-Smith and Ramdas 2024, Theorem 2).
///
/// Holds with probability 1 − alpha at all times together, for values of any distribution within
/// the bounds, dependent or not: what it bounds is the mean of the values' conditional
/// expectations, weighted as the values are. Narrow where the variance is small. There is no taking
/// back and no forgetting: begin anew. 56 bytes, O(1).
@frozen
public struct EmpiricalBernstein: BitwiseCopyable, Sendable, Equatable {
  /// Values so far.
  public private(set) var count = 0.0
  private var sum = 0.0
  /// Squared distances from the means as they were estimated, for the next weight.
  private var squares = 0.0
  private var weights = 0.0
  private var weightedSum = 0.0
  /// Σ ψ(λ) (x − mean before)², for either bound: they differ in the mean before the first value.
  private var lowSquares = 0.0
  private var highSquares = 0.0

  public init() {}

  /// Takes a value in 0...1; what lies beyond is cut to it, what is no number is ignored.
  ///
  /// - Parameter alpha: In (0, 1), the same at every call.
  public mutating func update(_ value: Double, alpha: Double = 0.05) {
    guard value == value else { return }
    let x = min(max(value, 0), 1)
    let confidence = Elementary.log(2 / alpha)
    let variance = (0.25 + squares) / (count + 1)
    let before = count > 0 ? sum / count : 0
    let next = count + 1
    let rate = (2 * confidence / (next * Elementary.log(1 + next) * variance)).squareRoot()
    let weight = min(rate, 0.5)
    // ψ(λ) = −ln(1 − λ) − λ.
    let factor = -Elementary.log1p(-weight) - weight
    let low = x - before
    let high = x - (count > 0 ? before : 1)
    lowSquares += factor * low * low
    highSquares += factor * high * high
    weights += weight
    weightedSum += weight * x
    sum += x
    count = next
    let distance = x - (0.5 + sum) / (count + 1)
    squares += distance * distance
  }

  /// The bounds now, within 0...1.
  public func interval(alpha: Double = 0.05) -> ConfidenceInterval {
    guard weights > 0 else { return ConfidenceInterval(low: 0, high: 1) }
    let confidence = Elementary.log(2 / alpha)
    let center = weightedSum / weights
    return ConfidenceInterval(
      low: max(center - (confidence + lowSquares) / weights, 0),
      high: min(center + (confidence + highSquares) / weights, 1))
  }
}
