import Synchronization

/// Lets a few threads at a time through, in the order in which they came.
final class Turnstile: Sendable {
  private struct State {
    var places: Int
    var waiting: [Signal] = []
  }

  private let state: Mutex<State>

  /// - Parameter places: how many may be inside at once.
  init(places: Int) { state = Mutex(State(places: places)) }

  func pass<Result>(_ body: () -> Result) -> Result {
    enter()
    defer { leave() }
    return body()
  }

  private func enter() {
    let signal = state.withLock { state -> Signal? in
      if state.places > 0 {
        state.places -= 1
        return nil
      }
      let signal = Signal()
      state.waiting.append(signal)
      return signal
    }
    signal?.wait(milliseconds: nil)
  }

  /// The place goes to whoever waits longest.
  private func leave() {
    let next = state.withLock { state -> Signal? in
      guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
      state.places += 1
      return nil
    }
    next?.notify()
  }
}
