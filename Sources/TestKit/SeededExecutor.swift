import Synchronization

/// Runs the jobs of actors and tasks in the calling thread, in an order that a seed chooses.
///
/// Whatever is right must be right in every order. Use it as the executor of actors, or as the
/// preference of tasks; jobs wait until `runOne` or `runAll`.
public final class SeededExecutor: SerialExecutor, TaskExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    var choice: SeededChoice
    var isRunning = false
  }

  private let state: Mutex<State>

  public init(seed: UInt64) { state = Mutex(State(choice: SeededChoice(seed: seed))) }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { $0.jobs.append(job) }
  }

  public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(ordinary: self)
  }

  /// Touching an actor of this executor is allowed only from within `run` and its jobs.
  public func checkIsolated() {
    precondition(state.withLock { $0.isRunning }, "an actor is touched outside of its executor")
  }

  /// Runs a job that the seed picks; false when none waits.
  @discardableResult
  public func runOne() -> Bool {
    let job = state.withLock { state -> UnownedJob? in
      guard !state.jobs.isEmpty else { return nil }
      return state.jobs.remove(at: state.choice.below(state.jobs.count))
    }
    guard let job else { return false }
    run { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    return true
  }

  /// Runs jobs, and those that they make, until none waits.
  public func runAll() { while runOne() {} }

  /// Lets the body touch actors of this executor.
  public func run<T>(_ body: () throws -> T) rethrows -> T {
    let was = state.withLock { state in
      defer { state.isRunning = true }
      return state.isRunning
    }
    defer { state.withLock { $0.isRunning = was } }
    return try body()
  }

  /// A number in 0..<bound, from the same seed.
  public func choose(below bound: Int) -> Int { state.withLock { $0.choice.below(bound) } }
}
