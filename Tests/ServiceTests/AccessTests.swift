import Streaming
import Synchronization
import TestClient
import TestKit
import Testing

@testable import Service

@Suite struct AccessTests {
  private static let secret = "correct-horse-battery"

  @Test func onlyWhoShowsTheTokenGetsIn() async throws {
    try await withWorld(token: BearerToken(AccessTests.secret)) { world in
      let port = world.port
      for open in ["/health/live", "/health/ready"] {
        #expect(await ask(port, open).status == 200)
      }
      let wrong = [
        [], ["Authorization: Bearer "], ["Authorization: Bearer wrong-wrong-wrong-wrong"],
        ["Authorization: Basic \(AccessTests.secret)"],
        ["Authorization: Bearer \(AccessTests.secret)x"],
        ["Authorization: Bearer \(AccessTests.secret.dropLast())"],
        ["Authorization: \(AccessTests.secret)"],
      ]
      for target in ["/", "/metrics", "/v1/topology", "/v1/accounts/a/campaigns/c", "/nothing"] {
        for headers in wrong {
          let answer = await ask(port, target, headers: headers)
          #expect(answer.status == 401, "\(target) \(headers)")
          #expect(answer.headers["www-authenticate"] == "Bearer")
          #expect(!answer.body.contains("correct"))
        }
      }
      let refused = await ask(
        port, "POST", "/v1/events", headers: ["Content-Type: application/json"],
        body: Array(World.record(id: "1", account: "a").utf8))
      #expect(refused.status == 401)
      #expect(world.intake.taken.withLock { $0.isEmpty })
      for scheme in ["Bearer", "bearer"] {
        let header = "Authorization: \(scheme) \(AccessTests.secret)"
        #expect(await ask(port, "/metrics", headers: [header]).status == 200)
        #expect(await ask(port, "/nothing", headers: [header]).status == 404)
        // With a token, any name of the machine will do.
        #expect(
          await say(
            port, "GET /metrics HTTP/1.1\r\nHost: bidmill.internal\r\n\(header)\r\n\r\n"
          ).status == 200)
      }
    }
  }

  /// What a page of a browser on this machine can send.
  @Test func otherSitesDoNotReachAnOpenService() async throws {
    try await withWorld { world in
      let port = world.port
      let evil = await say(port, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n")
      #expect(evil.status == 421)
      for type in [["Content-Type: text/plain"], []] {
        let answer = await ask(
          port, "POST", "/v1/events", headers: type,
          body: Array(World.record(id: "1", account: "a").utf8))
        #expect(answer.status == 415)
      }
      #expect(world.intake.taken.withLock { $0.isEmpty })
    }
  }

  @Test func addressesOfOthersNeedAToken() throws {
    let everywhere = ServiceAddress(host: "0.0.0.0", port: 8080)
    #expect(throws: LogError.self) { try ServiceConfiguration(address: everywhere) }
    _ = try ServiceConfiguration(address: everywhere, token: BearerToken(AccessTests.secret))
    for (text, host, port, isLoopback) in [
      ("127.0.0.1:8080", "127.0.0.1", 8080, true), ("8080", "127.0.0.1", 8080, true),
      ("localhost:1", "localhost", 1, true), ("[::1]:9", "::1", 9, true),
      ("127.9.9.9:0", "127.9.9.9", 0, true), ("0.0.0.0:80", "0.0.0.0", 80, false),
      ("[::]:80", "::", 80, false), ("10.0.0.1:65535", "10.0.0.1", 65535, false),
      ("127.0.0.1.evil.example:1", "127.0.0.1.evil.example", 1, false),
      ("127.evil:1", "127.evil", 1, false),
    ] as [(String, String, Int, Bool)] {
      let address = ServiceAddress(text)
      #expect(address == ServiceAddress(host: host, port: port), "\(text)")
      #expect(address?.isLoopback == isLoopback, "\(text)")
    }
    for text in [
      "", ":", "a:", ":1", "a:65536", "a:-1", "a:+1", "::1:80", "[::1]", "[::1]80", "a b:1", "off",
    ] {
      #expect(ServiceAddress(text) == nil, "\(text)")
    }
  }

  @Test func tokensAreLongAndNeverShown() {
    #expect(BearerToken("short") == nil)
    #expect(BearerToken("has a blank in it, long") == nil)
    #expect(BearerToken("nicht-ganz-ASCII-é-é-é") == nil)
    let token = BearerToken("  \(AccessTests.secret)\n")
    #expect(token?.isShown(in: "Bearer \(AccessTests.secret)") == true)
    #expect("\(token as Any) \(String(reflecting: token))".contains("correct") == false)
  }

  @Test func anAddressThatIsTakenIsSaid() async throws {
    try await withWorld { world in
      let address = ServiceAddress(host: "127.0.0.1", port: world.port)
      let second = HTTPService(try ServiceConfiguration(address: address))
      let message = await Blocking.run { () -> String in
        do throws(LogError) {
          try second.start()
          return "it listens"
        } catch { return "\(error.kind) \(error.message)" }
      }
      #expect(message.hasPrefix("unavailable "), "\(message)")
      #expect(message.contains("\(address)") && message.contains("--http"), "\(message)")
    }
  }

  /// Whoever is slow loses the connection; nobody else notices.
  @Test func slowClientsDoNotStandInTheWay() async throws {
    try await withWorld(requestTimeout: .milliseconds(300)) { world in
      let port = world.port
      async let ends = withTaskGroup(of: Bool.self) { group in
        for part in [
          "GET /metrics HT", "POST /v1/events HTTP/1.1\r\nHost: localhost\r\n",
          "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + "Content-Length: 100\r\n\r\n{\"type\":",
        ] {
          group.addTask {
            await Blocking.run {
              guard let connection = Connection(port: port) else { return false }
              connection.send(Array(part.utf8))
              // The end of the connection, or an answer that says why, and then the end.
              while !connection.receive().isEmpty {}
              return true
            }
          }
        }
        return await group.allSatisfy { $0 }
      }
      for _ in 0..<20 { #expect(await ask(port, "/health/live").status == 200) }
      #expect(await ends)
      #expect(await ask(port, "/health/live").status == 200)
    }
  }

  @Test func whatIsNotHTTPIsRefused() async throws {
    try await withWorld { world in
      let port = world.port
      for text in ["\u{1}\u{2}\u{3}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let status = await say(port, text).status
        #expect(status == 400 || status == 0, "\(text)")
      }
      #expect(await ask(port, "/health/live").status == 200)
    }
  }
}
