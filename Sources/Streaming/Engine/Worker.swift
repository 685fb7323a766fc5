import Synchronization

/// A thread that owns partitions: their executor and their loop.
///
/// The loop runs jobs that others sent to the partitions (queries, requests), lets each partition
/// take a step, and sleeps when none has anything to do. Partitions are actors of this executor,
/// so nobody else can touch their state.
final class Worker: SerialExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    /// Partitions that the loop does not know yet.
    var arrivals: [PartitionActor] = []
    /// No partition will be added any more.
    var isSealed = false
    /// The worker's own thread, known once it runs.
    var thread: UInt?
  }

  /// How long an idle loop sleeps when nobody wakes it: new records of a log on disk are noticed
  /// within this time.
  static let idleMilliseconds: Int64 = 2
  /// However sure it is that nothing happens.
  private static let sleepMilliseconds: Int64 = 1_000

  private let state = Mutex(State())
  private let signal = Signal()
  private let clock: any MonotonicClock

  init(clock: any MonotonicClock) { self.clock = clock }

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

  /// From any thread.
  func add(_ partition: PartitionActor) {
    state.withLock { $0.arrivals.append(partition) }
    signal.notify()
  }

  /// The loop ends once its partitions are done.
  func seal() {
    state.withLock { $0.isSealed = true }
    signal.notify()
  }

  /// Runs until it is sealed and every partition says that it is done. Returns the thread to join.
  func start(name: String) -> Thread {
    Thread(name: name) { self.loop() }
  }

  private func loop() {
    state.withLock { $0.thread = Worker.currentThread }
    let executor = asUnownedSerialExecutor()
    var partitions: [PartitionActor] = []
    while true {
      let (jobs, isSealed) = state.withLock { state in
        let jobs = state.jobs
        state.jobs.removeAll(keepingCapacity: true)
        if !state.arrivals.isEmpty {
          partitions += state.arrivals
          state.arrivals.removeAll()
        }
        return (jobs, state.isSealed)
      }
      for job in jobs { job.runSynchronously(on: executor) }
      var isBusy = false
      var isOver = false
      for partition in partitions {
        switch partition.assumeIsolated({ $0.turn() }) {
        case .busy: isBusy = true
        case .idle: break
        case .done: isOver = true
        }
      }
      if isOver { partitions.removeAll { $0.assumeIsolated { $0.isDone } } }
      if partitions.isEmpty, isSealed { return }
      if !isBusy { sleep(partitions) }
    }
  }

  private func sleep(_ partitions: [PartitionActor]) {
    let now = clock.now()
    var until = now + Worker.sleepMilliseconds
    for partition in partitions {
      until = min(until, partition.assumeIsolated { $0.wakesAt(now: now) })
    }
    if until > now { signal.wait(milliseconds: until - now) }
  }
}
