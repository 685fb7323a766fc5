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
  /// What is kept of a hash.
  private let mask: UInt32
  private let campaigns = RowHashes()
  private let ads = RowHashes()

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
    campaigns.deallocate()
    ads.deallocate()
  }

  /// Rows of the directory may mean other texts now.
  func forgetNames() {
    campaigns.removeAll()
    ads.removeAll()
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
    mask = FeatureHash.masked(.max, bits: Int(settings.integer("hash_bits")))
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
    var features = ExampleFeatures.Collector(example)
    for i in 0..<parts.count {
      var part = Found(hash: 0, value: 1)
      // What is not there counts nothing, crossed with anything.
      if !find(parts[i], event, own, journey, &part) { part.value = 0 }
      found[i] = part
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
      features.add(first.hash & mask, first.value)
    }
    if takesAll {
      for feature in own {
        var found = Found(hash: feature.hash, value: 1)
        if feature.hash == feature.name { number(feature, form(of: feature.name), &found) }
        features.add(found.hash & mask, found.value)
      }
    }
    example.set(features)
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
    case .campaign: return name(event.pointee.campaign, part, campaigns, &found)
    case .ad: return name(event.pointee.ad, part, ads, &found)
    case .advertiser: return text(event.pointee.advertiser, part, &found)
    case .placement: return text(event.pointee.placement, part, &found)
    case .hour:
      found.hash = FeatureHash.number(
        part.field, FeatureHash.hour(milliseconds: event.pointee.time.milliseconds))
    case .weekday:
      found.hash = FeatureHash.number(
        part.field, FeatureHash.weekday(milliseconds: event.pointee.time.milliseconds))
    case .state, .session, .sinceTouch, .campaignViewsDay, .campaignViewsWeek, .adViewsDay,
      .adViewsWeek:
      found.hash = hash(part, journey)
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

  /// Of what the journey knows. Apart, or the compiler makes all of it for every part.
  @inline(never)
  private func hash(_ part: Part, _ journey: borrowing JourneyContext) -> UInt32 {
    switch part.source {
    case .state:
      return FeatureHash.number(part.field, Int32(journey.state.rawValue))
    case .session: return count(journey.session, part)
    case .sinceTouch:
      return FeatureHash.number(
        part.field, FeatureHash.elapsedBucket(milliseconds: journey.sinceTouchMilliseconds))
    case .campaignViewsDay: return count(journey.campaignViewsDay, part)
    case .campaignViewsWeek: return count(journey.campaignViewsWeek, part)
    case .adViewsDay: return count(journey.adViewsDay, part)
    case .adViewsWeek: return count(journey.adViewsWeek, part)
    default: preconditionFailure("the part is none of a journey")
    }
  }

  /// A text that has a row.
  @inline(__always)
  private func name(
    _ name: Identifier, _ part: Part, _ hashes: RowHashes, _ found: inout Found
  ) -> Bool {
    guard let known = hashes.find(name.row) else {
      guard text(name, part, &found) else { return false }
      hashes.set(name.row, found.hash)
      return true
    }
    found.hash = known
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

/// Hashes of the texts of a directory's rows, each made once. Holds nothing that does not follow from
/// the texts.
private struct RowHashes {
  private struct Memory {
    var hashes: UnsafeMutablePointer<UInt32>
    var count: Int
  }

  private let memory: UnsafeMutablePointer<Memory>

  init() {
    memory = .allocate(capacity: 1)
    memory.initialize(to: Memory(hashes: .allocate(capacity: 0), count: 0))
  }

  func deallocate() {
    memory.pointee.hashes.deallocate()
    memory.deallocate()
  }

  func removeAll() { memory.pointee.hashes.update(repeating: 0, count: memory.pointee.count) }

  /// nil where it is not known yet, or 0.
  @inline(__always)
  func find(_ row: Int32) -> UInt32? {
    guard row >= 0, Int(row) < memory.pointee.count, memory.pointee.hashes[Int(row)] != 0 else {
      return nil
    }
    return memory.pointee.hashes[Int(row)]
  }

  @inline(never)
  func set(_ row: Int32, _ hash: UInt32) {
    guard row >= 0 else { return }
    if Int(row) >= memory.pointee.count { grow(to: max(Int(row) + 1, 2 * memory.pointee.count)) }
    memory.pointee.hashes[Int(row)] = hash
  }

  private func grow(to count: Int) {
    let larger = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
    larger.initialize(repeating: 0, count: count)
    larger.update(from: memory.pointee.hashes, count: memory.pointee.count)
    memory.pointee.hashes.deallocate()
    memory.pointee = Memory(hashes: larger, count: count)
  }
}
