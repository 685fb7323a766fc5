import Testing

/// `run --rebuild` on a local log.
@Suite struct RebuildCommandTests {
  private let work = Workplace()
  private static let topology = Workplace.repository + "/Topologies/live.yaml"

  private func run(_ arguments: String...) -> Outcome {
    work.run(
      ["run", Self.topology, "--exit-when-idle", "2s", "-q", "--json"] + arguments,
      environment: environment)
  }

  private var environment: [String: String] {
    [
      "LIVE_LOG": work.path + "/data", "LIVE_STATE": work.path + "/state", "IDENTITY_KEY": "key",
    ]
  }

  /// Each ad's records: partition and offset, key, `seq`.
  private func published() -> [(key: String, sequence: Int64)] {
    work.run("log", "cat", "data", "bid-parameters", "--keys").lines.compactMap { line in
      guard let start = line.firstRange(of: #""seq":"#),
        let sequence = Int64(line[start.upperBound...].prefix { $0.isNumber })
      else { return nil }
      return (String(line.prefix { $0 != "\t" }), sequence)
    }
  }

  @Test func publishesAllBidsAgainUnderTheTopologyAsItIsNow() throws {
    _ = try MadeHistory(4_000, seed: 4, to: work.path + "/events.jsonl")
    let imported = work.run(
      "log", "import", "data", "--topic", "events", "--partitions", "2", "events.jsonl", "-q")
    #expect(imported.status == 0, "\(imported.errors)")
    #expect(run().status == 0)
    let before = published()
    #expect(before.count > 50)

    let rebuilt = run("--rebuild")
    #expect(rebuilt.status == 0, "\(rebuilt.errors)")
    let all = published()
    let counts = Dictionary(grouping: all, by: \.key).mapValues(\.count)
    for (key, records) in Dictionary(grouping: before, by: \.key) {
      #expect(counts[key] ?? 0 > records.count, "\(key)")
    }
    var last: [String: Int64] = [:]
    for (key, sequence) in all {
      #expect(sequence > last[key] ?? 0)
      last[key] = sequence
    }

    let audit = work.run(
      "replay", Self.topology, "--from", "data", "--out", "audit", "-q", "--json",
      environment: environment)
    #expect(audit.status == 0, "\(audit.errors)")
    #expect(audit.member("digest") == rebuilt.member("digest"))

    let changed = run("--rebuild", "--set", "operators.posteriors.half_life=1d")
    #expect(changed.status == 0, "\(changed.errors)")
    #expect(published().count > all.count)
    #expect(changed.member("digest") != rebuilt.member("digest"))
    let goesOn = run("--set", "operators.posteriors.half_life=1d")
    #expect(goesOn.status == 0, "\(goesOn.errors)")
    let newest = work.files("state").filter { $0.hasSuffix(".snapshot") }.last ?? ""
    let inspected = work.run("inspect", newest)
    #expect(inspected.output.contains("rebuilt at commit"), "\(inspected.output)")
    #expect(work.run("log", "verify", "data").status == 0)
  }
}
