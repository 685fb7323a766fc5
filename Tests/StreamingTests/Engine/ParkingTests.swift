import Operators
import Synchronization
import TestKit
import Testing

@testable import Streaming

/// Partitions that are given up, kept for a while, and let go.
@Suite struct ParkingTests {
  private struct StoppedClock: MonotonicClock {
    func now() -> Int64 { 0 }
  }

  /// A queue that may be ended; notes jobs that come too late for it.
  private final class EndingQueue: WorkQueue {
    private let isOver = Atomic<Bool>(false)
    private let late = Atomic<Int>(0)

    var lateJobs: Int { late.load(ordering: .relaxed) }
    func end() { isOver.store(true, ordering: .relaxed) }

    func submit(_ job: @escaping @Sendable () -> Void) {
      if isOver.load(ordering: .relaxed) { late.add(1, ordering: .relaxed) }
      job()
    }
  }

  private func runner(
    _ broker: SimulatedBroker, commits: any WorkQueue = ImmediateQueue(),
    snapshots: any WorkQueue = ImmediateQueue(), snapshotEvery: Int64? = nil
  ) throws -> PartitionRunner {
    var options = RunnerOptions(mode: .live, commitEvery: 1, snapshotEvery: snapshotEvery)
    options.idleClock = false
    return try PartitionRunner(
      topology: SnapshotTests.topology(SnapshotTests.tallyAlone), registry: OperatorRegistry.all,
      log: broker.open(), snapshots: SimulatedSnapshots(broker), commitQueue: commits,
      snapshotQueue: snapshots, options: options)
  }

  private func broker(_ records: Range<Int> = 0..<0) -> SimulatedBroker {
    let world = SnapshotTests.World()
    world.feed(records)
    return world.broker
  }

  @Test func whatIsGoneHasHandedOverItsLastJob() throws {
    let queue = EndingQueue()
    let found = Mutex<PartitionControl?>(nil)
    let control = PartitionControl {
      // As whoever sees that it is gone may do at once, on another thread.
      if found.withLock({ $0?.place }) == .gone { queue.end() }
    }
    found.withLock { $0 = control }
    let broker = broker()
    let executor = SeededExecutor(seed: 1)
    let actor = PartitionActor(
      runner: try runner(broker, commits: queue), executor: executor,
      status: PartitionStatus(index: 0),
      board: RunBoard(partitionCount: 0, wantsSnapshotAtEnd: false), clock: StoppedClock(),
      guest: PartitionActor.Guest(
        control: control, turnstile: Turnstile(places: 1), commitQueue: queue,
        warmMilliseconds: 0, renew: { preconditionFailure("nothing has to be opened anew") }),
      isWoken: false)
    func turn() -> PartitionActor.Turn {
      executor.run { actor.assumeIsolated { $0.turn() } }
    }
    for _ in 0..<3 { _ = turn() }
    #expect(control.place == .active)
    control.want(.leave)
    for _ in 0..<10 where turn() != .done {}
    #expect(control.place == .gone)
    #expect(queue.lateJobs == 0)
    found.withLock { $0 = nil }
  }

  @Test func whatWasNeverOpenedHasNothingToGoOnFrom() throws {
    let runner = try runner(broker())
    runner.park()
    #expect(try !runner.resume(now: 0))
  }

  @Test func aSnapshotUnderWayIsNotWaitedFor() throws {
    let broker = broker(0..<50)
    let snapshots = SeededQueue()
    let runner = try runner(broker, snapshots: snapshots)
    try runner.start(now: 0)
    for now in 0..<10 as Range<Int64> { _ = try runner.step(now: now) }
    runner.requestSnapshot()
    for now in 10..<20 as Range<Int64> { _ = try runner.step(now: now) }
    #expect(runner.isTakingSnapshot && broker.nextOffsets == [50])
    // Others wait for the partition, which has committed all that it did.
    #expect(try runner.drain(now: 20, snapshot: false))
    runner.park()
    snapshots.runAll()
    #expect(try runner.resume(now: 30))
    while try !runner.drain(now: 40, snapshot: true) { snapshots.runAll() }
    #expect(broker.snapshotNumbers == [broker.commitNumber])
  }

  @Test func aPartitionWithoutEventsSleeps() throws {
    let runner = try runner(broker(), snapshotEvery: 1_000)
    try runner.start(now: 0)
    for now in [100, 1_000, 5_000, 5_001] as [Int64] {
      #expect(try runner.step(now: now) == .waiting)
      #expect(runner.wakesAt(now: now) > now, "at \(now)")
    }
  }
}
