import Synchronization

/// A partition as the rest of the process sees it: an actor of the executor that owns it, which is
/// a `Worker` in a running process.
///
/// In a closed set (a replay, a local log) it starts, runs and ends with the run. One that comes and
/// goes (`Guest`) is opened beside its worker, and when it is released it is parked: its state stays
/// here for a while, so that it can go on without a restore.
package actor PartitionActor {
  package enum Turn: Sendable {
    case busy, idle, done
  }

  /// What only a partition has that comes and goes.
  struct Guest: Sendable {
    var control: PartitionControl
    /// Where the partition is opened: snapshots are loaded a few at a time.
    var turnstile: Turnstile
    var commitQueue: any WorkQueue
    /// How long state is kept after the partition was given up.
    var warmMilliseconds: Int64
    /// A runner without state, for what cannot go on from what is here.
    var renew: @Sendable () throws(TopologyError) -> PartitionRunner
  }

  /// What came of opening the partition.
  private final class Opening: Sendable {
    enum Outcome: Sendable {
      case open
      /// It goes on from what was parked.
      case resumed
      /// What was parked is out of date.
      case outdated
      case failed(LogError)
    }
    let outcome = Mutex<Outcome?>(nil)
  }

  private nonisolated let executor: any SerialExecutor
  package nonisolated let status: PartitionStatus
  private let board: RunBoard
  private let clock: any MonotonicClock
  private let guest: Guest?
  private var runner: PartitionRunner
  private var phase = Phase.starting
  private var opening: Opening?
  private var patience: Retrying
  /// The log says itself when there is something to do.
  private let isWoken: Bool

  /// How long what is missing at the opening is looked for.
  private static let missingMilliseconds: Int64 = 3_000

  private enum Phase {
    case starting, opening, running, ending, draining, releasing, parked, done
  }

  /// Until then a partition is being given up, or is kept.
  private var until: Int64 = 0

  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  package init(
    runner: sending PartitionRunner, executor: any SerialExecutor, status: PartitionStatus,
    board: RunBoard, clock: any MonotonicClock
  ) {
    self.init(
      runner: runner, executor: executor, status: status, board: board, clock: clock, guest: nil,
      isWoken: false)
  }

  init(
    runner: sending PartitionRunner, executor: any SerialExecutor, status: PartitionStatus,
    board: RunBoard, clock: any MonotonicClock, guest: Guest?, isWoken: Bool
  ) {
    patience = Retrying(options: runner.options)
    self.runner = runner
    self.executor = executor
    self.status = status
    self.board = board
    self.clock = clock
    self.guest = guest
    self.isWoken = isWoken
    status.belongs(to: self)
  }

  /// The state that may be asked about; nil before it is loaded, while the past is processed
  /// again, and once the partition is given up.
  var coreAtWork: PartitionCore? {
    switch phase {
    case .running, .ending, .draining, .releasing: runner.isRecovering ? nil : runner.core
    case .starting, .opening, .parked, .done: nil
    }
  }

  /// One turn of the worker's loop.
  package func turn() -> Turn {
    guard phase != .done else { return .done }
    status.turned()
    let now = clock.now()
    if let at = patience.at {
      guard now >= at || board.isFailed || board.isStopping || wish != .run else { return .idle }
      patience.at = nil
    }
    do throws(LogError) {
      let turn = try takeTurn(now: now)
      if isRunnerHere { status.update(from: runner) }
      return turn
    } catch {
      return after(error, now: now)
    }
  }

  /// When the next turn is due though nobody asks for it, in monotonic ms.
  func wakesAt(now: Int64) -> Int64 {
    if let at = patience.at { return at }
    let soon = now + Worker.idleMilliseconds
    guard isWoken else { return soon }
    switch phase {
    case .running: return max(runner.wakesAt(now: now), soon)
    case .opening: return Int64.max
    case .parked: return until
    case .starting, .ending, .draining, .releasing, .done: return soon
    }
  }

  var isDone: Bool { phase == .done }

  private var wish: PartitionControl.Wish { guest?.control.wish ?? .run }

  /// While it is opened, the runner belongs to the commit queue's thread.
  private var isRunnerHere: Bool { phase != .opening }

  private func takeTurn(now: Int64) throws(LogError) -> Turn {
    switch phase {
    case .starting: return try start(now: now)
    case .opening: return try awaitOpening(now: now)
    case .running: return try run(now: now)
    case .ending: return try end(now: now)
    case .draining: return try drain(now: now)
    case .releasing: return try release(now: now)
    case .parked: return keep(now: now)
    case .done: return .done
    }
  }

  // MARK: Start

  private func start(now: Int64) throws(LogError) -> Turn {
    guard !board.isFailed else { return leave() }
    guard let guest else {
      try runner.start(now: now)
      phase = .running
      return .busy
    }
    guard wish == .run, !board.isStopping else { return leave() }
    open(guest) { (runner, now) throws(LogError) in
      try runner.start(now: now)
      return .open
    }
    return .idle
  }

  /// Looking up, loading and reading may take long: other partitions of the worker go on.
  private func open(
    _ guest: Guest,
    _ body: @escaping @Sendable (PartitionRunner, Int64) throws(LogError) -> Opening.Outcome
  ) {
    let opening = Opening()
    self.opening = opening
    phase = .opening
    status.opens()
    // Nobody touches it here before there is an outcome.
    nonisolated(unsafe) let runner = runner
    let (clock, wake) = (clock, runner.options.wake)
    guest.commitQueue.submit {
      let outcome = guest.turnstile.pass { () -> Opening.Outcome in
        do throws(LogError) { return try body(runner, clock.now()) } catch {
          return .failed(error)
        }
      }
      opening.outcome.withLock { $0 = outcome }
      wake()
    }
  }

  private func awaitOpening(now: Int64) throws(LogError) -> Turn {
    guard let outcome = opening?.outcome.withLock({ $0 }) else { return .idle }
    opening = nil
    switch outcome {
    case .open, .resumed:
      phase = .running
      patience = Retrying(options: runner.options)
      if case .resumed = outcome {
        let options = runner.options
        options.notify(Notice(.info, partition: options.partition, "goes on with its warm state"))
      }
    case .outdated: try renew()
    case .failed(let error):
      try renew()
      throw error
    }
    return .busy
  }

  private func renew() throws(LogError) {
    guard let guest else { return }
    phase = .starting
    do throws(TopologyError) { runner = try guest.renew() } catch {
      throw LogError(.configuration, error.description)
    }
  }

  // MARK: Work

  private func run(now: Int64) throws(LogError) -> Turn {
    if board.isFailed { return leave() }
    if board.isStopping {
      phase = .draining
      return .busy
    }
    switch wish {
    case .run: break
    case .release(let by):
      until = by
      phase = .releasing
      return .busy
    case .leave:
      park(now: now)
      return .idle
    }
    switch try runner.step(now: now) {
    case .advanced:
      patience.succeeded()
      return .busy
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

  // MARK: End

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
    // Whoever has it now waits for this one to let go.
    guard wish == .run else {
      if case .release(let by) = wish { until = by } else { until = now }
      phase = .releasing
      return .busy
    }
    guard try runner.drain(now: now, snapshot: wantsLastSnapshot) else {
      // The work queues decide when it goes on; a short sleep is enough.
      return .idle
    }
    status.finish(runner)
    return leave()
  }

  /// The run is over for this partition: done, or another one failed.
  private func leave() -> Turn {
    if phase == .parked { runner.close() } else { runner.abandon() }
    return finish()
  }

  private func finish() -> Turn {
    phase = .done
    guest?.control.gone()
    return .done
  }

  // MARK: Coming and going

  /// Another process waits for the partition: what is done is committed, and nothing more begun.
  private func release(now: Int64) throws(LogError) -> Turn {
    if board.isFailed { return leave() }
    if now < until, wish != .leave, try !runner.drain(now: now, snapshot: false) { return .idle }
    park(now: now)
    return .idle
  }

  private func park(now: Int64) {
    guard let guest else { preconditionFailure("only what comes and goes is parked") }
    runner.park()
    until = now + guest.warmMilliseconds
    phase = .parked
    guest.control.parked()
  }

  private func keep(now: Int64) -> Turn {
    guard let guest else { preconditionFailure("only what comes and goes is parked") }
    if board.isFailed || board.isStopping { return leave() }
    if wish == .run {
      open(guest) { (runner, now) throws(LogError) in
        try runner.resume(now: now) ? .resumed : .outdated
      }
      return .idle
    }
    guard now >= until, guest.control.mayEnd({ runner.close() }) else { return .idle }
    phase = .done
    return .done
  }

  // MARK: Errors

  private func after(_ error: LogError, now: Int64) -> Turn {
    if guest != nil, error.recovery == .recreate {
      park(now: now)
      guest?.control.lost(error.message)
      return .idle
    }
    // Whoever had the partition may still finish a snapshot and remove what that makes superfluous
    // while this one reads it; and looking again does no harm.
    let mayPass = phase == .starting && (error.recovery == .rewind || error.kind == .missing)
    let mayWait = error.recovery == .retry || mayPass
    if mayWait, phase == .running || (phase == .starting && guest != nil), !board.isStopping,
      patience.failed(
        error, now: now,
        within: phase == .running
          ? nil : error.kind == .missing ? PartitionActor.missingMilliseconds : patience.longest)
    {
      return .idle
    }
    if board.isStopping, phase == .starting { return leave() }
    board.fail(error)
    let turn = leave()
    status.update(from: runner)
    return turn
  }
}

/// Waits after an error that may pass, longer each time.
private struct Retrying {
  private static let first: Int64 = 100
  private static let longestBackoff: Int64 = 5_000
  private static let noticeEvery: Int64 = 10_000

  /// When it is tried again, in monotonic ms.
  var at: Int64?
  private let options: RunnerOptions
  private var backoff = Retrying.first
  private var since: Int64?
  private var noticedAt: Int64?

  init(options: RunnerOptions) { self.options = options }

  mutating func succeeded() {
    guard since != nil else { return }
    since = nil
    noticedAt = nil
    backoff = Retrying.first
    options.notify(Notice(.info, partition: options.partition, "goes on"))
  }

  /// For how long a commit is tried, and so all else that has an end.
  var longest: Int64 { options.commitPatience }

  /// Whether it is worth another try; after so many ms it is not.
  mutating func failed(_ error: LogError, now: Int64, within limit: Int64?) -> Bool {
    guard options.mode == .live, options.commitPatience > 0 else { return false }
    let start = since ?? now
    since = start
    if let limit, now - start > limit { return false }
    if now - (noticedAt ?? Int64.min / 2) >= Retrying.noticeEvery {
      noticedAt = now
      options.notify(
        Notice(.warning, partition: options.partition, "waiting: \(error.message)"))
    }
    at = now + backoff
    backoff = min(backoff * 2, Retrying.longestBackoff)
    return true
  }
}
