import CKafka
import Streaming
import Testing

@testable import KafkaLog

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What only a real broker can show: exactly once. Run with `KAFKA_BROKERS=localhost:9092`.
/// Topics are named by the process and stay behind.
@Suite(.serialized, .enabled(if: getenv("KAFKA_BROKERS") != nil))
struct BrokerTests {
  /// A group of its own with topics of one partition.
  private struct Scene {
    let settings: KafkaSettings
    let inputs: [LogInput]
    let outputs: [LogOutput]

    init(_ name: String, delivery: Topology.Delivery = .exactlyOnce) throws {
      let brokers = getenv("KAFKA_BROKERS").map { String(cString: $0) } ?? ""
      let group = "test-\(getpid())-\(name)"
      var settings = KafkaSettings(
        brokers: brokers, group: group, commitWithinMilliseconds: 10_000)
      settings.delivery = delivery
      self.settings = settings
      inputs = [LogInput(source: "events", topic: "\(group)-events")]
      outputs = [LogOutput(sink: "tallies", topic: "\(group)-tallies", compacted: false)]
      let cluster = try KafkaCluster(settings)
      let made = ["events", "tallies", "journal"].map {
        KafkaTopics.Missing(
          topic: "\(group)-\($0)", partitions: 1, replicas: 1, configuration: [:])
      }
      try cluster.create(made)
      // A second time is no error.
      try cluster.create(made)
    }

    func open() throws -> KafkaPartitionLog {
      try KafkaCluster(settings).partitionLog(partition: 0, inputs: inputs, outputs: outputs)
    }

    /// The committed records of the sink.
    func published() throws -> [String] {
      let log = try KafkaCluster(settings).partitionLog(
        partition: 0, inputs: [LogInput(source: "", topic: outputs[0].topic)], outputs: [])
      defer { log.close() }
      try log.seek(0, to: 0)
      return try log.values()
    }
  }

  private func journal(_ log: KafkaPartitionLog, after number: Int64) throws -> [String] {
    var found: [String] = []
    try log.journal(after: number) { (number, bytes) in
      found.append("\(number) \(String(decoding: bytes, as: UTF8.self))")
    }
    return found
  }

  @Test func outputsOffsetsAndJournalGoTogether() throws {
    let scene = try Scene("together")
    let log = try scene.open()
    #expect(try log.committed() == nil)
    for number in Int64(1)...40 {
      try log.commit(transaction(number, [number * 10], [("k\(number)", "v\(number)")]))
    }
    let point = transaction(40, [400]).point
    #expect(point.number == 40 && point.nextOffsets == [400])
    #expect(try log.committed() == point)
    log.close()

    let next = try scene.open()
    #expect(try next.committed() == point)
    let all = (1...40).map { "\($0) journal of \($0)" }
    for number in [0, 1, 20, 39] {
      #expect(try journal(next, after: Int64(number)) == Array(all[number...]))
    }
    #expect(try journal(next, after: 40).isEmpty)
    #expect(try scene.published() == (1...40).map { "v\($0)" })
    next.close()
  }

  @Test func whoComesLaterFences() throws {
    let scene = try Scene("fenced")
    let zombie = try scene.open()
    #expect(try zombie.committed() == nil)
    try zombie.commit(transaction(1, [1], [("k", "first")]))
    let heir = try scene.open()
    #expect(try heir.committed() == transaction(1, [1]).point)
    let error = try failure { try zombie.commit(transaction(2, [2], [("k", "zombie")])) }
    #expect(error.recovery == .recreate && error.kind == .unavailable, "\(error)")
    try heir.commit(transaction(2, [2], [("k", "heir")]))
    #expect(try scene.published() == ["first", "heir"])
    zombie.close()
    heir.close()
  }

  @Test func whatIsAbortedIsNotSeen() throws {
    let scene = try Scene("aborted")
    let log = try scene.open()
    #expect(try log.committed() == nil)
    // More than the topic takes: the whole transaction is aborted, what was right in it too.
    let large = String(repeating: "x", count: 2 << 20)
    let error = try failure {
      try log.commit(transaction(1, [1], [("k", "small"), ("k", large)]))
    }
    #expect(error.kind == .configuration, "\(error)")
    #expect(try log.committed() == nil)
    try log.commit(transaction(1, [1], [("k", "small")]))
    #expect(try scene.published() == ["small"])
    #expect(try journal(log, after: 0) == ["1 journal of 1"])
    log.close()
  }

  @Test func aTransactionLeftOpenIsEnded() throws {
    let scene = try Scene("open")
    let log = try scene.open()
    #expect(try log.committed() == nil)
    try log.commit(transaction(1, [1], [("k", "first")]))
    // A process that dies between its records and its commit.
    let dying = try KafkaClient(
      .producer, scene.settings,
      owned: [("transactional.id", scene.settings.transactionalID(0))], preferred: [])
    #expect(rd_kafka_init_transactions(dying.handle, 10_000) == nil)
    #expect(rd_kafka_begin_transaction(dying.handle) == nil)
    let topic = rd_kafka_topic_new(dying.handle, scene.outputs[0].topic, nil)
    var bytes = Array("never".utf8)
    #expect(
      rd_kafka_produce(topic, 0, Int32(RD_KAFKA_MSG_F_COPY), &bytes, bytes.count, nil, 0, nil) == 0)
    #expect(rd_kafka_flush(dying.handle, 10_000) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_topic_destroy(topic)

    let next = try scene.open()
    #expect(try next.committed() == transaction(1, [1]).point)
    try next.commit(transaction(2, [2], [("k", "second")]))
    #expect(try scene.published() == ["first", "second"])
    next.close()
    log.close()
  }

  @Test func theJournalComesFirst() throws {
    let scene = try Scene("least", delivery: .atLeastOnce)
    let log = try scene.open()
    #expect(try log.committed() == nil)
    #expect(log.repeatsLastCommit)
    for number in Int64(1)...3 {
      try log.commit(journaled(number, [("k\(number)", "v\(number)")]))
    }
    // Seen at once, though no transaction is ended.
    #expect(try scene.published() == ["v1", "v2", "v3"])
    // The process is gone; the next one sends the last outputs again under the same number.
    let next = try scene.open()
    #expect(try next.committed() == journaled(3).point)
    #expect(try numbers(next, after: 1) == [2, 3])
    let again = transaction(3, [30], [("k3", "v3")])
    again.journal = []
    try next.commit(again)
    try next.commit(journaled(4, [("k4", "v4")]))
    #expect(try scene.published() == ["v1", "v2", "v3", "v3", "v4"])
    // Who was fenced publishes nothing any more.
    let error = try failure { try log.commit(journaled(4, [("k", "zombie")])) }
    #expect(error.recovery == .recreate && error.kind == .unavailable, "\(error)")
    #expect(try scene.published().count == 5)
    next.close()
    // After a clean end, exactly once goes on from the same point.
    var settings = scene.settings
    settings.delivery = .exactlyOnce
    let once = try KafkaCluster(settings).partitionLog(
      partition: 0, inputs: scene.inputs, outputs: scene.outputs)
    #expect(try once.committed() == journaled(4).point)
    #expect(try numbers(once, after: 0) == [1, 2, 3, 4])
    once.close()
    log.close()
  }

  /// A transaction that ends at ten times its number.
  private func journaled(_ number: Int64, _ outputs: [(String, String)] = []) -> Transaction {
    let result = transaction(number, [number * 10], outputs)
    var writer = JournalWriter()
    writer.begin(tick: 0, nextOffsets: [(number - 1) * 10])
    writer.took(input: 0, nextOffset: number * 10)
    writer.finish()
    result.journal = writer.bytes
    return result
  }

  private func numbers(_ log: KafkaPartitionLog, after number: Int64) throws -> [Int64] {
    var found: [Int64] = []
    try log.journal(after: number) { (number, _) in found.append(number) }
    return found
  }

  @Test func theJournalIsShortened() throws {
    let scene = try Scene("shortened")
    let log = try scene.open()
    #expect(try log.committed() == nil)
    for number in Int64(1)...60 { try log.commit(transaction(number, [number])) }
    try log.forgetJournal(through: 40)
    let low = try KafkaCluster(scene.settings).watermarks(scene.settings.journalTopic, 0).low
    #expect(low > 0)
    #expect(try numbers(log, after: 40) == Array(41...60))
    #expect(try numbers(log, after: 0).first == 41)
    // Nothing is left to be taken away, or nothing may be.
    try log.forgetJournal(through: 40)
    try log.forgetJournal(through: 0)
    try log.forgetJournal(through: 60)
    #expect(try KafkaCluster(scene.settings).watermarks(scene.settings.journalTopic, 0).low == low)
    log.close()
    let next = try scene.open()
    #expect(try next.committed() == transaction(60, [60]).point)
    next.close()
  }

  @Test func aLargeJournalComesBack() throws {
    let scene = try Scene("large")
    let log = try scene.open()
    #expect(try log.committed() == nil)
    let large = transaction(1, [1])
    large.journal = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try log.commit(large)
    try log.commit(transaction(2, [2]))
    var sizes: [Int] = []
    #expect(try log.committed()?.number == 2)
    try log.journal(after: 0) { (number, bytes) in
      sizes.append(bytes.count)
      if number == 1 { #expect(Array(bytes) == large.journal) }
    }
    #expect(sizes == [1_500_000, 12])
    log.close()
  }

  @Test func offsetsOfSomethingElseAreRefused() throws {
    let scene = try Scene("moved")
    let log = try scene.open()
    #expect(try log.committed() == nil)
    try log.commit(transaction(1, [1]))
    log.close()
    let cluster = try KafkaCluster(scene.settings)
    let list = PartitionList(capacity: 1)
    list.add(scene.inputs[0].topic, 0, offset: 0)
    #expect(rd_kafka_commit(cluster.consumer.handle, list.list, 0) == RD_KAFKA_RESP_ERR_NO_ERROR)
    let error = try failure { _ = try scene.open().committed() }
    #expect(error.kind == .badData && error.message.contains("`group`"), "\(error)")
  }
}
