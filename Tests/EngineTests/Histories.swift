import Events
import Operators
import Simulation
import Streaming

/// Topologies and histories that the engine's tests share.
enum Tallying {
  static func topology(within: String = "24h", every: String = "1m", extra: String = "") throws
    -> CheckedTopology
  {
    try CheckedTopology.parse(
      text: """
        topology: tally
        \(extra)
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          unique: { operator: deduplicate, from: events, within: \(within) }
          totals: { operator: tally, from: unique, every: \(every) }
        sinks:
          tallies: { from: totals, log: { topic: tallies } }
          dead_letters: { log: { topic: dead-letters } }
        """,
      file: "tally.yaml", registry: OperatorRegistry.all.map(\.description))
  }
}

extension Tallying {
  /// Two tallies of different pace behind short windows: timers of several operators come due at
  /// one clock entry, and generations rotate within minutes.
  static func twice(every: String) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: twice
        time: { out_of_orderness: 2s }
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          unique: { operator: deduplicate, from: events, within: { default: 4m, click: 1m, order: 3m } }
          totals: { operator: tally, from: unique, every: \(every) }
          seen: { operator: tally, from: events, every: 20s }
        sinks:
          tallies: { from: totals, log: { topic: tallies } }
          seen: { from: seen, stream: tallies, log: { topic: seen } }
        """,
      file: "twice.yaml", registry: OperatorRegistry.all.map(\.description))
  }
}

enum History {
  /// Generated records with duplicates, late and bad ones among them.
  static func records(
    _ count: Int, seed: UInt64, duration: TimeSpan = .minutes(30), accounts: Int = 3,
    late: Bool = true, change: (inout HistorySettings) -> Void = { _ in }
  ) -> [[UInt8]] {
    var settings = HistorySettings()
    settings.seed = seed
    settings.records = count
    settings.accounts = accounts
    settings.campaignsPerAccount = 2
    settings.adsPerCampaign = 4
    settings.usersPerAccount = 50
    settings.duration = duration
    settings.duplicatesPerMillion = 50_000
    settings.latePerMillion = late ? 50_000 : 0
    settings.badPerMillion = 20_000
    change(&settings)
    var generator = HistoryGenerator(settings)
    var records: [[UInt8]] = []
    var line: [UInt8] = []
    while generator.next(into: &line) != nil {
      if line.last == UInt8(ascii: "\n") { line.removeLast() }
      records.append(line)
      line.removeAll(keepingCapacity: true)
    }
    return records
  }
}
