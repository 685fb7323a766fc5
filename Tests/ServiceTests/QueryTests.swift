import Events
import Operators
import Streaming
import TestClient
import TestKit
import Testing

@testable import Service

@Suite struct QueryTests {
  @Test func tellsOfAnAdAndItsCampaign() async throws {
    try await withWorld { world in
      world.add(id: "1", account: "acme", campaign: "spring/summer", ad: "100% é")
      world.add("click", id: "2", account: "acme", campaign: "spring/summer", ad: "100% é")
      let target = "/v1/accounts/acme/campaigns/spring%2Fsummer/ads/100%25%20%C3%A9"
      let answer = await until("the click", await ask(world.port, target)) {
        $0.value("operators", "totals", "clicks") as? Int == 1
      }
      #expect(answer.status == 200)
      #expect(answer.headers["content-type"] == "application/json")
      #expect(answer.text("campaign") == "spring/summer")
      #expect(answer.text("ad") == "100% é")
      #expect(answer.value("partition") as? Int == World.partition(of: Array("acme".utf8)))
      #expect(answer.value("operators", "totals", "impressions") as? Int == 1)
      #expect(answer.value("operators", "totals", "spend") as? Double == 1)
      // Nothing else has anything to say.
      #expect((answer.value("operators") as? [String: Any])?.count == 1)
      let campaign = await ask(world.port, "/v1/accounts/acme/campaigns/spring%2Fsummer")
      #expect(campaign.status == 200)
      let short = await ask(world.port, "/v1/accounts/acme/ads/100%25%20%C3%A9")
      // Time goes on between two questions.
      #expect(
        short.body.replacing(/"time":[0-9]+/, with: "")
          == answer.body.replacing(/"time":[0-9]+/, with: ""))
      let head = await ask(world.port, "HEAD", target)
      #expect(head.status == 200)
      #expect(head.headers["content-length"] == "\(answer.body.utf8.count)")
      #expect(head.body == "")
    }
  }

  @Test func whatIsNotKnownIsNotFound() async throws {
    try await withWorld { world in
      world.add(id: "1", account: "acme", campaign: "c", ad: "a")
      world.add(id: "2", account: "acme", campaign: "d", ad: "a")
      world.add(id: "3", account: "acme", campaign: "d", ad: "b")
      _ = await until("the events", await ask(world.port, "/v1/accounts/acme/ads/b")) {
        $0.status == 200
      }
      for (target, status, code) in [
        ("/v1/accounts/none/campaigns/c", 404, "unknown_account"),
        ("/v1/accounts/none/ads/a", 404, "unknown_account"),
        ("/v1/accounts/acme/campaigns/none", 404, "unknown_campaign"),
        ("/v1/accounts/acme/campaigns/none/ads/a", 404, "unknown_campaign"),
        ("/v1/accounts/acme/campaigns/c/ads/b", 404, "unknown_ad"),
        ("/v1/accounts/acme/ads/none", 404, "unknown_ad"),
        ("/v1/accounts/acme/ads/a", 409, "ambiguous_ad"),
        ("/v1/accounts/acme/campaigns/%zz", 404, "not_found"),
        ("/v1/accounts/acme/campaigns/%ff", 404, "not_found"),
        ("/v1/accounts/acme/campaigns/", 404, "not_found"),
        ("/v1/accounts//campaigns/c", 404, "not_found"),
        ("/v1/accounts/acme", 404, "not_found"),
        ("/v2", 404, "not_found"), ("//", 404, "not_found"),
      ] as [(String, Int, String)] {
        let answer = await ask(world.port, target)
        #expect(answer.status == status && answer.errorCode == code, "\(target): \(answer)")
      }
      #expect(
        await ask(world.port, "/v1/accounts/acme/ads/a").value("campaigns") as? [String]
          == ["c", "d"])
      #expect(await ask(world.port, "POST", "/metrics", body: []).status == 405)
      #expect(await ask(world.port, "DELETE", "/v1/accounts/acme/campaigns/c").status == 405)
      let wrong = await ask(world.port, "GET", "/v1/events")
      #expect(wrong.status == 405 && wrong.headers["allow"] == "POST")
      let index = await ask(world.port, "/")
      #expect(index.status == 200 && index.text("service") == "bidmill")
    }
  }

  @Test func sendsToWhereAPartitionIs() async throws {
    try await withWorld(attached: false) { world in
      var run = world.run
      let engine = world.engine
      run.partitions = { engine.statuses.filter { $0.index == 1 } }
      world.service.attach(run)
      let here = (0..<10).map { "account-\($0)" }.filter {
        World.partition(of: Array($0.utf8)) == 0
      }
      let answer = await ask(world.port, "/v1/accounts/\(here[0])/campaigns/c")
      #expect(answer.status == 421)
      #expect(answer.errorCode == "other_partition")
      #expect(answer.value("partition") as? Int == 0)
      #expect(answer.value("partitions_here", 0) as? Int == 1)
      #expect(await ask(world.port, "/v1/accounts/\(here[0])/ads/a").status == 421)
    }
  }

  @Test func tellsOfTheTopology() async throws {
    try await withWorld { world in
      let answer = await until("reports", await ask(world.port, "/v1/topology")) {
        ($0.value("epochs") as? [Any])?.count == 2
      }
      #expect(answer.text("name") == "world")
      #expect(answer.text("canonical") == world.topology.canonicalText)
      #expect(answer.text("hash") == String(world.topology.hash, radix: 16))
      #expect(answer.value("epochs", 1, "number") as? Int == 1)
      #expect(answer.value("epochs", 1, "hash") as? String == answer.text("hash"))
      #expect(answer.text("mermaid")?.contains("totals") == true)
    }
  }

  /// Many ask while events come; every answer is of a state that there was.
  @Test func answersWhileEventsFlow() async throws {
    try await withWorld { world in
      let accounts = (0..<8).map { "account-\($0)" }
      for (i, account) in accounts.enumerated() { world.add(id: "first-\(i)", account: account) }
      let answers = await withTaskGroup(of: [(String, Int, Int)].self) { group in
        for worker in 0..<4 {
          group.addTask {
            var answers: [(String, Int, Int)] = []
            for i in 0..<64 {
              let account = accounts[(i + worker) % accounts.count]
              for k in 0..<5 { world.add(id: "\(worker)-\(i)-\(k)", account: account) }
              let answer = await ask(world.port, "/v1/accounts/\(account)/campaigns/c/ads/a")
              let count = answer.value("operators", "totals", "impressions") as? Int
              answers.append((account, answer.status, count ?? -1))
            }
            return answers
          }
        }
        var all: [[(String, Int, Int)]] = []
        for await answers in group { all.append(answers) }
        return all
      }
      for answers in answers {
        for account in accounts {
          let mine = answers.filter { $0.0 == account && $0.1 == 200 }
          #expect(mine.count == answers.filter { $0.0 == account }.count)
          #expect(mine.map(\.2) == mine.map(\.2).sorted())
        }
      }
      for account in accounts {
        let target = "/v1/accounts/\(account)/campaigns/c/ads/a"
        let last = await until("all events", await ask(world.port, target)) {
          $0.value("operators", "totals", "impressions") as? Int == 1 + 4 * 64 * 5 / 8
        }
        #expect(last.status == 200)
      }
    }
  }

  /// Questions and reports leave nothing behind: with them and without them it is the same state
  /// and the same outputs.
  @Test func askingChangesNothing() throws {
    func run(asking: Bool, seed: UInt64) throws -> (digest: String, outputs: [[UInt8]]) {
      let world = try World()
      let executor = SeededExecutor(seed: seed)
      let broker = SimulatedBroker(inputs: [LogInput(source: "events", topic: "events")])
      for i in 0..<600 {
        let record = World.record(
          i % 3 == 0 ? "click" : "impression", id: "\(i)", account: "account-\(i % 5)",
          ad: "ad-\(i % 7)", time: World.time + Int64(i) * 1_000)
        broker.append(Array(record.utf8))
      }
      let status = PartitionStatus(index: 0)
      let limit = 1 + executor.choose(below: 40)
      let actor = PartitionActor(
        runner: try PartitionRunner(
          topology: world.topology, registry: OperatorRegistry.all,
          log: broker.open(faults: SimulatedFaults(fetchLimit: { limit })), snapshots: nil,
          commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(),
          options: RunnerOptions(mode: .replay)),
        executor: executor, status: status,
        board: RunBoard(partitionCount: 1, wantsSnapshotAtEnd: false), clock: SystemClock())
      var known = 0
      while status.current.digest == nil {
        executor.run { actor.assumeIsolated { _ = $0.turn() } }
        guard asking else { continue }
        for i in 0..<4 {
          let question = Question(
            account: "account-\(i)", campaign: i == 3 ? "x" : "c", ad: i == 2 ? nil : "ad-\(i)")
          let answer = executor.run { actor.assumeIsolated { $0.answer(question) } }
          if case .known = answer { known += 1 }
        }
      }
      #expect(!asking || known > 0)
      return ("\(status.current.digest!)", broker.outputs.map(\.value))
    }
    for seed in 1...5 as ClosedRange<UInt64> {
      let (plain, asked) = (try run(asking: false, seed: seed), try run(asking: true, seed: seed))
      #expect(plain.digest == asked.digest, "seed \(seed)")
      #expect(plain.outputs == asked.outputs, "seed \(seed)")
      #expect(plain.outputs.count > 10)
    }
  }
}
