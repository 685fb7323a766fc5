import CKafka
import Streaming
import Testing

@testable import KafkaLog

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct StatisticsTests {
  private func read(_ text: String) -> KafkaStatistics? {
    Array(text.utf8).withUnsafeBytes { KafkaStatistics($0) }
  }

  @Test func keepsWhatTheLibrarySays() throws {
    let report = try #require(
      read(
        """
        { "name": "rdkafka#producer-2", "client_id": "rdkafka", "type": "producer",
          "replyq":3, "msg_cnt":5, "msg_size":1200, "simple_cnt": 0,
          "brokers":{ "b:9092/bootstrap": { "name":"b:9092/bootstrap", "nodeid":-1, "state":"UP" },
            "b:9092/1": { "name":"b:9092/1", "nodeid":1, "state":"UP", "txerrs":0,
              "rtt": { "avg": 1850, "p99": 9000.5 }, "toppars":{ "t-0": { "topic":"t" } } } },
          "topics":{ "t": { "partitions": { "0": { "msgs": 7 } }, "metadata_age": 1 } },
          "eos": { "idemp_state":"Assigned", "txn_state":"Ready", "txn_may_enq": true },
          "list": [1, "a\\"b", {}, []] }
        """))
    #expect(report.client == "rdkafka#producer-2")
    #expect(report.kind == "producer")
    #expect(report.brokers == ["b:9092/1"])
    #expect(report.number("brokers", "b:9092/1", "rtt", "p99") == 9000.5)
    #expect(report.word("brokers", "b:9092/1", "state") == "UP")
    #expect(report.number("msg_size") == 1200)
    #expect(report.number("eos", "txn_may_enq") == 1)
    #expect(report.word("eos", "txn_state") == "Ready")
    // Partitions are not the client's business here.
    #expect(!report.numbers.contains { $0.path.contains("topics") || $0.path.contains("toppars") })
  }

  @Test func refusesWhatIsNoReport() {
    for text in [
      "", "{", "[]", "{}", "7", #"{"name":"x"}"#, #"{"name":"x","type":"y""#, #"{"name":"#,
      String(repeating: #"{"a":"#, count: 100), #"{"name" "x"}"#, #"{"name":"x\"#,
    ] {
      #expect(read(text) == nil, "\(text)")
    }
  }

  /// Settings with which a client reports without a pause, under a name of its own.
  private func settings(_ mock: MockCluster, _ name: String) -> KafkaSettings {
    var settings = mock.settings()
    settings.properties = [
      Topology.Property(name: "client.id", value: name),
      Topology.Property(name: "statistics.interval.ms", value: "10"),
    ]
    return settings
  }

  /// Reports that nobody takes gather in the client for as long as it lives.
  @Test func clientsThatAreOnlyReadNowAndThenDoNotReport() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    let cluster = try KafkaCluster(settings(mock, "unserved"))
    let queue = try #require(rd_kafka_queue_get_consumer(cluster.consumer.handle))
    defer { rd_kafka_queue_destroy(queue) }
    usleep(500_000)
    #expect(rd_kafka_queue_length(queue) < 10)
  }

  @Test func producersReportWhileThereIsNothingToCommit() throws {
    let mock = try MockCluster(topics: [("events", 1), ("tallies", 1), ("g-journal", 1)])
    var settings = settings(mock, "idle")
    settings.reportsStatistics = true
    let cluster = try KafkaCluster(settings)
    let log = try cluster.partitionLog(
      partition: 0, inputs: [LogInput(source: "events", topic: "events")],
      outputs: [LogOutput(sink: "tallies", topic: "tallies", compacted: false)])
    #expect(try log.committed() == nil)
    func report() -> KafkaStatistics? {
      KafkaStatistics.current.first { $0.client.hasPrefix("idle#") && $0.kind == "producer" }
    }
    let deadline = Deadline(milliseconds: 10_000)
    while report() == nil, !deadline.isOver {
      _ = cluster.complaints()
      usleep(10_000)
    }
    #expect(report()?.word("eos", "txn_state") == "Ready")
    log.close()
    while report() != nil, !deadline.isOver { usleep(1_000) }
    #expect(report() == nil)
  }
}
