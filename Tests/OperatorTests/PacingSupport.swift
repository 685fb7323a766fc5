import Events
import Foundation
import Operators
import Streaming
import TestKit

/// Topologies and records for the tests of `pacing`.
enum PacingHistory {
  static func topology(_ settings: String = "every: 1m", tick: String = "1s") throws
    -> CheckedTopology
  {
    try CheckedTopology.parse(
      text: """
        topology: pacing
        time: { tick: \(tick), out_of_orderness: 5s, max_gap: 3660d }
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          pace: { operator: pacing, from: events, \(settings) }
        sinks:
          paces: { from: pace, log: { topic: paces } }
          alerts: { from: pace, log: { topic: alerts } }
          dead_letters: { log: { topic: dead-letters } }
        """,
      file: "pacing.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  static func driver(_ settings: String = "every: 1m", tick: String = "1s") throws
    -> TopologyDriver
  {
    try TopologyDriver(topology(settings, tick: tick), registry: OperatorRegistry.all)
  }

  static func time(_ text: String) -> Int64 { EventTime(rfc3339: text)?.milliseconds ?? -1 }

  static func money(_ micros: Int64) -> String {
    let digits = String(micros % 1_000_000)
    return "\(micros / 1_000_000)." + String(repeating: "0", count: 6 - digits.count) + digits
  }

  private static func record(_ type: String, _ time: Int64, _ rest: String) -> String {
    #"{"type":"\#(type)","id":"\#(time)","time":\#(time),"account":"acme","campaign":"c""#
      + rest + "}"
  }

  static func impression(_ time: Int64, _ micros: Int64) -> String {
    record("impression", time, #","ad":"a","price":\#(money(micros))"#)
  }

  static func click(_ time: Int64, _ micros: Int64) -> String {
    record("click", time, #","ad":"a","price":\#(money(micros))"#)
  }

  static func campaign(_ time: Int64, _ fields: String) -> String {
    record("campaign", time, fields.isEmpty ? "" : "," + fields)
  }
}

/// A record of `paces` as a test reads it.
struct Pace: Equatable, CustomStringConvertible {
  var campaign: String
  var time: Int64
  var state: String
  var pacing: Double
  var mu: Double
  var spentToday: Int64
  var spentTotal: Int64
  var budgetToday: Int64?
  var budgetTotal: Int64?
  var isFromClock: Bool

  init?(_ text: String) throws {
    guard let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
      let account = object["account"] as? String, let campaign = object["campaign"] as? String,
      let time = object["time"] as? NSNumber, let state = object["state"] as? String,
      let pacing = object["pacing"] as? Double, let mu = object["mu"] as? Double,
      let today = object["spent_today"] as? NSNumber,
      let total = object["spent_total"] as? NSNumber
    else { return nil }
    func micros(_ number: NSNumber) -> Int64 {
      Int64(exactly: (number.doubleValue * 1e6).rounded()) ?? Int64.max
    }
    self.campaign = "\(account)/\(campaign)"
    self.time = time.int64Value
    self.state = state
    self.pacing = pacing
    self.mu = mu
    spentToday = micros(today)
    spentTotal = micros(total)
    budgetToday = (object["budget_today"] as? NSNumber).map(micros)
    budgetTotal = (object["budget_total"] as? NSNumber).map(micros)
    isFromClock = text.contains(#""source":{"clock""#)
  }

  var description: String {
    "\(campaign) \(EventTime(milliseconds: time)) \(state) \(spentToday) of "
      + "\(budgetToday ?? -1), \(spentTotal) of \(budgetTotal ?? -1)"
  }
}

extension TopologyDriver {
  func paces() throws -> [Pace] { try outputs(of: "paces").compactMap { try Pace($0) } }

  func send(_ records: [String]) throws {
    for record in records { try send(record) }
  }
}
