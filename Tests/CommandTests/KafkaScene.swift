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

/// Topics of one test, and a topology on them.
final class KafkaScene {
  let topology = "kafka.yaml"
  private let settings: KafkaSettings
  private let cluster: KafkaCluster
  private let producer: KafkaClient
  private let handle: OpaquePointer
  private let work: Workplace
  private let partitions: Int
  private let route: AccountRoute
  /// Records of the source's topic.
  private(set) var appended: Int64 = 0

  /// How long the tests are to take, where that is said: `KAFKA_ROUNDS=50`.
  static var rounds: Int? { getenv("KAFKA_ROUNDS").flatMap { Int(String(cString: $0)) } }

  /// So that whatever happens comes between two commits, and often between two snapshots.
  static let manyCommits = ["commit.every=5ms", "commit.events=100", "snapshots.every=1s"]
    .flatMap { ["--set", $0] }

  /// One of several processes, without a name.
  var member: [String] { ["run", topology, "-q"] + KafkaScene.manyCommits }

  /// With a name, so that the group does not wait for one that was killed.
  var run: [String] { ["run", topology, "--instance", "one"] }

  var brokers: String { settings.brokers }
  func topic(_ name: String) -> String { "\(settings.group)-\(name)" }

  init(
    _ work: Workplace, _ name: String, partitions: Int,
    makes: [String] = ["events", "tallies", "dead-letters", "journal", "snapshots"],
    properties: String = "{}", snapshots: String? = nil, delivery: String = "exactly_once",
    talliesEveryMinutes minutes: Int64 = 1
  ) throws {
    self.work = work
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
        events:
          kafka:
            { brokers: "\(brokers)", topics: [\(group)-events], group: \(group),
              properties: \(properties) }
      operators:
        unique: { operator: deduplicate, from: events }
        totals: { operator: tally, from: unique, every: \(minutes)m }
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

  /// Where a sink's partitions end, added up.
  func written(_ sink: String) throws -> Int64 {
    var sum: Int64 = 0
    for partition in 0..<Int32(partitions) {
      sum += try cluster.watermarks(topic(sink), partition).high
    }
    return sum
  }

  /// Opens the transactions of all partitions, which ends whatever is under way there.
  func abortTransactions() throws {
    for partition in 0..<Int32(partitions) {
      let id = settings.transactionalID(partition)
      try KafkaClient(
        .producer, settings, owned: [("transactional.id", id)], preferred: []
      ).openTransactions(id)
    }
  }

  /// Records of a topic that are in aborted transactions.
  func aborted(_ name: String) throws -> Int {
    var all = settings
    all.readsUncommitted = true
    return try values(name, on: KafkaCluster(all)).count - values(name, on: cluster).count
  }

  /// What a consumer of a sink sees that reads what is committed.
  func published(_ sink: String) throws -> [String] { try values(sink, on: cluster) }

  private func values(_ sink: String, on cluster: KafkaCluster) throws -> [String] {
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

  /// Runs to the end of what was appended, and holds state and outputs against a replay: the same
  /// digest, and each record once, or at least once.
  func compare(with history: SlicedHistory, once isOnce: Bool = true) throws {
    let last = work.run(
      ["run", topology, "--instance", "last", "-q", "--json", "--exit-when-idle", "1s"])
    #expect(last.status == 0, "\(last.errors)")
    let replay = work.run([
      "replay", topology, "--from", "events.jsonl", "--out", "out", "-q", "--json",
      "--partitions", "\(partitions)",
    ])
    #expect(replay.status == 0, "\(replay.errors)")
    #expect(last.member("digest") == replay.member("digest"))
    // What a replay publishes at its end is held back until the next minute.
    let tallies = work.lines("out/tallies.jsonl").filter { !$0.contains(history.endText) }
    try expect("tallies", tallies.map(KafkaScene.withoutPlace), isOnce, KafkaScene.withoutPlace)
    // On the cluster they are the original bytes.
    let lines = work.lines("events.jsonl")
    let refused = work.lines("out/dead_letters.jsonl").map { lines[KafkaScene.line(of: $0) - 1] }
    try expect("dead-letters", isOnce ? refused : Array(Set(refused)), isOnce) { $0 }
  }

  /// A sink has these records, each of them once; or what comes again is the same again.
  private func expect(
    _ sink: String, _ expected: [String], _ isOnce: Bool, _ comparable: (String) -> String
  ) throws {
    let all = try published(sink)
    let published = isOnce ? all : Array(Set(all))
    #expect(!published.isEmpty)
    #expect(KafkaScene.difference(published.map(comparable), expected) == nil, "\(sink)")
    print("\(sink): \(published.count) records, \(all.count - published.count) of them again")
  }

  /// What one has more often than the other; nil where both have the same.
  private static func difference(_ found: [String], _ expected: [String]) -> String? {
    var counts: [String: Int] = [:]
    for record in found { counts[record, default: 0] += 1 }
    for record in expected { counts[record, default: 0] -= 1 }
    let wrong = counts.filter { $0.value != 0 }.sorted { $0.key < $1.key }
    guard let first = wrong.first else { return nil }
    return "\(found.count) records instead of \(expected.count), \(wrong.count) of them wrong, "
      + "first \(first.value > 0 ? "too often" : "missing"): \(first.key)"
  }

  /// Waits until everything is committed; at most so long.
  func waitForCommits(seconds: Int = 60) throws {
    for _ in 0..<(seconds * 20) {
      if try committed() >= appended { return }
      usleep(50_000)
    }
    Issue.record("\(try committed()) of \(appended) records are committed after \(seconds) s")
  }

  /// Deletes the source's topic.
  func deleteSource() throws {
    guard let queue = rd_kafka_queue_new(producer.handle) else {
      throw LogError(.ours, "no queue")
    }
    defer { rd_kafka_queue_destroy(queue) }
    var topic = rd_kafka_DeleteTopic_new("\(settings.group)-events")
    rd_kafka_DeleteTopics(producer.handle, &topic, 1, nil, queue)
    let event = rd_kafka_queue_poll(queue, 30_000)
    #expect(event != nil && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_event_destroy(event)
    rd_kafka_DeleteTopic_destroy(topic)
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

/// A history in slices, each ending with a heartbeat in the middle between two tallies: with all
/// inputs at their ends time goes on by itself, but none falls due before the next slice comes, which
/// half a minute is enough for where no broker is started meanwhile.
struct SlicedHistory {
  var slices: [[[UInt8]]] = []
  /// How records of the replay's last moment show it.
  var endText = ""

  /// Events stand 10 s apart. The whole goes to a file as well.
  init(
    events: Int, slices count: Int, seed: UInt64, to path: String,
    talliesEveryMinutes minutes: Int64 = 1
  ) throws {
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
      let time = (newest / (minutes * 60_000) + 1) * minutes * 60_000 + minutes * 30_000
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
