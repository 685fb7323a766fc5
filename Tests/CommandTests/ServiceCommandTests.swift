import LocalLog
import Streaming
import TestClient
import Testing

@testable import bidmill

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// `bidmill run` as a service: a process that answers, takes events in, and goes when it is told.
@Suite struct ServiceCommandTests {
  let work = Workplace()
  private static let token = "a-token-of-some-length"
  private static let time: Int64 = 1_767_225_600_000

  private static func click(_ id: String) -> String {
    #"{"type":"click","id":"\#(id)","time":\#(time),"account":"acme","campaign":"c","ad":"a"}"#
  }

  private func fill() {
    work.write("events.jsonl", ServiceCommandTests.click("first"))
    let outcome = work.run("log", "import", "data", "--partitions", "2", "events.jsonl", "-q")
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  /// A run that listens, and the port that it says it has.
  private func start(_ arguments: String..., environment: [String: String] = [:]) throws
    -> (Running, port: Int)
  {
    let running = work.start(
      ["run", Workplace.tally, "--http", "127.0.0.1:0", "--json"] + arguments,
      environment: environment)
    for _ in 0..<10_000 where running.isRunning {
      let said = "answering on http://127.0.0.1:"
      if let range = running.errors.firstRange(of: said),
        let end = running.errors[range.upperBound...].firstIndex(of: "\n"),
        let port = Int(running.errors[range.upperBound..<end])
      {
        return (running, port)
      }
      usleep(2_000)
    }
    throw Complaint("the run does not listen: \(running.errors)")
  }

  private struct Complaint: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
  }

  private func ask(_ port: Int, _ target: String, token: String? = nil) -> Answer {
    Connection.ask(
      port, "GET", target, headers: token.map { ["Authorization: Bearer \($0)"] } ?? [])
  }

  private func post(_ port: Int, _ events: String) -> Answer {
    Connection.ask(
      port, "POST", "/v1/events", headers: ["Content-Type: application/json"],
      body: Array(events.utf8))
  }

  private func until(_ what: String, _ isSo: () -> Bool) {
    for _ in 0..<3_000 {
      if isSo() { return }
      usleep(10_000)
    }
    Issue.record("\(what) does not come")
  }

  @Test func answersTakesEventsAndLeaves() throws {
    fill()
    let (running, port) = try start()
    until("readiness") { ask(port, "/health/ready").status == 200 }
    #expect(ask(port, "/health/live").status == 200)
    let target = "/v1/accounts/acme/campaigns/c/ads/a"
    until("the first click") { ask(port, target).body.contains(#""clicks":1"#) }
    let events = ["second", "third"].map(ServiceCommandTests.click).joined(separator: "\n")
    let posted = post(port, events)
    #expect(posted.status == 200 && posted.body == "{\"accepted\":2}\n", "\(posted)")
    until("the clicks") { ask(port, target).body.contains(#""clicks":3"#) }
    let refused = post(port, #"{"type":"click"}"#)
    #expect(refused.status == 400 && refused.body.contains("missing_field"))

    // Given back after a while, and taken by somebody else.
    work.write("more.jsonl", ServiceCommandTests.click("fourth"))
    until("the import") { work.run("log", "import", "data", "more.jsonl", "-q").status == 0 }
    until("what was imported") { ask(port, target).body.contains(#""clicks":4"#) }
    let held = try LocalLogStore.open(work.path + "/data")
    let appenders = [
      try held.appender("events", partition: 0), try held.appender("events", partition: 1),
    ]
    let blocked = post(port, ServiceCommandTests.click("fifth"))
    #expect(blocked.status == 503 && blocked.body.contains("not_appended"), "\(blocked)")
    for appender in appenders { try appender.close() }

    let metrics = ask(port, "/metrics").body
    #expect(metrics.contains("bidmill_http_events_accepted_total 2\n"))
    #expect(metrics.contains("# TYPE bidmill_commit_duration_seconds histogram\n"))
    running.send(SIGTERM)
    let outcome = running.wait()
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.member("events") == "4")
    #expect(outcome.errors.contains("stopping: committing what is done"))
    #expect(Connection(port: port) == nil)
    // A last snapshot: nothing is processed again.
    let again = work.run("run", Workplace.tally, "-q", "--json", "--exit-when-idle", "100ms")
    #expect(again.member("events_in_run") == "0" && again.member("events") == "4")
  }

  @Test func wantsTheTokenThatItWasGiven() throws {
    fill()
    work.write("token", ServiceCommandTests.token + "\n")
    let (running, port) = try start("--token-file", "token")
    until("readiness") { ask(port, "/health/ready").status == 200 }
    #expect(ask(port, "/metrics").status == 401)
    #expect(ask(port, "/metrics", token: ServiceCommandTests.token).status == 200)
    running.send(SIGINT)
    let outcome = running.wait()
    #expect(outcome.status == 0)
    #expect(!(outcome.errors + outcome.output).contains(ServiceCommandTests.token))
  }

  @Test func refusesWhatWouldBeOpenOrTaken() throws {
    fill()
    let (running, port) = try start()
    defer { running.send(SIGKILL) }
    work.write("short", "abc")
    for (arguments, environment, status, message) in [
      (["--http", "127.0.0.1:\(port)"], [:], 69, "another process listens there"),
      (["--http", "0.0.0.0:0"], [:], 78, "set a token"),
      (["--http", "0.0.0.0:0", "--token-file", "none"], [:], 66, "none"),
      (["--http", "0.0.0.0:0", "--token-file", "short"], [:], 78, "at least 16"),
      (["--http", "here"], [:], 64, "--http"),
      ([], ["BIDMILL_HTTP": "here"], 78, "BIDMILL_HTTP"),
      ([], ["BIDMILL_HTTP": "0.0.0.0:0", "BIDMILL_TOKEN": "abc"], 78, "BIDMILL_TOKEN"),
    ] as [([String], [String: String], Int32, String)] {
      let variables = ["TALLY_LOG": work.path + "/data"].merging(environment) { $1 }
      let outcome = work.run(
        ["run", Workplace.tally, "-q", "--exit-when-idle", "1ms"] + arguments,
        environment: variables)
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
    }
    #expect(ask(port, "/health/live").status == 200)
  }
}
