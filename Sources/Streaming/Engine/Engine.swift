import Synchronization

/// Runs a topology over a log: one actor per partition, on as many worker threads as asked for.
///
/// The engine is the same for replays, audits and live runs; `RunnerOptions.Mode` and the log make
/// the difference. Its partitions are a closed set that is there from the beginning to the end, or
/// they come and go while it runs (`add`, `release`), as a group of processes shares them out.
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

  /// A partition's place in the engine.
  private struct Slot {
    var control: PartitionControl
    var status: PartitionStatus
    var worker: Worker
    var queues: [ThreadQueue]
  }

  /// Partitions that are opened at the same time.
  private static let openingsMax = 4

  private let topology: CheckedTopology
  private let registry: [OperatorType]
  private let clock: any MonotonicClock
  private let board: RunBoard
  private let workers: [Worker]
  private let slots = Mutex<[Int: Slot]>([:])
  private let turnstile = Turnstile(places: Engine.openingsMax)
  /// How long a released partition's state is kept; nil in a closed set.
  private let warmMilliseconds: Int64?
  /// Some partition has changed its place.
  private let changes = Signal()

  /// An engine with all of its partitions.
  ///
  /// - Parameters:
  ///   - workers: Threads; at most one per partition is used.
  ///   - snapshotAtEnd: Takes a snapshot when a replay is done (a live run always does).
  /// - Throws: What operators have against their settings.
  public init(
    topology: CheckedTopology, registry: [OperatorType], partitions: [Partition],
    workers workerCount: Int, clock: any MonotonicClock = SystemClock(),
    snapshotAtEnd: Bool = false
  ) throws(TopologyError) {
    self.topology = topology
    self.registry = registry
    self.clock = clock
    board = RunBoard(partitionCount: partitions.count, wantsSnapshotAtEnd: snapshotAtEnd)
    workers = (0..<max(1, min(workerCount, partitions.count))).map { _ in Worker(clock: clock) }
    warmMilliseconds = nil
    for (index, partition) in partitions.enumerated() {
      try place(index, partition, on: workers[index % workers.count])
    }
    for worker in workers { worker.seal() }
    wakeOnChanges()
  }

  /// An engine without partitions, for those that come and go. It runs until `stop`.
  ///
  /// - Parameter warmMilliseconds: How long the state of a released partition is kept in memory,
  ///   to go on from it if the partition comes back and nobody has committed meanwhile.
  public init(
    topology: CheckedTopology, registry: [OperatorType], workers workerCount: Int,
    warmMilliseconds: Int64, clock: any MonotonicClock = SystemClock()
  ) {
    self.topology = topology
    self.registry = registry
    self.clock = clock
    board = RunBoard(partitionCount: 0, wantsSnapshotAtEnd: false)
    workers = (0..<max(1, workerCount)).map { _ in Worker(clock: clock) }
    self.warmMilliseconds = warmMilliseconds
    wakeOnChanges()
  }

  private func wakeOnChanges() {
    let (workers, changes) = (workers, changes)
    board.onChange { [weak board] in
      // After a failure no partition will come: workers must not wait for one.
      let isOver = board?.isFailed ?? false
      for worker in workers { isOver ? worker.seal() : worker.wake() }
      changes.notify()
    }
  }

  private func place(
    _ index: Int, _ partition: Partition, on worker: Worker
  ) throws(TopologyError) {
    let commits = ThreadQueue(name: "commit \(index)")
    let snapshots = ThreadQueue(name: "snapshot \(index)", isBackground: true)
    var options = partition.options
    options.wake = { worker.wake() }
    let (topology, registry, chosen) = (topology, registry, options)
    let make = { @Sendable () throws(TopologyError) -> PartitionRunner in
      try PartitionRunner(
        topology: topology, registry: registry, log: partition.log,
        snapshots: partition.snapshots, fromSnapshot: partition.fromSnapshot,
        commitQueue: commits, snapshotQueue: snapshots, options: chosen)
    }
    let changes = changes
    let control = PartitionControl { changes.notify() }
    let status = PartitionStatus(index: index)
    let guest = warmMilliseconds.map {
      PartitionActor.Guest(
        control: control, turnstile: turnstile, commitQueue: commits, warmMilliseconds: $0,
        renew: make)
    }
    let actor = PartitionActor(
      runner: try make(), executor: worker, status: status, board: board, clock: clock,
      guest: guest, isWoken: partition.log.onArrival { worker.wake() })
    slots.withLock {
      $0[index] = Slot(
        control: control, status: status, worker: worker, queues: [commits, snapshots])
    }
    worker.add(actor)
  }

  /// The partitions that are here now, or were when the run ended, in their order.
  public var statuses: [PartitionStatus] {
    slots.withLock { slots in
      slots.values.filter {
        warmMilliseconds == nil || $0.control.place == .active || $0.status.isFinished
      }
      .map(\.status).sorted { $0.index < $1.index }
    }
  }

  // MARK: Run

  /// Runs until every partition is done: a replay at its log's end, a live run after `stop`.
  /// Blocks the calling thread. Call it once.
  public func run() throws(LogError) {
    let threads = workers.enumerated().map { $1.start(name: "worker \($0)") }
    for thread in threads { thread.join() }
    for queue in slots.withLock({ $0.values.flatMap(\.queues) }) { queue.close() }
    if let failure = board.failure { throw failure }
  }

  /// Asks a live run to drain, commit, take its last snapshots and end. From any thread.
  public func stop() {
    for worker in workers { worker.seal() }
    board.stop()
  }

  /// Ends the run with an error that did not come from a partition. From any thread.
  public func fail(_ error: LogError) {
    // The reason first: sealed workers without partitions end at once, and the run with them. The
    // board seals them.
    board.fail(error)
  }

  // MARK: Partitions that come and go. One thread calls these.

  /// Takes a partition up: from what is still here of it, or anew.
  ///
  /// - Parameter make: What it works on, where nothing is here.
  public func add(
    _ index: Int, _ make: () throws(LogError) -> Partition
  ) throws(LogError) {
    precondition(warmMilliseconds != nil, "a closed set of partitions stays as it is")
    // A run that ends takes nothing up any more: its workers may be gone.
    guard !board.isStopping, !board.isFailed else { return }
    sweep()
    if let slot = slots.withLock({ $0[index] }), slot.control.takeUp() {
      return slot.worker.wake()
    }
    sweep()
    let partition = try make()
    let loads = slots.withLock { $0.values.map { ObjectIdentifier($0.worker) } }
    guard
      let worker = workers.min(by: { a, b in
        loads.count { $0 == ObjectIdentifier(a) } < loads.count { $0 == ObjectIdentifier(b) }
      })
    else { preconditionFailure("an engine has at least one worker") }
    do throws(TopologyError) { try place(index, partition, on: worker) } catch {
      throw LogError(.configuration, error.description)
    }
  }

  /// Gives partitions up. Returns when what they had done is committed, or when the time is over;
  /// in either case nothing of theirs is begun any more.
  public func release(_ indices: [Int], within milliseconds: Int64) {
    let deadline = clock.now() + milliseconds
    want(.release(by: deadline), of: indices)
    // Beyond the deadline each needs a turn to notice it.
    while !areAway(indices), clock.now() < deadline + 1_000 { changes.wait(milliseconds: 50) }
  }

  /// Leaves partitions that are somebody else's already.
  public func leave(_ indices: [Int]) { want(.leave, of: indices) }

  /// Partitions whose logs say that they are another process's, and what they say.
  public var lost: [(index: Int, message: String)] {
    slots.withLock { slots in
      slots.filter { $0.value.control.place == .lost }.sorted { $0.key < $1.key }
        .map { ($0.key, $0.value.control.lossMessage) }
    }
  }

  private func want(_ wish: PartitionControl.Wish, of indices: [Int]) {
    let slots = slots.withLock { slots in indices.compactMap { slots[$0] } }
    for slot in slots where slot.control.place == .active {
      slot.control.want(wish)
      slot.worker.wake()
    }
  }

  private func areAway(_ indices: [Int]) -> Bool {
    slots.withLock { slots in
      indices.allSatisfy { slots[$0].map { $0.control.place != .active } ?? true }
    }
  }

  /// Forgets partitions of which nothing is left.
  private func sweep() {
    let gone = slots.withLock { slots in
      let gone = slots.filter { $0.value.control.place == .gone }
      for index in gone.keys { slots[index] = nil }
      return gone.values.flatMap(\.queues)
    }
    for queue in gone { queue.close() }
  }
}
