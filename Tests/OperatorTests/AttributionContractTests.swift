import Events
import Operators
import Simulation
import Streaming
import TestKit
import Testing

/// What holds for every operator: results depend on the sequence alone.
@Suite struct AttributionContractTests {
  private func histories() throws -> WholeHistories {
    WholeHistories(topology: try Attributing.topology())
  }

  @Test func batchesMayBeCutAnywhere() throws {
    try histories().expectCutsMakeNoDifference(
      Attributing.history(2_000, seed: 5), limits: [1, 2, 7, 64, 1_000], outputsMin: 2_000)
  }

  @Test func theSameLogGivesTheSameResults() throws {
    let records = Attributing.history(1_000, seed: 6)
    #expect(try histories().replaying.run(records) == histories().replaying.run(records))
  }

  @Test func survivesFaults() throws {
    try histories().expectFaultsAreSurvived(seeds: 1...60, least: 20) { seed in
      var choice = SeededChoice(seed: seed)
      return Attributing.history(
        choice.inside(50...300), seed: seed, duration: .minutes(Int64(choice.inside(5...30))))
    }
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
