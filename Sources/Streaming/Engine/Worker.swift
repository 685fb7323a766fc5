import Synchronization

/// A thread that owns partitions: their executor and their loop.
///
/// The loop runs jobs that others sent to the partitions (queries, requests), lets each partition
/// take a step, and sleeps when none has anything to do. Partitions are actors of this executor,
/// so nobody else can touch their state.
final class Worker: SerialExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    /// The worker's own thread, known once it runs.
    var thread: UInt?
  }

  /// How long an idle loop sleeps when nobody wakes it: new records of a log on disk are noticed
  /// within this time.
  private static let idleMilliseconds: Int64 = 2

  private let state = Mutex(State())
  private let signal = Signal()

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { $0.jobs.append(job) }
    signal.notify()
  }

  func checkIsolated() {
    let thread = Worker.currentThread
    precondition(
      state.withLock { $0.thread == thread },
      "a partition is touched by a thread that is not its own")
  }

  private static var currentThread: UInt { UInt(bitPattern: Int(bitPattern: Thread.current)) }

  func wake() { signal.notify() }

  /// Runs until every partition says that it is done. Returns the thread to join.
  func start(_ partitions: [PartitionActor], name: String) -> Thread {
    Thread(name: name) { self.loop(partitions) }
  }

  private func loop(_ partitions: [PartitionActor]) {
    state.withLock { $0.thread = Worker.currentThread }
    let executor = asUnownedSerialExecutor()
    while true {
      let jobs = state.withLock { state in
        let jobs = state.jobs
        state.jobs.removeAll(keepingCapacity: true)
        return jobs
      }
      for job in jobs { job.runSynchronously(on: executor) }
      var isBusy = false
      var isDone = true
      for partition in partitions {
        switch partition.assumeIsolated({ $0.turn() }) {
        case .busy:
          isBusy = true
          isDone = false
        case .idle: isDone = false
        case .done: break
        }
      }
      if isDone { return }
      if !isBusy { signal.wait(milliseconds: Worker.idleMilliseconds) }
    }
  }
}

/// A partition as the rest of the process sees it: an actor of the executor that owns it, which is
/// a `Worker` in a running process.
package actor PartitionActor {
  package enum Turn: Sendable {
    case busy, idle, done
  }

  private nonisolated let executor: any SerialExecutor
  package nonisolated let status: PartitionStatus
  private let board: RunBoard
  private let clock: any MonotonicClock
  private let runner: PartitionRunner
  private var phase = Phase.starting

  private enum Phase {
    case starting, running, ending, draining, done
  }

  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  package init(
    runner: sending PartitionRunner, executor: any SerialExecutor, status: PartitionStatus,
    board: RunBoard, clock: any MonotonicClock
  ) {
    self.runner = runner
    self.executor = executor
    self.status = status
    self.board = board
    self.clock = clock
    status.belongs(to: self)
  }

  /// The state that may be asked about; nil before it is loaded, while the past is processed
  /// again, and after the end.
  var coreAtWork: PartitionCore? {
    switch phase {
    case .running, .ending, .draining: runner.isRecovering ? nil : runner.core
    case .starting, .done: nil
    }
  }

  /// One turn of the worker's loop.
  package func turn() -> Turn {
    guard phase != .done else { return .done }
    do throws(LogError) {
      let turn = try takeTurn(now: clock.now())
      status.update(from: runner)
      return turn
    } catch {
      board.fail(error)
      runner.abandon()
      phase = .done
      status.update(from: runner)
      return .done
    }
  }

  private func takeTurn(now: Int64) throws(LogError) -> Turn {
    switch phase {
    case .starting:
      guard !board.isFailed else { return leave() }
      try runner.start(now: now)
      phase = .running
      return .busy
    case .running: return try run(now: now)
    case .ending: return try end(now: now)
    case .draining: return try drain(now: now)
    case .done: return .done
    }
  }

  private func run(now: Int64) throws(LogError) -> Turn {
    if board.isFailed { return leave() }
    if board.isStopping {
      phase = .draining
      return .busy
    }
    switch try runner.step(now: now) {
    case .advanced: return .busy
    case .waiting: return .idle
    case .end:
      if runner.options.mode == .replay {
        // All partitions walk to the log's last time, which is known when all have read it.
        board.reachedEnd(status.index, tick: runner.core.tick)
        guard let last = board.lastTick else { return .idle }
        runner.walkToEnd(atTick: last)
        phase = .ending
        return .busy
      }
      phase = .draining
      return .busy
    }
  }

  /// The end of a replay: the snapshot comes first, then what is published because it is the end.
  private func end(now: Int64) throws(LogError) -> Turn {
    if board.isFailed { return leave() }
    if board.wantsSnapshotAtEnd, try !runner.drain(now: now, snapshot: true) { return .idle }
    runner.publishHeldBack()
    phase = .draining
    return .busy
  }

  /// A live run's last snapshot, or an audit's; a replay has taken its own when it came to its end.
  private var wantsLastSnapshot: Bool {
    switch runner.options.mode {
    case .live: true
    case .audit: board.wantsSnapshotAtEnd
    case .replay: false
    }
  }

  private func drain(now: Int64) throws(LogError) -> Turn {
    if board.isFailed { return leave() }
    guard try runner.drain(now: now, snapshot: wantsLastSnapshot) else {
      // The work queues decide when it goes on; a short sleep is enough.
      return .idle
    }
    status.finish(runner)
    runner.abandon()
    phase = .done
    return .done
  }

  /// Another partition failed: the run is over.
  private func leave() -> Turn {
    runner.abandon()
    phase = .done
    return .done
  }
}
