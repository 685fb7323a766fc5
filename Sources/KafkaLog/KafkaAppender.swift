import CKafka
public import Streaming

/// Appends records to topics outside of any transaction, idempotently, and says where each of them
/// stands: for generators. Used by one thread.
public final class KafkaAppender {
  /// Where a record stands.
  public struct Delivery: Sendable, Equatable {
    /// What `append` was given.
    public var tag: UInt32
    public var topic: Int
    public var partition: Int32
    public var offset: Int64
  }

  private let client: KafkaClient
  private let settings: KafkaSettings
  private let topics: [String]
  private let handles: [OpaquePointer]
  private var found: [Delivery] = []

  private static let preferences = [
    ("queue.buffering.max.messages", "10000000"), ("queue.buffering.max.kbytes", "1048576"),
    ("socket.nagle.disable", "true"), ("linger.ms", "1"), ("batch.num.messages", "100000"),
  ]

  /// - Throws: `.configuration` for a property that the client refuses.
  public init(_ settings: KafkaSettings, topics: [String]) throws(LogError) {
    self.settings = settings
    self.topics = topics
    client = try KafkaClient(
      .appender, settings, owned: [("enable.idempotence", "true")],
      preferred: KafkaAppender.preferences)
    var handles: [OpaquePointer] = []
    for topic in topics {
      guard let handle = rd_kafka_topic_new(client.handle, topic, nil) else {
        for handle in handles { rd_kafka_topic_destroy(handle) }
        throw LogError(.ours, "the Kafka client gives no handle for the topic \(topic)")
      }
      handles.append(handle)
    }
    self.handles = handles
  }

  deinit { for handle in handles { rd_kafka_topic_destroy(handle) } }

  /// Sends a record on its way; waits where the client's queue is full.
  ///
  /// - Parameters:
  ///   - topic: index in the topics that it was made with; below 2³¹.
  ///   - tag: comes back with its delivery.
  public func append(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, topic: Int, partition: Int32,
    tag: UInt32
  ) throws(LogError) {
    let opaque = UnsafeMutableRawPointer(bitPattern: UInt(topic + 1) << 32 | UInt(tag))
    while rd_kafka_produce(
      handles[topic], partition, Int32(RD_KAFKA_MSG_F_COPY),
      UnsafeMutableRawPointer(mutating: value.baseAddress), value.count, key.baseAddress,
      key.count, opaque) != 0
    {
      let error = rd_kafka_last_error()
      guard error == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
        throw refusal(error, topics[topic], partition)
      }
      try take(waitMilliseconds: 10)
    }
  }

  /// What was delivered since the last call, by place in the order of the offsets.
  ///
  /// - Throws: that a record was not delivered.
  public func deliveries() throws(LogError) -> [Delivery] {
    try take(waitMilliseconds: 0)
    defer { found.removeAll(keepingCapacity: true) }
    return found
  }

  /// Waits until everything that was appended is delivered.
  public func finish() throws(LogError) {
    let deadline = Deadline(milliseconds: settings.commitWithinMilliseconds)
    while rd_kafka_outq_len(client.handle) > 0 {
      guard !deadline.isOver else {
        throw LogError(
          .unavailable,
          "\(settings.brokers) has not taken \(rd_kafka_outq_len(client.handle)) records within "
            + "\(settings.commitWithinMilliseconds / 1000) s")
      }
      try take(waitMilliseconds: 20)
    }
    try take(waitMilliseconds: 0)
  }

  private func take(waitMilliseconds: Int32) throws(LogError) {
    for report in client.takeReports(waitMilliseconds: waitMilliseconds) {
      let topic = Int(report.tag >> 32) - 1
      guard report.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw refusal(report.error, topics[topic], report.partition)
      }
      found.append(
        Delivery(
          tag: UInt32(truncatingIfNeeded: report.tag), topic: topic, partition: report.partition,
          offset: report.offset))
    }
  }

  private func refusal(
    _ error: rd_kafka_resp_err_t, _ topic: String, _ partition: Int32
  ) -> LogError {
    LogError(
      .unavailable,
      "a record for \(topic) partition \(partition) was not taken: \(KafkaClient.text(error))"
        + (client.lastComplaint.map { " (\($0))" } ?? ""))
  }
}
