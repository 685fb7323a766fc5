import CKafka
import Streaming
import Testing

@testable import KafkaLog

/// Sources, on the client library's own mock of a cluster.
@Suite(.serialized) struct ReadingTests {
  private func log(_ mock: MockCluster, _ topics: [String] = ["events"], partition: Int32 = 0)
    throws -> KafkaPartitionLog
  {
    try KafkaCluster(mock.settings()).partitionLog(
      partition: partition,
      inputs: topics.map { LogInput(source: "events", topic: $0, partition: partition) },
      outputs: [])
  }

  @Test func readsToTheEndAndOn() throws {
    let mock = try MockCluster(topics: [("events", 2)])
    let producer = try TestProducer(mock.settings())
    let log = try log(mock)
    try log.seek(0, to: 0)
    // An empty partition is at its end.
    #expect(try log.waits(for: .end) == .end)
    #expect(log.left(after: [0]) == 0)
    let first = (0..<250).map { "a\($0)" }
    producer.append(first, to: "events")
    producer.append(["other"], to: "events", 1)
    #expect(try log.values(atLeast: 250) == first)
    #expect(try log.waits(for: .end) == .end)
    #expect(log.left(after: [200]) == 50)
    producer.append(["b"], to: "events")
    #expect(try log.values(atLeast: 1) == ["b"])
    #expect(try log.firstOffsets() == [0])
    log.close()
  }

  @Test func goesWhereItIsTold() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    try TestProducer(mock.settings()).append((0..<100).map { "\($0)" }, to: "events")
    let log = try log(mock)
    try log.seek(0, to: 90)
    #expect(try log.values() == (90..<100).map { "\($0)" })
    try log.seek(0, to: 20)
    #expect(try log.values(atLeast: 80) == (20..<100).map { "\($0)" })
    // In the middle of what the client has fetched already.
    try log.seek(0, to: 0)
    #expect(try log.values(atLeast: 10).first == "0")
    try log.seek(0, to: 95)
    #expect(try log.values(atLeast: 5) == (95..<100).map { "\($0)" })
    log.close()
  }

  @Test func inputsDoNotWaitForEachOther() throws {
    let mock = try MockCluster(topics: [("events", 1), ("clicks", 1)])
    let producer = try TestProducer(mock.settings())
    producer.append((0..<300).map { "e\($0)" }, to: "events")
    producer.append(["c0", "c1"], to: "clicks")
    let log = try log(mock, ["events", "clicks"])
    try log.seek(0, to: 0)
    try log.seek(1, to: 0)
    // The first input is left alone; the second one comes all the same.
    #expect(try log.values(1) == ["c0", "c1"])
    #expect(try log.values(0).count == 300)
    log.close()
  }

  @Test func recordsOutliveTheirLog() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    try TestProducer(mock.settings()).append(["kept"], to: "events")
    let chunk = RecordChunk()
    do {
      let log = try log(mock)
      try log.seek(0, to: 0)
      while try log.fetch(0, into: chunk, maxRecords: 10) != .records {}
      log.close()
    }
    #expect(chunk.records.map { String(decoding: $0.value, as: UTF8.self) } == ["kept"])
    #expect(chunk.records.map { String(decoding: $0.key, as: UTF8.self) } == ["key"])
    #expect(chunk.records[0].appendTime == LogRecord.noAppendTime)
    chunk.removeAll()
  }

  @Test func anOffsetThatIsNotThereIsSaid() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    try TestProducer(mock.settings()).append(["a"], to: "events")
    let log = try log(mock)
    try log.seek(0, to: 1_000)
    let error = try failure { _ = try log.values() }
    #expect(error.kind == .missing && error.recovery == .stop)
    #expect(error.message.contains("events") && error.message.contains("1000"))
    log.close()
  }

  @Test func goesOnAfterAnOutage() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    let producer = try TestProducer(mock.settings())
    producer.append(["a"], to: "events")
    let log = try log(mock)
    try log.seek(0, to: 0)
    #expect(try log.values() == ["a"])
    mock.setDown(true)
    let chunk = RecordChunk()
    for _ in 0..<100 { #expect(try log.fetch(0, into: chunk, maxRecords: 10) != .records) }
    mock.setDown(false)
    producer.append(["b"], to: "events")
    #expect(try log.values(atLeast: 1) == ["b"])
    log.close()
  }

  // MARK: Topics

  private func topics(_ inputs: [String], _ outputs: [String]) -> KafkaTopics {
    KafkaTopics(
      inputs: inputs.map { LogInput(source: "events", topic: $0) },
      outputs: outputs.map { LogOutput(sink: $0, topic: $0, compacted: false) },
      settings: KafkaSettings(brokers: "x:1", group: "g"))
  }

  @Test func topicsAreChecked() throws {
    let mock = try MockCluster(
      topics: [("events", 3), ("clicks", 3), ("odd", 2), ("tallies", 3), ("g-journal", 3)])
    let cluster = try KafkaCluster(mock.settings())
    #expect(try topics(["events", "clicks"], ["tallies"]).check(on: cluster) == 3)

    let unknown = try failure { _ = try topics(["events", "none"], []).check(on: cluster) }
    #expect(unknown.kind == .missing && unknown.message.contains("no topic none"))
    let unequal = try failure { _ = try topics(["events", "odd"], []).check(on: cluster) }
    #expect(unequal.kind == .configuration)
    #expect(unequal.message.contains("events 3, odd 2"))
    let sink = try failure { _ = try topics(["events"], ["nowhere"]).check(on: cluster) }
    #expect(sink.kind == .missing && sink.message.contains("bidmill topics create"))
    let narrow = try failure { _ = try topics(["events"], ["odd"]).check(on: cluster) }
    #expect(narrow.kind == .configuration && narrow.message.contains("odd has 2 partitions"))
    // To ask for a topic has not made it.
    #expect(try cluster.partitionCounts(of: ["none", "nowhere"]).isEmpty)

    let missing = try topics(["events"], ["b", "a"]).missing(on: cluster)
    #expect(missing.map(\.topic) == ["b", "a"])
    #expect(missing.allSatisfy { $0.partitions == 3 })
  }

  @Test func namesAreChecked() throws {
    func message(_ inputs: [String], _ outputs: [String]) throws -> String {
      let all = inputs.map { LogInput(source: "events", topic: $0) }
      let error = try failure { try topics(inputs, outputs).checkNames(all) }
      #expect(error.kind == .configuration)
      return error.message
    }
    #expect(try message(["events", "events"], []).contains("two sources"))
    #expect(try message(["events"], ["events"]).contains("a source and the sink"))
    #expect(try message(["events"], ["t", "t"]).contains("two sinks"))
    #expect(try message(["events"], ["g-journal"]).contains("the journal's"))
  }

  // MARK: Clients

  @Test func aBrokerThatIsNotThereIsSaid() throws {
    // Nobody listens on the port that was the mock's.
    var settings = try MockCluster().settings()
    settings.answerWithinMilliseconds = 1_000
    let cluster = try KafkaCluster(settings)
    let begun = KafkaClient.now()
    let error = try failure { _ = try cluster.partitionCounts(of: ["events"]) }
    #expect(error.kind == .unavailable && error.message.contains(settings.brokers))
    #expect(KafkaClient.now() - begun < 10_000)
    let log = try cluster.partitionLog(
      partition: 0, inputs: [LogInput(source: "events", topic: "events")], outputs: [])
    #expect(try failure { _ = try log.committed() }.kind == .unavailable)
    log.close()
  }

  @Test func propertiesAreCheckedAndSecretsKept() throws {
    func refusal(_ name: String, _ value: String) throws -> LogError {
      let settings = KafkaSettings(
        brokers: "localhost:1", group: "g", properties: [.init(name: name, value: value)])
      return try failure { _ = try KafkaCluster(settings) }
    }
    #expect(try refusal("no.such.thing", "1").message.contains("`no.such.thing`"))
    #expect(try refusal("socket.timeout.ms", "soon").kind == .configuration)
    #expect(try refusal("socket.timeout.ms", "soon").message.contains("`socket.timeout.ms`"))
    // One that can only be set in another way.
    let key = try refusal("ssl_key", "hush-hush")
    #expect(key.kind == .configuration && !key.message.contains("hush"))
    // What a user says goes before what we prefer.
    let settings = KafkaSettings(
      brokers: "localhost:1", group: "g",
      properties: [.init(name: "queued.min.messages", value: "17")])
    let cluster = try KafkaCluster(settings)
    var value = [CChar](repeating: 0, count: 64)
    var size = value.count
    let configuration = rd_kafka_conf(cluster.consumer.handle)
    #expect(
      rd_kafka_conf_get(configuration, "queued.min.messages", &value, &size) == RD_KAFKA_CONF_OK)
    #expect(KafkaClient.text(value) == "17")
    size = value.count
    #expect(
      rd_kafka_conf_get(configuration, "enable.auto.commit", &value, &size) == RD_KAFKA_CONF_OK)
    #expect(KafkaClient.text(value) == "false")
  }
}
