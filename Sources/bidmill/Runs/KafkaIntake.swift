import KafkaLog
import Service
import Streaming
import Synchronization

/// Events that come in over HTTP, into topics of a Kafka cluster.
final class KafkaIntake: EventIntake {
  private let settings: KafkaSettings
  private let partitioner: Topology.Partitioner
  private let partitionCount: Int
  /// Made when the first events come; given up after an error, which may be for good.
  private let producer = Mutex<EventProducer?>(nil)

  init(_ settings: KafkaSettings, _ partitioner: Topology.Partitioner, partitionCount: Int) {
    self.settings = settings
    self.partitioner = partitioner
    self.partitionCount = partitionCount
  }

  func append(_ records: [IncomingRecord]) throws(LogError) {
    var failure: LogError?
    producer.withLock { producer in
      do throws(LogError) {
        if producer == nil {
          producer = try EventProducer(settings, partitioner: partitioner)
        }
        guard let open = producer else { return }
        for record in records {
          let places: [Int32?] = record.isForAll ? (0..<Int32(partitionCount)).map { $0 } : [nil]
          for place in places {
            try open.add(
              record.topic, partition: place, key: record.key, value: record.value)
          }
        }
        try open.flush()
      } catch {
        producer = nil
        failure = error
      }
    }
    if let failure { throw failure }
  }
}
