import Bidding
import Events
import Learning
import Streaming

// Federation: what accounts tell each other of what they have learned, and what nobody can read out
// of it. The `learner` of each account contributes an update now and then (`updates`); the operator
// `federate` adds those of a round up, adds noise, and publishes what they have in common
// (`priors`); a learner gives that to accounts that are new. Both streams are events of the type
// `prior`, so that they come back through the ordinary sources.
//
// The features that are shared are a closed list of the topology: a text that no setting names has no
// place in an update. The arithmetic of rounds is `Learning`'s; the learner's side stands with it.

/// The features that accounts share, each with its slot in an update: a list of the settings, the
/// same for all accounts, so that slots need no names.
struct SharedFeatures {
  struct Slot {
    /// As the settings call it: `hour=20`, `placement=feed`.
    var name: String
    /// Number of its field: weights are told around the mean of their field.
    var field: Int
    /// As learners know it, before it is masked.
    var hash: UInt32
  }

  let slots: [Slot]
  /// How an update is laid out.
  let layout: UpdateLayout
  /// Changes with the list and the layout: updates of another one mean something else.
  let id: UInt64

  /// What both sides have to agree on.
  static let settings: [SettingDescription] = [
    SettingDescription(
      "features", .list(.text), default: "[hour, weekday, \"journey.*\"]",
      meaning: """
        What accounts share: fields whose values are the same everywhere (`hour`, `weekday`, \
        `journey.*` or one of these), and at least two values each of others: `placement=VALUE`, \
        `features.NAME=VALUE`. No other text leaves an account.
        """),
    SettingDescription(
      "weight_limit", .number(0.01...100), default: "2",
      meaning: """
        Greatest length of an account's weights, in log-odds; longer ones are shortened. Noise is a \
        multiple of it.
        """),
    SettingDescription(
      "every", .duration(.minutes(1)...(.days(90))), default: "7d",
      meaning: "How long a round is: updates are made at every multiple of it, in event time."),
    SettingDescription(
      "group", .text, default: "accounts",
      meaning: """
        The name of those who learn together, 1 to 128 bytes: the account under which updates are \
        events.
        """),
  ]

  private static let slotsMax = 512

  /// - Parameter path: Of the settings, for problems.
  init(_ settings: Settings, at path: String) throws(SettingProblem) {
    guard case .list(let names) = settings["features"] else {
      preconditionFailure("`features` is described as a list")
    }
    var slots: [Slot] = []
    var fields: [String] = []
    for case .text(let name) in names {
      let added = try SharedFeatures.slots(name, path)
      for (field, text, hash) in added {
        guard !slots.contains(where: { $0.name == text }) else {
          throw SettingProblem(
            setting: path + "features", message: "`features` names `\(text)` twice")
        }
        if !fields.contains(field) { fields.append(field) }
        let number = fields.firstIndex(of: field) ?? 0
        slots.append(Slot(name: text, field: number, hash: hash))
      }
    }
    guard (1...SharedFeatures.slotsMax).contains(slots.count) else {
      throw SettingProblem(
        setting: path + "features",
        message: "`features` names \(slots.count) values; expected 1 to \(SharedFeatures.slotsMax)")
    }
    for (number, field) in fields.enumerated() {
      guard slots.count(where: { $0.field == number }) > 1 else {
        throw SettingProblem(
          setting: path + "features",
          message: "`features` names one value of `\(field)`, with nothing to compare it with; "
            + "expected at least two")
      }
    }
    // The slots of a field stand together.
    self.slots = fields.indices.flatMap { field in slots.filter { $0.field == field } }
    layout = UpdateLayout(slots: slots.count, weightLimit: settings.number("weight_limit"))
    var id = Hash.combine(1, layout.weightLimit.bitPattern)
    for slot in self.slots { id = Hash.combine(id, SharedFeatures.hash(slot.name)) }
    self.id = id
  }

  private static func hash(_ text: String) -> UInt64 {
    Array(text.utf8).withUnsafeBufferPointer { Hash.text($0) }
  }

  private static func murmur(_ text: some StringProtocol, seed: UInt32 = 0) -> UInt32 {
    Array(text.utf8).withUnsafeBufferPointer { Hash.murmur3($0, seed: seed) }
  }

  /// What a field may be whose values are small numbers.
  private static func numbers(_ field: String) -> [Int32]? {
    switch field {
    case "hour": return Array(0...23)
    case "weekday": return Array(0...6)
    case "journey.state": return JourneyState.allCases.map { Int32($0.rawValue) }
    case "journey.since_touch":
      // Up to a third of a year; what is never counts as 0.
      return Array(0...25)
    case "journey.session", "journey.campaign_views_1d", "journey.campaign_views_7d",
      "journey.ad_views_1d", "journey.ad_views_7d":
      // Up to 1023; see `FeatureHash.countBucket`.
      return Array(0...7) + Array(12...18)
    default: return nil
    }
  }

  private static let journey = [
    "journey.state", "journey.session", "journey.since_touch", "journey.campaign_views_1d",
    "journey.campaign_views_7d", "journey.ad_views_1d", "journey.ad_views_7d",
  ]

  private static func slots(
    _ name: String, _ path: String
  ) throws(SettingProblem) -> [(field: String, name: String, hash: UInt32)] {
    if name == "journey.*" { return journey.flatMap { numbered($0) } }
    let found = numbered(name)
    if !found.isEmpty { return found }
    guard let equals = name.firstIndex(of: "="), name.index(after: equals) < name.endIndex else {
      throw unknown(name, path)
    }
    let (field, value) = (String(name[..<equals]), name[name.index(after: equals)...])
    if field == "placement" {
      return [(field, name, murmur(value, seed: FeaturePlan.field(field)))]
    }
    guard field.hasPrefix("features."), field != "features." else { throw unknown(name, path) }
    let own = murmur(field.dropFirst("features.".count))
    return [(field, name, murmur(value, seed: own))]
  }

  private static func numbered(_ field: String) -> [(field: String, name: String, hash: UInt32)] {
    let own = FeaturePlan.field(field)
    return (numbers(field) ?? []).map { (field, "\(field)=\($0)", FeatureHash.number(own, $0)) }
  }

  private static func unknown(_ name: String, _ path: String) -> SettingProblem {
    SettingProblem(
      setting: path + "features",
      message: "`features` names `\(name)`; expected `hour`, `weekday`, `journey.*`, "
        + "\(journey.joined(separator: ", ")), `placement=VALUE` or `features.NAME=VALUE`")
  }

  /// The group's name as the settings have it.
  static func group(_ settings: Settings, at path: String) throws(SettingProblem) -> String {
    let group = settings.text("group")
    guard (1...128).contains(group.utf8.count) else {
      throw SettingProblem(
        setting: path + "group",
        message: "`group` has \(group.utf8.count) bytes; expected 1 to 128")
    }
    return group
  }
}
