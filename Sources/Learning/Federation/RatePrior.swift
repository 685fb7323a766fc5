/// Accounts' rates as sums from which a common prior follows (empirical Bayes by moments,
/// Kleinman 1973). Sums: they merge and subtract. 40 bytes, O(1).
@frozen
public struct RateSums: BitwiseCopyable, Sendable, Equatable {
  public private(set) var accounts = 0.0
  public private(set) var trials = 0.0
  public private(set) var successes = 0.0
  /// Σ trials².
  private var squaredTrials = 0.0
  /// Σ successes² / trials.
  private var weightedSquares = 0.0

  public init() {}

  /// Adds an account's counts; takes them away with a `sign` of −1. Without trials it is none.
  public mutating func add(successes: Double, trials: Double, sign: Double = 1) {
    guard trials > 0 else { return }
    accounts += sign
    self.trials += sign * trials
    self.successes += sign * successes
    squaredTrials += sign * trials * trials
    weightedSquares += sign * successes * successes / trials
  }

  public mutating func add(_ other: RateSums, times factor: Double = 1) {
    accounts += factor * other.accounts
    trials += factor * other.trials
    successes += factor * other.successes
    squaredTrials += factor * other.squaredTrials
    weightedSquares += factor * other.weightedSquares
  }

  /// The distribution of rates over accounts: as wide as their rates differ beyond chance.
  ///
  /// - Parameter strengths: Where the prior's weight in trials is kept: few accounts say little
  ///   about their spread.
  /// - Returns: nil for less than two accounts, or rates that are all 0 or all 1.
  public func prior(strengths: ClosedRange<Double> = 1...10_000) -> BetaDistribution? {
    guard accounts > 1.5, successes > 0, successes < trials else { return nil }
    let mean = successes / trials
    let chance = mean * (1 - mean)
    let spread = max(weightedSquares - trials * mean * mean, 0)
    let room = trials - squaredTrials / trials - (accounts - 1)
    guard chance > 0 else { return nil }
    // The part of the variance that lies between accounts; its inverse less 1 is the strength.
    let between = room > 0 ? (spread - chance * (accounts - 1)) / (chance * room) : 0
    let strength =
      between > 0
      ? min(max(1 / between - 1, strengths.lowerBound), strengths.upperBound)
      : strengths.upperBound
    return BetaDistribution(mean: mean, strength: strength)
  }
}
