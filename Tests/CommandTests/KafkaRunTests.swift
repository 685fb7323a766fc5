import Events
import Streaming
import Testing

@testable import KafkaLog

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// `run` on a real broker. Run with `KAFKA_BROKERS=localhost:9092`; topics are named by the
/// process and stay behind.
@Suite(.serialized, .enabled(if: getenv("KAFKA_BROKERS") != nil))
struct KafkaRunTests {
  let work = Workplace()

  @Test func survivesKillsAtAnyMoment() throws {
    let seed: UInt64 = 42
    let slices = KafkaScene.rounds ?? 16
    let scene = try KafkaScene(work, "kills", partitions: 2)
    let history = try SlicedHistory(
      events: 5_000 * slices, slices: slices, seed: 5, to: work.path + "/events.jsonl")
    var random = SplitMix64(seed: seed)
    var kills = 0
    var killsAtWork = 0
    for slice in 0..<slices {
      scene.append(history.slices[slice])
      let running = work.start(
        scene.run + ["-q"]
          + KafkaScene.manyCommits)
      // Reaching the broker takes some hundred milliseconds; after that, anywhere in its work.
      usleep(useconds_t(150_000 + random.next() % 600_000))
      #expect(running.isRunning, "seed \(seed), kill \(kills): \(running.errors)")
      running.send(SIGKILL)
      #expect(running.wait().status == -SIGKILL)
      kills += 1
      if try scene.committed() < scene.appended { killsAtWork += 1 }
    }
    print("seed \(seed): \(kills) kills, \(killsAtWork) of them before the topic's end")

    try scene.compare(with: history)
  }

  @Test func whatIsKeyedOtherwiseIsKeyedAnew() throws {
    let scene = try KafkaScene(work, "rekey", partitions: 3)
    let history = try SlicedHistory(
      events: 20_000, slices: 4, seed: 8, to: work.path + "/events.jsonl")
    // Read as it is, it is refused: anything may be anywhere.
    scene.scatter(history.slices.flatMap { $0 }, to: "scattered")
    let mistaken = work.run(
      scene.run + ["-q", "--set", "sources.events.kafka.topics=[\(scene.topic("scattered"))]"])
    #expect(mistaken.status == 78, "\(mistaken.errors)")
    #expect(mistaken.errors.contains("rekey.yaml"))

    let environment = [
      "KAFKA_BROKERS": scene.brokers, "REKEY_FROM": scene.topic("scattered"),
      "REKEY_TO": scene.topic("events"), "REKEY_DEAD_LETTERS": scene.topic("rekey-dead-letters"),
    ]
    let rekey = [
      Workplace.repository + "/Topologies/rekey.yaml", "--set", "topology=\(scene.topic("rekey"))",
      "--set", "commit.every=5ms", "--set", "commit.events=200",
    ]
    let made = work.run(["topics", "create"] + rekey + ["--apply"], environment: environment)
    #expect(made.status == 0, "\(made.errors)")
    var random = SplitMix64(seed: 3)
    for _ in 0..<6 {
      let running = work.start(["run"] + rekey + ["-q"], environment: environment)
      usleep(useconds_t(200_000 + random.next() % 400_000))
      running.send(SIGKILL)
      _ = running.wait()
    }
    let last = work.run(
      ["run"] + rekey + ["-q", "--exit-when-idle", "500ms"], environment: environment)
    #expect(last.status == 0, "\(last.errors)")

    // Every record is there once, as it was, and where its account belongs.
    let refused = try scene.published("rekey-dead-letters")
    #expect(refused.count > 20)
    let lines = work.lines("events.jsonl").filter { !$0.contains("\"heartbeat\"") }
    #expect(try (scene.published("events") + refused).sorted() == lines.sorted())
    // One partition's events may have come long before another's: what is late counts all the same,
    // but copies must be remembered as long. A heartbeat makes the last totals due.
    scene.append(history.slices[3].suffix(1))
    let remember = ["--set", "operators.unique.within=7d", "--set", "time.max_gap=60d"]
    let tallied = work.run(scene.run + ["-q", "--exit-when-idle", "500ms"] + remember)
    #expect(tallied.status == 0, "\(tallied.errors)")
    #expect(try scene.published("dead-letters").isEmpty)
    let replay = work.run(
      ["replay", scene.topology, "--from", "events.jsonl", "--out", "out", "-q"] + remember)
    #expect(replay.status == 0, "\(replay.errors)")
    let totals = KafkaScene.totals(try scene.published("tallies"))
    #expect(totals.count > 20)
    #expect(totals == KafkaScene.totals(work.lines("out/tallies.jsonl")))
  }

  @Test func stopsAndGoesOn() throws {
    let scene = try KafkaScene(work, "stops", partitions: 2, snapshots: "{ directory: state }")
    let history = try SlicedHistory(
      events: 4_000, slices: 2, seed: 6, to: work.path + "/events.jsonl")
    scene.append(history.slices[0])
    let running = work.start(scene.run + ["-q", "--json"])
    while running.isRunning, try scene.committed() < scene.appended { usleep(20_000) }
    running.send(SIGTERM)
    let first = running.wait()
    #expect(first.status == 0, "\(first.errors)")
    #expect(work.files("state").contains { $0.hasSuffix(".snapshot") })

    let before = scene.appended
    scene.append(history.slices[1])
    let second = work.run(scene.run + ["-q", "--json", "--exit-when-idle", "500ms"])
    #expect(second.status == 0, "\(second.errors)")
    #expect(!second.errors.contains("recovering"))
    #expect(second.member("events_in_run") == "\(scene.appended - before)")
    let replay = work.run([
      "replay", scene.topology, "--from", "events.jsonl", "--out", "out", "-q", "--json",
    ])
    #expect(second.member("digest") == replay.member("digest"))
  }

  @Test func aSecondRunOfTheSameNameTakesOver() throws {
    let scene = try KafkaScene(work, "second", partitions: 2)
    let history = try SlicedHistory(
      events: 2_000, slices: 1, seed: 7, to: work.path + "/events.jsonl")
    scene.append(history.slices[0])
    let zombie = work.start(scene.run + ["-q"])
    while zombie.isRunning, try scene.committed() < scene.appended { usleep(20_000) }
    let heir = work.run(scene.run + ["-q", "--json", "--exit-when-idle", "500ms"])
    #expect(heir.status == 0, "\(heir.errors)")
    let outcome = zombie.wait()
    #expect(outcome.status == 69, "\(outcome.errors)")
    #expect(outcome.errors.contains("another process has joined the group"))
    let published = try scene.published("tallies")
    #expect(published.count == Set(published).count)
  }

  @Test func topicsAreAskedForBeforeTheyAreMade() throws {
    let scene = try KafkaScene(work, "topics", partitions: 3, makes: ["events"])
    let refused = work.run(scene.run)
    #expect(refused.status == 66)
    #expect(refused.errors.contains("bidmill topics create"))
    let dry = work.run("topics", "create", scene.topology)
    #expect(dry.status == 0, "\(dry.errors)")
    #expect(dry.lines.count == 4)
    #expect(dry.lines.allSatisfy { $0.hasPrefix("missing") && $0.contains("3 partitions") })
    #expect(work.run("topics", "create", scene.topology).output == dry.output)
    let made = work.run("topics", "create", scene.topology, "--apply")
    #expect(made.status == 0, "\(made.errors)")
    #expect(made.lines.allSatisfy { $0.hasPrefix("created") })
    #expect(work.run("topics", "create", scene.topology).output == "nothing is missing\n")
    #expect(work.run(scene.run + ["-q", "--exit-when-idle", "200ms"]).status == 0)
  }
}
