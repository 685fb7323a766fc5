import Events
import Learning

/// Which features an impression has, and their numbers: the learner's settings `features` and
/// `numeric`, as records of `models` repeat them.
///
/// The learner's own plan reads events of its stream, this one what a bidder says of an impression; what
/// becomes of each part is `FeatureHash`'s, and a test holds the two together.
struct ScoringPlan: Equatable {
  private enum Source: Equatable {
    case bias, campaign, ad, advertiser, placement, hour, weekday
    case state, session, sinceTouch, campaignViewsDay, campaignViewsWeek, adViewsDay, adViewsWeek
    case named
  }

  private struct Part: Equatable {
    var source: Source
    var form = NumericForm.value
    var field: UInt32
  }

  private struct Step: Equatable {
    var first: Part
    var second: Part?
  }

  private struct NamedForm: Equatable {
    var name: UInt32
    var form: NumericForm
  }

  /// The most that settings may name, and the most that an impression may have.
  static let stepsMax = 64
  static let featuresMax = stepsMax + ImpressionFeatures.ownMax

  private var steps: [Step] = []
  private var forms: [NamedForm] = []
  private var takesAll = false
  private let bits: Int

  // MARK: Settings

  private static let sources: [(name: String, source: Source)] = [
    ("bias", .bias), ("campaign", .campaign), ("ad", .ad), ("advertiser", .advertiser),
    ("placement", .placement), ("hour", .hour), ("weekday", .weekday),
    ("journey.state", .state), ("journey.session", .session),
    ("journey.since_touch", .sinceTouch), ("journey.campaign_views_1d", .campaignViewsDay),
    ("journey.campaign_views_7d", .campaignViewsWeek), ("journey.ad_views_1d", .adViewsDay),
    ("journey.ad_views_7d", .adViewsWeek),
  ]

  /// The hashes of the service's own fields begin elsewhere than those of an event's features.
  static func field(_ name: String) -> UInt32 {
    FeatureText.hash(name, seed: FeatureText.hash("bidmill", seed: 0))
  }

  init(_ hashing: ModelUpdate.Hashing) throws(ModelProblem) {
    guard (1...32).contains(hashing.bits), hashing.features.count <= ScoringPlan.stepsMax else {
      throw ModelProblem(
        "features: \(hashing.features.count) names, hashed to \(hashing.bits) bits")
    }
    bits = hashing.bits
    for (name, form) in hashing.numeric.sorted(by: { $0.key < $1.key }) {
      guard name.hasPrefix("features.") else { throw ScoringPlan.unknown(name) }
      forms.append(
        NamedForm(
          name: ScoringPlan.ownName(name[...]), form: try ScoringPlan.form(form)))
    }
    for name in hashing.features { try add(name) }
  }

  private mutating func add(_ name: String) throws(ModelProblem) {
    switch name {
    case "features.*": takesAll = true
    case "journey.*":
      for (name, source) in ScoringPlan.sources where name.hasPrefix("journey.") {
        steps.append(Step(first: Part(source: source, field: ScoringPlan.field(name))))
      }
    default:
      let pair = name.split(separator: "*", omittingEmptySubsequences: false)
      guard pair.count <= 2 else { throw ScoringPlan.unknown(name) }
      let first = try part(pair[0])
      steps.append(Step(first: first, second: pair.count == 2 ? try part(pair[1]) : nil))
    }
  }

  private func part(_ name: Substring) throws(ModelProblem) -> Part {
    if let source = ScoringPlan.sources.first(where: { $0.name == name })?.source {
      return Part(source: source, field: ScoringPlan.field(String(name)))
    }
    guard name.hasPrefix("features."), name != "features.", name != "features.*" else {
      throw ScoringPlan.unknown(String(name))
    }
    let field = ScoringPlan.ownName(name)
    return Part(source: .named, form: form(of: field), field: field)
  }

  private static func unknown(_ name: String) -> ModelProblem {
    ModelProblem("the feature `\(name)` is not known here: this bidder is older than the model")
  }

  /// The hash of NAME in `features.NAME`.
  private static func ownName(_ name: Substring) -> UInt32 {
    FeatureText.hash(String(name.dropFirst("features.".count)), seed: 0)
  }

  private static func form(_ word: String) throws(ModelProblem) -> NumericForm {
    guard let form = NumericForm(rawValue: word) else {
      throw ModelProblem("numbers as `\(word)` are not known here")
    }
    return form
  }

  private func form(of name: UInt32) -> NumericForm {
    for entry in forms where entry.name == name { return entry.form }
    return .value
  }

  // MARK: Features

  private struct Found {
    var hash: UInt32
    var value = 1.0
  }

  /// Calls `body` with the hash and the value of each feature, in the learner's order. A value of 0
  /// stands for what is not there.
  @inline(__always)
  func forEachFeature(of impression: ImpressionFeatures, _ body: (UInt32, Double) -> Void) {
    for i in 0..<steps.count {
      guard var first = find(steps[i].first, impression) else { continue }
      if let part = steps[i].second {
        guard let second = find(part, impression) else { continue }
        first.hash = FeatureHash.cross(first.hash, second.hash)
        if second.value != 1 { first.value = FeatureValue.bounded(first.value * second.value) }
      }
      body(FeatureHash.masked(first.hash, bits: bits), first.value)
    }
    guard takesAll else { return }
    for feature in impression.own {
      var found = Found(hash: feature.hash)
      if feature.hash == feature.name { number(feature, form(of: feature.name), &found) }
      body(FeatureHash.masked(found.hash, bits: bits), found.value)
    }
  }

  @inline(__always)
  private func number(_ feature: Feature, _ form: NumericForm, _ found: inout Found) {
    (found.hash, found.value) = form.feature(feature.name, feature.value)
  }

  @inline(__always)
  private func find(_ part: Part, _ impression: ImpressionFeatures) -> Found? {
    switch part.source {
    case .bias: return Found(hash: part.field)
    case .campaign: return impression.campaign.map { Found(hash: $0) }
    case .ad: return impression.ad.map { Found(hash: $0) }
    case .advertiser: return impression.advertiser.map { Found(hash: $0) }
    case .placement: return impression.placement.map { Found(hash: $0) }
    case .hour: return word(FeatureHash.hour(milliseconds: impression.timeMilliseconds), part)
    case .weekday:
      return word(FeatureHash.weekday(milliseconds: impression.timeMilliseconds), part)
    case .state: return word(Int32(impression.journey.state.rawValue), part)
    case .session: return count(impression.journey.session, part)
    case .sinceTouch:
      let milliseconds = impression.journey.sinceTouchMilliseconds
      return word(FeatureHash.elapsedBucket(milliseconds: milliseconds), part)
    case .campaignViewsDay: return count(impression.journey.campaignViewsDay, part)
    case .campaignViewsWeek: return count(impression.journey.campaignViewsWeek, part)
    case .adViewsDay: return count(impression.journey.adViewsDay, part)
    case .adViewsWeek: return count(impression.journey.adViewsWeek, part)
    case .named:
      for feature in impression.own where feature.name == part.field {
        var found = Found(hash: feature.hash)
        if feature.hash == feature.name { number(feature, part.form, &found) }
        return found
      }
      return nil
    }
  }

  @inline(__always)
  private func word(_ number: Int32, _ part: Part) -> Found {
    Found(hash: FeatureHash.number(part.field, number))
  }

  @inline(__always)
  private func count(_ number: Int32, _ part: Part) -> Found {
    word(FeatureHash.countBucket(number), part)
  }
}
