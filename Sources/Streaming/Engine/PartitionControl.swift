import Synchronization

/// What the process wants of a partition that comes and goes, and where that partition is.
final class PartitionControl: Sendable {
  enum Wish: Equatable {
    /// It is this process's: to be run.
    case run
    /// To be given up: committed until then, in monotonic ms, and then parked.
    case release(by: Int64)
    /// It is somebody else's already: to be left as it is.
    case leave
  }

  enum Place: Equatable {
    case active
    /// Given up; its state is kept for a while.
    case parked
    /// Its log says that it is another process's now.
    case lost
    /// Nothing is left of it here.
    case gone
  }

  private struct State {
    var wish = Wish.run
    var place = Place.active
    var lossMessage = ""
  }

  private let state = Mutex(State())
  private let changed: @Sendable () -> Void

  /// - Parameter changed: called, from the partition's worker, after its place has changed.
  init(changed: @escaping @Sendable () -> Void) { self.changed = changed }

  var wish: Wish { state.withLock { $0.wish } }
  var place: Place { state.withLock { $0.place } }
  var lossMessage: String { state.withLock { $0.lossMessage } }

  func want(_ wish: Wish) { state.withLock { $0.wish = wish } }

  /// Takes the partition up again. False where nothing is left of it.
  func takeUp() -> Bool {
    state.withLock {
      guard $0.place != .gone else { return false }
      $0.wish = .run
      $0.place = .active
      return true
    }
  }

  func parked() {
    // Wanted again meanwhile: it goes on as soon as its turn comes.
    state.withLock { if $0.place == .active, $0.wish != .run { $0.place = .parked } }
    changed()
  }

  func lost(_ message: String) {
    state.withLock {
      $0.place = .lost
      $0.wish = .leave
      $0.lossMessage = message
    }
    changed()
  }

  /// Says that the partition ends here. False where it is wanted again.
  ///
  /// - Parameter close: hands the partition's queues their last job; whoever sees that it is gone
  ///   may end them.
  func mayEnd(_ close: () -> Void) -> Bool {
    let mayEnd = state.withLock {
      guard $0.wish != .run else { return false }
      close()
      $0.place = .gone
      return true
    }
    if mayEnd { changed() }
    return mayEnd
  }

  func gone() {
    state.withLock { $0.place = .gone }
    changed()
  }
}
