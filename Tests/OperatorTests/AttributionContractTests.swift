import Events
import Operators
import Simulation
import Streaming
import TestKit
import Testing

/// What holds for every operator: results depend on the sequence alone.
@Suite struct AttributionContractTests {
  private func replaying(_ topology: CheckedTopology? = nil) throws -> Replaying {
    Replaying(topology: try topology ?? Attributing.topology(), registry: OperatorRegistry.all)
  }

  @Test func batchesMayBeCutAnywhere() throws {
    let records = Attributing.history(2_000, seed: 5)
    let whole = try replaying().run(records, publishAtEnd: true)
    #expect(whole.outputs.count > 2_000)
    for limit in [1, 2, 7, 64, 1_000] {
      let cut = try replaying().run(
        records, fetchLimit: limit, commitEvents: limit * 3, publishAtEnd: true)
      #expect(cut == whole, "batches of \(limit)")
    }
  }

  @Test func theSameLogGivesTheSameResults() throws {
    let records = Attributing.history(1_000, seed: 6)
    #expect(try replaying().run(records) == replaying().run(records))
  }

  /// Crashes, refused commits, torn snapshots and zombies; snapshots are taken and restored at
  /// any point, and what was committed is what an undisturbed run gives.
  @Test func survivesFaults() throws {
    let topology = try Attributing.topology()
    var (recoveries, outputs, snapshots) = (0, 0, 0)
    for seed in 1...60 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let records = Attributing.history(
        choice.inside(50...300), seed: seed, duration: .minutes(Int64(choice.inside(5...30))))
      var settings = FaultSimulation.Settings()
      settings.idleClock = false
      let expected = try replaying(topology).run(records).digest
      var simulation = FaultSimulation(
        topology: topology, registry: OperatorRegistry.all,
        inputs: [LogInput(source: "events", topic: "events")], history: [records], seed: seed,
        settings: settings)
      let report = simulation.run(expectedDigest: expected)
      #expect(report.failure == nil, "seed \(seed)")
      recoveries += report.recoveries
      snapshots += report.snapshots
      outputs += report.outputs
    }
    print("\(recoveries) recoveries, \(snapshots) snapshots, \(outputs) outputs")
    #expect(recoveries > 20 && snapshots > 20 && outputs > 1_000)
  }

  /// One account's records and state are the same whether others share its partition or not.
  @Test func neighboursDoNotMatter() throws {
    var records = Attributing.history(3_000, seed: 7) {
      $0.latePerMillion = 0
      $0.badPerMillion = 0
    }
    let last = try #require(records.last.map { try Attributing.object(text($0))["time"] as? Int })
    records.append(Array(#"{"type":"heartbeat","time":\#((last ?? 0) + 60_000)}"#.utf8))
    func run(_ accounts: [String]) throws -> (StateDigest, [String]) {
      let driver = try Attributing.driver(Attributing.topology())
      var outputs: [String] = []
      for record in records {
        let text = text(record)
        guard text.contains("heartbeat") || accounts.contains(where: { text.contains($0) }) else {
          continue
        }
        try driver.send(record)
        for sink in ["attributions", "interactions", "touches", "alerts"] {
          outputs += driver.outputs(of: sink).map { withoutSource($0) }
        }
      }
      return (driver.digest, outputs)
    }
    let names = (0..<3).map { "acct-000\($0)" }
    let all = try run(names)
    var sum = StateDigest()
    for name in names {
      let alone = try run([name])
      sum.add(alone.0)
      #expect(alone.1.count > 500)
      #expect(alone.1 == all.1.filter { $0.contains(name) }, "\(name)")
    }
    #expect("\(sum)" == "\(all.0)")
  }

  private func withoutSource(_ output: String) -> String {
    guard let source = output.firstRange(of: #""source":{"#) else { return output }
    return String(output[..<source.lowerBound])
      + output[source.upperBound...].drop { $0 != "}" }
  }

  private func text(_ record: [UInt8]) -> String { String(decoding: record, as: UTF8.self) }

  /// What is old is forgotten: after a quiet month the state is that of nobody.
  @Test func stateIsBounded() throws {
    let driver = try Attributing.driver(
      Attributing.topology(
        people: "device_ttl: 5m, ttl: 10m", journeys: "lookback: 4m, max_touches: 6"))
    let empty = driver.digest
    var time: Int64 = 1_800_000_000_000
    for i in 0..<500 {
      time += 1_000
      var event = TestEvent()
      event.type = ["impression", "click", "conversion"][i % 3]
      event.id = "e\(i)"
      event.time = time
      event.user = "u\(i % 40)"
      event.device = "d\(i % 70)"
      event.clickID = "k\(i)"
      try driver.send(event.json)
    }
    #expect(driver.digest != empty)
    // Deduplication forgets within two of its windows.
    try driver.advance(to: EventTime(milliseconds: time + 30 * 86_400_000))
    #expect(driver.digest == empty)
  }
}
