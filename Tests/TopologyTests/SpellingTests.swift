import Events
import Testing

@testable import Streaming

@Suite struct SpellingTests {
  @Test(arguments: [
    ("", "", 0), ("a", "", 1), ("", "abc", 3), ("abc", "abc", 0), ("abc", "abd", 1),
    ("every", "evry", 1), ("evrey", "every", 1), ("kafak", "kafka", 1), ("ab", "ba", 1),
    ("kitten", "sitting", 3), ("ca", "abc", 3),
  ])
  func editDistanceCountsSlips(_ a: String, _ b: String, _ distance: Int) {
    #expect(editDistance(Array(a.unicodeScalars), Array(b.unicodeScalars)) == distance)
    #expect(editDistance(Array(b.unicodeScalars), Array(a.unicodeScalars)) == distance)
  }

  @Test func onlySlipsAreGuessed() {
    let known = ["every", "events", "from"]
    #expect(nearest(to: "evry", among: known) == "every")
    #expect(nearest(to: "form", among: known) == "from")
    #expect(nearest(to: "EVERY", among: known) == "every")
    #expect(nearest(to: "eve", among: known) == nil)
    #expect(nearest(to: "even", among: known) == "events")
    #expect(nearest(to: "colour", among: known) == nil)
    #expect(nearest(to: "", among: known) == nil)
    #expect(nearest(to: "dir", among: ["directory", "topic"]) == "directory")
    #expect(nearest(to: "x", among: []) == nil)
    #expect(nearest(to: String(repeating: "every", count: 10_000), among: known) == "every")
  }

  @Test func listsReadAsSentences() {
    #expect(alternatives([]) == "nothing")
    #expect(alternatives(["a"]) == "`a`")
    #expect(alternatives(["a", "b"]) == "`a` or `b`")
    #expect(alternatives(["a", "b", "c"], "and") == "`a`, `b` and `c`")
  }
}

@Suite struct DurationTextTests {
  @Test(arguments: [
    ("250ms", 250), ("5s", 5000), ("30m", 1_800_000), ("24h", 86_400_000), ("7d", 604_800_000),
    ("0s", 0), ("007s", 7000), ("106751991167d", 9_223_372_036_828_800_000),
  ])
  func durationsAreRead(_ text: String, _ milliseconds: Int64) {
    #expect(TimeSpan.parse(text) == .success(TimeSpan(milliseconds: milliseconds)))
  }

  @Test(arguments: [
    "", "5", "s", "5 s", "5S", "5min", "-5s", "+5s", "1.5s", "1h30m", "5s ", " 5s", "٥s", "5ms5",
  ])
  func otherTextsAreNot(_ text: String) {
    #expect(TimeSpan.parse(text) == .failure(.form))
  }

  @Test(arguments: ["106751991168d", "9223372036854775808ms", "99999999999999999999999999s"])
  func tooLongOnesDoNotTrap(_ text: String) {
    #expect(TimeSpan.parse(text) == .failure(.range))
  }

  @Test(
    arguments: [
      (0, "0s"), (1, "1ms"), (1000, "1s"), (1500, "1500ms"), (60_000, "1m"), (90_000, "90s"),
      (86_400_000, "1d"), (90_000_000, "25h"),
    ] as [(Int64, String)])
  func textIsTheShortest(_ milliseconds: Int64, _ text: String) {
    #expect(TimeSpan(milliseconds: milliseconds).text == text)
    #expect(TimeSpan.parse(text) == .success(TimeSpan(milliseconds: milliseconds)))
  }
}

@Suite struct TopologyFileTests {
  @Test func invalidBytesHaveAPlace() {
    let bytes = Array("a: ä\nb: c".utf8) + [0xFF, 0x41]
    #expect(TopologyFile.firstInvalid(bytes, file: "f") == Place("f", 2, 5))
    #expect(TopologyFile.firstInvalid([0xC3], file: "f") == Place("f", 1, 1))
    #expect(
      TopologyFile.firstInvalid(Array("é".utf8) + [0xED, 0xA0, 0x80], file: "f") == Place("f", 1, 2)
    )
  }
}
