/// When a challenger takes over, and when that is undone.
@frozen
public struct PromotionRules: BitwiseCopyable, Sendable {
  /// Bound on the probability of ever promoting a challenger that is no better, over all that come:
  /// the k-th is judged at 6 α / (π² k²).
  public var alpha: Double
  /// Differences of two losses are cut to this, nats: large ones are single surprises.
  public var differenceMax: Double
  /// Least time of a trial and between two promotions, ms.
  public var trialMin: Int64
  public var cooldown: Int64
  /// How long the former champion is kept to fall back on, ms.
  public var probation: Int64
  /// Least weight of positive labels in a trial, and before calibration alone undoes a promotion.
  public var positivesMin: Double
  public var positivesToUndo: Double
  /// Σ predicted / Σ observed of the challenger that permits promotion.
  public var calibrationLow: Double
  public var calibrationHigh: Double
  /// Beyond these a promoted model is taken back.
  public var undoBelow: Double
  public var undoAbove: Double

  public init(
    alpha: Double = 0.05, differenceMax: Double = 1, trialMin: Int64 = 1_209_600_000,
    cooldown: Int64 = 604_800_000, probation: Int64 = 604_800_000, positivesMin: Double = 2000,
    positivesToUndo: Double = 500, calibrationLow: Double = 0.95, calibrationHigh: Double = 1.05,
    undoBelow: Double = 0.8, undoAbove: Double = 1.25
  ) {
    precondition(
      alpha > 0 && alpha < 1 && differenceMax > 0 && calibrationLow <= calibrationHigh
        && undoBelow < undoAbove,
      "promotion has 0 < alpha < 1, a positive bound of differences, and ordered ranges")
    self.alpha = alpha
    self.differenceMax = differenceMax
    self.trialMin = trialMin
    self.cooldown = cooldown
    self.probation = probation
    self.positivesMin = positivesMin
    self.positivesToUndo = positivesToUndo
    self.calibrationLow = calibrationLow
    self.calibrationHigh = calibrationHigh
    self.undoBelow = undoBelow
    self.undoAbove = undoAbove
  }
}

/// Two models scored on the same matured labels, and what follows.
///
/// A trial compares the champion with a challenger. After a promotion the roles are exchanged and a
/// probation compares the new champion with the one before. A pure state machine: an observation
/// in, a decision out; time is the observations'. 168 bytes, O(1).
@frozen
public struct ChampionChallenger: BitwiseCopyable, Sendable, Equatable {
  /// What is compared.
  @frozen
  public enum Phase: Int64, BitwiseCopyable, Sendable {
    /// No other model.
    case alone
    /// A challenger runs beside the champion.
    case trial
    /// The former champion runs beside the one that took over.
    case probation
  }

  /// What to do.
  @frozen
  public enum Decision: BitwiseCopyable, Sendable {
    case none
    /// The challenger is better and calibrated: exchange the two. A probation has begun.
    case promote
    /// The challenger is worse for certain: remove it. Nothing is compared now.
    case dismiss
    /// The promoted model is worse or off its calibration: exchange the two again and remove it.
    case rollBack
    /// The probation is over: remove the former champion.
    case confirm
  }

  private var phaseNumber: Int64 = 0
  /// Time at which the phase began, ms.
  public private(set) var since: Int64 = 0
  private var promotedAt = Int64.min
  /// Challengers so far.
  public private(set) var trials: Int64 = 0
  /// Scores in this phase of the champion and of the other.
  public private(set) var champion = ScoreSums()
  public private(set) var other = ScoreSums()
  private var difference = EmpiricalBernstein()

  public init() {}

  public var phase: Phase { Phase(rawValue: phaseNumber) ?? .alone }

  /// A challenger begins; only where no other model is compared.
  public mutating func challenge(at time: Int64) {
    precondition(phase == .alone, "one challenger at a time is compared with the champion")
    trials += 1
    begin(.trial, at: time)
  }

  /// The challenger of a trial has begun anew, and so does the trial: it counts as one more.
  public mutating func challengeAnew(at time: Int64) {
    precondition(phase == .trial, "only a trial begins anew")
    trials += 1
    begin(.trial, at: time)
  }

  private mutating func begin(_ phase: Phase, at time: Int64) {
    phaseNumber = phase.rawValue
    since = time
    champion = ScoreSums()
    other = ScoreSums()
    difference = EmpiricalBernstein()
  }

  /// The level that the present challenger is judged at.
  private func alpha(_ rules: PromotionRules) -> Double {
    let k = Double(max(trials, 1))
    return rules.alpha * 0.6079271018540267 / (k * k)
  }

  /// Bounds of the champion's mean log-loss less the other's, nats: above 0 the other is better.
  public func advantage(_ rules: PromotionRules) -> ConfidenceInterval {
    let interval = difference.interval(alpha: alpha(rules))
    return ConfidenceInterval(
      low: (2 * interval.low - 1) * rules.differenceMax,
      high: (2 * interval.high - 1) * rules.differenceMax)
  }

  /// A label has matured of which both models had a prediction, made before either learned of it.
  ///
  /// - Parameters:
  ///   - champion: Its predicted probability.
  ///   - other: The challenger's, or in probation the former champion's.
  ///   - label: In 0...1.
  ///   - time: When it matured, ms.
  public mutating func observe(
    champion p: Double, other q: Double, label: Double, at time: Int64, _ rules: PromotionRules
  ) -> Decision {
    guard phase != .alone else { return .none }
    champion.add(probability: p, label: label)
    other.add(probability: q, label: label)
    let gain = Loss.log(p, label: label) - Loss.log(q, label: label)
    difference.update((gain / rules.differenceMax + 1) / 2, alpha: alpha(rules))
    return phase == .trial ? judgeTrial(at: time, rules) : judgeProbation(at: time, rules)
  }

  private mutating func judgeTrial(at time: Int64, _ rules: PromotionRules) -> Decision {
    let advantage = advantage(rules)
    if advantage.high < 0 {
      begin(.alone, at: time)
      return .dismiss
    }
    guard advantage.low > 0, has(elapsed: rules.trialMin, since: since, at: time),
      promotedAt == .min || has(elapsed: rules.cooldown, since: promotedAt, at: time),
      other.labels >= rules.positivesMin, let ratio = other.calibrationRatio,
      ratio >= rules.calibrationLow, ratio <= rules.calibrationHigh
    else { return .none }
    promotedAt = time
    begin(.probation, at: time)
    return .promote
  }

  private mutating func judgeProbation(at time: Int64, _ rules: PromotionRules) -> Decision {
    let advantage = advantage(rules)
    var isOff = false
    if champion.labels >= rules.positivesToUndo, let ratio = champion.calibrationRatio {
      isOff = ratio < rules.undoBelow || ratio > rules.undoAbove
    }
    // Far too many predicted, and no positive yet to divide by.
    if champion.labels == 0, champion.predictions >= rules.positivesToUndo { isOff = true }
    if isOff || advantage.low > 0 {
      begin(.alone, at: time)
      return .rollBack
    }
    guard has(elapsed: rules.probation, since: since, at: time) else { return .none }
    begin(.alone, at: time)
    return .confirm
  }

  private func has(elapsed: Int64, since: Int64, at time: Int64) -> Bool {
    let (age, isOver) = time.subtractingReportingOverflow(since)
    return isOver ? time > since : age >= elapsed
  }
}
