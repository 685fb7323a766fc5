import Events
import Learning
import Streaming
import Testing

@testable import Operators

/// Accounts that learn from each other, with rounds of an hour.
enum Federation {
  static let hour: Int64 = 3_600_000
  static let features =
    #"[hour, "placement=feed", "features.format=video", "features.format=image", "placement=side"]"#

  /// Only `federate`.
  static func topology(
    _ settings: String = "", every: String = "1h", trusted: Bool = true
  ) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: federate
        time: { out_of_orderness: 5s, max_gap: 3660d }
        sources:
          updates: { log: { directory: data, topics: [updates] }\(trusted ? ", trusted: true" : "") }
        operators:
          common:
            operator: federate
            from: updates
            every: \(every)
            wait: 5m
            features: \(features)
            \(settings)
        sinks:
          priors: { from: common, log: { topic: priors } }
          alerts: { from: common, log: { topic: alerts } }
          dead_letters: { log: { topic: dead-letters } }
        """, file: "federate.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  /// A learner with everything before it; priors come the way that events come.
  static func learning(
    _ federate: String, every: String = "1h", learner: String = ""
  ) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: learning
        time: { out_of_orderness: 5s, max_gap: 3660d }
        sources:
          events: { log: { directory: data, topics: [events] }, trusted: true }
        operators:
          unique: { operator: deduplicate, from: events, within: 1h }
          people: { operator: identity, from: unique, key: secret, device_ttl: 8h, ttl: 9h }
          journeys: { operator: journeys, from: people, lookback: 7h, max_touches: 20 }
          credits:
            operator: attribution
            from: journeys
            models: [linear]
            primary: linear
            windows: { click: 6h, view: 2h }
          learner:
            operator: learner
            from: [journeys, credits, unique]
            click_window: 5m
            conversion_window: 40m
            federate: { every: \(every), features: \(features), \(federate) }
            \(learner)
        sinks:
          predictions: { from: learner, log: { topic: predictions } }
          updates: { from: learner, log: { topic: updates } }
          dead_letters: { log: { topic: dead-letters } }
        """.split(separator: "\n").filter { !$0.allSatisfy { $0 == " " } }.joined(separator: "\n"),
      file: "learning.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  static func shared() throws -> SharedFeatures {
    let names = [
      "hour", "placement=feed", "features.format=video", "features.format=image", "placement=side",
    ]
    return try SharedFeatures(
      Settings(["features": .list(names.map { .text($0) }), "weight_limit": .number(2)]), at: "")
  }

  /// An update as a learner writes it.
  static func update(
    _ vector: [Int32], by contributor: UInt64, in group: String = "accounts", at time: Int64,
    features: UInt64? = nil
  ) throws -> String {
    var json = JSONWriter()
    json.beginObject()
    json.member("contributor", hexadecimal: contributor)
    json.member("features", hexadecimal: try features ?? shared().id)
    json.key("vector")
    json.beginArray()
    for number in vector { json.integer(Int64(number)) }
    json.endArray()
    json.endObject()
    return event(kind: "update", payload: json.string, id: "\(contributor)-\(time)", group, time)
  }

  static func event(
    kind: String, payload: String, id: String, _ group: String?, _ time: Int64
  ) -> String {
    let account = group.map { #""account":"\#($0)","# } ?? ""
    return #"{\#(account)"type":"prior","id":"\#(id)","time":\#(time),"kind":"\#(kind)","#
      + #""payload":\#(payload)}"#
  }

  /// What an account may say: any numbers, far too long ones among them.
  static func vector(_ random: inout SplitMix64, scale: Double = 0.1) throws -> [Int32] {
    let count = try shared().layout.count
    return (0..<count).map { _ in
      UpdateLayout.fixed((Double(random.next() >> 11) * 0x1p-53 - 0.5) * 2 * scale)
    }
  }
}
