import Events
import Foundation
import Streaming
import Testing

/// The format's reference example, with settings of every kind.
let liveFile = """
  topology: live
  key: account
  seed: 1
  time: { out_of_orderness: 5s, tick: 1s }
  sources:
    events:
      kafka: { brokers: "${KAFKA_BROKERS:-localhost:9092}", topics: [impressions, clicks, \
  conversions, deal-stages, campaigns, controls, auctions], group: bidmill-live, partitioner: \
  murmur2 }
  operators:
    unique:      { operator: deduplicate, from: events, within: { click: 2h, default: 24h } }
    people:      { operator: identity, from: unique }
    journeys:    { operator: journeys, from: people, lookback: 30d, timeout: 14d }
    deals:       { operator: deal_value, from: journeys, pipelines: { default: { stages: [{ \
  name: demo, probability: 0.25 }] } } }
    credits:     { operator: attribution, from: [journeys, deals], models: [last_touch, \
  time_decay], primary: time_decay, windows: { click: 7d } }
    learner:     { operator: learner, from: [journeys, credits], hash_bits: 20 }
    posteriors:  { operator: posteriors, from: [journeys, credits, deals] }
    pacing:      { operator: pacing, from: [unique, credits] }
    bids:        { operator: bids, from: [unique, learner, posteriors, pacing] }
    safety:      { operator: safety, from: [unique, bids] }
  sinks:
    bid_parameters: { from: safety, kafka: { topic: bid-parameters } }
    attributions:   { from: credits, kafka: { topic: attributions } }
    alerts:         { from: [safety, posteriors], kafka: {} }
  delivery: exactly_once        # or at_least_once
  snapshots: { directory: state, every: 10m }   # or { kafka: { topic: … } }

  """

@Suite struct GoodFilesTests {
  @Test func defaultsAreFilledIn() throws {
    let topology = try parse(baseFile).topology
    #expect(
      topology
        == Topology(
          name: "t",
          sources: [
            Topology.Source(
              name: "events",
              transport: .log(
                Topology.LogSource(directory: "data", topics: ["events"], group: "bidmill-t")))
          ],
          operators: [
            Topology.Operator(
              name: "unique", kind: "deduplicate", from: ["events"],
              settings: Settings(["within": .duration(.hours(24))])),
            Topology.Operator(
              name: "totals", kind: "tally", from: ["unique"],
              settings: Settings(["every": .duration(.minutes(1))])),
          ],
          sinks: [
            Topology.Sink(
              name: "tallies", from: ["totals"], stream: "tallies",
              transport: .log(Topology.LogSink(directory: "data", topic: "tallies"))),
            Topology.Sink(
              name: "dead_letters", from: [], stream: "dead_letters",
              transport: .log(Topology.LogSink(directory: "data", topic: "dead-letters"))),
          ],
          snapshots: Topology.Snapshots(store: .directory("state/t"))))
    #expect(topology.time.tick == .seconds(1))
    #expect(topology.time.maxGap == .days(31))
    #expect(topology.commit.events == 65_536)
  }

  @Test func everyKeyIsRead() throws {
    let text = """
      topology: full.v-2
      key: account
      seed: 18446744073709551615
      time: { out_of_orderness: 0s, tick: 250ms, max_ahead: 2h, max_gap: 7d, merge_wait: 5ms }
      sources:
        events:
          kafka:
            brokers: a:9092,b
            topics:
            - one
            - two
            group: g
            partitioner: crc32
            properties: { sasl.password: "x, y", fetch.min.bytes: 1 }
        orders:
          log: { directory: /var/log/x, topics: [orders], group: h }
          urgent: true
          trusted: true
        old: { files: { paths: [a.jsonl, b.jsonl.zst] } }
      operators:
        totals: { operator: tally, from: [events, orders, old], every: "10s" }
      sinks:
        sums:
          from: totals
          stream: tallies
          kafka: { brokers: c:1, topic: sums, properties: { linger.ms: 5 } }
        refused: { stream: dead_letters, files: { path: refused.jsonl } }
      delivery: at_least_once
      snapshots: { kafka: { brokers: c:1, topic: snaps }, every: 1h, keep: 5 }
      commit: { every: 1s, events: 1000, fsync: 5s }
      """
    let topology = try parse(text).topology
    #expect(topology.name == "full.v-2")
    #expect(topology.seed == .max)
    #expect(
      topology.time
        == Topology.Time(
          outOfOrderness: .seconds(0), tick: .milliseconds(250), maxAhead: .hours(2),
          maxGap: .days(7), mergeWait: .milliseconds(5)))
    #expect(
      topology.sources[0].transport
        == .kafka(
          Topology.KafkaSource(
            brokers: "a:9092,b", topics: ["one", "two"], group: "g", partitioner: .crc32,
            properties: [
              Topology.Property(name: "fetch.min.bytes", value: "1"),
              Topology.Property(name: "sasl.password", value: "x, y"),
            ])))
    #expect(
      topology.sources[1]
        == Topology.Source(
          name: "orders",
          transport: .log(
            Topology.LogSource(directory: "/var/log/x", topics: ["orders"], group: "h")),
          urgent: true, trusted: true))
    #expect(topology.sources[2].transport == .files(paths: ["a.jsonl", "b.jsonl.zst"]))
    #expect(topology.operators[0].settings.duration("every") == .seconds(10))
    #expect(
      topology.sinks.map(\.transport) == [
        .kafka(
          Topology.KafkaSink(
            brokers: "c:1", topic: "sums",
            properties: [Topology.Property(name: "linger.ms", value: "5")])),
        .files(path: "refused.jsonl"),
      ])
    #expect(topology.delivery == .atLeastOnce)
    #expect(
      topology.snapshots
        == Topology.Snapshots(
          store: .kafka(Topology.KafkaSink(brokers: "c:1", topic: "snaps")), every: .hours(1),
          keep: 5))
    #expect(
      topology.commit
        == Topology.Commit(every: .seconds(1), events: 1000, fsync: .every(.seconds(5))))
  }

  @Test func theReferenceExampleParses() throws {
    let checked = try parse(liveFile)
    #expect(checked.operators.map(\.name) == checked.topology.operators.map(\.name))
    #expect(checked.warnings == [])
    let credits = checked.operators[4]
    #expect(
      credits.inputs == [
        .init(upstream: .operator(2), stream: .interactions, port: 0),
        .init(upstream: .operator(3), stream: .valueChanges, port: 1),
      ])
    #expect(
      credits.settings["windows"]
        == .mapping([("click", .duration(.days(7))), ("view", .duration(.days(1)))]))
    #expect(credits.settings["models"] == .list([.text("last_touch"), .text("time_decay")]))
    let deals = checked.operators[3]
    #expect(
      deals.settings["pipelines"]
        == .mapping([
          (
            "default",
            .mapping([
              ("won", .text("won")),
              (
                "stages",
                .list([.mapping([("name", .text("demo")), ("probability", .number(0.25))])])
              ), ("learn", .boolean(true)),
            ])
          )
        ]))
    #expect(
      checked.sinks.map(\.stream.name) == [
        "bid_parameters", "credits", "alerts", "dead_letters",
      ])
    #expect(checked.sinks[0].stream.compacted)
    #expect(checked.sinks[2].upstreams == [.operator(9), .operator(6)])
    #expect(checked.sinks[3].upstreams == [.engine])
    #expect(checked.deadLetterSink == 3)
    guard case .kafka(let alerts) = checked.sinks[2].transport else {
      Issue.record("not a Kafka sink")
      return
    }
    #expect(alerts == Topology.KafkaSink(brokers: "localhost:9092", topic: "alerts"))
  }

  @Test func sinksTakeTheClusterOfTheSourcesWithItsProperties() throws {
    let text = baseFile.replacing(
      "log: { directory: data }",
      with: "kafka: { brokers: a, topics: [x], properties: { sasl.password: p, a.b: 1 } }"
    ).replacing("log: { topic: tallies }", with: "kafka: { properties: { a.b: 2 } }")
    let topology = try parse(text).topology
    let properties = [
      Topology.Property(name: "a.b", value: "2"),
      Topology.Property(name: "sasl.password", value: "p"),
    ]
    #expect(
      topology.sinks[0].transport
        == .kafka(Topology.KafkaSink(brokers: "a", topic: "tallies", properties: properties)))
    guard case .kafka(let snapshots) = topology.snapshots.store else {
      Issue.record("snapshots are not on Kafka")
      return
    }
    #expect(snapshots.topic == "bidmill-t-snapshots")
    #expect(snapshots.brokers == "a")
  }

  @Test func operatorsRunAfterTheirUpstreamsAndElseInFileOrder() throws {
    let text = """
      topology: t
      sources:
        e: { log: { directory: d } }
      operators:
        z: { operator: echo, from: [c, e] }
        a: { operator: echo, from: e }
        c: { operator: echo, from: b }
        b: { operator: echo, from: [e, a] }
        x: { operator: echo, from: e }
      sinks:
        out: { from: [z, x, e], log: {} }
      """
    let checked = try parse(text)
    #expect(checked.operators.map(\.name) == ["a", "b", "c", "z", "x"])
    #expect(checked.operators.map(\.fileIndex) == [1, 3, 2, 0, 4])
    #expect(checked.operators[3].inputs.map(\.upstream) == [.operator(2), .source(0)])
    #expect(checked.operators[1].inputs(ofPort: 0).map(\.upstream) == [.source(0), .operator(0)])
    #expect(checked.sinks[0].upstreams == [.operator(3), .operator(4), .source(0)])
  }

  @Test func alertsAreAnOutputOfAnyOperator() throws {
    let text = baseFile + "  alerts: { from: [unique, totals], log: {} }\n"
    let checked = try parse(text)
    #expect(checked.sinks[1].stream == .alerts)
    #expect(checked.operators[0].outputs == [.events, .alerts])
    let watch = baseFile.replacing("operator: tally", with: "operator: watch")
      .replacing("    every: 1m\n", with: "")
    #expect(try parse(watch).sinks[0].stream == .alerts)
  }

  @Test func whatNothingReadsIsAWarning() throws {
    let text = baseFile.replacing(
      "  unique:\n", with: "  idle: { operator: echo, from: events }\n  unique:\n"
    ).replacing("operators:", with: "  more:\n    log: { directory: data }\noperators:")
    let checked = try parse(text)
    #expect(
      checked.warnings.map(\.description) == [
        "t.yaml:5:3: warning: nothing reads `more`", "t.yaml:8:3: warning: nothing reads `idle`",
      ])
  }

  @Test func textIsTextWhateverItLooksLike() throws {
    let text = baseFile.replacing(
      "{ directory: data }", with: "{ directory: 007, topics: [true, null, 1e3, 2024-01-01] }")
    #expect(
      try parse(text).topology.sources[0].transport
        == .log(
          Topology.LogSource(
            directory: "007", topics: ["true", "null", "1e3", "2024-01-01"], group: "bidmill-t")))
  }

  @Test(arguments: [
    "# comment with *stars*, &ands, !bangs, a\ttab and \"quotes\n", "---\n", "\u{FEFF}",
    "# ----\n---\n# %not a directive\n",
  ])
  func whatYAMLAllowsBeforeTheFirstKey(_ head: String) throws {
    #expect(try parse(head + baseFile).topology == parse(baseFile).topology)
  }

  @Test func lineEndsAndQuotesMakeNoDifference() throws {
    let topology = try parse(baseFile).topology
    #expect(try parse(baseFile.replacing("\n", with: "\r\n")).topology == topology)
    let quoted = baseFile.replacing("tally", with: "\"tally\"").replacing("1m", with: "'1m'")
      .replacing("from: unique", with: "\"from\":\n      [ \"unique\" ] # it's *this* & !that")
    #expect(try parse(quoted).topology == topology)
  }

  @Test func listsMayGoOnOverLines() throws {
    let text = baseFile.replacing(
      "{ directory: data }",
      with: """
        {
              directory: data, # here
          topics: [
        events,
              more,   # and
              ],
            }
        """)
    #expect(
      try parse(text).topology.sources[0].transport
        == .log(
          Topology.LogSource(
            directory: "data", topics: ["events", "more"], group: "bidmill-t")))
  }

  @Test func starsInsideWordsAndQuotesAreNoAliases() throws {
    let text = baseFile.replacing(
      "{ directory: data }", with: "{ directory: a*b, topics: [\"t\"] } # *x, 'y")
    #expect(problems(text) == [])
    let quoted = baseFile.replacing("{ directory: data }", with: "{ directory: \"*a #&b: [\" }")
    #expect(problems(quoted) == [])
    let single = baseFile.replacing("{ directory: data }", with: "{ directory: 'it''s *a' }")
    #expect(problems(single) == [])
  }

  @Test func settingProblemsFindTheirPlace() throws {
    let checked = try parse(liveFile)
    let problem = SettingProblem(setting: "windows.click", message: "is shorter than `view`")
    #expect(
      checked.problem(problem, of: "credits").description
        == "t.yaml:13:132: error: `operators.credits.windows.click`: is shorter than `view`")
    let standard = SettingProblem(setting: "windows.view", message: "is too long")
    #expect(
      checked.problem(standard, of: "credits").description
        == "t.yaml:13:121: error: `operators.credits.windows.view`: is too long")
  }
}

@Suite struct LoadTests {
  /// The repository's root, from this file's place in it.
  static let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()

  @Test func theShippedTopologyLoads() throws {
    let checked = try CheckedTopology.load(
      path: Self.root + "/Topologies/tally.yaml", registry: registry)
    #expect(checked.topology.name == "tally")
    #expect(checked.warnings == [])
    #expect(checked.check(for: .run) == [])
    #expect(checked.check(for: .replay) == [])
  }

  @Test func aMissingFileSaysSo() {
    let error = #expect(throws: TopologyError.self) {
      try CheckedTopology.load(path: "/nonexistent/t.yaml", registry: registry)
    }
    #expect(
      error?.description
        == "/nonexistent/t.yaml: error: cannot be opened: No such file or directory")
    #expect(error?.isMissingFile == true)
  }

  @Test func aDirectoryIsNoFile() {
    let error = #expect(throws: TopologyError.self) {
      try CheckedTopology.load(path: Self.root, registry: registry)
    }
    #expect(error?.problems.first?.message == "cannot be read: Is a directory")
  }

  @Test func hugeFilesAreRefused() {
    let text = String(repeating: "# 345678901234567\n", count: 60_000)
    #expect(
      problems(text) == [
        "t.yaml: error: the file has 1080000 bytes; a topology has at most 1048576"
      ])
  }

  @Test func tooManyNamesAreRefused() {
    let operators = (0..<501).map { "  a\($0): { operator: echo, from: e }\n" }.joined()
    let text = "topology: t\nsources:\n  e: { log: { directory: d } }\noperators:\n\(operators)"
    #expect(
      problems(text + "sinks:\n  x: { from: e, log: {} }\n") == [
        "t.yaml:5:3: error: `operators` has 501 entries; expected at most 500"
      ])
  }

  @Test func aLargeFileIsReadInReasonableSteps() {
    // Bounded work on a file that is as large as allowed and wrong everywhere.
    let text = "topology: t\n" + (0..<20_000).map { "k\($0): [a, b, \"c\"]\n" }.joined()
    #expect(problems(text).count == 200)
  }
}

@Suite struct DocumentationTests {
  @Test func theReferenceIsAboutThisFormat() throws {
    let text = try String(
      contentsOfFile: LoadTests.root + "/Sources/Streaming/Documentation.docc/TopologyFiles.md",
      encoding: .utf8)
    let examples = text.split(separator: "```").filter { $0.hasPrefix("yaml\n") }
    #expect(examples.count == 1)
    for example in examples { #expect(problems(String(example.dropFirst(5))) == []) }
    let keys = [
      "topology", "key", "seed", "time", "sources", "operators", "sinks", "delivery", "snapshots",
      "commit", "out_of_orderness", "tick", "max_ahead", "max_gap", "merge_wait", "brokers",
      "topics", "group", "partitioner", "properties", "directory", "paths", "urgent: true",
      "trusted: true", "from", "stream", "topic", "path", "snapshots.every", "snapshots.keep",
      "commit.every", "commit.events", "commit.fsync",
    ]
    for key in keys { #expect(text.contains("`\(key)`"), "\(key) is not in the reference") }
  }
}
