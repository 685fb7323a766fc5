import Events
import Operators
import Streaming
import TestKit
import Testing

/// A changed topology begins a new epoch: state goes on from a snapshot, and what the old epoch
/// had published is not published again.
@Suite struct EpochTests {
  private func start(
    _ topology: CheckedTopology, _ broker: SimulatedBroker, commitEvents: Int = 100
  ) throws -> PartitionRunner {
    let runner = try PartitionRunner(
      topology: topology, registry: OperatorRegistry.all, log: broker.open(),
      snapshots: SimulatedSnapshots(broker), commitQueue: ImmediateQueue(),
      snapshotQueue: ImmediateQueue(),
      options: RunnerOptions(mode: .live, commitEvents: commitEvents))
    try runner.start(now: 0)
    return runner
  }

  private func runToEnd(_ runner: PartitionRunner) throws {
    while try runner.step(now: 0) == .advanced {}
    while try !runner.drain(now: 0, snapshot: true) {}
  }

  private func broker(_ records: ArraySlice<[UInt8]>) -> SimulatedBroker {
    let broker = SimulatedBroker(inputs: [LogInput(source: "events", topic: "events")])
    for record in records { broker.append(record) }
    return broker
  }

  private func epochs(_ broker: SimulatedBroker) throws -> [Epoch] {
    var found: [Epoch] = []
    for record in broker.journal {
      var reader = try record.withUnsafeBytes { try JournalReader($0) }
      while let entry = try reader.next() {
        if case .epoch(let epoch) = entry { found.append(epoch) }
      }
    }
    return found
  }

  @Test func theSameTopologyGoesOnInItsEpoch() throws {
    let records = History.records(800, seed: 3)
    let broker = broker(records[..<400])
    try runToEnd(try start(try Tallying.topology(), broker))
    for record in records[400...] { broker.append(record) }
    try runToEnd(try start(try Tallying.topology(), broker))
    #expect(try epochs(broker).map(\.number) == [1])
  }

  @Test func aChangedSettingBeginsAnEpochAtTheCleanStopsSnapshot() throws {
    let records = History.records(800, seed: 3)
    let broker = broker(records[..<400])
    try runToEnd(try start(try Tallying.topology(every: "1m"), broker))
    let stopped = broker.commitNumber
    let published = broker.outputs.count
    for record in records[400...] { broker.append(record) }
    let changed = try Tallying.topology(every: "10s")
    let runner = try start(changed, broker)
    try runToEnd(runner)
    let found = try epochs(broker)
    #expect(found.map(\.number) == [1, 2])
    #expect(found.last?.snapshot == stopped)
    #expect(found.last?.topologyHash == changed.hash)
    #expect(broker.outputs.count > published)
    // The totals are those of one history, whichever epoch counted them.
    #expect(runner.core.recordsTaken == 800)
    let whole = try Replaying(topology: changed, registry: OperatorRegistry.all)
      .run(records, publishAtEnd: true)
    runner.finish(atTick: runner.core.tick)
    while try !runner.drain(now: 0, snapshot: false) {}
    #expect(lastTallies(broker.outputTexts) == lastTallies(whole.outputs))
  }

  @Test func afterACrashTheOverlapStaysSuppressed() throws {
    let records = History.records(800, seed: 4)
    let broker = broker(records[..<300])
    let old = try Tallying.topology(every: "10s")
    try runToEnd(try start(old, broker))
    let snapshot = try #require(broker.snapshotNumbers.first)
    for record in records[300..<600] { broker.append(record) }
    // No clean stop: commits beyond the snapshot, then nothing.
    let crashed = try start(old, broker)
    while try crashed.step(now: 0) == .advanced {}
    #expect(broker.commitNumber > snapshot)
    let published = broker.outputTexts
    for record in records[600...] { broker.append(record) }
    let changed = try Tallying.topology(every: "1s")
    let runner = try start(changed, broker)
    try runToEnd(runner)
    #expect(Array(broker.outputTexts.prefix(published.count)) == published)
    let found = try epochs(broker)
    #expect(found.last?.number == 2 && found.last?.snapshot == snapshot)
    // Nothing of what the old epoch had processed is published a second time.
    let sources = broker.outputs.dropFirst(published.count).filter { $0.sink == 1 }
    #expect(Set(sources.map(\.value)).count == sources.count)
    #expect(runner.core.recordsTaken == 800)
  }

  @Test func anAuditOfAnotherTopologySaysSo() throws {
    let broker = broker(History.records(300, seed: 5)[...])
    try runToEnd(try start(try Tallying.topology(), broker))
    let other = Replaying(
      topology: try Tallying.topology(every: "7s"), registry: OperatorRegistry.all)
    #expect {
      _ = try other.audit(broker)
    } throws: { error in
      "\(error)".contains("another topology")
    }
  }

  /// The last published record of each key, without its source and time.
  private func lastTallies(_ outputs: [String]) -> [String: Substring] {
    var last: [String: Substring] = [:]
    for output in outputs where output.hasPrefix("0 ") {
      let key = output.split(separator: " ")[1]
      last[String(key)] = output.suffix(from: output.firstRange(of: "\"impressions\"")!.lowerBound)
    }
    return last
  }
}
