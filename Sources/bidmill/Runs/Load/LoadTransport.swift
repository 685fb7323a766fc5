import Events
import KafkaLog
import LocalLog
import Streaming

/// A topology's log, as somebody sees it who fills its sources and reads a sink.
protocol LoadTransport: AnyObject {
  /// Topics of the sources.
  var topics: [String] { get }
  var partitions: Int { get }
  /// "the local log data"
  var name: String { get }
  /// ns between two looks at what is committed; 0 where a look costs next to nothing.
  var lookEvery: Int64 { get }

  /// An account's partition.
  func partition(of account: UnsafeRawBufferPointer) -> Int

  /// Of each place (by topic, then partition), the offset that the next record gets.
  func ends() throws(LogError) -> [Int64]

  /// Begins to emit; what is appended is noted in `emissions`.
  func target(_ emissions: Emissions) throws(LogError) -> any LoadTarget

  /// Begins to watch a sink's topic from its end on.
  func observation(of topic: String) throws(LogError) -> any LoadObservation

  /// Of each place, the next offset after the last commit; nil while there is none.
  func committed() throws(LogError) -> [Int64]?

  /// Reads all records of the sources, and does nothing with them.
  func readAll(_ progress: (_ records: Int64, _ bytes: Int64) -> Bool) throws(LogError)
}

enum LoadHome {
  /// - Parameter partitions: of source topics that are not there yet, in a local log.
  static func open(_ topology: CheckedTopology, partitions: Int) throws -> any LoadTransport {
    let problems = topology.check(for: .run)
    guard problems.isEmpty else { throw TopologyError(problems) }
    if case .kafka? = topology.topology.sources.first?.transport {
      return try KafkaTransport(topology)
    }
    return try LocalTransport(topology, partitions: partitions)
  }
}

/// A load in a local log. Emitter and watcher share nothing but the directory.
final class LocalTransport: LoadTransport {
  let topics: [String]
  let partitions: Int
  let name: String
  let lookEvery: Int64 = 0

  private let store: LocalLogStore
  private let followers: [[GroupFollower]]
  private var target: Target?

  init(_ topology: CheckedTopology, partitions wanted: Int) throws {
    var directory: String?
    var topics: [String] = []
    for source in topology.topology.sources {
      guard case .log(let log) = source.transport else {
        throw Failure(
          .configuration,
          "error: the source \(source.name) is not in a local log; a load fills the local log or "
            + "the Kafka cluster that all sources are in")
      }
      directory = directory ?? log.directory
      topics += log.topics.filter { !topics.contains($0) }
    }
    guard let directory else {
      throw Failure(.configuration, "error: the topology has no source to fill")
    }
    // The disk is not waited for: what is measured is the run, not what its producers promise.
    let store = try LocalLogStore.open(
      directory, creating: true, options: LocalLogOptions(fsync: .never))
    let known = try topics.compactMap { try store.info($0)?.partitions }
    let partitions = known.first ?? wanted
    for topic in topics where try store.info(topic) == nil {
      try store.createTopic(topic, partitions: partitions)
    }
    self.store = store
    self.topics = topics
    self.partitions = partitions
    name = "the local log \(directory)"
    followers = try topics.map { _ in
      try (0..<partitions).map {
        try store.follower(ofGroup: topology.group, partition: Int32($0))
      }
    }
  }

  func partition(of account: UnsafeRawBufferPointer) -> Int {
    Partitioner.murmur2(account, partitions: partitions)
  }

  func ends() throws(LogError) -> [Int64] { try appending().appenders.map(\.nextOffset) }

  func target(_ emissions: Emissions) throws(LogError) -> any LoadTarget {
    let target = try appending()
    target.emissions = emissions
    return target
  }

  private func appending() throws(LogError) -> Target {
    if let target { return target }
    var appenders: [TopicAppender] = []
    for topic in topics {
      for partition in 0..<partitions {
        appenders.append(try store.appender(topic, partition: Int32(partition)))
      }
    }
    let opened = Target(appenders, partitions: partitions)
    target = opened
    return opened
  }

  func observation(of topic: String) throws(LogError) -> any LoadObservation {
    var readers: [LocalLogReader] = []
    for partition in 0..<partitions {
      let reader = try store.reader(topic, partition: Int32(partition))
      try reader.seek(to: reader.endOffset())
      readers.append(reader)
    }
    return Observation(self, readers)
  }

  func committed() throws(LogError) -> [Int64]? {
    var offsets: [Int64] = []
    for (topic, followers) in zip(topics, followers) {
      for follower in followers {
        guard let offset = try follower.nextOffset(of: topic) else { return nil }
        offsets.append(offset)
      }
    }
    return offsets
  }

  func readAll(_ progress: (_ records: Int64, _ bytes: Int64) -> Bool) throws(LogError) {
    let chunk = RecordChunk()
    for topic in topics {
      for partition in 0..<partitions {
        let reader = try store.reader(topic, partition: Int32(partition))
        while try reader.fetch(into: chunk, maxRecords: 4096) == .records {
          let bytes = chunk.records.reduce(0) { $0 + $1.value.count }
          guard progress(Int64(chunk.records.count), Int64(bytes)) else { return }
        }
      }
    }
  }

  private final class Target: LoadTarget {
    let appenders: [TopicAppender]
    var emissions: Emissions?
    private let partitions: Int
    /// Events that are added but not flushed, by place.
    private var pending: [[UInt32]]

    init(_ appenders: [TopicAppender], partitions: Int) {
      self.appenders = appenders
      self.partitions = partitions
      pending = Array(repeating: [], count: appenders.count)
    }

    func append(
      _ record: LoadRecord, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
    ) throws(LogError) {
      let place = record.topic * partitions + record.partition
      try appenders[place].append(
        key: key, value: value, appendTime: LocalLogOptions.wallClock(), eventTime: record.time)
      pending[place].append(UInt32(record.number))
    }

    func flush() throws(LogError) {
      for place in appenders.indices where !pending[place].isEmpty {
        // Known before it can be seen.
        let end = appenders[place].nextOffset
        emissions?.add(pending[place][...], at: end - Int64(pending[place].count), in: place)
        pending[place].removeAll(keepingCapacity: true)
        try appenders[place].flush()
      }
    }

    func finish() throws(LogError) { try flush() }
  }

  private final class Observation: LoadObservation {
    private let transport: LocalTransport
    private let readers: [LocalLogReader]
    private let chunk = RecordChunk()

    init(_ transport: LocalTransport, _ readers: [LocalLogReader]) {
      self.transport = transport
      self.readers = readers
    }

    func arrivals(_ body: (UnsafeRawBufferPointer) -> Void) throws(LogError) -> Int {
      var count = 0
      for reader in readers {
        while try reader.fetch(into: chunk, maxRecords: 4096) == .records {
          for record in chunk.records { body(record.value) }
          count += chunk.records.count
        }
      }
      return count
    }

    func committed() throws(LogError) -> [Int64]? { try transport.committed() }
  }
}
