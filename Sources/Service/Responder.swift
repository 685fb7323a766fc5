import Events
import HTTPTypes
import HummingbirdCore
import NIOCore
import Streaming
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Answers requests.
final class Responder: Sendable {
  private struct State {
    var run: RunningTopology?
    var intake: IntakeQueue?
    var isStopping = false
  }

  let configuration: ServiceConfiguration
  let health: Health
  let counts = RequestCounts()
  private let state = Mutex(State())

  init(_ configuration: ServiceConfiguration) {
    self.configuration = configuration
    health = Health(clock: configuration.clock)
  }

  var run: RunningTopology? { state.withLock { $0.run } }
  var intake: IntakeQueue? { state.withLock { $0.intake } }

  func attach(_ run: RunningTopology) {
    state.withLock {
      $0.run = run
      $0.intake = run.intake.map { IntakeQueue($0) }
    }
  }

  func beginStopping() { state.withLock { $0.isStopping = true } }

  // MARK: Requests

  func respond(_ request: Request, _ body: () async throws -> [UInt8]?) async throws -> Reply {
    let target = request.head.path ?? "/"
    guard let route = Route(target) else {
      guard isAllowed(request) else { return .unauthorized }
      return .error(.notFound, "not_found", "there is nothing here; GET / says what there is")
    }
    if let refusal = refusal(of: request, route) { return refusal }
    switch route {
    case .index: return index
    case .live:
      let (isLive, json) = health.live(run)
      return .json(json, status: isLive ? .ok : .serviceUnavailable)
    case .ready:
      let (run, isStopping) = state.withLock { ($0.run, $0.isStopping) }
      let (isReady, json) = Health.ready(run, isStopping: isStopping)
      return .json(json, status: isReady ? .ok : .serviceUnavailable)
    case .metrics: return metrics
    case .topology: return topology
    case .campaign(let account, let campaign):
      let limit = Route.parameter("limit", in: target).flatMap { Int($0) } ?? 100
      return await answer(
        Question(account: account, campaign: campaign, adsMax: min(max(limit, 1), 1_000)))
    case .ad(let account, let campaign?, let ad):
      return await answer(Question(account: account, campaign: campaign, ad: ad))
    case .ad(let account, nil, let ad): return await answer(account: account, ad: ad)
    case .events: return try await take(request, target, body)
    }
  }

  private func refusal(of request: Request, _ route: Route) -> Reply? {
    guard route.isOpen || isAllowed(request) else { return .unauthorized }
    if configuration.token == nil, !isForThisMachine(request) {
      return .error(
        .misdirectedRequest, "wrong_host",
        "without a token only requests to this machine's own name are answered")
    }
    let method = request.method.rawValue
    guard method == route.method || (method == "HEAD" && route.method == "GET") else {
      return Reply.error(
        .methodNotAllowed, "method_not_allowed", "\(route.name) takes \(route.method)"
      ).with(.allow, route.method == "GET" ? "GET, HEAD" : route.method)
    }
    return nil
  }

  private func isAllowed(_ request: Request) -> Bool {
    guard let token = configuration.token else { return true }
    return token.isShown(in: request.headers[.authorization])
  }

  /// A page that a browser on this machine shows must not reach the service under a name of its
  /// own.
  private func isForThisMachine(_ request: Request) -> Bool {
    guard let host = request.head.authority, !host.isEmpty else { return true }
    guard
      let address = ServiceAddress(host.contains(":") && !host.hasSuffix("]") ? host : host + ":0")
    else { return false }
    return address.isLoopback || address.host == configuration.address.host
  }

  private var index: Reply {
    .json { json in
      json.member("service", text: "bidmill")
      json.member("version", text: configuration.version)
      json.key("endpoints")
      json.beginArray()
      for route in [
        "GET /health/live", "GET /health/ready", "GET /metrics", "GET /v1/topology",
        "GET /v1/accounts/{account}/campaigns/{campaign}",
        "GET /v1/accounts/{account}/campaigns/{campaign}/ads/{ad}",
        "GET /v1/accounts/{account}/ads/{ad}", "POST /v1/events",
      ] {
        json.string(route)
      }
      json.endArray()
    }
  }

  private var metrics: Reply {
    var text = MetricsText()
    if let run { RunMetrics(run, now: Responder.wallClock()).write(to: &text) }
    counts.write(to: &text)
    return Reply(status: .ok, type: MetricsText.contentType, body: Array(text.text.utf8))
  }

  private var topology: Reply {
    guard let run else { return .starting }
    return .json { json in
      json.member("name", text: run.topology.topology.name)
      json.member("version", text: run.version)
      json.member("hash", text: String(run.topology.hash, radix: 16))
      json.member("canonical", text: run.topology.canonicalText)
      json.member("description", text: run.topology.describe())
      json.member("mermaid", text: run.topology.describe(.mermaid))
      json.member("partitions", Int64(run.partitionCount))
      json.key("epochs")
      json.beginArray()
      for partition in run.partitions() {
        guard let epoch = partition.current.report?.epoch else { continue }
        json.beginObject()
        json.member("partition", Int64(partition.index))
        json.member("number", epoch.number)
        json.member("hash", text: String(epoch.topologyHash, radix: 16))
        json.member("snapshot", epoch.snapshot)
        json.endObject()
      }
      json.endArray()
    }
  }

  // MARK: Questions

  private func answer(_ question: Question) async -> Reply {
    guard let run else { return .starting }
    let (partitions, misdirection) = candidates(run, account: question.account)
    if let misdirection { return misdirection }
    var unknown = PartitionAnswer.unknownAccount
    for partition in partitions {
      guard partition.current.isReady || partition.current.phase == .draining else {
        return .notReady(partition.index)
      }
      let answer = await Patience.wait(configuration.answerTimeout) {
        await partition.ask(question)
      }
      switch answer {
      case .known(let json): return .json(json)
      case .gone, nil: return .notReady(partition.index)
      case .unknownAccount: continue
      case .unknownCampaign?, .unknownAd?: unknown = answer ?? unknown
      }
    }
    switch unknown {
    case .unknownAd:
      return .error(
        .notFound, "unknown_ad",
        "the campaign \(question.campaign) has no ad \(question.ad ?? "") that anything is known of"
      )
    case .unknownCampaign:
      return .error(
        .notFound, "unknown_campaign",
        "the account \(question.account) has no campaign \(question.campaign) that anything is "
          + "known of")
    default: return .unknownAccount(question.account)
    }
  }

  private func answer(account: String, ad: String) async -> Reply {
    guard let run else { return .starting }
    let (partitions, misdirection) = candidates(run, account: account)
    if let misdirection { return misdirection }
    var isKnown = false
    for partition in partitions {
      guard partition.current.isReady || partition.current.phase == .draining else {
        return .notReady(partition.index)
      }
      let found = await Patience.wait(configuration.answerTimeout) {
        await partition.campaigns(ofAccount: account, withAd: ad)
      }
      guard let found else { return .notReady(partition.index) }
      guard let campaigns = found else { continue }
      isKnown = true
      if campaigns.count > 1 {
        return .error(
          .conflict, "ambiguous_ad",
          "several campaigns have an ad \(ad); ask for it below its campaign"
        ) { json in
          json.key("campaigns")
          json.beginArray()
          for campaign in campaigns { json.string(campaign) }
          json.endArray()
        }
      }
      if let campaign = campaigns.first {
        return await answer(Question(account: account, campaign: campaign, ad: ad))
      }
    }
    guard isKnown else { return .unknownAccount(account) }
    return .error(
      .notFound, "unknown_ad",
      "the account \(account) has no ad \(ad) that anything is known of")
  }

  /// Whom to ask for an account: its own partition, where it is known which that is.
  private func candidates(
    _ run: RunningTopology, account: String
  ) -> (partitions: [PartitionStatus], misdirection: Reply?) {
    let partitions = run.partitions().filter { $0.current.phase != .done }
    guard let index = run.partition(account) else { return (partitions, nil) }
    let own = partitions.filter { $0.index == index }
    guard own.isEmpty else { return (own, nil) }
    let misdirection = Reply.error(
      .misdirectedRequest, "other_partition",
      "the account is in partition \(index), which is not at work in this process; ask the one that "
        + "has it"
    ) { json in
      json.member("partition", Int64(index))
      json.key("partitions_here")
      json.beginArray()
      for partition in partitions { json.integer(Int64(partition.index)) }
      json.endArray()
    }
    return ([], misdirection)
  }

  // MARK: Events

  private func take(
    _ request: Request, _ target: String, _ read: () async throws -> [UInt8]?
  ) async throws -> Reply {
    let (run, intake, isStopping) = state.withLock { ($0.run, $0.intake, $0.isStopping) }
    guard let run else { return .starting }
    guard let intake, !isStopping else {
      return .error(
        .serviceUnavailable, "no_intake",
        isStopping ? "the run is ending" : "this run takes no events over HTTP")
    }
    // No browser sends this of its own accord to another site than the page's.
    let type = (request.headers[.contentType] ?? "").prefix { $0 != ";" }.lowercased()
    let types = ["application/json", "application/x-ndjson", "application/jsonl"]
    guard types.contains(type.filter { $0 != " " }) else {
      return .error(
        .unsupportedMediaType, "content_type",
        "events are sent as application/json or application/x-ndjson")
    }
    let topics = EventCheck.topics(run.topology.topology)
    guard !topics.isEmpty else {
      return .error(.serviceUnavailable, "no_intake", "no source takes events over HTTP")
    }
    let topic = Route.parameter("topic", in: target)
    if let topic, !topics.contains(topic) {
      return .error(
        .badRequest, "unknown_topic",
        "\(topic) is no topic of a source; there are \(topics.joined(separator: ", "))")
    }
    guard let bytes = try await read() else {
      var reply = Reply.error(
        .contentTooLarge, "too_large",
        "a request has at most \(configuration.bodyBytesMax) bytes; send the events in parts")
      reply.closes = true
      return reply
    }
    var problem = ""
    guard let body = EventBody(bytes, problem: &problem) else {
      return .error(.badRequest, "malformed_body", problem) { $0.member("accepted", 0 as Int64) }
    }
    guard !body.records.isEmpty else {
      return .error(.badRequest, "no_events", "the request has no events") {
        $0.member("accepted", 0 as Int64)
      }
    }
    guard body.records.count <= EventBody.recordsMax else {
      return .error(
        .contentTooLarge, "too_many",
        "a request has at most \(EventBody.recordsMax) events; send them in parts"
      ) { $0.member("accepted", 0 as Int64) }
    }
    var check = EventCheck(run.topology.topology, topics: topics)
    let (accepted, problems) = check.check(
      body.records, topic: topic, now: Responder.wallClock())
    guard problems.isEmpty else { return .refused(problems, of: body.records.count) }
    if let failure = await intake.append(accepted) {
      return Reply.error(
        .serviceUnavailable, "not_appended",
        failure.message + " It is not known that all events are in the log; send them again: "
          + "`deduplicate` drops what is there already."
      ).with(.retryAfter, "1")
    }
    counts.accepted(accepted.count)
    return .json { $0.member("accepted", Int64(accepted.count)) }
  }

  /// Milliseconds since the Unix epoch: for what is said, and for when events came in. Results
  /// never depend on it.
  static func wallClock() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

extension Reply {
  fileprivate static var unauthorized: Reply {
    Reply.error(
      .unauthorized, "unauthorized", "show the token: `Authorization: Bearer …`"
    ).with(.wwwAuthenticate, "Bearer")
  }

  fileprivate static var starting: Reply {
    Reply.error(.serviceUnavailable, "starting", "the run has not begun yet").with(
      .retryAfter, "1")
  }

  fileprivate static func notReady(_ partition: Int) -> Reply {
    Reply.error(
      .serviceUnavailable, "partition_not_ready",
      "partition \(partition) is being restored or is very busy; ask again"
    ).with(.retryAfter, "1")
  }

  fileprivate static func unknownAccount(_ account: String) -> Reply {
    .error(.notFound, "unknown_account", "nothing is known of the account \(account)")
  }

  /// Nothing was taken: what is wrong with each event that is wrong.
  fileprivate static func refused(_ problems: [EventCheck.Problem], of count: Int) -> Reply {
    .error(
      .badRequest, "refused_events",
      "\(problems.count) of \(count) events are refused, and none was taken; mend or leave them out"
    ) { json in
      json.member("accepted", 0 as Int64)
      json.key("refused")
      json.beginArray()
      for problem in problems.prefix(1_000) {
        json.beginObject()
        json.member("index", Int64(problem.index))
        json.member("reason", text: problem.rejection.reason.code)
        if let field = problem.rejection.field { json.member("field", text: field) }
        json.member("detail", text: problem.rejection.detail)
        json.endObject()
      }
      json.endArray()
    }
  }
}

/// Waits for an answer, but not for ever.
enum Patience {
  private final class Once<T: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<T?, Never>?>

    init(_ continuation: CheckedContinuation<T?, Never>) { self.continuation = Mutex(continuation) }

    func resume(_ value: T?) {
      let first = continuation.withLock { continuation in
        defer { continuation = nil }
        return continuation
      }
      first?.resume(returning: value)
    }
  }

  /// - Returns: nil where the time is up; what was asked may still come to its end then.
  static func wait<T: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async -> T
  ) async -> T? {
    await withCheckedContinuation { continuation in
      let once = Once(continuation)
      let timer = Task {
        // Cancelled: the answer was there first.
        guard (try? await Task.sleep(for: limit)) != nil else { return }
        once.resume(nil)
      }
      Task {
        once.resume(await body())
        timer.cancel()
      }
    }
  }
}
