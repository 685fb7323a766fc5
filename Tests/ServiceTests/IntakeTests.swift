import Events
import Streaming
import Synchronization
import TestClient
import TestKit
import Testing

@testable import Service

@Suite struct IntakeTests {
  private static let json = ["Content-Type: application/json"]

  private func post(
    _ world: World, _ body: String, target: String = "/v1/events",
    headers: [String] = IntakeTests.json
  ) async -> Answer {
    await ask(world.port, "POST", target, headers: headers, body: Array(body.utf8))
  }

  @Test func takesOneSeveralAndLines() async throws {
    try await withWorld { world in
      let one = World.record(id: "1", account: "acme")
      let two = World.record(id: "2", account: "acme")
      let three = World.record("click", id: "3", account: "other")
      #expect(await post(world, one).value("accepted") as? Int == 1)
      #expect(await post(world, " [\(two) ,\n\(three)]\n").value("accepted") as? Int == 2)
      let lines = (4...6).map { World.record(id: "\($0)", account: "acme") }
        .joined(separator: "\r\n")
      let answer = await post(
        world, lines + "\n", headers: ["Content-Type: application/x-ndjson; charset=utf-8"])
      #expect(answer.status == 200 && answer.value("accepted") as? Int == 3)
      let pretty = """
        {
          "type": "impression", "id": "7", "time": \(World.time),
          "account": "acme", "campaign": "c",
          "ad": "a", "price": "0.5"
        }
        """
      #expect(await post(world, pretty).status == 200)
      let taken = world.intake.taken.withLock { $0 }
      #expect(taken.count == 7)
      #expect(taken.allSatisfy { !$0.value.contains(0x0A) && !$0.value.contains(0x0D) })
      #expect(
        taken.map { String(decoding: $0.key, as: UTF8.self) }.filter { $0 == "acme" }.count == 6)
      // A topic that is named after the type is its own.
      #expect(
        taken.map(\.topic) == ["events", "events", "clicks"] + Array(repeating: "events", count: 4))
      #expect(taken.allSatisfy { $0.time == World.time && $0.receivedAt > World.time })
      _ = await until(
        "the events", await ask(world.port, "/v1/accounts/acme/campaigns/c/ads/a")
      ) { $0.value("operators", "totals", "impressions") as? Int == 6 }
    }
  }

  @Test func takesAllOrNothing() async throws {
    try await withWorld { world in
      let good = World.record(id: "1", account: "acme")
      let far = World.record(id: "2", account: "acme", time: 4_102_444_800_000)
      let answer = await post(
        world,
        [
          good, #"{"type":"click","id":"3"}"#, "{\"type\":}", far, "17",
          #"{"type":"prior","id":"p","time":1,"kind":"k","payload":"{}"}"#,
        ].joined(separator: "\n"))
      #expect(answer.status == 400)
      #expect(answer.value("accepted") as? Int == 0)
      #expect(answer.errorCode == "refused_events")
      let reasons = (0..<5).map { answer.value("refused", $0, "reason") as? String ?? "" }
      #expect(
        reasons == [
          "missing_field", "malformed_json", "out_of_range", "malformed_json", "invalid_field",
        ])
      #expect((0..<5).map { answer.value("refused", $0, "index") as? Int } == [1, 2, 3, 4, 5])
      #expect(world.intake.taken.withLock { $0.isEmpty })
    }
  }

  @Test func refusesBodiesThatAreNone() async throws {
    try await withWorld { world in
      let good = World.record(id: "1", account: "acme")
      for (body, code) in [
        ("", "no_events"), ("  \n ", "no_events"), ("[]", "no_events"),
        ("[", "malformed_body"), ("[\(good)", "malformed_body"), ("[\(good),]", "malformed_body"),
        ("[\(good)] x", "malformed_body"), ("[\(good) \(good)]", "malformed_body"),
        ("{\"a\":\"", "malformed_body"), ("}", "malformed_body"), (good + ",", "malformed_body"),
      ] {
        let answer = await post(world, body)
        #expect(answer.status == 400 && answer.errorCode == code, "\(body): \(answer)")
      }
      #expect(
        await post(world, good, target: "/v1/events?topic=other").errorCode == "unknown_topic")
      #expect(world.intake.taken.withLock { $0.isEmpty })
      #expect(await post(world, good, target: "/v1/events?topic=clicks").status == 200)
      #expect(world.intake.taken.withLock { $0.map(\.topic) } == ["clicks"])
    }
  }

  @Test func refusesMoreEventsThanAreUseful() async throws {
    try await withWorld { world in
      let most = String(repeating: "{}", count: EventBody.recordsMax)
      #expect(await post(world, most).errorCode == "refused_events")
      for body in [most + "{}", "[" + most.replacing("}{", with: "},{") + ",{}, what"] {
        let answer = await post(world, body)
        #expect(answer.status == 413 && answer.errorCode == "too_many")
      }
      #expect(world.intake.taken.withLock { $0.isEmpty })
    }
  }

  @Test func refusesWhatIsTooLarge() async throws {
    try await withWorld(bodyBytesMax: 10_000) { world in
      let port = world.port
      let record = World.record(id: "1", account: "acme")
      let large = String(repeating: record + "\n", count: 200)
      #expect(await post(world, large).status == 413)
      // Without a length, and more than the connection's buffers hold.
      let status = await Blocking.run {
        guard let connection = Connection(port: port) else { return -1 }
        var head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"
        head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.send(Array(head.utf8))
        let chunk = Array((String(large.utf8.count, radix: 16) + "\r\n" + large + "\r\n").utf8)
        for _ in 0..<400 { if !connection.send(chunk) { break } }
        return connection.answer().status
      }
      #expect(status == 413 || status == 0)
      // Whoever asks first is told before anything is sent.
      let expected = await ask(
        port, "POST", "/v1/events",
        headers: IntakeTests.json + ["Expect: 100-continue"], body: Array(record.utf8))
      #expect(expected.status == 200)
      #expect(world.intake.taken.withLock { $0.count } == 1)
      #expect(await post(world, record).status == 200)
    }
  }

  @Test func saysWhenTheLogDoesNotTakeThem() async throws {
    try await withWorld { world in
      let record = World.record(id: "1", account: "acme")
      world.intake.failure.withLock {
        $0 = LogError(.unavailable, "Another process appends to partition 0 of events.")
      }
      let refused = await post(world, record)
      #expect(refused.status == 503 && refused.errorCode == "not_appended")
      #expect(refused.text("error", "message")?.contains("Another process appends") == true)
      #expect(refused.headers["retry-after"] == "1")
      world.intake.failure.withLock { $0 = nil }
      #expect(await post(world, record).status == 200)
      world.service.beginStopping()
      #expect(await post(world, record).status == 503)
      #expect(world.intake.taken.withLock { $0.count } == 1)
    }
  }

  @Test func heartbeatsGoEverywhere() async throws {
    try await withWorld { world in
      #expect(await post(world, #"{"type":"heartbeat","time":\#(World.time)}"#).status == 200)
      #expect(world.intake.taken.withLock { $0.map(\.isForAll) } == [true])
      #expect(world.brokers.map { $0.recordCounts[0] } == [1, 1])
    }
  }

  @Test func manyMaySendAtOnce() async throws {
    try await withWorld { world in
      await withTaskGroup(of: Void.self) { group in
        for sender in 0..<8 {
          group.addTask {
            for i in 0..<10 {
              let record = World.record(id: "\(sender)-\(i)", account: "account-\(sender)")
              let answer = await post(world, record)
              #expect(answer.status == 200, "\(answer)")
            }
          }
        }
      }
      #expect(world.intake.taken.withLock { $0.count } == 80)
    }
  }

  // MARK: Bodies

  @Test func findsRecordsInAnyBody() {
    var problem = ""
    let body = Array(#"[{"a":"]}","b":[1,{"c":"\\\"}"}]} , 5,"x" ]"#.utf8)
    let records = EventBody(body, problem: &problem)?.records.map {
      String(decoding: $0, as: UTF8.self)
    }
    #expect(records == [#"{"a":"]}","b":[1,{"c":"\\\"}"}]}"#, "5", #""x""#])
    let lines = EventBody(Array("{\"a\":\n1}{\"b\":\"\n\"}\n7 8".utf8), problem: &problem)
    #expect(
      lines?.records.map { String(decoding: $0, as: UTF8.self) }
        == ["{\"a\": 1}", "{\"b\":\"\n\"}", "7", "8"])
  }

  /// Whatever comes, it ends, and the records are of the body.
  @Test func survivesAnyBytes() {
    let seed: UInt64 = 20_260_101
    var random = SplitMix64(seed: seed)
    let alphabet = Array(#"{}[]",:\ 1a"#.utf8) + [0x0A, 0x0D, 0x00, 0xFF]
    var accepted = 0
    for round in 0..<20_000 {
      let body = (0..<Int(random.next() % 24)).map { _ in
        alphabet[Int(random.next() % UInt64(alphabet.count))]
      }
      var problem = ""
      guard let parsed = EventBody(body, problem: &problem) else {
        #expect(!problem.isEmpty, "seed \(seed), round \(round)")
        continue
      }
      accepted += 1
      let bytes = parsed.records.reduce(0) { $0 + $1.count }
      #expect(bytes <= body.count, "seed \(seed), round \(round): \(body)")
      #expect(parsed.records.allSatisfy { !$0.isEmpty }, "seed \(seed), round \(round): \(body)")
    }
    print("seed \(seed): \(accepted) of 20000 bodies hold together")
    #expect(accepted > 100)
  }
}
