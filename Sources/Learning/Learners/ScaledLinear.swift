/// Linear or logistic regression by gradient descent on features that are scaled to mean 0 and
/// deviation 1 as they come: for numbers whose scales nobody knows.
///
/// An example is predicted with the scales as they are before it, and learned with those behind it.
/// Both heads share the scales. A feature that was the same in all its examples is 0.
@frozen
public struct ScaledLinear: Sendable {
  /// What is minimised.
  public enum Loss: Sendable { case logistic, squared }
  /// How far a step goes.
  public enum Step: Sendable {
    /// As far as the rate says.
    case plain
    /// AdaGrad: less, the more a coordinate has moved (Duchi et al. 2011).
    case adaptive
  }

  public let loss: Loss
  @usableFromInline let step: Step
  @usableFromInline let rate: Double
  @usableFromInline let interceptRate: Double
  @usableFromInline let l2: Double

  @inlinable
  public init(
    loss: Loss = .logistic, step: Step = .plain, rate: Double = 0.01,
    interceptRate: Double = 0.01, l2: Double = 0
  ) {
    precondition(
      rate > 0 && interceptRate >= 0 && l2 >= 0,
      "scaled linear: the rate is above 0, the intercept's and l2 are not below")
    self.loss = loss
    self.step = step
    self.rate = rate
    self.interceptRate = interceptRate
    self.l2 = l2
  }

  /// Mean and variance of a feature, by Welford's recurrence, and its weights.
  @frozen
  public struct Coordinate: BitwiseCopyable, Sendable, Equatable {
    public var weights: Heads = .zero
    public var squares: Heads = .zero
    public var count: Double = 0
    public var mean: Double = 0
    public var squaredDeviations: Double = 0
    @inlinable init() {}

    @inlinable @inline(__always)
    mutating func observe(_ value: Double) {
      count += 1
      let before = value - mean
      mean += before / count
      squaredDeviations += before * (value - mean)
    }

    @inlinable @inline(__always)
    func scaled(_ value: Double) -> Double {
      squaredDeviations > 0 ? (value - mean) / (squaredDeviations / count).squareRoot() : 0
    }
  }

  @frozen
  public struct Total: BitwiseCopyable, Sendable, Equatable {
    public var intercept: Heads = .zero
    @inlinable init() {}
  }

  @inlinable public func coordinate(of feature: UInt32) -> Coordinate { Coordinate() }
  @inlinable public func total() -> Total { Total() }

  /// What the linear form gives: log-odds, or the prediction itself.
  @inlinable
  public func score(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Heads {
    var sums = total.intercept
    for i in 0..<features.count {
      let coordinate = features.at(i).pointee
      sums += coordinate.weights * coordinate.scaled(features.values[i])
    }
    return sums
  }

  /// The rates of a logistic score.
  @inlinable
  public func rates(_ score: Heads) -> Heads { Rate.bounded(Rate.sigmoid(score)) }

  @inlinable
  public func learn(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, labels: Heads, weights: Heads
  ) {
    guard weights.x > 0 || weights.y > 0 else { return }
    for i in 0..<features.count { features.at(i).pointee.observe(features.values[i]) }
    let score = score(features, total)
    var derivatives = (loss == .logistic ? Rate.sigmoid(score) : score) - labels
    if loss == .squared { derivatives *= 2 }
    // Far from everything that a scaled feature can mean; keeps squares finite.
    let limit = Heads(repeating: 1e12)
    derivatives = (derivatives * weights).clamped(lowerBound: -limit, upperBound: limit)
    let pull = Heads.zero.replacing(with: l2, where: weights .> 0)
    total.intercept -= interceptRate * derivatives
    for i in 0..<features.count {
      let coordinate = features.at(i)
      let gradient =
        derivatives * coordinate.pointee.scaled(features.values[i])
        + pull * coordinate.pointee.weights
      switch step {
      case .plain: coordinate.pointee.weights -= rate * gradient
      case .adaptive:
        coordinate.pointee.squares += gradient * gradient
        coordinate.pointee.weights -=
          rate * gradient / (coordinate.pointee.squares + 1e-8).roots
      }
    }
  }
}
