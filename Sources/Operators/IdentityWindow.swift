import Bidding
import Events

/// An event's identifiers as keyed hashes, 0 where there is none, in the order in which they
/// decide.
struct IdentityKeys: BitwiseCopyable {
  var clickID: UInt64 = 0
  var user: UInt64 = 0
  var device: UInt64 = 0

  @inline(__always)
  subscript(kind: IdentityMethod) -> UInt64 {
    switch kind {
    case .none: 0
    case .clickID: clickID
    case .user: user
    case .device: device
    }
  }

  /// Calls `body` with those that there are.
  @inline(__always)
  func visit(_ body: (UInt64) -> Void) {
    if clickID != 0 { body(clickID) }
    if user != 0 { body(user) }
    if device != 0 { body(device) }
  }
}

/// What was found out about the events of a window before the first of them is processed.
///
/// Keys are computed once. Rows are hints: until the event's turn comes an identifier may be
/// forgotten, added, or stand in another row. One window for each batch, that is, for each input.
struct IdentityWindow {
  struct Sighting: BitwiseCopyable {
    let keys: IdentityKeys
    /// What the keys were computed from.
    private let account: UInt64
    private let identifiers: (UInt64, UInt64, UInt64)
    /// Rows of the identifiers; -1 where one is unknown.
    var clickID: Int32 = -1
    var user: Int32 = -1
    var device: Int32 = -1

    @inline(__always)
    init(_ event: UnsafePointer<Event>, _ keys: IdentityKeys) {
      self.keys = keys
      account = event.pointee.account.hash
      identifiers = (
        event.pointee.clickID.hash, event.pointee.user.hash, event.pointee.device.hash
      )
    }

    @inline(__always)
    func isOf(_ event: UnsafePointer<Event>) -> Bool {
      account == event.pointee.account.hash && identifiers.0 == event.pointee.clickID.hash
        && identifiers.1 == event.pointee.user.hash && identifiers.2 == event.pointee.device.hash
    }

    /// One of the identifiers that there are is unknown.
    @inline(__always)
    var hasUnknown: Bool {
      (keys.clickID != 0 && clickID < 0) || (keys.user != 0 && user < 0)
        || (keys.device != 0 && device < 0)
    }

    /// The row that decides.
    @inline(__always)
    var first: Int32 { clickID >= 0 ? clickID : user >= 0 ? user : device }
  }

  private struct Window: BitwiseCopyable {
    let events: UnsafePointer<Event>
    let sightings: UnsafeMutableBufferPointer<Sighting>
    var count = 0
  }

  private struct State {
    var windows: ContiguousArray<Window> = []
    /// The window that was asked last.
    var current = 0
    var expected: UnsafeMutableBufferPointer<Int32>
    var seen: UInt64 = 0
  }

  private let state: UnsafeMutablePointer<State>

  init() {
    state = .allocate(capacity: 1)
    state.initialize(to: State(expected: .allocate(capacity: 0)))
  }

  func deallocate() {
    for window in state.pointee.windows { window.sightings.deallocate() }
    state.pointee.expected.deallocate()
    state.deinitialize(count: 1)
    state.deallocate()
  }

  /// Room for what is found out about a batch, in the order of its events. To be filled at once.
  func begin(_ batch: EventBatch) -> UnsafeMutableBufferPointer<Sighting> {
    let count = batch.count
    guard count > 0 else { return UnsafeMutableBufferPointer(start: nil, count: 0) }
    let place = place(of: UnsafePointer(batch[0]), capacity: batch.capacity)
    state.pointee.current = place
    state.pointee.windows[place].count = count
    if state.pointee.expected.count < count {
      state.pointee.expected.deallocate()
      state.pointee.expected = .allocate(capacity: batch.capacity)
    }
    return UnsafeMutableBufferPointer(rebasing: state.pointee.windows[place].sightings[..<count])
  }

  /// The number of a batch's window, made when it is new.
  private func place(of events: UnsafePointer<Event>, capacity: Int) -> Int {
    let known = state.pointee.windows.firstIndex { $0.events == events }
    if let known, state.pointee.windows[known].sightings.count >= capacity { return known }
    let window = Window(events: events, sightings: .allocate(capacity: capacity))
    if let known {
      state.pointee.windows[known].sightings.deallocate()
      state.pointee.windows[known] = window
      return known
    }
    state.pointee.windows.append(window)
    return state.pointee.windows.count - 1
  }

  func expect(_ person: Int32, at index: Int) { state.pointee.expected[index] = person }

  /// The persons of the last window's events; -1 where nobody is known.
  var expected: UnsafeBufferPointer<Int32> {
    let windows = state.pointee.windows
    let count = windows.isEmpty ? 0 : windows[state.pointee.current].count
    return UnsafeBufferPointer(rebasing: UnsafeBufferPointer(state.pointee.expected)[..<count])
  }

  func keep(_ seen: UInt64) { state.pointee.seen = seen }

  /// What was found out about an event; nil when it was in no window.
  @inline(__always)
  func sighting(of event: UnsafePointer<Event>) -> Sighting? {
    guard !state.pointee.windows.isEmpty else { return nil }
    return sighting(of: event, in: state.pointee.current) ?? search(event)
  }

  @inline(__always)
  private func sighting(of event: UnsafePointer<Event>, in place: Int) -> Sighting? {
    let window = state.pointee.windows[place]
    guard event >= window.events, event < window.events + window.count else { return nil }
    let sighting = window.sightings[event - window.events]
    return sighting.isOf(event) ? sighting : nil
  }

  @inline(never)
  private func search(_ event: UnsafePointer<Event>) -> Sighting? {
    for place in state.pointee.windows.indices {
      if let found = sighting(of: event, in: place) {
        state.pointee.current = place
        return found
      }
    }
    return nil
  }
}
