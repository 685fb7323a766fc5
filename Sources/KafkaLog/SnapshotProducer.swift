import CKafka
import Streaming

/// Writes a partition's snapshots into their topic, in transactions: whoever opens it last fences
/// those before, so that the index has one writer.
final class SnapshotProducer {
  private static let preferences = [
    ("queue.buffering.max.kbytes", "65536"), ("linger.ms", "5"), ("batch.size", "1000000"),
    ("socket.nagle.disable", "true"), ("reconnect.backoff.max.ms", "1000"),
    ("message.max.bytes", "33554432"),
    // A third of the bytes; where the library cannot do it, the next best.
    ("compression.codec", "lz4"), ("compression.codec", "zstd"),
  ]

  private let client: KafkaClient
  private let topic: TopicHandle
  private let settings: KafkaSettings
  private let id: String
  private let partition: Int32
  private(set) var isBegun = false
  /// Bytes handed over since the transaction began.
  private(set) var bytes = 0

  init(_ settings: KafkaSettings, topic: String, partition: Int32) throws(LogError) {
    self.settings = settings
    self.partition = partition
    id = "\(settings.group)-snapshots-\(partition)"
    client = try KafkaClient(
      .producer, settings,
      owned: [("transactional.id", id), ("delivery.report.only.error", "true")],
      preferred: SnapshotProducer.preferences)
    self.topic = try TopicHandle(client, topic)
    try client.openTransactions(id)
  }

  /// Hands a record over, into the transaction that is open or a new one.
  ///
  /// - Parameter value: nil for a tombstone.
  func put(_ key: String, _ value: [UInt8]?) throws(LogError) {
    if !isBegun {
      try check(rd_kafka_begin_transaction(client.handle))
      isBegun = true
      bytes = 0
    }
    let deadline = Deadline(milliseconds: settings.commitWithinMilliseconds)
    var key = key
    while let error = key.withUTF8({ key in
      guard let value else { return topic.produce(partition, key: .init(key), value: nil) }
      return value.withUnsafeBytes { topic.produce(partition, key: .init(key), value: $0) }
    }) {
      guard error == RD_KAFKA_RESP_ERR__QUEUE_FULL, !deadline.isOver else {
        throw failure(Outcome(error, "a record for \(topic.name) partition \(partition)", client))
      }
      rd_kafka_flush(client.handle, 100)
    }
    bytes += key.utf8.count + (value?.count ?? 0)
  }

  func commit() throws(LogError) {
    guard isBegun else { return }
    let deadline = Deadline(milliseconds: settings.commitWithinMilliseconds)
    while let error = rd_kafka_commit_transaction(client.handle, max(deadline.left, 1)) {
      let outcome = Outcome(error, client)
      if outcome.isRetriable, !outcome.isFatal, !outcome.mustAbort, !deadline.isOver { continue }
      throw failure(outcome)
    }
    isBegun = false
  }

  private func check(_ error: OpaquePointer?) throws(LogError) {
    if let error { throw failure(Outcome(error, client)) }
  }

  private func failure(_ outcome: Outcome) -> LogError {
    var outcome = outcome
    if let error = client.takeDeliveryError() { outcome.replace(with: error) }
    return outcome.refusal(id, settings)
      ?? LogError(
        .unavailable, recovery: .retry,
        "\(topic.name) partition \(partition) cannot be written: \(outcome.text)")
  }
}
