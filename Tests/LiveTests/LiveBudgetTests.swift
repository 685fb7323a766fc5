import Events
import Foundation
import Operators
import Streaming
import TestKit
import Testing

/// A spent budget stops its campaign with the event that spent it, until the campaign's own
/// midnight, whatever the length of the day.
@Suite struct LiveBudgetTests {
  struct Day: CustomStringConvertible, Sendable {
    var zone: String
    /// Its beginning and its end in ms: numbers from the IANA database.
    var start: Int64
    var end: Int64
    var description: String { "\(zone), \((end - start) / 3_600_000) h" }
  }

  static let days = [
    Day(zone: "UTC", start: 1_774_656_000_000, end: 1_774_742_400_000),
    // 29 March 2026: 23 hours.
    Day(zone: "Europe/Berlin", start: 1_774_738_800_000, end: 1_774_821_600_000),
    // 25 October 2026: 25 hours.
    Day(zone: "Europe/Berlin", start: 1_792_879_200_000, end: 1_792_969_200_000),
    // 8 March and 1 November 2026.
    Day(zone: "America/New_York", start: 1_772_946_000_000, end: 1_773_028_800_000),
    Day(zone: "America/New_York", start: 1_793_505_600_000, end: 1_793_595_600_000),
    Day(zone: "Asia/Kolkata", start: 1_774_636_200_000, end: 1_774_722_600_000),
  ]

  @Test(arguments: days)
  func nothingIsBidUntilTheCampaignsMidnight(day: Day) throws {
    let driver = try TopologyDriver(Living.shipped("live"), registry: OperatorRegistry.all)
    try driver.send(
      #"{"type":"campaign","id":"k","time":\#(day.start),"account":"a","campaign":"c","#
        + #""timezone":"\#(day.zone)","budget":{"daily":1},"bid":{"default":0.01}}"#)
    var id = 0
    func impression(at time: Int64, _ price: String) throws {
      id += 1
      try driver.send(
        #"{"type":"impression","id":"i\#(id)","time":\#(time),"account":"a","campaign":"c","#
          + #""ad":"x\#(id % 3)","price":\#(price)}"#)
    }
    // A campaign that nothing limits goes on meanwhile.
    func other(at time: Int64) throws {
      id += 1
      try driver.send(
        #"{"type":"impression","id":"o\#(id)","time":\#(time),"account":"a","campaign":"d","#
          + #""ad":"y","price":0.001}"#)
    }
    for minute in 0..<30 as Range<Int64> {
      try impression(at: day.start + minute * 60_000, "0.03")
    }
    #expect(try statuses(driver).values.allSatisfy { $0 == "learning" || $0 == "active" })
    // 0.90 is spent; this one reaches the budget.
    let spent = day.start + 30 * 60_000 + 17
    try impression(at: spent, "0.10")
    let stopped = try statuses(driver)
    #expect(stopped == ["x0": "exhausted", "x1": "exhausted", "x2": "exhausted"])

    // Whatever still arrives: nothing bids before midnight.
    for time in stride(from: spent + 60_000, to: day.end, by: 37 * 60_000) {
      try impression(at: time, "0.01")
      try other(at: time + 1)
    }
    try driver.advance(to: EventTime(milliseconds: day.end - 1_000))
    for record in try records(driver) where record["campaign"] as? String == "c" {
      #expect(record["status"] as? String == "exhausted")
      #expect((record["bid"] as? NSNumber)?.doubleValue == 0)
      #expect((record["max_bid"] as? NSNumber)?.doubleValue == 0)
    }
    // At midnight all three bid again, at once.
    try driver.advance(to: EventTime(milliseconds: day.end))
    let again = try records(driver).filter { $0["campaign"] as? String == "c" }
    #expect(Set(again.compactMap { $0["ad"] as? String }) == ["x0", "x1", "x2"])
    for record in again {
      #expect(["learning", "active"].contains(record["status"] as? String))
      #expect(((record["bid"] as? NSNumber)?.doubleValue ?? 0) > 0)
      #expect((record["time"] as? NSNumber)?.int64Value == day.end)
    }
  }

  /// Histories in which budgets are spent again and again: between the event that spends one and
  /// the campaign's midnight no record of the campaign bids.
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func noHistoryBidsBeyondItsBudget(seed: UInt64) throws {
    let topology = try Living.topology()
    let history = Living.history(2_500, seed: seed, duration: .days(3), accounts: 2)
    let outcome = try Replaying(topology: topology, registry: OperatorRegistry.all)
      .run(history.records)
    var exhausted: [String: Bool] = [:]
    var stops = 0
    var checked = 0
    // Outputs stand in the order in which they were made, paces before what they cause.
    for output in outcome.outputs {
      guard let start = output.firstIndex(of: "{") else { continue }
      let sink = topology.sinks[Int(output.prefix { $0 != " " }) ?? 0].name
      guard sink == "paces" || sink == "bid_parameters" else { continue }
      let record = try Living.object(output[start...])
      let campaign = "\(record["account"] ?? "")/\(record["campaign"] ?? "")"
      if sink == "paces" {
        let isExhausted = (record["state"] as? String)?.hasSuffix("exhausted") ?? false
        if isExhausted, exhausted[campaign] != true { stops += 1 }
        exhausted[campaign] = isExhausted
      } else if exhausted[campaign] == true {
        checked += 1
        #expect((record["bid"] as? NSNumber)?.doubleValue == 0, "seed \(seed): \(output)")
      }
    }
    #expect(stops > 0 && checked > 0)
  }

  private func records(_ driver: TopologyDriver) throws -> [[String: Any]] {
    try driver.outputs(of: "bid_parameters").map { try Living.object($0) }
  }

  /// The newest status of each ad of the campaign `c`, of what was published since the last call.
  private func statuses(_ driver: TopologyDriver) throws -> [String: String] {
    var found: [String: String] = [:]
    for record in try records(driver) where record["campaign"] as? String == "c" {
      found[record["ad"] as? String ?? ""] = record["status"] as? String
    }
    return found
  }
}
