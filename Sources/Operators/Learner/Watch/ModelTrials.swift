import Events
import Learning
import Streaming

/// Which model counts for each account: trials of challengers against the champion, one after the
/// other.
///
/// A challenger that is better for certain, and calibrated, takes over; the model before it stays
/// beside it for a while, and comes back if it proves better after all. One that is worse for
/// certain is set aside until all were, and a cooldown has passed. Compared are labels of
/// impressions that were shown since the trial began. 216 bytes an account, none without
/// challengers.
struct ModelTrials {
  static let setting = SettingDescription(
    "promotion",
    .structure([
      SettingDescription(
        "enabled", .boolean, default: "true",
        meaning: "Let a challenger take over where it is better for certain."),
      SettingDescription(
        "head", .choice(["pctr", "pcvr"]), default: "pctr",
        meaning: "The predictions whose log-loss is compared."),
      SettingDescription(
        "alpha", .number(1e-9...0.5), default: "0.05",
        meaning: "Bound on the probability of ever promoting a model that is no better."),
      SettingDescription(
        "trial", .duration(.seconds(0)...(.days(400))), default: "14d",
        meaning: "How long a trial lasts at least."),
      SettingDescription(
        "positives", .number(0...1e12), default: "2000",
        meaning: "Positive labels that a trial has at least."),
      SettingDescription(
        "cooldown", .duration(.seconds(0)...(.days(400))), default: "7d",
        meaning: "Time between two promotions at least."),
      SettingDescription(
        "probation", .duration(.seconds(0)...(.days(400))), default: "7d",
        meaning: "How long the model before is kept to fall back on."),
      SettingDescription(
        "calibration_low", .number(0...1), default: "0.95",
        meaning: "The least Σ predicted / Σ observed of a model that is promoted."),
      SettingDescription(
        "calibration_high", .number(1...100), default: "1.05", meaning: "The most."),
    ]), default: "{}",
    meaning: "When a challenger becomes the champion of an account.")

  private struct State: BitwiseCopyable {
    var trial = ChampionChallenger()
    var decidedAt = Int64.min
    var champion: Int32 = 0
    /// What it is compared with; -1 for none.
    var other: Int32 = -1
    /// Bits of models that were set aside.
    var lost: UInt32 = 0
    /// Labels were compared.
    var isUsed: UInt32 = 0
  }

  enum Outcome {
    case promoted, rolledBack, dismissed, confirmed

    var severity: Alert.Severity { self == .rolledBack ? .warning : .info }

    var subject: AlertRecord.Subject {
      switch self {
      case .promoted: .promoted
      case .rolledBack: .rolledBack
      case .dismissed: .dismissed
      case .confirmed: .confirmed
      }
    }
  }

  /// What was decided.
  struct Event {
    var outcome: Outcome
    /// The model that the decision is about.
    var model: Int
    /// Mean log-loss of it, and of the one it was compared with.
    var loss: Double
    var otherLoss: Double
  }

  let isOn: Bool
  let head: RateHead
  private let modelCount: Int
  private let rules: PromotionRules
  private let states: Table<State>

  init(_ settings: Settings, models: Int, in store: StateStore) {
    isOn = settings.boolean("enabled") && models > 1
    head = settings.text("head") == "pcvr" ? .pcvr : .pctr
    modelCount = models
    rules = PromotionRules(
      alpha: settings.number("alpha"), trialMin: settings.duration("trial").milliseconds,
      cooldown: settings.duration("cooldown").milliseconds,
      probation: settings.duration("probation").milliseconds,
      positivesMin: settings.number("positives"),
      positivesToUndo: settings.number("positives") / 4,
      calibrationLow: settings.number("calibration_low"),
      calibrationHigh: settings.number("calibration_high"),
      undoBelow: settings.number("calibration_low") * 0.85,
      undoAbove: settings.number("calibration_high") * 1.2)
    states = store.table("promotion.trials", of: State.self)
  }

  /// The model that counts.
  @inline(__always)
  func champion(of account: Int32) -> Int {
    guard isOn, Int(account) < states.count else { return 0 }
    return Int(states.address(account).pointee.champion)
  }

  // MARK: Trials

  /// Takes a label of an account; what it decides.
  ///
  /// - Parameters:
  ///   - said: What each model had said.
  ///   - shown: When the impression was shown, ms.
  func judge(
    _ account: Int32, _ said: UnsafePointer<Heads>, label: Double, shown: Int64, now: Int64
  ) -> Event? {
    if Int(account) >= states.count { states.fill(to: Int(account) + 1, with: State()) }
    let state = states.update(account)
    state.pointee.isUsed = 1
    guard state.pointee.trial.phase != .alone else {
      begin(state, at: now)
      return nil
    }
    guard shown > state.pointee.trial.since else { return nil }
    let (champion, other) = (Int(state.pointee.champion), Int(state.pointee.other))
    let before = state.pointee.trial
    let decision = state.pointee.trial.observe(
      champion: probability(said[champion]), other: probability(said[other]), label: label,
      at: now, rules)
    if decision == .none { return nil }
    let losses = (before.champion.logLoss ?? 0, before.other.logLoss ?? 0)
    return act(on: decision, state, losses, at: now)
  }

  @inline(__always)
  private func probability(_ rates: Heads) -> Double { head == .pcvr ? rates.y : rates.x }

  /// - Parameter losses: Of the champion and the other.
  private func act(
    on decision: ChampionChallenger.Decision, _ state: UnsafeMutablePointer<State>,
    _ losses: (Double, Double), at now: Int64
  ) -> Event? {
    let (champion, other) = (state.pointee.champion, state.pointee.other)
    state.pointee.decidedAt = now
    switch decision {
    case .none: return nil
    case .promote:
      (state.pointee.champion, state.pointee.other) = (other, champion)
      return Event(
        outcome: .promoted, model: Int(other), loss: losses.1, otherLoss: losses.0)
    case .rollBack:
      state.pointee.champion = other
      setAside(champion, state)
      return Event(
        outcome: .rolledBack, model: Int(champion), loss: losses.0, otherLoss: losses.1)
    case .dismiss:
      setAside(other, state)
      return Event(
        outcome: .dismissed, model: Int(other), loss: losses.1, otherLoss: losses.0)
    case .confirm:
      setAside(other, state)
      return Event(
        outcome: .confirmed, model: Int(champion), loss: losses.0, otherLoss: losses.1)
    }
  }

  private func setAside(_ model: Int32, _ state: UnsafeMutablePointer<State>) {
    state.pointee.lost |= 1 << UInt32(model)
    state.pointee.other = -1
  }

  /// The next challenger's trial begins, if there is one.
  private func begin(_ state: UnsafeMutablePointer<State>, at now: Int64) {
    var next = candidate(state)
    if next < 0 {
      let (age, isOver) = now.subtractingReportingOverflow(state.pointee.decidedAt)
      guard isOver || age >= max(rules.cooldown, 1) else { return }
      state.pointee.lost = 0
      next = candidate(state)
    }
    guard next >= 0 else { return }
    state.pointee.other = next
    state.pointee.trial.challenge(at: now)
  }

  private func candidate(_ state: UnsafeMutablePointer<State>) -> Int32 {
    for model in 0..<Int32(modelCount)
    where model != state.pointee.champion && state.pointee.lost & 1 << UInt32(model) == 0 {
      return model
    }
    return -1
  }

  /// What comes from now on is another world: the challenger on trial, else the first one, is to
  /// begin anew, and its trial with it. None while the model before is kept to fall back on.
  func restart(_ account: Int32, at now: Int64) -> Int? {
    guard isOn, Int(account) < states.count else { return nil }
    let state = states.update(account)
    switch state.pointee.trial.phase {
    case .probation: return nil
    case .trial: state.pointee.trial.challengeAnew(at: now)
    case .alone:
      state.pointee.lost = 0
      let next = candidate(state)
      guard next >= 0 else { return nil }
      state.pointee.other = next
      state.pointee.trial.challenge(at: now)
    }
    return Int(state.pointee.other)
  }

  // MARK: State

  func digest(into digest: inout StateDigest, _ directory: Directory) {
    for account in 0..<Int32(states.count) where states[account].isUsed != 0 {
      digest.add(
        owner: directory.accounts.hash(account), place: 14, wordsOf: states.address(account))
    }
  }
}
