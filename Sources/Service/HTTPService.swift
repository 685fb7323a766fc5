import Dispatch
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
public import Streaming
import Synchronization

/// How the service is reached and what it allows.
public struct ServiceConfiguration: Sendable {
  public var address: ServiceAddress
  /// Needed for everything but health where it is set.
  public var token: BearerToken?
  /// Of the program.
  public var version = ""
  /// Longest body of a request.
  public var bodyBytesMax = 8 << 20
  /// A request that is not answered by then loses its connection.
  public var requestTimeout = Duration.seconds(30)
  /// A partition that does not answer by then is too busy.
  public var answerTimeout = Duration.seconds(2)
  public var connectionsMax = 256
  public var clock: any MonotonicClock = SystemClock()

  /// - Throws: `.configuration` where others than this machine could reach it without a token.
  public init(address: ServiceAddress, token: BearerToken? = nil) throws(LogError) {
    guard address.isLoopback || token != nil else {
      throw LogError(
        .configuration,
        "\(address) can be reached from other machines: set a token, or listen on "
          + "\(ServiceAddress.standard.host)")
    }
    self.address = address
    self.token = token
  }
}

/// The HTTP server of a run.
///
/// Runs on one thread of its own and on Swift's pool; nothing of it runs on a partition's thread
/// but the answers to questions.
public final class HTTPService: Sendable {
  private enum Phase {
    case new
    case listening(port: Int)
    case failed(String)
    case ended
  }

  private let responder: Responder
  private let phase = Mutex(Phase.new)
  private let begun = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)
  private let group = Mutex<ServiceGroup?>(nil)

  public init(_ configuration: ServiceConfiguration) { responder = Responder(configuration) }

  /// Where it listens; nil while it does not.
  public var port: Int? {
    phase.withLock { if case .listening(let port) = $0 { port } else { nil } }
  }

  /// The run that it speaks of from now on.
  public func attach(_ run: RunningTopology) { responder.attach(run) }

  /// The run is ending: not ready from now on, and no more events are taken.
  public func beginStopping() { responder.beginStopping() }

  /// Begins to listen; returns when requests are answered. Blocks; call it once.
  ///
  /// - Throws: `.unavailable` where the address is taken or not this machine's.
  public func start() throws(LogError) {
    Task.detached { await self.serve() }
    begun.wait()
    guard case .failed(let why) = phase.withLock({ $0 }) else { return }
    let address = responder.configuration.address
    throw LogError(
      .unavailable,
      "the service cannot listen on \(address): \(why). Name another address with --http, or leave "
        + "it out with --http off")
  }

  /// Answers what is under way, takes in what has come, and ends. Blocks for some seconds at most.
  public func stop() {
    responder.beginStopping()
    guard let group = group.withLock({ $0 }) else { return }
    Task.detached { await group.triggerGracefulShutdown() }
    _ = ended.wait(timeout: .now() + .seconds(8))
    responder.intake?.close()
  }

  private func serve() async {
    let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let logger = Logger(label: "bidmill.http") { _ in SwiftLogNoOpLogHandler() }
    let configuration = responder.configuration
    do {
      let server = try HTTPServerBuilder.http1(
        configuration: HTTP1Channel.Configuration(
          idleTimeout: TimeAmount(configuration.requestTimeout))
      ).buildServer(
        configuration: ServerConfiguration(
          address: .hostname(configuration.address.host, port: configuration.address.port),
          availableConnectionsDelegate: MaximumAvailableConnections(configuration.connectionsMax)),
        eventLoopGroup: threads, logger: logger,
        responder: { request, writer, channel in
          try await self.handle(request, writer, channel)
        },
        onServerRunning: { channel in
          self.phase.withLock { $0 = .listening(port: channel.localAddress?.port ?? 0) }
          self.begun.signal()
        })
      var services = ServiceGroupConfiguration(
        services: [
          .init(service: server), .init(service: Watch(responder: responder)),
        ], logger: logger)
      services.maximumGracefulShutdownDuration = .seconds(5)
      let group = ServiceGroup(configuration: services)
      self.group.withLock { $0 = group }
      try await group.run()
      phase.withLock { $0 = .ended }
    } catch {
      let hasBegun = phase.withLock { phase in
        if case .new = phase {
          phase = .failed(HTTPService.text(error))
          return false
        }
        phase = .ended
        return true
      }
      if !hasBegun { begun.signal() }
    }
    try? await threads.shutdownGracefully()
    ended.signal()
  }

  private static func text(_ error: any Error) -> String {
    guard let error = error as? IOError else { return "\(error)" }
    return switch error.errnoCode {
    case EADDRINUSE: "another process listens there"
    case EADDRNOTAVAIL: "it is no address of this machine"
    case EACCES: "this user may not"
    default: "\(error)"
    }
  }

  // MARK: Requests

  private func handle(
    _ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
  ) async throws {
    // Slow senders and slow readers alike.
    let limit = channel.eventLoop.scheduleTask(
      in: TimeAmount(responder.configuration.requestTimeout)
    ) {
      channel.close(mode: .all, promise: nil)
    }
    defer { limit.cancel() }
    let isExpecting = request.headers[.expect]?.lowercased() == "100-continue"
    let body = BodyReader(request, limit: responder.configuration.bodyBytesMax)
    if isExpecting, body.fits { try await writer.writeInformationalHead(.init(status: .continue)) }
    let reply: Reply
    do {
      reply = try await responder.respond(request) { try await body.read() }
    } catch {
      // The connection is gone, or what came is no HTTP.
      responder.counts.answered("(broken)", status: 400)
      throw error
    }
    let route = Route(request.head.path ?? "/")?.name ?? "(other)"
    responder.counts.answered(route, status: reply.status.code)
    let response = reply.response
    if request.method == .head {
      try await writer.writeResponse(response.head)
    } else {
      try await writer.write(response: response.head, body: response.body)
    }
    guard reply.closes else { return }
    // What was sent before the answer could be read is let in, for a while: a connection that is
    // closed over unread bytes loses the answer.
    await body.discard(upTo: 4 * responder.configuration.bodyBytesMax)
    try await channel.close()
  }
}

/// Reads a body up to a limit. A body can be walked once only.
private final class BodyReader {
  private let request: Request
  private let limit: Int
  private var iterator: RequestBody.AsyncIterator?

  init(_ request: Request, limit: Int) {
    self.request = request
    self.limit = limit
  }

  private func next() async throws -> ByteBuffer? {
    var walk = iterator ?? request.body.makeAsyncIterator()
    defer { iterator = walk }
    return try await walk.next()
  }

  /// As far as its header says.
  var fits: Bool {
    guard let length = request.headers[.contentLength].flatMap({ Int($0) }) else { return true }
    return length <= limit
  }

  /// nil where it is longer than the limit.
  func read() async throws -> [UInt8]? {
    guard fits else { return nil }
    var bytes: [UInt8] = []
    while let buffer = try await next() {
      guard bytes.count + buffer.readableBytes <= limit else { return nil }
      bytes.append(contentsOf: buffer.readableBytesView)
    }
    return bytes
  }

  func discard(upTo count: Int) async {
    var left = count
    do {
      while let buffer = try await next() {
        left -= buffer.readableBytes
        if left < 0 { return }
      }
    } catch {
      // Whoever sent it has gone: that is all that was wanted.
      return
    }
  }
}

/// Looks at the partitions once a second, so that it is known how long one has stood still.
private struct Watch: ServiceLifecycle.Service {
  let responder: Responder

  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        if let run = responder.run { responder.health.look(at: run.partitions()) }
        responder.intake?.rest()
        // Cancelled: the service ends.
        guard (try? await Task.sleep(for: .seconds(1))) != nil else { return }
      }
    }
  }
}
