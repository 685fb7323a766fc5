/// Bayesian logistic regression with independent normal weights, updated one example at a time
/// (Chapelle and Li, NIPS 2011, algorithm 3, with batches of one): for exploration.
///
/// Each example moves the means to the exact maximum of the posterior that it gives together with
/// the prior, which is a problem in one number, the log-odds. Variances of correlated features are
/// understated, because only the diagonal is kept.
@frozen
public struct BayesianLogistic: SparseLearner {
  @usableFromInline let precision: Double
  @usableFromInline let memory: Double
  @usableFromInline let base: Heads

  /// - Parameters:
  ///   - precision: λ: 1 / variance of a weight before any evidence; above 0.
  ///   - memory: γ in (0, 1]: what a coordinate's precision is multiplied by before each of its
  ///     examples, not below λ. 1 forgets nothing, and its exploration dies with time.
  ///   - base: Log-odds before any evidence, of both heads.
  @inlinable
  public init(precision: Double = 1, memory: Double = 1, base: Heads = .zero) {
    precondition(
      precision > 0 && memory > 0 && memory <= 1,
      "bayes: the precision is above 0, the memory in (0, 1]")
    self.precision = precision
    self.memory = memory
    self.base = base
  }

  /// 16 bytes a head.
  @frozen
  public struct Coordinate: BitwiseCopyable, Sendable, Equatable {
    public var means: Heads
    /// 1 / variance.
    public var precisions: Heads
    @inlinable
    public init(means: Heads = .zero, precisions: Heads) {
      self.means = means
      self.precisions = precisions
    }
  }

  @frozen
  public struct Total: BitwiseCopyable, Sendable, Equatable {
    @inlinable init() {}
  }

  /// The normal distribution of both log-odds.
  @frozen
  public struct Score: BitwiseCopyable, Sendable {
    public var means: Heads
    public var variances: Heads
    @inlinable
    public init(means: Heads, variances: Heads) {
      self.means = means
      self.variances = variances
    }
  }

  @inlinable public func coordinate(of feature: UInt32) -> Coordinate {
    Coordinate(precisions: Heads(repeating: precision))
  }
  @inlinable public func total() -> Total { Total() }

  @inlinable @inline(__always)
  public func score(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Score {
    var score = Score(means: base, variances: .zero)
    for i in 0..<features.count {
      let coordinate = features.at(i).pointee
      let value = features.values[i]
      score.means += coordinate.means * value
      score.variances += value * value / coordinate.precisions
    }
    return score
  }

  /// The mean rates, by MacKay's approximation: log-odds are shrunk by 1 / √(1 + π s² / 8).
  @inlinable @inline(__always)
  public func rates(_ score: Score) -> Heads { BayesianLogistic.rates(score) }

  /// The same: no setting counts.
  @inlinable @inline(__always)
  public static func rates(_ score: Score) -> Heads {
    let shrunk = score.means / (score.variances * (Double.pi / 8) + 1).roots
    return Rate.bounded(Rate.sigmoid(shrunk))
  }

  /// Rates drawn from what is believed, for Thompson sampling: two words of `draws`.
  ///
  /// - Parameter scale: Of the standard deviation; below 1 explores less.
  public func sample(_ score: Score, _ draws: inout Draws, scale: Double = 1) -> Heads {
    let deviations = score.variances.roots * scale
    let normals = Heads(draws.normal(), draws.normal())
    return Rate.bounded(Rate.sigmoid(score.means + deviations * normals))
  }

  @inlinable @inline(__always)
  public func learn(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, _ score: Score, labels: Heads,
    weights: Heads
  ) {
    var score = score
    if memory < 1 {
      forget(features, weights)
      score = self.score(features, total)
    }
    var residuals = Heads.zero
    var curvatures = Heads.zero
    for head in 0..<2 where weights[head] > 0 {
      let rate = Rate.sigmoid(
        BayesianLogistic.mode(
          mean: score.means[head], variance: score.variances[head] * weights[head],
          label: labels[head]))
      residuals[head] = weights[head] * (labels[head] - rate)
      curvatures[head] = weights[head] * rate * (1 - rate)
    }
    for i in 0..<features.count {
      let coordinate = features.at(i)
      let value = features.values[i]
      coordinate.pointee.means += residuals * value / coordinate.pointee.precisions
      coordinate.pointee.precisions += curvatures * (value * value)
    }
  }

  @inlinable
  func forget(_ features: ActiveFeatures<Coordinate>, _ weights: Heads) {
    for i in 0..<features.count {
      let coordinate = features.at(i)
      let faded = coordinate.pointee.precisions * memory
      var kept = faded.replacing(with: precision, where: faded .< precision)
      kept.replace(with: coordinate.pointee.precisions, where: weights .== 0)
      coordinate.pointee.precisions = kept
    }
  }

  /// The log-odds η that fit prior and example best: η = mean + variance (label − σ(η)).
  ///
  /// Newton's method within a bracket: the difference of both sides rises at least as fast as η,
  /// and a label is never further from a rate than 1.
  @inlinable
  static func mode(mean: Double, variance: Double, label: Double) -> Double {
    var low = mean - variance
    var high = mean + variance
    var logit = min(max(mean, -Rate.logitMax), Rate.logitMax)
    for _ in 0..<100 {
      let rate = Rate.sigmoid(logit)
      let excess = logit - mean - variance * (label - rate)
      if excess > 0 { high = min(high, logit) } else { low = max(low, logit) }
      var next = logit - excess / (1 + variance * rate * (1 - rate))
      if !(next > low && next < high) { next = low + (high - low) / 2 }
      let isDone = (next - logit).magnitude <= 1e-13 * max(1, next.magnitude)
      logit = next
      if isDone { break }
    }
    return logit
  }
}
