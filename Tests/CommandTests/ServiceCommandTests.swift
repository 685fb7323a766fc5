import LocalLog
import Streaming
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

  /// Status and body of an answer, by a shell's means: one connection, one request.
  private func ask(
    _ port: Int, _ target: String, method: String = "GET", token: String? = nil, body: String = ""
  ) -> (status: Int, body: String) {
    var head = "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    if let token { head += "Authorization: Bearer \(token)\r\n" }
    if !body.isEmpty {
      head += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
    }
    let answer = Conversation(port: port).say(head + "\r\n" + body)
    let status = answer.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    let end = answer.firstRange(of: "\r\n\r\n")?.upperBound ?? answer.endIndex
    return (status, String(answer[end...]))
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
    let posted = ask(port, "/v1/events", method: "POST", body: events)
    #expect(posted.status == 200 && posted.body == "{\"accepted\":2}\n", "\(posted)")
    until("the clicks") { ask(port, target).body.contains(#""clicks":3"#) }
    let refused = ask(port, "/v1/events", method: "POST", body: #"{"type":"click"}"#)
    #expect(refused.status == 400 && refused.body.contains("missing_field"))

    // Given back after a while, and taken by somebody else.
    work.write("more.jsonl", ServiceCommandTests.click("fourth"))
    until("the import") { work.run("log", "import", "data", "more.jsonl", "-q").status == 0 }
    until("what was imported") { ask(port, target).body.contains(#""clicks":4"#) }
    let held = try LocalLogStore.open(work.path + "/data")
    let appenders = [
      try held.appender("events", partition: 0), try held.appender("events", partition: 1),
    ]
    let blocked = ask(port, "/v1/events", method: "POST", body: ServiceCommandTests.click("fifth"))
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
    #expect(Conversation.isRefused(port: port))
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

/// One connection to this machine.
private struct Conversation {
  private let number: Int32
  private let isOpen: Bool

  init(port: Int) {
    #if canImport(Glibc)
      number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
      number = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let socketNumber = number
    isOpen = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socketNumber, $0, size) } == 0
    }
    var patience = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(
      number, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Everything that comes until the other side ends.
  func say(_ text: String) -> String {
    defer { close(number) }
    guard isOpen else { return "" }
    let bytes = Array(text.utf8)
    guard write(number, bytes, bytes.count) == bytes.count else { return "" }
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(number, &buffer, buffer.count)
      guard count > 0 else { return String(decoding: answer, as: UTF8.self) }
      answer += buffer[..<count]
    }
  }

  static func isRefused(port: Int) -> Bool {
    let conversation = Conversation(port: port)
    defer { close(conversation.number) }
    return !conversation.isOpen
  }
}
