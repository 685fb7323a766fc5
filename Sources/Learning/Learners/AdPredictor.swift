/// Bayesian online probit regression: each weight is a normal distribution, and an outcome moves
/// those of its active features by moment matching (Graepel et al., ICML 2010).
///
/// Features are active or not; values other than 0 count as 1. Overconfident where many features
/// describe the same thing: to be used for its uncertainty, or calibrated. Weights start as N(0, 1).
@frozen
public struct AdPredictor: SparseLearner {
  /// Variance of the noise.
  @usableFromInline let variance: Double
  /// What the scores of an example would be before any evidence, in deviations.
  public let start: Heads
  @usableFromInline let fading: Double

  /// - Parameters:
  ///   - beta: Deviation of the noise between score and outcome; above 0.
  ///   - prior: Rates before any evidence, of both heads, in (0, 1).
  ///   - fading: ε in 0..<1: how far each learned weight goes back toward its prior.
  public init(beta: Double = 0.1, prior: Heads = Heads(0.5, 0.5), fading: Double = 0) {
    precondition(
      beta > 0 && prior.min() > 0 && prior.max() < 1 && fading >= 0 && fading < 1,
      "adPredictor: beta is above 0, the prior in (0, 1), the fading in [0, 1)")
    variance = beta * beta
    start = Heads(Elementary.normalQuantile(prior.x), Elementary.normalQuantile(prior.y))
    self.fading = fading
  }

  /// 16 bytes a head.
  @frozen
  public struct Coordinate: BitwiseCopyable, Sendable, Equatable {
    public var means: Heads = .zero
    public var variances: Heads = .one
    @inlinable init() {}
  }

  /// The weight that is always active.
  @frozen
  public struct Total: BitwiseCopyable, Sendable, Equatable {
    public var bias = Coordinate()
    /// It has its place: such that the first example, with as many features as it has, was
    /// predicted at the prior's rate but for the bias's own variance.
    public var isPlaced: Bool = false
    @inlinable init() {}
  }

  /// The normal distribution of both scores, noise included.
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

  @inlinable public func coordinate(of feature: UInt32) -> Coordinate { Coordinate() }
  @inlinable public func total() -> Total { Total() }

  /// Variance of the noise between score and outcome.
  @inlinable public var noise: Double { variance }

  @inlinable
  func bias(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Coordinate {
    guard !total.isPlaced else { return total.bias }
    var active = 0.0
    for i in 0..<features.count where features.values[i] != 0 { active += 1 }
    var bias = Coordinate()
    bias.means = AdPredictor.placed(start, active: active, noise: variance)
    return bias
  }

  /// Where the bias begins: such that an example with so many active features is predicted at the
  /// prior's rate but for the bias's own variance.
  ///
  /// - Parameters:
  ///   - start: As the learner's.
  ///   - noise: Likewise.
  @inlinable
  public static func placed(_ start: Heads, active: Double, noise: Double) -> Heads {
    start * (noise + active).squareRoot()
  }

  @inlinable
  public func score(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Score {
    let bias = bias(features, total)
    var score = Score(means: bias.means, variances: bias.variances + variance)
    for i in 0..<features.count where features.values[i] != 0 {
      score.means += features.at(i).pointee.means
      score.variances += features.at(i).pointee.variances
    }
    return score
  }

  @inlinable
  public func rates(_ score: Score) -> Heads { AdPredictor.rates(score) }

  /// The same: no setting counts.
  @inlinable
  public static func rates(_ score: Score) -> Heads {
    let z = score.means / score.variances.roots
    return Rate.bounded(Heads(Elementary.normalCDF(z.x), Elementary.normalCDF(z.y)))
  }

  /// A weight other than 1 is a power of the example's message, a soft label a product of powers
  /// of both outcomes' messages.
  @inlinable
  public func learn(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, _ score: Score, labels: Heads,
    weights: Heads
  ) {
    guard weights.x > 0 || weights.y > 0 else { return }
    if !total.isPlaced {
      total.bias = bias(features, total)
      total.isPlaced = true
    }
    let hits = Message(score, sign: 1)
    let misses = Message(score, sign: -1)
    let powers = (labels * weights, (1 - labels) * weights)
    take(hits, misses, powers, into: &total.bias)
    for i in 0..<features.count where features.values[i] != 0 {
      take(hits, misses, powers, into: &features.at(i).pointee)
    }
  }

  /// What an outcome says: mean += shift·s², s² *= 1 − shrinkage·s², for each weight's variance s².
  @frozen
  @usableFromInline
  struct Message {
    @usableFromInline var shift = Heads.zero
    @usableFromInline var shrinkage = Heads.zero

    @inlinable
    init(_ score: Score, sign: Double) {
      for head in 0..<2 {
        let deviation = score.variances[head].magnitude.squareRoot()
        let t = min(max(sign * score.means[head] / deviation, -5), 5)
        let v = Elementary.normalDensity(t) / Elementary.normalCDF(t)
        shift[head] = sign * v / deviation
        shrinkage[head] = v * (v + t) / score.variances[head]
      }
    }
  }

  @inlinable
  func take(
    _ hits: Message, _ misses: Message, _ powers: (Heads, Heads), into weight: inout Coordinate
  ) {
    var precisions = 1 / weight.variances
    var products = weight.means * precisions
    add(hits, powers.0, of: weight, &precisions, &products)
    add(misses, powers.1, of: weight, &precisions, &products)
    let isTaught = (powers.0 + powers.1) .> 0
    var variances = 1 / precisions
    var means = products * variances
    if fading > 0 {
      let faded = variances / (1 - fading + fading * variances)
      means = faded * (1 - fading) * means / variances
      variances = faded
    }
    weight.variances.replace(with: variances, where: isTaught)
    weight.means.replace(with: means, where: isTaught)
  }
  /// Multiplies a weight's density by the power of a message.
  @inlinable @inline(__always)
  func add(
    _ message: Message, _ power: Heads, of weight: Coordinate, _ precisions: inout Heads,
    _ products: inout Heads
  ) {
    let variances = weight.variances * (1 - message.shrinkage * weight.variances)
    let means = weight.means + message.shift * weight.variances
    precisions += power * (1 / variances - 1 / weight.variances)
    products += power * (means / variances - weight.means / weight.variances)
  }
}
