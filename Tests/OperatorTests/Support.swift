import Events
import Foundation
import Operators
import Simulation
import Streaming
import TestKit

/// Attribution with windows of minutes, so that short histories reach everything.
enum Attributing {
  static let models = ["last_touch", "first_touch", "linear", "time_decay", "position"]

  static func topology(
    people: String = "device_ttl: 5m, ttl: 10m, supernode: { devices: 3, users: 2 }",
    journeys: String = "lookback: 4m, max_touches: 6, session_gap: 30s, timeout: 2m",
    credits: String = "windows: { click: 3m, view: 1m }, half_life: 1m, views: only_without_clicks",
    key: String = "a secret"
  ) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: attribution
        time: { out_of_orderness: 5s }
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          unique: { operator: deduplicate, from: events, within: 1h }
          people: { operator: identity, from: unique, key: "\(key)", \(people) }
          journeys: { operator: journeys, from: people, \(journeys) }
          credits:
            operator: attribution
            from: journeys
            models: [\(models.joined(separator: ", "))]
            primary: linear
            \(credits.replacing(", views", with: "\n    views").replacing(
                ", half_life", with: "\n    half_life"))
        sinks:
          attributions: { from: credits, log: { topic: attributions } }
          alerts: { from: people, log: { topic: alerts } }
          interactions: { from: journeys, log: { topic: interactions } }
          touches: { from: journeys, log: { topic: touches } }
          dead_letters: { log: { topic: dead-letters } }
        """,
      file: "attribution.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  /// People and journeys with times of hours, credits, and behind them what is asked for.
  static func topology(
    behind operation: String, views: String? = nil, sinks: [String]
  ) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: behind
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
            \(views.map { "views: \($0)" } ?? "")
          \(operation)
        sinks:
          \(sinks.joined(separator: "\n  "))
        """.split(separator: "\n").filter { !$0.allSatisfy { $0 == " " } }.joined(separator: "\n"),
      file: "behind.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  static func sink(_ stream: String, from step: String) -> String {
    "\(stream): { from: \(step), log: { topic: \(stream) } }"
  }

  /// Records with clicks and conversions in numbers, none of them late.
  static func onTime(
    _ count: Int, seed: UInt64, duration: TimeSpan, accounts: Int = 3,
    change: (inout HistorySettings) -> Void = { _ in }
  ) -> [[UInt8]] {
    history(count, seed: seed, duration: duration, accounts: accounts) {
      $0.latePerMillion = 0
      change(&$0)
    }
  }

  static func driver(_ topology: CheckedTopology) throws -> TopologyDriver {
    try TopologyDriver(topology, registry: OperatorRegistry.all)
  }

  /// Records of a sink, by its place in the topology.
  static func records(_ outcome: RunOutcome, of sink: Int) throws -> [[String: Any]] {
    try outcome.outputs.filter { $0.hasPrefix("\(sink) ") }.map {
      let value = $0[$0.firstIndex(of: "{")!...]
      return try object(String(value))
    }
  }

  static func object(_ json: String) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] ?? [:]
  }

  /// Generated records with duplicates, late and bad ones among them.
  static func history(
    _ count: Int, seed: UInt64, duration: TimeSpan = .minutes(30), accounts: Int = 3,
    change: (inout HistorySettings) -> Void = { _ in }
  ) -> [[UInt8]] {
    var settings = HistorySettings()
    settings.seed = seed
    settings.records = count
    settings.accounts = accounts
    settings.campaignsPerAccount = 2
    settings.adsPerCampaign = 3
    settings.usersPerAccount = 8
    settings.duration = duration
    settings.duplicatesPerMillion = 30_000
    settings.latePerMillion = 50_000
    settings.badPerMillion = 10_000
    settings.shares.click = 2_000
    settings.shares.conversion = 1_000
    settings.shares.dealStage = 400
    change(&settings)
    var generator = HistoryGenerator(settings)
    var records: [[UInt8]] = []
    var line: [UInt8] = []
    while generator.next(into: &line) != nil {
      if line.last == 0x0A { line.removeLast() }
      records.append(line)
    }
    return records
  }
}

/// An event of a test, and its record.
struct TestEvent {
  var type = "impression"
  var id = ""
  var time: Int64 = 0
  var account = "acme"
  var campaign = "c0"
  var ad = "a0"
  var user: String?
  var device: String?
  var clickID: String?
  var consent = true
  var viewable = true
  var value: Int64 = 0

  var json: [UInt8] {
    var text = #"{"type":"\#(type)","id":"\#(id)","time":\#(time),"account":"\#(account)""#
    switch type {
    case "impression":
      text += #","campaign":"\#(campaign)","ad":"\#(ad)","price":0.001,"viewable":\#(viewable)"#
    case "click": text += #","campaign":"\#(campaign)","ad":"\#(ad)""#
    case "conversion":
      let micros = String(value % 1_000_000)
      let zeros = String(repeating: "0", count: 6 - micros.count)
      text += #","value":\#(value / 1_000_000).\#(zeros)\#(micros)"#
    case "deal_stage": text += #","deal":"d","stage":"lead""#
    default: break
    }
    if let user { text += #","user":"\#(user)""# }
    if let device { text += #","device":"\#(device)""# }
    if let clickID, type != "erasure" { text += #","click_id":"\#(clickID)""# }
    if !consent { text += #","consent":false"# }
    return Array((text + "}").utf8)
  }
}
