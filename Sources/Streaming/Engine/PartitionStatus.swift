public import Events
import Synchronization

/// What a partition lets others see, refreshed at every step.
public final class PartitionStatus: Sendable {
  public struct Values: Sendable {
    /// Records taken from the log, refused ones included.
    public var records: Int64 = 0
    public var rejected: Int64 = 0
    /// Events older than the watermark.
    public var late: Int64 = 0
    public var firstTime: EventTime?
    public var lastTime: EventTime?
    public var lastCommitted: Int64 = 0
    /// It is opened, or the past is processed again.
    public var isRecovering = false
    /// Operator counters (`unique.duplicates`), in the topology's order.
    public var counters: [(name: String, value: Int64)] = []
    /// Records per sink, in the topology's order.
    public var sinks: [(name: String, records: Int)] = []
    /// Set at the end.
    public var digest: StateDigest?
    public var stateBytes = 0
  }

  public let index: Int
  private let values = Mutex(Values())

  package init(index: Int) { self.index = index }

  public var current: Values { values.withLock { $0 } }

  /// It has come to the end of the run.
  var isFinished: Bool { values.withLock { $0.digest != nil } }

  func update(from runner: PartitionRunner) {
    let engine = runner.core.state[0]
    values.withLock {
      $0.records = engine.records
      $0.rejected = engine.rejected
      $0.late = engine.late
      $0.firstTime =
        engine.oldestTime == Int64.min ? nil : EventTime(milliseconds: engine.oldestTime)
      $0.lastTime =
        engine.newestTime == Int64.min ? nil : EventTime(milliseconds: engine.newestTime)
      $0.lastCommitted = runner.lastCommitted
      $0.isRecovering = runner.isRecovering
    }
  }

  /// It is looked up and loaded.
  func opens() { values.withLock { $0.isRecovering = true } }

  func finish(_ runner: PartitionRunner) {
    update(from: runner)
    let core = runner.core
    values.withLock {
      $0.counters = core.counters
      $0.sinks = zip(core.graph.sinkNames, 0...).map { ($0, core.graph.target.counts[$1]) }
      $0.digest = runner.digest
      $0.stateBytes = core.store.byteCounts.reduce(0) { $0 + $1.bytes }
    }
  }
}

/// What the partitions of a run have to agree on.
package final class RunBoard: Sendable {
  private struct State {
    var failure: LogError?
    var isStopping = false
    var endTicks: [Int: Int64] = [:]
  }

  private let state = Mutex(State())
  private let change = Mutex<@Sendable () -> Void>({})
  private let partitionCount: Int
  let wantsSnapshotAtEnd: Bool

  package init(partitionCount: Int, wantsSnapshotAtEnd: Bool) {
    self.partitionCount = partitionCount
    self.wantsSnapshotAtEnd = wantsSnapshotAtEnd
  }

  package var failure: LogError? { state.withLock { $0.failure } }
  var isFailed: Bool { failure != nil }
  var isStopping: Bool { state.withLock { $0.isStopping } }

  /// The first failure counts.
  func fail(_ error: LogError) {
    state.withLock { if $0.failure == nil { $0.failure = error } }
    change.withLock { $0 }()
  }

  package func stop() {
    state.withLock { $0.isStopping = true }
    change.withLock { $0 }()
  }

  func reachedEnd(_ partition: Int, tick: Int64) {
    state.withLock { $0.endTicks[partition] = tick }
    change.withLock { $0 }()
  }

  /// Lets `wake` be called after each change.
  func onChange(_ wake: @escaping @Sendable () -> Void) { change.withLock { $0 = wake } }

  /// The last time of the whole log, once every partition has come to its end.
  var lastTick: Int64? {
    state.withLock { $0.endTicks.count == partitionCount ? $0.endTicks.values.max() : nil }
  }
}
