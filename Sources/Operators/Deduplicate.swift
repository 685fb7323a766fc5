public import Events
public import Streaming

/// Drops a second event with the same (account, type, id) within `within` of the first, and a
/// second conversion with the same (account, action, order) within `within.order`.
///
/// What was seen is kept as 64-bit fingerprints with the time of the accepted event, in two
/// generations per window length that rotate with the clock, so memory is bounded by the events
/// of two windows: about 25 bytes each. A duplicate is found as long as it arrives no later than
/// `out_of_orderness` behind the clock; two different events share a fingerprint with probability
/// n²/2⁶⁵ for n events kept (3·10⁻⁶ for ten million).
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
    windows = lengths.enumerated().map { index, span in
      SightingWindow(
        within: span, slack: setup.time.outOfOrderness, key: Int64(index), setup: setup)
    }
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
    let isRepeated = windows[windowOfType[type]].saw(fingerprint, at: time, entry)
    if isRepeated || isRepeatedOrder(event, entry) {
      duplicates.add()
    } else {
      output.append(reference)
    }
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

  /// A retried conversion comes with a new id but the order it is about.
  @inline(__always)
  private func isRepeatedOrder(_ event: UnsafePointer<Event>, _ entry: borrowing Entry) -> Bool {
    guard event.pointee.type == .conversion, !event.pointee.reference.isAbsent else { return false }
    let action = Hash.combine(event.pointee.action.hash, event.pointee.reference.hash)
    // Beside every event type's own number, so that an order never equals an id.
    let fingerprint = Hash.combine(Hash.combine(event.pointee.account.hash, 0x100), action) | 1
    return windows[orderWindow].saw(fingerprint, at: event.pointee.time.milliseconds, entry)
  }

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    for timer in due { windows[Int(timer.key)].rotate(entry.clock.milliseconds) }
  }

  public func digest(into digest: inout StateDigest) {
    for window in windows {
      window.forEach { fingerprint, time in digest.add(owner: fingerprint, window.within, time) }
    }
  }
}

/// What was seen within a span of time: two generations of fingerprints.
private struct SightingWindow {
  /// Milliseconds between two events with the same fingerprint up to which the later is dropped.
  let within: Int64
  /// A generation's length: what may be asked for outlives one rotation.
  private let period: Int64
  private let key: Int64
  private let generations: (FingerprintTable, FingerprintTable)
  private let timers: Timers
  private let state: Table<State>

  private struct State: BitwiseCopyable {
    /// Number of the current generation; -1 before the first event. Its parity chooses the table.
    var generation: Int64 = -1
  }

  init(within: TimeSpan, slack: TimeSpan, key: Int64, setup: OperatorSetup) {
    self.within = within.milliseconds
    self.key = key
    period = within.milliseconds + slack.milliseconds
    generations = (
      FingerprintTable("window\(key).even", in: setup.store),
      FingerprintTable("window\(key).odd", in: setup.store)
    )
    timers = setup.timers
    state = setup.store.table("window\(key)", of: State.self, capacity: 1)
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
    if let first = current.time(of: fingerprint) {
      if isWithin(first, time) { return true }
    } else if let first = previous.time(of: fingerprint), isWithin(first, time) {
      return true
    }
    current.set(fingerprint, time: time)
    return false
  }

  @inline(__always)
  func touch(_ fingerprint: UInt64) -> UInt64 {
    let current = state[0].generation & 1 == 0 ? generations.0 : generations.1
    return generations.0.touch(fingerprint) ^ generations.1.touch(fingerprint)
      ^ current.touchSlot(fingerprint)
  }

  @inline(__always)
  private func isWithin(_ first: Int64, _ time: Int64) -> Bool { abs(time &- first) <= within }

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
    timers.add(at: EventTime(milliseconds: (generation + 1) * period), key: key)
  }

  func forEach(_ body: (UInt64, Int64) -> Void) {
    generations.0.forEach(body)
    generations.1.forEach(body)
  }
}
