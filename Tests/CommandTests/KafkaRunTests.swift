import CKafka
import Events
import Simulation
import Streaming
import Testing

@testable import KafkaLog
@testable import bidmill

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// `run` on a real broker. Run with `KAFKA_BROKERS=localhost:9092`; topics are named by the
/// process and stay behind.
@Suite(.serialized, .enabled(if: getenv("KAFKA_BROKERS") != nil))
struct KafkaRunTests {
  let work = Workplace()

  @Test func survivesKillsAtAnyMoment() throws {
    let seed: UInt64 = 42
    let slices = 16
    let scene = try KafkaScene(work, "kills", partitions: 2)
    let history = try SlicedHistory(
      events: 80_000, slices: slices, seed: 5, to: work.path + "/events.jsonl")
    var random = SplitMix64(seed: seed)
    var kills = 0
    var killsAtWork = 0
    for slice in 0..<slices {
      scene.append(history.slices[slice])
      let running = work.start(
        scene.run + ["-q"]
          + ["commit.every=5ms", "commit.events=100", "snapshots.every=1s"].flatMap {
            ["--set", $0]
          })
      // Reaching the broker takes some hundred milliseconds; after that, anywhere in its work.
      usleep(useconds_t(150_000 + random.next() % 600_000))
      #expect(running.isRunning, "seed \(seed), kill \(kills): \(running.errors)")
      running.send(SIGKILL)
      #expect(running.wait().status == -SIGKILL)
      kills += 1
      if try scene.committed() < scene.appended { killsAtWork += 1 }
    }
    print("seed \(seed): \(kills) kills, \(killsAtWork) of them before the topic's end")

    let last = work.run(scene.run + ["-q", "--json", "--exit-when-idle", "1s"])
    #expect(last.status == 0, "\(last.errors)")
    let replay = work.run([
      "replay", scene.topology, "--from", "events.jsonl", "--out", "out", "-q", "--json",
      "--partitions", "2",
    ])
    #expect(replay.status == 0, "\(replay.errors)")
    #expect(last.member("digest") == replay.member("digest"))
    // What a replay publishes at its end is held back until the next minute.
    let expected = work.lines("out/tallies.jsonl").filter { !$0.contains(history.endText) }
    let published = try scene.published("tallies")
    #expect(published.count > 20)
    #expect(
      published.map(KafkaScene.withoutPlace).sorted()
        == expected.map(KafkaScene.withoutPlace).sorted())
    let lines = work.lines("events.jsonl")
    let refused = work.lines("out/dead_letters.jsonl").map { lines[KafkaScene.line(of: $0) - 1] }
    let deadLetters = try scene.published("dead-letters")
    #expect(deadLetters.count > 20)
    #expect(deadLetters.sorted() == refused.sorted())
    print("\(published.count) tallies, \(deadLetters.count) dead letters, each of them once")
  }

  @Test func whatIsKeyedOtherwiseIsKeyedAnew() throws {
    let scene = try KafkaScene(work, "rekey", partitions: 3)
    let history = try SlicedHistory(
      events: 20_000, slices: 4, seed: 8, to: work.path + "/events.jsonl")
    // Read as it is, it is refused: anything may be anywhere.
    scene.scatter(history.slices.flatMap { $0 }, to: "scattered")
    let mistaken = work.run(
      scene.run + ["-q", "--set", "sources.events.kafka.topics=[\(scene.topic("scattered"))]"])
    #expect(mistaken.status == 78, "\(mistaken.errors)")
    #expect(mistaken.errors.contains("rekey.yaml"))

    let environment = [
      "KAFKA_BROKERS": scene.brokers, "REKEY_FROM": scene.topic("scattered"),
      "REKEY_TO": scene.topic("events"), "REKEY_DEAD_LETTERS": scene.topic("rekey-dead-letters"),
    ]
    let rekey = [
      Workplace.repository + "/Topologies/rekey.yaml", "--set", "topology=\(scene.topic("rekey"))",
      "--set", "commit.every=5ms", "--set", "commit.events=200",
    ]
    let made = work.run(["topics", "create"] + rekey + ["--apply"], environment: environment)
    #expect(made.status == 0, "\(made.errors)")
    var random = SplitMix64(seed: 3)
    for _ in 0..<6 {
      let running = work.start(["run"] + rekey + ["-q"], environment: environment)
      usleep(useconds_t(200_000 + random.next() % 400_000))
      running.send(SIGKILL)
      _ = running.wait()
    }
    let last = work.run(
      ["run"] + rekey + ["-q", "--exit-when-idle", "500ms"], environment: environment)
    #expect(last.status == 0, "\(last.errors)")

    // Every record is there once, as it was, and where its account belongs.
    let refused = try scene.published("rekey-dead-letters")
    #expect(refused.count > 20)
    let lines = work.lines("events.jsonl").filter { !$0.contains("\"heartbeat\"") }
    #expect(try (scene.published("events") + refused).sorted() == lines.sorted())
    // One partition's events may have come long before another's: what is late counts all the same,
    // but copies must be remembered as long. A heartbeat makes the last totals due.
    scene.append(history.slices[3].suffix(1))
    let remember = ["--set", "operators.unique.within=7d", "--set", "time.max_gap=60d"]
    let tallied = work.run(scene.run + ["-q", "--exit-when-idle", "500ms"] + remember)
    #expect(tallied.status == 0, "\(tallied.errors)")
    #expect(try scene.published("dead-letters").isEmpty)
    let replay = work.run(
      ["replay", scene.topology, "--from", "events.jsonl", "--out", "out", "-q"] + remember)
    #expect(replay.status == 0, "\(replay.errors)")
    let totals = KafkaScene.totals(try scene.published("tallies"))
    #expect(totals.count > 20)
    #expect(totals == KafkaScene.totals(work.lines("out/tallies.jsonl")))
  }

  @Test func stopsAndGoesOn() throws {
    let scene = try KafkaScene(work, "stops", partitions: 2, snapshots: "{ directory: state }")
    let history = try SlicedHistory(
      events: 4_000, slices: 2, seed: 6, to: work.path + "/events.jsonl")
    scene.append(history.slices[0])
    let running = work.start(scene.run + ["-q", "--json"])
    while running.isRunning, try scene.committed() < scene.appended { usleep(20_000) }
    running.send(SIGTERM)
    let first = running.wait()
    #expect(first.status == 0, "\(first.errors)")
    #expect(work.files("state").contains { $0.hasSuffix(".snapshot") })

    let before = scene.appended
    scene.append(history.slices[1])
    let second = work.run(scene.run + ["-q", "--json", "--exit-when-idle", "500ms"])
    #expect(second.status == 0, "\(second.errors)")
    #expect(!second.errors.contains("recovering"))
    #expect(second.member("events_in_run") == "\(scene.appended - before)")
    let replay = work.run([
      "replay", scene.topology, "--from", "events.jsonl", "--out", "out", "-q", "--json",
    ])
    #expect(second.member("digest") == replay.member("digest"))
  }

  @Test func aSecondRunOfTheSameNameTakesOver() throws {
    let scene = try KafkaScene(work, "second", partitions: 2)
    let history = try SlicedHistory(
      events: 2_000, slices: 1, seed: 7, to: work.path + "/events.jsonl")
    scene.append(history.slices[0])
    let zombie = work.start(scene.run + ["-q"])
    while zombie.isRunning, try scene.committed() < scene.appended { usleep(20_000) }
    let heir = work.run(scene.run + ["-q", "--json", "--exit-when-idle", "500ms"])
    #expect(heir.status == 0, "\(heir.errors)")
    let outcome = zombie.wait()
    #expect(outcome.status == 69, "\(outcome.errors)")
    #expect(outcome.errors.contains("another process has joined the group"))
    let published = try scene.published("tallies")
    #expect(published.count == Set(published).count)
  }

  @Test func topicsAreAskedForBeforeTheyAreMade() throws {
    let scene = try KafkaScene(work, "topics", partitions: 3, makes: ["events"])
    let refused = work.run(scene.run)
    #expect(refused.status == 66)
    #expect(refused.errors.contains("bidmill topics create"))
    let dry = work.run("topics", "create", scene.topology)
    #expect(dry.status == 0, "\(dry.errors)")
    #expect(dry.lines.count == 4)
    #expect(dry.lines.allSatisfy { $0.hasPrefix("missing") && $0.contains("3 partitions") })
    #expect(work.run("topics", "create", scene.topology).output == dry.output)
    let made = work.run("topics", "create", scene.topology, "--apply")
    #expect(made.status == 0, "\(made.errors)")
    #expect(made.lines.allSatisfy { $0.hasPrefix("created") })
    #expect(work.run("topics", "create", scene.topology).output == "nothing is missing\n")
    #expect(work.run(scene.run + ["-q", "--exit-when-idle", "200ms"]).status == 0)
  }
}

/// Topics of one test, and a topology on them.
private final class KafkaScene {
  let topology = "kafka.yaml"
  private let settings: KafkaSettings
  private let cluster: KafkaCluster
  private let producer: KafkaClient
  private let handle: OpaquePointer
  private let partitions: Int
  private let route: AccountRoute
  /// Records of the source's topic.
  private(set) var appended: Int64 = 0

  /// With a name, so that the group does not wait for one that was killed.
  var run: [String] { ["run", topology, "--instance", "one"] }
  var brokers: String { settings.brokers }
  func topic(_ name: String) -> String { "\(settings.group)-\(name)" }

  init(
    _ work: Workplace, _ name: String, partitions: Int,
    makes: [String] = ["events", "tallies", "dead-letters", "journal", "snapshots"],
    snapshots: String? = nil, delivery: String = "exactly_once"
  ) throws {
    let brokers = getenv("KAFKA_BROKERS").map { String(cString: $0) } ?? ""
    let group = "run-\(getpid())-\(name)"
    settings = KafkaSettings(brokers: brokers, group: group)
    cluster = try KafkaCluster(settings)
    self.partitions = partitions
    route = AccountRoute(partitions: partitions, acceptsPriors: false)
    try cluster.create(
      makes.map {
        KafkaTopics.Missing(
          topic: "\(group)-\($0)", partitions: partitions, replicas: 1, configuration: [:])
      })
    producer = try KafkaClient(
      .producer, settings, owned: [("linger.ms", "20")],
      preferred: [("queue.buffering.max.messages", "10000000")])
    guard let handle = rd_kafka_topic_new(producer.handle, "\(group)-events", nil) else {
      throw LogError(.ours, "no handle")
    }
    self.handle = handle
    work.write(
      topology,
      """
      topology: on-kafka
      sources:
        events: { kafka: { brokers: "\(brokers)", topics: [\(group)-events], group: \(group) } }
      operators:
        unique: { operator: deduplicate, from: events }
        totals: { operator: tally, from: unique }
      sinks:
        tallies: { from: totals, kafka: { topic: \(group)-tallies } }
        dead_letters: { kafka: { topic: \(group)-dead-letters } }
      snapshots: \(snapshots ?? "{ kafka: { topic: \(group)-snapshots } }")
      delivery: \(delivery)
      """)
  }

  deinit { rd_kafka_topic_destroy(handle) }

  /// Appends each record to its account's partition, heartbeats to all.
  func append(_ records: [[UInt8]]) {
    for var record in records {
      let (place, key) = record.withUnsafeBytes {
        let decision = route.decide($0)
        return (decision.partition, Array(decision.account.bytes))
      }
      let places = place < 0 || place >= partitions ? Array(0..<partitions) : [place]
      for partition in places {
        let status = rd_kafka_produce(
          handle, Int32(partition), Int32(RD_KAFKA_MSG_F_COPY), &record, record.count, key,
          key.count, nil)
        #expect(status == 0)
        appended += 1
      }
    }
    #expect(rd_kafka_flush(producer.handle, 60_000) == RD_KAFKA_RESP_ERR_NO_ERROR)
  }

  /// Spreads records over the partitions of a new topic, keyed by something of their producers'.
  func scatter(_ records: [[UInt8]], to name: String) {
    let made = KafkaTopics.Missing(
      topic: topic(name), partitions: partitions, replicas: 1, configuration: [:])
    do { try cluster.create([made]) } catch { Issue.record(error) }
    guard let handle = rd_kafka_topic_new(producer.handle, topic(name), nil) else {
      Issue.record("no handle for \(name)")
      return
    }
    defer { rd_kafka_topic_destroy(handle) }
    for (place, var record) in records.enumerated() {
      let key = Array("session-\(place / 7)".utf8)
      let status = rd_kafka_produce(
        handle, Int32(place / 7 % partitions), Int32(RD_KAFKA_MSG_F_COPY), &record, record.count,
        key, key.count, nil)
      #expect(status == 0)
    }
    #expect(rd_kafka_flush(producer.handle, 60_000) == RD_KAFKA_RESP_ERR_NO_ERROR)
  }

  /// The newest totals of each ad, as text.
  static func totals(_ tallies: [String]) -> [String: String] {
    func member(_ name: String, _ record: String) -> String {
      guard let found = record.firstRange(of: "\"\(name)\":") else { return "" }
      return String(record[found.upperBound...].prefix { $0 != "," && $0 != "}" })
    }
    var totals: [String: String] = [:]
    for record in tallies {
      let key = ["account", "campaign", "ad"].map { member($0, record) }.joined(separator: "/")
      totals[key] = ["impressions", "clicks", "spend", "auctions", "wins"]
        .map { "\($0) \(member($0, record))" }.joined(separator: ", ")
    }
    return totals
  }

  /// Records of the source's topic that are committed; asked without fencing anybody.
  func committed() throws -> Int64 {
    let list = PartitionList(capacity: partitions)
    for partition in 0..<partitions {
      list.add("\(settings.group)-events", Int32(partition), offset: -1001)
    }
    let client = try KafkaClient(
      .consumer, settings, owned: [("group.id", settings.group)],
      preferred: [("isolation.level", "read_uncommitted")])
    let error = rd_kafka_committed(client.handle, list.list, 10_000)
    #expect(error == RD_KAFKA_RESP_ERR_NO_ERROR)
    return list.elements.reduce(0) { $0 + max(0, $1.offset) }
  }

  /// What a consumer of a sink sees that reads what is committed.
  func published(_ sink: String) throws -> [String] {
    var values: [String] = []
    for partition in 0..<Int32(partitions) {
      let input = try KafkaInput(
        cluster, topic: "\(settings.group)-\(sink)", partition: partition)
      defer { input.close() }
      try input.seek(to: 0)
      let chunk = RecordChunk()
      var status = FetchStatus.waiting
      while status != .end {
        status = try input.fetch(into: chunk, maxRecords: 4096, waitMilliseconds: 10)
        values += chunk.records.map { String(decoding: $0.value, as: UTF8.self) }
      }
    }
    return values
  }

  /// The line that a record of a replay was made by.
  static func line(of record: String) -> Int {
    guard let start = record.firstRange(of: #""line":"#) else { return 0 }
    return Int(record[start.upperBound...].prefix { $0.isNumber }) ?? 0
  }

  /// The record without where its event stands, which differs between topics and files.
  static func withoutPlace(_ record: String) -> String {
    guard let start = record.firstRange(of: #""source":{"#), !record.contains(#"{"clock":"#)
    else { return record }
    let rest = record[start.upperBound...].drop { $0 != "}" }
    return String(record[..<start.lowerBound]) + String(rest.dropFirst(2))
  }
}

/// A history in slices, each ending with a heartbeat in the middle of a minute: with all inputs at
/// their ends time goes on by itself, but no tally falls due before the next slice comes.
private struct SlicedHistory {
  var slices: [[[UInt8]]] = []
  /// How records of the replay's last moment show it.
  var endText = ""

  /// Events stand 10 s apart. The whole goes to a file as well.
  init(events: Int, slices count: Int, seed: UInt64, to path: String) throws {
    var settings = HistorySettings()
    settings.seed = seed
    settings.records = events
    settings.duration = .seconds(Int64(events) * 10)
    let route = AccountRoute(partitions: 1, acceptsPriors: false)
    var generator = HistoryGenerator(settings)
    var bytes: [UInt8] = []
    var slice: [[UInt8]] = []
    var newest = Int64.min
    func end() -> [UInt8] {
      let time = (newest / 60_000 + 1) * 60_000 + 30_000
      endText = "\"time\":\(time)"
      return Array(#"{"type":"heartbeat","time":\#(time)}"#.utf8)
    }
    while generator.next(into: &bytes) != nil {
      let line = bytes.last == UInt8(ascii: "\n") ? Array(bytes.dropLast()) : bytes
      if let time = line.withUnsafeBytes({ route.decide($0).time?.milliseconds }) {
        newest = max(newest, time)
      }
      slice.append(line)
      if slice.count == events / count, slices.count < count - 1 {
        slices.append(slice + [end()])
        slice = []
      }
    }
    slices.append(slice + [end()])
    let file = try LineFile(path, overwrite: true)
    for line in slices.joined() { try line.withUnsafeBytes { try file.add($0) } }
    try file.finish()
  }
}
