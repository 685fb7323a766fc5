import Events
import Learning
import Streaming

/// Whether clicks and conversions have moved away from what the champion says of them: two adaptive
/// windows over the residuals of each account and head.
///
/// One reads the label less its prediction, whose mean leaves 0 when rates rise or fall. The other
/// reads the log-loss less what the model itself expects of it, which comes to
/// (p − y) ln(p / (1 − p)): its mean leaves 0 also when rates move toward each other or exchange
/// places while their mean stays. Log-odds are cut at ±5 and divided by 5: given its prediction each
/// residual lies within an interval of length 1, as a window's bound wants it. An alarm by one lets
/// the other begin anew.
///
/// Residuals of clicks are of all impressions, those of conversions of what was clicked: each
/// becomes known at one age, so that what is late does not look like a change. A model that is new
/// moves toward its labels, which is a change too; so the first labels are not watched. 8 KiB an
/// account and head.
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
          Act on an alert: the champion forgets; at the second one within `escalation` its \
          calibration too; at the third a challenger begins anew.
          """),
      SettingDescription(
        "delta", .number(1e-12...0.5), default: "0.002",
        meaning: "Bound on the probability of a false alarm at one check; less is surer and later."),
      SettingDescription(
        "check_every", .integer(1...100_000), default: "32", meaning: "Labels between two checks."),
      SettingDescription(
        "warmup", .integer(0...1_000_000_000), default: "5000",
        meaning: "Labels of an account's head that come before it is watched."),
      SettingDescription(
        "keep", .number(0...1), default: "0.5",
        meaning: "Part of the accumulated evidence that is kept where something is forgotten."),
      SettingDescription(
        "feature_index", .number(0...100), default: "0.25",
        meaning: """
          The population stability index of a feature's hour against the time before it that raises \
          an alert; 0 watches no features.
          """),
      SettingDescription(
        "escalation", .duration(.minutes(1)...(.days(400))), default: "7d",
        meaning: "Another alert within this time is answered by the next step."),
    ]), default: "{}",
    meaning: "What is done when outcomes move away from predictions.")

  private struct Watched: BitwiseCopyable {
    var rates = ADWIN()
    var losses = ADWIN()
    var labels: Int64 = 0
    var alarmedAt = Int64.min
    var level: Int64 = 0
  }

  struct Finding {
    /// Residuals are further from 0 than before; else they came back.
    var isWorse: Bool
    /// The log-loss is not what the model expects; else rates are not what it predicts.
    var isOfLoss: Bool
    /// Mean residuals on both sides of the change.
    var before: Double
    var after: Double
    /// How many alarms in a row, up to 3.
    var level: Int64
  }

  private static let headCount = 2
  private static let logitMax = 5.0

  let isOn: Bool
  let isResponding: Bool
  let keep: Double
  private let detector: ADWIN.Settings
  private let warmup: Int64
  private let escalation: Int64
  private let directory: Directory
  private let firsts: Table<Int32>
  private let watched: Table<Watched>

  init(_ settings: Settings, _ setup: OperatorSetup) {
    isOn = settings.boolean("enabled")
    isResponding = settings.boolean("respond")
    keep = settings.number("keep")
    detector = ADWIN.Settings(
      delta: settings.number("delta"), clock: settings.integer("check_every"))
    warmup = settings.integer("warmup")
    escalation = settings.duration("escalation").milliseconds
    directory = setup.directory
    firsts = setup.store.table("drift.firsts", of: Int32.self)
    watched = setup.store.table("drift.windows", of: Watched.self, capacity: 1)
  }

  /// Takes what became known; a finding where it shows a change.
  ///
  /// - Parameters:
  ///   - excess: The model's prediction less the label.
  ///   - logit: The prediction's log-odds.
  @inline(__always)
  func update(
    _ account: Int32, _ head: RateHead, excess: Double, logit: Double, at now: Int64
  ) -> Finding? {
    if Int(account) >= firsts.count || firsts[account] < 0 { begin(account) }
    let row = watched.update(firsts[account] &+ Int32(truncatingIfNeeded: head.rawValue))
    row.pointee.labels &+= 1
    guard row.pointee.labels > warmup else { return nil }
    if row.pointee.rates.update(-excess, detector) == .drift {
      row.pointee.losses = ADWIN()
      return find(
        row, row.pointee.rates.meanBefore, row.pointee.rates.meanAfter, isOfLoss: false, at: now)
    }
    let limit = DriftWatch.logitMax
    let residual = excess * min(max(logit, -limit), limit) / limit
    guard row.pointee.losses.update(residual, detector) == .drift else { return nil }
    row.pointee.rates = ADWIN()
    return find(
      row, row.pointee.losses.meanBefore * limit, row.pointee.losses.meanAfter * limit,
      isOfLoss: true, at: now)
  }

  @inline(never)
  private func begin(_ account: Int32) {
    firsts.fill(to: Int(account) + 1, with: -1)
    firsts.update(account).pointee = Int32(watched.count)
    watched.fill(to: watched.count + DriftWatch.headCount, with: Watched())
  }

  @inline(never)
  private func find(
    _ row: UnsafeMutablePointer<Watched>, _ before: Double, _ after: Double, isOfLoss: Bool,
    at now: Int64
  ) -> Finding {
    guard after.magnitude > before.magnitude else {
      return Finding(
        isWorse: false, isOfLoss: isOfLoss, before: before, after: after,
        level: row.pointee.level)
    }
    let (age, isOver) = now.subtractingReportingOverflow(row.pointee.alarmedAt)
    let isSoon = row.pointee.alarmedAt > .min && !isOver && age < escalation
    row.pointee.level = isSoon ? min(row.pointee.level + 1, 3) : 1
    row.pointee.alarmedAt = now
    return Finding(
      isWorse: true, isOfLoss: isOfLoss, before: before, after: after, level: row.pointee.level)
  }

  func digest(into digest: inout StateDigest) {
    for account in 0..<Int32(firsts.count) where firsts[account] >= 0 {
      for head in 0..<Int32(DriftWatch.headCount) {
        digest.add(
          owner: directory.accounts.hash(account), place: Int64(head) &<< 4 | 12,
          wordsOf: watched.address(firsts[account] + head))
      }
    }
  }
}
