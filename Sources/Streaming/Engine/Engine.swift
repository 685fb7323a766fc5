/// Runs a topology over a log: one actor per partition, on as many worker threads as asked for.
///
/// The engine is the same for replays, audits and live runs; `RunnerOptions.Mode` and the log make
/// the difference.
public final class Engine: Sendable {
  /// What one partition works on.
  public struct Partition: Sendable {
    public var log: any PartitionLog
    public var snapshots: (any SnapshotStore)?
    /// Start from this snapshot instead of from the log's beginning.
    public var fromSnapshot: Int64?
    public var options: RunnerOptions

    public init(
      log: any PartitionLog, snapshots: (any SnapshotStore)? = nil, fromSnapshot: Int64? = nil,
      options: RunnerOptions
    ) {
      self.log = log
      self.snapshots = snapshots
      self.fromSnapshot = fromSnapshot
      self.options = options
    }
  }

  /// Per partition, in their order.
  public let statuses: [PartitionStatus]
  private let board: RunBoard
  private let workers: [Worker]
  private let partitions: [[PartitionActor]]

  /// - Parameters:
  ///   - workers: Threads; at most one per partition is used.
  ///   - snapshotAtEnd: Takes a snapshot when a replay is done (a live run always does).
  /// - Throws: What operators have against their settings.
  public init(
    topology: CheckedTopology, registry: [OperatorType], partitions: [Partition],
    workers workerCount: Int, clock: any MonotonicClock = SystemClock(),
    snapshotAtEnd: Bool = false
  ) throws(TopologyError) {
    let board = RunBoard(partitionCount: partitions.count, wantsSnapshotAtEnd: snapshotAtEnd)
    let workers = (0..<max(1, min(workerCount, partitions.count))).map { _ in Worker() }
    var actors: [[PartitionActor]] = workers.map { _ in [] }
    var statuses: [PartitionStatus] = []
    var queues: [ThreadQueue] = []
    for (index, partition) in partitions.enumerated() {
      let commits = ThreadQueue(name: "commit \(index)")
      let snapshots = ThreadQueue(name: "snapshot \(index)", isBackground: true)
      queues += [commits, snapshots]
      let runner = try PartitionRunner(
        topology: topology, registry: registry, log: partition.log,
        snapshots: partition.snapshots, fromSnapshot: partition.fromSnapshot,
        commitQueue: commits, snapshotQueue: snapshots, options: partition.options)
      let status = PartitionStatus(index: index)
      statuses.append(status)
      let slot = index % workers.count
      actors[slot].append(
        PartitionActor(
          runner: runner, executor: workers[slot], status: status, board: board, clock: clock))
    }
    self.board = board
    self.workers = workers
    self.statuses = statuses
    self.partitions = actors
    self.queues = queues
  }

  private let queues: [ThreadQueue]

  /// Runs until every partition is done: a replay at its log's end, a live run after `stop`.
  /// Blocks the calling thread. Call it once.
  public func run() throws(LogError) {
    let threads = zip(workers, partitions).enumerated().map { index, pair in
      pair.0.start(pair.1, name: "worker \(index)")
    }
    for thread in threads { thread.join() }
    for queue in queues { queue.close() }
    if let failure = board.failure { throw failure }
  }

  /// Asks a live run to drain, commit, take its last snapshots and end. From any thread.
  public func stop() {
    board.stop()
    for worker in workers { worker.wake() }
  }
}
