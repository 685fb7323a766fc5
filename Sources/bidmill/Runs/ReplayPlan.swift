import Events
import KafkaLog
import LocalLog
import Operators
import Streaming
import Synchronization

/// A replay as it was asked for: what to read, where to write, how.
struct ReplayPlan {
  var topology: CheckedTopology
  /// Paths; empty for what the topology itself reads.
  var from: [String]
  var destination: FileReplay.Destination
  /// Nil for 1, or as many as a log has.
  var partitions: Int?
  var workers: Int?
  var until: EventTime?
  var speed: Double?
  var fromSnapshots: [String] = []
  var snapshotDirectory: String?
  /// A log's journal, where there is one, is followed.
  var followsJournal = true
  var isQuiet = false
  /// Where topics on Kafka are read: on the cluster of the topology, where that is not said.
  var brokers: String?
  /// The stretch of them that is read.
  var start: KafkaRange.Position?
  var end: KafkaRange.Position?
  /// Looks at what goes in and comes out of each partition in place of files: nothing is written.
  var observe: (@Sendable (any PartitionLog) -> any PartitionLog)?

  private var outputs: [LogOutput] { observe == nil ? topology.outputs : [] }

  /// Runs it and completes the streams.
  func run() throws -> Summary {
    let opened = try open()
    let replay = opened.replay
    let count = replay.partitions.count
    let beginnings = try snapshots(for: replay.partitions.map(\.inputs))
    let notices = NoticeLog()
    var partitions: [Engine.Partition] = []
    for (index, log) in replay.partitions.enumerated() {
      var written: DirectorySnapshotStore?
      if let snapshotDirectory {
        written = try DirectorySnapshotStore(
          directory: snapshotDirectory, name: topology.topology.name, partition: Int32(index))
      }
      let store = ReplaySnapshots(beginning: beginnings[index], written: written)
      partitions.append(
        Engine.Partition(
          log: observe.map { $0(log) } ?? log,
          snapshots: beginnings[index] == nil && written == nil ? nil : store,
          fromSnapshot: beginnings[index]?.header.number,
          options: RunnerOptions(
            mode: opened.mode, partition: index, partitionCount: count, commitPatience: 0,
            until: until, speed: speed, notify: notices.notify)))
    }
    let engine = try Engine(
      topology: topology, registry: OperatorRegistry.all, partitions: partitions,
      workers: workers ?? Machine.cores, snapshotAtEnd: snapshotDirectory != nil)
    do {
      return try run(engine, replay, of: opened.total)
    } catch let error as LogError {
      replay.abandon()
      guard opened.mode == .audit, error.kind == .configuration else { throw error }
      throw LogError(error.kind, error.message + " (--no-journal)")
    }
  }

  private func run(_ engine: Engine, _ replay: FileReplay, of total: Int64?) throws -> Summary {
    let clock = SystemClock()
    let begun = clock.now()
    let progress = ProgressLine(isQuiet: isQuiet)
    let meter = RateMeter()
    let ticker = Ticker(milliseconds: 100) {
      let values = engine.statuses.map(\.current)
      let records = values.reduce(0) { $0 + $1.records }
      let fraction = total.map { Double(records) / Double(max($0, 1)) }
      progress.show(fraction) {
        "\(Text.plural(records, "event")), \(Text.count(meter.rate(records))) events/s, "
          + "event time \(Text.time(values.compactMap(\.lastTime).max()))"
      }
    }
    defer { progress.end() }
    do {
      defer { ticker.stop() }
      try engine.run()
    }
    let seconds = Double(max(clock.now() - begun, 1)) / 1000
    try replay.finish()
    return Summary(
      topology: topology, statuses: engine.statuses, seconds: seconds, copies: replay.copies)
  }

  // MARK: Inputs

  private struct Opened {
    var replay: FileReplay
    /// Along a journal, or merged by event time.
    var mode = RunnerOptions.Mode.replay
    /// Records in all, where that is known.
    var total: Int64?
  }

  private func open() throws -> Opened {
    if from.isEmpty { return try openOwnSources() }
    if let topics = try KafkaReading.topics(in: from) { return try openKafka(topics) }
    switch try InputPaths.resolve(from) {
    case .files(let paths):
      let trusted = topology.topology.sources.contains(where: \.trusted)
      return try openFiles(
        paths.map { LogInput(source: "", topic: $0, isFile: true, trusted: trusted) })
    case .log(let store): return try openLog(store, inputs: logInputs(in: store))
    }
  }

  /// Without `--from` a topology of files or of a local log is replayed as it stands.
  private func openOwnSources() throws -> Opened {
    let sources = topology.topology.sources
    if sources.allSatisfy({ if case .kafka = $0.transport { true } else { false } }) {
      return try openKafka(sources.flatMap(\.transport.topics))
    }
    guard brokers == nil, start == nil, end == nil else {
      throw Failure(
        .usage,
        "error: --brokers, --start and offsets are for topics on Kafka, and the topology has no "
          + "source there")
    }
    var files: [LogInput] = []
    var directories: [String] = []
    for source in sources {
      switch source.transport {
      case .files(let paths):
        guard case .files(let found) = try InputPaths.resolve(paths) else {
          throw Failure(
            .configuration,
            "error: the source \(source.name) is of files, but names a local log; use `log:`")
        }
        files += found.map {
          LogInput(
            source: source.name, topic: $0, isFile: true, urgent: source.urgent,
            trusted: source.trusted)
        }
      case .log(let log):
        if !directories.contains(log.directory) { directories.append(log.directory) }
      case .kafka:
        throw Failure(
          .configuration,
          "error: the source \(source.name) is on Kafka, and others are not; say with --from what "
            + "stands in for all of them")
      }
    }
    if directories.isEmpty { return try openFiles(files) }
    guard files.isEmpty, directories.count == 1 else {
      throw Failure(
        .configuration,
        "error: the sources are of several kinds or places; say with --from what stands in for them"
      )
    }
    let store = try LocalLogStore.open(directories[0])
    return try openLog(store, inputs: logInputs(in: store))
  }

  private func openKafka(_ topics: [String]) throws -> Opened {
    guard let brokers = brokers ?? topology.kafka?.brokers else {
      throw Failure(
        .usage, "error: the topology has no source on Kafka: say with --brokers where it is")
    }
    let parts = try KafkaReading(
      brokers: brokers, properties: topology.kafka?.properties ?? [], topics: topics,
      start: start, end: end
    ).open()
    let count = parts[0].count
    guard parts.allSatisfy({ $0.count == count }) else {
      let list = parts.map { "\($0[0].topic) \($0.count)" }.joined(separator: ", ")
      throw Failure(
        .configuration,
        "error: topics must have equal partition counts, so that an account is in the same "
          + "partition of all: \(list)")
    }
    if let partitions, partitions != count {
      throw Failure(
        .configuration,
        "error: \(topics[0]) has \(Text.plural(count, "partition")), so it cannot be replayed in "
          + "\(partitions); leave --partitions out")
    }
    let inputs = topology.keyed(topology.inputs(of: topics), partitions: count)
    let replay = try FileReplay.open(
      partitions: (0..<count).map { partition in
        (
          inputs: LiveHomes.inputs(inputs, of: partition),
          readers: parts.map { KafkaReplayInput($0[partition].range) }
        )
      }, outputs: outputs, to: destination)
    let total = parts.joined().reduce(0) { $0 + $1.range.count }
    return Opened(replay: replay, total: until == nil ? total : nil)
  }

  private func openFiles(_ inputs: [LogInput]) throws -> Opened {
    let count = partitions ?? 1
    let route = AccountRoute(
      partitions: count, acceptsPriors: inputs.contains(where: \.trusted))
    let replay = try FileReplay.open(
      files: inputs, outputs: outputs, to: destination, partitions: count
    ) { route.decide($0).partition }
    return Opened(replay: replay)
  }

  private func openLog(_ store: LocalLogStore, inputs: [LogInput]) throws -> Opened {
    let count = try store.partitionCount(inputs)
    if let partitions, partitions != count {
      throw Failure(
        .configuration,
        "error: the log \(store.root) has \(Text.plural(count, "partition")), so it cannot be "
          + "replayed in \(partitions); leave --partitions out, or replay files")
    }
    let group = try journal(in: store, inputs)
    let replay = try FileReplay.open(
      log: store, inputs: keyed(inputs, count, in: store), outputs: outputs, to: destination,
      following: group)
    var total: Int64 = 0
    for input in inputs {
      for partition in 0..<Int32(count) {
        let reader = try store.reader(input.topic, partition: partition)
        total += try reader.endOffset() - reader.firstOffset()
      }
    }
    return Opened(
      replay: replay, mode: group == nil ? .replay : .audit, total: until == nil ? total : nil)
  }

  /// What was recorded from Kafka stands in the partitions in which it stood there, and a run on
  /// Kafka refuses what is in the wrong one: so does a replay.
  private func keyed(
    _ inputs: [LogInput], _ count: Int, in store: LocalLogStore
  ) throws -> [LogInput] {
    try zip(inputs, topology.keyed(inputs, partitions: count)).map { plain, keyed in
      let isRecorded = try (0..<Int32(count)).allSatisfy {
        try store.recordingMark(plain.topic, partition: $0) != nil
      }
      return isRecorded ? keyed : plain
    }
  }

  /// The group whose journal tells in which order a live run took these inputs; nil where there
  /// is none, or where only a part of the log is wanted.
  private func journal(
    in store: LocalLogStore, _ inputs: [LogInput]
  ) throws(LogError) -> String? {
    guard followsJournal, until == nil, speed == nil,
      !inputs.contains(where: { $0.source.isEmpty }),
      let group = topology.topology.sources.first?.transport.consumerGroup,
      try store.hasJournal(of: group)
    else { return nil }
    Terminal.error(
      "info: following the journal of the group \(group), up to what it has committed; "
        + "--no-journal goes by event time instead")
    return group
  }

  /// The topics of the topology's sources; where the log has none of them, all that were imported.
  private func logInputs(in store: LocalLogStore) throws -> [LogInput] {
    let known = try store.topics()
    var inputs: [LogInput] = []
    var absent: [String] = []
    for source in topology.topology.sources {
      for topic in source.transport.topics {
        if known.contains(where: { $0.name == topic }) {
          inputs.append(
            LogInput(
              source: source.name, topic: topic, urgent: source.urgent, trusted: source.trusted))
        } else {
          absent.append(topic)
        }
      }
    }
    if !inputs.isEmpty {
      if !absent.isEmpty {
        Terminal.error(
          "warning: the log \(store.root) has no topic \(absent.joined(separator: ", ")); the rest "
            + "of the sources is replayed")
      }
      return inputs
    }
    let plain = known.filter { $0.group == nil }
    guard !plain.isEmpty else {
      throw Failure(
        .missing,
        "error: the log \(store.root) holds no topic of events; fill one with `bidmill log import`")
    }
    let trusted = topology.topology.sources.contains(where: \.trusted)
    return plain.map { LogInput(source: "", topic: $0.name, trusted: trusted) }
  }

  // MARK: Snapshots

  /// The snapshot that each partition begins at.
  private func snapshots(for inputs: [[LogInput]]) throws -> [SnapshotFile?] {
    var found = [SnapshotFile?](repeating: nil, count: inputs.count)
    for path in fromSnapshots {
      let file = try SnapshotFile(path)
      let header = file.header
      guard header.topology == topology.topology.name else {
        throw Failure(
          .configuration,
          "error: \(path) is a snapshot of the topology \(header.topology), not of "
            + topology.topology.name)
      }
      guard header.partitionCount == inputs.count, inputs.indices.contains(header.partition) else {
        throw Failure(
          .configuration,
          "error: \(path) is partition \(header.partition) of \(header.partitionCount), and the "
            + "replay has \(Text.plural(inputs.count, "partition")): a changed partition count cannot be restored"
        )
      }
      let isSameLog = inputs[header.partition].contains { input in
        header.inputs.contains { $0.topic == input.topic && $0.partition == input.partition }
      }
      guard isSameLog else {
        let reached = header.inputs.map { "\($0.topic) partition \($0.partition)" }
        throw Failure(
          .configuration,
          "error: \(path) goes on in \(reached.joined(separator: ", ")), which is no input of this "
            + "replay: its events would count twice. Replay the log that it was taken of.")
      }
      guard found[header.partition] == nil else {
        throw Failure(.usage, "error: two snapshots of partition \(header.partition) were named")
      }
      found[header.partition] = file
    }
    if !fromSnapshots.isEmpty, let missing = found.firstIndex(where: { $0 == nil }) {
      throw Failure(
        .usage,
        "error: there is no snapshot for partition \(missing); name one for each of the "
          + "\(inputs.count) partitions")
    }
    return found
  }
}

extension Topology.SourceTransport {
  /// The topics that it reads; none for files.
  var topics: [String] {
    switch self {
    case .kafka(let kafka): kafka.topics
    case .log(let log): log.topics
    case .files: []
    }
  }

  /// Whose journal tells what was processed of it.
  var consumerGroup: String? {
    switch self {
    case .kafka(let kafka): kafka.group
    case .log(let log): log.group
    case .files: nil
    }
  }
}

/// What the engine says while it runs, on standard error.
final class NoticeLog: Sendable {
  var notify: @Sendable (Notice) -> Void { { Terminal.error($0.description) } }
}
