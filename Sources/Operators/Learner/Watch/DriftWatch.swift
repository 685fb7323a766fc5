import Events
import Learning
import Streaming

/// Whether clicks and conversions have moved away from what the champion says of them, and whether
/// they have become more or less frequent: three adaptive windows for each account and head.
///
/// The first reads the label less its prediction, whose mean leaves 0 when rates rise or fall. The
/// second reads the log-loss less what the model itself expects of it, which comes to
/// (p − y) ln(p / (1 − p)): its mean leaves 0 also when rates move toward each other or exchange
/// places while their mean stays. Log-odds are cut at ±5 and divided by 5: given its prediction
/// each residual lies within an interval of length 1, as a window's bound wants it. An alarm by one
/// lets the other begin anew. The third reads the labels alone: a model that follows a change
/// leaves no residuals, and it is worth knowing all the same. Where it shows a change, residuals
/// need less to be an alarm.
///
/// Windows hold sums over blocks of `check_every` labels: of values in an interval of length 1 the
/// same bound holds for such sums, whose variance contains what neighbours have in common. It does
/// not contain what all predictions of a label's waiting time share, the model's own error of that
/// time: so a change is one only if it is also large beside the rate.
///
/// A label waits, and its prediction is older than all that was learned since. Labels are watched
/// from those on that were predicted behind `warmup`; and what was predicted before an alarm's
/// answer says nothing about it, so it is neither told nor answered again.
///
/// Residuals of clicks are of all impressions, those of conversions of what was clicked: each
/// becomes known at one age, so that what is late does not look like a change. 12 KiB an account
/// and head.
struct DriftWatch {
  static let setting = SettingDescription(
    "drift",
    .structure([
      SettingDescription(
        "enabled", .boolean, default: "true",
        meaning: "Watch the champion's residuals and raise alerts."),
      SettingDescription(
        "respond", .boolean, default: "true",
        meaning: """
          Act on an alert: the champion and its calibration forget; at the third one within \
          `escalation` a challenger begins anew.
          """),
      SettingDescription(
        "delta", .number(1e-12...0.5), default: "0.0005",
        meaning: "Bound on the probability of a false alarm at a check; less is surer and later."),
      SettingDescription(
        "least", .number(0...10), default: "0.1",
        meaning: """
          Smallest change of the mean residual that is an alarm, as a part of the rate (of \
          log-loss, of what is expected of the rate). What all predictions of a waiting time have \
          in common moves by some percent without any change.
          """),
      SettingDescription(
        "rate_change", .number(0...10), default: "0.2",
        meaning: """
          Smallest change of the rate itself, as a part of it, that is told though predictions \
          follow; for information. 0 tells of none.
          """),
      SettingDescription(
        "check_every", .integer(1...100_000), default: "32",
        meaning: "Labels that are summed before they are looked at."),
      SettingDescription(
        "warmup", .integer(0...1_000_000_000), default: "5000",
        meaning: "Labels of an account's head that are learned before predictions are watched."),
      SettingDescription(
        "keep", .number(0...1), default: "0.1",
        meaning: "Part of the accumulated evidence that is kept where something is forgotten."),
      SettingDescription(
        "feature_index", .number(0...100), default: "0.25",
        meaning: """
          The population stability index of a feature's hour against the time before it that \
          raises an alert; 0 watches no features.
          """),
      SettingDescription(
        "escalation", .duration(.minutes(1)...(.days(400))), default: "7d",
        meaning: "Alerts count as one after the other within this time."),
    ]), default: "{}",
    meaning: "What is done when outcomes move away from predictions.")

  /// The labels since the last block: all that most labels touch.
  private struct Block: BitwiseCopyable {
    /// Labels of the account's head until `warmup`.
    var learned: Int64 = 0
    /// Predictions are watched from this time on, ms.
    var from = Int64.max
    var count: Int64 = 0
    var rates = 0.0
    var losses = 0.0
    var labels = 0.0
    var predictions = 0.0

    mutating func clear() { self = Block(learned: learned, from: from) }
  }

  private struct Watched: BitwiseCopyable {
    var rates = ADWIN()
    var losses = ADWIN()
    var labels = ADWIN()
    var alarmedAt = Int64.min
    var level: Int64 = 0
    /// 1 from an alarm until residuals are back.
    var isAway: Int64 = 0
    /// Blocks for which a change of the rate that was told counts as under way.
    var changing: Int64 = 0
    /// When a change of the rate was last seen, and between which rates.
    var changedAt = Int64.min
    var low = 0.0
    var high = 0.0
  }

  /// What a block has shown.
  struct Finding {
    enum Kind {
      /// Residuals are further from 0 than before.
      case worse
      /// They came back.
      case better
      /// Outcomes are more or less frequent than before.
      case changed
    }

    var kind: Kind
    /// The log-loss is not what the model expects; else rates are not what it predicts.
    var isOfLoss = false
    /// Means on both sides of the change: of residuals, or of labels.
    var before: Double
    var after: Double
    /// How many alarms in a row, up to 3.
    var level: Int64 = 0
  }

  private static let headCount = 2
  private static let logitMax = 5.0
  /// Blocks on either side of a cut.
  private static let part = 2.0
  /// Blocks before the first check of a window.
  private static let grace = 16.0
  /// Rates near those that were seen within this time are not told again: most accounts have a day.
  private static let memory = TimeSpan.days(2).milliseconds
  private static let near = 0.1
  /// Blocks behind a told change of the rate within which further cuts are the same change.
  private static let changing: Int64 = 128
  /// As `delta`, for residuals while it is certain that the rate has changed.
  private static let deltaChanging = 0.1

  let isOn: Bool
  let isResponding: Bool
  let keep: Double
  private let delta: Double
  private let least: Double
  private let rateChange: Double
  private let every: Int64
  private let warmup: Int64
  private let escalation: Int64
  private let directory: Directory
  private let firsts: Table<Int32>
  private let blocks: Table<Block>
  private let watched: Table<Watched>

  init(_ settings: Settings, _ setup: OperatorSetup) {
    isOn = settings.boolean("enabled")
    isResponding = settings.boolean("respond")
    keep = settings.number("keep")
    delta = settings.number("delta")
    least = settings.number("least")
    rateChange = settings.number("rate_change")
    every = settings.integer("check_every")
    warmup = settings.integer("warmup")
    escalation = settings.duration("escalation").milliseconds
    directory = setup.directory
    firsts = setup.store.table("drift.firsts", of: Int32.self)
    blocks = setup.store.table("drift.blocks", of: Block.self)
    watched = setup.store.table("drift.windows", of: Watched.self, capacity: 1)
  }

  /// Takes what became known; whether a block is full, which `judge` is to be called for.
  ///
  /// - Parameters:
  ///   - prediction: What the model said.
  ///   - logit: Its log-odds.
  ///   - shown: When it said so, ms.
  @inline(__always)
  func add(
    _ account: Int32, _ head: RateHead, prediction: Double, label: Double, logit: Double,
    shown: Int64, at now: Int64
  ) -> Bool {
    if Int(account) >= firsts.count || firsts[account] < 0 { begin(account) }
    let block = blocks.update(firsts[account] &+ Int32(truncatingIfNeeded: head.rawValue))
    guard shown >= block.pointee.from else {
      block.pointee.learned &+= 1
      if block.pointee.learned == warmup { block.pointee.from = now }
      return false
    }
    let excess = prediction - label
    let limit = DriftWatch.logitMax
    block.pointee.rates -= excess
    block.pointee.losses += excess * min(max(logit, -limit), limit) / limit
    block.pointee.labels += label
    block.pointee.predictions += prediction
    block.pointee.count &+= 1
    return block.pointee.count >= every
  }

  @inline(never)
  private func begin(_ account: Int32) {
    firsts.fill(to: Int(account) + 1, with: -1)
    firsts.update(account).pointee = Int32(watched.count)
    let end = watched.count + DriftWatch.headCount
    watched.fill(to: end, with: Watched())
    blocks.fill(to: end, with: Block(from: warmup == 0 ? .min : .max))
  }

  /// Closes a full block.
  ///
  /// - Parameters:
  ///   - shown: When its last label was predicted, ms.
  @inline(never)
  func judge(
    _ account: Int32, _ head: RateHead, shown: Int64, at now: Int64, _ body: (Finding) -> Void
  ) {
    let row = firsts[account] &+ Int32(truncatingIfNeeded: head.rawValue)
    let block = blocks[row]
    blocks.update(row).pointee.clear()
    let window = watched.update(row)
    let count = Double(block.count)
    let isKnown = window.pointee.labels.width > 0
    let rate = Rate.bounded(
      (isKnown ? window.pointee.labels.mean : block.predictions) / count)
    let told = (rateChange > 0 ? rateChange : .infinity) * rate * count
    let change = window.pointee.labels.update(block.labels, settings(told, delta))
    window.pointee.changing = max(window.pointee.changing - 1, 0)
    if change == .drift { find(changeOf: window, count, at: now, body) }
    // That something has changed is certain: whether predictions follow is asked once, not always.
    let isChanging = change == .drift && window.pointee.changing > 0
    let sure = isChanging ? max(delta, DriftWatch.deltaChanging) : delta
    let rates = settings(least * rate * count, sure)
    if window.pointee.rates.update(block.rates, rates) == .drift {
      window.pointee.losses = ADWIN()
      let (before, after) = (window.pointee.rates.meanBefore, window.pointee.rates.meanAfter)
      find(window, before / count, after / count, isOfLoss: false, shown: shown, at: now, body)
      return
    }
    // What a model expects that knows the rate and nothing else.
    let loss = Rate.logLoss(rate, rate) * count / DriftWatch.logitMax
    let losses = settings(least * loss, sure)
    guard window.pointee.losses.update(block.losses, losses) == .drift else { return }
    window.pointee.rates = ADWIN()
    let scale = DriftWatch.logitMax / count
    let (before, after) = (window.pointee.losses.meanBefore, window.pointee.losses.meanAfter)
    find(window, before * scale, after * scale, isOfLoss: true, shown: shown, at: now, body)
  }

  /// - Parameter least: Smallest difference of two blocks that counts.
  private func settings(_ least: Double, _ delta: Double) -> ADWIN.Settings {
    ADWIN.Settings(
      delta: delta, clock: 1, part: DriftWatch.part, grace: DriftWatch.grace, least: least)
  }

  private static func isWithin(_ span: Int64, _ now: Int64, since then: Int64) -> Bool {
    let (age, isOver) = now.subtractingReportingOverflow(then)
    return then > .min && !isOver && age < span
  }

  private func find(
    _ window: UnsafeMutablePointer<Watched>, _ before: Double, _ after: Double, isOfLoss: Bool,
    shown: Int64, at now: Int64, _ body: (Finding) -> Void
  ) {
    let level = window.pointee.level
    guard after.magnitude > before.magnitude else {
      guard window.pointee.isAway != 0 else { return }
      window.pointee.isAway = 0
      body(
        Finding(kind: .better, isOfLoss: isOfLoss, before: before, after: after, level: level))
      return
    }
    let isSoon = DriftWatch.isWithin(escalation, now, since: window.pointee.alarmedAt)
    guard !isSoon || shown >= window.pointee.alarmedAt else { return }
    window.pointee.level = isSoon ? min(level + 1, 3) : 1
    window.pointee.alarmedAt = now
    window.pointee.isAway = 1
    body(
      Finding(
        kind: .worse, isOfLoss: isOfLoss, before: before, after: after,
        level: window.pointee.level))
  }

  private func find(
    changeOf window: UnsafeMutablePointer<Watched>, _ count: Double, at now: Int64,
    _ body: (Finding) -> Void
  ) {
    let before = window.pointee.labels.meanBefore / count
    let after = window.pointee.labels.meanAfter / count
    if !DriftWatch.isWithin(DriftWatch.memory, now, since: window.pointee.changedAt) {
      (window.pointee.low, window.pointee.high) = (before, before)
    }
    window.pointee.changedAt = now
    guard
      after > window.pointee.high * (1 + DriftWatch.near)
        || after < window.pointee.low * (1 - DriftWatch.near)
    else { return }
    window.pointee.low = min(window.pointee.low, after)
    window.pointee.high = max(window.pointee.high, after)
    window.pointee.changing = DriftWatch.changing
    body(Finding(kind: .changed, before: before, after: after))
  }

  func digest(into digest: inout StateDigest) {
    for account in 0..<Int32(firsts.count) where firsts[account] >= 0 {
      for head in 0..<Int32(DriftWatch.headCount) {
        let owner = directory.accounts.hash(account)
        let row = firsts[account] + head
        digest.add(owner: owner, place: Int64(head) &<< 4 | 12, wordsOf: watched.address(row))
        digest.add(owner: owner, place: Int64(head) &<< 4 | 13, wordsOf: blocks.address(row))
      }
    }
  }
}
