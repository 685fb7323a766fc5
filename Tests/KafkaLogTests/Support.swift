import CKafka
import Events
import Streaming
import Testing

@testable import KafkaLog

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// What the tests of this target share: the client library's own mock of a cluster, which needs no
// network but this machine's own; producing into a topic; and reading one.
//
// The mock keeps no transactional offsets and hides no aborted records, so nothing about exactly
// once is shown with it: that is for the tests against a real broker (`KAFKA_BROKERS`).

/// A mocked cluster that lives as long as this.
final class MockCluster {
  private let host: KafkaClient
  private let cluster: OpaquePointer
  let brokers: Int

  init(brokers: Int = 1, topics: [(String, Int)] = []) throws {
    let settings = KafkaSettings(brokers: "localhost:1", group: "mock")
    host = try KafkaClient(.producer, settings, owned: [], preferred: [])
    guard let cluster = rd_kafka_mock_cluster_new(host.handle, Int32(brokers)) else {
      throw LogError(.ours, "no mock cluster")
    }
    self.cluster = cluster
    self.brokers = brokers
    for (topic, partitions) in topics { create(topic, partitions) }
  }

  deinit { rd_kafka_mock_cluster_destroy(cluster) }

  func create(_ topic: String, _ partitions: Int) {
    let error = rd_kafka_mock_topic_create(cluster, topic, Int32(partitions), 1)
    #expect(error == RD_KAFKA_RESP_ERR_NO_ERROR)
  }

  func setDown(_ isDown: Bool) {
    for broker in 1...Int32(brokers) {
      let error =
        isDown
        ? rd_kafka_mock_broker_set_down(cluster, broker)
        : rd_kafka_mock_broker_set_up(cluster, broker)
      #expect(error == RD_KAFKA_RESP_ERR_NO_ERROR)
    }
  }

  func setRoundTrip(milliseconds: Int32) {
    for broker in 1...Int32(brokers) {
      let error = rd_kafka_mock_broker_set_rtt(cluster, broker, milliseconds)
      #expect(error == RD_KAFKA_RESP_ERR_NO_ERROR)
    }
  }

  /// The next requests of a kind are answered with these errors.
  func fail(_ requests: Int16, with errors: [rd_kafka_resp_err_t]) {
    var errors = errors
    rd_kafka_mock_push_request_errors_array(cluster, requests, errors.count, &errors)
  }

  func settings(within milliseconds: Int64 = 10_000) -> KafkaSettings {
    var settings = KafkaSettings(
      brokers: String(cString: rd_kafka_mock_cluster_bootstraps(cluster)), group: "g",
      answerWithinMilliseconds: milliseconds, commitWithinMilliseconds: milliseconds)
    settings.asksForTopicSettings = false
    return settings
  }
}

/// The protocol's numbers of requests.
enum Request {
  static let endTransaction: Int16 = 26
  static let fetch: Int16 = 1
  static let produce: Int16 = 0
  static let transactionOffsets: Int16 = 28
}

/// Appends records to a topic.
final class TestProducer {
  private let client: KafkaClient

  init(_ settings: KafkaSettings) throws {
    client = try KafkaClient(.producer, settings, owned: [("linger.ms", "0")], preferred: [])
  }

  func append(_ values: [String], to topic: String, _ partition: Int32 = 0) {
    guard let handle = rd_kafka_topic_new(client.handle, topic, nil) else {
      Issue.record("no handle for \(topic)")
      return
    }
    defer { rd_kafka_topic_destroy(handle) }
    for value in values {
      var bytes = Array(value.utf8)
      let status = rd_kafka_produce(
        handle, partition, Int32(RD_KAFKA_MSG_F_COPY), &bytes, bytes.count, "key", 3, nil)
      #expect(status == 0)
    }
    #expect(rd_kafka_flush(client.handle, 10_000) == RD_KAFKA_RESP_ERR_NO_ERROR)
  }

  /// Values of any bytes, or none, to partition 0 of `events`.
  func append(bytes values: [[UInt8]?]) {
    guard let handle = rd_kafka_topic_new(client.handle, "events", nil) else {
      Issue.record("no handle for events")
      return
    }
    defer { rd_kafka_topic_destroy(handle) }
    for value in values {
      let status =
        if var value {
          rd_kafka_produce(
            handle, 0, Int32(RD_KAFKA_MSG_F_COPY), &value, value.count, nil, 0, nil)
        } else {
          rd_kafka_produce(handle, 0, 0, nil, 0, nil, 0, nil)
        }
      #expect(status == 0)
    }
    #expect(rd_kafka_flush(client.handle, 10_000) == RD_KAFKA_RESP_ERR_NO_ERROR)
  }
}

extension KafkaPartitionLog {
  /// Fetches until there are so many records; without a number, until the input's end.
  func values(_ input: Int = 0, atLeast count: Int = Int.max) throws -> [String] {
    var values: [String] = []
    let chunk = RecordChunk()
    let deadline = Deadline(milliseconds: 20_000)
    while values.count < count {
      guard !deadline.isOver else {
        Issue.record("\(values.count) records after 20 s")
        break
      }
      switch try fetch(input, into: chunk, maxRecords: 100) {
      case .records:
        #expect(!chunk.records.isEmpty && chunk.records.count <= 100)
        values += chunk.records.map { String(decoding: $0.value, as: UTF8.self) }
      case .end where count == Int.max: return values
      case .end, .waiting: usleep(1_000)
      }
    }
    return values
  }

  /// The status once it is this, or the last one after some seconds.
  func waits(for wanted: FetchStatus, _ input: Int = 0) throws -> FetchStatus {
    let chunk = RecordChunk()
    let deadline = Deadline(milliseconds: 20_000)
    var status = try fetch(input, into: chunk, maxRecords: 100)
    while status != wanted, !deadline.isOver {
      usleep(1_000)
      status = try fetch(input, into: chunk, maxRecords: 100)
    }
    return status
  }
}

/// A transaction with records for the first sink.
func transaction(_ number: Int64, _ nextOffsets: [Int64], _ outputs: [(String, String)] = [])
  -> Transaction
{
  let transaction = Transaction()
  transaction.number = number
  transaction.nextOffsets = nextOffsets
  transaction.journal = Array("journal of \(number)".utf8)
  for (key, value) in outputs {
    transaction.outputs.append(sink: 0, time: EventTime(milliseconds: 0)) { json in
      json.unframed(key)
      json.unframed(value)
      return key.utf8.count
    }
  }
  return transaction
}

/// Runs the body and gives what the log has against it.
func failure(_ body: () throws -> Void) throws -> LogError {
  do { try body() } catch let error as LogError { return error }
  Issue.record("nothing was thrown")
  return LogError(.ours, "")
}
