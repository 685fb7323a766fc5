/// A factorization machine: logistic regression plus all products of two features, each weighted
/// by the scalar product of the features' latent vectors (Rendle 2010).
///
/// Learns crosses that nobody chose; not convex, so where it starts matters: every latent number
/// begins as a normal draw that is a function of the seed and the feature alone. `Latent` is the
/// vector of one head: `SIMD4<Double>` for rank 4.
@frozen
public struct FactorizationMachine<Latent: SIMD & BitwiseCopyable & Sendable>: SparseLearner
where Latent.Scalar == Double {
  @usableFromInline let rate: Double
  @usableFromInline let l2: Double
  @usableFromInline let spread: Double
  @usableFromInline let seed: UInt64
  @usableFromInline let isAdaptive: Bool
  @usableFromInline let base: Heads

  /// - Parameters:
  ///   - rate: Of learning; above 0.
  ///   - l2: Pull of every number toward 0, at each of its examples; not negative.
  ///   - spread: Standard deviation of latent numbers at the start; at 0 they would stay there.
  ///   - seed: Of the draws.
  ///   - isAdaptive: A rate for every number (AdaGrad); else the same for all.
  ///   - base: Log-odds before any evidence, of both heads.
  @inlinable
  public init(
    rate: Double = 0.1, l2: Double = 0, spread: Double = 0.1, seed: UInt64 = 1,
    isAdaptive: Bool = true, base: Heads = .zero
  ) {
    precondition(
      rate > 0 && l2 >= 0 && spread > 0,
      "factorization machine: rate and spread are above 0, l2 is not below")
    self.rate = rate
    self.l2 = l2
    self.spread = spread
    self.seed = seed
    self.isAdaptive = isAdaptive
    self.base = base
  }

  /// One number of both heads, or one vector of one.
  @frozen
  public struct Learned<Value: BitwiseCopyable & Sendable>: BitwiseCopyable, Sendable {
    public var value: Value
    /// Sums of squared gradients.
    public var squares: Value
    @inlinable
    init(value: Value, squares: Value) {
      self.value = value
      self.squares = squares
    }
  }

  /// 16 × (1 + rank) bytes a head.
  @frozen
  public struct Coordinate: BitwiseCopyable, Sendable {
    public var weights: Learned<Heads>
    /// One a head.
    public var first: Learned<Latent>
    public var second: Learned<Latent>

    @inlinable
    public init(weights: Heads = .zero, first: Latent, second: Latent) {
      self.weights = Learned(value: weights, squares: .zero)
      self.first = Learned(value: first, squares: .zero)
      self.second = Learned(value: second, squares: .zero)
    }
  }

  /// The number that is in every prediction.
  @frozen
  public struct Total: BitwiseCopyable, Sendable {
    public var bias: Learned<Heads>
    @inlinable
    init(bias: Heads) { self.bias = Learned(value: bias, squares: .zero) }
  }

  @frozen
  public struct Score: BitwiseCopyable, Sendable {
    public var logits: Heads
    /// Sums of latent vectors times values, of each head.
    @usableFromInline var first: Latent
    @usableFromInline var second: Latent
    @inlinable
    init(logits: Heads, first: Latent, second: Latent) {
      self.logits = logits
      self.first = first
      self.second = second
    }
  }

  public func coordinate(of feature: UInt32) -> Coordinate {
    var draws = Draws(
      seed: seed, account: 0, purpose: 0x6C61_7465_6E74, entity: UInt64(feature), counter: 0)
    var (first, second) = (Latent.zero, Latent.zero)
    for i in first.indices { first[i] = spread * draws.normal() }
    for i in second.indices { second[i] = spread * draws.normal() }
    return Coordinate(first: first, second: second)
  }

  @inlinable public func total() -> Total { Total(bias: base) }

  @inlinable
  public func score(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Score {
    var score = Score(logits: total.bias.value, first: .zero, second: .zero)
    var (firstSquares, secondSquares) = (Latent.zero, Latent.zero)
    for i in 0..<features.count {
      let coordinate = features.at(i)
      let value = features.values[i]
      score.logits += coordinate.pointee.weights.value * value
      let first = coordinate.pointee.first.value * value
      score.first += first
      firstSquares += first * first
      let second = coordinate.pointee.second.value * value
      score.second += second
      secondSquares += second * second
    }
    score.logits +=
      0.5
      * Heads(
        (score.first * score.first - firstSquares).sum(),
        (score.second * score.second - secondSquares).sum())
    return score
  }

  @inlinable
  public func rates(_ score: Score) -> Heads { Rate.bounded(Rate.sigmoid(score.logits)) }

  @inlinable
  public func learn(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, _ score: Score, labels: Heads,
    weights: Heads
  ) {
    let derivatives = (Rate.sigmoid(score.logits) - labels) * weights
    // 0 where a head learns nothing: nothing pulls there either.
    let pull = Heads.zero.replacing(with: l2, where: weights .> 0)
    descend(&total.bias, derivatives)
    // Further out it would take long to come back.
    total.bias.value = total.bias.value.clamped(
      lowerBound: Heads(repeating: -Rate.logitMax), upperBound: Heads(repeating: Rate.logitMax))
    for i in 0..<features.count {
      let coordinate = features.at(i)
      let value = features.values[i]
      let gradients = derivatives * value
      descend(
        &coordinate.pointee.weights, gradients + pull * coordinate.pointee.weights.value)
      let first = coordinate.pointee.first.value
      descend(
        &coordinate.pointee.first,
        gradients.x * (score.first - first * value) + pull.x * first)
      let second = coordinate.pointee.second.value
      descend(
        &coordinate.pointee.second,
        gradients.y * (score.second - second * value) + pull.y * second)
    }
  }

  /// Gradients are cut, so that two large values cannot throw a latent vector out of reach.
  @inlinable @inline(__always)
  func descend<Value: SIMD & BitwiseCopyable>(
    _ learned: inout Learned<Value>, _ gradient: Value
  ) where Value.Scalar == Double {
    let limit = FeatureValue.limit
    let gradient = gradient.clamped(
      lowerBound: Value(repeating: -limit), upperBound: Value(repeating: limit))
    if isAdaptive {
      learned.squares += gradient * gradient
      learned.value -= rate * gradient / (learned.squares + 1e-8).squareRoot()
    } else {
      learned.value -= rate * gradient
    }
    let reach = 0x1p10
    learned.value = learned.value.clamped(
      lowerBound: Value(repeating: -reach), upperBound: Value(repeating: reach))
  }
}
