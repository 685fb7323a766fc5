import Events
import Operators
import Simulation
import Streaming
import TestKit

/// The learner with windows of minutes, behind everything that it needs.
enum Learning {
  static let minute: Int64 = 60_000

  static func topology(_ settings: String = "") throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: learning
        time: { out_of_orderness: 5s, max_gap: 3660d }
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          unique: { operator: deduplicate, from: events, within: 1h }
          people: { operator: identity, from: unique, key: secret, device_ttl: 8h, ttl: 9h }
          journeys: { operator: journeys, from: people, lookback: 7h, max_touches: 20 }
          credits:
            operator: attribution
            from: journeys
            models: [last_touch, linear]
            primary: linear
            windows: { click: 6h, view: 2h }
          learner:
            operator: learner
            from: [journeys, credits]
            click_window: 5m
            conversion_window: 40m
            \(settings)
        sinks:
          predictions: { from: learner, log: { topic: predictions } }
          models: { from: learner, log: { topic: models } }
          interactions: { from: journeys, log: { topic: interactions } }
          attributions: { from: credits, log: { topic: attributions } }
        """.split(separator: "\n").filter { !$0.allSatisfy { $0 == " " } }.joined(separator: "\n"),
      file: "learning.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  /// Records with clicks and conversions in numbers.
  static func history(
    _ count: Int, seed: UInt64, duration: TimeSpan = .hours(3), accounts: Int = 3,
    change: (inout HistorySettings) -> Void = { _ in }
  ) -> [[UInt8]] {
    Attributing.history(count, seed: seed, duration: duration, accounts: accounts) {
      $0.latePerMillion = 0
      change(&$0)
    }
  }
}
