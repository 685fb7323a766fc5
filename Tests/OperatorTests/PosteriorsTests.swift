import Events
import Learning
import Operators
import Streaming
import TestKit
import Testing

@Suite struct PosteriorsTests {
  /// A driver and events of one account.
  struct Scene {
    let driver: TopologyDriver
    var count = 0
    /// A full hour.
    let start: Int64 = 1_800_000_000_000

    init(_ settings: String = "") throws {
      driver = try Attributing.driver(Estimating.topology(settings))
    }

    mutating func send(
      _ type: String, ad: String = "a0", campaign: String = "c0", at time: Int64,
      user: String? = nil, consent: Bool = true, viewable: Bool = true, value: Int64 = 0
    ) throws {
      count += 1
      var event = TestEvent()
      event.type = type
      event.id = "e\(count)"
      event.time = start + time
      event.campaign = campaign
      event.ad = ad
      event.user = user ?? "u\(count)"
      event.consent = consent
      event.viewable = viewable
      event.value = value
      try driver.send(event.json)
    }

    func advance(_ time: Int64) throws {
      try driver.advance(to: EventTime(milliseconds: start + time))
    }

    func estimates() throws -> [[String: Any]] {
      try driver.outputs(of: "estimates").map { try Attributing.object($0) }
    }

    /// The newest record of each ad.
    func newest() throws -> [String: [String: Any]] {
      var newest: [String: [String: Any]] = [:]
      for estimate in try estimates() { newest[estimate["ad"] as? String ?? ""] = estimate }
      return newest
    }
  }

  let second: Int64 = 1_000
  let minute: Int64 = 60_000

  @Test func anUnknownAdIsBelievedToBeWhatThePriorSays() throws {
    var scene = try Scene("prior: { ctr: 0.01, cvr: 0.1 }")
    try scene.send("impression", at: 0)
    let first = try #require(try scene.estimates().first)
    #expect(Estimating.number(first, "ctr", "mean") == 0.01)
    #expect(Estimating.number(first, "ctr", "alpha") == 0.5)
    #expect(Estimating.number(first, "cvr", "mean") == 0.1)
    #expect(Estimating.number(first, "share") == 1)
    #expect(first["deviation"] == nil, "nothing is known of values")
    let draw = Estimating.number(first, "ctr", "draw")
    #expect(draw > 0 && draw < 1)
  }

  @Test func evidenceIsAtOnceAndBeliefWaits() throws {
    var scene = try Scene()
    for i in 0..<20 { try scene.send("impression", at: Int64(i) * second) }
    try scene.send("impression", at: 30 * second, consent: false, viewable: false)
    try scene.send("click", at: 40 * second)
    let now = try #require(try scene.newest()["a0"])
    #expect(Estimating.number(now, "evidence", "impressions") == 21)
    #expect(Estimating.number(now, "evidence", "clicks") == 1)
    #expect(Estimating.micros(now, "evidence", "spend") == 21_000)
    #expect(Estimating.number(now, "ctr", "alpha") == 0.25)
    // Five minutes behind the end of the minute.
    try scene.advance(6 * minute - second)
    #expect(try scene.estimates().isEmpty)
    try scene.advance(6 * minute)
    let matured = try scene.estimates()
    #expect(matured.count == 1)
    #expect(Estimating.number(matured[0], "ctr", "alpha") > 1.1)
    #expect(Estimating.number(matured[0], "cvr", "beta") == 49)
    // The click is a trial of the conversion rate 40 minutes behind the end of its hour.
    try scene.advance(100 * minute - second)
    #expect(try scene.estimates().isEmpty)
    try scene.advance(100 * minute)
    let trial = try #require(try scene.newest()["a0"])
    #expect(Estimating.number(trial, "cvr", "beta") > 49.4)
  }

  @Test func aCampaignIsAPriorOfItsAds() throws {
    var scene = try Scene()
    for i in 0..<200 {
      try scene.send("impression", ad: "good", campaign: "c1", at: Int64(i) * second / 4)
      if i % 4 == 0 { try scene.send("click", ad: "good", campaign: "c1", at: Int64(i) * 250) }
      try scene.send("impression", ad: "bad", campaign: "c2", at: Int64(i) * second / 4)
    }
    try scene.advance(6 * minute)
    try scene.send("impression", ad: "new-1", campaign: "c1", at: 7 * minute)
    try scene.send("impression", ad: "new-2", campaign: "c2", at: 7 * minute)
    try scene.send("impression", ad: "new-3", campaign: "c3", at: 7 * minute)
    let newest = try scene.newest()
    func rate(_ ad: String) -> Double { Estimating.number(newest[ad] ?? [:], "ctr", "mean") }
    #expect(rate("new-1") > rate("new-3") && rate("new-3") > rate("new-2"))
    #expect(rate("new-2") > 0.01, "the account's other clicks count")
    #expect(rate("good") > rate("new-1"))
  }

  @Test func valuesMakeReturnAndShare() throws {
    var scene = try Scene("share_floor: 0.1")
    for i in 0..<400 {
      let time = Int64(i) * second / 2
      try scene.send("impression", ad: "rich", at: time)
      try scene.send("impression", ad: "poor", at: time)
      guard i % 10 == 0 else { continue }
      for ad in ["rich", "poor"] {
        try scene.send("click", ad: ad, at: time + 100, user: "\(ad)-\(i)")
        guard i % 20 == 0 else { continue }
        try scene.send(
          "conversion", at: time + 200, user: "\(ad)-\(i)",
          value: ad == "rich" ? 10_000_000 : 1_000_000)
      }
    }
    let early = try scene.newest()
    #expect(Estimating.number(early["rich"] ?? [:], "evidence", "conversions") == 20)
    #expect(Estimating.micros(early["poor"] ?? [:], "evidence", "value") == 20_000_000)
    try scene.advance(101 * minute)
    let late = try scene.newest()
    let (rich, poor) = (late["rich"] ?? [:], late["poor"] ?? [:])
    let share = Estimating.number(rich, "share")
    #expect(share > 0.9 && share <= 0.95)
    #expect((share + Estimating.number(poor, "share") - 1).magnitude < 2e-6)
    #expect(Estimating.number(rich, "value", "per_conversion") > 7)
    #expect(Estimating.number(poor, "value", "per_conversion") < 3)
    let (low, mean, high) = (
      Estimating.number(rich, "roas", "low"), Estimating.number(rich, "roas", "mean"),
      Estimating.number(rich, "roas", "high")
    )
    #expect(0 < low && low < mean && mean < high)
    let deviation = Estimating.number(rich, "deviation")
    #expect(deviation > 0 && deviation < 0.6)
  }

  /// A conversion that only an impression preceded is worth something to impressions.
  @Test func viewsAreCreditedToImpressions() throws {
    var scene = try Scene()
    for i in 0..<100 { try scene.send("impression", at: Int64(i) * second, user: "u\(i)") }
    for i in 0..<10 {
      try scene.send("conversion", at: 3 * minute, user: "u\(i)", value: 5_000_000)
    }
    try scene.advance(101 * minute)
    let estimate = try #require(try scene.newest()["a0"])
    #expect(Estimating.number(estimate, "evidence", "conversions") == 10)
    #expect(Estimating.number(estimate, "cvr", "alpha") == 1, "no click converted")
    // Of 100 impressions 10 converted, shrunk to what the account and the campaign had.
    let perImpression = Estimating.number(estimate, "value", "per_impression")
    #expect(perImpression > 0.3 && perImpression < 0.5)
  }

  @Test func manyAdsShareAllTheBudget() throws {
    var scene = try Scene()
    var shares: [String: Double] = [:]
    for i in 0..<80 {
      try scene.send("impression", ad: "a\(i)", at: Int64(i) * 100)
      if i == 40 { try scene.send("click", ad: "a3", at: Int64(i) * 100 + 50) }
    }
    try scene.advance(10 * minute)
    for estimate in try scene.estimates() {
      shares[estimate["ad"] as? String ?? ""] = Estimating.number(estimate, "share")
    }
    #expect(shares.count == 80)
    #expect((shares.values.reduce(0, +) - 1).magnitude < 80e-6)
    #expect(shares.values.allSatisfy { $0 >= 0.05 / 80 - 1e-6 })
    #expect(shares.max { $0.value < $1.value }?.key == "a3")
  }

  @Test func aClickIsNotBelievedBeforeItCanConvert() {
    #expect(throws: TopologyError.self) {
      _ = try Attributing.driver(
        try CheckedTopology.parse(
          text: """
            topology: estimates
            sources:
              events: { log: { directory: data, topics: [events] } }
            operators:
              people: { operator: identity, from: events, key: secret }
              journeys: { operator: journeys, from: people }
              credits: { operator: attribution, from: journeys }
              beliefs:
                operator: posteriors
                from: [journeys, credits]
                maturity: { click: 2h, conversion: 1h }
            sinks:
              estimates: { from: beliefs, log: { topic: estimates } }
            """,
          file: "estimates.yaml", registry: OperatorRegistry.all.map(\.description)))
    }
  }

  @Test func keepsTheContract() throws {
    var contract = OperatorContract(
      of: Posteriors.self, named: "beliefs", topology: try Estimating.topology(sinks: false),
      registry: OperatorRegistry.all
    ) { Estimating.history(250, seed: $0, duration: .hours(3), accounts: 4) }
    contract.eventTypes = [.impression, .click]
    contract.stateExpiresAfter = .hours(12)
    #expect(try contract.violations() == [])
  }

  @Test func survivesFaults() throws {
    try WholeHistories(topology: Estimating.topology(sinks: false))
      .expectFaultsAreSurvived(seeds: 1...15, least: 5) {
        Estimating.history(200, seed: $0, duration: .hours(3))
      }
  }

  /// A draw belongs to its posterior and to how often was drawn before: each is another one, and
  /// where a posterior puts them they are even.
  @Test func drawsFollowTheirPosteriors() throws {
    var scene = try Scene()
    var places: [Double] = []
    for i in 0..<240 as Range<Int64> {
      for ad in ["a0", "a1", "a2"] {
        try scene.send("impression", ad: ad, at: i * minute + 500)
        if i % 3 == 0 { try scene.send("click", ad: ad, at: i * minute + 900) }
      }
    }
    try scene.advance(300 * minute)
    for estimate in try scene.estimates() {
      let posterior = BetaDistribution(
        alpha: Estimating.number(estimate, "ctr", "alpha"),
        beta: Estimating.number(estimate, "ctr", "beta"))
      places.append(posterior.cdf(Estimating.number(estimate, "ctr", "draw")))
    }
    // Records in which only evidence moved repeat the draw of the one before.
    let drawn = Set(places.map { Int(($0 * 1e6).rounded()) })
    #expect(drawn.count > 600)
    let mean = Double(drawn.reduce(0, +)) / 1e6 / Double(drawn.count)
    #expect((mean - 0.5).magnitude < 4 / (12 * Double(drawn.count)).squareRoot())
    for tenth in 0..<10 {
      let count = drawn.count { $0 / 100_000 == tenth }
      #expect(count > drawn.count / 20 && count < drawn.count / 5, "tenth \(tenth)")
    }
  }

  /// Events that jump between two times share their slots' buckets.
  @Test func disorderCostsNoMemory() throws {
    let driver = try PartitionDriver(Estimating.topology(""), registry: OperatorRegistry.all)
    let start: Int64 = 1_800_000_000_000
    var sizes: [Int] = []
    for round in 0..<6 as Range<Int64> {
      var records: [[UInt8]] = []
      for i in 0..<500 as Range<Int64> {
        var event = TestEvent()
        event.id = "e\(round)-\(i)"
        event.time = start + round * 1_000 + i - (i % 3) * 2 * minute
        event.user = "u\(i % 5)"
        records.append(event.json)
      }
      try driver.send(records)
      sizes.append(driver.stateBytes(of: "beliefs"))
    }
    #expect(sizes[0] > 0 && sizes[5] <= sizes[0] + 100, "\(sizes)")
  }
}

extension PosteriorsTests {
  /// Conversions that cost more than they bring are known as such; nothing is bid for them.
  @Test func aLossIsKnownToBeOne() throws {
    var scene = try Scene()
    for i in 0..<300 {
      let time = Int64(i) * second
      for (ad, campaign) in [("good", "c1"), ("bad", "c2")] {
        try scene.send("impression", ad: ad, campaign: campaign, at: time)
        guard i % 3 == 0 else { continue }
        try scene.send("click", ad: ad, campaign: campaign, at: time + 100, user: "\(ad)-\(i)")
        try scene.send(
          "conversion", at: time + 200, user: "\(ad)-\(i)",
          value: ad == "good" ? 9_000_000 : -2_000_000)
      }
    }
    try scene.advance(101 * minute)
    let newest = try scene.newest()
    let (good, bad) = (newest["good"] ?? [:], newest["bad"] ?? [:])
    #expect(Estimating.number(good, "value", "per_impression") > 0)
    #expect(Estimating.number(bad, "value", "per_impression") < 0)
    #expect(Estimating.number(bad, "deviation") < 1)
    #expect(Estimating.number(bad, "roas", "mean") < 0)
    #expect(Estimating.number(bad, "roas", "low") == Estimating.number(bad, "roas", "high"))
  }
}
