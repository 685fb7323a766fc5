import Events
import Learning
import Streaming

// Watch: what `learner` knows of its own models. How good predictions were, what brings them onto
// the rates that are observed, whether what they describe has changed, and which model counts.
//
// Everything here reads predictions as they were made and labels that nothing can change any more;
// it never sees a feature. What follows from a finding (a map, a model that forgets, another
// champion) is decided here, and every decision is a record.

/// The probabilities that a model gives, by the names that `predictions` have for them.
enum RateHead: Int, CaseIterable, BitwiseCopyable {
  /// Of a click.
  case pctr
  /// Of a conversion, given a click: of impressions that were clicked.
  case pcvr
  /// Of a click that converts.
  case pctcvr

  static var count: Int { 3 }

  var name: StaticString {
    switch self {
    case .pctr: "pctr"
    case .pcvr: "pcvr"
    case .pctcvr: "pctcvr"
    }
  }
}

/// Evaluation, calibration, drift and promotion of the models of one learner.
///
/// The learner asks `published` what to say of an impression and tells by `judge` what became of
/// it; everything else follows. State is by account, in rows that begin with its first label.
struct ModelWatch {
  private let evaluation: ModelEvaluation
  let calibration: RateCalibration
  private let drift: DriftWatch
  private let features: FeatureWatch
  private let trials: ModelTrials
  private let models: UnsafeMutableBufferPointer<AnyRateModel>
  private let names: UnsafePointer<PredictionRecord.ModelName>
  private let rows: FeatureRows
  private let directory: Directory
  private let timers: Timers
  private let scores: Stream<ScoreRecord>
  private let alerts: Stream<AlertRecord>
  private let counters: UnsafeMutableBufferPointer<HeadCounters>
  /// The same number of them; all 0 between entries.
  private let uncounted: UnsafeMutableBufferPointer<HeadSums>
  private let actions: ActionCounters
  /// What each model said of the impression at hand: as published, then raw.
  private let said: UnsafeMutablePointer<Heads>
  /// The log-odds of what each said itself, once it was scored.
  private let logits: UnsafeMutablePointer<Heads>
  /// Rows of the champion that a response to drift has changed, for who publishes weights; taken
  /// away by that.
  let rewritten: UnsafeMutablePointer<[Int32]>
  private let isPublished: Bool

  static let settings: [SettingDescription] = [
    ModelEvaluation.setting, RateCalibration.setting, DriftWatch.setting, ModelTrials.setting,
  ]

  /// Sums over all accounts, of one head of one model.
  private struct HeadCounters {
    let labels: Counter
    let logLoss: Counter
    let predicted: Counter
    let observed: Counter

    init(_ setup: OperatorSetup, _ model: String, _ head: RateHead) {
      let name = "\(head.name).\(model)"
      labels = setup.counter("\(name).labels")
      logLoss = setup.counter("\(name).log_loss_millionths")
      predicted = setup.counter("\(name).predicted_millionths")
      observed = setup.counter("\(name).observed_millionths")
    }

    func add(_ sums: HeadSums) {
      labels.add(sums.labels)
      logLoss.add(sums.logLoss)
      predicted.add(sums.predicted)
      observed.add(sums.observed)
    }
  }

  /// What is not in the counters yet.
  private struct HeadSums: BitwiseCopyable {
    var labels: Int64 = 0
    /// Millionths, as the others.
    var logLoss: Int64 = 0
    var predicted: Int64 = 0
    var observed: Int64 = 0

    @inline(__always)
    mutating func add(_ scored: ScoredLabel) {
      labels &+= 1
      logLoss &+= Int64(scored.loss * 1e6)
      predicted &+= Int64(scored.probability * 1e6)
      observed &+= Int64(scored.label * 1e6)
    }
  }

  private struct ActionCounters {
    let drifts: Counter
    let featureDrifts: Counter
    let recoveries: Counter
    let rateChanges: Counter
    let forgets: Counter
    let recalibrations: Counter
    let restarts: Counter
    let promotions: Counter
    let rollbacks: Counter
    let dismissals: Counter

    init(_ setup: OperatorSetup) {
      drifts = setup.counter("drifts")
      featureDrifts = setup.counter("feature_drifts")
      recoveries = setup.counter("drifts_recovered")
      rateChanges = setup.counter("rate_changes")
      forgets = setup.counter("forgets")
      recalibrations = setup.counter("recalibrations")
      restarts = setup.counter("challengers_restarted")
      promotions = setup.counter("promotions")
      rollbacks = setup.counter("rollbacks")
      dismissals = setup.counter("challengers_dismissed")
    }
  }

  /// - Parameters:
  ///   - models: The champion of the settings first; `names` are theirs. Both outlive the watch.
  init(
    _ setup: OperatorSetup, models: UnsafeMutableBufferPointer<AnyRateModel>,
    names: UnsafeMutableBufferPointer<PredictionRecord.ModelName>, rows: FeatureRows
  ) {
    guard let firstName = names.baseAddress else {
      preconditionFailure("a learner has at least one model")
    }
    self.models = models
    self.names = UnsafePointer(firstName)
    self.rows = rows
    directory = setup.directory
    timers = setup.timers
    scores = setup.output(ScoreRecord.self)
    alerts = setup.output(AlertRecord.self)
    let method = RateCalibration.Method(setup.settings)
    evaluation = ModelEvaluation(
      setup.settings.structure("evaluation"), models: models.count,
      isCalibrating: method != .none, setup)
    calibration = RateCalibration(
      method, models: models.count, halfLife: evaluation.decay.halfLife, setup)
    drift = DriftWatch(setup.settings.structure("drift"), setup)
    features = FeatureWatch(setup.settings.structure("drift"), setup)
    trials = ModelTrials(
      setup.settings.structure("promotion"), models: models.count, in: setup.store)
    var counters: [HeadCounters] = []
    for name in names {
      for head in RateHead.allCases { counters.append(HeadCounters(setup, name.text, head)) }
    }
    self.counters = .allocate(capacity: counters.count)
    _ = self.counters.initialize(from: counters)
    uncounted = .allocate(capacity: counters.count)
    uncounted.initialize(repeating: HeadSums())
    actions = ActionCounters(setup)
    said = .allocate(capacity: 2 * models.count)
    said.initialize(repeating: .zero, count: 2 * models.count)
    logits = .allocate(capacity: models.count)
    logits.initialize(repeating: .zero, count: models.count)
    isPublished = setup.settings.structure("models").boolean("publish")
    rewritten = .allocate(capacity: 1)
    rewritten.initialize(to: [])
  }

  func deallocate() {
    evaluation.deallocate()
    features.deallocate()
    counters.deallocate()
    uncounted.deallocate()
    said.deallocate()
    logits.deallocate()
    rewritten.deinitialize(count: 1)
    rewritten.deallocate()
  }

  // MARK: Predictions

  /// What is published differs from what models say: both are to be kept until labels are known.
  var keepsRaw: Bool { calibration.method != .none }

  /// The model whose predictions count for an account.
  @inline(__always)
  func champion(of account: Int32) -> Int { trials.champion(of: account) }

  /// What is published where a model says `raw`.
  @inline(__always)
  func published(_ raw: Heads, _ model: Int, ad: Int32, of account: Int32) -> Heads {
    guard keepsRaw else { return raw }
    return calibration.published(
      raw, model, campaign: directory.ads.parent(ad), account: account)
  }

  /// What a model had said of the impression that `judge` is about to be called for.
  @inline(__always)
  func recall(_ model: Int, published: Heads, raw: Heads) {
    said[model] = published
    said[models.count + model] = raw
  }

  /// An impression was shown, whose features `plan.read` has just found.
  @inline(__always)
  mutating func shown(
    _ id: Identifier, _ plan: FeaturePlan, _ own: UnsafeBufferPointer<Feature>,
    of account: Int32, at now: Int64
  ) {
    guard features.takes(id), features.count(plan, own, of: account),
      let end = FeatureWatch.end(now)
    else { return }
    timers.add(at: EventTime(milliseconds: end), key: ModelWatch.key(account, .features))
  }

  private func judgeFeatures(_ account: Int32) {
    features.judge(account) { finding in
      actions.featureDrifts.add()
      var record = AlertRecord(
        account: account, kind: .drift, severity: .warning, subject: .featureDrift,
        observed: finding.index, expected: finding.expected)
      record.feature = features.name(of: finding.field)
      record.featureHash = finding.field
      alerts.append(record)
    }
  }

  // MARK: Labels

  /// An impression whose labels became known; `recall` was called for every model.
  struct Judged {
    var account: Int32
    var ad: Int32
    /// When it was shown, and when its labels became known, ms.
    var shown: Int64
    var now: Int64
    var isClicked: Bool
    var click: Label
    var conversion: Label
  }

  /// Scores what was said, once every model has learned from it.
  mutating func judge(_ judged: Judged) {
    let campaign = directory.ads.parent(judged.ad)
    let place = evaluation.place(judged.account, campaign, judged.now)
    if place.isFirst { schedule(judged.account, judged.now) }
    for model in 0..<models.count { score(judged, model, place) }
    if keepsRaw { calibrate(judged, campaign) }
    if drift.isOn { watch(judged) }
    if trials.isOn { compare(judged) }
  }

  /// Brings the counters up to what was judged. Behind the labels of an entry.
  func count() {
    for i in uncounted.indices where uncounted[i].labels > 0 {
      counters[i].add(uncounted[i])
      uncounted[i] = HeadSums()
    }
  }

  @inline(__always)
  private mutating func score(_ judged: Judged, _ model: Int, _ place: ModelEvaluation.Place) {
    let rates = said[model]
    if judged.click.isKnown {
      let scored = ScoredLabel(rates.x, judged.click.value)
      logits[model].x = scored.logit
      add(scored, .pctr, model, place)
    }
    if judged.conversion.isKnown {
      if judged.isClicked {
        let scored = ScoredLabel(rates.y, judged.conversion.value)
        logits[model].y = scored.logit
        add(scored, .pcvr, model, place)
      }
      add(ScoredLabel(rates.x * rates.y, judged.conversion.value), .pctcvr, model, place)
    }
    if keepsRaw { scoreRaw(judged, model, place) }
  }

  private mutating func scoreRaw(_ judged: Judged, _ model: Int, _ place: ModelEvaluation.Place) {
    let raw = said[models.count + model]
    if judged.click.isKnown {
      let scored = ScoredLabel(raw.x, judged.click.value)
      logits[model].x = scored.logit
      evaluation.addRaw(scored, .pctr, model, place)
    }
    guard judged.conversion.isKnown else { return }
    if judged.isClicked {
      let scored = ScoredLabel(raw.y, judged.conversion.value)
      logits[model].y = scored.logit
      evaluation.addRaw(scored, .pcvr, model, place)
    }
    evaluation.addRaw(ScoredLabel(raw.x * raw.y, judged.conversion.value), .pctcvr, model, place)
  }

  @inline(__always)
  private mutating func add(
    _ scored: ScoredLabel, _ head: RateHead, _ model: Int, _ place: ModelEvaluation.Place
  ) {
    evaluation.add(scored, head, model, place)
    uncounted[model &* RateHead.count &+ head.rawValue].add(scored)
  }

  private mutating func calibrate(_ judged: Judged, _ campaign: Int32) {
    for model in 0..<models.count {
      let raw = said[models.count + model]
      if judged.click.isKnown {
        calibration.learn(
          raw.x, judged.click.value, .pctr, model, campaign: campaign, account: judged.account,
          at: judged.now)
      }
      if judged.conversion.isKnown, judged.isClicked {
        calibration.learn(
          raw.y, judged.conversion.value, .pcvr, model, campaign: campaign,
          account: judged.account, at: judged.now)
      }
    }
  }

  // MARK: Drift

  private mutating func watch(_ judged: Judged) {
    let champion = champion(of: judged.account)
    let raw = said[(keepsRaw ? models.count : 0) + champion]
    let logit = logits[champion]
    if judged.click.isKnown {
      watch(.pctr, judged, raw.x, judged.click.value, logit: logit.x)
    }
    if judged.conversion.isKnown, judged.isClicked {
      watch(.pcvr, judged, raw.y, judged.conversion.value, logit: logit.y)
    }
  }

  @inline(__always)
  private mutating func watch(
    _ head: RateHead, _ judged: Judged, _ prediction: Double, _ label: Double, logit: Double
  ) {
    guard
      drift.add(
        judged.account, head, prediction: prediction, label: label, logit: logit,
        shown: judged.shown, at: judged.now)
    else { return }
    let drift = drift
    drift.judge(judged.account, head, shown: judged.shown, at: judged.now) {
      take($0, head, judged)
    }
  }

  @inline(never)
  private mutating func take(_ finding: DriftWatch.Finding, _ head: RateHead, _ judged: Judged) {
    let (severity, subject): (Alert.Severity, AlertRecord.Subject)
    switch finding.kind {
    case .changed:
      actions.rateChanges.add()
      (severity, subject) = (.info, .rateChanged)
    case .better:
      actions.recoveries.add()
      (severity, subject) = (.info, finding.isOfLoss ? .lossRecovered : .ratesRecovered)
    case .worse:
      actions.drifts.add()
      (severity, subject) = (.warning, finding.isOfLoss ? .lossDrift : .ratesDrift)
    }
    alert(
      judged.account, .drift, severity, subject, champion(of: judged.account), head,
      observed: finding.after, expected: finding.before)
    if finding.kind == .worse, drift.isResponding { respond(to: finding, head, judged) }
  }

  /// A third alarm soon after others is answered by more.
  private mutating func respond(
    to finding: DriftWatch.Finding, _ head: RateHead, _ judged: Judged
  ) {
    let account = judged.account
    let champion = champion(of: account)
    let kept = drift.keep
    models[champion].forget(
      rows, of: account, keeping: head == .pctr ? Heads(kept, 1) : Heads(1, kept)
    ) { if isPublished { rewritten.pointee.append($0) } }
    actions.forgets.add()
    alert(account, .drift, .info, .forgot, champion, head, observed: kept, expected: 1)
    if calibration.method != .none {
      calibration.forget(account, head, keeping: kept, at: judged.now)
      actions.recalibrations.add()
      alert(
        account, .calibration, .info, .recalibrated, champion, head, observed: kept, expected: 1)
    }
    if finding.level >= 3, let challenger = trials.restart(account, at: judged.now) {
      models[challenger].restart(rows, of: account)
      calibration.restart(account, challenger)
      actions.restarts.add()
      alert(
        account, .drift, .info, .challengerRestarted, challenger, head, observed: 0, expected: 0)
    }
  }

  private func alert(
    _ account: Int32, _ kind: Alert.Kind, _ severity: Alert.Severity,
    _ subject: AlertRecord.Subject, _ model: Int, _ head: RateHead, observed: Double,
    expected: Double
  ) {
    var record = AlertRecord(
      account: account, kind: kind, severity: severity, subject: subject, observed: observed,
      expected: expected)
    record.model = names + model
    record.head = head
    alerts.append(record)
  }

  // MARK: Promotion

  private mutating func compare(_ judged: Judged) {
    let label: Label
    switch trials.head {
    case .pctr: label = judged.click
    case .pcvr: label = judged.isClicked ? judged.conversion : .unknown
    case .pctcvr: label = judged.conversion
    }
    guard label.isKnown,
      let event = trials.judge(
        judged.account, said, label: label.value, shown: judged.shown, now: judged.now)
    else { return }
    switch event.outcome {
    case .promoted: actions.promotions.add()
    case .rolledBack: actions.rollbacks.add()
    case .dismissed: actions.dismissals.add()
    case .confirmed: break
    }
    alert(
      judged.account, .promotion, event.outcome.severity, event.outcome.subject, event.model,
      trials.head, observed: event.loss, expected: event.otherLoss)
  }

  // MARK: Reports

  /// What a timer of an account is for.
  private enum Purpose: Int64 {
    case report, features
  }

  /// What tells timers of the watch from others of the learner.
  private static let timerBit: Int64 = 1 << 62

  private static func key(_ account: Int32, _ purpose: Purpose) -> Int64 {
    timerBit | Int64(account) << 1 | purpose.rawValue
  }

  private func schedule(_ account: Int32, _ now: Int64) {
    let every = evaluation.every
    let (next, isOver) = (now / every + 1).multipliedReportingOverflow(by: every)
    guard !isOver else { return }
    timers.add(at: EventTime(milliseconds: next), key: ModelWatch.key(account, .report))
  }

  /// Takes a timer of the watch: its key has the second highest bit.
  func take(_ timer: Timer, at now: Int64) {
    let account = Int32(truncatingIfNeeded: timer.key >> 1)
    if timer.key & 1 == Purpose.report.rawValue {
      report(account, at: now)
    } else {
      judgeFeatures(account)
    }
  }

  /// Publishes what is known of everything that has new labels.
  func finish(at now: Int64) {
    for account in 0..<Int32(evaluation.accountCount) { report(account, at: now) }
  }

  /// Publishes everything again at the next multiple of `report_every`.
  func rebuilt(at now: Int64) {
    for account in evaluation.markAll() { schedule(account, now) }
  }

  private func report(_ account: Int32, at now: Int64) {
    let champion = champion(of: account)
    evaluation.takeChanged(account, at: now) { campaign, model, head, figures in
      scores.append(
        ScoreRecord(
          account: account, campaign: campaign, model: names + model, head: head,
          isChampion: model == champion, all: figures.all, recent: figures.recent,
          raw: figures.raw))
    }
  }

  /// What the champion's recent predictions of a campaign were worth.
  func query(_ query: Query, at now: Int64, to json: inout JSONWriter) -> Bool {
    guard query.ad < 0 else { return false }
    let champion = champion(of: query.account)
    guard let figures = evaluation.figures(ofCampaign: query.campaign, champion, at: now)
    else { return false }
    json.member("model", text: names[champion].text)
    for (head, figures) in figures {
      json.key(head.name)
      json.beginObject()
      figures.write(to: &json)
      json.endObject()
    }
    return true
  }

  // MARK: State

  func digest(into digest: inout StateDigest) {
    evaluation.digest(into: &digest)
    calibration.digest(into: &digest)
    drift.digest(into: &digest)
    features.digest(into: &digest)
    trials.digest(into: &digest, directory)
  }
}

extension StateDigest {
  /// Adds every word of a value without padding.
  mutating func add<Value: BitwiseCopyable>(
    owner: UInt64, place: Int64, wordsOf value: UnsafePointer<Value>
  ) {
    let bytes = UnsafeRawBufferPointer(start: value, count: MemoryLayout<Value>.size)
    for offset in stride(from: 0, to: bytes.count & ~7, by: 8) {
      let word = bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self)
      // Most of a histogram is empty.
      if word != 0 { add(owner: owner, place &<< 32 | Int64(offset), word) }
    }
  }
}
