public import Streaming
import Synchronization

// TestKit: the world that a partition runs in, made of memory and seeds: a log that loses answers
// (`SimulatedLog`), queues that run when the test says so (`SeededQueue`), a driver that feeds a
// topology by hand (`TopologyDriver`), and the suites that every operator must pass
// (`OperatorContract`). It is a product of its own: whoever writes an operator tests it with this.

/// A work queue whose jobs run when, and as long after, as the test chooses.
public final class SeededQueue: WorkQueue {
  private let jobs = Mutex<[@Sendable () -> Void]>([])

  public init() {}

  public func submit(_ job: @escaping @Sendable () -> Void) { jobs.withLock { $0.append(job) } }

  public var count: Int { jobs.withLock { $0.count } }

  /// Runs the oldest job; false when there is none.
  @discardableResult
  public func runOne() -> Bool {
    guard let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return false }
    job()
    return true
  }

  public func runAll() { while runOne() {} }

  /// A crash: what had not begun never happens.
  public func dropAll() { jobs.withLock { $0.removeAll() } }
}

/// A work queue that runs each job at once, in the caller's thread.
public final class ImmediateQueue: WorkQueue {
  public init() {}
  public func submit(_ job: @escaping @Sendable () -> Void) { job() }
}
