import Events
import Operators
import Streaming
import TestKit
import Testing

@Suite struct JourneyTests {
  private static let start: Int64 = 1_800_000_000_000
  private static let day: Int64 = 86_400_000

  /// One person's way, told in milliseconds from the start.
  private final class Way {
    let driver: TopologyDriver
    private var count = 0

    init(_ journeys: String = "", credits: String = "half_life: 7d") throws {
      driver = try Attributing.driver(
        Attributing.topology(
          people: "device_ttl: 30d, ttl: 90d", journeys: journeys, credits: credits))
    }

    /// Returns the interaction's record.
    @discardableResult
    func step(
      _ type: String, at offset: Int64, ad: String = "a", viewable: Bool = true, value: Int64 = 0
    ) throws -> [String: Any] {
      count += 1
      let event = TestEvent(
        type: type, id: "\(type)\(count)", time: JourneyTests.start + offset, ad: ad, user: "anna",
        viewable: viewable, value: value)
      try driver.send(event.json)
      return try Attributing.object(driver.outputs(of: "interactions").last ?? "{}")
    }

    var credits: [String] { driver.outputs(of: "attributions") }
  }

  @Test func statesAndSessions() throws {
    let way = try Way()
    let hour: Int64 = 3_600_000
    for (type, at, state, session) in [
      ("impression", 0, "unaware", 1), ("impression", 60_000, "aware", 1),
      ("click", 120_000, "aware", 1), ("click", 121_000, "interested", 1),
      ("impression", hour, "interested", 2), ("click", hour + 1, "interested", 2),
      ("conversion", hour + 2, "considering", 2), ("impression", hour + 3, "converted", 2),
      ("impression", hour + 3 + 14 * Self.day, "converted", 3),
      ("impression", hour + 4 + 28 * Self.day, "lapsed", 4),
      ("impression", hour + 5 + 28 * Self.day, "aware", 4),
    ] as [(String, Int64, String, Int)] {
      let record = try way.step(type, at: at)
      #expect(record["state"] as? String == state, "\(type) at \(at)")
      #expect(record["session"] as? Int == session, "\(type) at \(at)")
    }
  }

  @Test func exposuresAreThoseOfADayAndAWeek() throws {
    let way = try Way()
    try way.step("impression", at: 0)
    try way.step("impression", at: 1, ad: "b")
    try way.step("impression", at: 2, viewable: false)
    let record = try way.step("impression", at: Self.day)
    let counts = ["ad_views_1d", "ad_views_7d", "campaign_views_1d", "campaign_views_7d"]
    #expect(counts.map { record[$0] as? Int } == [1, 1, 2, 2])
    #expect(record["since_touch"] as? Int64 == Self.day - 2)
    let later = try way.step("click", at: 7 * Self.day + 1)
    #expect(counts.map { later[$0] as? Int } == [0, 1, 0, 2])
  }

  /// Long lists, against counting one by one: any number of touches before, in and between the
  /// windows, and touches that leave the middle of a list.
  @Test func viewsOfManyTouches() throws {
    let seed: UInt64 = 31
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    let driver = try Attributing.driver(
      Attributing.topology(people: "device_ttl: 30d, ttl: 90d", journeys: "max_touches: 150"))
    var kept: [TestEvent] = []
    var time = Self.start
    for i in 0..<1_500 {
      time += Int64(random.next() % UInt64(i % 300 < 200 ? 1_000_000 : 20_000_000))
      let event = TestEvent(
        type: random.next() % 8 == 0 ? "click" : "impression", id: "e\(i)", time: time,
        campaign: "c\(random.next() % 2)", ad: "a\(random.next() % 2)", user: "anna",
        viewable: random.next() % 4 != 0)
      try driver.send(event.json)
      func views(_ span: Int64, _ isCounted: (TestEvent) -> Bool) -> Int {
        kept.count {
          $0.type == "impression" && $0.viewable && $0.time >= time - span && $0.time < time
            && $0.campaign == event.campaign && isCounted($0)
        }
      }
      let expected = [Self.day, 7 * Self.day].flatMap { span in
        [views(span) { _ in true }, views(span) { $0.ad == event.ad }]
      }
      let record = try Attributing.object(driver.outputs(of: "interactions").last ?? "{}")
      let counts = ["campaign_views_1d", "ad_views_1d", "campaign_views_7d", "ad_views_7d"]
      try #require(counts.map { record[$0] as? Int } == expected, "seed \(seed), event \(i)")
      kept.append(event)
      let watermark = time / 1_000 * 1_000 - 5_000
      kept.removeAll { $0.time < watermark - 30 * Self.day }
      if kept.count > 150 { kept.remove(at: kept.firstIndex { $0.type == "impression" } ?? 0) }
    }
    #expect(kept.count == 150)
  }

  @Test func viewsCountOnlyWithoutClicksUnlessAlways() throws {
    for (credits, expected) in [("views: only_without_clicks", 1), ("views: always", 2)] {
      let way = try Way(credits: credits)
      try way.step("click", at: 0)
      try way.step("impression", at: 10)
      try way.step("conversion", at: 20, value: 5)
      let linear = way.credits.filter { $0.contains(#""model":"linear""#) }
      #expect(linear.count == expected)
      #expect(
        linear[0].contains(
          expected == 1 ? #""credit":1,"value":0.000005"# : #""credit":0.5,"value":0.000003"#))
    }
  }

  @Test func windowsAreHalfOpen() throws {
    for (age, credited) in [(0, false), (1, true), (Self.day, true), (Self.day + 1, false)] {
      let way = try Way()
      try way.step("impression", at: 0)
      try way.step("conversion", at: age)
      #expect(way.credits.count == (credited ? 5 : 1), "a view \(age) ms before")
    }
    for (age, credited) in [(30 * Self.day, true), (30 * Self.day + 1, false)] {
      let way = try Way("lookback: 60d")
      try way.step("click", at: 0)
      try way.step("conversion", at: age)
      #expect(way.credits.count == (credited ? 5 : 1), "a click \(age) ms before")
    }
  }

  @Test func oldestImpressionsGoFirst() throws {
    let way = try Way("max_touches: 3", credits: "views: always")
    try way.step("click", at: 0)
    for i in 1...4 { try way.step("impression", at: Int64(i)) }
    try way.step("conversion", at: 100)
    #expect(
      way.driver.outputs(of: "touches").map {
        String($0.split(separator: "\"id\":\"")[1].prefix(11))
      }
        == ["click1\",\"ty", "impression4", "impression5"])
    for i in 5...9 { try way.step("click", at: Int64(i)) }
    try way.step("conversion", at: 200)
    let ids = way.driver.outputs(of: "touches").compactMap {
      try? Attributing.object($0)["id"] as? String
    }
    #expect(ids == ["click9", "click10", "click11"])
  }

  /// A record as it is published, every byte of it.
  @Test func recordsAreThoseOfTheContract() throws {
    let way = try Way()
    try way.step("click", at: 0)
    let person = try way.step("conversion", at: 5_000, value: 12_500_000)["person"] as? String
    #expect(
      way.credits.first
        == #"{"account":"acme","conversion":"conversion2","time":1800000005000,"source":{"topic":"#
        + #""events","partition":0,"offset":1},"revision":1,"kind":"assert","model":"last_touch","#
        + #""touch":{"id":"click1","type":"click","time":1800000000000},"campaign":"c0","ad":"a","#
        + #""credit":1,"value":12.5,"person":"\#(person ?? "")","method":"user","confidence":1}"#)
    let stranger = try Way()
    let alone = try stranger.step("conversion", at: 0, value: 7)["person"] as? String
    #expect(
      stranger.credits == [
        #"{"account":"acme","conversion":"conversion1","time":1800000000000,"source":{"topic":"#
          + #""events","partition":0,"offset":0},"revision":1,"kind":"assert","model":"linear","#
          + #""touch":null,"credit":0,"value":0,"person":"\#(alone ?? "")","method":"user","#
          + #""confidence":1}"#
      ])
  }

  /// Ids of every length, stored, given back and stored again.
  @Test func idsKeepTheirText() throws {
    let driver = try Attributing.driver(
      Attributing.topology(people: "", journeys: "max_touches: 5", credits: "views: always"))
    var random = SplitMix64(seed: 12)
    var expected: [String] = []
    for i in 0..<2_000 {
      let length = 1 + Int(random.next() % 120)
      let id = "\(i)" + String(repeating: ["x", "y", "z"][i % 3], count: length)
      let event = TestEvent(id: id, time: Self.start + Int64(i), user: "anna")
      try driver.send(event.json)
      expected.append(id)
      guard i % 50 == 49 else { continue }
      let conversion = TestEvent(
        type: "conversion", id: "c\(i)", time: Self.start + Int64(i) + 1, user: "anna")
      try driver.send(conversion.json)
      let ids = driver.outputs(of: "touches").compactMap {
        try? Attributing.object($0)["id"] as? String
      }
      #expect(ids == expected.suffix(5))
    }
  }
}
