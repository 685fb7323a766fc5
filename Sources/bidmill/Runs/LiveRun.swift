import Events
import LocalLog
import Operators
import Streaming
import Synchronization

/// A topology at work on a local log or on Kafka, until it is asked to stop.
struct LiveRun: Sendable {
  var topology: CheckedTopology
  var workers: Int?
  var acceptLoss = false
  /// State is made anew from the log's beginning.
  var rebuild: RebuildProgress?
  /// Where partitions of which nothing is committed yet find what came before.
  var history: LocalLogStore?
  /// This process's name in a Kafka group, kept over restarts.
  var instance: String?
  /// How long the state of a partition is kept that another process of the group runs.
  var warmFor = TimeSpan.minutes(5)
  /// Stop once nothing new has come for so long.
  var exitWhenIdle: TimeSpan?
  var isQuiet = false
  /// Called once the run can be stopped.
  var onStart: @Sendable (@escaping @Sendable () -> Void) -> Void = { _ in }
  /// Answers over HTTP; nil where nobody is to be answered.
  var service: RunService?

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
    let home = try LiveHomes.open(topology, instance: instance)
    let engine = try home.engine(for: self)
    let retention = RetentionWatch(notify: NoticeLog().notify)
    service?.attach(topology, engine, home, retention)
    onStart { engine.stop() }

    let clock = SystemClock()
    let begun = clock.now()
    let progress = ProgressLine(isQuiet: isQuiet)
    let meter = RateMeter()
    let idle = IdleWatch(after: exitWhenIdle?.milliseconds, clock: clock)
    // A run that is to end by itself is watched closely, so that it is known when it was done.
    let ticker = Ticker(milliseconds: exitWhenIdle == nil ? 1000 : 25) {
      let values = engine.statuses.map(\.current)
      let left = (try? home.left()) ?? nil
      if idle.isOver(values, left: left) { engine.stop() }
      if let call = home.hungCall { Failure(.unavailable, "error: \(call); start again").exit() }
      let processed = (try? home.processed()) ?? 0
      progress.show {
        Self.progressText(values, left: left, processed, rate: meter.rate(processed))
      }
    }
    let retentionTicker = Ticker(milliseconds: 60_000) { retention.refresh(home.retained) }
    defer { progress.end() }
    do {
      home.begin(engine, for: self)
      defer {
        ticker.stop()
        retentionTicker.stop()
        home.end()
      }
      try engine.run()
    }
    let processed = try home.processed()
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

  /// A partition of the run, on its log.
  func partition(
    _ index: Int, of count: Int, log: any PartitionLog, snapshots store: any SnapshotStore,
    history: History? = nil
  ) -> Engine.Partition {
    let (snapshots, commit) = (topology.topology.snapshots, topology.topology.commit)
    var options = RunnerOptions(
      mode: .live, partition: index, partitionCount: count,
      commitEvery: commit.every.milliseconds, commitEvents: commit.events,
      snapshotEvery: snapshots.every.milliseconds, snapshotsKept: snapshots.keep,
      acceptLoss: acceptLoss, notify: NoticeLog().notify)
    options.history = history
    if let rebuild {
      options.rebuilds = { !rebuild.isDone(index) }
      options.didRebuild = { rebuild.done(index) }
    }
    return Engine.Partition(log: log, snapshots: store, options: options)
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

/// Which partitions a run has rebuilt: one that goes away and comes back is not rebuilt again.
final class RebuildProgress: Sendable {
  private let partitions = Mutex<Set<Int>>([])

  func isDone(_ partition: Int) -> Bool { partitions.withLock { $0.contains(partition) } }

  func done(_ partition: Int) { partitions.withLock { _ = $0.insert(partition) } }
}
