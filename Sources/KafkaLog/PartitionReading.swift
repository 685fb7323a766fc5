import CKafka
import Streaming

/// Reads a partition of a topic from places that its user chooses, to the end that it has then.
final class PartitionReading {
  let topic: String
  let partition: Int32
  /// First and next offset when the reading began.
  let low: Int64
  let high: Int64
  /// What `next` has found.
  let chunk = RecordChunk()
  private let cluster: KafkaCluster
  private let input: KafkaInput

  init(_ cluster: KafkaCluster, topic: String, partition: Int32) throws(LogError) {
    self.cluster = cluster
    self.topic = topic
    self.partition = partition
    (low, high) = try cluster.watermarks(topic, partition)
    input = try KafkaInput(cluster, topic: topic, partition: partition)
  }

  func seek(to offset: Int64) throws(LogError) { try input.seek(to: offset) }

  /// Waits for records; false at the partition's end.
  func next() throws(LogError) -> Bool {
    let deadline = Deadline(milliseconds: cluster.settings.answerWithinMilliseconds)
    while !deadline.isOver {
      switch try input.fetch(into: chunk, maxRecords: 4096, waitMilliseconds: 10) {
      case .records: return true
      case .end: return false
      case .waiting: continue
      }
    }
    throw LogError(.unavailable, "\(topic) \(partition) cannot be read: no answer")
  }

  func close() {
    chunk.removeAll()
    input.close()
  }
}
