import Streaming
import Testing

/// What a live run asks beyond what any topology must be.
@Suite struct UseTests {
  private func run(_ text: String) throws -> [String] {
    let checked = try parse(text)
    #expect(checked.check(for: .replay) == [])
    return checked.check(for: .run).map(\.description)
  }

  private let two = """
    topology: t
    sources:
      a: { kafka: { brokers: "h1:9092,h2:9092", topics: [a] } }
      b: { kafka: { brokers: "H2:9092,h1:9092", topics: [b] } }
    operators:
      totals: { operator: tally, from: [a, b] }
    sinks:
      tallies: { from: totals, kafka: {} }

    """

  @Test func oneClusterOrOneLog() throws {
    #expect(try run(baseFile) == [])
    #expect(try run(liveFile) == [])
    #expect(try run(two) == [])
    #expect(try run(baseFile.replacing("topic: tallies", with: "directory: ./data/")) == [])
  }

  @Test func filesCannotBeRun() throws {
    let text = baseFile.replacing("log: { directory: data }", with: "files: { paths: [a.jsonl] }")
      .replacing("log: { topic: tallies }", with: "files: { path: t.jsonl }")
    #expect(
      try run(text) == [
        "t.yaml:4:5: error: `sources.events` is of files; files can be replayed, not run; "
          + "expected `kafka` or `log`",
        "t.yaml:17:5: error: `sinks.tallies` is a file; files can be replayed, not run; "
          + "expected `kafka` or `log`",
      ])
  }

  @Test func exactlyOnceNeedsOnePlace() throws {
    let text = two.replacing("kafka: {} }", with: "kafka: { brokers: other } }")
    let expected =
      "t.yaml:8:28: error: `sinks.tallies` is in the Kafka cluster other, `sources.a` in the "
      + "Kafka cluster h1:9092,h2:9092; `delivery: exactly_once` needs one place, expected that "
      + "or `delivery: at_least_once`"
    #expect(try run(text) == [expected])
    #expect(try run(text + "delivery: at_least_once\n") == [])
    let log = baseFile.replacing("topic: tallies", with: "directory: elsewhere")
    #expect(
      try run(log) == [
        "t.yaml:17:5: error: `sinks.tallies` is in the log elsewhere, `sources.events` in the log "
          + "data; `delivery: exactly_once` needs one place, expected that or "
          + "`delivery: at_least_once`"
      ])
  }

  @Test func oneGroup() throws {
    let text = two.replacing("topics: [b]", with: "topics: [b], group: x")
    #expect(
      try run(text) == [
        "t.yaml:4:58: error: `sources.b` is read as group `x`, `sources.a` as `bidmill-t`; "
          + "expected one group"
      ])
  }
}
