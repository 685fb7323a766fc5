import Events
import Operators
import Simulation
import Streaming
import TestKit
import Testing

/// The same log gives the same results, whatever else is different: for the whole live topology.
@Suite struct LiveIdentityTests {
  private let topology: CheckedTopology
  private let replaying: Replaying

  init() throws {
    topology = try Living.topology()
    replaying = Replaying(topology: topology, registry: OperatorRegistry.all)
  }

  @Test func everyStreamIsUsed() throws {
    let outcome = try replaying.run(Living.history(3_000, seed: 5).records, publishAtEnd: true)
    for sink in topology.sinks {
      let count = try Living.records(outcome, of: sink.name, in: topology).count
      #expect(count > 3, "\(sink.name): \(count) records")
    }
  }

  @Test func twiceIsTheSame() throws {
    let records = Living.history(2_000, seed: 5).records
    let once = try replaying.run(records, publishAtEnd: true)
    #expect(try replaying.run(records, publishAtEnd: true) == once)
    #expect(once.outputs.count > 5_000)
  }

  @Test(arguments: [1, 7, 256, 257])
  func batchesDoNotMatter(fetchLimit: Int) throws {
    let records = Living.history(2_000, seed: 6).records
    let whole = try replaying.run(records, fetchLimit: 4096)
    #expect(try replaying.run(records, fetchLimit: fetchLimit) == whole)
    #expect(try replaying.run(records, commitEvents: fetchLimit) == whole)
  }

  @Test func anotherSeedDrawsOtherwise() throws {
    let records = Living.history(1_500, seed: 8).records
    let other = try CheckedTopology.parse(
      text: """
        topology: live
        seed: 2
        sources: { events: { log: { directory: data, topics: [events] } } }
        operators:
          people: { operator: identity, from: events }
          journeys: { operator: journeys, from: people }
          credits: { operator: attribution, from: journeys }
          posteriors: { operator: posteriors, from: [journeys, credits] }
        sinks: { estimates: { from: posteriors, log: { topic: estimates } } }
        """,
      file: "other.yaml", overrides: [], registry: OperatorRegistry.all.map(\.description))
    let one = try CheckedTopology.parse(
      text: """
        topology: live
        seed: 1
        sources: { events: { log: { directory: data, topics: [events] } } }
        operators:
          people: { operator: identity, from: events }
          journeys: { operator: journeys, from: people }
          credits: { operator: attribution, from: journeys }
          posteriors: { operator: posteriors, from: [journeys, credits] }
        sinks: { estimates: { from: posteriors, log: { topic: estimates } } }
        """,
      file: "one.yaml", overrides: [], registry: OperatorRegistry.all.map(\.description))
    func draws(_ topology: CheckedTopology) throws -> [Double] {
      let outcome = try Replaying(topology: topology, registry: OperatorRegistry.all).run(records)
      return try Living.records(outcome, of: "estimates", in: topology).compactMap {
        ($0["ctr"] as? [String: Any])?["draw"] as? Double
      }
    }
    let (a, b) = (try draws(one), try draws(other))
    #expect(a.count == b.count && a.count > 1_000)
    #expect(a != b)
    #expect(try draws(one) == a)
  }

  /// Crashes, refused commits, torn snapshots and zombies; what was committed is what an
  /// undisturbed run gives, each output once.
  @Test func survivesFaults() throws {
    var (crashes, recoveries, outputs, snapshots) = (0, 0, 0, 0)
    for seed in 1...60 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let records = Living.history(
        choice.inside(50...300), seed: seed, duration: .minutes(Int64(choice.inside(5...30)))
      ).records
      var settings = FaultSimulation.Settings()
      settings.idleClock = choice.once(in: 2)
      let expected = settings.idleClock ? nil : try replaying.run(records).digest
      var simulation = FaultSimulation(
        topology: topology, registry: OperatorRegistry.all,
        inputs: [LogInput(source: "events", topic: "events")], history: [records], seed: seed,
        settings: settings)
      let report = simulation.run(expectedDigest: expected)
      #expect(report.failure == nil, "seed \(seed)")
      crashes += report.crashes
      recoveries += report.recoveries
      snapshots += report.snapshots
      outputs += report.outputs
    }
    print(
      "\(crashes) crashes, \(recoveries) recoveries, \(snapshots) snapshots, \(outputs) outputs")
    #expect(crashes > 60 && recoveries > 20 && snapshots > 20 && outputs > 10_000)
  }

  /// Whoever an account shares its partition with, its outputs are the same.
  @Test func partitionsDoNotMatter() throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      let records = inTime(Living.history(1_200, seed: seed, accounts: 6) { $0.latePerMillion = 0 })
      let one = try run(records, over: 1)
      #expect(one.outputs.count == 6)
      for count in [2, 5] {
        let many = try run(records, over: count)
        #expect(many.digest == one.digest, "seed \(seed), \(count) partitions")
        for (account, outputs) in one.outputs.sorted(by: { $0.key < $1.key }) {
          let others = many.outputs[account] ?? []
          if let place = zip(outputs, others).enumerated().first(where: { $1.0 != $1.1 }) {
            Issue.record("seed \(seed), \(count) partitions, \(account): \(place)")
            return
          }
          #expect(outputs.count == others.count, "seed \(seed), \(count) partitions, \(account)")
        }
      }
    }
  }

  private struct Owned {
    var bytes: [UInt8]
    var account: String
    var time: Int64
  }

  /// The good records in time order, each with its account.
  private func inTime(_ history: Living.History) -> [Owned] {
    var decoder = EventDecoder()
    var owned: [Owned] = []
    for record in history.records {
      record.withUnsafeBytes { raw in
        guard let routing = decoder.routing(of: raw) else { return }
        owned.append(
          Owned(
            bytes: record, account: routing.account.string, time: routing.time.milliseconds))
      }
    }
    return owned.enumerated().sorted {
      ($0.element.time, $0.offset) < ($1.element.time, $1.offset)
    }.map(\.element)
  }

  private func run(_ records: [Owned], over count: Int) throws -> (
    outputs: [String: [String]], digest: StateDigest
  ) {
    let inputs = [LogInput(source: "events", topic: "events")]
    let brokers = (0..<count).map { _ in SimulatedBroker(inputs: inputs) }
    for record in records {
      if record.account.isEmpty {
        // Heartbeats are everybody's.
        for broker in brokers { broker.append(record.bytes) }
        continue
      }
      let hash = Array(record.account.utf8).withUnsafeBufferPointer { Hash.text($0) }
      brokers[Int(hash % UInt64(count))].append(record.bytes)
    }
    let engine = try Engine(
      topology: topology, registry: OperatorRegistry.all,
      partitions: brokers.enumerated().map { index, broker in
        Engine.Partition(
          log: broker.open(),
          options: RunnerOptions(
            mode: .replay, partition: index, partitionCount: count, commitEvents: 100))
      },
      workers: 2)
    try engine.run()
    var outputs: [String: [String]] = [:]
    for text in brokers.flatMap(\.outputTexts) {
      let key = text.split(separator: " ")[1].prefix { $0 != "/" }
      outputs[String(key), default: []].append(OperatorContract.withoutSource(text))
    }
    var digest = StateDigest()
    for status in engine.statuses {
      if let part = status.current.digest { digest.add(part) }
    }
    return (outputs, digest)
  }
}
