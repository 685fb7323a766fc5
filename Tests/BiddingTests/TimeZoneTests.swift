import Bidding
import Events
import Testing

/// Local days of all zones, against what another implementation says of the same release.
@Suite struct TimeZoneTests {
  private func rules(_ name: String) throws -> TimeZoneRules {
    TimeZoneRules(try #require(TimeZoneRules.find(name)))
  }

  private func time(_ text: String) throws -> EventTime { try #require(EventTime(rfc3339: text)) }

  private struct Golden: Sendable {
    var name: String
    var digest: UInt64
    var oddDays: Int
  }

  private static let goldens: [Golden] = TimeZoneGoldens.zones.split(separator: "\n").compactMap {
    let words = $0.split(separator: " ")
    guard words.count == 3, let digest = UInt64(words[1], radix: 16), let odd = Int(words[2])
    else { return nil }
    return Golden(name: String(words[0]), digest: digest, oddDays: odd)
  }

  @Test func everyDayOfEveryZoneBeginsWhereItShould() throws {
    #expect(TimeZoneRules.release == TimeZoneGoldens.release)
    #expect(TimeZoneTests.goldens.count > 200)
    let day = TimeSpan.days(1).milliseconds
    for golden in TimeZoneTests.goldens {
      let rules = try rules(golden.name)
      var digest: UInt64 = 0xCBF2_9CE4_8422_2325
      var oddDays = 0
      var last: EventTime?
      var start = EventTime(milliseconds: TimeZoneGoldens.days.lowerBound * day - 1)
      while true {
        start = rules.nextMidnight(after: start)
        guard start.milliseconds < TimeZoneGoldens.days.upperBound * day else { break }
        digest =
          (digest ^ UInt64(bitPattern: start.milliseconds / 1_000)) &* 0x0000_0100_0000_01B3
        if let last, (start - last).milliseconds != day { oddDays += 1 }
        last = start
      }
      #expect(digest == golden.digest, "\(golden.name)")
      #expect(oddDays == golden.oddDays, "\(golden.name)")
    }
  }

  @Test func everyNameIsFound() {
    #expect(TimeZoneGoldens.names.count > 500)
    for name in TimeZoneGoldens.names { #expect(TimeZoneRules.find(name) != nil, "\(name)") }
    for name in ["", "Mars/Olympus", "europe/berlin", "Europe/Berlin ", "@", "=", "~", "UTC+1"] {
      #expect(TimeZoneRules.find(name) == nil, "\(name)")
    }
    #expect(TimeZoneRules.find("UTC") == .utc)
  }

  @Test func anUnknownZoneIsUTC() {
    let rules = TimeZoneRules(TimeZoneID(rawValue: 12))
    #expect(rules.offsetSeconds(at: EventTime(milliseconds: 1_767_225_600_000)) == 0)
  }

  /// A moment, when its day begins and when the next one does.
  @Test(arguments: [
    // 23 and 25 hours.
    ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
    ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
    ("America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
    ("America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
    // 24.5 hours.
    (
      "Australia/Lord_Howe", "2026-04-05T00:00:00Z", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"
    ),
    // There is no midnight: the day begins at 01:00.
    (
      "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"
    ),
    ("Asia/Beirut", "2026-03-29T12:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"),
    // Midnight came twice; the day began at the first one.
    ("America/Havana", "2024-11-03T12:00:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
    // Clocks went back over midnight, at 00:01: the new day goes on.
    ("America/St_Johns", "2010-11-07T02:31:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"),
    ("America/St_Johns", "2010-11-07T03:00:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"),
    // Clocks went back at 24:00: the day had 25 hours.
    (
      "America/Sao_Paulo", "2019-02-17T02:30:00Z", "2019-02-16T02:00:00Z", "2019-02-17T03:00:00Z"
    ),
    // A date that Samoa left out.
    ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T00:00:00Z", "2026-05-31T18:15:00Z", "2026-06-01T18:15:00Z"),
    ("UTC", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z"),
    ("Europe/Dublin", "9999-07-01T12:00:00Z", "9999-06-30T23:00:00Z", "9999-07-01T23:00:00Z"),
  ])
  func aDayBeginsAtItsFirstInstant(
    name: String, moment: String, start: String, end: String
  ) throws {
    let rules = try rules(name)
    let moment = try time(moment)
    #expect(rules.startOfDay(containing: moment) == (try time(start)))
    #expect(rules.nextMidnight(after: moment) == (try time(end)))
  }

  @Test func daysFollowEachOther() throws {
    let seed: UInt64 = 20_260_101
    var random = SplitMix64(seed: seed)
    for golden in TimeZoneTests.goldens {
      let rules = try rules(golden.name)
      for _ in 0..<20 {
        let time = EventTime(milliseconds: 950_000_000_000 + Int64(random.next() >> 22))
        let start = rules.startOfDay(containing: time)
        let end = rules.nextMidnight(after: time)
        let place = "\(golden.name), \(time), seed \(seed)"
        #expect(start <= time && time < end, "\(place)")
        #expect(rules.startOfDay(containing: start) == start, "\(place)")
        #expect(rules.nextMidnight(after: start) == end, "\(place)")
        #expect(rules.startOfDay(containing: end) == end, "\(place)")
        let last = end - .milliseconds(1)
        #expect(rules.startOfDay(containing: last) == start, "\(place)")
      }
    }
  }

  @Test func offsetsChangeAtTheInstant() throws {
    let berlin = try rules("Europe/Berlin")
    #expect(berlin.offsetSeconds(at: try time("2026-03-29T00:59:59.999Z")) == 3_600)
    #expect(berlin.offsetSeconds(at: try time("2026-03-29T01:00:00Z")) == 7_200)
    #expect(berlin.offsetSeconds(at: try time("2026-10-25T00:59:59.999Z")) == 7_200)
    #expect(berlin.offsetSeconds(at: try time("2026-10-25T01:00:00Z")) == 3_600)
    let apia = try rules("Pacific/Apia")
    #expect(apia.offsetSeconds(at: try time("2011-12-30T09:59:59Z")) == -10 * 3_600)
    #expect(apia.offsetSeconds(at: try time("2011-12-30T10:00:00Z")) == 14 * 3_600)
  }
}
