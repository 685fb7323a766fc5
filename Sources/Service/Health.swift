import Events
import Streaming
import Synchronization

/// Whether the run's loops turn, and whether its partitions are ready.
final class Health: Sendable {
  /// A loop that does not turn for so long hangs. No step takes nearly as long.
  static let patienceMilliseconds: Int64 = 30_000

  private struct Seen {
    var turns: Int64
    var since: Int64
  }

  private let seen = Mutex<[Int: Seen]>([:])
  private let clock: any MonotonicClock

  init(clock: any MonotonicClock) { self.clock = clock }

  /// Looks at every loop; called once a second, so that a probe that comes seldom finds out how
  /// long a loop has stood still.
  func look(at partitions: [PartitionStatus]) {
    let now = clock.now()
    let turns = partitions.map { ($0.index, $0.turns) }
    seen.withLock { seen in
      var next: [Int: Seen] = [:]
      for (index, turns) in turns {
        if let known = seen[index], known.turns == turns {
          next[index] = known
        } else {
          next[index] = Seen(turns: turns, since: now)
        }
      }
      seen = next
    }
  }

  /// ms that the loop of a partition at work has stood still. Loading a snapshot is no standing
  /// still, however long it takes: nobody must end a process because it restores.
  func standstill(_ partition: PartitionStatus) -> Int64 {
    let phase = partition.current.phase
    guard phase == .running || phase == .draining else { return 0 }
    let (now, turns) = (clock.now(), partition.turns)
    return seen.withLock { seen in
      guard let known = seen[partition.index], known.turns == turns else { return 0 }
      return max(0, now - known.since)
    }
  }

  func live(_ run: RunningTopology?) -> (isLive: Bool, json: [UInt8]) {
    let partitions = run?.partitions() ?? []
    look(at: partitions)
    let stuck = partitions.filter { standstill($0) >= Health.patienceMilliseconds }
    var json = JSONWriter()
    json.beginObject()
    json.member("status", text: stuck.isEmpty ? "live" : "stuck")
    if !stuck.isEmpty {
      json.key("stuck_partitions")
      json.beginArray()
      for partition in stuck { json.integer(Int64(partition.index)) }
      json.endArray()
    }
    json.endObject()
    return (stuck.isEmpty, Array(json.bytes))
  }

  static func ready(
    _ run: RunningTopology?, isStopping: Bool
  ) -> (isReady: Bool, json: [UInt8]) {
    let partitions = run?.partitions() ?? []
    let values = partitions.map(\.current)
    let isSettled = run?.isSettled() ?? false
    let isReady = isSettled && !isStopping && values.allSatisfy(\.isReady)
    var json = JSONWriter()
    json.beginObject()
    let status =
      isStopping ? "stopping" : !isSettled ? "starting" : isReady ? "ready" : "restoring"
    json.member("status", text: status)
    json.key("partitions")
    json.beginArray()
    for (partition, value) in zip(partitions, values) {
      json.beginObject()
      json.member("partition", Int64(partition.index))
      json.member("state", text: value.stateName)
      json.member("ready", value.isReady)
      if value.phase == .running, value.isRecovering {
        json.member("restored", value.report?.restored ?? 0, places: 4)
      }
      json.member("records", value.records)
      json.member("committed", value.lastCommitted)
      if let time = value.lastTime { json.member("last_event_time", time) }
      if let run, let left = run.recordsLeft(partition.index) { json.member("lag", left) }
      json.endObject()
    }
    json.endArray()
    json.endObject()
    return (isReady, Array(json.bytes))
  }
}

extension PartitionStatus.Values {
  fileprivate var stateName: String {
    phase == .running && isRecovering ? "recovering" : phase.rawValue
  }
}
