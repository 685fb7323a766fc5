import Events
import Foundation
import Operators
import Streaming
import TestKit
import Testing

enum Guarding {
  static let registry = OperatorRegistry.all + [OperatorType(Scripted.self)]

  static func topology(_ settings: NaiveSafety.Settings = .init()) throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: guarding
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          script: { operator: scripted, from: events }
          bids: { operator: bids, from: [events, script] }
          safety:
            operator: safety
            from: [events, bids]
            publish:
              change: \(settings.change)
              every: \(settings.everyMilliseconds)ms
              idle: \(settings.idleMilliseconds)ms
            valid_for: \(settings.validForMilliseconds)ms
            step_limit: \(settings.stepLimit)
        sinks:
          bid_parameters: { from: safety, log: { topic: bid-parameters } }
          alerts: { from: safety, log: { topic: alerts } }
        """,
      file: "guarding.yaml", registry: registry.map(\.description))
  }

  static func money(_ micros: Int64) -> String {
    let sign = micros < 0 ? "-" : ""
    let rest = String(micros.magnitude % 1_000_000)
    return "\(sign)\(micros.magnitude / 1_000_000)."
      + String(repeating: "0", count: 6 - rest.count) + rest
  }

  static func record(_ step: NaiveSafety.Step, id: Int) -> [UInt8] {
    var text = #""id":"e\#(id)","time":\#(step.time),"account":"\#(step.account)""#
    if let campaign = step.campaign { text += #","campaign":"\#(campaign)""# }
    if let ad = step.ad { text += #","ad":"\#(ad)""# }
    switch step.kind {
    case .estimate(let micros, let isVague, let isRefreshed):
      text += #","type":"impression","price":0.001,"bid":\#(money(micros))"#
      text += #","user":"\#(isVague ? "vague" : "known")""#
      text += #","placement":"\#(isRefreshed ? "refreshed" : "counted")""#
    case .pace(let state, let multiplier):
      text +=
        #","type":"lease","action":"request","shard":"\#(state)","amount":\#(money(multiplier))"#
    case .control(let action, let value, let until):
      text += #","type":"control","action":"\#(action)""#
      if let value { text += #","value":\#(money(value))"# }
      if let until { text += #","until":\#(until)"# }
    case .catalogue(let status, let defaultBid, let maxBid, let ceiling):
      text += #","type":"campaign""#
      if let status { text += #","status":"\#(status)""# }
      let bid = [("default", defaultBid), ("max", maxBid), ("ceiling", ceiling)].compactMap {
        name, value in value.map { #""\#(name)":\#(money($0))"# }
      }
      if !bid.isEmpty { text += #","bid":{\#(bid.joined(separator: ","))}"# }
    }
    return Array("{\(text)}".utf8)
  }

  /// Everything that can happen to a handful of ads, now fast, now slowly.
  static func steps(_ count: Int, seed: UInt64) -> [NaiveSafety.Step] {
    var choice = SeededChoice(seed: seed)
    var time: Int64 = 1_800_000_000_000
    return (0..<count).map { _ in
      time += Int64(
        choice.once(in: 30) ? choice.inside(20_000...130_000) : choice.inside(0...1_500))
      let (account, campaign, ad) = (
        choice.pick(["a", "b"]), choice.pick(["c0", "c1"]), choice.pick(["x", "y", "z"])
      )
      var step = NaiveSafety.Step(
        time: time, account: account, campaign: campaign, ad: ad,
        kind: .estimate(
          micros: Int64(choice.inside(0...20) == 0 ? 0 : choice.inside(1_000...9_000)),
          isVague: choice.once(in: 4), isRefreshed: !choice.once(in: 3)))
      switch choice.inside(0...9) {
      case 0:
        step.ad = nil
        step.kind = .pace(
          state: choice.pick(["running", "running", "running", "daily", "total", "early", "over"]),
          multiplierMillionths: choice.once(in: 3)
            ? 1_000_000 : Int64(choice.inside(50_000...999_999)))
      case 1:
        if choice.once(in: 2) { step.ad = nil }
        if step.ad == nil, choice.once(in: 3) { step.campaign = nil }
        step.kind = .control(
          action: choice.pick([
            "pause", "resume", "kill", "set_max_bid", "set_multiplier", "release", "release",
          ]),
          valueMicros: choice.once(in: 6) ? nil : Int64(choice.inside(0...2_000_000)),
          untilMilliseconds: choice.once(in: 3)
            ? nil : time + Int64(choice.inside(-500...40_000)))
      case 2 where choice.once(in: 2):
        step.ad = nil
        step.kind = .catalogue(
          status: choice.once(in: 2)
            ? choice.pick(["active", "active", "active", "paused", "ended"]) : nil,
          defaultBid: choice.once(in: 2) ? Int64(choice.inside(100...5_000)) : nil,
          maxBid: choice.once(in: 3) ? Int64(choice.inside(500...9_000)) : nil,
          ceiling: choice.once(in: 3) ? Int64(choice.inside(200_000...1_200_000)) : nil)
      default: break
      }
      // Orders and catalogue entries may be older than what came before them.
      if choice.once(in: 4), step.ad == nil || choice.once(in: 2) {
        switch step.kind {
        case .control, .catalogue: step.time -= Int64(choice.inside(0...60_000))
        case .estimate, .pace: break
        }
      }
      return step
    }
  }

  static func published(_ json: String) throws -> (key: String, NaiveSafety.Published) {
    let record = try Attributing.object(json)
    func integer(_ name: String) -> Int64 { (record[name] as? NSNumber)?.int64Value ?? -1 }
    func names(_ name: String) -> String { record[name] as? String ?? "" }
    let evidence = record["evidence"] as? [String: Any] ?? [:]
    return (
      "\(names("account"))/\(names("campaign"))/\(names("ad"))",
      NaiveSafety.Published(
        clock: integer("valid_until"), seq: integer("seq"), status: names("status"),
        bidMicros: Int64((((record["bid"] as? NSNumber)?.doubleValue ?? -1) * 1e6).rounded()),
        impressions: (evidence["impressions"] as? NSNumber)?.int64Value ?? -1,
        reasons: Set(record["reasons"] as? [String] ?? []))
    )
  }
}

@Suite struct SafetyOracleTests {
  /// What is published, and when, is what the description says, on random histories.
  @Test(arguments: 1...60 as ClosedRange<UInt64>)
  func publishesWhatItSays(seed: UInt64) throws {
    let settings = NaiveSafety.Settings()
    var naive = NaiveSafety(settings)
    let driver = try TopologyDriver(Guarding.topology(settings), registry: Guarding.registry)
    var found: [String: [NaiveSafety.Published]] = [:]
    let steps = Guarding.steps(400, seed: seed)
    for (index, step) in steps.enumerated() {
      naive.take(step)
      try driver.send(Guarding.record(step, id: index))
    }
    try driver.finish()
    naive.finish()
    for output in driver.outputs(of: "bid_parameters") {
      var (key, record) = try Guarding.published(output)
      record.clock -= settings.validForMilliseconds
      found[key, default: []].append(record)
    }
    #expect(found.values.reduce(0) { $0 + $1.count } > 150)
    for (key, expected) in naive.published.sorted(by: { $0.key < $1.key }) {
      let got = found[key] ?? []
      if let place = zip(got, expected).enumerated().first(where: { $1.0 != $1.1 }) {
        Issue.record("seed \(seed), \(key), \(place.offset): \(place.element)")
        return
      }
      #expect(got.count == expected.count, "seed \(seed), \(key)")
    }
    #expect(found.count == naive.published.count)
    #expect(driver.counter("safety.ignored_orders") == Int64(naive.ignoredOrders))
  }
}

@Suite struct SafetyTests {
  private func history(_ seed: UInt64) -> [[UInt8]] {
    Guarding.steps(250, seed: seed).enumerated().map { Guarding.record($1, id: $0) }
  }

  @Test func bidsKeepTheContract() throws {
    var contract = OperatorContract(
      of: Bids.self, named: "bids",
      topology: try CheckedTopology.parse(
        text: """
          topology: contract
          time: { max_gap: 3660d }
          sources:
            events: { log: { directory: data, topics: [events] } }
          operators:
            script: { operator: scripted, from: events }
            bids: { operator: bids, from: [events, script] }
          sinks:
            proposals: { from: bids, log: { topic: proposals } }
          """,
        file: "contract.yaml", registry: Guarding.registry.map(\.description)),
      registry: Guarding.registry, history: history)
    contract.eventTypes = [.impression]
    let violations = try contract.violations()
    #expect(violations == [], "\(violations)")
  }

  @Test func safetyKeepsTheContract() throws {
    var contract = OperatorContract(
      of: Safety.self, named: "safety", topology: try Guarding.topology(),
      registry: Guarding.registry, history: history)
    contract.eventTypes = [.impression]
    contract.holdsBack = true
    let violations = try contract.violations()
    #expect(violations == [], "\(violations)")
  }

  /// At most one record a second and ad, except stops.
  @Test func recordsAreASecondApart() throws {
    let driver = try TopologyDriver(Guarding.topology(), registry: Guarding.registry)
    for (index, step) in Guarding.steps(2_000, seed: 99).enumerated() {
      try driver.send(Guarding.record(step, id: index))
    }
    var last: [String: Int64] = [:]
    var (records, stops) = (0, 0)
    for output in driver.outputs(of: "bid_parameters") {
      let (key, record) = try Guarding.published(output)
      let bids = record.status == "learning" || record.status == "active"
      if bids {
        if let last = last[key] { #expect(record.clock - last >= 1_000, "\(output)") }
      } else {
        stops += 1
        #expect(record.bidMicros == 0)
      }
      last[key] = record.clock
      records += 1
    }
    #expect(records > 500 && stops > 100)
  }

  /// An order for an ad without its campaign holds for every ad of that name.
  @Test func anOrderFindsItsAd() throws {
    let driver = try TopologyDriver(Guarding.topology(), registry: Guarding.registry)
    let start: Int64 = 1_800_000_000_000
    for (index, campaign) in ["c0", "c1"].enumerated() {
      try driver.send(
        Guarding.record(
          .init(
            time: start, account: "a", campaign: campaign, ad: "x",
            kind: .estimate(micros: 5_000, isVague: false, isRefreshed: true)), id: index))
    }
    _ = driver.outputs(of: "bid_parameters")
    func order(_ ad: String, id: Int) throws {
      try driver.send(
        #"{"type":"control","id":"o\#(id)","time":\#(start + 2_000),"account":"a","ad":"\#(ad)","action":"kill"}"#
      )
    }
    try order("x", id: 1)
    let stopped = try driver.outputs(of: "bid_parameters").map { try Guarding.published($0) }
    #expect(stopped.map(\.key) == ["a/c0/x", "a/c1/x"])
    #expect(stopped.allSatisfy { $0.1.status == "killed" && $0.1.bidMicros == 0 })
    try order("nobody", id: 2)
    #expect(driver.outputs(of: "bid_parameters").isEmpty)
    let alerts = driver.outputs(of: "alerts")
    #expect(alerts.count == 1 && alerts[0].contains("not known"))
  }
}
