import Events
import LocalLog
import Streaming
import Testing

@testable import bidmill

@Suite struct ReplayTests {
  let work = Workplace()

  /// A small history; its truth as `generate --json` tells it.
  @discardableResult
  private func generate(_ name: String = "events.jsonl", _ arguments: String...) -> Outcome {
    let made = work.run(
      ["generate", "--out", name, "--json", "-q", "--events", "4000", "--bad", "5000"] + arguments)
    #expect(made.status == 0, "\(made.errors)")
    return made
  }

  private func replay(_ arguments: String..., input: String? = nil) -> Outcome {
    work.run(["replay", Workplace.tally, "-q"] + arguments, input: input)
  }

  private func summary(_ directory: String, _ name: String) -> String? {
    bidmillMember(name, in: work.text("\(directory)/summary.json"))
  }

  @Test func countsWhatTheHistoryHolds() {
    let truth = generate()
    let outcome = replay("--from", "events.jsonl", "--out", "out", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    for name in ["events", "accepted", "duplicates", "dead_letters"] {
      #expect(outcome.member(name) == truth.member(name), "\(name)")
      #expect(summary("out", name) == truth.member(name), "\(name)")
    }
    #expect(outcome.output == work.text("out/summary.json"))
    #expect(outcome.member("partitions") == "1")
    #expect(outcome.member("first_time") == "1767225600000")
    #expect(outcome.member("last_time") == "1767830400000")
    #expect(outcome.member("digest")?.count == 34)
    #expect("\(work.lines("out/tallies.jsonl").count)" == outcome.member("tallies"))
    let refused = work.lines("out/dead_letters.jsonl")
    #expect("\(refused.count)" == truth.member("dead_letters"))
    #expect(work.files("out").count == 3)
  }

  @Test func givesTheSameBytesAgain() {
    generate()
    for out in ["a", "b"] { #expect(replay("--from", "events.jsonl", "--out", out).status == 0) }
    #expect(work.read("a/tallies.jsonl").count > 100_000)
    #expect(work.read("a/tallies.jsonl") == work.read("b/tallies.jsonl"))
    #expect(work.read("a/dead_letters.jsonl") == work.read("b/dead_letters.jsonl"))
    #expect(summary("a", "digest") == summary("b", "digest"))
  }

  /// A run on Kafka refuses what is not where its account belongs, and so does a replay of what was
  /// recorded there; other logs have other rules.
  @Test(arguments: [true, false]) func recordingsAreHeldToTheirKeys(_ isRecorded: Bool) throws {
    let store = try LocalLogStore.open(work.path + "/data", creating: true)
    try store.createTopic("events", partitions: 2)
    let event = Array(
      #"{"type":"click","id":"c","time":1767225600000,"account":"a","campaign":"k","ad":"d"}"#.utf8)
    for partition in Int32(0)..<2 {
      let appender = try store.appender("events", partition: partition)
      try event.withUnsafeBytes { value in
        try Array("a".utf8).withUnsafeBytes { key in
          _ = try appender.append(
            key: key, value: value, appendTime: LogRecord.noAppendTime, eventTime: 1_767_225_600_000
          )
        }
      }
      try appender.close()
      guard isRecorded else { continue }
      try store.keep(
        RecordingMark(origin: "localhost:9092/events", originOffset: 1, offset: 1), of: "events",
        partition: partition)
    }
    work.write(
      "kafka.yaml",
      """
      topology: on-kafka
      sources: { events: { kafka: { brokers: "localhost:9092", topics: [events], group: g } } }
      operators: { totals: { operator: tally, from: events } }
      sinks: { tallies: { from: totals, kafka: { topic: tallies } } }
      snapshots: { directory: state }
      """)
    let outcome = work.run("replay", "kafka.yaml", "--from", "data", "--out", "out", "-q", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.member("accepted") == (isRecorded ? "1" : "2"))
    let refused = work.lines("out/dead_letters.jsonl")
    #expect(refused.count == (isRecorded ? 1 : 0))
    #expect(refused.allSatisfy { $0.contains(#""reason":"wrong_partition""#) })
  }

  /// Records per account, in order, without where they came from.
  private func byAccount(_ file: String, without names: [String]) -> [String: [String]] {
    var found: [String: [String]] = [:]
    for line in work.lines(file) {
      var account = ""
      var rest: [String] = []
      Array(line.utf8).withUnsafeBytes { bytes in
        for member in JSONMembers(bytes) {
          let key = String(decoding: member.key, as: UTF8.self)
          if key == "account" { account = member.text }
          if !names.contains(key) { rest.append("\(key)=\(member.text)") }
        }
      }
      found[account, default: []].append(rest.joined(separator: " "))
    }
    return found
  }

  @Test(arguments: [2, 4]) func partitionsDoNotChangeAnAccountsResults(_ partitions: Int) {
    // Without late events: a partition's clock is that of its newest event.
    generate("events.jsonl", "--late", "0")
    #expect(replay("--from", "events.jsonl", "--out", "one").status == 0)
    let outcome = replay(
      "--from", "events.jsonl", "--out", "many", "--partitions", "\(partitions)", "--workers", "2")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let one = byAccount("one/tallies.jsonl", without: ["source"])
    #expect(one.count == 8)
    #expect(one == byAccount("many/tallies.jsonl", without: ["source"]))
    let refused = byAccount("one/dead_letters.jsonl", without: ["source", "time"])
    let refusedOfMany = byAccount("many/dead_letters.jsonl", without: ["source", "time"])
    #expect(refused.mapValues { $0.sorted() } == refusedOfMany.mapValues { $0.sorted() })
    for name in ["events", "accepted", "duplicates", "dead_letters", "digest", "last_time"] {
      #expect(summary("one", name) == summary("many", name), "\(name)")
    }
    #expect(summary("many", "partitions") == "\(partitions)")
  }

  @Test func readsEveryKindOfInput() {
    generate()
    let whole = replay("--from", "events.jsonl", "--out", "whole", "--json").member("digest")
    #expect(whole != nil)
    let text = work.text("events.jsonl")
    #expect(
      replay("--from", "-", "--out", "stdin", "--json", input: text).member("digest") == whole)

    work.run("generate", "--out", "events.jsonl.zst", "-q", "--events", "4000", "--bad", "5000")
    #expect(work.read("events.jsonl.zst").count < text.utf8.count / 2)
    #expect(
      replay("--from", "events.jsonl.zst", "--out", "zst", "--json").member("digest") == whole)

    // Two halves in a directory, in the order of their names.
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    work.makeDirectory("parts")
    work.write("parts/1.jsonl", lines[..<2000].joined(separator: "\n") + "\n")
    work.write("parts/2.jsonl", lines[2000...].joined(separator: "\n"))
    work.write("parts/notes.txt", "not events")
    // Bad bytes do not survive being text, so the count is what is compared.
    let halves = replay("--from", "parts", "--out", "halves", "--json")
    #expect(halves.member("events") == "4000", "\(halves.errors)")
    #expect(halves.member("duplicates") == summary("whole", "duplicates"))

    let imported = work.run(
      "log", "import", "data", "--topic", "other", "--partitions", "3", "events.jsonl", "-q")
    #expect(imported.status == 0, "\(imported.errors)")
    // The topology's topic is not there: what was imported stands in for it.
    let log = replay("--from", "data", "--out", "log", "--json")
    #expect(log.status == 0, "\(log.errors)")
    #expect(log.member("partitions") == "3")
    #expect(log.member("duplicates") == summary("whole", "duplicates"))
    #expect(work.text("log/tallies.jsonl").split(separator: "\n").count > 1000)
  }

  @Test func stopsAndGoesOnFromASnapshot() {
    generate()
    let whole = replay("--from", "events.jsonl", "--out", "whole", "--json")
    let half = replay(
      "--from", "events.jsonl", "--out", "half", "--until", "2026-01-04T12:00:00Z",
      "--snapshot-at-end", "snapshots", "--json")
    #expect(half.status == 0, "\(half.errors)")
    let events = half.member("events").flatMap { Int($0) } ?? 0
    #expect(events > 1500 && events < 2500)
    let snapshots = work.files("snapshots")
    #expect(snapshots.count == 1)
    let rest = replay(
      "--from", "events.jsonl", "--out", "rest", "--from-snapshot", snapshots.first ?? "", "--json")
    #expect(rest.status == 0, "\(rest.errors)")
    #expect(rest.member("digest") == whole.member("digest"))
    #expect(rest.member("events") == whole.member("events"))
    // The second half publishes all that the whole does from there on.
    let published = work.lines("half/tallies.jsonl") + work.lines("rest/tallies.jsonl")
    #expect(Set(work.lines("whole/tallies.jsonl")).subtracting(published) == [])

    work.run("generate", "--out", "other.jsonl", "-q", "--events", "10")
    let elsewhere = replay(
      "--from", "other.jsonl", "--out", "x", "--from-snapshot", snapshots.first ?? "")
    #expect(elsewhere.status == 78)
    #expect(elsewhere.errors.contains("count twice"))
    let split = replay(
      "--from", "events.jsonl", "--out", "x", "--partitions", "2", "--from-snapshot",
      snapshots.first ?? "")
    #expect(split.status == 78)
    #expect(split.errors.contains("partition 0 of 1"))
  }

  @Test func compressesAndReplacesOnlyWhenAsked() {
    generate()
    #expect(replay("--from", "events.jsonl", "--out", "out").status == 0)
    let plain = work.read("out/tallies.jsonl")
    let again = replay("--from", "events.jsonl", "--out", "out")
    #expect(again.status == 78)
    #expect(again.errors.contains("--overwrite"))
    #expect(work.read("out/tallies.jsonl") == plain)
    let compressed = replay("--from", "events.jsonl", "--out", "out", "--overwrite", "--compress")
    #expect(compressed.status == 0, "\(compressed.errors)")
    #expect(compressed.output.contains("out/tallies.jsonl.zst"))
    #expect(
      work.files("out").map { $0.split(separator: "/").last } == [
        "dead_letters.jsonl.zst", "summary.json", "tallies.jsonl.zst",
      ])
    #expect(work.read("out/tallies.jsonl.zst").count < plain.count / 4)
  }

  @Test func changesSettingsOnRequest() {
    generate()
    let minutes = replay("--from", "events.jsonl", "--out", "a", "--json")
    let hours = replay(
      "--from", "events.jsonl", "--out", "b", "--json", "--set", "operators.totals.every=1h")
    let count = { (outcome: Outcome) in outcome.member("tallies").flatMap { Int($0) } ?? 0 }
    #expect(count(hours) > 100)
    #expect(count(hours) < count(minutes))
    let fast = replay(
      "--from", "events.jsonl", "--out", "c", "--json", "--speed", "100000000x")
    #expect(fast.member("digest") == minutes.member("digest"))
  }

  @Test func takesTheTopologysOwnFiles() {
    generate()
    let topology = """
      topology: own
      sources: { events: { files: { paths: [events.jsonl] } } }
      operators: { totals: { operator: tally, from: events } }
      sinks: { tallies: { from: totals, files: { path: tallies.jsonl } } }
      snapshots: { directory: state }
      """
    work.write("own.yaml", topology)
    let outcome = work.run("replay", "own.yaml", "--out", "out", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.member("events") == "4000")
    #expect(outcome.member("duplicates") == "0")
  }

  @Test func aKafkaTopologyIsReplayedFromFiles() {
    generate()
    work.write("kafka.yaml", Topologies.kafka)
    let outcome = work.run(
      "replay", "kafka.yaml", "--from", "events.jsonl", "--out", "out", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.member("events") == "4000")
    // Without files it reads its own topics; there is no such broker.
    let without = work.run(
      "replay", "kafka.yaml", "--out", "out2", "--set", "sources.events.kafka.brokers=localhost:1")
    #expect(without.status == 69, "\(without.errors)")
    #expect(without.errors.contains("localhost:1"))
  }

  @Test func emptyInputGivesEmptyResults() {
    work.write("empty.jsonl", "")
    let outcome = replay("--from", "empty.jsonl", "--out", "out", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.member("events") == "0")
    #expect(outcome.member("first_time") == "null")
    #expect(work.read("out/tallies.jsonl").isEmpty)
    #expect(work.exists("out/dead_letters.jsonl"))
  }

  @Test func garbageIsRefusedWholeAndNeverCrashes() {
    var bytes: [UInt8] = []
    var random = SplitMix64(seed: 7)
    for _ in 0..<20_000 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
    work.write("garbage.jsonl", bytes)
    let outcome = replay("--from", "garbage.jsonl", "--out", "out", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.member("accepted") == "0")
    #expect(outcome.member("dead_letters") == outcome.member("events"))
  }

  @Test func saysWhatIsWrong() {
    generate()
    work.makeDirectory("nothing")
    work.write(
      "cut.jsonl.zst", Array(work.read("events.jsonl").prefix(0)) + [0x28, 0xB5, 0x2F, 0xFD])
    work.write("bad.yaml", "topology: [")
    let cases: [([String], Int32, String)] = [
      (["--from", "none.jsonl", "--out", "o"], 66, "none.jsonl"),
      (["--from", "nothing", "--out", "o"], 66, "no *.jsonl"),
      (["--from", "kafka:events", "--out", "o"], 64, "--brokers"),
      (["--from", "cut.jsonl.zst", "--out", "o"], 65, "cut.jsonl.zst"),
      (["--from", "events.jsonl", "--out", "events.jsonl"], 78, "is a file"),
      (["--from", "events.jsonl", "--out", "/proc/none"], 66, "/proc/none"),
      (["--from", "events.jsonl"], 64, "--out"),
      (["--from", "events.jsonl", "--out", "o", "--partitions", "0"], 64, "--partitions"),
      (["--from", "events.jsonl", "--out", "o", "--until", "soon"], 64, "--until"),
      (["--from", "events.jsonl", "--out", "o", "--speed", "-1x"], 64, "--speed"),
      (
        ["--from", "events.jsonl", "--out", "o", "--set", "operators.nobody.every=1h"], 78, "nobody"
      ),
      (
        ["--from", "events.jsonl", "--out", "o", "--set", "operators.totals.every=soon"], 78,
        "--set"
      ),
      (["--out", "o"], 66, "local log"),
      (
        ["--from", "events.jsonl", "--out", "o", "--from-snapshot", "events.jsonl"], 65,
        "not a snapshot"
      ),
    ]
    for (arguments, status, message) in cases {
      let outcome = work.run(["replay", Workplace.tally] + arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
      #expect(outcome.output.isEmpty, "\(arguments)")
    }
    #expect(work.run("replay", "bad.yaml", "--from", "events.jsonl", "--out", "o").status == 78)
    #expect(work.run("replay", "none.yaml", "--from", "events.jsonl", "--out", "o").status == 66)
  }
}

enum Topologies {
  static let kafka = """
    topology: live
    sources:
      events: { kafka: { brokers: "localhost:9092", topics: [events], group: g } }
    operators:
      unique: { operator: deduplicate, from: events }
      totals: { operator: tally, from: unique }
    sinks:
      tallies: { from: totals, kafka: { topic: tallies } }
    snapshots: { directory: state }
    """
}
