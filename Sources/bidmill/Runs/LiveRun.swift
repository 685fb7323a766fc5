import Events
import LocalLog
import Operators
import Streaming
import Synchronization

/// A topology at work on a local log or on Kafka, until it is asked to stop.
struct LiveRun {
  var topology: CheckedTopology
  var workers: Int?
  var acceptLoss = false
  /// State is made anew from the log's beginning.
  var rebuilds = false
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
    let problems = topology.check(for: .run)
    guard problems.isEmpty else { throw TopologyError(problems) }
    let lag = LagWatch(try LiveHome.open(topology))
    let before = try lag.processed()
    let engine = try Engine(
      topology: topology, registry: OperatorRegistry.all, partitions: try partitions(lag.logs),
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

  private func partitions(_ logs: [any LivePartition]) throws -> [Engine.Partition] {
    guard case .directory(let directory) = topology.topology.snapshots.store else {
      throw Failure(
        .configuration,
        "error: snapshots go to a topic, which this version does not have yet; write "
          + "`snapshots: { directory: state/\(topology.topology.name) }`")
    }
    let (snapshots, commit) = (topology.topology.snapshots, topology.topology.commit)
    let notices = NoticeLog()
    return try logs.enumerated().map { index, log in
      var options = RunnerOptions(
        mode: .live, partition: index, partitionCount: logs.count,
        commitEvery: commit.every.milliseconds, commitEvents: commit.events,
        snapshotEvery: snapshots.every.milliseconds, snapshotsKept: snapshots.keep,
        acceptLoss: acceptLoss, notify: notices.notify)
      options.rebuilds = rebuilds
      return Engine.Partition(
        log: log.log,
        snapshots: try DirectorySnapshotStore(
          directory: directory, name: topology.topology.name, partition: Int32(index)),
        options: options)
    }
  }
}

/// How much of the log is processed and committed, and how much is left.
private final class LagWatch: Sendable {
  let logs: [any LivePartition]

  init(_ logs: [any LivePartition]) { self.logs = logs }

  /// Records up to the last commits.
  func processed() throws(LogError) -> Int64 {
    var sum: Int64 = 0
    for log in logs { sum += try log.nextOffsets().reduce(0, +) }
    return sum
  }

  /// Records after the last commits; nil while that is not known.
  func left() throws(LogError) -> Int64? {
    var sum: Int64 = 0
    for log in logs {
      guard let left = try log.left() else { return nil }
      sum += left
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
