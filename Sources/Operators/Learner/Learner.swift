public import Events
import Learning
public import Streaming

/// Learns, for each account, how likely an impression is to be clicked, a click to convert, and what
/// a conversion brings; says what it expects of every impression before it learns from it.
///
/// Two heads over the same features learn from all impressions: clicks, and conversions by the loss
/// of pCTCVR = pCTR · pCVR, whose gradient does not reach the click head. The label of a click is
/// what happened within `click_window`; that of a conversion is the credit that attribution's
/// primary model gave the click within `conversion_window` of it. An impression that was not clicked
/// has not converted. A label is learned when nothing can change it any more: behind its window, the
/// time that events may be late, and the end of its slot (a sixth of `click_window` in whole minutes;
/// an hour for conversions). A value is learned with its credit.
///
/// A click is its impression's by `impression`, else by `click_id`; one that names no waiting
/// impression is counted and teaches nothing, and so is credit that goes to views.
///
/// A feature takes 64 bytes with one `ftrl` and the values, all heads together; an impression about
/// 200 until `click_window` has passed, and until `conversion_window` has if it was clicked.
public struct Learner: Operator {
  public static let description = OperatorDescription(
    name: "learner", version: 1,
    summary: "Learns click rate, conversion rate and value of impressions from their features.",
    inputs: [.init(.interactions), .init(.attributions)],
    outputs: [.predictions, .models],
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
        "delay", .choice(["mature"]), default: "mature",
        meaning: "When a label is learned: `mature`, when nothing can change it any more."),
      SettingDescription(
        "models", .structure(ModelPublisher.settings), default: "{}",
        meaning: "What bidders are told, so that they can score by themselves."),
    ])

  static let modelsMax = 8
  private static let window = 16

  /// What was learned of an account.
  private struct Progress: BitwiseCopyable {
    /// Labels, of clicks and of conversions, and values.
    var learned: Int64 = 0
  }

  /// How good an account's predictions of one model were: sums over labels that are known.
  private struct Quality: BitwiseCopyable {
    var clickLabels: Int64 = 0
    var clickLoss = 0.0
    var predictedClicks = 0.0
    var clicks: Int64 = 0
    var conversionLabels: Int64 = 0
    var conversionLoss = 0.0
    var predictedConversions = 0.0
    var conversions = 0.0
  }

  private let interactions: Stream<Interaction>
  private let attributions: Stream<AttributionRecord>
  private let output: Stream<PredictionRecord>
  private let directory: Directory
  private let timers: Timers
  private let clickWindow: Int64
  private let conversionWindow: Int64
  private let slack: Int64
  private let plan: FeaturePlan
  private let rows: FeatureRows
  /// The champion first.
  private let models: UnsafeMutableBufferPointer<AnyRateModel>
  private let names: UnsafeMutableBufferPointer<PredictionRecord.ModelName>
  private let value: ValueModel
  private let publisher: ModelPublisher
  private let pending: PendingImpressions
  private let example: ExampleFeatures
  /// By account.
  private let progress: Table<Progress>
  /// By account times models plus model.
  private let quality: Table<Quality>
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
    /// Labels that became known, and the champion's log-loss over them in millionths.
    let clickLabels: Counter
    let clickLoss: Counter
    let conversionLabels: Counter
    let conversionLoss: Counter

    init(_ setup: OperatorSetup) {
      impressions = setup.counter("impressions")
      repeated = setup.counter("repeated")
      clicks = setup.counter("clicks")
      unmatchedClicks = setup.counter("clicks_unmatched")
      credits = setup.counter("credits")
      unmatchedCredits = setup.counter("credits_unmatched")
      clickLabels = setup.counter("click_labels")
      clickLoss = setup.counter("click_log_loss_millionths")
      conversionLabels = setup.counter("conversion_labels")
      conversionLoss = setup.counter("conversion_log_loss_millionths")
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
    conversionWindow = settings.duration("conversion_window").milliseconds
    slack = setup.time.outOfOrderness.milliseconds
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
    value = ValueModel(settings.structure("value"), in: setup.store)
    publisher = try ModelPublisher(
      setup, champion: kinds[0], model: models[0], value: value, rows: rows)
    pending = PendingImpressions(models: kinds.count, clickWindow: clickWindow, in: setup.store)
    example = ExampleFeatures()
    progress = setup.store.table("progress", of: Progress.self)
    quality = setup.store.table("quality", of: Quality.self)
    touched = .allocate(capacity: 1)
    group = .allocate(capacity: Learner.window)
    counters = Counters(setup)
  }

  public func deallocate() {
    plan.deallocate()
    rows.deallocate()
    models.deallocate()
    names.deinitialize()
    names.deallocate()
    publisher.deallocate()
    pending.deallocate()
    example.deallocate()
    touched.deallocate()
    group.deallocate()
  }

  private static func models(
    _ settings: Settings
  ) throws(SettingProblem) -> [(name: String, settings: Settings)] {
    let champion = settings.structures("champion")
    let challengers = settings.structures("challengers")
    guard champion.count == 1 else {
      throw SettingProblem(
        setting: "champion",
        message: "`champion` names \(champion.count) models; expected exactly one")
    }
    guard challengers.count < modelsMax else {
      throw SettingProblem(
        setting: "challengers",
        message: "`challengers` names \(challengers.count) models; expected at most 7")
    }
    guard !challengers.contains(where: { $0.name == champion[0].name }) else {
      throw SettingProblem(
        setting: "challengers",
        message: "`challengers` names `\(champion[0].name)`, which is the champion")
    }
    return champion + challengers
  }

  // MARK: Events

  public mutating func process(_ entry: borrowing Entry) {
    // Behind `timers` of the same entry nothing is given back.
    if !entry.isClock { pending.beginEntry() }
    for i in 0..<interactions.count {
      let interaction = interactions.address(i)
      guard interaction.pointee.kind == .event, let event = interaction.pointee.event else {
        continue
      }
      switch event.pointee.type {
      case .impression: show(event, interaction, entry)
      case .click: click(event, of: interaction.pointee.account)
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

  private func meet(_ account: Int32) {
    rows.meet(account)
    for model in models { model.meet(account) }
    value.meet(account)
    publisher.meet(account)
    progress.fill(to: Int(account) + 1, with: Progress())
    quality.fill(to: (Int(account) + 1) * models.count, with: Quality())
  }

  private func show(
    _ event: UnsafePointer<Event>, _ interaction: UnsafePointer<Interaction>,
    _ entry: borrowing Entry
  ) {
    let account = interaction.pointee.account
    let ad = event.pointee.ad.row
    guard ad >= 0 else { return }
    if Int(account) >= progress.count { meet(account) }
    counters.impressions.add()
    plan.read(event, entry.features(of: event), interaction.pointee.journey, into: example)
    example.join()
    rows.find(example, of: account) { row, feature in add(row, feature, of: account) }
    let time = event.pointee.time.milliseconds
    let accountHash = directory.accounts.hash(account)
    let key = Learner.key(.impression, accountHash, event.pointee.id.hash)
    let isRepeated = pending.find(key) >= 0
    if isRepeated { counters.repeated.add() }
    let row =
      isRepeated
      ? -1
      : pending.add(
        PendingImpressions.Impression(account: account, ad: ad, time: time, key: key),
        event.pointee.id, example)
    let worth = value.expected(example, of: account) * 1e6
    for model in 0..<models.count {
      let rates = models[model].rates(example, of: account)
      let prediction = PendingImpressions.Prediction(
        click: rates.x, conversion: rates.y, value: worth)
      if row >= 0 { pending.set(prediction, of: row, model: model) }
      output.append(
        record(
          .shown, model, prediction, ad: ad, account, id: event.pointee.id, shown: time))
    }
    guard row >= 0 else { return }
    if !event.pointee.clickID.isAbsent {
      pending.name(row, Learner.key(.clickID, accountHash, event.pointee.clickID.hash))
    }
    wait(row, of: account, from: time, forConversion: false)
  }

  @inline(never)
  private func add(_ row: Int32, _ feature: UInt32, of account: Int32) {
    for model in models { model.add(row, feature, of: rows.count) }
    value.add(row, of: rows.count)
    publisher.add(row, of: account)
  }

  private func record(
    _ stage: PredictionRecord.Stage, _ model: Int, _ prediction: PendingImpressions.Prediction,
    ad: Int32, _ account: Int32, id: Identifier, shown: Int64
  ) -> PredictionRecord {
    PredictionRecord(
      stage: stage, isChampion: model == 0, ad: ad,
      model: UnsafePointer(names.baseAddress.unsafelyUnwrapped + model),
      version: progress[account].learned, id: id, shown: EventTime(milliseconds: shown),
      click: prediction.click, conversion: prediction.conversion, valueMicros: prediction.value,
      isExact: publisher.isExact)
  }

  private func wait(_ row: Int32, of account: Int32, from time: Int64, forConversion: Bool) {
    guard let (slot, end) = pending.wait(row, of: account, from: time, forConversion: forConversion)
    else { return }
    let window = forConversion ? conversionWindow : clickWindow
    timers.add(at: EventTime(milliseconds: end &+ window &+ slack), key: Int64(slot))
  }

  private func click(_ event: UnsafePointer<Event>, of account: Int32) {
    counters.clicks.add()
    let accountHash = directory.accounts.hash(account)
    var row: Int32 = -1
    if !event.pointee.reference.isAbsent {
      row = pending.find(
        Learner.key(.impression, accountHash, event.pointee.reference.hash))
    }
    if row < 0, !event.pointee.clickID.isAbsent {
      row = pending.find(Learner.key(.clickID, accountHash, event.pointee.clickID.hash))
    }
    let key = Learner.key(.click, accountHash, event.pointee.id.hash)
    guard row >= 0, pending.find(key) < 0 else { return counters.unmatchedClicks.add() }
    let impression = pending[row]
    let time = event.pointee.time.milliseconds
    // An impression has one click at most; the sender's clocks may differ a little.
    guard impression.clickTime < 0, time >= impression.time &- slack,
      time < impression.time &+ clickWindow
    else { return counters.unmatchedClicks.add() }
    pending.click(row, key, at: max(time, impression.time))
  }

  private func credit(_ credited: AttributionRecord, _ entry: borrowing Entry) {
    guard credited.touch.isClick, credited.creditMillionths > 0 else { return }
    let key = Learner.key(
      .click, directory.accounts.hash(credited.account), Hash.text(credited.touch.id.bytes))
    let row = pending.find(key)
    guard row >= 0 else { return counters.unmatchedCredits.add() }
    counters.credits.add()
    pending.update(row).pointee.credit &+= credited.creditMillionths
    guard credited.value.micros > 0 else { return }
    let part = Double(credited.creditMillionths) / Double(Attribution.whole)
    pending.load(row, into: example)
    value.learn(
      example, of: credited.account, amount: Double(credited.value.micros) / 1e6 / part,
      weight: part)
    progress.update(credited.account).pointee.learned &+= 1
    publisher.change(example, of: credited.account, at: entry.clock, isDue: false)
  }

  // MARK: Labels

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    pending.beginEntry()
    for timer in due {
      if ModelPublisher.owns(timer) {
        publisher.take(timer, at: entry.clock)
        continue
      }
      let slot = pending.take(Int32(truncatingIfNeeded: timer.key))
      var row = slot.first
      while row >= 0 {
        // What the next ones need is fetched side by side.
        var count = 0
        var seen: UInt32 = 0
        while row >= 0, count < Learner.window {
          group[count] = row
          seen ^= pending.touchParts(row)
          count += 1
          row = pending[row].next
        }
        touched.pointee = seen
        for i in 0..<count {
          if slot.waitsForConversion {
            matureConversion(group[i], entry)
          } else {
            matureClick(group[i], entry)
          }
        }
      }
    }
    publisher.publishDue(at: entry.clock) { progress[$0].learned }
  }

  public mutating func finish(_ entry: borrowing Entry) {
    publisher.finish(at: entry.clock) { progress[$0].learned }
  }

  public mutating func rebuilt(_ entry: borrowing Entry) { publisher.rebuilt(at: entry.clock) }

  private func matureClick(_ row: Int32, _ entry: borrowing Entry) {
    let impression = pending[row]
    let isClicked = impression.clickTime >= 0
    learn(
      row, impression, .clickKnown, click: .known(isClicked ? 1 : 0),
      conversion: isClicked ? .unknown : .known(0), entry)
    if isClicked {
      wait(row, of: impression.account, from: impression.clickTime, forConversion: true)
    } else {
      pending.remove(row)
    }
  }

  private func matureConversion(_ row: Int32, _ entry: borrowing Entry) {
    let impression = pending[row]
    let credit = min(impression.credit, Attribution.whole)
    learn(
      row, impression, .conversionKnown, click: .unknown,
      conversion: .known(Double(credit) / Double(Attribution.whole)), entry)
    pending.remove(row)
  }

  private func learn(
    _ row: Int32, _ impression: PendingImpressions.Impression, _ stage: PredictionRecord.Stage,
    click: Label, conversion: Label, _ entry: borrowing Entry
  ) {
    pending.load(row, into: example)
    for model in 0..<models.count {
      let prediction = pending.prediction(of: row, model: model)
      judge(prediction, impression.account, model, click, conversion)
      models[model].learn(example, of: impression.account, click: click, conversion: conversion)
      var record = record(
        stage, model, prediction, ad: impression.ad, impression.account, id: pending.id(row),
        shown: impression.time)
      record.isClicked = impression.clickTime >= 0
      record.creditMillionths = min(impression.credit, Attribution.whole)
      output.append(record)
    }
    progress.update(impression.account).pointee.learned &+=
      (click.isKnown ? 1 : 0) + (conversion.isKnown ? 1 : 0)
    publisher.change(example, of: impression.account, at: entry.clock, isDue: true)
  }

  /// Scores what was said when the impression was shown.
  private func judge(
    _ prediction: PendingImpressions.Prediction, _ account: Int32, _ model: Int, _ click: Label,
    _ conversion: Label
  ) {
    let sums = quality.update(account * Int32(models.count) + Int32(model))
    if click.isKnown {
      let loss = Rate.logLoss(click.value, prediction.click)
      sums.pointee.clickLabels &+= 1
      sums.pointee.clickLoss += loss
      sums.pointee.predictedClicks += prediction.click
      if click.value > 0 { sums.pointee.clicks &+= 1 }
      if model == 0 {
        counters.clickLabels.add()
        counters.clickLoss.add(Int64(loss * 1e6))
      }
    }
    if conversion.isKnown {
      let expected = prediction.click * prediction.conversion
      let loss = Rate.logLoss(conversion.value, expected)
      sums.pointee.conversionLabels &+= 1
      sums.pointee.conversionLoss += loss
      sums.pointee.predictedConversions += expected
      sums.pointee.conversions += conversion.value
      if model == 0 {
        counters.conversionLabels.add()
        counters.conversionLoss.add(Int64(loss * 1e6))
      }
    }
  }

  // MARK: State

  public func prefetch(_ batch: EventBatch) {
    var seen: UInt32 = 0
    for i in 0..<batch.count where batch[i].pointee.type == .impression {
      let event = batch[i]
      let account = NameTable.mix(0, event.pointee.account.hash)
      seen ^= pending.touch(Learner.key(.impression, account, event.pointee.id.hash))
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
        let quality = quality[account * Int32(models.count) + Int32(i)]
        sum.add(
          owner: owner, quality.clickLabels, bits(quality.clickLoss),
          bits(quality.predictedClicks), quality.clicks)
        sum.add(
          owner: owner, quality.conversionLabels, bits(quality.conversionLoss),
          bits(quality.predictedConversions), bits(quality.conversions))
      }
      value.digest(ofAccount: account, owner, &sum)
    }
    pending.digest(into: &sum, directory, rows, example)
    publisher.digest(into: &sum)
    digest = sum
  }
}

extension Settings {
  /// The entries of a mapping from names to settings of their own.
  fileprivate func structures(_ name: String) -> [(name: String, settings: Settings)] {
    guard case .mapping(let entries) = self[name] else {
      preconditionFailure("`\(name)` is described as a mapping")
    }
    return entries.map { entry in
      guard case .mapping(let values) = entry.value else {
        preconditionFailure("the entries of `\(name)` are described as mappings")
      }
      return (
        entry.name, Settings(Dictionary(values.map { ($0.name, $0.value) }) { $1 })
      )
    }
  }
}
