import CKafka
import Streaming
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One partition of a source topic: a queue of its own, filled by the process's consumer.
///
/// `fetch` and `seek` belong to the partition's worker; `progress` may be asked by anyone.
final class KafkaInput: @unchecked Sendable {
  /// Records that are asked for at once.
  private static let batchMax = 4096

  let topic: String
  let partition: Int32
  private let cluster: KafkaCluster
  private let queue: OpaquePointer
  private let handle: OpaquePointer
  private let messages: UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>
  private var isAssigned = false
  /// Found beside records, to be thrown at the next fetch.
  private var failure: LogError?
  /// Since when the cluster says that there is no such partition, and when that is asked again; in
  /// monotonic ms.
  private var goneSince: Int64?
  private var asksAgainAt: Int64 = 0
  private let waker = Mutex<Unmanaged<Waker>?>(nil)
  /// Records before it are not delivered again, whatever the client still had in its queue.
  private let nextOffset = Atomic<Int64>(0)
  private let isAtEnd = Atomic<Bool>(false)

  init(_ cluster: KafkaCluster, topic: String, partition: Int32) throws(LogError) {
    self.cluster = cluster
    self.topic = topic
    self.partition = partition
    let consumer = cluster.consumer.handle
    guard let queue = rd_kafka_queue_get_partition(consumer, topic, partition),
      let handle = rd_kafka_topic_new(consumer, topic, nil)
    else {
      throw LogError(.ours, "the Kafka client gives no queue for \(topic) \(partition)")
    }
    // Not into the consumer's common queue, where partitions would wait for each other.
    rd_kafka_queue_forward(queue, nil)
    self.queue = queue
    self.handle = handle
    messages = .allocate(capacity: KafkaInput.batchMax)
  }

  /// What the library calls when its queue is not empty any more.
  private final class Waker: Sendable {
    let wake: @Sendable () -> Void
    init(_ wake: @escaping @Sendable () -> Void) { self.wake = wake }
  }

  /// A restarting cluster may know less than it holds for so long.
  private static let goneMilliseconds: Int64 = 30_000
  private static let askMilliseconds: Int64 = 2_000

  /// From now on `wake` is called, by a thread of the library, when there is something to fetch.
  func onArrival(_ wake: @escaping @Sendable () -> Void) {
    let waker = Unmanaged.passRetained(Waker(wake))
    let old = self.waker.withLock { current in
      defer { current = waker }
      return current
    }
    rd_kafka_queue_cb_event_enable(
      queue,
      { _, opaque in
        guard let opaque else { return }
        Unmanaged<Waker>.fromOpaque(opaque).takeUnretainedValue().wake()
      }, waker.toOpaque())
    // The library calls under the queue's lock: now nobody uses the old one any more.
    old?.release()
  }

  deinit {
    rd_kafka_queue_cb_event_enable(queue, nil, nil)
    waker.withLock { $0?.release() }
    messages.deallocate()
    rd_kafka_queue_destroy(queue)
    rd_kafka_topic_destroy(handle)
  }

  func seek(to offset: Int64) throws(LogError) {
    nextOffset.store(offset, ordering: .relaxed)
    isAtEnd.store(false, ordering: .relaxed)
    failure = nil
    if isAssigned {
      let error = rd_kafka_seek(handle, partition, offset, 0)
      guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw LogError(
          .unavailable,
          "the Kafka client cannot go to offset \(offset) of \(topic) \(partition): "
            + KafkaClient.text(error))
      }
      return
    }
    let list = PartitionList(capacity: 1)
    list.add(topic, partition, offset: offset)
    if let error = rd_kafka_incremental_assign(cluster.consumer.handle, list.list) {
      defer { rd_kafka_error_destroy(error) }
      throw LogError(
        .unavailable,
        "\(topic) \(partition) cannot be read: " + KafkaClient.text(rd_kafka_error_code(error)))
    }
    isAssigned = true
  }

  /// Asks the broker anew whether this is the end.
  func forgetEnd() throws(LogError) {
    if isAtEnd.load(ordering: .relaxed) { try seek(to: nextOffset.load(ordering: .relaxed)) }
  }

  func fetch(
    into chunk: RecordChunk, maxRecords: Int, waitMilliseconds: Int32 = 0
  ) throws(LogError) -> FetchStatus {
    chunk.removeAll()
    if let failure {
      self.failure = nil
      throw failure
    }
    if goneSince != nil { try askAgain() }
    let count = rd_kafka_consume_batch_queue(
      queue, waitMilliseconds, messages, min(maxRecords, KafkaInput.batchMax))
    guard count > 0 else { return isAtEnd.load(ordering: .relaxed) ? .end : .waiting }
    var kept: [UnsafeMutablePointer<rd_kafka_message_t>] = []
    kept.reserveCapacity(count)
    var next = nextOffset.load(ordering: .relaxed)
    for place in 0..<count {
      guard let message = messages[place] else { continue }
      switch message.pointee.err {
      case RD_KAFKA_RESP_ERR_NO_ERROR where message.pointee.offset >= next:
        next = message.pointee.offset &+ 1
        isAtEnd.store(false, ordering: .relaxed)
        goneSince = nil
        chunk.records.append(KafkaInput.record(message))
        kept.append(message)
        continue
      case RD_KAFKA_RESP_ERR_NO_ERROR: break
      case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        goneSince = nil
        if message.pointee.offset >= next {
          isAtEnd.store(true, ordering: .relaxed)
        }
      default: failure = failure ?? complaint(message.pointee.err, at: next)
      }
      rd_kafka_message_destroy(message)
    }
    nextOffset.store(next, ordering: .relaxed)
    chunk.nextOffset = next
    lend(kept, to: chunk)
    // What came before the error is given first: it would be lost.
    if let failure, chunk.records.isEmpty {
      self.failure = nil
      throw failure
    }
    guard !chunk.records.isEmpty else {
      return isAtEnd.load(ordering: .relaxed) ? .end : .waiting
    }
    return .records
  }

  /// The library's memory is the chunk's until that is filled again; the client must live as long.
  private func lend(
    _ kept: [UnsafeMutablePointer<rd_kafka_message_t>], to chunk: RecordChunk
  ) {
    guard !kept.isEmpty else { return }
    chunk.onRelease = { [cluster] in
      withExtendedLifetime(cluster) {
        for message in kept { rd_kafka_message_destroy(message) }
      }
    }
  }

  /// A producer's own timestamp says nothing about when the record was received: only the broker's
  /// bounds an event's time.
  private static func record(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> LogRecord {
    var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    let time = rd_kafka_message_timestamp(message, &type)
    let content = message.pointee
    return LogRecord(
      offset: content.offset,
      appendTime: type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? time : LogRecord.noAppendTime,
      key: UnsafeRawBufferPointer(start: content.key, count: content.key_len),
      value: UnsafeRawBufferPointer(
        start: content.payload, count: content.payload == nil ? 0 : content.len))
  }

  /// Whether the partition is there again: then its records or its end come.
  private func askAgain() throws(LogError) {
    let now = KafkaClient.now()
    guard let since = goneSince else { return }
    guard now - since < KafkaInput.goneMilliseconds else {
      throw LogError(
        .missing,
        "\(topic) partition \(partition) is gone: the topic was deleted while it was read. Make it "
          + "again and begin with another `group`, or take it out of the sources")
    }
    guard now >= asksAgainAt else { return }
    asksAgainAt = now + KafkaInput.askMilliseconds
    try seek(to: nextOffset.load(ordering: .relaxed))
  }

  /// What a fetch says beside records; nil where the client goes on by itself.
  private func complaint(_ error: rd_kafka_resp_err_t, at offset: Int64) -> LogError? {
    switch error {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      LogError(
        .missing,
        "\(topic) partition \(partition) does not hold offset \(offset): retention has removed it, "
          + "or the topic was made anew. Bring it back, or begin with another `group`")
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      gone()
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      LogError(.configuration, "the cluster does not let this client read the topic \(topic)")
    case RD_KAFKA_RESP_ERR__BAD_MSG, RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
      LogError(
        .badData,
        "\(topic) partition \(partition) cannot be read from offset \(offset): "
          + KafkaClient.text(error))
    default: nil
    }
  }

  private func gone() -> LogError {
    isAtEnd.store(false, ordering: .relaxed)
    if goneSince == nil {
      goneSince = KafkaClient.now()
      asksAgainAt = KafkaClient.now() + KafkaInput.askMilliseconds
    }
    return LogError(
      .missing, recovery: .retry,
      "the cluster knows no \(topic) partition \(partition) any more; asking again for "
        + "\(KafkaInput.goneMilliseconds / 1000) s")
  }

  /// How many records behind `committed` there are; nil while that is not known.
  func left(after committed: Int64) -> Int64? {
    let next = nextOffset.load(ordering: .relaxed)
    // Behind the last record there may be offsets without records, so the end counts, not them.
    if isAtEnd.load(ordering: .relaxed) { return max(0, next - committed) }
    var (low, high): (Int64, Int64) = (0, 0)
    let error = rd_kafka_get_watermark_offsets(
      cluster.consumer.handle, topic, partition, &low, &high)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0 else { return nil }
    return max(1, high - committed)
  }

  /// Lets the consumer forget the partition.
  func close() {
    guard isAssigned else { return }
    isAssigned = false
    let list = PartitionList(capacity: 1)
    list.add(topic, partition, offset: -1)
    if let error = rd_kafka_incremental_unassign(cluster.consumer.handle, list.list) {
      rd_kafka_error_destroy(error)
    }
  }
}
