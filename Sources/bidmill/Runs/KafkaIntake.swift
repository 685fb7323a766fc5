import KafkaLog
import Service
import Streaming
import Synchronization

/// Events that come in over HTTP, into topics of a Kafka cluster: each into the partition that its
/// account's other producers choose by murmur2, acknowledged by all replicas.
final class KafkaIntake: EventIntake {
  private let settings: KafkaSettings
  private let topics: [String]
  private let partitionCount: Int
  /// Made when the first events come; given up after an error, with what it had not sent.
  private let appender: Mutex<KafkaAppender?> = Mutex(nil)

  init(_ settings: KafkaSettings, topics: [String], partitionCount: Int) {
    self.settings = settings
    self.topics = topics
    self.partitionCount = partitionCount
  }

  func append(_ records: [IncomingRecord]) throws(LogError) {
    let failure: LogError? = appender.withLock { appender in
      do throws(LogError) {
        if appender == nil { appender = try KafkaAppender(settings, topics: topics) }
        guard let open = appender else { return nil }
        for record in records { try append(record, to: open) }
        try open.finish()
        _ = try open.deliveries()
        return nil
      } catch {
        appender = nil
        return error
      }
    }
    if let failure { throw failure }
  }

  private func append(
    _ record: IncomingRecord, to appender: KafkaAppender
  ) throws(LogError) {
    guard let topic = topics.firstIndex(of: record.topic) else {
      throw LogError(.ours, "an event for \(record.topic), which is no topic of a source")
    }
    let own = record.key.withUnsafeBytes { Partitioner.murmur2($0, partitions: partitionCount) }
    for partition in record.isForAll ? 0..<partitionCount : own..<own + 1 {
      let failure: LogError? = record.key.withUnsafeBytes { key in
        record.value.withUnsafeBytes { value in
          do throws(LogError) {
            try appender.append(
              key: key, value: value, topic: topic, partition: Int32(partition), tag: 0)
            return nil
          } catch { return error }
        }
      }
      if let failure { throw failure }
    }
  }
}
