import Events
import Simulation
import Streaming

/// The learner with windows of minutes, behind everything that it needs.
enum Learning {
  static let minute: Int64 = 60_000

  static func topology(_ settings: String = "") throws -> CheckedTopology {
    try Attributing.topology(
      behind: """
        learner:
            operator: learner
            from: [journeys, credits]
            click_window: 5m
            conversion_window: 40m
            \(settings)
        """,
      sinks: [
        Attributing.sink("predictions", from: "learner"),
        Attributing.sink("interactions", from: "journeys"),
        Attributing.sink("attributions", from: "credits"),
      ])
  }

  static func history(
    _ count: Int, seed: UInt64, duration: TimeSpan = .hours(3), accounts: Int = 3,
    change: (inout HistorySettings) -> Void = { _ in }
  ) -> [[UInt8]] {
    Attributing.onTime(
      count, seed: seed, duration: duration, accounts: accounts, change: change)
  }
}
