import Synchronization

/// Stops something that may not have begun yet.
final class StopSwitch: Sendable {
  private struct State {
    var isThrown = false
    var stop: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())

  /// Says what to stop; at once, where the switch is thrown already.
  func connect(_ stop: @escaping @Sendable () -> Void) {
    let isThrown = state.withLock {
      $0.stop = stop
      return $0.isThrown
    }
    if isThrown { stop() }
  }

  func throwIt() {
    let stop = state.withLock {
      $0.isThrown = true
      return $0.stop
    }
    stop?()
  }
}
