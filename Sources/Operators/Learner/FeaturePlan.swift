import Bidding
import Events
import Learning
import Streaming

// Learner: what the operator `learner` is made of. Which features an impression has, where what is
// learned of them stands, the models side by side, and the impressions whose labels are not known
// yet. The arithmetic of learning is `Learning`'s; nothing here reads or writes streams but the
// operator itself.

/// Which features an impression has, from the settings `features` and `numeric`.
///
/// A feature is a 32-bit hash of its field and its text, and a value: 1 for what is or is not.
struct FeaturePlan {
  /// Where a feature comes from.
  enum Source: UInt8, BitwiseCopyable {
    case bias, campaign, ad, advertiser, placement, hour, weekday
    case state, session, sinceTouch, campaignViewsDay, campaignViewsWeek, adViewsDay, adViewsWeek
    /// One of the event's own `features`.
    case named
  }

  struct Part: BitwiseCopyable, Equatable {
    var source: Source
    var form: NumericForm = .value
    /// Hash of the field; what a text's hash begins from.
    var field: UInt32
  }

  /// A feature, or two together, by the numbers of their parts.
  struct Step: BitwiseCopyable {
    var first: Int
    var second: Int
    var isCross: Bool
  }

  private struct NamedForm: BitwiseCopyable {
    var name: UInt32
    var form: NumericForm
  }

  private let steps: UnsafeMutableBufferPointer<Step>
  /// Each is looked at once an event, however many steps name it.
  private let parts: UnsafeMutableBufferPointer<Part>
  private let found: UnsafeMutablePointer<Found>
  /// Of numbers among `features.*`.
  private let forms: UnsafeMutableBufferPointer<NamedForm>
  private let takesAll: Bool
  private let bits: Int

  /// The most features that an event may have itself.
  private static let ownMax = 64
  /// The most that a plan may name.
  static let stepsMax = 64
  /// The most that an example may have.
  static let featuresMax = stepsMax + ownMax

  func deallocate() {
    steps.deallocate()
    parts.deallocate()
    found.deallocate()
    forms.deallocate()
  }

  // MARK: Settings

  private static let sources: [(name: String, source: Source)] = [
    ("bias", .bias), ("campaign", .campaign), ("ad", .ad), ("advertiser", .advertiser),
    ("placement", .placement), ("hour", .hour), ("weekday", .weekday),
    ("journey.state", .state), ("journey.session", .session),
    ("journey.since_touch", .sinceTouch), ("journey.campaign_views_1d", .campaignViewsDay),
    ("journey.campaign_views_7d", .campaignViewsWeek), ("journey.ad_views_1d", .adViewsDay),
    ("journey.ad_views_7d", .adViewsWeek),
  ]

  private static func hash(_ text: some StringProtocol, seed: UInt32 = 0) -> UInt32 {
    Array(text.utf8).withUnsafeBufferPointer { Hash.murmur3($0, seed: seed) }
  }

  init(_ settings: Settings) throws(SettingProblem) {
    bits = Int(settings.integer("hash_bits"))
    guard case .list(let names) = settings["features"],
      case .mapping(let numeric) = settings["numeric"]
    else { preconditionFailure("`features` is described as a list, `numeric` as a mapping") }
    var named: [NamedForm] = []
    for (name, form) in numeric {
      guard name.hasPrefix("features."), case .text(let word) = form else {
        throw SettingProblem(
          setting: "numeric", message: "`numeric` names `\(name)`; expected `features.NAME`")
      }
      named.append(
        NamedForm(
          name: FeaturePlan.hash(name.dropFirst("features.".count)),
          form: NumericForm(rawValue: word) ?? .value))
    }
    var steps: [Step] = []
    var parts: [Part] = []
    func number(_ part: Part) -> Int {
      if let known = parts.firstIndex(of: part) { return known }
      parts.append(part)
      return parts.count - 1
    }
    var takesAll = false
    var seen: [String] = []
    for case .text(let name) in names {
      guard !seen.contains(name) else {
        throw SettingProblem(setting: "features", message: "`features` names `\(name)` twice")
      }
      seen.append(name)
      switch name {
      case "features.*": takesAll = true
      case "journey.*":
        for (name, source) in FeaturePlan.sources where name.hasPrefix("journey.") {
          let part = number(Part(source: source, field: FeaturePlan.field(name)))
          steps.append(Step(first: part, second: part, isCross: false))
        }
      default:
        let pair = name.split(separator: "*", omittingEmptySubsequences: false)
        guard pair.count <= 2 else { throw FeaturePlan.unknown(name) }
        let first = number(try FeaturePlan.part(pair[0], named))
        let second = pair.count == 2 ? number(try FeaturePlan.part(pair[1], named)) : first
        steps.append(Step(first: first, second: second, isCross: pair.count == 2))
      }
    }
    guard !steps.isEmpty || takesAll, steps.count <= FeaturePlan.stepsMax else {
      throw SettingProblem(
        setting: "features",
        message: "`features` names \(steps.count) features; expected 1 to \(FeaturePlan.stepsMax)")
    }
    self.takesAll = takesAll
    self.steps = .allocate(capacity: steps.count)
    _ = self.steps.initialize(from: steps)
    self.parts = .allocate(capacity: parts.count)
    _ = self.parts.initialize(from: parts)
    found = .allocate(capacity: parts.count)
    found.initialize(repeating: Found(), count: parts.count)
    forms = .allocate(capacity: named.count)
    _ = forms.initialize(from: named)
  }

  private static func unknown(_ name: some StringProtocol) -> SettingProblem {
    SettingProblem(
      setting: "features",
      message:
        "`features` names `\(name)`; expected \(sources.map(\.name).joined(separator: ", ")), "
        + "`journey.*`, `features.*`, `features.NAME`, or two of them (none with `*`) as `a*b`")
  }

  /// The hashes of our own fields begin elsewhere than those of an event's features, so that an
  /// `ad` among these is another field.
  static func field(_ name: some StringProtocol) -> UInt32 {
    hash(name, seed: hash("bidmill"))
  }

  private static func part(
    _ name: Substring, _ forms: [NamedForm]
  ) throws(SettingProblem) -> Part {
    if let source = sources.first(where: { $0.name == name })?.source {
      return Part(source: source, field: field(name))
    }
    guard name.hasPrefix("features."), name != "features." else { throw unknown(name) }
    let field = hash(name.dropFirst("features.".count))
    let form = forms.first { $0.name == field }?.form ?? .value
    return Part(source: .named, form: form, field: field)
  }

  // MARK: Features

  /// Calls with every field of the event that `read` was called for last, and what it has there: a
  /// word's hash and 1, or a number's value. Crosses, the bias and the time of day are no fields.
  func forEachField(
    _ own: UnsafeBufferPointer<Feature>,
    _ body: (_ field: UInt32, _ hash: UInt32, _ value: Double) -> Void
  ) {
    for i in 0..<parts.count where found[i].value != 0 {
      switch parts[i].source {
      case .bias, .hour, .weekday: continue
      case .named where takesAll: continue
      default: body(parts[i].field, found[i].hash, found[i].value)
      }
    }
    guard takesAll else { return }
    for feature in own {
      var found = Found(hash: feature.hash, value: 1)
      if feature.hash == feature.name { number(feature, form(of: feature.name), &found) }
      if found.value != 0 { body(feature.name, found.hash, found.value) }
    }
  }

  /// The fields that `features` calls by their names.
  static func namedFields(_ settings: Settings) -> [(field: UInt32, name: String)] {
    guard case .list(let names) = settings["features"] else { return [] }
    var fields: [(field: UInt32, name: String)] = []
    for case .text(let name) in names {
      for part in name.split(separator: "*") where part.hasPrefix("features.") {
        let own = part.dropFirst("features.".count)
        if !own.isEmpty { fields.append((hash(own), String(part))) }
      }
    }
    return fields + sources.map { (field($0.name), $0.name) }
  }

  /// Fills an example with an impression's features: words first, then numbers.
  @inline(__always)
  func read(
    _ event: UnsafePointer<Event>, _ own: UnsafeBufferPointer<Feature>, _ journey: JourneyContext,
    into example: ExampleFeatures
  ) {
    example.removeAll()
    for i in 0..<parts.count {
      found[i].value = 1
      // What is not there counts nothing, crossed with anything.
      if !find(parts[i], event, own, journey, &found[i]) { found[i].value = 0 }
    }
    for step in steps {
      var first = found[step.first]
      if step.isCross {
        let second = found[step.second]
        first.hash = FeatureHash.cross(first.hash, second.hash)
        if second.value != 1 {
          first.value = FeatureValue.bounded(first.value * second.value)
        }
      }
      example.add(FeatureHash.masked(first.hash, bits: bits), first.value)
    }
    guard takesAll else { return }
    for feature in own {
      var found = Found(hash: feature.hash, value: 1)
      if feature.hash == feature.name { number(feature, form(of: feature.name), &found) }
      example.add(FeatureHash.masked(found.hash, bits: bits), found.value)
    }
  }

  private struct Found {
    var hash: UInt32 = 0
    var value = 1.0
  }

  private func form(of name: UInt32) -> NumericForm {
    for entry in forms where entry.name == name { return entry.form }
    return .value
  }

  @inline(__always)
  private func number(_ feature: Feature, _ form: NumericForm, _ found: inout Found) {
    (found.hash, found.value) = form.feature(feature.name, feature.value)
  }

  /// Whether the event has it, and what it is.
  @inline(__always)
  private func find(
    _ part: Part, _ event: UnsafePointer<Event>, _ own: UnsafeBufferPointer<Feature>,
    _ journey: JourneyContext, _ found: inout Found
  ) -> Bool {
    switch part.source {
    case .bias: found.hash = part.field
    case .campaign: return text(event.pointee.campaign, part, &found)
    case .ad: return text(event.pointee.ad, part, &found)
    case .advertiser: return text(event.pointee.advertiser, part, &found)
    case .placement: return text(event.pointee.placement, part, &found)
    case .hour:
      found.hash = FeatureHash.number(
        part.field, FeatureHash.hour(milliseconds: event.pointee.time.milliseconds))
    case .weekday:
      found.hash = FeatureHash.number(
        part.field, FeatureHash.weekday(milliseconds: event.pointee.time.milliseconds))
    case .state:
      found.hash = FeatureHash.number(part.field, Int32(journey.state.rawValue))
    case .session: found.hash = count(journey.session, part)
    case .sinceTouch:
      found.hash = FeatureHash.number(
        part.field, FeatureHash.elapsedBucket(milliseconds: journey.sinceTouchMilliseconds))
    case .campaignViewsDay: found.hash = count(journey.campaignViewsDay, part)
    case .campaignViewsWeek: found.hash = count(journey.campaignViewsWeek, part)
    case .adViewsDay: found.hash = count(journey.adViewsDay, part)
    case .adViewsWeek: found.hash = count(journey.adViewsWeek, part)
    case .named:
      for feature in own where feature.name == part.field {
        found.hash = feature.hash
        if feature.hash == feature.name { number(feature, part.form, &found) }
        return true
      }
      return false
    }
    return true
  }

  @inline(__always)
  private func text(_ name: Identifier, _ part: Part, _ found: inout Found) -> Bool {
    guard !name.isAbsent else { return false }
    found.hash = Hash.murmur3(name.bytes, seed: part.field)
    return true
  }

  @inline(__always)
  private func count(_ number: Int32, _ part: Part) -> UInt32 {
    FeatureHash.number(part.field, FeatureHash.countBucket(number))
  }
}

/// The features of the example at hand: those of value 1 first, then the others with their values.
/// Memory that is used again for every example; holds nothing between them.
struct ExampleFeatures {
  private struct Counts {
    var words = 0
    var numbers = 0
  }

  /// Of the words; behind them, once `join` was called, of the numbers.
  let hashes: UnsafeMutablePointer<UInt32>
  let rows: UnsafeMutablePointer<Int32>
  let values: UnsafeMutablePointer<Double>
  private let numbers: UnsafeMutablePointer<(hash: UInt32, value: Double)>
  private let counts: UnsafeMutablePointer<Counts>

  init() {
    let count = FeaturePlan.featuresMax
    hashes = .allocate(capacity: count)
    rows = .allocate(capacity: count)
    values = .allocate(capacity: count)
    values.initialize(repeating: 1, count: count)
    numbers = .allocate(capacity: count)
    counts = .allocate(capacity: 1)
    counts.initialize(to: Counts())
  }

  func deallocate() {
    hashes.deallocate()
    rows.deallocate()
    values.deallocate()
    numbers.deallocate()
    counts.deallocate()
  }

  var words: Int { counts.pointee.words }
  var numberCount: Int { counts.pointee.numbers }
  var count: Int { counts.pointee.words + counts.pointee.numbers }

  @inline(__always)
  func removeAll() { counts.pointee = Counts() }

  @inline(__always)
  func add(_ hash: UInt32, _ value: Double) {
    if value == 1 {
      hashes[counts.pointee.words] = hash
      values[counts.pointee.words] = 1
      counts.pointee.words &+= 1
    } else if value != 0 {
      numbers[counts.pointee.numbers] = (hash, value)
      counts.pointee.numbers &+= 1
    }
  }

  /// Puts the numbers behind the words.
  @inline(__always)
  func join() {
    for i in 0..<counts.pointee.numbers {
      hashes[counts.pointee.words + i] = numbers[i].hash
      values[counts.pointee.words + i] = numbers[i].value
    }
  }

  /// Takes over features that were stored: their rows, and the values of the last `numbers`.
  @inline(__always)
  func set(words: Int, numbers: Int) {
    counts.pointee = Counts(words: words, numbers: numbers)
    for i in 0..<words { values[i] = 1 }
  }
}
