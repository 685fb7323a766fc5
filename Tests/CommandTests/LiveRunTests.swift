import Events
import Testing

@testable import bidmill

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The live topology as a process: what it publishes is what a replay gives, kills or no kills.
@Suite struct LiveRunTests {
  let work = Workplace()
  static let topology = Workplace.repository + "/Topologies/live.yaml"
  static let topics = ["bid-parameters", "attributions", "alerts", "dead-letters"]

  private func environment(_ name: String) -> [String: String] {
    [
      "LIVE_LOG": work.path + "/" + name, "LIVE_STATE": work.path + "/\(name)-state",
      "IDENTITY_KEY": "secret",
    ]
  }

  /// A history that ends just behind a full second, so that an idle second changes nothing.
  private func fill(_ log: String, events: Int = 20_000) throws {
    if !work.exists("events.jsonl") {
      let made = work.run(
        "generate", "--out", "events.jsonl", "--events", "\(events)", "--seed", "11",
        "--accounts", "2", "--campaigns", "2", "--ads", "4", "--users", "500",
        "--duration", "1d", "-q")
      #expect(made.status == 0, "\(made.errors)")
      var newest: Int64 = 0
      for line in work.lines("events.jsonl") {
        guard let start = line.firstRange(of: #""time":"#)?.upperBound,
          let time = Int64(line[start...].prefix { $0.isNumber })
        else { continue }
        newest = max(newest, time)
      }
      let end = (newest / 1_000 + 1) * 1_000 + 1
      let heartbeat = #"{"type":"heartbeat","time":\#(end)}"# + "\n"
      work.write("events.jsonl", work.text("events.jsonl") + heartbeat)
    }
    let outcome = work.run("log", "import", log, "--partitions", "2", "events.jsonl", "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  private func run(_ log: String) -> Outcome {
    work.run(
      ["run", LiveRunTests.topology, "-q", "--json", "--exit-when-idle", "200ms"],
      environment: environment(log))
  }

  @Test func publishesWhatAReplayDoes() throws {
    try fill("data")
    let live = run("data")
    #expect(live.status == 0, "\(live.errors)")
    let audit = work.run(
      ["replay", LiveRunTests.topology, "--from", "data", "--out", "audit", "-q", "--json"],
      environment: environment("data"))
    #expect(audit.status == 0, "\(audit.errors)")
    #expect(audit.member("digest") == live.member("digest"))
    for (topic, stream) in zip(LiveRunTests.topics, ["bid_parameters", "attributions", "alerts"]) {
      let published = work.run("log", "cat", "data", topic).output
      #expect(work.text("audit/\(stream).jsonl") == published, "\(stream)")
    }
    let replay = work.run(
      ["replay", LiveRunTests.topology, "--from", "events.jsonl", "--out", "out", "-q", "--json"]
        + ["--partitions", "2"], environment: environment("data"))
    #expect(replay.status == 0, "\(replay.errors)")
    #expect(replay.member("digest") == live.member("digest"))
    #expect(work.lines("out/bid_parameters.jsonl").count > 1_000)
  }

  @Test func survivesKillsAtAnyMoment() throws {
    try fill("data")
    try fill("calm")
    let calm = run("calm")
    #expect(calm.status == 0, "\(calm.errors)")
    let seed: UInt64 = 7
    var random = SplitMix64(seed: seed)
    var killsAtWork = 0
    for kill in 0..<12 {
      let running = work.start(
        [
          "run", LiveRunTests.topology, "-q", "--set", "commit.every=5ms", "--set",
          "commit.events=100", "--set", "snapshots.every=1s",
        ], environment: environment("data"))
      usleep(useconds_t(5_000 + random.next() % 150_000))
      #expect(running.isRunning, "seed \(seed), kill \(kill): \(running.errors)")
      running.send(SIGKILL)
      #expect(running.wait().status == -SIGKILL)
      let lag = work.run("log", "info", "data", "--json").output
        .split(separator: "\n").filter { $0.contains("\"lag\"") && !$0.hasSuffix(": 0") }
      if !lag.isEmpty { killsAtWork += 1 }
    }
    print("seed \(seed): 12 kills, \(killsAtWork) of them before the log's end")
    #expect(killsAtWork > 3)
    let last = run("data")
    #expect(last.status == 0, "\(last.errors)")
    #expect(last.member("digest") == calm.member("digest"))
    for topic in LiveRunTests.topics {
      let killed = work.run("log", "cat", "data", topic, "--keys", "--offsets")
      // This history gives no reason for alerts.
      #expect(killed.lines.count > 5 || topic == "alerts", "\(topic)")
      #expect(
        killed.output == work.run("log", "cat", "calm", topic, "--keys", "--offsets").output)
    }
    #expect(work.run("log", "verify", "data").status == 0)
  }

  /// A replay that stops says more because it is the end; one that goes on from its snapshot must
  /// not know about that.
  @Test func aReplayGoesOnWhereAnotherStopped() throws {
    try fill("data", events: 6_000)
    func replay(_ out: String, _ arguments: String...) -> Outcome {
      work.run(
        ["replay", LiveRunTests.topology, "--from", "events.jsonl", "--out", out, "-q", "--json"]
          + arguments, environment: environment("data"))
    }
    let whole = replay("whole")
    let half = replay(
      "half", "--until", "2026-01-01T14:07:31Z", "--snapshot-at-end", "snapshots")
    #expect(half.status == 0, "\(half.errors)")
    let rest = replay("rest", "--from-snapshot", work.files("snapshots").first ?? "")
    #expect(rest.status == 0, "\(rest.errors)")
    #expect(rest.member("digest") == whole.member("digest"))
    for stream in ["bid_parameters", "attributions"] {
      let lines = work.lines("whole/\(stream).jsonl")
      let later = work.lines("rest/\(stream).jsonl")
      #expect(later.count > lines.count / 10 && later.count < lines.count)
      #expect(Array(lines.suffix(later.count)) == later, "\(stream)")
      let earlier = work.lines("half/\(stream).jsonl")
      let count = lines.count - later.count
      #expect(Array(lines.prefix(count)) == Array(earlier.prefix(count)), "\(stream)")
    }
  }

  @Test func explainsWhatWasPublished() throws {
    try fill("data", events: 5_000)
    #expect(run("data").status == 0)
    let last = work.run("log", "cat", "data", "bid-parameters", "--keys").lines.last
    let ad = String(last?.prefix { $0 != "\t" } ?? "")
    let record = String(last?.drop { $0 != "{" } ?? "")
    let explained = work.run(
      ["explain", LiveRunTests.topology, "--from", "data", ad, "-q"],
      environment: environment("data"))
    #expect(explained.status == 0, "\(explained.errors)")
    for part in [ad, "click rate", "what was counted", "last moved by", "events partition"] {
      #expect(explained.output.contains(part), "\(explained.output)")
    }
    let json = work.run(
      ["explain", LiveRunTests.topology, "--from", "data", ad, "-q", "--json"],
      environment: environment("data"))
    #expect(json.output.contains(record))
    let files = work.run(
      ["explain", LiveRunTests.topology, "--from", "events.jsonl", ad, "-q"],
      environment: environment("data"))
    #expect(files.output.contains("events.jsonl line "), "\(files.output)\(files.errors)")
    for (arguments, status) in [
      (["explain", LiveRunTests.topology, "--from", "data", "acme/none/none", "-q"], 66),
      (["explain", LiveRunTests.topology, "--from", "data", "acme", "-q"], 64),
      (["explain", Workplace.tally, "--from", "data", ad, "-q"], 78),
    ] as [([String], Int32)] {
      let outcome = work.run(arguments, environment: environment("data"))
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
    }
  }
}
