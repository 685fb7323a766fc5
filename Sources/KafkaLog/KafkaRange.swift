import CKafka
public import Streaming

/// A stretch of a partition of a topic, from an offset to an end that is fixed beforehand: for
/// replays and recordings. Nothing is committed, no group is joined.
///
/// Used by one thread at a time.
public final class KafkaRange: @unchecked Sendable {
  // Handed between threads at most, never used by two at once.
  public let topic: String
  public let partition: Int32
  /// The first offset of the stretch.
  public let start: Int64
  /// The offset after its last record, or where that would be.
  public let end: Int64
  private let cluster: KafkaCluster
  private let input: KafkaInput
  private var isPositioned = false
  private var isAtEnd = false
  private var waitsSince: Int64 = 0

  /// Without anything coming for so long, the cluster is out of reach.
  private static let patienceMilliseconds: Int64 = 60_000

  /// Where a stretch begins or ends.
  public enum Position: Sendable, Equatable {
    case offset(Int64)
    /// The first record with this timestamp or a later one, in ms since the epoch.
    case time(Int64)
  }

  /// - Parameters:
  ///   - start: nil for the first record that there is.
  ///   - end: nil for the end that there is now. What lies behind that does not count either.
  /// - Throws: `.missing` where the partition is not there, or does not hold an offset any more.
  public init(
    _ cluster: KafkaCluster, topic: String, partition: Int32, from start: Position? = nil,
    to end: Position? = nil
  ) throws(LogError) {
    self.cluster = cluster
    self.topic = topic
    self.partition = partition
    let (low, high) = try cluster.watermarks(topic, partition)
    let first = try cluster.resolve(start, topic, partition, low, high) ?? low
    guard first >= low else {
      throw LogError(
        .missing,
        "\(topic) partition \(partition) begins at offset \(low): what was before is removed, "
          + "offset \(first) too")
    }
    self.start = min(first, high)
    self.end = min(max(try cluster.resolve(end, topic, partition, low, high) ?? high, first), high)
    input = try KafkaInput(cluster, topic: topic, partition: partition)
  }

  /// Records that are left at most; there may be gaps.
  public var count: Int64 { end - start }

  /// As `PartitionLog.fetch`; `.end` is for good.
  public func fetch(
    into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    if !isPositioned { try seek(to: start) }
    guard !isAtEnd else {
      chunk.removeAll()
      return .end
    }
    switch try input.fetch(into: chunk, maxRecords: maxRecords, waitMilliseconds: 1) {
    case .records:
      waitsSince = 0
      if let last = chunk.records.last, last.offset >= end - 1 {
        isAtEnd = true
        chunk.records.removeAll { $0.offset >= end }
        if chunk.records.isEmpty { return .end }
      }
      return .records
    case .end:
      isAtEnd = true
      return .end
    case .waiting:
      try checkPatience()
      return .waiting
    }
  }

  private func checkPatience() throws(LogError) {
    let now = KafkaClient.now()
    if waitsSince == 0 { waitsSince = now }
    guard now - waitsSince > KafkaRange.patienceMilliseconds else { return }
    throw LogError(
      .unavailable,
      "\(topic) partition \(partition) has given nothing for "
        + "\(KafkaRange.patienceMilliseconds / 1000) s, and is not at its end")
  }

  public func seek(to offset: Int64) throws(LogError) {
    try input.seek(to: offset)
    isPositioned = true
    isAtEnd = offset >= end
    waitsSince = 0
  }

  public func close() { input.close() }
}

extension KafkaCluster {
  fileprivate func resolve(
    _ position: KafkaRange.Position?, _ topic: String, _ partition: Int32, _ low: Int64,
    _ high: Int64
  ) throws(LogError) -> Int64? {
    switch position {
    case nil: return nil
    case .offset(let offset): return offset
    case .time(let time):
      let list = PartitionList(capacity: 1)
      list.add(topic, partition, offset: time)
      let error = rd_kafka_offsets_for_times(
        consumer.handle, list.list, Int32(clamping: settings.answerWithinMilliseconds))
      guard error == RD_KAFKA_RESP_ERR_NO_ERROR, list.elements[0].err == error else {
        throw LogError(
          .unavailable,
          "the offset of a time in \(topic) partition \(partition) cannot be asked for: "
            + KafkaClient.text(
              error == RD_KAFKA_RESP_ERR_NO_ERROR ? list.elements[0].err : error))
      }
      let offset = list.elements[0].offset
      return offset >= 0 ? max(offset, low) : high
    }
  }
}
