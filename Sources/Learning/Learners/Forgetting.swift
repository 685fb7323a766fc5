/// A learner that can be told to let what comes count more.
///
/// Weights, and so predictions, stay as they are; only the evidence behind them shrinks, from which
/// the size of the next steps follows. For after a change of what is learned: a reset would throw
/// away what still holds.
public protocol ForgettingLearner: SparseLearner {
  /// Keeps a part of the evidence of a coordinate, for each head.
  ///
  /// - Parameter parts: In 0...1; at 1 not a bit changes.
  func forget(_ coordinate: inout Coordinate, keeping parts: Heads)

  /// The same for what is known beside features.
  func forget(_ total: inout Total, keeping parts: Heads)
}

extension ForgettingLearner {
  public func forget(_ total: inout Total, keeping parts: Heads) {}
}

extension FTRL: ForgettingLearner {
  public func forget(_ coordinate: inout Coordinate, keeping parts: Heads) {
    let kept = self.coordinate(
      weights: weights(coordinate), squaredGradients: coordinate.n * parts)
    // What l1 holds at 0 stays as near to its threshold as it was.
    let stays = (excess(coordinate.z) .== 0) .| (parts .>= 1)
    let z = kept.z.replacing(with: coordinate.z, where: stays)
    coordinate = self.coordinate(z: z, root: kept.root)
  }
}

extension InvariantUpdate: ForgettingLearner {
  public func forget(_ coordinate: inout Coordinate, keeping parts: Heads) {
    coordinate.squares *= parts
  }
}

extension BayesianLogistic: ForgettingLearner {
  /// The evidence is the precision beyond the prior's.
  public func forget(_ coordinate: inout Coordinate, keeping parts: Heads) {
    let least = Heads(repeating: precision)
    let beyond = (coordinate.precisions - least).clamped(
      lowerBound: .zero, upperBound: Heads(repeating: .greatestFiniteMagnitude))
    coordinate.precisions.replace(with: least + parts * beyond, where: parts .< 1)
  }
}

extension AdPredictor: ForgettingLearner {
  /// The evidence is the precision beyond the prior's, which is 1.
  public func forget(_ coordinate: inout Coordinate, keeping parts: Heads) {
    let kept = 1 / (1 + parts * (1 / coordinate.variances - 1))
    coordinate.variances.replace(with: kept, where: parts .< 1)
  }

  public func forget(_ total: inout Total, keeping parts: Heads) {
    if total.isPlaced { forget(&total.bias, keeping: parts) }
  }
}

extension FactorizationMachine: ForgettingLearner {
  public func forget(_ coordinate: inout Coordinate, keeping parts: Heads) {
    coordinate.weights.squares *= parts
    coordinate.first.squares *= parts.x
    coordinate.second.squares *= parts.y
  }

  public func forget(_ total: inout Total, keeping parts: Heads) { total.bias.squares *= parts }
}
