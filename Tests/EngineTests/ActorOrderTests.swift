import Operators
import Streaming
import Synchronization
import TestKit
import Testing

/// Partitions take their turns in whatever order the scheduler likes; nothing may depend on it.
@Suite struct ActorOrderTests {
  private struct StoppedClock: MonotonicClock {
    func now() -> Int64 { 0 }
  }

  /// Replays one history over several partitions, turns in the seed's order.
  private func replay(partitions: Int, seed: UInt64) throws -> [String] {
    let records = History.records(600, seed: 77)
    let executor = SeededExecutor(seed: seed)
    let board = RunBoard(partitionCount: partitions, wantsSnapshotAtEnd: false)
    let topology = try Tallying.topology()
    var brokers: [SimulatedBroker] = []
    var actors: [PartitionActor] = []
    for partition in 0..<partitions {
      let broker = SimulatedBroker(inputs: [LogInput(source: "", topic: "events")])
      for (i, record) in records.enumerated() where i % partitions == partition {
        broker.append(record)
      }
      brokers.append(broker)
      let limit = 1 + executor.choose(below: 200)
      let runner = try PartitionRunner(
        topology: topology, registry: OperatorRegistry.all,
        log: broker.open(faults: SimulatedFaults(fetchLimit: { limit })), snapshots: nil,
        commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(),
        options: RunnerOptions(mode: .replay, partition: partition, partitionCount: partitions))
      actors.append(
        PartitionActor(
          runner: runner, executor: executor, status: PartitionStatus(index: partition),
          board: board, clock: StoppedClock()))
    }
    var turns = 0
    while !(actors.allSatisfy { $0.status.current.digest != nil }) {
      let actor = actors[executor.choose(below: actors.count)]
      executor.run { actor.assumeIsolated { _ = $0.turn() } }
      turns += 1
      try #require(turns < 10_000, "seed \(seed): the partitions do not come to an end")
    }
    #expect(board.failure == nil)
    return brokers.flatMap(\.outputTexts) + actors.map { "\($0.status.current.digest!)" }
  }

  @Test(arguments: [1, 2, 4])
  func turnsDoNotMatter(partitions: Int) throws {
    let first = try replay(partitions: partitions, seed: 1)
    #expect(first.count > 100)
    for seed in 2...12 as ClosedRange<UInt64> {
      #expect(try replay(partitions: partitions, seed: seed) == first, "seed \(seed)")
    }
  }

  @Test func jobsRunInTheSeedsOrderAndAllOfThem() {
    func order(_ seed: UInt64) -> [Int] {
      let executor = SeededExecutor(seed: seed)
      let log = Log()
      for i in 0..<8 { Task(executorPreference: executor) { log.add(i) } }
      executor.runAll()
      return log.entries
    }
    #expect(order(1).sorted() == Array(0..<8))
    #expect(order(1) == order(1))
    #expect(Set((1...6).map { order($0) }).count > 1)
  }

  private final class Log: Sendable {
    private let values = Mutex([Int]())
    func add(_ i: Int) { values.withLock { $0.append(i) } }
    var entries: [Int] { values.withLock { $0 } }
  }
}
