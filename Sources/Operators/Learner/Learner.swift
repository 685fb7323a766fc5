public import Events
import Learning
public import Streaming

/// Learns, for each account, how likely an impression is to be clicked, a click to convert, and what
/// a conversion brings; says what it expects of every impression before it learns from it.
///
/// Two heads over the same features: clicks learn from all impressions, conversions from clicks,
/// whose labels are as old as each other (`EntireSpace` says why that matters); pCTCVR = pCTR · pCVR.
/// The label of a click is what happened within `click_window`; that of a conversion is the credit
/// that attribution's primary model gave the click within `conversion_window` of it. A label is
/// learned when nothing can change it any more: behind its window, the time that events may be late,
/// and the end of its slot (a 360th of `click_window` in whole seconds; an hour for conversions). A
/// value is learned with its credit.
///
/// With a `delay` other than `mature`, the conversion rate that is published comes from a third head
/// that learns at once (`DelayedConversions`); the other two go on learning beside it from labels
/// that are final, and the click rate is theirs.
///
/// A click is its impression's by `impression`, else by `click_id`; one that names no waiting
/// impression is counted and teaches nothing, and so is credit that goes to views. Credit that is
/// taken back is unlearned while its click waits (but not its value); afterwards it is counted.
///
/// A feature takes 80 bytes with one `ftrl` and the values, all heads together, and 48 more for each
/// model with another `delay` than `mature`; an impression about 170 until `click_window` has
/// passed, and until `conversion_window` has if it was clicked.
public struct Learner: Operator {
  public static let description = OperatorDescription(
    name: "learner", version: 3,
    summary: "Learns click rate, conversion rate and value of impressions from their features.",
    inputs: [.init(.interactions), .init(.attributions), .init(.events, required: false)],
    outputs: [.predictions, .models, .scores, .alerts, .updates],
    settings: [
      SettingDescription(
        "champion", .mapping(keys: nil, .structure(AnyRateModel.settings)),
        default: "{ ftrl: {} }",
        meaning: "The model whose predictions count, by a name of your choice."),
      SettingDescription(
        "challengers", .mapping(keys: nil, .structure(AnyRateModel.settings)), default: "{}",
        meaning: "Models that learn and predict beside the champion; up to 7, by name."),
      SettingDescription(
        "features", .list(.text),
        default: "[bias, campaign, ad, placement, hour, weekday, \"features.*\", \"journey.*\"]",
        meaning: """
          What is known of an impression: `bias`, `campaign`, `ad`, `advertiser`, `placement`, \
          `hour` and `weekday` (UTC), `features.NAME` or all as `features.*`, `journey.*` or \
          `journey.state`, `session`, `since_touch`, `campaign_views_1d`, `campaign_views_7d`, \
          `ad_views_1d`, `ad_views_7d`; two together as `a*b`.
          """),
      SettingDescription(
        "numeric", .mapping(keys: nil, .choice(["value", "log1p", "bucket"])), default: "{}",
        meaning: """
          By `features.NAME`: whether a number is taken as it is, its logarithm, or its binary \
          order of magnitude as a word.
          """),
      SettingDescription(
        "value", .structure(ValueModel.settings), default: "{}",
        meaning: "The model of what a conversion brings."),
      SettingDescription(
        "prior",
        .structure([
          SettingDescription(
            "ctr", .number(1e-6...0.999), default: "0.005", meaning: "Clicks per impression."),
          SettingDescription(
            "cvr", .number(1e-6...0.999), default: "0.02", meaning: "Conversions per click."),
        ]),
        default: "{}",
        meaning: "What is expected in an account of which nothing is known."),
      SettingDescription(
        "hash_bits", .integer(8...28), default: "22",
        meaning: "An account has at most 2 to the power of this many features."),
      SettingDescription(
        "click_window", .duration(.seconds(1)...(.days(7))), default: "30m",
        meaning: "How long after an impression its click may come."),
      SettingDescription(
        "conversion_window", .duration(.seconds(1)...(.days(400))), default: "30d",
        meaning: "How long after a click its conversion may come."),
      SettingDescription(
        "delay", .choice(["mature", "dfm", "es_dfm", "fnw"]), default: "mature",
        meaning: """
          When conversions are learned. `mature`: when nothing can change a label any more. `dfm`: at \
          once, a pending click as the probability that it still converts. `es_dfm`: after `wait`, \
          later ones again. `fnw`: every click at once as a negative, conversions again.
          """),
      SettingDescription(
        "wait", .duration(.seconds(1)...(.days(30))), default: "1h",
        meaning: "`es_dfm`: how long after its click a label is first learned."),
      SettingDescription(
        "models", .structure(ModelPublisher.settings), default: "{}",
        meaning: "What bidders are told, so that they can score by themselves."),
      LearnerFederation.setting,
    ] + ModelWatch.settings)

  static let modelsMax = 8
  private static let window = 16

  /// What was learned of an account.
  private struct Progress: BitwiseCopyable {
    /// Labels, of clicks and of conversions, values, and what heads that learn at once were told.
    var learned: Int64 = 0
  }

  private let interactions: Stream<Interaction>
  private let attributions: Stream<AttributionRecord>
  private let output: Stream<PredictionRecord>
  private let directory: Directory
  private let timers: Timers
  private let clickWindow: Int64
  private let slack: Int64
  private let lastStage: Int
  private let plan: FeaturePlan
  private let rows: FeatureRows
  /// The champion first.
  private let models: UnsafeMutableBufferPointer<AnyRateModel>
  private let names: UnsafeMutableBufferPointer<PredictionRecord.ModelName>
  private let value: ValueModel
  /// One for each model; none where conversions are learned from final labels alone.
  private let delayed: UnsafeMutableBufferPointer<DelayedConversions>
  /// `dfm` only.
  private let lags: ConversionLags?
  private let publisher: ModelPublisher
  private let pending: PendingImpressions
  private let example: ExampleFeatures
  /// By account.
  private let progress: Table<Progress>
  /// What is known of how good they are.
  private var watch: ModelWatch
  /// What models said of the example when it was shown, by their numbers; behind them, where that
  /// differs from what was published, what they had said themselves.
  private let said: UnsafeMutablePointer<ImpressionPrediction>
  private let predictionCount: Int
  private let federation: LearnerFederation
  private let touched: UnsafeMutablePointer<UInt32>
  /// Impressions that are seen to together.
  private let group: UnsafeMutablePointer<Int32>
  private let counters: Counters

  private struct Counters {
    let impressions: Counter
    let repeated: Counter
    let clicks: Counter
    let unmatchedClicks: Counter
    let credits: Counter
    let unmatchedCredits: Counter
    let retractions: Counter
    let unmatchedRetractions: Counter

    init(_ setup: OperatorSetup) {
      impressions = setup.counter("impressions")
      repeated = setup.counter("repeated")
      clicks = setup.counter("clicks")
      unmatchedClicks = setup.counter("clicks_unmatched")
      credits = setup.counter("credits")
      unmatchedCredits = setup.counter("credits_unmatched")
      retractions = setup.counter("retractions")
      unmatchedRetractions = setup.counter("retractions_unmatched")
    }
  }

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    let settings = setup.settings
    let kinds = try Learner.models(settings)
    plan = try FeaturePlan(settings)
    interactions = try setup.onlyInput(Interaction.self)
    attributions = try setup.onlyInput(AttributionRecord.self)
    output = setup.output(PredictionRecord.self)
    directory = setup.directory
    timers = setup.timers
    clickWindow = settings.duration("click_window").milliseconds
    slack = setup.time.outOfOrderness.milliseconds
    let method = DelayMethod(settings.text("delay"))
    let stages = try Learner.stages(method, settings, slack: slack)
    lastStage = stages.count - 1
    rows = FeatureRows(in: setup.store)
    models = .allocate(capacity: kinds.count)
    names = .allocate(capacity: kinds.count)
    let prior = settings.structure("prior")
    for (i, kind) in kinds.enumerated() {
      let model = AnyRateModel(
        kind.settings, prior: Heads(prior.number("ctr"), prior.number("cvr")),
        named: "models.\(kind.name)", seed: setup.seed, in: setup.store)
      models.initializeElement(at: i, to: model)
      names.initializeElement(at: i, to: .init(text: kind.name))
    }
    delayed = .allocate(capacity: method == .mature ? 0 : kinds.count)
    for i in delayed.indices {
      let head = DelayedConversions(
        method, kinds[i].settings, prior: prior.number("cvr"),
        named: "models.\(kinds[i].name)", in: setup.store)
      delayed.initializeElement(at: i, to: head)
    }
    lags = method == .dfm ? ConversionLags(stages: stages.count, in: setup.store) : nil
    value = ValueModel(settings.structure("value"), in: setup.store)
    watch = ModelWatch(setup, models: models, names: names, rows: rows)
    predictionCount = kinds.count * (watch.keepsRaw ? 2 : 1)
    said = .allocate(capacity: predictionCount)
    pending = PendingImpressions(
      models: predictionCount, isTold: method != .mature, stages: stages,
      layout: Learner.layout(kinds.map(\.name), method, keepsRaw: watch.keepsRaw),
      in: setup.store)
    publisher = try ModelPublisher(
      setup, kinds, models: models, delayed: delayed, value: value, watch: watch, rows: rows)
    federation = try LearnerFederation(setup, models: models, delayed: delayed, rows: rows)
    example = ExampleFeatures()
    progress = setup.store.table("progress", of: Progress.self)
    let (restored, versions) = (publisher, progress)
    setup.store.afterRestore { restored.restored { versions.update($0).pointee.learned &+= 1 } }
    touched = .allocate(capacity: 1)
    group = .allocate(capacity: Learner.window)
    counters = Counters(setup)
    setup.store.afterRestore { [plan] in plan.forgetNames() }
  }

  public func deallocate() {
    plan.deallocate()
    rows.deallocate()
    models.deallocate()
    names.deinitialize()
    names.deallocate()
    delayed.deallocate()
    watch.deallocate()
    publisher.deallocate()
    federation.deallocate()
    pending.deallocate()
    example.deallocate()
    said.deallocate()
    touched.deallocate()
    group.deallocate()
  }

  // MARK: Events

  public mutating func process(_ entry: borrowing Entry) {
    // Behind `timers` of the same entry nothing is given back.
    if !entry.isClock { pending.beginEntry() }
    if federation.isOn { federation.take(entry) }
    for i in 0..<interactions.count {
      let interaction = interactions.address(i)
      guard interaction.pointee.kind == .event, let event = interaction.pointee.event else {
        continue
      }
      switch event.pointee.type {
      case .impression: show(event, interaction, entry)
      case .click: click(event, of: interaction.pointee.account, at: entry.clock)
      default: break
      }
    }
    for i in 0..<attributions.count where attributions[i].isPrimary && attributions[i].isAttributed
    {
      credit(attributions[i], entry)
    }
  }

  /// What something of an account is found by.
  private enum KeyKind: UInt64 {
    case impression = 1
    case click
    case clickID
  }

  @inline(__always)
  private static func key(_ kind: KeyKind, _ account: UInt64, _ text: UInt64) -> UInt64 {
    // Never 0, which stands for none.
    Hash.combine(Hash.combine(account, kind.rawValue), text) | 1
  }

  private mutating func meet(_ account: Int32) {
    rows.meet(account)
    for model in models { model.meet(account) }
    value.meet(account)
    lags?.meet(account)
    publisher.meet(account)
    progress.fill(to: Int(account) + 1, with: Progress())
  }

  private mutating func show(
    _ event: UnsafePointer<Event>, _ interaction: UnsafePointer<Interaction>,
    _ entry: borrowing Entry
  ) {
    let account = interaction.pointee.account
    let ad = event.pointee.ad.row
    guard ad >= 0 else { return }
    if Int(account) >= progress.count { meet(account) }
    counters.impressions.add()
    plan.read(event, entry.features(of: event), interaction.pointee.journey, into: example)
    if !rows.find(example, of: account) { addFeatures(of: account) }
    let time = event.pointee.time.milliseconds
    let accountHash = directory.accounts.hash(account)
    let key = Learner.key(.impression, accountHash, event.pointee.id.hash)
    let isRepeated = pending.find(key) != nil
    if isRepeated { counters.repeated.add() }
    let position =
      isRepeated
      ? -1 : keep(event, example, key: key, account: account, accountHash)
    if !isRepeated {
      watch.shown(
        event.pointee.id, plan, entry.features(of: event), of: account,
        at: entry.clock.milliseconds)
    }
    let worth = value.expected(example, of: account) * 1e6
    for model in 0..<models.count {
      var raw = models[model].rates(example, of: account)
      if !delayed.isEmpty { raw.y = delayed[model].rate(example) }
      let rates = watch.published(raw, model, ad: ad, of: account)
      let prediction = ImpressionPrediction(
        click: rates.x, conversion: rates.y, value: worth)
      if position >= 0 {
        pending.shown.set(prediction, of: position, model: model)
        if watch.keepsRaw {
          let said = ImpressionPrediction(click: raw.x, conversion: raw.y, value: worth)
          pending.shown.set(said, of: position, model: models.count + model)
        }
      }
      output.append(
        record(
          .shown, model, prediction, ad: ad, account, id: event.pointee.id, shown: time))
    }
  }

  /// Keeps an impression until its labels are known; returns where.
  @inline(__always)
  private mutating func keep(
    _ event: UnsafePointer<Event>, _ example: ExampleFeatures, key: UInt64, account: Int32,
    _ accountHash: UInt64
  ) -> Int32 {
    let time = event.pointee.time.milliseconds
    let clickID = event.pointee.clickID
    let added = pending.add(
      ShownImpressions.Impression(
        account: account, ad: event.pointee.ad.row, time: time, key: key),
      event.pointee.id, example,
      clickID: clickID.isAbsent ? 0 : Learner.key(.clickID, accountHash, clickID.hash))
    if let slot = added.newSlot {
      timers.add(
        at: EventTime(milliseconds: pending.due(0, from: time)),
        key: Learner.shownBit | Int64(slot))
    }
    return added.position
  }

  /// Makes rows for those of the example's features that have none.
  @inline(never)
  private mutating func addFeatures(of account: Int32) {
    for i in 0..<example.count where example.rows[i] < 0 {
      let (row, isNew) = rows.findOrInsert(example.hashes[i], of: account)
      example.rows[i] = row
      if isNew { add(row, example.hashes[i], of: account) }
    }
  }

  private mutating func add(_ row: Int32, _ feature: UInt32, of account: Int32) {
    for model in models { model.add(row, feature, of: rows.count) }
    for head in delayed { head.grow(to: rows.count) }
    value.add(row, of: rows.count)
    publisher.add(row, of: account)
    federation.add(row, feature, of: account)
  }

  private mutating func record(
    _ stage: PredictionRecord.Stage, _ model: Int, _ prediction: ImpressionPrediction,
    ad: Int32, _ account: Int32, id: Identifier, shown: Int64
  ) -> PredictionRecord {
    PredictionRecord(
      stage: stage, isChampion: model == watch.champion(of: account), ad: ad,
      model: UnsafePointer(names.baseAddress.unsafelyUnwrapped + model),
      version: progress[account].learned, id: id, shown: EventTime(milliseconds: shown),
      click: prediction.click, conversion: prediction.conversion, valueMicros: prediction.value,
      isExact: publisher.isExact)
  }

  private mutating func wait(_ row: Int32, of account: Int32, from time: Int64, stage: Int) {
    guard let slot = pending.wait(row, of: account, from: time, stage: stage) else { return }
    timers.add(
      at: EventTime(milliseconds: pending.due(stage, from: time)), key: Int64(slot))
  }

  private mutating func click(_ event: UnsafePointer<Event>, of account: Int32, at clock: EventTime)
  {
    counters.clicks.add()
    let accountHash = directory.accounts.hash(account)
    var place: PendingImpressions.Place?
    if !event.pointee.reference.isAbsent {
      place = pending.find(
        Learner.key(.impression, accountHash, event.pointee.reference.hash))
    }
    if place == nil, !event.pointee.clickID.isAbsent {
      place = pending.find(Learner.key(.clickID, accountHash, event.pointee.clickID.hash))
    }
    let key = Learner.key(.click, accountHash, event.pointee.id.hash)
    // An impression has one click at most.
    guard case .shown(let position) = place, pending.find(key) == nil else {
      return counters.unmatchedClicks.add()
    }
    let shown = pending.shown[position].time
    let time = event.pointee.time.milliseconds
    // The sender's clocks may differ a little.
    guard time >= shown &- slack, time < shown &+ clickWindow else {
      return counters.unmatchedClicks.add()
    }
    let row = pending.click(position, key, after: max(time &- shown, 0), example)
    guard let head = delayed.first, head.learnsClicks else { return }
    tell(row, of: account, at: clock, isDue: false) { [example] head, rate, _ in
      head.learnClick(example, click: rate)
    }
  }

  /// Tells the heads that learn conversions at once something of an impression.
  @inline(__always)
  private mutating func tell(
    _ row: Int32, of account: Int32, at clock: EventTime, isDue: Bool,
    _ learn: (DelayedConversions, _ rate: Double, inout DelayedConversions.Told) -> Void
  ) {
    guard !delayed.isEmpty else { return }
    pending.load(row, into: example)
    for model in 0..<models.count {
      var told = pending.told(of: row, model: model)
      let head = delayed[model]
      let rate = head.usesClickRate ? models[model].rates(example, of: account).x : 0
      learn(head, rate, &told)
      pending.set(told, of: row, model: model)
    }
    progress.update(account).pointee.learned &+= 1
    publisher.change(example, of: account, at: clock, isDue: isDue)
  }

  private mutating func credit(_ credited: AttributionRecord, _ entry: borrowing Entry) {
    guard credited.touch.isClick, credited.creditMillionths > 0 else { return }
    let isRetracted = credited.kind == .retract
    guard let row = waitingClick(credited, entry.clock) else {
      return (isRetracted ? counters.unmatchedRetractions : counters.unmatchedCredits).add()
    }
    (isRetracted ? counters.retractions : counters.credits).add()
    let impression = pending.update(row)
    let before = Learner.label(impression.pointee.credit)
    let change = isRetracted ? 0 &- credited.creditMillionths : credited.creditMillionths
    impression.pointee.credit = Int32(
      clamping: max(Int64(impression.pointee.credit) &+ change, 0))
    let after = Learner.label(impression.pointee.credit)
    tell(row, of: credited.account, at: entry.clock, isDue: false) { [example] head, rate, told in
      head.learnCredit(example, click: rate, from: before, to: after, &told)
    }
    guard credited.value.micros > 0, !isRetracted else { return }
    let part = Double(credited.creditMillionths) / Double(Attribution.whole)
    pending.load(row, into: example)
    value.learn(
      example, of: credited.account, amount: Double(credited.value.micros) / 1e6 / part,
      weight: part)
    progress.update(credited.account).pointee.learned &+= 1
    publisher.change(example, of: credited.account, at: entry.clock, isDue: false)
  }

  /// The row of the click that a credit goes to, if it still waits.
  @inline(__always)
  private mutating func waitingClick(_ credited: AttributionRecord, _ now: EventTime) -> Int32? {
    // Of clicks that are long gone, of which there may be many, nothing is looked for.
    let gone = pending.due(lastStage, from: credited.touch.time.milliseconds &+ slack)
    guard now.milliseconds <= gone &+ MaturingEvidence.hour else { return nil }
    let key = Learner.key(
      .click, directory.accounts.hash(credited.account), Hash.text(credited.touch.id.bytes))
    guard case .clicked(let row) = pending.find(key) else { return nil }
    return row
  }

  /// The label that a credit makes: of more conversions than one, the first.
  private static func label(_ credit: Int32) -> Double {
    Double(min(Int64(credit), Attribution.whole)) / Double(Attribution.whole)
  }

  // MARK: Labels

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    pending.beginEntry()
    // By kinds, whatever was set first: slots of shown impressions are all accounts' together, so that
    // what happens to one account would else depend on the others.
    for timer in due where LearnerFederation.owns(timer) { federation.contribute(at: entry.clock) }
    for timer in due where timer.key >= 0 && timer.key < Learner.shownBit {
      mature(pending.take(Int32(truncatingIfNeeded: timer.key)), at: entry.clock)
    }
    for timer in due where timer.key >= Learner.shownBit && timer.key < Learner.shownBit << 1 {
      matureClicks(Int32(truncatingIfNeeded: timer.key), at: entry.clock)
    }
    for timer in due where timer.key >= Learner.shownBit << 1 && !LearnerFederation.owns(timer) {
      watch.take(timer, at: entry.clock.milliseconds)
    }
    watch.count()
    for timer in due where ModelPublisher.owns(timer) { publisher.take(timer, at: entry.clock) }
    publisher.publishDue(at: entry.clock) { progress[$0].learned }
  }

  /// Clicked impressions have waited.
  private mutating func mature(_ slot: PendingImpressions.Slot, at now: EventTime) {
    var row = slot.first
    let remaining = lags?.remaining(slot.account, after: Int(slot.stage)) ?? 0
    while row >= 0 {
      var count = 0
      while row >= 0, count < Learner.window {
        group[count] = row
        count += 1
        row = pending.next(row)
      }
      touched.pointee = pending.touch(group, count: count)
      for i in 0..<count {
        if slot.stage == lastStage {
          matureConversion(group[i], at: now)
        } else {
          look(group[i], Int(slot.stage), remaining, now)
        }
      }
    }
  }

  /// What tells timers of slots of shown impressions from those of clicked ones.
  private static let shownBit: Int64 = 1 << 61

  /// The clicks of a slot's impressions would have come.
  private mutating func matureClicks(_ slot: Int32, at now: EventTime) {
    var reader = pending.shown.take(slot)
    var isOver = false
    while !isOver {
      var count = 0
      while count < Learner.window {
        let position = pending.shown.next(&reader)
        isOver = position < 0
        if isOver { break }
        group[count] = position
        count += 1
      }
      touched.pointee = pending.touch(shown: group, count: count)
      for i in 0..<count { matureClick(shown: group[i], at: now) }
    }
  }

  @inline(__always)
  private mutating func matureClick(shown position: Int32, at now: EventTime) {
    let shown = pending.shown[position]
    guard shown.clicked < 0 else { return matureClick(shown.clicked, at: now) }
    pending.forget(shown, at: position)
    pending.shown.load(position, into: example)
    for number in 0..<predictionCount {
      said[number] = pending.shown.prediction(of: position, model: number)
    }
    learn(
      Outcome(
        account: shown.account, ad: shown.ad, shown: shown.time, stage: .clickKnown,
        click: .known(0), conversion: .known(0)),
      pending.shown.id(position), at: now)
  }

  private mutating func matureClick(_ row: Int32, at now: EventTime) {
    learn(row, .clickKnown, at: now, click: .known(1), conversion: .unknown)
    waitOn(row, pending[row], behind: 0, now.milliseconds)
  }

  /// Waits for what is next; a look whose time has passed already is taken with the one behind it.
  private mutating func waitOn(
    _ row: Int32, _ impression: PendingImpressions.Impression, behind stage: Int, _ now: Int64
  ) {
    let time = impression.clickTime
    var next = stage + 1
    while next + 1 < lastStage, pending.due(next + 1, from: time) <= now { next += 1 }
    wait(row, of: impression.account, from: time, stage: next)
  }

  /// Something is learned of a click that waits for its label.
  private mutating func look(_ row: Int32, _ stage: Int, _ remaining: Double, _ now: EventTime) {
    count(row, stage)
    let impression = pending[row]
    let credit = Learner.label(impression.credit)
    tell(row, of: impression.account, at: now, isDue: true) { [example] head, rate, told in
      head.learnPending(example, click: rate, remaining: remaining, credit: credit, &told)
    }
    waitOn(row, impression, behind: stage, now.milliseconds)
  }

  /// A click has passed a wait: counts whether it has converted by now, the first time.
  private mutating func count(_ row: Int32, _ stage: Int) {
    guard let lags else { return }
    let impression = pending.update(row)
    guard impression.pointee.followed != PendingImpressions.Impression.closed else { return }
    let isConverted = impression.pointee.credit > 0
    lags.count(
      impression.pointee.account, from: Int(impression.pointee.followed), to: stage,
      isConverted: isConverted)
    impression.pointee.followed =
      isConverted ? PendingImpressions.Impression.closed : UInt8(truncatingIfNeeded: stage)
  }

  private mutating func matureConversion(_ row: Int32, at now: EventTime) {
    count(row, lastStage)
    let impression = pending[row]
    let credit = Learner.label(impression.credit)
    tell(row, of: impression.account, at: now, isDue: true) { [example] head, rate, told in
      head.learnMature(example, click: rate, credit: credit, told)
    }
    learn(row, .conversionKnown, at: now, click: .unknown, conversion: .known(credit))
    pending.remove(row)
  }

  /// What has become of an impression.
  private struct Outcome {
    var account: Int32
    var ad: Int32
    var shown: Int64
    var stage: PredictionRecord.Stage
    var click: Label
    var conversion: Label
    var isClicked = false
    var credit: Int32 = 0
  }

  private mutating func learn(
    _ row: Int32, _ stage: PredictionRecord.Stage, at now: EventTime, click: Label,
    conversion: Label
  ) {
    let impression = pending[row]
    pending.load(row, into: example)
    for number in 0..<predictionCount {
      said[number] = pending.prediction(of: row, model: number)
    }
    learn(
      Outcome(
        account: impression.account, ad: impression.ad, shown: impression.time, stage: stage,
        click: click, conversion: conversion, isClicked: true, credit: impression.credit),
      pending.id(row), at: now)
  }

  /// Learns from the example, which the impression's features are, and what was `said` of it.
  @inline(__always)
  private mutating func learn(_ outcome: Outcome, _ id: Identifier, at now: EventTime) {
    for model in 0..<models.count {
      let prediction = said[model]
      let published = Heads(prediction.click, prediction.conversion)
      if watch.keepsRaw {
        let raw = said[models.count + model]
        watch.recall(model, published: published, raw: Heads(raw.click, raw.conversion))
      } else {
        watch.recall(model, published: published, raw: published)
      }
      // Of conversions clicks alone teach.
      let rates = models[model].learn(
        example, of: outcome.account, click: outcome.click,
        conversion: outcome.click.isKnown ? .unknown : outcome.conversion)
      // Of a click it learns more than this.
      if !delayed.isEmpty, outcome.click.isKnown, outcome.conversion.isKnown {
        delayed[model].learnUnclicked(example, click: rates.x)
      }
      var record = record(
        outcome.stage, model, prediction, ad: outcome.ad, outcome.account, id: id,
        shown: outcome.shown)
      record.isClicked = outcome.isClicked
      record.creditMillionths = min(Int64(outcome.credit), Attribution.whole)
      output.append(record)
    }
    progress.update(outcome.account).pointee.learned &+=
      (outcome.click.isKnown ? 1 : 0) + (outcome.conversion.isKnown ? 1 : 0)
    // Asked here: called for nothing they would be copied first.
    if federation.isOn {
      federation.count(
        outcome.account, click: outcome.click, conversion: outcome.conversion,
        isClicked: outcome.isClicked, at: now)
    }
    watch.judge(
      ModelWatch.Judged(
        account: outcome.account, ad: outcome.ad, shown: outcome.shown,
        now: now.milliseconds, isClicked: outcome.isClicked, click: outcome.click,
        conversion: outcome.conversion))
    if publisher.isOn {
      publisher.judged(example, ad: outcome.ad, of: outcome.account, at: now)
    }
  }

  public mutating func finish(_ entry: borrowing Entry) {
    watch.finish(at: entry.clock.milliseconds)
    publisher.finish(at: entry.clock) { progress[$0].learned }
  }

  public mutating func rebuilt(_ entry: borrowing Entry) {
    watch.rebuilt(at: entry.clock.milliseconds)
    publisher.rebuilt(at: entry.clock)
  }

  public func query(
    _ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter
  ) -> Bool {
    watch.query(query, at: entry.clock.milliseconds, to: &json)
  }

  // MARK: State

  public func prefetch(_ batch: EventBatch) {
    var seen: UInt32 = 0
    for i in 0..<batch.count where batch[i].pointee.type == .impression {
      let event = batch[i]
      let account = NameTable.mix(0, event.pointee.account.hash)
      seen ^= pending.touch(Learner.key(.impression, account, event.pointee.id.hash))
      if !event.pointee.clickID.isAbsent {
        seen ^= pending.touch(Learner.key(.clickID, account, event.pointee.clickID.hash))
      }
    }
    // Stored, so that the loads are not optimised away.
    touched.pointee = seen
  }

  public func digest(into digest: inout StateDigest) {
    var sum = digest
    rows.visit { account, feature, row in
      let owner = Hash.combine(directory.accounts.hash(account), UInt64(feature))
      for (i, model) in models.enumerated() {
        var number: Int64 = 0
        model.forEachWord(of: row) { word in
          sum.add(owner: owner, Int64(i) << 32 | number, word)
          number += 1
        }
      }
      for (i, head) in delayed.enumerated() {
        head.digest(ofRow: row, Hash.combine(owner, UInt64(i) + 1), &sum)
      }
      value.digest(ofRow: row, owner, &sum)
    }
    for account in 0..<Int32(progress.count) where progress[account].learned > 0 {
      let owner = directory.accounts.hash(account)
      sum.add(owner: owner, progress[account].learned, 0)
      for (i, model) in models.enumerated() {
        var number: Int64 = 0
        model.forEachWord(ofAccount: account) { word in
          sum.add(owner: owner, Int64(i) << 32 | 1 << 16 | number, word)
          number += 1
        }
      }
      value.digest(ofAccount: account, owner, &sum)
      lags?.digest(ofAccount: account, owner, &sum)
    }
    pending.digest(into: &sum, directory, rows, example)
    watch.digest(into: &sum)
    publisher.digest(into: &sum)
    federation.digest(into: &sum)
    digest = sum
  }
}
