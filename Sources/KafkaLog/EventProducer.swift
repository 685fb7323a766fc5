import CKafka
public import Streaming

/// Writes events into source topics: idempotent, acknowledged by all replicas, in the partition
/// that their account belongs to. Used by one thread at a time.
public final class EventProducer: @unchecked Sendable {
  // Handed between threads at most, never used by two at once.
  private let client: KafkaClient
  private let settings: KafkaSettings
  private var topics: [String: OpaquePointer] = [:]

  public init(
    _ settings: KafkaSettings, partitioner: Topology.Partitioner
  ) throws(LogError) {
    self.settings = settings
    client = try KafkaClient(
      .producer, settings,
      owned: [
        ("enable.idempotence", "true"), ("acks", "all"), ("delivery.report.only.error", "true"),
        ("partitioner", partitioner == .murmur2 ? "murmur2" : "consistent"),
        ("delivery.timeout.ms", "\(settings.commitWithinMilliseconds)"),
      ],
      preferred: [
        ("linger.ms", "1"), ("socket.nagle.disable", "true"),
        ("reconnect.backoff.max.ms", "1000"),
      ])
  }

  deinit { for topic in topics.values { rd_kafka_topic_destroy(topic) } }

  /// Hands a record over; it is sent with others, and on its way until `flush` returns.
  ///
  /// - Parameter partition: nil: that of its key.
  public func add(
    _ topic: String, partition: Int32?, key: [UInt8], value: [UInt8]
  ) throws(LogError) {
    let handle = try handle(topic)
    let deadline = Deadline(milliseconds: settings.commitWithinMilliseconds)
    while !produce(handle, partition ?? RD_KAFKA_PARTITION_UA, key, value) {
      let error = rd_kafka_last_error()
      guard error == RD_KAFKA_RESP_ERR__QUEUE_FULL, !deadline.isOver else {
        throw giveUp("a record for \(topic): \(KafkaClient.text(error))")
      }
      rd_kafka_flush(client.handle, 100)
    }
  }

  private func produce(
    _ topic: OpaquePointer, _ partition: Int32, _ key: [UInt8], _ value: [UInt8]
  ) -> Bool {
    value.withUnsafeBytes { value in
      key.withUnsafeBytes { key in
        rd_kafka_produce(
          topic, partition, Int32(RD_KAFKA_MSG_F_COPY),
          UnsafeMutableRawPointer(mutating: value.baseAddress), value.count,
          key.isEmpty ? nil : key.baseAddress, key.count, nil) == 0
      }
    }
  }

  private func handle(_ topic: String) throws(LogError) -> OpaquePointer {
    if let known = topics[topic] { return known }
    guard let handle = rd_kafka_topic_new(client.handle, topic, nil) else {
      throw LogError(.ours, "the Kafka client gives no handle for the topic \(topic)")
    }
    topics[topic] = handle
    return handle
  }

  /// Returns when the brokers have acknowledged everything that was handed over.
  ///
  /// - Throws: `.unavailable` when they have not; some of it may be in the topics.
  public func flush() throws(LogError) {
    let error = rd_kafka_flush(
      client.handle, Int32(clamping: settings.commitWithinMilliseconds))
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw giveUp(KafkaClient.text(error)) }
    if let failed = client.takeDeliveryError() { throw giveUp(KafkaClient.text(failed)) }
  }

  /// Takes back what was not sent.
  private func giveUp(_ why: String) -> LogError {
    rd_kafka_purge(
      client.handle, Int32(RD_KAFKA_PURGE_F_QUEUE) | Int32(RD_KAFKA_PURGE_F_INFLIGHT))
    rd_kafka_flush(client.handle, 1_000)
    let last = client.lastComplaint.map { " (\($0))" } ?? ""
    return LogError(
      .unavailable, recovery: .retry,
      "\(settings.brokers) did not acknowledge the events: \(why)\(last).")
  }
}
