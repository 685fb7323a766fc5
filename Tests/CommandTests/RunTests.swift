import Events
import Testing

@testable import bidmill

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct RunTests {
  let work = Workplace()

  /// A history that ends with a heartbeat in the middle of a minute: a live run has then published
  /// what a replay has before its end.
  private func fill(_ events: Int, partitions: Int) throws -> MadeHistory {
    let truth = try MadeHistory(events, seed: 3, to: work.path + "/events.jsonl")
    let outcome = work.run(
      "log", "import", "data", "--partitions", "\(partitions)", "events.jsonl", "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
    return truth
  }

  private func run(_ arguments: String...) -> Outcome {
    work.run(["run", Workplace.tally, "-q", "--json"] + arguments)
  }

  private func replay(_ arguments: String...) -> Outcome {
    work.run(
      ["replay", Workplace.tally, "--from", "events.jsonl", "--out", "out", "-q", "--json"]
        + ["--overwrite"] + arguments)
  }

  @Test func takesTheLogToItsEnd() throws {
    let truth = try fill(5000, partitions: 2)
    let first = run("--exit-when-idle", "200ms")
    #expect(first.status == 0, "\(first.errors)")
    #expect(first.member("digest") == replay().member("digest"))
    #expect(first.member("duplicates") == "\(truth.duplicates)")
    #expect(first.member("events_in_run") == first.member("events"))

    // Nothing is left: the next one does nothing, and is in the same state.
    let second = run("--exit-when-idle", "200ms")
    #expect(second.status == 0, "\(second.errors)")
    #expect(second.member("events_in_run") == "0")
    #expect(second.member("digest") == first.member("digest"))
    #expect(second.member("events") == first.member("events"))
    #expect(second.member("tallies") == "0")

    // What comes later is taken up.
    let time = 1_767_225_600_000 + 5000 * 600 + 60_000
    work.write(
      "more.jsonl",
      #"{"type":"click","id":"x","time":\#(time),"account":"acct-0001","campaign":"c","ad":"a"}"#)
    #expect(work.run("log", "import", "data", "more.jsonl", "-q").status == 0)
    let third = run("--exit-when-idle", "200ms")
    #expect(third.member("events_in_run") == "1")
  }

  @Test func publishesWhatAReplayDoes() throws {
    _ = try fill(5000, partitions: 3)
    #expect(run("--exit-when-idle", "200ms").status == 0)
    #expect(replay("--partitions", "3").status == 0)
    let live = work.run("log", "export", "data", "tallies", "--out", "-").lines.map(String.init)
    let replayed = work.lines("out/tallies.jsonl")
    // The last half minute of a replay is published at its end; live it waits for the next minute.
    let end = 1_767_225_600_000 + 50 * 60_000 + 30_000
    let held = replayed.filter { $0.contains("\"time\":\(end)") }
    #expect(held.count > 0 && held.count < 200)
    #expect(live.sorted() == Set(replayed).subtracting(held).sorted())
  }

  @Test func survivesKillsAtAnyMoment() throws {
    // Enough that most kills come before its end, on fast machines too.
    let events = 120_000
    let truth = try fill(events, partitions: 2)
    // Without kills, in another log.
    work.run("log", "import", "calm", "--partitions", "2", "events.jsonl", "-q")
    let calm = work.run(
      ["run", Workplace.tally, "-q", "--json", "--exit-when-idle", "200ms"],
      environment: ["TALLY_LOG": work.path + "/calm", "TALLY_STATE": work.path + "/calm-state"])
    #expect(calm.status == 0, "\(calm.errors)")

    let seed: UInt64 = 42
    var random = SplitMix64(seed: seed)
    var kills = 0
    var killsAtWork = 0
    while kills < 12 {
      let running = work.start([
        "run", Workplace.tally, "-q", "--set", "commit.every=5ms", "--set", "commit.events=100",
        "--set", "snapshots.every=1s",
      ])
      // Beginning a process takes some milliseconds; after that, anywhere in its work.
      usleep(useconds_t(5_000 + random.next() % 120_000))
      #expect(running.isRunning, "seed \(seed), kill \(kills): \(running.errors)")
      running.send(SIGKILL)
      #expect(running.wait().status == -SIGKILL)
      kills += 1
      let lag = work.run("log", "info", "data", "--json").output
        .split(separator: "\n").filter { $0.contains("\"lag\"") && !$0.hasSuffix(": 0") }
      if !lag.isEmpty { killsAtWork += 1 }
    }
    print("seed \(seed): \(kills) kills, \(killsAtWork) of them before the log's end")

    let last = run("--exit-when-idle", "300ms")
    #expect(last.status == 0, "\(last.errors)")
    #expect(last.member("digest") == calm.member("digest"))
    #expect(last.member("digest") == replay().member("digest"))
    #expect(last.member("duplicates") == "\(truth.duplicates)")
    // Record for record what the calm run published: nothing is missing, nothing comes twice.
    for topic in ["tallies", "dead-letters"] {
      let arguments = ["--keys", "--offsets"]
      let killed = work.run(["log", "cat", "data", topic] + arguments)
      #expect(killed.lines.count > 5)
      #expect(killed.output == work.run(["log", "cat", "calm", topic] + arguments).output)
    }
    #expect(work.run("log", "verify", "data").status == 0)
  }

  @Test(arguments: [SIGTERM, SIGINT]) func stopsWhenAskedTo(_ signal: Int32) throws {
    _ = try fill(20_000, partitions: 2)
    let running = work.start(["run", Workplace.tally, "-q", "--json"])
    // Asked to stop before its first commit it would leave nothing behind, and rightly.
    while running.isRunning,
      work.run("log", "cat", "data", "tallies", "--limit", "1").output.isEmpty
    { usleep(5_000) }
    running.send(signal)
    let outcome = running.wait()
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("stopping"))
    #expect(outcome.member("digest") != nil)
    // A clean stop leaves a snapshot exactly where it committed.
    #expect(work.files("state").contains { $0.hasSuffix(".snapshot") })
    let next = run("--exit-when-idle", "200ms")
    #expect(next.status == 0, "\(next.errors)")
    #expect(!next.errors.contains("recovering"))
    #expect(next.member("digest") == replay().member("digest"))
  }

  @Test func aSecondSignalEndsAtOnce() throws {
    _ = try fill(2000, partitions: 1)
    let running = work.start(["run", Workplace.tally, "-q"])
    // Asked to stop before its first commit it would leave nothing behind, and rightly.
    while running.isRunning,
      work.run("log", "cat", "data", "tallies", "--limit", "1").output.isEmpty
    { usleep(5_000) }
    running.send(SIGINT)
    running.send(SIGINT)
    let outcome = running.wait()
    #expect(outcome.status == 130 || outcome.status == 0, "\(outcome.errors)")
  }

  @Test func onlyOneRunsATopology() throws {
    _ = try fill(100, partitions: 1)
    let running = work.start(["run", Workplace.tally, "-q"])
    // Asked to stop before its first commit it would leave nothing behind, and rightly.
    while running.isRunning,
      work.run("log", "cat", "data", "tallies", "--limit", "1").output.isEmpty
    { usleep(5_000) }
    let second = run("--exit-when-idle", "100ms")
    #expect(second.status == 69, "\(second.errors)")
    #expect(second.errors.contains("\(running.pid)"))
    running.send(SIGTERM)
    #expect(running.wait().status == 0)
  }

  @Test func aReplayFollowsTheJournal() throws {
    _ = try fill(5000, partitions: 3)
    let live = run("--exit-when-idle", "200ms")
    #expect(live.status == 0)
    let audit = work.run(
      "replay", Workplace.tally, "--from", "data", "--out", "audit", "-q", "--json")
    #expect(audit.status == 0, "\(audit.errors)")
    #expect(audit.errors.contains("--no-journal"))
    #expect(audit.member("digest") == live.member("digest"))
    // Exactly what was published, nothing more at the end.
    let published = work.run("log", "cat", "data", "tallies").output
    #expect(work.text("audit/tallies.jsonl") == published)

    let merged = work.run(
      "replay", Workplace.tally, "--from", "data", "--out", "merged", "-q", "--json",
      "--no-journal")
    #expect(merged.status == 0, "\(merged.errors)")
    #expect(merged.errors.isEmpty)
    #expect(work.read("merged/tallies.jsonl").count > published.utf8.count)

    let changed = work.run(
      "replay", Workplace.tally, "--from", "data", "--out", "changed", "-q", "--set", "seed=9")
    #expect(changed.status == 78)
    #expect(changed.errors.contains("--no-journal"))
  }

  @Test func lostStateIsNotMadeUp() throws {
    _ = try fill(2000, partitions: 1)
    #expect(run("--exit-when-idle", "100ms").status == 0)
    // Snapshots are gone, but the log still has everything: state is made from it again.
    for file in work.files("state") { unlink(work.path + "/" + file) }
    let again = run("--exit-when-idle", "100ms")
    #expect(again.status == 0, "\(again.errors)")
    #expect(again.errors.contains("recovering"))
    #expect(again.member("digest") == replay().member("digest"))
    #expect(again.member("events_in_run") == "0")
  }

  @Test func saysWhatIsWrong() throws {
    let missing = run("--exit-when-idle", "1s")
    #expect(missing.status == 66)
    #expect(missing.errors.contains("bidmill log import"))
    work.run("generate", "--out", "events.jsonl", "-q", "--events", "10")
    work.run("log", "import", "data", "--topic", "other", "events.jsonl", "-q")
    let topic = run("--exit-when-idle", "1s")
    #expect(topic.status == 66)
    #expect(topic.errors.contains("bidmill log import"))
    work.write("kafka.yaml", Topologies.kafka)
    // What is wrong is said before a broker is asked.
    for command in [["run"], ["topics", "create"]] {
      let kafka = work.run(
        command + [
          "kafka.yaml", "--set", "sinks.tallies={ from: totals, log: { directory: data } }",
        ])
      #expect(kafka.status == 78, "\(kafka.errors)")
      #expect(kafka.errors.contains("sinks.tallies"), "\(kafka.errors)")
    }
    #expect(work.run("topics", "create", Workplace.tally).status == 78)
    work.write(
      "files.yaml",
      """
      topology: own
      sources: { events: { files: { paths: [events.jsonl] } } }
      operators: { totals: { operator: tally, from: events } }
      sinks: { tallies: { from: totals, files: { path: tallies.jsonl } } }
      snapshots: { directory: state }
      """)
    let files = work.run("run", "files.yaml")
    #expect(files.status == 78)
    #expect(files.errors.contains("files.yaml:2:"))
    #expect(work.run("run", Workplace.tally, "--exit-when-idle", "soon").status == 64)
    #expect(work.run("run", Workplace.tally, "--workers", "0").status == 64)
    #expect(work.run("run", "none.yaml").status == 66)
  }
}
