import Events
import Foundation
import Operators
import Simulation
import Streaming
import TestKit

/// The live topology with windows of minutes, so that short histories reach everything, and every
/// stream in a sink.
enum Living {
  static func topology(
    posteriors: String = "maturity: { click: 1m, conversion: 3m }, half_life: 1h",
    safety: String = "publish: { every: 30s, idle: 5m }, valid_for: 1m"
  ) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: live
        time: { out_of_orderness: 5s }
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          unique: { operator: deduplicate, from: events, within: 1h }
          people:
            operator: identity
            from: unique
            key: "a secret"
            device_ttl: 5m
            ttl: 10m
            supernode: { devices: 3, users: 2 }
          journeys: { operator: journeys, from: people, lookback: 4m, session_gap: 30s, timeout: 2m }
          credits:
            operator: attribution
            from: journeys
            models: [last_touch, time_decay]
            windows: { click: 3m, view: 1m }
            half_life: 1m
          posteriors: { operator: posteriors, from: [unique, journeys, credits], \(posteriors) }
          pacing: { operator: pacing, from: unique, every: 10s }
          bids: { operator: bids, from: [unique, posteriors, pacing] }
          safety: { operator: safety, from: [unique, bids], \(safety) }
        sinks:
          # First: what a pace causes stands behind it.
          paces: { from: pacing, log: { topic: paces } }
          bid_parameters: { from: safety, log: { topic: bid-parameters } }
          attributions: { from: credits, log: { topic: attributions } }
          estimates: { from: posteriors, log: { topic: estimates } }
          proposals: { from: bids, log: { topic: proposals } }
          alerts: { from: [people, pacing, safety], log: { topic: alerts } }
          dead_letters: { log: { topic: dead-letters } }
        """,
      file: "live.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  /// Topology file that ships.
  static func shipped(_ name: String) throws -> CheckedTopology {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Topologies/\(name).yaml").path
    return try CheckedTopology.load(path: path, registry: OperatorRegistry.all.map(\.description))
  }

  struct History {
    var records: [[UInt8]] = []
    /// What each is, beside its bytes.
    var facts: [HistoryRecord] = []
  }

  /// Generated records with orders, duplicates, late and bad ones among them; with a small budget
  /// for every campaign and day, so that some are spent.
  static func history(
    _ count: Int, seed: UInt64, duration: TimeSpan = .minutes(30), accounts: Int = 3,
    change: (inout HistorySettings) -> Void = { _ in }
  ) -> History {
    var settings = HistorySettings()
    settings.seed = seed
    settings.records = count
    settings.accounts = accounts
    settings.campaignsPerAccount = 2
    settings.adsPerCampaign = 3
    settings.usersPerAccount = 20
    settings.duration = duration
    settings.duplicatesPerMillion = 30_000
    settings.latePerMillion = 50_000
    settings.badPerMillion = 10_000
    settings.shares.click = 2_000
    settings.shares.conversion = 1_000
    settings.shares.control = 200
    change(&settings)
    var generator = HistoryGenerator(settings)
    var history = History()
    var line: [UInt8] = []
    while let fact = generator.next(into: &line) {
      if line.last == UInt8(ascii: "\n") { line.removeLast() }
      history.records.append(fact.type == .campaign ? withSmallBudget(line) : line)
      history.facts.append(fact)
      line.removeAll(keepingCapacity: true)
    }
    return history
  }

  private static func withSmallBudget(_ record: [UInt8]) -> [UInt8] {
    let text = String(decoding: record, as: UTF8.self)
    guard let daily = text.firstRange(of: #""daily":"#)?.upperBound,
      let end = text[daily...].firstIndex(of: ",")
    else { return record }
    return Array((text[..<daily] + "0.1" + text[end...]).utf8)
  }

  static func object(_ json: some StringProtocol) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] ?? [:]
  }

  /// A sink's records, by its name in `topology()`.
  static func records(_ outcome: RunOutcome, of sink: String, in topology: CheckedTopology) throws
    -> [[String: Any]]
  {
    guard let place = topology.sinks.firstIndex(where: { $0.name == sink }) else { return [] }
    return try outcome.outputs.filter { $0.hasPrefix("\(place) ") }.map {
      guard let start = $0.firstIndex(of: "{") else { return [:] }
      return try object($0[start...])
    }
  }

  /// Money or a count as a decimal in millionths.
  static func millionths(_ value: Any?) -> Int64 {
    guard let number = value as? NSNumber else { return -1 }
    return Int64((number.doubleValue * 1e6).rounded())
  }
}
