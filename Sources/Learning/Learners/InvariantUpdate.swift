/// Logistic regression by gradient descent that is adaptive, normalised and invariant, as Vowpal
/// Wabbit's default: a rate for every coordinate (Duchi et al. 2011), independent of the scales of
/// features (Ross, Mineiro and Langford 2013), and with a step that no weight overshoots
/// (Karampatziakis and Langford 2011): an example of weight 50 moves the prediction as fifty
/// infinitely small ones would.
///
/// For weights far above 1: delayed labels, subsampled negatives, inverse propensities.
@frozen
public struct InvariantUpdate: SparseLearner {
  @usableFromInline let rate: Double
  @usableFromInline let base: Heads

  /// - Parameters:
  ///   - rate: Of learning; above 0.
  ///   - base: Log-odds before any evidence, of both heads.
  @inlinable
  public init(rate: Double = 0.5, base: Heads = .zero) {
    precondition(rate > 0, "invariant: the rate is above 0")
    self.rate = rate
    self.base = base
  }

  /// 24 bytes a head, of which the scale is common to both.
  @frozen
  public struct Coordinate: BitwiseCopyable, Sendable, Equatable {
    public var weights: Heads = .zero
    /// Sums of squared gradients.
    public var squares: Heads = .zero
    /// The largest magnitude of its values; 0 before the first.
    public var scale: Double = 0
    @inlinable init() {}
  }

  /// The sums by which steps are normalised.
  @frozen
  public struct Total: BitwiseCopyable, Sendable, Equatable {
    /// Of weights.
    public var examples: Heads = .zero
    /// Of weights times squared values in units of their scales.
    public var norms: Heads = .zero
    @inlinable init() {}
  }

  @frozen
  public struct Score: BitwiseCopyable, Sendable {
    /// Cut at ±50.
    public var logits: Heads
    @inlinable init(logits: Heads) { self.logits = logits }
  }

  @inlinable public func coordinate(of feature: UInt32) -> Coordinate { Coordinate() }
  @inlinable public func total() -> Total { Total() }

  @inlinable @inline(__always)
  public func score(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Score {
    var logits = base
    for i in 0..<features.count { logits += features.at(i).pointee.weights * features.values[i] }
    return Score(
      logits: logits.clamped(lowerBound: Heads(repeating: -50), upperBound: Heads(repeating: 50)))
  }

  @inlinable @inline(__always)
  public func rates(_ score: Score) -> Heads { Rate.bounded(Rate.sigmoid(score.logits)) }

  /// A soft label is learned as both outcomes one after the other, each with its part of the
  /// weight.
  @inlinable
  public func learn(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, _ score: Score, labels: Heads,
    weights: Heads
  ) {
    discover(features)
    for head in 0..<2 {
      let parts = (labels[head] * weights[head], (1 - labels[head]) * weights[head])
      var logit = score.logits[head]
      if parts.0 > 0 {
        step(features, &total, head, logit, sign: 1, weight: parts.0)
        if parts.1 > 0 { logit = self.score(features, total).logits[head] }
      }
      if parts.1 > 0 { step(features, &total, head, logit, sign: -1, weight: parts.1) }
    }
  }

  /// Rescales the weights of features that turn out to be larger than known.
  @inlinable @inline(__always)
  func discover(_ features: ActiveFeatures<Coordinate>) {
    for i in 0..<features.count {
      let coordinate = features.at(i)
      let size = features.values[i].magnitude
      guard size > coordinate.pointee.scale else { continue }
      if coordinate.pointee.scale > 0 {
        coordinate.pointee.weights *= coordinate.pointee.scale / size
      }
      coordinate.pointee.scale = size
    }
  }

  @inlinable @inline(__always)
  func step(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, _ head: Int, _ logit: Double,
    sign: Double, weight: Double
  ) {
    let margin = sign * logit
    let odds = Elementary.exp(margin)
    let slope = 1 / (1 + odds)
    let squared = slope * slope * weight
    // An example that is classified beyond all doubt teaches nothing.
    guard squared > 0 else { return }
    var norm = 0.0
    var response = 0.0
    for i in 0..<features.count {
      let value = features.values[i]
      // Nothing else has a scale.
      guard value != 0 else { continue }
      let coordinate = features.at(i)
      coordinate.pointee.squares[head] += squared * value * value
      let inUnits = value / coordinate.pointee.scale
      norm += inUnits * inUnits
      response += value * value * coordinateRate(coordinate.pointee, head)
    }
    guard norm > 0 else { return }
    total.norms[head] += weight * norm
    total.examples[head] += weight
    let multiplier = (total.examples[head] / total.norms[head]).squareRoot()
    response *= multiplier
    let moved = InvariantUpdate.marginMoved(from: margin, odds, by: rate * weight * response)
    let update = sign * moved / response * multiplier
    for i in 0..<features.count where features.values[i] != 0 {
      let coordinate = features.at(i)
      coordinate.pointee.weights[head] +=
        update * coordinateRate(coordinate.pointee, head) * features.values[i]
    }
  }

  @inlinable @inline(__always)
  func coordinateRate(_ coordinate: Coordinate, _ head: Int) -> Double {
    1 / (coordinate.squares[head].magnitude.squareRoot() * coordinate.scale)
  }

  /// How far the margin m moves when it flows along dm/dt = 1 / (1 + eᵐ) for the time `a`: the Δ of
  /// Δ + eᵐ (e^Δ − 1) = a.
  ///
  /// The left side is convex in Δ, so Newton's method from above stays above.
  @inlinable
  static func marginMoved(from margin: Double, _ odds: Double, by a: Double) -> Double {
    if a < 1e-6 { return a / (1 + odds) }
    var moved = min(a / (1 + odds), Elementary.log1p(a / odds))
    for _ in 0..<50 {
      let growth = odds * Elementary.expm1(moved)
      let step = (moved + growth - a) / (1 + odds + growth)
      moved -= step
      if step.magnitude <= 1e-14 * moved { break }
    }
    return moved
  }
}
