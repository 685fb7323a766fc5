import Events
import Simulation
import Streaming
import Synchronization

/// Where an emitter's events go. Used by one thread.
protocol LoadTarget: AnyObject {
  /// Adds a record to a partition of a topic, both by number; it may stay hidden until `flush`.
  func append(
    _ record: LoadRecord, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
  ) throws(LogError)

  /// Makes what was added visible, or sends it on its way.
  func flush() throws(LogError)

  /// Waits until everything that was sent stands in the log.
  func finish() throws(LogError)
}

/// A record beside its bytes.
struct LoadRecord {
  /// The event's number in its phase.
  var number: Int
  /// Index of its topic.
  var topic: Int
  var partition: Int
  /// The event's time, ms since 1970.
  var time: Int64
}

/// Emits events at their times, late ones too: what the log is slow to take is the log's latency,
/// not a lower rate.
///
/// Wakes once a millisecond and emits what has fallen due, at most a millisecond's worth at once.
struct Emitter<Clock: LoadClock>: ~Copyable {
  /// Between two looks at the clock, in ns.
  static var pause: Int64 { 1_000_000 }

  private let clock: Clock
  private let schedule: LoadSchedule
  private let target: any LoadTarget
  private let routes: LoadRoutes
  private let progress: EmitterProgress
  private var generator: HistoryGenerator
  private var bytes: [UInt8] = []
  private let batchMax: Int
  private var emitted = 0

  init(
    clock: Clock, schedule: LoadSchedule, history: HistorySettings, routes: LoadRoutes,
    target: any LoadTarget, progress: EmitterProgress
  ) {
    precondition(history.records == schedule.count, "every event has its time")
    self.clock = clock
    self.schedule = schedule
    self.target = target
    self.routes = routes
    self.progress = progress
    generator = HistoryGenerator(history)
    batchMax = max(1, Int((schedule.rate * Double(Self.pause) / 1e9).rounded(.up)))
  }

  /// Emits until everything is or somebody stops it.
  mutating func run() throws(LogError) {
    while emitted < schedule.count, !progress.isStopped { try turn() }
    try target.finish()
  }

  /// Waits for the next events and emits them.
  mutating func turn() throws(LogError) {
    let due = schedule.due(at: clock.now())
    guard due > emitted else {
      return clock.sleep(until: max(clock.now() + Self.pause, schedule.intended(emitted)))
    }
    let batch = emitted..<min(due, emitted + batchMax)
    for _ in batch { try emitNext() }
    try target.flush()
    progress.emitted(batch, by: clock.now(), schedule)
  }

  private mutating func emitNext() throws(LogError) {
    guard let record = generator.next(into: &bytes) else {
      preconditionFailure("a history has as many records as it says")
    }
    let number = emitted
    emitted += 1
    let key = routes.keys[record.account]
    for place in routes.places(of: record.type, account: record.account) {
      let record = LoadRecord(
        number: number, topic: place.topic, partition: place.partition,
        time: record.time.milliseconds)
      try Self.with(key, bytes) { (key, value) throws(LogError) in
        try target.append(record, key: key, value: value)
      }
    }
  }

  private static func with(
    _ key: [UInt8], _ value: [UInt8],
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    let result: Result<Void, LogError> = key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        do throws(LogError) { return .success(try body(key, value)) } catch {
          return .failure(error)
        }
      }
    }
    try result.get()
  }
}

/// How far an emitter is, and how late it was.
final class EmitterProgress: Sendable {
  private struct State {
    var emitted = 0
    var delays = Latencies()
    var lastAt: Int64 = 0
  }

  private let state = Mutex(State())
  private let stopped = Atomic<Bool>(false)

  var isStopped: Bool { stopped.load(ordering: .relaxed) }

  func stop() { stopped.store(true, ordering: .relaxed) }

  func emitted(_ batch: Range<Int>, by now: Int64, _ schedule: LoadSchedule) {
    state.withLock { state in
      state.emitted = batch.upperBound
      state.lastAt = now
      for number in batch { state.delays.record(nanoseconds: now - schedule.intended(number)) }
    }
  }

  var count: Int { state.withLock { $0.emitted } }
  /// Between an event's time and its being handed over.
  var delays: Latencies { state.withLock { $0.delays } }
  /// When the last event was handed over, monotonic ns.
  var lastAt: Int64 { state.withLock { $0.lastAt } }
}

/// Which topic and partition a record goes to, and under which key.
struct LoadRoutes: Sendable {
  struct Place: Sendable, Equatable {
    var topic: Int
    var partition: Int
  }

  /// By account.
  let keys: [[UInt8]]
  private let byAccount: [[Place]]
  private let everywhere: [Place]
  private let topicOfType: [Int]

  /// - Parameters:
  ///   - topics: their names; an event goes to the one that is named like its type (`clicks`,
  ///     `deal-stages`), any other to the first.
  ///   - partitionOf: an account's partition.
  init(
    _ history: HistorySettings, topics: [String], partitions: Int,
    partitionOf: (UnsafeRawBufferPointer) -> Int
  ) {
    let names = HistoryGenerator(history)
    let keys = (0..<history.accounts).map { Array(names.accountName($0).utf8) }
    self.keys = keys
    byAccount = keys.map { key in
      let partition = key.withUnsafeBytes { partitionOf($0) }
      return topics.indices.map { Place(topic: $0, partition: partition) }
    }
    everywhere = topics.indices.flatMap { topic in
      (0..<partitions).map { Place(topic: topic, partition: $0) }
    }
    topicOfType = EventType.allCases.map { type in
      let plural = "\(type.name)s"
      return topics.firstIndex {
        $0 == plural || $0 == plural.split(separator: "_").joined(separator: "-")
      } ?? 0
    }
  }

  /// A heartbeat moves time everywhere.
  func places(of type: EventType, account: Int) -> ArraySlice<Place> {
    if type == .heartbeat { return everywhere[...] }
    let topic = topicOfType[Int(type.rawValue)]
    return byAccount[account][topic...topic]
  }
}
