import Events
import KafkaLog
import LocalLog
import Operators
import Streaming
import Synchronization

/// What a live run works on, and how far it is.
protocol LiveHome: Sendable {
  /// An engine for it, that has the partitions that are there from the beginning.
  func engine(for run: LiveRun) throws -> Engine

  /// Begins to take partitions up and to give them back, where they are shared with others.
  func begin(_ engine: Engine, for run: LiveRun)

  /// After the engine's run has ended.
  func end()

  /// Records committed since the run began.
  func processed() throws(LogError) -> Int64

  /// Records after the last commits of the partitions that are here; nil while that is not known.
  func left() throws(LogError) -> Int64?

  /// Partitions whose sources remove old records by themselves, and where their snapshots are.
  var retained: [RetainedPartition] { get }

  /// Partitions of the topology, in all processes.
  var partitionCount: Int { get }

  /// The same for one partition, as far as it is known without asking. From any thread.
  func knownLeft(of partition: Int) -> Int64?

  /// It is known which partitions are this process's.
  var isSettled: Bool { get }

  /// Times that partitions were given to this process or taken from it; nil where that is never.
  var rebalances: Int64? { get }

  /// A call that has hung so long that it never will come back.
  var hungCall: String? { get }
}

extension LiveHome {
  func begin(_ engine: Engine, for run: LiveRun) {}
  func end() {}
  var retained: [RetainedPartition] { [] }
  var hungCall: String? { nil }
  var isSettled: Bool { true }
  var rebalances: Int64? { nil }
}

/// Where a topology's sources and sinks are: all of them in one local log, or on one cluster.
enum LiveHomes {
  static func open(_ topology: CheckedTopology, instance: String?) throws -> any LiveHome {
    if case .kafka? = topology.topology.sources.first?.transport {
      return try KafkaHome(topology).join(as: instance)
    }
    guard instance == nil else {
      throw Failure(
        .usage,
        "error: --instance names a member of a Kafka group, and the sources are not on Kafka")
    }
    return try LocalPlace(topology).open()
  }

  /// The partition's number in every input.
  static func inputs(_ inputs: [LogInput], of partition: Int) -> [LogInput] {
    inputs.map { input in
      var input = input
      input.partition = Int32(partition)
      return input
    }
  }

  static func inputs(of source: Topology.Source, _ topics: [String]) -> [LogInput] {
    topics.map {
      LogInput(source: source.name, topic: $0, urgent: source.urgent, trusted: source.trusted)
    }
  }
}

extension CheckedTopology {
  /// Whose offsets and journal a run goes on from.
  var group: String {
    topology.sources.lazy.compactMap(\.transport.consumerGroup).first ?? topology.name
  }
}

/// A local log as the place of a run.
private struct LocalPlace {
  var topology: CheckedTopology

  init(_ topology: CheckedTopology) { self.topology = topology }

  func open() throws -> LocalHome {
    let (store, unkeyed) = try openStore()
    let count = try store.partitionCount(unkeyed)
    let inputs = keyed(unkeyed, partitions: count)
    return try LocalHome(
      (0..<count).map { partition in
        try LocalHome.Partition(
          store,
          log: store.partitionLog(
            group: topology.group, partition: Int32(partition),
            inputs: LiveHomes.inputs(inputs, of: partition), outputs: topology.outputs))
      })
  }

  /// Updates of one group come together in the partition of its name. A learner leaves them where
  /// their accounts are: of several partitions, each would make a prior of a part.
  private func keyed(_ inputs: [LogInput], partitions: Int) -> [LogInput] {
    guard partitions > 1, topology.operators.contains(where: { $0.description.name == "federate" })
    else { return inputs }
    return inputs.map { input in
      var input = input
      input.keying = Keying(hash: .murmur2, partitions: partitions)
      return input
    }
  }

  /// The one local log that everything is in.
  private func openStore() throws -> (LocalLogStore, [LogInput]) {
    var directories: [String] = []
    var inputs: [LogInput] = []
    for source in topology.topology.sources {
      guard case .log(let log) = source.transport else {
        throw refusal("the source \(source.name)", needs: "topics: [...]")
      }
      directories.append(log.directory)
      inputs += LiveHomes.inputs(of: source, log.topics)
    }
    for sink in topology.sinks {
      guard case .log(let log) = sink.transport else {
        throw refusal("the sink \(sink.name)", needs: "topic: \(sink.name)")
      }
      directories.append(log.directory)
    }
    guard let first = directories.first, directories.allSatisfy({ $0 == first }) else {
      throw Failure(
        .configuration,
        "error: sources and sinks are in several logs (\(Set(directories).sorted().joined(separator: ", "))); "
          + "a run needs all of them in one directory")
    }
    return (try LocalLogStore.open(first, options: topology.localLogOptions), inputs)
  }

  private func refusal(_ what: String, needs: String) -> Failure {
    Failure(
      .configuration,
      "error: \(what) is not in the local log that the first source is in; a run has everything in "
        + "one place: write `log: { directory: data, \(needs) }`")
  }

}

/// A run in a local log has all of its partitions.
private struct LocalHome: LiveHome {
  struct Partition: Sendable {
    let log: LocalPartitionLog
    // Readers of its own: those of the log belong to its worker.
    private let readers: [LocalLogReader]
    private let firstOffsets: [Int64]

    init(_ store: LocalLogStore, log: LocalPartitionLog) throws(LogError) {
      self.log = log
      var readers: [LocalLogReader] = []
      for input in log.inputs {
        readers.append(try store.reader(input.topic, partition: log.partition))
      }
      self.readers = readers
      firstOffsets = try log.firstOffsets()
    }

    /// Next offset per input after the last commit.
    func nextOffsets() throws(LogError) -> [Int64] {
      try log.committed()?.nextOffsets ?? firstOffsets
    }

    func left() throws(LogError) -> Int64 {
      var sum: Int64 = 0
      for (next, reader) in zip(try nextOffsets(), readers) {
        sum += max(0, try reader.endOffset() - next)
      }
      return sum
    }
  }

  /// What was found last, for those who may not ask the logs.
  private final class Found: Sendable {
    let lefts = Mutex<[Int: Int64]>([:])
  }

  private let partitions: [Partition]
  private let before: Int64
  private let found = Found()

  init(_ partitions: [Partition]) throws(LogError) {
    self.partitions = partitions
    before = try Self.committed(partitions)
  }

  private static func committed(_ partitions: [Partition]) throws(LogError) -> Int64 {
    var sum: Int64 = 0
    for partition in partitions { sum += try partition.nextOffsets().reduce(0, +) }
    return sum
  }

  func engine(for run: LiveRun) throws -> Engine {
    let snapshots = try SnapshotPlace(run.topology, partitions: partitions.count)
    return try Engine(
      topology: run.topology, registry: OperatorRegistry.all,
      partitions: partitions.enumerated().map { index, partition in
        try run.partition(
          index, of: partitions.count, log: partition.log,
          snapshots: snapshots.store(partition: index))
      },
      workers: run.workers ?? Machine.cores)
  }

  func processed() throws(LogError) -> Int64 { try Self.committed(partitions) - before }

  func left() throws(LogError) -> Int64? {
    var sum: Int64 = 0
    for (index, partition) in partitions.enumerated() {
      let left = try partition.left()
      found.lefts.withLock { $0[index] = left }
      sum += left
    }
    return sum
  }

  var partitionCount: Int { partitions.count }

  func knownLeft(of partition: Int) -> Int64? { found.lefts.withLock { $0[partition] } }
}
