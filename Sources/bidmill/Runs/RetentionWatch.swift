import KafkaLog
import Streaming
import Synchronization

/// A partition of topics that remove old records by themselves.
struct RetainedPartition: Sendable {
  var index: Int
  var log: KafkaPartitionLog
  var snapshots: any SnapshotStore
}

/// Watches how far the retention of the sources is from taking what a restart would need, and says
/// so when it comes near.
final class RetentionWatch: Sendable {
  private struct State {
    var headroom: [RetentionHeadroom] = []
    /// Oldest kept snapshot of each partition; its header never changes.
    var headers: [Int: SnapshotHeader] = [:]
    /// What has been warned of.
    var warned: Set<String> = []
  }

  private let notify: @Sendable (Notice) -> Void
  private let state = Mutex(State())

  init(notify: @escaping @Sendable (Notice) -> Void) { self.notify = notify }

  /// As it was found last, for each input of each partition that has a snapshot; a metric.
  var current: [RetentionHeadroom] { state.withLock { $0.headroom } }

  /// Asks logs and stores anew. From one thread; may take as long as they take to answer.
  func refresh(_ partitions: [RetainedPartition]) {
    var found: [RetentionHeadroom] = []
    for partition in partitions {
      do throws(LogError) {
        for headroom in try look(at: partition) {
          found.append(headroom)
          warn(of: headroom, partition.index)
        }
      } catch {
        // A cluster that is away is the commits' business; what was known stays.
        return
      }
    }
    state.withLock { $0.headroom = found }
  }

  private func look(at partition: RetainedPartition) throws(LogError) -> [RetentionHeadroom] {
    guard let oldest = try partition.snapshots.list().last else { return [] }
    let header = try header(of: oldest, in: partition.snapshots, partition.index)
    let first = try partition.log.firstOffsets()
    let next = partition.log.lastKnownCommit?.nextOffsets ?? first
    let inputs = partition.log.inputs.enumerated().map {
      (input: $1, first: first[$0], next: next[$0])
    }
    return RetentionHeadroom.all(of: header, inputs: inputs)
  }

  private func header(
    of number: Int64, in store: any SnapshotStore, _ place: Int
  ) throws(LogError) -> SnapshotHeader {
    if let known = state.withLock({ $0.headers[place] }), known.number == number { return known }
    let header = try SnapshotInspection.header(of: number, in: store)
    state.withLock { $0.headers[place] = header }
    return header
  }

  /// Once, until it is well again.
  private func warn(of headroom: RetentionHeadroom, _ partition: Int) {
    let name = "\(headroom.topic) \(headroom.partition)"
    let isNew = state.withLock { state in
      guard headroom.isSmall else {
        state.warned.remove(name)
        return false
      }
      return state.warned.insert(name).inserted
    }
    guard isNew else { return }
    notify(
      Notice(
        .warning, partition: partition,
        headroom.records < 0
          ? "\(headroom.topic) partition \(headroom.partition) begins at offset "
            + "\(headroom.firstOffset): the oldest kept snapshot goes on at "
            + "\(headroom.neededOffset) and cannot be used any more. Raise the topic's retention, or "
            + "take snapshots more often (`snapshots: { every: … }`)"
          : "\(headroom.topic) partition \(headroom.partition): retention is "
            + "\(Text.plural(headroom.records, "record")) from what the oldest kept snapshot "
            + "needs. Raise the topic's retention, or take snapshots more often "
            + "(`snapshots: { every: … }`)"))
  }
}
