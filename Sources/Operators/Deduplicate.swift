public import Events
public import Streaming

/// Drops a second event with the same (account, type, id) within `within` of an accepted one, and
/// a second conversion with the same (account, action, order) within `within.order`.
///
/// What was accepted is kept as 64-bit fingerprints with the newest time, in two generations per
/// window length that rotate with the clock, so memory is bounded by the events of two windows:
/// about 25 bytes each. A duplicate is found as long as it arrives no later than
/// `out_of_orderness` behind the clock (where `within` is shorter than that and a tick together,
/// only against the newest accepted event); two different events share a fingerprint with
/// probability n²/2⁶⁵ for n events kept (3·10⁻⁶ for ten million). A window whose length or
/// `out_of_orderness` is changed over kept state begins empty.
public struct Deduplicate: Operator {
  public static let description = OperatorDescription(
    name: "deduplicate", version: 1,
    summary: "Drops events that were seen before; counts them.",
    inputs: [.init(.events)],
    outputs: [.events],
    settings: [
      SettingDescription(
        "within",
        .either([
          .duration(.seconds(1)...(.days(48))),
          .mapping(
            keys: EventType.allCases.map { "\($0.name)" } + [orderKey, defaultKey],
            .duration(.seconds(1)...(.days(48)))),
        ]),
        default: "24h",
        meaning: """
          How long an event's (account, type, id) is remembered: one duration, or one per event \
          type, with `default` for the rest (24h) and `order` for a conversion's (account, \
          action, order) (30d).
          """)
    ])

  static let orderKey = "order"
  static let defaultKey = "default"

  private let events: EventInput
  private let output: Stream<EventReference>
  private let duplicates: Counter
  /// Windows of equal length share their tables.
  private let windows: [SightingWindow]
  /// Index into `windows` per event type.
  private let windowOfType: [Int]
  private let orderWindow: Int
  private let touched: UnsafeMutablePointer<UInt64>

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    events = setup.events()
    output = setup.eventOutput()
    duplicates = setup.counter("duplicates")
    touched = .allocate(capacity: 1)
    let spans = Deduplicate.spans(setup.settings["within"])
    var lengths: [TimeSpan] = []
    func window(_ span: TimeSpan) -> Int {
      if let known = lengths.firstIndex(of: span) { return known }
      lengths.append(span)
      return lengths.count - 1
    }
    windowOfType = spans.byType.map { window($0) }
    orderWindow = window(spans.order)
    windows = lengths.map { SightingWindow(within: $0, setup: setup) }
  }

  public func deallocate() {
    events.deallocate()
    for window in windows { window.deallocate() }
    touched.deallocate()
  }

  /// The remembered span per event type (by raw value) and for orders.
  private static func spans(_ value: SettingValue) -> (byType: [TimeSpan], order: TimeSpan) {
    var byName: [(name: String, value: TimeSpan)] = []
    switch value {
    case .duration(let span): byName = [(defaultKey, span)]
    case .mapping(let entries):
      for case (let name, .duration(let span)) in entries { byName.append((name, span)) }
    default: preconditionFailure("`within` is described as a duration or a mapping of durations")
    }
    func span(_ name: String) -> TimeSpan? { byName.first { $0.name == name }?.value }
    let fallback = span(defaultKey) ?? .hours(24)
    return (
      EventType.allCases.map { span("\($0.name)") ?? fallback }, span(orderKey) ?? .days(30)
    )
  }

  public mutating func process(_ entry: borrowing Entry) {
    guard let reference = events.current else { return }
    let event = reference.pointer
    let time = event.pointee.time.milliseconds
    let type = Int(event.pointee.type.rawValue)
    let fingerprint = Hash.fingerprint(
      account: event.pointee.account.hash, type: event.pointee.type, id: event.pointee.id.hash)
    let order = Deduplicate.order(event)
    // Looked at before anything is kept: what is dropped leaves no trace.
    if order != 0, windows[orderWindow].has(order, at: time) { return duplicates.add() }
    if windows[windowOfType[type]].saw(fingerprint, at: time, entry) { return duplicates.add() }
    if order != 0 { _ = windows[orderWindow].saw(order, at: time, entry) }
    output.append(reference)
  }

  public func prefetch(_ batch: EventBatch) {
    var seen: UInt64 = 0
    for i in 0..<batch.count {
      let event = batch[i]
      let fingerprint = Hash.fingerprint(
        account: event.pointee.account.hash, type: event.pointee.type, id: event.pointee.id.hash)
      seen ^= windows[windowOfType[Int(event.pointee.type.rawValue)]].touch(fingerprint)
    }
    // Stored, so that the loads are not optimised away.
    touched.pointee = seen
  }

  /// The fingerprint of a conversion's order, 0 where there is none: a retried conversion comes
  /// with a new id but the order it is about.
  @inline(__always)
  private static func order(_ event: UnsafePointer<Event>) -> UInt64 {
    guard event.pointee.type == .conversion, !event.pointee.reference.isAbsent else { return 0 }
    let action = Hash.combine(event.pointee.action.hash, event.pointee.reference.hash)
    // Beside every event type's own number, so that an order never equals an id.
    return Hash.combine(Hash.combine(event.pointee.account.hash, 0x100), action) | 1
  }

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    for timer in due {
      // The timer of a length that the topology had once goes nowhere.
      for window in windows where window.within == timer.key {
        window.rotate(entry.clock.milliseconds)
      }
    }
  }

  public func digest(into digest: inout StateDigest) {
    for window in windows {
      window.visit { fingerprint, time in digest.add(owner: fingerprint, window.within, time) }
    }
  }
}

/// What was seen within a span of time: two generations of fingerprints.
private struct SightingWindow {
  /// Milliseconds between two events with the same fingerprint up to which the later is dropped.
  let within: Int64
  /// A generation's length. An event is kept at a clock entry less than a tick before its time,
  /// and its duplicates may come as late as `out_of_orderness` after their own: so what may still
  /// be asked for outlives one rotation.
  private let period: Int64
  private let generations: (FingerprintTable, FingerprintTable)
  private let timers: Timers
  private let state: Table<State>

  private struct State: BitwiseCopyable {
    /// Number of the current generation; -1 before the first event. Its parity chooses the table.
    var generation: Int64 = -1
  }

  init(within: TimeSpan, setup: OperatorSetup) {
    self.within = within.milliseconds
    period =
      within.milliseconds + setup.time.outOfOrderness.milliseconds + setup.time.tick.milliseconds
    // Named by what they mean, so that a changed topology finds its own windows and no others.
    let name = "window \(within.milliseconds)/\(period)"
    generations = (
      FingerprintTable("\(name) even", in: setup.store),
      FingerprintTable("\(name) odd", in: setup.store)
    )
    timers = setup.timers
    state = setup.store.table(name, of: State.self, capacity: 1)
    state.append(State())
  }

  func deallocate() {
    generations.0.deallocate()
    generations.1.deallocate()
  }

  /// Whether the fingerprint was accepted within the span; if not, it is now.
  @inline(__always)
  func saw(_ fingerprint: UInt64, at time: Int64, _ entry: borrowing Entry) -> Bool {
    if state[0].generation < 0 { rotate(entry.clock.milliseconds) }
    let isEven = state[0].generation & 1 == 0
    let current = isEven ? generations.0 : generations.1
    let previous = isEven ? generations.1 : generations.0
    guard let newest = current.time(of: fingerprint) ?? previous.time(of: fingerprint) else {
      current.set(fingerprint, time: time)
      return false
    }
    if isWithin(newest, time) { return true }
    // The newest time stays: a late event must not hide it from duplicates that come in time.
    current.set(fingerprint, time: max(newest, time))
    return false
  }

  /// The same question, without keeping anything.
  @inline(__always)
  func has(_ fingerprint: UInt64, at time: Int64) -> Bool {
    let isEven = state[0].generation & 1 == 0
    let current = isEven ? generations.0 : generations.1
    let previous = isEven ? generations.1 : generations.0
    guard let newest = current.time(of: fingerprint) ?? previous.time(of: fingerprint) else {
      return false
    }
    return isWithin(newest, time)
  }

  @inline(__always)
  func touch(_ fingerprint: UInt64) -> UInt64 {
    let current = state[0].generation & 1 == 0 ? generations.0 : generations.1
    return generations.0.touch(fingerprint) ^ generations.1.touch(fingerprint)
      ^ current.touchSlot(fingerprint)
  }

  @inline(__always)
  private func isWithin(_ newest: Int64, _ time: Int64) -> Bool { abs(time &- newest) <= within }

  /// Empties what is too old to matter; called at the clock entry where a generation begins.
  func rotate(_ clock: Int64) {
    let generation = clock / period
    let last = state[0].generation
    guard generation > last else { return }
    if last >= 0 {
      if generation - last > 1 { (last & 1 == 0 ? generations.0 : generations.1).removeAll() }
      (generation & 1 == 0 ? generations.0 : generations.1).removeAll()
    }
    state.update(0).pointee.generation = generation
    timers.add(at: EventTime(milliseconds: (generation + 1) * period), key: within)
  }

  func visit(_ body: (UInt64, Int64) -> Void) {
    generations.0.visit(body)
    generations.1.visit(body)
  }
}
