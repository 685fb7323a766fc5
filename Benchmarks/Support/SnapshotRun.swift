import LocalLog
import Operators
import Streaming
import Synchronization

/// A live partition whose state is made large, that takes a snapshot while events flow, and that
/// is started again from it.
///
/// The engine asks its clock for the time once per step, so the times between two questions are
/// the lengths of the steps: no event waits longer than the longest of them.
public enum SnapshotRun {
  public struct Pauses: Sendable {
    /// Milliseconds of the steps, ascending.
    public var steps: [Double]
    /// Milliseconds of the longest step in which the worker's thread had a processor: what remains
    /// is that others had it.
    public var longestOwn = 0.0

    public func quantile(_ share: Double) -> Double {
      steps.isEmpty ? .nan : steps[min(steps.count - 1, Int(Double(steps.count) * share))]
    }
    public var longest: Double { steps.last ?? .nan }
    public var total: Double { steps.reduce(0, +) }
  }

  public struct Result: Sendable {
    public var stateBytes = 0
    public var snapshotBytes = 0
    public var records: Int64 = 0
    /// From the first page copied to the file's sync.
    public var snapshotSeconds = 0.0
    /// Milliseconds of the longest step while the state grew.
    public var longestWhileGrowing = 0.0
    /// Steps of the two seconds before.
    public var before = Pauses(steps: [])
    public var during = Pauses(steps: [])
    /// From the engine's start to the first record asked for; the file was not in memory.
    public var restoreSeconds = 0.0
    /// As above, with the file in the system's cache.
    public var restoreWarmSeconds = 0.0
    public var file = ""
  }

  /// - Parameter events: enough for the state that is wanted.
  public static func run(
    events: Int64, directory: String, notice: @escaping @Sendable (String) -> Void
  ) throws -> Result {
    var result = Result()
    let store = WatchedStore(
      try DirectorySnapshotStore(directory: directory, name: "measure", partition: 0))
    for number in try store.list() { try store.remove(number) }
    let number = try takeSnapshot(events, store, &result, notice)
    let file = "\(store.path)/\(try fileName(of: number, in: store))"
    result.file = file
    result.snapshotBytes = System.fileBytes(file)
    let point = CommitPoint(number: number, nextOffsets: try nextOffsets(number, store))
    System.dropFromCache(file)
    result.restoreSeconds = try restore(point, store)
    result.restoreWarmSeconds = try restore(point, store)
    return result
  }

  /// A moment after which nothing rotates for a day: generations of a day and five seconds.
  private static let firstTime: Int64 = 20_453 * 86_405_000 + 10_000

  private static func takeSnapshot(
    _ events: Int64, _ store: WatchedStore, _ result: inout Result,
    _ notice: @escaping @Sendable (String) -> Void
  ) throws -> Int64 {
    let clock = StepClock()
    var options = RunnerOptions(mode: .live, snapshotEvery: StepClock.leap)
    options.notify = {
      if $0.level != .info, !store.isClosed.load(ordering: .relaxed) { notice($0.description) }
    }
    let engine = try Engine(
      topology: Jobs.tally(), registry: OperatorRegistry.all,
      partitions: [
        .init(log: EndlessLog(firstTime: firstTime), snapshots: store, options: options)
      ], workers: 1, clock: clock)
    let status = engine.statuses[0]
    let watcher = Watcher {
      // Steps until there is enough state; then two seconds to compare with; then the snapshot.
      while status.current.records < events { Watcher.sleep(milliseconds: 20) }
      clock.phase.store(1, ordering: .relaxed)
      Watcher.sleep(milliseconds: 2_000)
      clock.phase.store(2, ordering: .relaxed)
      clock.isLate.store(true, ordering: .relaxed)
      while store.finishedAt.load(ordering: .relaxed) == 0 { Watcher.sleep(milliseconds: 1) }
      clock.phase.store(3, ordering: .relaxed)
      store.isClosed.store(true, ordering: .relaxed)
      engine.stop()
    }
    try engine.run()
    watcher.join()
    result.records = status.current.records
    result.stateBytes = status.current.stateBytes
    (result.before, result.during) = clock.pauses
    result.longestWhileGrowing = Double(clock.longestBefore.load(ordering: .relaxed)) / 1e6
    let nanoseconds =
      store.finishedAt.load(ordering: .relaxed) - store.createdAt.load(ordering: .relaxed)
    result.snapshotSeconds = Double(nanoseconds) / 1e9
    guard let number = try store.list().first else { throw BenchmarkFailure("no snapshot") }
    return number
  }

  private static func restore(_ point: CommitPoint, _ store: WatchedStore) throws -> Double {
    let log = EndlessLog(firstTime: firstTime, start: point)
    let engine = try Engine(
      topology: Jobs.tally(), registry: OperatorRegistry.all,
      partitions: [.init(log: log, snapshots: store, options: RunnerOptions(mode: .live))],
      workers: 1)
    let start = System.nanoseconds()
    let watcher = Watcher {
      while log.firstFetchAt.load(ordering: .relaxed) == 0 { Watcher.sleep(milliseconds: 1) }
      engine.stop()
    }
    try engine.run()
    watcher.join()
    return Double(log.firstFetchAt.load(ordering: .relaxed) - start) / 1e9
  }

  private static func nextOffsets(_ number: Int64, _ store: WatchedStore) throws -> [Int64] {
    var header: SnapshotHeader?
    try store.read(number) { (piece) throws(LogError) in
      if header == nil {
        do throws(SnapshotDamage) { header = try readSnapshotHeader(piece) } catch {
          throw LogError(.badData, error.description)
        }
      }
    }
    return header?.inputs.map(\.nextOffset) ?? []
  }

  private static func fileName(of number: Int64, in store: WatchedStore) throws -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: max(0, 20 - digits.count)) + digits + ".snapshot"
  }
}

/// The system's clock, which also notes when it was asked, and can be made to leap.
private final class StepClock: MonotonicClock {
  static let leap: Int64 = 1_000_000_000
  /// 1 and 2: the steps of this phase are kept.
  let phase = Atomic(0)
  /// From now on it is `leap` milliseconds later: the next snapshot is due.
  let isLate = Atomic(false)
  // Asked by the only worker.
  private let kept = Mutex<[[UInt64]]>([[], []])
  private let longestOwn = Mutex<[UInt64]>([0, 0])
  /// The longest step of all those before the two phases: tables grow there.
  let longestBefore = Atomic<UInt64>(0)
  private let last = Atomic<UInt64>(0)
  private let lastOwn = Atomic<UInt64>(0)

  func now() -> Int64 {
    let now = System.nanoseconds()
    let own = System.threadNanoseconds()
    let before = last.exchange(now, ordering: .relaxed)
    let ownBefore = lastOwn.exchange(own, ordering: .relaxed)
    let phase = phase.load(ordering: .relaxed)
    if phase == 0, before > 0, now - before > longestBefore.load(ordering: .relaxed) {
      longestBefore.store(now - before, ordering: .relaxed)
    }
    if phase == 1 || phase == 2 {
      kept.withLock { $0[phase - 1].append(now - before) }
      longestOwn.withLock { $0[phase - 1] = max($0[phase - 1], own - ownBefore) }
    }
    return Int64(now / 1_000_000) + (isLate.load(ordering: .relaxed) ? StepClock.leap : 0)
  }

  var pauses: (before: SnapshotRun.Pauses, during: SnapshotRun.Pauses) {
    let all = kept.withLock { $0.map { $0.sorted().map { Double($0) / 1e6 } } }
    let own = longestOwn.withLock { $0.map { Double($0) / 1e6 } }
    return (.init(steps: all[0], longestOwn: own[0]), .init(steps: all[1], longestOwn: own[1]))
  }
}

/// A directory's snapshots, with the times of the last one.
private final class WatchedStore: SnapshotStore {
  private let store: DirectorySnapshotStore
  let createdAt = Atomic<UInt64>(0)
  let finishedAt = Atomic<UInt64>(0)
  /// No further snapshots: the measured one is there.
  let isClosed = Atomic(false)

  init(_ store: DirectorySnapshotStore) { self.store = store }

  var path: String { store.path }

  func list() throws(LogError) -> [Int64] { try store.list() }

  func create(_ number: Int64) throws(LogError) -> any SnapshotSink {
    guard !isClosed.load(ordering: .relaxed) else {
      throw LogError(.unavailable, "one snapshot is enough to measure")
    }
    createdAt.store(System.nanoseconds(), ordering: .relaxed)
    return Sink(try store.create(number)) {
      self.finishedAt.store(System.nanoseconds(), ordering: .relaxed)
    }
  }

  func read(
    _ number: Int64, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) { try store.read(number, body) }

  func remove(_ number: Int64) throws(LogError) { try store.remove(number) }

  private final class Sink: SnapshotSink {
    private let sink: any SnapshotSink
    private let finished: @Sendable () -> Void

    init(_ sink: any SnapshotSink, finished: @escaping @Sendable () -> Void) {
      self.sink = sink
      self.finished = finished
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(LogError) { try sink.write(bytes) }
    func finish() throws(LogError) {
      try sink.finish()
      finished()
    }
    func abandon() { sink.abandon() }
  }
}
