/// Dividing a budget or traffic by the probabilities of being best.
public enum Allocation {
  /// Raises every share to at least `floor` / count: (1 − floor)·p + floor / count, in place.
  ///
  /// - Parameters:
  ///   - shares: Probabilities that sum to 1.
  ///   - floor: In 0...1: what is divided evenly.
  @inlinable
  public static func applyFloor(_ floor: Double, to shares: UnsafeMutableBufferPointer<Double>) {
    let least = floor / Double(shares.count)
    for i in 0..<shares.count { shares[i] = least + (1 - floor) * shares[i] }
  }

  /// The shares of top-two Thompson sampling (Russo 2016): the best arm with probability `leader`,
  /// else the best of the others. To find the best arm soon, not to earn meanwhile.
  public static func topTwo(_ probabilities: [Double], leader: Double = 0.5) -> [Double] {
    let count = probabilities.count
    guard count > 1 else { return probabilities }
    var odds = 0.0
    for p in probabilities where p < 1 { odds += p / (1 - p) }
    return probabilities.map { p in
      // An arm that is best for certain leaves its runner-up undecided: all others alike.
      guard !probabilities.contains(1) else {
        return p == 1 ? leader : (1 - leader) / Double(count - 1)
      }
      return p * (leader + (1 - leader) * (odds - p / (1 - p)))
    }
  }
}
