public import Bidding
public import Events
public import Streaming

/// Credits conversions to the touches before them, by several models side by side.
///
/// Eligible are clicks no older than `windows.click` and viewable impressions no older than
/// `windows.view`, on half-open windows [t − w, t). Each model shares one conversion in millionths
/// and its value in micros, both rounded by largest remainder, so that they sum exactly. A
/// conversion without an eligible touch gives one record that says so. Touches that arrive after
/// the conversion are not credited. Keeps nothing between entries.
public struct Attribution: Operator {
  public static let description = OperatorDescription(
    name: "attribution", version: 1,
    summary: "Credits conversions to the touches before them.",
    inputs: [.init(.interactions), .init(.touches)],
    outputs: [.attributions],
    settings: [
      SettingDescription(
        "models", .list(.choice(AttributionModel.allCases.map { "\($0.name)" })),
        default: "[last_touch, time_decay]",
        meaning: "How a conversion is shared among its touches; each model gives its own records."),
      SettingDescription(
        "primary", .choice(AttributionModel.allCases.map { "\($0.name)" }), default: "time_decay",
        meaning: """
          Which of `models` counts where there can be only one: it stands in the record of a \
          conversion that no touch is credited with.
          """),
      SettingDescription(
        "windows",
        .structure([
          SettingDescription(
            "click", .duration(.seconds(1)...(.days(400))), default: "30d",
            meaning: "How old a click may be."),
          SettingDescription(
            "view", .duration(.seconds(1)...(.days(400))), default: "1d",
            meaning: "How old a viewable impression may be."),
        ]), default: "{}",
        meaning: "Touches longer ago get no credit; nor do those that `journeys` has forgotten."),
      SettingDescription(
        "views", .choice(["only_without_clicks", "always"]), default: "only_without_clicks",
        meaning: "Whether impressions get credit although there is a click."),
      SettingDescription(
        "half_life", .duration(.seconds(1)...(.days(400))), default: "7d",
        meaning: "`time_decay`: a touch that is older by this gets half the credit."),
      SettingDescription(
        "position", .list(.number(0...1)), default: "[0.4, 0.2, 0.4]",
        meaning: """
          `position`: shares of the first touch, of those between together, and of the last one. \
          They sum to 1.
          """),
    ])

  /// Credits of every conversion: a million each.
  static let whole: Int64 = 1_000_000

  private let interactions: Stream<Interaction>
  private let touches: Stream<TouchRecord>
  private let output: Stream<AttributionRecord>
  private let models: UnsafeMutableBufferPointer<AttributionModel>
  private let primary: AttributionModel
  private let windows: AttributionWindows
  private let rules: CreditRules
  private let attributed: Counter
  private let unattributed: Counter
  private let scratch: Scratch

  /// Room for the touches of one conversion; nothing in it outlives an entry.
  private struct Scratch {
    /// Numbers of the eligible touches in their stream.
    let eligible: UnsafeMutableBufferPointer<Int32>
    let times: UnsafeMutableBufferPointer<Int64>
    let weights: UnsafeMutableBufferPointer<UInt64>
    let credits: UnsafeMutableBufferPointer<Int64>
    let values: UnsafeMutableBufferPointer<Int64>
    let words: UnsafeMutableBufferPointer<UInt64>

    init() {
      let count = Apportionment.partsMax
      eligible = .allocate(capacity: count)
      eligible.initialize(repeating: 0)
      times = .allocate(capacity: count)
      times.initialize(repeating: 0)
      weights = .allocate(capacity: count)
      weights.initialize(repeating: 0)
      credits = .allocate(capacity: count)
      credits.initialize(repeating: 0)
      values = .allocate(capacity: count)
      values.initialize(repeating: 0)
      words = .allocate(capacity: 2 * count)
      words.initialize(repeating: 0)
    }

    func deallocate() {
      eligible.deallocate()
      times.deallocate()
      weights.deallocate()
      credits.deallocate()
      values.deallocate()
      words.deallocate()
    }
  }

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    let settings = setup.settings
    let chosen = try Attribution.models(settings)
    primary = try Attribution.primary(settings, among: chosen)
    rules = try Attribution.rules(settings)
    let spans = settings.structure("windows")
    windows = AttributionWindows(
      click: spans.duration("click"), view: spans.duration("view"),
      viewsBesideClicks: settings.text("views") == "always")
    interactions = try setup.onlyInput(Interaction.self)
    touches = try setup.onlyInput(TouchRecord.self)
    output = setup.output(AttributionRecord.self)
    attributed = setup.counter("attributed")
    unattributed = setup.counter("unattributed")
    models = .allocate(capacity: chosen.count)
    _ = models.initialize(from: chosen)
    scratch = Scratch()
  }

  public func deallocate() {
    models.deallocate()
    scratch.deallocate()
  }

  // MARK: Settings

  private static func model(_ name: String) -> AttributionModel {
    guard let model = AttributionModel.allCases.first(where: { "\($0.name)" == name }) else {
      preconditionFailure("a model is one of those that the setting describes")
    }
    return model
  }

  private static func models(
    _ settings: Settings
  ) throws(SettingProblem) -> [AttributionModel] {
    guard case .list(let items) = settings["models"] else {
      preconditionFailure("`models` is described as a list")
    }
    var models: [AttributionModel] = []
    for case .text(let name) in items {
      let model = model(name)
      guard !models.contains(model) else {
        throw SettingProblem(setting: "models", message: "`models` names `\(name)` twice")
      }
      models.append(model)
    }
    guard !models.isEmpty else {
      throw SettingProblem(setting: "models", message: "`models` is empty; expected at least one")
    }
    return models
  }

  private static func primary(
    _ settings: Settings, among models: [AttributionModel]
  ) throws(SettingProblem) -> AttributionModel {
    let primary = model(settings.text("primary"))
    guard models.contains(primary) else {
      throw SettingProblem(
        setting: "primary", message: "`primary` is \(primary.name), which is not among `models`")
    }
    return primary
  }

  private static func rules(_ settings: Settings) throws(SettingProblem) -> CreditRules {
    guard case .list(let items) = settings["position"] else {
      preconditionFailure("`position` is described as a list")
    }
    var shares: [Int64] = []
    for case .number(let share) in items { shares.append(Int64((share * 1e6).rounded())) }
    guard shares.count == 3, shares.reduce(0, +) == whole else {
      throw SettingProblem(
        setting: "position", message: "`position` is three shares that sum to 1")
    }
    return CreditRules(
      halfLife: settings.duration("half_life"), first: shares[0], middle: shares[1],
      last: shares[2])
  }

  // MARK: Credit

  public mutating func process(_ entry: borrowing Entry) {
    for i in 0..<interactions.count {
      let interaction = interactions[i]
      guard interaction.kind == .event, let event = interaction.event,
        event.pointee.type == .conversion
      else { continue }
      let count = choose(interaction, event.pointee.time)
      if count == 0 {
        unattributed.add()
        output.append(
          AttributionRecord(event, interaction, model: primary, isPrimary: true, touch: nil))
      } else {
        attributed.add()
        for model in models { credit(count, by: model, event, interaction) }
      }
    }
  }

  /// Finds the eligible touches; returns how many.
  private func choose(_ interaction: Interaction, _ conversion: EventTime) -> Int {
    let range =
      Int(interaction.touchesStart)..<Int(interaction.touchesStart + interaction.touchesCount)
    var hasClick = false
    if !windows.viewsBesideClicks {
      for i in range where touches[i].isClick && isEligible(touches[i], conversion) {
        hasClick = true
      }
    }
    var count = 0
    for i in range where isEligible(touches[i], conversion) && (!hasClick || touches[i].isClick) {
      scratch.eligible[count] = Int32(truncatingIfNeeded: i)
      scratch.times[count] = touches[i].time.milliseconds
      count += 1
    }
    return count
  }

  @inline(__always)
  private func isEligible(_ touch: TouchRecord, _ conversion: EventTime) -> Bool {
    windows.holds(
      isClick: touch.isClick, isViewable: touch.isViewable, at: touch.time, conversion: conversion)
  }

  private func credit(
    _ count: Int, by model: AttributionModel, _ event: UnsafePointer<Event>,
    _ interaction: Interaction
  ) {
    if let only = model.onlyTouch(of: count) {
      return output.append(
        AttributionRecord(
          event, interaction, model: model, isPrimary: model == primary,
          touch: touches[Int(scratch.eligible[only])],
          creditMillionths: Attribution.whole, value: event.pointee.value))
    }
    let weights = UnsafeMutableBufferPointer(rebasing: scratch.weights[..<count])
    rules.weigh(
      model, times: UnsafeBufferPointer(rebasing: scratch.times[..<count]), into: weights)
    let value = event.pointee.value.micros
    Apportionment.divide(
      Attribution.whole, by: UnsafeBufferPointer(weights), into: scratch.credits,
      scratch: scratch.words)
    Apportionment.divide(
      value, by: UnsafeBufferPointer(weights), into: scratch.values, scratch: scratch.words)
    var sums: (credit: Int64, value: Int64) = (0, 0)
    for i in 0..<count {
      sums.credit &+= scratch.credits[i]
      sums.value &+= scratch.values[i]
      guard scratch.credits[i] != 0 || scratch.values[i] != 0 else { continue }
      output.append(
        AttributionRecord(
          event, interaction, model: model, isPrimary: model == primary,
          touch: touches[Int(scratch.eligible[i])],
          creditMillionths: scratch.credits[i], value: Money(micros: scratch.values[i])))
    }
    precondition(
      sums.credit == Attribution.whole && sums.value == value,
      "attribution: the credits of a conversion do not sum to exactly 1 and its value")
  }

  public func digest(into digest: inout StateDigest) {}
}

/// A record of `attributions`.
public struct AttributionRecord: StreamRecord {
  public static var stream: StreamType { .attributions }

  /// What a record does.
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    case assert
    /// Takes back what was asserted: the same touch, credit and value.
    case retract
  }

  /// Row of the account in the directory.
  public var account: Int32
  public var kind = Kind.assert
  public var model: AttributionModel
  /// The model is the one that counts where there can be only one.
  public var isPrimary: Bool
  public var method: IdentityMethod
  /// A touch gets credit; else the conversion is unattributed, and `touch` means nothing.
  public var isAttributed: Bool
  /// The conversion's event id. Valid while the entry is walked.
  public var conversion: Identifier
  public var person: UInt64
  public var touch: TouchRecord
  public var creditMillionths: Int64
  public var value: Money

  init(
    _ event: UnsafePointer<Event>, _ interaction: Interaction, model: AttributionModel,
    isPrimary: Bool, touch: TouchRecord?, creditMillionths: Int64 = 0, value: Money = .zero
  ) {
    account = interaction.account
    self.model = model
    self.isPrimary = isPrimary
    method = interaction.method
    isAttributed = touch != nil
    conversion = event.pointee.id
    person = interaction.pseudonym
    self.touch =
      touch
      ?? TouchRecord(
        id: .absent, time: .earliest, campaign: -1, ad: -1, isClick: false, isViewable: false)
    self.creditMillionths = creditMillionths
    self.value = value
  }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let keyLength = writeKey(to: &json, context)
    write(to: &json, context)
    return keyLength
  }

  /// Consecutive records are mostly those of one conversion.
  public static func encode(
    _ records: Stream<AttributionRecord>, to output: borrowing SinkOutput,
    _ context: borrowing EncodingContext
  ) {
    var shared: Events.Attribution.Shared?
    for i in 0..<records.count {
      let record = records[i]
      if i > 0, !record.isOfSameConversion(as: records[i - 1]) { shared = nil }
      output.append { json in
        let keyLength = record.writeKey(to: &json, context)
        if let shared {
          record.credit(context).write(to: &json, sharing: shared)
        } else {
          shared = record.write(to: &json, context)
        }
        return keyLength
      }
    }
  }

  private func isOfSameConversion(as other: AttributionRecord) -> Bool {
    account == other.account && kind == other.kind && conversion.start == other.conversion.start
      && person == other.person && method == other.method
  }

  private func writeKey(
    to json: inout JSONWriter, _ context: borrowing EncodingContext
  ) -> Int {
    json.writeKey(context.directory.accounts.name(account), conversion)
  }

  @discardableResult
  private func write(
    to json: inout JSONWriter, _ context: borrowing EncodingContext
  ) -> Events.Attribution.Shared {
    var attribution = Events.Attribution(
      account: context.directory.accounts.name(account), conversion: conversion,
      time: context.time, source: context.source, revision: 1, credit: credit(context),
      person: person, method: method == .none ? nil : method.name,
      confidenceMillionths: method.confidenceMillionths)
    attribution.isRetraction = kind == .retract
    return attribution.write(to: &json)
  }

  private func credit(_ context: borrowing EncodingContext) -> Events.Attribution.Credit {
    let directory = context.directory
    return Events.Attribution.Credit(
      model: model.name,
      touch: isAttributed
        ? Events.Attribution.Touch(
          id: touch.id, type: touch.isClick ? .click : .impression, time: touch.time,
          campaign: directory.campaigns.name(touch.campaign), ad: directory.ads.name(touch.ad))
        : nil,
      creditMillionths: creditMillionths, value: value)
  }
}
