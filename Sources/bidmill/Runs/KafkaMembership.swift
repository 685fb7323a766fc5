import Events
import KafkaLog
import LocalLog
import Operators
import Streaming
import Synchronization

/// A run that shares a cluster's partitions with the other members of its group: a thread that does
/// what the group says.
final class KafkaMembership: LiveHome {
  /// Others wait so long at most for what this process has still to commit.
  private static let releaseMilliseconds: Int64 = 10_000
  /// A partition that another process has taken, although the group says that it is ours, is
  /// taken back after so long: until then the group may say otherwise.
  private static let takeBackMilliseconds: Int64 = 3_000
  /// Two processes that both believe so could go on for ever.
  private static let takeBacksMax = 5
  private static let takeBackWindow: Int64 = 120_000
  private static let pollMilliseconds: Int32 = 200
  private static let complaintEvery: Int64 = 10_000

  private struct State {
    var isEnding = false
    /// The group has said what is ours, and it is being taken up or is here.
    var isSettled = false
    /// Every partition that is or was here.
    var logs: [Int: KafkaPartitionLog] = [:]
    var stores: [Int: any SnapshotStore] = [:]
    /// Committed by those whose logs were closed since.
    var committedBefore: Int64 = 0
    var held: Set<Int> = []
    var rebalances: Int64 = 0
    var thread: Thread?
  }

  private let cluster: KafkaCluster
  private let group: KafkaGroup
  private let inputs: [LogInput]
  private let outputs: [LogOutput]
  let partitionCount: Int
  private let snapshots: SnapshotPlace
  private let clock = SystemClock()
  private let state = Mutex(State())

  init(
    _ cluster: KafkaCluster, inputs: [LogInput], outputs: [LogOutput], partitionCount: Int,
    snapshots: SnapshotPlace, instance: String?
  ) throws(LogError) {
    self.cluster = cluster
    self.inputs = inputs
    self.outputs = outputs
    self.partitionCount = partitionCount
    self.snapshots = snapshots
    var topics: [String] = []
    for input in inputs where !topics.contains(input.topic) { topics.append(input.topic) }
    group = try KafkaGroup(
      cluster, topics: topics, partitionCount: partitionCount, instance: instance)
  }

  func engine(for run: LiveRun) throws -> Engine {
    Engine(
      topology: run.topology, registry: OperatorRegistry.all, workers: run.workers ?? Machine.cores,
      warmMilliseconds: run.warmFor.milliseconds)
  }

  // MARK: What the group says

  func begin(_ engine: Engine, for run: LiveRun) {
    let thread = Thread(name: "group") { self.serve(engine, run) }
    state.withLock { $0.thread = thread }
  }

  func end() {
    let thread = state.withLock { state in
      state.isEnding = true
      return state.thread
    }
    thread?.join()
  }

  private func serve(_ engine: Engine, _ run: LiveRun) {
    var takeBacks = TakeBacks()
    var complainedAt = Int64.min / 2
    while !state.withLock({ $0.isEnding }) {
      do throws(LogError) {
        try group.serve(milliseconds: KafkaMembership.pollMilliseconds) {
          (change) throws(LogError) in try follow(change, engine, run)
        }
        try takeBack(&takeBacks, engine, run)
      } catch {
        engine.fail(error)
        break
      }
      let complaints = cluster.complaints()
      if !complaints.isEmpty, clock.now() - complainedAt > KafkaMembership.complaintEvery {
        complainedAt = clock.now()
        for complaint in complaints { Terminal.error("warning: \(complaint)") }
      }
    }
    group.leave()
  }

  private func follow(
    _ change: KafkaGroup.Change, _ engine: Engine, _ run: LiveRun
  ) throws(LogError) {
    switch change {
    case .assigned(let partitions):
      for partition in partitions { try add(partition, engine, run) }
      state.withLock {
        $0.held = Set(partitions)
        $0.isSettled = true
        $0.rebalances += 1
      }
      Terminal.error("info: \(describe(partitions))")
    case .revoked(let partitions, let isLost):
      state.withLock {
        $0.held = []
        $0.isSettled = false
        $0.rebalances += 1
      }
      if isLost {
        engine.leave(partitions)
      } else {
        engine.release(partitions, within: KafkaMembership.releaseMilliseconds)
      }
    }
  }

  private func describe(_ partitions: [Int]) -> String {
    let all = "the group \(cluster.settings.group)"
    if partitions.isEmpty { return "standing by: \(all) has no partition for this process now" }
    if partitions.count == partitionCount {
      return "runs all \(partitionCount) partitions of \(all)"
    }
    let list = partitions.map { "\($0)" }.joined(separator: ", ")
    return "runs partition \(list) of \(partitionCount) of \(all)"
  }

  private func add(_ partition: Int, _ engine: Engine, _ run: LiveRun) throws(LogError) {
    try engine.add(partition) { () throws(LogError) in
      let log = try cluster.partitionLog(
        partition: Int32(partition), inputs: LiveHomes.inputs(inputs, of: partition),
        outputs: outputs)
      let store = try snapshots.store(partition: partition)
      state.withLock {
        $0.committedBefore += $0.logs[partition]?.recordsCommitted ?? 0
        $0.logs[partition] = log
        $0.stores[partition] = store
      }
      return run.partition(
        partition, of: partitionCount, log: log, snapshots: store,
        history: try run.history.map { (store) throws(LogError) in
          try RecordedHistory(store, inputs: log.inputs) { topic in
            Recording.origin(cluster.settings.brokers, topic)
          }.history
        })
    }
  }

  // MARK: Partitions that were taken from us

  private struct TakeBacks {
    var due: [Int: Int64] = [:]
    var times: [Int64] = []
  }

  private func takeBack(
    _ takeBacks: inout TakeBacks, _ engine: Engine, _ run: LiveRun
  ) throws(LogError) {
    let held = state.withLock { $0.held }
    takeBacks.due = takeBacks.due.filter { held.contains($0.key) }
    for (index, message) in engine.lost where held.contains(index) {
      let now = clock.now()
      guard let due = takeBacks.due[index] else {
        takeBacks.due[index] = now + KafkaMembership.takeBackMilliseconds
        Terminal.error("warning: partition \(index): \(message)")
        continue
      }
      guard now >= due else { continue }
      takeBacks.due[index] = nil
      takeBacks.times = takeBacks.times.filter { now - $0 < KafkaMembership.takeBackWindow } + [now]
      guard takeBacks.times.count <= KafkaMembership.takeBacksMax * max(held.count, 1) else {
        throw LogError(
          .unavailable,
          "partition \(index) is taken from this process again and again: \(message). Does something "
            + "that is no member of the group \(cluster.settings.group) use its transactions?")
      }
      Terminal.error("info: partition \(index) is still this process's; going on with it")
      try add(index, engine, run)
    }
  }

  // MARK: How far it is

  func processed() throws(LogError) -> Int64 {
    state.withLock { state in
      state.logs.values.reduce(state.committedBefore) { $0 + $1.recordsCommitted }
    }
  }

  var retained: [RetainedPartition] {
    state.withLock { state in
      state.held.sorted().compactMap { index in
        guard let log = state.logs[index], let store = state.stores[index] else { return nil }
        return RetainedPartition(index: index, log: log, snapshots: store)
      }
    }
  }

  func left() throws(LogError) -> Int64? {
    state.withLock { state in
      guard state.isSettled else { return nil }
      var sum: Int64 = 0
      for partition in state.held {
        guard let left = state.logs[partition]?.left else { return nil }
        sum += left
      }
      return sum
    }
  }

  func knownLeft(of partition: Int) -> Int64? { state.withLock { $0.logs[partition]?.left } }

  var isSettled: Bool { state.withLock { $0.isSettled } }

  var rebalances: Int64? { state.withLock { $0.rebalances } }

  var hungCall: String? { cluster.overdueCall }
}
