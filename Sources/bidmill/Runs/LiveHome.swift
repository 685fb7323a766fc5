import Events
import KafkaLog
import LocalLog
import Streaming

/// A partition of what a live run works on, and how far it is.
protocol LivePartition: Sendable {
  var log: any PartitionLog { get }

  /// Next offset per input after the last commit.
  func nextOffsets() throws(LogError) -> [Int64]

  /// Records after the last commit; nil while that is not known.
  func left() throws(LogError) -> Int64?
}

/// Where a topology's sources and sinks are: all of them in one local log, or on one cluster.
enum LiveHome {
  static func open(_ topology: CheckedTopology) throws -> [any LivePartition] {
    guard case .directory = topology.topology.snapshots.store else {
      throw Failure(
        .configuration,
        "error: snapshots go to a topic, which this version does not have yet; write "
          + "`snapshots: { directory: state/\(topology.topology.name) }`")
    }
    if case .kafka? = topology.topology.sources.first?.transport {
      return try KafkaHome(topology).open()
    }
    return try LocalHome(topology).open()
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

/// A run in a local log.
private struct LocalHome {
  var topology: CheckedTopology

  init(_ topology: CheckedTopology) { self.topology = topology }

  func open() throws -> [any LivePartition] {
    let (store, inputs) = try openStore()
    let count = try store.partitionCount(inputs)
    return try (0..<count).map { partition in
      try Partition(
        store,
        log: store.partitionLog(
          group: topology.group, partition: Int32(partition),
          inputs: LiveHome.inputs(inputs, of: partition), outputs: topology.outputs))
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
      inputs += LiveHome.inputs(of: source, log.topics)
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

  private struct Partition: LivePartition {
    private let local: LocalPartitionLog
    // Readers of its own: those of the log belong to its worker.
    private let readers: [LocalLogReader]
    private let firstOffsets: [Int64]

    init(_ store: LocalLogStore, log: LocalPartitionLog) throws(LogError) {
      local = log
      var readers: [LocalLogReader] = []
      for input in log.inputs {
        readers.append(try store.reader(input.topic, partition: log.partition))
      }
      self.readers = readers
      firstOffsets = try log.firstOffsets()
    }

    var log: any PartitionLog { local }

    func nextOffsets() throws(LogError) -> [Int64] {
      try local.committed()?.nextOffsets ?? firstOffsets
    }

    func left() throws(LogError) -> Int64? {
      var sum: Int64 = 0
      for (next, reader) in zip(try nextOffsets(), readers) {
        sum += max(0, try reader.endOffset() - next)
      }
      return sum
    }
  }
}
