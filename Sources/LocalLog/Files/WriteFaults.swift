import Streaming
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A disk that fails after a budget of work: each byte written costs one, and so does each other
/// change (create, cut, sync, rename, remove). Lets tests stop a writer at every point.
package final class WriteFaults: Sendable {
  package enum Mode: Sendable {
    /// Everything after the budget fails: the process is as good as dead.
    case crash
    /// So many operations after the budget fail, then the disk is well again.
    case fail(times: Int)
  }

  private struct State {
    var budget: Int
    var mode: Mode
    var failures = 0
    var spent = 0
  }

  private let state: Mutex<State>
  package let errorNumber: Int32

  package init(budget: Int, mode: Mode, errorNumber: Int32 = ENOSPC) {
    self.state = Mutex(State(budget: budget, mode: mode))
    self.errorNumber = errorNumber
  }

  /// How many operations failed so far.
  package var failures: Int { state.withLock { $0.failures } }
  /// Work let through so far.
  package var spent: Int { state.withLock { $0.spent } }

  /// How many of `count` bytes may be written.
  func allowance(_ count: Int) -> Int {
    state.withLock { state in
      if state.budget >= count {
        state.budget -= count
        state.spent += count
        return count
      }
      if state.budget == 0, case .fail(let times) = state.mode, state.failures >= times {
        return count
      }
      let allowed = state.budget
      state.spent += allowed
      state.budget = 0
      state.failures += 1
      return allowed
    }
  }

  func spend(_ cost: Int, _ verb: String, _ path: String) throws(LogError) {
    if allowance(cost) < cost { throw .system(verb, path, errorNumber) }
  }
}
