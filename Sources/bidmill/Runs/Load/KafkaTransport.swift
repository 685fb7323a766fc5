import Events
import KafkaLog
import Streaming

/// A load on a Kafka cluster.
final class KafkaTransport: LoadTransport {
  let topics: [String]
  let partitions: Int
  let name: String
  /// A look is a question to the group's coordinator.
  let lookEvery: Int64 = 50_000_000

  private let settings: KafkaSettings
  private let cluster: KafkaCluster
  private let offsets: KafkaGroupOffsets
  private let partitioner: Topology.Partitioner

  init(_ topology: CheckedTopology) throws {
    let home = try KafkaHome(topology)
    settings = home.settings
    var topics: [String] = []
    for input in home.inputs where !topics.contains(input.topic) { topics.append(input.topic) }
    self.topics = topics
    cluster = try KafkaCluster(home.settings)
    try home.topics.checkNames(home.inputs)
    partitions = try home.topics.check(on: cluster)
    partitioner =
      if case .kafka(let kafka)? = topology.topology.sources.first?.transport {
        kafka.partitioner
      } else { .murmur2 }
    guard partitioner == .murmur2 else {
      throw Failure(
        .configuration,
        "error: a load keys its events like Java's producers; write `partitioner: murmur2`")
    }
    offsets = try KafkaGroupOffsets(home.settings, topics: topics, partitions: partitions)
    name = "Kafka at \(home.settings.brokers)"
  }

  func partition(of account: UnsafeRawBufferPointer) -> Int {
    Partitioner.murmur2(account, partitions: partitions)
  }

  func ends() throws(LogError) -> [Int64] {
    var ends: [Int64] = []
    for topic in topics {
      for partition in 0..<Int32(partitions) {
        ends.append(try cluster.endOffset(topic, partition: partition))
      }
    }
    return ends
  }

  func target(_ emissions: Emissions) throws(LogError) -> any LoadTarget {
    Target(
      try KafkaAppender(settings, topics: topics), emissions, partitions: partitions)
  }

  func observation(of topic: String) throws(LogError) -> any LoadObservation {
    Observation(
      offsets, try KafkaTopicReader(settings, topics: [topic], partitions: partitions, from: .end))
  }

  func committed() throws(LogError) -> [Int64]? { try offsets.committed() }

  func readAll(_ progress: (_ records: Int64, _ bytes: Int64) -> Bool) throws(LogError) {
    let reader = try KafkaTopicReader(
      settings, topics: topics, partitions: partitions, from: .beginning)
    let chunk = RecordChunk()
    while true {
      switch try reader.fetch(into: chunk) {
      case .records:
        let bytes = chunk.records.reduce(0) { $0 + $1.value.count }
        guard progress(Int64(chunk.records.count), Int64(bytes)) else { return }
      case .waiting:
        guard progress(0, 0) else { return }
        SystemLoadClock().sleep(milliseconds: 1)
      case .end: return
      }
    }
  }

  private final class Target: LoadTarget {
    private let appender: KafkaAppender
    private let emissions: Emissions
    private let partitions: Int

    init(_ appender: KafkaAppender, _ emissions: Emissions, partitions: Int) {
      self.appender = appender
      self.emissions = emissions
      self.partitions = partitions
    }

    func append(
      _ record: LoadRecord, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
    ) throws(LogError) {
      try appender.append(
        key: key, value: value, topic: record.topic, partition: Int32(record.partition),
        tag: UInt32(record.number))
    }

    func flush() throws(LogError) { try note(appender.deliveries()) }

    func finish() throws(LogError) {
      try appender.finish()
      try flush()
    }

    private func note(_ deliveries: [KafkaAppender.Delivery]) {
      for delivery in deliveries {
        let place = delivery.topic * partitions + Int(delivery.partition)
        emissions.add([delivery.tag], at: delivery.offset, in: place)
      }
    }
  }

  private final class Observation: LoadObservation {
    private let offsets: KafkaGroupOffsets
    private let reader: KafkaTopicReader
    private let chunk = RecordChunk()

    init(_ offsets: KafkaGroupOffsets, _ reader: KafkaTopicReader) {
      self.offsets = offsets
      self.reader = reader
    }

    func arrivals(_ body: (UnsafeRawBufferPointer) -> Void) throws(LogError) -> Int {
      var count = 0
      while try reader.fetch(into: chunk) == .records {
        for record in chunk.records { body(record.value) }
        count += chunk.records.count
      }
      return count
    }

    func committed() throws(LogError) -> [Int64]? { try offsets.committed() }
  }
}
