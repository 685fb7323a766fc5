import Events
import Foundation
import Streaming
import Testing

@Suite struct OverridesTests {
  @Test func overridesReachEverySection() throws {
    let checked = try parse(
      baseFile,
      overrides: [
        "seed=7", "time.tick=2s", "operators.totals.every=10s", "sinks.tallies.log.topic=x",
        "operators.totals.from=[unique, events]", "snapshots={directory: s, keep: 9}",
        "operators.unique.within.click=1h", "commit.events=5", "sources.events.urgent=true",
      ])
    let topology = checked.topology
    #expect(topology.seed == 7)
    #expect(topology.time.tick == .seconds(2))
    #expect(topology.operators[1].settings.duration("every") == .seconds(10))
    #expect(topology.operators[1].from == ["unique", "events"])
    #expect(topology.operators[0].settings["within"] == .mapping([("click", .duration(.hours(1)))]))
    #expect(
      topology.sinks[0].transport == .log(Topology.LogSink(directory: "data", topic: "x")))
    #expect(topology.snapshots == Topology.Snapshots(store: .directory("s"), keep: 9))
    #expect(topology.commit.events == 5)
    #expect(topology.sources[0].urgent)
  }

  @Test func laterOverridesWin() throws {
    #expect(try parse(baseFile, overrides: ["seed=7", "seed=8"]).topology.seed == 8)
  }

  @Test func valuesKeepTheirSignsAndQuotes() throws {
    let checked = try parse(
      baseFile,
      overrides: [
        "sources.events.log.directory=\"a=b: c\"", "sinks.tallies.log.directory= x,y=z",
      ])
    #expect(
      checked.topology.sources[0].transport
        == .log(
          Topology.LogSource(directory: "a=b: c", topics: ["events"], group: "bidmill-t")))
    #expect(
      checked.topology.sinks[0].transport
        == .log(Topology.LogSink(directory: "x,y=z", topic: "tallies")))
  }

  @Test func propertiesNeedNoQuotesForTheirDots() throws {
    let text = baseFile.replacing(
      "log: { directory: data }", with: "kafka: { brokers: a, topics: [x] }"
    ).replacing("log: {", with: "kafka: {")
    let checked = try parse(
      text,
      overrides: [
        "sources.events.kafka.properties.security.protocol=SSL",
        "operators.unique.\"within\".\"order\"=2d",
      ])
    guard case .kafka(let kafka) = checked.topology.sources[0].transport else {
      Issue.record("not a Kafka source")
      return
    }
    #expect(kafka.properties == [Topology.Property(name: "security.protocol", value: "SSL")])
    #expect(
      checked.topology.operators[0].settings["within"]
        == .mapping([("order", .duration(.days(2)))]))
  }
}

@Suite struct VariablesTests {
  private func directory(
    _ written: String, _ environment: [String: String] = [:]
  ) throws -> String {
    let text = baseFile.replacing("{ directory: data }", with: "{ directory: '\(written)' }")
    guard
      case .log(let log) = try parse(text, environment: environment).topology.sources[0].transport
    else { return "not a log" }
    return log.directory
  }

  @Test func variablesAndDefaults() throws {
    #expect(try directory("${A}", ["A": "x"]) == "x")
    #expect(try directory("a/${A_1}/${B:-b}/c", ["A_1": "x"]) == "a/x/b/c")
    #expect(try directory("a${A:-}", [:]) == "a")
    #expect(try directory("a${A:-b}", ["A": ""]) == "a")
    #expect(try directory("${A:-b:-c}") == "b:-c")
  }

  @Test func secretsFromFiles() throws {
    let path = FileManager.default.temporaryDirectory.path + "/bidmill-secret-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data("hunter2\r\n".utf8).write(to: URL(fileURLWithPath: path))
    #expect(try directory("${A}", ["A_FILE": path]) == "hunter2")
    #expect(try directory("${A:-default}", ["A_FILE": path]) == "hunter2")
    #expect(try directory("${A}", ["A": "x", "A_FILE": path]) == "x")
    func problem(_ path: String) -> [String] {
      problems(
        baseFile.replacing("every: 1m", with: "every: ${A}"), environment: ["A_FILE": path])
    }
    #expect(
      problem("/none") == [
        "t.yaml:13:12: error: `/none`, which `A_FILE` names, cannot be opened: "
          + "No such file or directory"
      ])
    try Data([0x61, 0x0A, 0x62]).write(to: URL(fileURLWithPath: path))
    #expect(problem(path).first?.contains("`A` holds a control character") == true)
    try Data([0xFF]).write(to: URL(fileURLWithPath: path))
    #expect(problem(path).first?.contains("is not UTF-8") == true)
    try Data(count: (64 << 10) + 1).write(to: URL(fileURLWithPath: path))
    #expect(problem(path).first?.contains("more than 65536 bytes") == true)
  }

  @Test func dollarsThatAreNoVariables() throws {
    #expect(try directory("$A $ $$ a$") == "$A $ $$ a$")
    #expect(try directory("$${A}/${A}", ["A": "x"]) == "${A}/x")
    #expect(try directory("$$${A}", ["A": "x"]) == "$${A}")
  }

  @Test func valuesAreNotReplacedAgain() throws {
    #expect(try directory("${A}", ["A": "${B}", "B": "x"]) == "${B}")
  }

  @Test func valuesNeverBecomeStructure() throws {
    let value = "x, topics: [y] } # *a"
    #expect(try directory("${A}", ["A": value]) == value)
  }

  @Test func valuesAreTypedByWhatIsExpected() throws {
    let text = baseFile.replacing("every: 1m", with: "every: ${EVERY:-2m}")
    #expect(try parse(text).operators[1].settings.duration("every") == .minutes(2))
    #expect(
      try parse(text, environment: ["EVERY": "3s"]).operators[1].settings.duration("every")
        == .seconds(3))
    let override = try parse(baseFile, environment: ["S": "9"], overrides: ["seed=${S}"])
    #expect(override.topology.seed == 9)
  }

  @Test func keysAreLeftAlone() {
    #expect(
      problems(baseFile.replacing("every: 1m", with: "\"${A}\": 1m"), environment: ["A": "every"])
        == [
          "t.yaml:13:5: error: unknown key `${A}` in `operators.totals`; "
            + "expected `every`, `operator` or `from`"
        ])
  }
}
