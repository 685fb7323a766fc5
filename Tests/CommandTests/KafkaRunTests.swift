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

  @Test(arguments: ["exactly_once", "at_least_once"])
  func survivesKillsAtAnyMoment(_ delivery: String) throws {
    let isOnce = delivery == "exactly_once"
    let seed: UInt64 = 42
    let slices = KafkaScene.rounds ?? 16
    let scene = try KafkaScene(
      work, "kills-\(isOnce ? "once" : "least")", partitions: 2, delivery: delivery)
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
      if isOnce {
        usleep(useconds_t(150_000 + random.next() % 600_000))
      } else {
        // Between a journal and its outputs is a short time: right after some were written.
        let before = try scene.written("tallies")
        for _ in 0..<500 where try scene.written("tallies") == before { usleep(20_000) }
        usleep(useconds_t(random.next() % 30_000))
      }
      #expect(running.isRunning, "seed \(seed), kill \(kills): \(running.errors)")
      running.send(SIGKILL)
      #expect(running.wait().status == -SIGKILL)
      kills += 1
      if try scene.committed() < scene.appended { killsAtWork += 1 }
    }
    print("seed \(seed): \(kills) kills, \(killsAtWork) of them before the topic's end")

    try scene.compare(with: history, once: isOnce)
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

  @Test func replaysAreThoseOfFiles() throws {
    let scene = try KafkaScene(work, "replays", partitions: 2)
    let history = try SlicedHistory(
      events: 20_000, slices: 2, seed: 9, to: work.path + "/events.jsonl")
    scene.append(history.slices[0])
    scene.append(history.slices[1])
    func replay(_ out: String, _ from: String...) -> Outcome {
      work.run(
        ["replay", scene.topology, "--out", out, "-q", "--json", "--from"] + from)
    }
    func published(_ out: String) -> [String] {
      ["tallies", "dead_letters"].flatMap { work.lines("\(out)/\($0).jsonl") }
        .map(KafkaScene.withoutPlace).sorted()
    }
    let files = replay("files", "events.jsonl", "--partitions", "2")
    let topic = replay("topic", "kafka:\(scene.topic("events"))")
    #expect(topic.status == 0, "\(topic.errors)")
    #expect(topic.member("digest") == files.member("digest"))
    #expect(published("topic") == published("files"))
    // The topology's own topics, without being named.
    let own = work.run(["replay", scene.topology, "--out", "own", "-q", "--json"])
    #expect(own.output.contains(files.member("digest") ?? "?"), "\(own.errors)")

    // Recorded, as a log and as lines, it is the same again.
    let from = ["--from", "kafka:\(scene.topic("events"))", "--brokers", scene.brokers, "-q"]
    for to in ["recorded", "recorded.jsonl.zst"] {
      let recorded = work.run(["log", "record", to] + from)
      #expect(recorded.status == 0, "\(recorded.errors)")
    }
    let log = replay("log", "recorded")
    #expect(log.member("digest") == files.member("digest"), "\(log.errors)")
    #expect(published("log") == published("files"))
    let lines = replay("lines", "recorded.jsonl.zst", "--partitions", "2")
    #expect(lines.member("digest") == files.member("digest"), "\(lines.errors)")
    // Heartbeats stand between other records than they did, so that some totals come sooner.
    #expect(
      KafkaScene.totals(work.lines("lines/tallies.jsonl"))
        == KafkaScene.totals(work.lines("files/tallies.jsonl")))

    // A part, by offsets: what is left out is not counted.
    let part = work.run([
      "replay", scene.topology, "--from", "kafka:\(scene.topic("events"))", "--out", "part", "-q",
      "--json", "--start", "offset:100", "--until", "offset:350",
    ])
    #expect(part.member("events") == "500", "\(part.errors)")
    // And by time: everything was appended after 2001, nothing after 2100.
    let all = work.run(
      ["log", "record", "all.jsonl", "--start", "2001-01-01T00:00:00Z"] + from + ["--json"])
    #expect(all.member("records") == "\(work.lines("events.jsonl").count)", "\(all.errors)")
    let none = work.run(
      ["log", "record", "none.jsonl", "--start", "2100-01-01T00:00:00Z"] + from + ["--json"])
    #expect(none.member("records") == "0", "\(none.errors)")
    let again = work.run(["log", "record", "all.jsonl"] + from)
    #expect(again.status == 78 && again.errors.contains("--overwrite"))
  }

  @Test func recordingsSurviveKills() throws {
    let seed: UInt64 = 11
    let scene = try KafkaScene(work, "records", partitions: 2)
    let history = try SlicedHistory(
      events: 100_000, slices: 1, seed: 10, to: work.path + "/events.jsonl")
    scene.append(history.slices[0])
    let from = ["--from", "kafka:\(scene.topic("events"))", "--brokers", scene.brokers, "-q"]
    var random = SplitMix64(seed: seed)
    for to in ["killed", "killed.jsonl"] {
      var kills = 0
      while kills < 12 {
        let running = work.start(["log", "record", to] + from)
        usleep(useconds_t(150_000 + random.next() % 500_000))
        guard running.isRunning else {
          #expect(running.wait().status == 0)
          break
        }
        running.send(SIGKILL)
        _ = running.wait()
        kills += 1
      }
      let last = work.run(["log", "record", to] + from)
      #expect(last.status == 0 || last.errors.contains("exists"), "\(last.errors)")
      print("seed \(seed): \(kills) kills of a recording into \(to)")
    }
    let lines = work.lines("events.jsonl").sorted()
    #expect(work.lines("killed.jsonl").sorted() == lines)
    let exported = work.run("log", "export", "killed", scene.topic("events"), "--out", "-")
    #expect(exported.lines.map(String.init).sorted() == lines)
    let info = work.run("log", "verify", "killed")
    #expect(info.status == 0, "\(info.errors)")
  }

  @Test func aRecordingWarmsARun() throws {
    let seed: UInt64 = 12
    let scene = try KafkaScene(work, "warm", partitions: 2)
    let history = try SlicedHistory(
      events: 60_000, slices: 2, seed: 12, to: work.path + "/events.jsonl")
    scene.append(history.slices[0])
    let recorded = work.run([
      "log", "record", "recorded", "--from", "kafka:\(scene.topic("events"))", "--brokers",
      scene.brokers, "-q",
    ])
    #expect(recorded.status == 0, "\(recorded.errors)")
    scene.append(history.slices[1])
    let warm = scene.run + ["--warm-from", "recorded"]
    var random = SplitMix64(seed: seed)
    for _ in 0..<(KafkaScene.rounds ?? 6) {
      let running = work.start(warm + ["-q"] + KafkaScene.manyCommits)
      usleep(useconds_t(150_000 + random.next() % 600_000))
      running.send(SIGKILL)
      _ = running.wait()
    }
    let last = work.run(warm + ["-q", "--json", "--exit-when-idle", "1s"])
    #expect(last.status == 0, "\(last.errors)")
    let replay = work.run([
      "replay", scene.topology, "--from", "events.jsonl", "--out", "out", "-q", "--json",
      "--partitions", "2",
    ])
    print("seed \(seed)")
    #expect(last.member("digest") == replay.member("digest"), "\(replay.errors)")
    // Nothing of the recorded half was published but what stands of it, once.
    let tallies = try scene.published("tallies").map(KafkaScene.withoutPlace)
    #expect(Set(tallies).count == tallies.count)
    let whole = work.lines("out/tallies.jsonl").filter { !$0.contains(history.endText) }
    #expect(tallies.count > 500 && tallies.count < whole.count * 3 / 4)
    #expect(KafkaScene.totals(tallies) == KafkaScene.totals(whole))

    let elsewhere = work.run(["run", "local.yaml", "--warm-from", "recorded"])
    #expect(elsewhere.status != 0)
    let nothing = work.run(scene.run + ["--warm-from", "nowhere"])
    #expect(nothing.status == 66, "\(nothing.errors)")
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
