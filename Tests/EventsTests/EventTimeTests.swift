import Events
import Testing

@Suite struct EventTimeTests {
  @Test func arithmeticIsInMilliseconds() {
    #expect(EventTime(milliseconds: 1_500) + .seconds(2) == EventTime(milliseconds: 3_500))
    #expect(EventTime(milliseconds: 3_500) - EventTime(milliseconds: 1_500) == .seconds(2))
  }

  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0), ("2026-01-01T00:00:00.123Z", 1_767_225_600_123),
    ("2026-01-01 01:00:00.1239999+01:00", 1_767_225_600_123),
    ("2016-12-31t23:59:60z", 1_483_228_800_000), ("2000-02-29T12:00:00-00:00", 951_825_600_000),
    ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
  ])
  func readsRFC3339(_ text: String, _ milliseconds: Int64) {
    #expect(EventTime(rfc3339: text) == EventTime(milliseconds: milliseconds))
  }

  @Test(arguments: [
    "", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "1900-02-29T00:00:00Z",
    "1969-12-31T23:59:59Z", "2026-01-01T00:00:00.Z", "2026-01-01T0:00:00Z",
    "26-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2026-01-01T00:00:00+0100",
  ])
  func refusesWhatIsNone(_ text: String) {
    #expect(EventTime(rfc3339: text) == nil)
  }

  @Test func writesWhatItReads() {
    let seed: UInt64 = 41
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    for _ in 0..<5_000 {
      let time = EventTime(
        milliseconds: Int64.random(in: 0...EventTime.latest.milliseconds, using: &random))
      #expect(EventTime(rfc3339: time.rfc3339) == time)
      #expect(ReferenceTime.milliseconds(Array(time.rfc3339.utf8)) == time.milliseconds)
    }
    #expect(EventTime(milliseconds: 951_782_400_000).rfc3339 == "2000-02-29T00:00:00.000Z")
    #expect(EventTime.latest.rfc3339 == "9999-12-31T23:59:59.999Z")
    #expect(EventTime(milliseconds: -1).rfc3339 == "-1")
    #expect(EventTime(milliseconds: .max).rfc3339 == "9223372036854775807")
  }
}
