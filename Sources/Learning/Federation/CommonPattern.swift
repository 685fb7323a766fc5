/// Wilson's interval for a rate.
public enum Wilson {
  /// - Parameters:
  ///   - successes: 0...trials.
  ///   - z: Standard normal quantile; 1.96 for 95 %, two-sided.
  /// - Returns: Within 0...1; all of it without trials.
  public static func interval(
    successes: Double, trials: Double, z: Double = 1.959963984540054
  ) -> ConfidenceInterval {
    guard trials > 0 else { return ConfidenceInterval(low: 0, high: 1) }
    let p = min(max(successes / trials, 0), 1)
    let square = z * z / trials
    let center = (p + square / 2) / (1 + square)
    let radius = z / (1 + square) * (p * (1 - p) / trials + square / (4 * trials)).squareRoot()
    return ConfidenceInterval(low: max(center - radius, 0), high: min(center + radius, 1))
  }
}

/// When a pattern may be told to other accounts: when enough of them have it that it says nothing
/// about any one (k-anonymity), and nearly all of those that could have it do.
///
/// What is told stays told until it has clearly ceased to hold, so that two releases do not differ
/// by one account's joining or leaving; release on a fixed schedule.
@frozen
public struct PatternRule: BitwiseCopyable, Sendable, Equatable {
  /// Fewest accounts that have it (k).
  public var accountsMin: Double
  /// Least part that has it of the accounts that could.
  public var shareMin: Double
  /// Least lower end of that part's 95 % interval.
  public var lowMin: Double
  /// What is told is taken back only this far below the least share, and below 80 % of k.
  public var slack: Double

  public init(
    accountsMin: Double = 10, shareMin: Double = 0.8, lowMin: Double = 0.6, slack: Double = 0.1
  ) {
    precondition(accountsMin >= 2, "one account alone is no pattern")
    self.accountsMin = accountsMin
    self.shareMin = shareMin
    self.lowMin = lowMin
    self.slack = slack
  }

  /// Whether to tell a pattern.
  ///
  /// - Parameters:
  ///   - having: Accounts that have it, each counted once; may be noised.
  ///   - all: Accounts that could.
  ///   - told: Whether the last release had it.
  public func tells(having: Double, of all: Double, told: Bool) -> Bool {
    guard all > 0, having.isFinite, all.isFinite else { return false }
    let share = min(max(having / all, 0), 1)
    if told { return having >= 0.8 * accountsMin && share >= shareMin - slack }
    return having >= accountsMin && share >= shareMin
      && Wilson.interval(successes: having, trials: all).low >= lowMin
  }
}
