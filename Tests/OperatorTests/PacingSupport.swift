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

/// Histories of several accounts over days in which clocks change, as records and as facts.
struct PacingWorld {
  struct Fact {
    var type: EventType
    var time: Int64
    var campaign: String
    var micros: Int64 = 0
    var daily: Int64?
    var total: Int64?
    var zone: String?
    var start: Int64?
    var end: Int64?

    var record: [UInt8] {
      let names = campaign.split(separator: "/")
      var text =
        #"{"type":"\#(type == .campaign ? "campaign" : type == .click ? "click" : "impression")""#
        + #","id":"\#(campaign)-\#(time)-\#(micros)","time":\#(time),"account":"\#(names[0])""#
        + #","campaign":"\#(names[1])""#
      if type != .campaign { text += #","ad":"a","price":\#(PacingHistory.money(micros))"# }
      var budget: [String] = []
      if let daily { budget.append(#""daily":\#(PacingHistory.money(daily))"#) }
      if let total { budget.append(#""total":\#(PacingHistory.money(total))"#) }
      if !budget.isEmpty { text += #","budget":{"# + budget.joined(separator: ",") + "}" }
      var schedule: [String] = []
      if let start { schedule.append(#""start":\#(start)"#) }
      if let end { schedule.append(#""end":\#(end)"#) }
      if !schedule.isEmpty { text += #","schedule":{"# + schedule.joined(separator: ",") + "}" }
      if let zone { text += #","timezone":"\#(zone)""# }
      return Array((text + "}").utf8)
    }
  }

  /// Zones and where their days begin in the histories' time, written down by hand: clocks of
  /// Berlin change on 2026-03-29, those of New York three weeks before.
  static let zones = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]
  static let first = PacingHistory.time("2026-03-28T06:00:00Z")

  static func midnights(_ zone: String) -> [Int64] {
    let (hour, day): (Int64, Int64) = (3_600_000, 86_400_000)
    let days = (-2...20 as ClosedRange<Int64>).map {
      PacingHistory.time("2026-03-28T00:00:00Z") + $0 * day
    }
    switch zone {
    case "Europe/Berlin":
      // The 29th is the last day that begins in winter time.
      return days.map {
        $0 <= PacingHistory.time("2026-03-29T00:00:00Z") ? $0 - hour : $0 - 2 * hour
      }
    case "America/New_York": return days.map { $0 + 4 * hour }
    case "Asia/Kathmandu": return days.map { $0 - 5 * hour - hour / 4 * 3 }
    default: return days
    }
  }

  /// - Parameter lateMax: How far time may go back from one record to the next, in ms.
  static func facts(
    _ count: Int, seed: UInt64, accounts: Int = 4, hours: Int64 = 60, lateMax: Int64
  )
    -> [Fact]
  {
    var random = SplitMix64(seed: seed)
    func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
    var facts: [Fact] = []
    var time = first
    let step = Int(hours * 3_600_000) / count
    for number in 0..<count {
      time += Int64(below(2 * step))
      let account = below(accounts)
      let name = "acct-\(account)/c\(below(2))"
      let late = lateMax > 0 && below(8) == 0 ? Int64(below(Int(lateMax))) : 0
      if number < accounts * 2 || below(40) == 0 {
        var fact = Fact(
          type: .campaign, time: time,
          campaign: number < accounts * 2 ? "acct-\(number / 2)/c\(number % 2)" : name)
        // The last account's campaigns have no budget at first.
        if number < accounts * 2 - 1 || below(3) == 0 {
          fact.daily = Int64(below(40) + 1) * 100_000
        }
        if below(3) == 0 { fact.total = Int64(below(100) + 20) * 100_000 }
        if number < accounts * 2 {
          fact.zone = zones[below(zones.count)]
          if below(4) == 0 { fact.start = first + Int64(below(20)) * 3_600_000 }
          if below(4) == 0 { fact.end = first + Int64(below(40) + 20) * 3_600_000 }
        }
        facts.append(fact)
      } else {
        facts.append(
          Fact(
            type: below(4) == 0 ? .click : .impression, time: time - late, campaign: name,
            micros: Int64(below(300_000) + 1)))
      }
    }
    return facts
  }
}

/// What `pacing` should say of states and spend, recounted from the facts of one campaign by
/// walking through all of them. Knows nothing of the pace.
struct NaivePacing {
  struct Saying: Equatable {
    var time: Int64
    var state: String
    var spentToday: Int64
    var spentTotal: Int64
  }

  private var daily: Int64?
  private var total: Int64?
  private var zone = "UTC"
  private var start: Int64?
  private var end: Int64?
  private var dayStart = Int64.min
  private var dayEnd = Int64.min
  private var today: Int64 = 0
  private var spent: Int64 = 0
  private var state = "running"
  private(set) var sayings: [Saying] = []

  init(_ facts: [PacingWorld.Fact], until last: Int64) {
    var newest = Int64.min
    for fact in facts {
      newest = max(newest, fact.time)
      walk(to: newest, thenEvent: true)
      if fact.type == .campaign {
        daily = fact.daily ?? daily
        total = fact.total ?? total
        zone = fact.zone ?? zone
        start = fact.start ?? start
        end = fact.end ?? end
        findDay(newest)
      } else {
        spent += fact.micros
        if fact.time >= dayStart { today += fact.micros }
      }
      settle(at: newest, time: fact.time)
    }
    walk(to: last, thenEvent: false)
  }

  private mutating func findDay(_ time: Int64) {
    let midnights = PacingWorld.midnights(zone)
    dayStart = midnights.last { $0 <= time } ?? Int64.min
    dayEnd = midnights.first { $0 > time } ?? Int64.max
  }

  /// Everything that time alone does, in its order; whole seconds are clock entries.
  private mutating func walk(to time: Int64, thenEvent: Bool) {
    if dayEnd == Int64.min { findDay(time) }
    while true {
      let next = [dayEnd, start ?? Int64.max, end ?? Int64.max].filter { $0 > walked }.min()
      guard let next, next <= time else { break }
      walked = next
      if next == dayEnd {
        findDay(next)
        today = 0
      }
      settle(at: next, time: next)
    }
    walked = max(walked, time)
  }
  private var walked = Int64.min

  private mutating func settle(at now: Int64, time: Int64) {
    let next =
      if let end, now >= end { "ended" } else if let start, now < start {
        "not_started"
      } else if let total, spent >= total { "total_exhausted" } else if let daily, today >= daily {
        "daily_exhausted"
      } else {
        "running"
      }
    guard next != state else { return }
    state = next
    sayings.append(Saying(time: time, state: state, spentToday: today, spentTotal: spent))
  }
}
