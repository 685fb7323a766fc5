import Synchronization

/// Runs jobs one after the other, beside the partitions: commits, and the writing of snapshots.
public protocol WorkQueue: AnyObject, Sendable {
  func submit(_ job: @escaping @Sendable () -> Void)
}

/// A work queue with a thread of its own, which may block.
public final class ThreadQueue: WorkQueue {
  /// What the submitters and the thread share.
  private final class Shared: Sendable {
    struct State {
      var jobs: [@Sendable () -> Void] = []
      var isClosed = false
    }

    let state = Mutex(State())
    let signal = Signal()

    func run() {
      while true {
        let (jobs, isClosed) = state.withLock { state in
          let jobs = state.jobs
          state.jobs.removeAll()
          return (jobs, state.isClosed)
        }
        for job in jobs { job() }
        if jobs.isEmpty {
          if isClosed { return }
          signal.wait(milliseconds: nil)
        }
      }
    }
  }

  private let shared = Shared()
  private let thread: Thread

  /// - Parameter isBackground: others go first where there are too few processors.
  public init(name: String, isBackground: Bool = false) {
    let shared = shared
    thread = Thread(name: name) {
      if isBackground { Thread.yieldToOthers() }
      shared.run()
    }
  }

  deinit { close() }

  public func submit(_ job: @escaping @Sendable () -> Void) {
    shared.state.withLock {
      precondition(!$0.isClosed, "a job for a closed queue")
      $0.jobs.append(job)
    }
    shared.signal.notify()
  }

  /// Runs what was submitted, then ends the thread. Returns when it has ended.
  public func close() {
    let wasClosed = shared.state.withLock { state in
      defer { state.isClosed = true }
      return state.isClosed
    }
    guard !wasClosed else { return }
    shared.signal.notify()
    thread.join()
  }
}
