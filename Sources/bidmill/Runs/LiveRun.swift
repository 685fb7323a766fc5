import Events
import LocalLog
import Operators
import Streaming
import Synchronization

/// A topology at work on a local log, until it is asked to stop.
struct LiveRun {
  var topology: CheckedTopology
  var workers: Int?
  var acceptLoss = false
  /// Stop once nothing new has come for so long.
  var exitWhenIdle: TimeSpan?
  var isQuiet = false
  /// Called once the run can be stopped.
  var onStart: (@escaping @Sendable () -> Void) -> Void = { _ in }

  struct Outcome {
    var summary: Summary
    /// Commits of all partitions, those of earlier runs included.
    var commits: Int64
    /// It ended before the past was processed again.
    var isRecovering: Bool
  }

  func run() throws -> Outcome {
    let (store, inputs) = try openLog()
    let count = try store.partitionCount(inputs)
    let logs = try (0..<count).map { try openPartition(store, inputs, Int32($0)) }
    let lag = try LagWatch(store, logs: logs, inputs: inputs)
    let before = try lag.processed()
    let engine = try Engine(
      topology: topology, registry: OperatorRegistry.all, partitions: try partitions(logs),
      workers: workers ?? Machine.cores)
    onStart { engine.stop() }

    let clock = SystemClock()
    let begun = clock.now()
    let progress = ProgressLine(isQuiet: isQuiet)
    let meter = RateMeter()
    let idle = IdleWatch(after: exitWhenIdle?.milliseconds, clock: clock)
    // A run that is to end by itself is watched closely, so that it is known when it was done.
    let ticker = Ticker(milliseconds: exitWhenIdle == nil ? 1000 : 25) {
      let values = engine.statuses.map(\.current)
      let left = (try? lag.left()) ?? nil
      if idle.isOver(values, left: left) { engine.stop() }
      let processed = ((try? lag.processed()) ?? before) - before
      progress.show {
        Self.progressText(values, left: left, processed, rate: meter.rate(processed))
      }
    }
    defer { progress.end() }
    do {
      defer { ticker.stop() }
      try engine.run()
    }
    let processed = try lag.processed() - before
    let ended = idle.begunAt ?? clock.now()
    let summary = Summary(
      topology: topology, statuses: engine.statuses,
      seconds: Double(max(ended - begun, 1)) / 1000, eventsInRun: processed)
    let values = engine.statuses.map(\.current)
    return Outcome(
      summary: summary, commits: values.reduce(0) { $0 + $1.lastCommitted },
      isRecovering: values.contains(where: \.isRecovering))
  }

  private static func progressText(
    _ values: [PartitionStatus.Values], left: Int64?, _ processed: Int64, rate: Int64
  ) -> String {
    var text = "\(Text.plural(processed, "event")), \(Text.count(rate)) events/s"
    text += ", event time \(Text.time(values.compactMap(\.lastTime).max()))"
    if let left { text += ", lag \(Text.count(left))" }
    text += ", commits \(Text.count(values.reduce(0) { $0 + $1.lastCommitted }))"
    let recovering = values.filter(\.isRecovering).count
    if recovering > 0 { text += ", \(recovering) of \(values.count) recovering" }
    return text
  }

  // MARK: Opening

  /// The one local log that everything is in.
  private func openLog() throws -> (LocalLogStore, [LogInput]) {
    let problems = topology.check(for: .run)
    guard problems.isEmpty else { throw TopologyError(problems) }
    var directories: [String] = []
    var inputs: [LogInput] = []
    for source in topology.topology.sources {
      guard case .log(let log) = source.transport else {
        throw LiveRun.refusal("the source \(source.name)", needs: "topics: [...]")
      }
      directories.append(log.directory)
      inputs += log.topics.map {
        LogInput(
          source: source.name, topic: $0, urgent: source.urgent, trusted: source.trusted)
      }
    }
    for sink in topology.sinks {
      guard case .log(let log) = sink.transport else {
        throw LiveRun.refusal("the sink \(sink.name)", needs: "topic: \(sink.name)")
      }
      directories.append(log.directory)
    }
    guard case .directory = topology.topology.snapshots.store else {
      throw Failure(
        .configuration,
        "error: snapshots go to Kafka, which this build of bidmill does not have; write "
          + "`snapshots: { directory: state }`")
    }
    guard let first = directories.first, directories.allSatisfy({ $0 == first }) else {
      throw Failure(
        .configuration,
        "error: sources and sinks are in several logs (\(Set(directories).sorted().joined(separator: ", "))); "
          + "a run needs all of them in one directory")
    }
    return (try LocalLogStore.open(first, options: logOptions), inputs)
  }

  private static func refusal(_ what: String, needs: String) -> Failure {
    Failure(
      .configuration,
      "error: \(what) is Kafka's, and this build of bidmill runs on a local log only; write "
        + "`log: { directory: data, \(needs) }` in place of `kafka:`, or take the topology over a "
        + "history with `bidmill replay … --from`")
  }

  private var logOptions: LocalLogOptions {
    switch topology.topology.commit.fsync {
    case .always: LocalLogOptions(fsync: .always)
    case .never: LocalLogOptions(fsync: .never)
    case .every(let span): LocalLogOptions(fsync: .interval(milliseconds: span.milliseconds))
    }
  }

  private var group: String {
    topology.topology.sources.lazy.compactMap(\.transport.consumerGroup).first
      ?? topology.topology.name
  }

  private func openPartition(
    _ store: LocalLogStore, _ inputs: [LogInput], _ partition: Int32
  ) throws -> LocalPartitionLog {
    let own = inputs.map { input in
      var input = input
      input.partition = partition
      return input
    }
    return try store.partitionLog(
      group: group, partition: partition, inputs: own, outputs: topology.outputs)
  }

  private func partitions(_ logs: [LocalPartitionLog]) throws -> [Engine.Partition] {
    guard case .directory(let directory) = topology.topology.snapshots.store else {
      preconditionFailure("snapshots in Kafka are refused when the log is opened")
    }
    let (snapshots, commit) = (topology.topology.snapshots, topology.topology.commit)
    let notices = NoticeLog()
    return try logs.enumerated().map { index, log in
      Engine.Partition(
        log: log,
        snapshots: try DirectorySnapshotStore(
          directory: directory, name: topology.topology.name, partition: Int32(index)),
        options: RunnerOptions(
          mode: .live, partition: index, partitionCount: logs.count,
          commitEvery: commit.every.milliseconds, commitEvents: commit.events,
          snapshotEvery: snapshots.every.milliseconds, snapshotsKept: snapshots.keep,
          acceptLoss: acceptLoss, notify: notices.notify))
    }
  }
}

/// How much of the log is processed and committed, and how much is left.
private final class LagWatch: Sendable {
  // Readers of its own: those of the partitions belong to their workers.
  private let readers: [[LocalLogReader]]
  private let firstOffsets: [[Int64]]
  private let logs: [LocalPartitionLog]

  init(_ store: LocalLogStore, logs: [LocalPartitionLog], inputs: [LogInput]) throws(LogError) {
    self.logs = logs
    var readers: [[LocalLogReader]] = []
    var firstOffsets: [[Int64]] = []
    for log in logs {
      var own: [LocalLogReader] = []
      for input in inputs { own.append(try store.reader(input.topic, partition: log.partition)) }
      readers.append(own)
      firstOffsets.append(try log.firstOffsets())
    }
    self.readers = readers
    self.firstOffsets = firstOffsets
  }

  private func nextOffsets(_ index: Int) throws(LogError) -> [Int64] {
    try logs[index].committed()?.nextOffsets ?? firstOffsets[index]
  }

  /// Records up to the last commits.
  func processed() throws(LogError) -> Int64 {
    var sum: Int64 = 0
    for index in logs.indices { sum += try nextOffsets(index).reduce(0, +) }
    return sum
  }

  /// Records after the last commits.
  func left() throws(LogError) -> Int64? {
    var sum: Int64 = 0
    for index in logs.indices {
      for (next, reader) in zip(try nextOffsets(index), readers[index]) {
        sum += max(0, try reader.endOffset() - next)
      }
    }
    return sum
  }
}

/// Notices that nothing comes any more. Asked by one thread, read by another at the end.
private final class IdleWatch: Sendable {
  private struct State {
    var records: Int64 = -1
    var begunAt: Int64?
  }

  private let after: Int64?
  private let clock: SystemClock
  private let state = Mutex(State())

  init(after: Int64?, clock: SystemClock) {
    self.after = after
    self.clock = clock
  }

  /// Whether everything is committed and nothing has come for long enough.
  func isOver(_ values: [PartitionStatus.Values], left: Int64?) -> Bool {
    let now = clock.now()
    let records = values.reduce(0) { $0 + $1.records }
    let isBusy = left != 0 || values.contains(where: \.isRecovering)
    return state.withLock {
      if isBusy {
        $0.begunAt = nil
      } else if records != $0.records || $0.begunAt == nil {
        $0.begunAt = now
      }
      $0.records = records
      guard let after, let begunAt = $0.begunAt else { return false }
      return now - begunAt >= after
    }
  }

  /// When it was first seen that everything is done, where the run was to end by then.
  var begunAt: Int64? { after == nil ? nil : state.withLock { $0.begunAt } }
}
