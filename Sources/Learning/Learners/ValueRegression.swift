/// What a conversion brings, from sparse features: regression of a positive amount with Bayesian
/// weights, updated one example at a time in closed form or by one number's Newton steps.
///
/// Weights are normal and independent, with means and precisions as in `BayesianLogistic`.
@frozen
public struct ValueRegression: Sendable {
  /// How amounts scatter around what features say.
  public enum Family: Sendable {
    /// The logarithm is normal, its variance learned: for amounts that multiply.
    case logNormal
    /// Gamma with a logarithmic link: the mean itself is fitted, and the spread is proportional
    /// to it.
    case gamma
  }

  public let family: Family
  @usableFromInline let precision: Double
  @usableFromInline let memory: Double

  /// - Parameters:
  ///   - precision: Of a weight before any evidence, in units of an example's; above 0.
  ///   - memory: γ in (0, 1]: what a coordinate's precision is multiplied by before each of its
  ///     examples, not below where it began. With 1 features that come together share what the
  ///     first examples said for very long.
  @inlinable
  public init(family: Family, precision: Double = 1, memory: Double = 0.999) {
    precondition(
      precision > 0 && memory > 0 && memory <= 1,
      "value: the precision is above 0, the memory in (0, 1]")
    self.family = family
    self.precision = precision
    self.memory = memory
  }

  /// 16 bytes.
  @frozen
  public struct Coordinate: BitwiseCopyable, Sendable, Equatable {
    public var mean: Double = 0
    public var precision: Double
    @inlinable
    public init(mean: Double = 0, precision: Double) {
      self.mean = mean
      self.precision = precision
    }
  }

  /// The intercept, and how the logarithms scatter.
  @frozen
  public struct Total: BitwiseCopyable, Sendable, Equatable {
    /// Of the intercept; flat: the first amount sets it.
    public var bias = Coordinate(precision: flat)
    /// Of examples.
    public var weight: Double = 0
    /// Of squared errors of predictions, in units of what the coordinates' uncertainty adds.
    public var squaredErrors: Double = 0
    @inlinable init() {}

    /// Says almost nothing.
    @inlinable static var flat: Double { 1e-6 }

    /// Variance of a logarithm around what features say. Before anything is known 1, as much as
    /// two examples say.
    @inlinable
    public var variance: Double { (squaredErrors + 2) / (weight + 2) }
  }

  @frozen
  public struct Score: BitwiseCopyable, Sendable {
    /// Of the amount's logarithm, or of the mean amount's.
    public var mean: Double
    /// Of the weights' sum, in units of an example's variance.
    public var variance: Double
    @inlinable
    init(mean: Double, variance: Double) {
      self.mean = mean
      self.variance = variance
    }
  }

  /// Logarithms of amounts that are predicted and learned lie within ±46: 10⁻²⁰ to 10²⁰.
  @inlinable @inline(__always) public static var logarithmMax: Double { 46 }

  @inlinable public func coordinate(of feature: UInt32) -> Coordinate {
    Coordinate(precision: precision)
  }
  @inlinable public func total() -> Total { Total() }

  @inlinable
  public func score(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Score {
    var score = Score(mean: total.bias.mean, variance: 1 / total.bias.precision)
    for i in 0..<features.count {
      let coordinate = features.at(i).pointee
      let value = features.values[i]
      score.mean += coordinate.mean * value
      score.variance += value * value / coordinate.precision
    }
    return score
  }

  /// The expected amount; 1 before the first example.
  ///
  /// Of the log-normal family e^(mean + variance / 2) with the scatter alone: the weights' own
  /// uncertainty would make what is rare look precious.
  @inlinable
  public func expected(_ score: Score, _ total: Total) -> Double {
    guard total.weight > 0 else { return 1 }
    let logarithm = family == .logNormal ? score.mean + total.variance / 2 : score.mean
    let limit = ValueRegression.logarithmMax
    return Elementary.exp(min(max(logarithm, -limit), limit))
  }

  /// The same without a score, where nothing else is asked of it.
  @inlinable @inline(__always)
  public func expected(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Double {
    var mean = total.bias.mean
    for i in 0..<features.count { mean += features.at(i).pointee.mean * features.values[i] }
    return expected(Score(mean: mean, variance: 0), total)
  }

  /// Learns an amount above 0; others have no logarithm and teach nothing.
  ///
  /// - Parameter weight: Finite, not negative.
  @inlinable
  public func learn(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, amount: Double, weight: Double
  ) {
    guard weight > 0, amount > 0 else { return }
    let limit = ValueRegression.logarithmMax
    let logarithm = min(max(Elementary.log(amount), -limit), limit)
    fade(&total.bias, notBelow: Total.flat)
    for i in 0..<features.count { fade(&features.at(i).pointee, notBelow: precision) }
    let score = score(features, total)
    let variance = weight * score.variance
    let pull: Double
    switch family {
    case .logNormal:
      pull = weight * (logarithm - score.mean) / (1 + variance)
    case .gamma:
      pull =
        (ValueRegression.mode(mean: score.mean, variance: variance, logarithm) - score.mean)
        / score.variance
    }
    let error = logarithm - score.mean
    // The first amount sets the level and says nothing of the scatter.
    if total.weight > 0 {
      total.squaredErrors =
        memory * total.squaredErrors + weight * error * error / (1 + score.variance)
    }
    total.weight = memory * total.weight + weight
    total.bias.mean += pull / total.bias.precision
    total.bias.precision += weight
    for i in 0..<features.count {
      let coordinate = features.at(i)
      let value = features.values[i]
      coordinate.pointee.mean += pull * value / coordinate.pointee.precision
      coordinate.pointee.precision += weight * value * value
    }
  }

  @inlinable @inline(__always)
  func fade(_ coordinate: inout Coordinate, notBelow least: Double) {
    coordinate.precision = max(coordinate.precision * memory, least)
  }

  /// The η that fit prior and an amount of this logarithm best: η = mean + variance (e^(l − η) − 1).
  /// The difference of both sides rises and bends one way, so Newton's method comes from the left.
  @inlinable
  static func mode(mean: Double, variance: Double, _ logarithm: Double) -> Double {
    // Left of the solution, which lies between prior and amount; not below where the exponential
    // alone decides.
    var low = min(mean, logarithm)
    let high = max(mean, logarithm)
    if logarithm > mean { low = max(low, logarithm - Elementary.log1p((high - mean) / variance)) }
    var eta = low
    for _ in 0..<100 {
      let ratio = Elementary.exp(logarithm - eta)
      let excess = eta - mean - variance * (ratio - 1)
      let next = min(max(eta - excess / (1 + variance * ratio), low), high)
      let isDone = (next - eta).magnitude <= 1e-13 * max(1, next.magnitude)
      eta = next
      if isDone { break }
    }
    return eta
  }
}
