import CKafka
public import Streaming

/// Reads all partitions of topics that are committed, outside of any group. Used by one thread.
public final class KafkaTopicReader {
  public enum Start: Sendable {
    case beginning
    /// What comes from now on.
    case end
  }

  private let cluster: KafkaCluster
  private let inputs: [KafkaInput]
  private var next = 0
  private var ended: [Bool]

  public init(
    _ settings: KafkaSettings, topics: [String], partitions: Int, from start: Start
  ) throws(LogError) {
    let cluster = try KafkaCluster(settings)
    self.cluster = cluster
    var inputs: [KafkaInput] = []
    for topic in topics {
      for partition in 0..<Int32(partitions) {
        let input = try KafkaInput(cluster, topic: topic, partition: partition)
        let (low, high) = try cluster.watermarks(topic, partition)
        try input.seek(to: start == .end ? high : low)
        inputs.append(input)
      }
    }
    self.inputs = inputs
    ended = Array(repeating: false, count: inputs.count)
  }

  deinit { for input in inputs { input.close() } }

  /// Refills the chunk with records of the next partition that has some.
  ///
  /// - Returns: `.end` where every partition is at its end.
  public func fetch(into chunk: RecordChunk) throws(LogError) -> FetchStatus {
    cluster.consumer.discardEvents()
    for _ in inputs {
      let place = next
      next = (next + 1) % inputs.count
      let status = try inputs[place].fetch(into: chunk, maxRecords: 4096)
      ended[place] = status == .end
      if status == .records { return .records }
    }
    return ended.allSatisfy { $0 } ? .end : .waiting
  }
}

/// Asks how far a group has committed, without being one of it. Used by one thread.
public final class KafkaGroupOffsets {
  private let client: KafkaClient
  private let settings: KafkaSettings
  private let topics: [String]
  private let partitions: Int

  public init(_ settings: KafkaSettings, topics: [String], partitions: Int) throws(LogError) {
    self.settings = settings
    self.topics = topics
    self.partitions = partitions
    // Offsets of a transaction that is still open are not waited for.
    client = try KafkaClient(
      .consumer, settings, owned: [("group.id", settings.group)],
      preferred: [("isolation.level", "read_uncommitted")])
  }

  /// By topic, then partition, the next offset; nil where one of them has none.
  public func committed() throws(LogError) -> [Int64]? {
    let list = PartitionList(capacity: topics.count * partitions)
    for topic in topics {
      for partition in 0..<Int32(partitions) { list.add(topic, partition, offset: -1001) }
    }
    let error = rd_kafka_committed(
      client.handle, list.list, Int32(clamping: settings.answerWithinMilliseconds))
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw LogError(
        .unavailable, recovery: .retry,
        "the offsets of the group \(settings.group) are not known: \(KafkaClient.text(error))")
    }
    let offsets = list.elements.map(\.offset)
    return offsets.allSatisfy { $0 >= 0 } ? offsets : nil
  }
}

extension KafkaCluster {
  /// The offset that a topic's partition gives its next record.
  public func endOffset(_ topic: String, partition: Int32) throws(LogError) -> Int64 {
    try watermarks(topic, partition).high
  }
}
