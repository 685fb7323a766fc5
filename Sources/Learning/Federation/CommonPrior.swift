/// What many accounts have learned, as a beginning for one that has learned nothing.
public struct CommonPrior: Sendable, Equatable {
  /// How a rate is distributed over accounts; nil where too few know theirs, or noise hides it.
  public var rates: [BetaDistribution?]
  /// What each shared feature adds to the log-odds of both heads, around the mean of its field.
  public var weights: [Heads]
  /// What holds in nearly all accounts, by slot.
  public var patterns: [CommonPattern]

  public init(rates: [BetaDistribution?], weights: [Heads], patterns: [CommonPattern]) {
    self.rates = rates
    self.weights = weights
    self.patterns = patterns
  }
}

/// What a feature does in nearly all accounts.
@frozen
public struct CommonPattern: OptionSet, BitwiseCopyable, Sendable {
  public var rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// More clicks than other values of its field; fewer; and the same of conversions.
  public static let raisesClicks = CommonPattern(rawValue: 1)
  public static let lowersClicks = CommonPattern(rawValue: 2)
  public static let raisesConversions = CommonPattern(rawValue: 4)
  public static let lowersConversions = CommonPattern(rawValue: 8)
}

/// Makes a prior of the sum of a round's vectors.
///
/// Noise is added once, to the sum; all that follows is arithmetic on what is noised already and
/// tells no more of an account. So the mechanism is one Gaussian of this noise a round, for vectors
/// of length 1, and `PrivacyLedger` says exactly what its rounds come to.
public struct RoundRelease: Sendable {
  public var layout: UpdateLayout
  /// Standard deviation of each number's noise, over the greatest length of a vector, which is 1; 0
  /// is none.
  public var noise: Double
  public var rule: PatternRule

  public init(layout: UpdateLayout, noise: Double, rule: PatternRule) {
    precondition(noise >= 0 && noise.isFinite, "noise has a deviation of at least 0")
    self.layout = layout
    self.noise = noise
    self.rule = rule
  }

  /// A rate of which noise hides more is not told: deviation of its log-odds.
  static let logitNoiseMax = 0.5
  /// What a count of accounts may lack because numbers are rounded toward 0.
  static let rounding = 1e-3
  /// Weight of a rate's prior, in trials.
  static let strengths = 1.0...10_000

  /// - Parameters:
  ///   - sum: Of the vectors, as they travel.
  ///   - accounts: How many there are; at least 1, and no secret.
  ///   - told: The patterns that the last release told.
  ///   - draws: Those of this round.
  public func prior(
    sum: UnsafeBufferPointer<Int64>, accounts: Int, told: UnsafeBufferPointer<CommonPattern>,
    draws: inout Draws
  ) -> CommonPrior {
    precondition(
      sum.count == layout.count && told.count == layout.slots && accounts > 0,
      "a sum has the layout's numbers, of at least one account")
    var noised = sum.map { Double($0) / UpdateLayout.one }
    if noise > 0 {
      noised.withUnsafeMutableBufferPointer {
        Contribution.addNoise($0, deviation: noise, draws: &draws)
      }
    }
    let count = Double(accounts)
    return CommonPrior(
      rates: (0..<2).map { rate(of: $0, noised, count) },
      weights: weights(noised, count),
      patterns: (0..<layout.slots).map { patterns(of: $0, noised, count, told[$0]) })
  }

  /// By the moments of log-odds over accounts, less what is chance in them.
  private func rate(of head: Int, _ sum: [Double], _ accounts: Double) -> BetaDistribution? {
    let place = layout.rate(head)
    let scales = UpdateLayout.rateScales
    let known = min(sum[place] / scales[0] + RoundRelease.rounding, accounts)
    guard known >= rule.accountsMin else { return nil }
    let span = UpdateLayout.logitSpan
    let hidden = noise / scales[1] / known * span
    guard hidden <= RoundRelease.logitNoiseMax else { return nil }
    let distance = min(max(sum[place + 1] / scales[1] / known, -1), 1)
    let spread = sum[place + 2] / scales[2] / known - distance * distance
    let chance = max(sum[place + 3] / scales[3] / known, 0)
    let mean = Rate.sigmoid(UpdateLayout.anchors[head] + span * distance)
    // The variance of a Beta's log-odds is about 1 / (m (1 − m) (strength + 1)).
    let variance = max(span * span * spread - chance, 0) + hidden * hidden
    let limits = RoundRelease.strengths
    let strength =
      variance > 0 ? 1 / (mean * (1 - mean) * variance) - 1 : limits.upperBound
    return BetaDistribution(
      mean: mean, strength: min(max(strength, limits.lowerBound), limits.upperBound))
  }

  /// Means over all accounts, those that do not know a feature counted as 0; then each head's all
  /// together toward 0, by the part of their scatter that noise may be. What too few know is 0.
  private func weights(_ sum: [Double], _ accounts: Double) -> [Heads] {
    let unit = 1 / (layout.weightScale * accounts)
    var weights = (0..<layout.slots).map { slot in
      Heads(sum[layout.weight(slot, 0)], sum[layout.weight(slot, 1)]) * unit
    }
    if noise > 0 { moveTowardZero(&weights, unit) }
    for slot in weights.indices {
      for head in 0..<2
      where countMax(layout.pattern(slot, head), sum, accounts) < rule.accountsMin {
        weights[slot][head] = 0
      }
    }
    return weights
  }

  /// - Parameter unit: A weight of 1, as a number of the vector.
  private func moveTowardZero(_ weights: inout [Heads], _ unit: Double) {
    let variance = (noise * unit) * (noise * unit)
    var square = Heads.zero
    for weight in weights { square += weight * weight }
    square /= Double(layout.slots)
    // What chance alone makes of the square is seldom above this.
    let chance = variance * (1 + 2 * (2 / Double(layout.slots)).squareRoot())
    let kept = Heads(max(1 - chance / square.x, 0), max(1 - chance / square.y, 0))
    for slot in weights.indices { weights[slot] *= kept }
  }

  /// Accounts that a number counts: the most that noise leaves possible.
  private func countMax(_ place: Int, _ sum: [Double], _ accounts: Double) -> Double {
    min(sum[place] / layout.patternScale + RoundRelease.rounding, accounts) + margin
  }

  /// Of counts of accounts.
  private var margin: Double { 2 * noise / layout.patternScale }

  /// Counts err to the side on which less is told, by twice the noise; where it could make a pattern
  /// of nothing, nothing is told.
  private func patterns(
    of slot: Int, _ sum: [Double], _ accounts: Double, _ told: CommonPattern
  ) -> CommonPattern {
    var found: CommonPattern = []
    for head in 0..<2 {
      let place = layout.pattern(slot, head)
      let all = countMax(place, sum, accounts)
      for direction in 0..<2 {
        let pattern = CommonPattern(rawValue: 1 << UInt8(2 * head + direction))
        let having =
          countMax(place + 1 + direction, sum, accounts) - 2 * margin
        if rule.tells(having: having, of: all, told: told.contains(pattern)) {
          found.insert(pattern)
        }
      }
    }
    return found
  }
}
