import Events
import Operators
import Streaming
import Synchronization
import TestClient
import TestKit
import Testing

@testable import Service

@Suite struct HealthTests {
  @Test func saysHowFarTheRunHasCome() async throws {
    try await withWorld(attached: false, running: false) { world in
      let before = await ask(world.port, "/health/ready")
      #expect(before.status == 503)
      #expect(before.text("status") == "starting")
      #expect(await ask(world.port, "/health/live").status == 200)

      // Partitions are there, and nothing of them is loaded.
      world.service.attach(world.run)
      let restoring = await ask(world.port, "/health/ready")
      #expect(restoring.status == 503)
      #expect(restoring.text("status") == "restoring")
      #expect(restoring.value("partitions", 1, "state") as? String == "starting")
      #expect(await ask(world.port, "/health/live").status == 200)
      #expect(await ask(world.port, "/v1/accounts/a/campaigns/c").status == 503)
    }
  }

  @Test func isReadyOnceCaughtUpAndNotWhileItStops() async throws {
    try await withWorld { world in
      world.add(id: "1", account: "acme")
      let ready = await until("the event", await ask(world.port, "/health/ready")) {
        $0.body.contains(#""records":1"#)
      }
      #expect(ready.status == 200)
      #expect(ready.text("status") == "ready")
      #expect(ready.value("partitions", 0, "ready") as? Bool == true)
      #expect(ready.value("partitions", 0, "lag") as? Int == 7)
      #expect(ready.value("partitions", 1, "lag") == nil)
      world.service.beginStopping()
      let stopping = await ask(world.port, "/health/ready")
      #expect(stopping.status == 503)
      #expect(stopping.text("status") == "stopping")
      #expect(await ask(world.port, "/health/live").status == 200)
    }
  }

  private final class HandClock: MonotonicClock {
    let time = Mutex<Int64>(0)
    func now() -> Int64 { time.withLock { $0 } }
  }

  /// A loop that hangs is found out, however seldom anyone asks; one that restores never is.
  @Test func aLoopThatHangsIsNotAlive() throws {
    let world = try World()
    let executor = SeededExecutor(seed: 1)
    let broker = SimulatedBroker(inputs: [LogInput(source: "events", topic: "events")])
    let status = PartitionStatus(index: 0)
    let actor = PartitionActor(
      runner: try PartitionRunner(
        topology: world.topology, registry: OperatorRegistry.all, log: broker.open(),
        snapshots: nil, commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(),
        options: RunnerOptions(mode: .live)),
      executor: executor, status: status,
      board: RunBoard(partitionCount: 1, wantsSnapshotAtEnd: false), clock: HandClock())
    func turn() { executor.run { actor.assumeIsolated { _ = $0.turn() } } }
    let run = RunningTopology(topology: world.topology, partitionCount: 1) { [status] }
    let clock = HandClock()
    let health = Health(clock: clock)
    health.look(at: [status])
    clock.time.withLock { $0 += 3_600_000 }
    #expect(health.live(run).isLive, "it is being restored")
    turn()
    turn()
    #expect(health.live(run).isLive)
    clock.time.withLock { $0 += Health.patienceMilliseconds - 1 }
    #expect(health.live(run).isLive)
    clock.time.withLock { $0 += 1 }
    let (isLive, json) = health.live(run)
    #expect(!isLive)
    #expect(String(decoding: json, as: UTF8.self) == #"{"status":"stuck","stuck_partitions":[0]}"#)
    turn()
    #expect(health.live(run).isLive)
  }
}
