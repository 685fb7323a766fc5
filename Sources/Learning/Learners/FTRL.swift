/// Follow-the-regularised-leader, proximal, with a learning rate for every coordinate: logistic
/// regression that stays sparse (McMahan et al., KDD 2013, algorithm 1).
///
/// Convex, so it forgets where it started; the right first choice. A weight of w counts as w
/// examples only to first order: for weights far above 1 use `InvariantUpdate`.
@frozen
public struct FTRL: SparseLearner {
  @usableFromInline let inverseAlpha: Double
  @usableFromInline let beta: Double
  @usableFromInline let l1: Double
  @usableFromInline let l2: Double
  @usableFromInline let base: Heads

  /// - Parameters:
  ///   - alpha: Learning rate, above 0.
  ///   - beta: How slowly the rate falls at first; above 0.
  ///   - l1: Weights stay exactly 0 until this much evidence speaks for them; not negative.
  ///   - l2: Pull toward 0; not negative.
  ///   - base: Log-odds before any evidence, of both heads.
  @inlinable
  public init(
    alpha: Double = 0.1, beta: Double = 1, l1: Double = 0, l2: Double = 0, base: Heads = .zero
  ) {
    precondition(
      alpha > 0 && beta > 0 && l1 >= 0 && l2 >= 0,
      "FTRL: alpha and beta are above 0, l1 and l2 not below")
    inverseAlpha = 1 / alpha
    self.beta = beta
    self.l1 = l1
    self.l2 = l2
    self.base = base
  }

  /// 24 bytes a head.
  @frozen
  public struct Coordinate: BitwiseCopyable, Sendable, Equatable {
    /// Sum of gradients, less what the changes of the rate make of the weight.
    public var z: Heads
    /// Square root of the sum of squared gradients: what the rate is made of, so that nothing has to
    /// take it again.
    public var root: Heads
    /// What follows from both, so that a prediction need not divide.
    public var weights: Heads

    /// Sum of squared gradients.
    @inlinable @inline(__always)
    public var n: Heads { root * root }

    @inlinable
    init(z: Heads, root: Heads, weights: Heads) {
      (self.z, self.root, self.weights) = (z, root, weights)
    }
  }

  @frozen
  public struct Total: BitwiseCopyable, Sendable, Equatable {
    @inlinable init() {}
  }

  @frozen
  public struct Score: BitwiseCopyable, Sendable {
    public var logits: Heads
    /// Of the logits; not bounded.
    @usableFromInline let rates: Heads
    @inlinable @inline(__always)
    init(logits: Heads) {
      self.logits = logits
      rates = Rate.sigmoid(logits)
    }
  }

  @inlinable
  public func coordinate(of feature: UInt32) -> Coordinate {
    Coordinate(z: .zero, root: .zero, weights: .zero)
  }

  @inlinable public func total() -> Total { Total() }

  /// The coordinate's weights.
  @inlinable @inline(__always)
  public func weights(_ coordinate: Coordinate) -> Heads { coordinate.weights }

  /// A coordinate of these sums.
  ///
  /// - Parameter root: Square root of the sum of squared gradients; not negative.
  @inlinable @inline(__always)
  public func coordinate(z: Heads, root: Heads) -> Coordinate {
    Coordinate(z: z, root: root, weights: weights(z: z, root: root))
  }

  @inlinable @inline(__always)
  func weights(z: Heads, root: Heads) -> Heads {
    -excess(z) / ((root + beta) * inverseAlpha + l2)
  }

  /// What of z reaches beyond ±l1.
  @inlinable @inline(__always)
  func excess(_ z: Heads) -> Heads {
    guard l1 > 0 else { return z }
    var excess = Heads.zero
    excess.replace(with: z - l1, where: z .> l1)
    excess.replace(with: z + l1, where: z .< -l1)
    return excess
  }

  @inlinable @inline(__always)
  public func score(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Score {
    Score(logits: logits(features))
  }

  @inlinable @inline(__always)
  public func rates(_ score: Score) -> Heads { Rate.bounded(score.rates) }

  /// The log-odds alone, of heads whose outputs are no rates.
  @inlinable @inline(__always)
  public func logits(_ features: ActiveFeatures<Coordinate>) -> Heads {
    var logits = base
    for i in 0..<features.count {
      logits += features.at(i).pointee.weights * features.values[i]
    }
    return logits
  }

  @inlinable @inline(__always)
  public func learn(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, _ score: Score, labels: Heads,
    weights: Heads
  ) {
    descend(features, by: (score.rates - labels) * weights)
  }

  /// Learns from the derivatives of any losses by the log-odds.
  @inlinable @inline(__always)
  public func descend(_ features: ActiveFeatures<Coordinate>, by derivatives: Heads) {
    for i in 0..<features.count {
      let coordinate = features.at(i)
      let gradient = derivatives * features.values[i]
      let root = coordinate.pointee.root
      // Of the square of a root, unless it is beyond any gradient, the root is the same again.
      let grown = (root * root + gradient * gradient).roots
      let z =
        coordinate.pointee.z
        + (gradient - (grown - root) * inverseAlpha * coordinate.pointee.weights)
      coordinate.pointee = self.coordinate(z: z, root: grown)
    }
  }

  /// A coordinate of these weights that has seen so much evidence: what `weights` gives back.
  ///
  /// For averages of several models, and for forgetting. A weight of 0 has no z to go back to but 0.
  @inlinable
  public func coordinate(weights: Heads, squaredGradients n: Heads) -> Coordinate {
    let scale = (n.roots + beta) * inverseAlpha + l2
    var edge = Heads.zero
    edge.replace(with: l1, where: weights .< 0)
    edge.replace(with: -l1, where: weights .> 0)
    let z = edge - weights * scale
    return coordinate(z: z, root: n.roots)
  }

  /// Makes what comes count more: keeps a part of the accumulated evidence, in 0...1, and the
  /// weights as they are.
  @inlinable
  public func forget(_ coordinate: inout Coordinate, keeping part: Double) {
    let kept = self.coordinate(weights: coordinate.weights, squaredGradients: coordinate.n * part)
    // What l1 holds at 0 stays as near to its threshold as it was.
    let isZero = excess(coordinate.z) .== 0
    let z = kept.z.replacing(with: coordinate.z, where: isZero)
    coordinate = self.coordinate(z: z, root: kept.root)
  }
}
