import Events
import Operators
import Simulation
import Synchronization
import TestKit
import Testing

@testable import Streaming

/// `--rebuild`: state is made anew from the log's beginning, under the topology as it is now, and
/// what stands is published again.
@Suite struct RebuildTests {
  private static let half = 1500

  private func start(
    _ topology: CheckedTopology, _ broker: SimulatedBroker, rebuilds: Bool = false
  ) throws -> PartitionRunner {
    var options = RunnerOptions(mode: .live, commitEvents: 200)
    options.rebuilds = { rebuilds }
    return try start(topology, broker, options)
  }

  private func start(
    _ topology: CheckedTopology, _ broker: SimulatedBroker, _ options: RunnerOptions,
    snapshotQueue: any WorkQueue = ImmediateQueue()
  ) throws -> PartitionRunner {
    let runner = try PartitionRunner(
      topology: topology, registry: OperatorRegistry.all, log: broker.open(),
      snapshots: SimulatedSnapshots(broker), commitQueue: ImmediateQueue(),
      snapshotQueue: snapshotQueue, options: options)
    try runner.start(now: 0)
    return runner
  }

  /// A run that rebuilds a partition once.
  private final class Progress: Sendable {
    private let done = Mutex(false)

    var isDone: Bool { done.withLock { $0 } }

    var options: RunnerOptions {
      var options = RunnerOptions(mode: .live, commitEvents: 200)
      options.rebuilds = { !self.isDone }
      options.didRebuild = { self.done.withLock { $0 = true } }
      return options
    }
  }

  private func runToEnd(_ runner: PartitionRunner, snapshot: Bool = true) throws {
    var idle = 0
    // Keeping the rebuilt state takes turns in which nothing is read.
    while idle < 3 { idle = try runner.step(now: 0) == .advanced ? 0 : idle + 1 }
    while try !runner.drain(now: 0, snapshot: snapshot) {}
  }

  private func broker(_ records: some Sequence<[UInt8]>) -> SimulatedBroker {
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

  private struct Parameter {
    var key: String
    var sequence: Int64
    var transaction: Int64
  }

  /// The bid parameters in the order in which they were committed.
  private func parameters(_ broker: SimulatedBroker) -> [Parameter] {
    broker.outputs.compactMap { output in
      let text = String(decoding: output.value, as: UTF8.self)
      guard let start = text.firstRange(of: #""seq":"#), text.contains(#""valid_until":"#) else {
        return nil
      }
      let digits = text[start.upperBound...].prefix { $0.isNumber }
      return Parameter(
        key: String(decoding: output.key, as: UTF8.self), sequence: Int64(digits) ?? -1,
        transaction: output.transaction)
    }
  }

  /// A reader that keeps the highest `seq` always takes the newest record.
  private func expectRising(_ broker: SimulatedBroker, _ comment: Comment? = nil) {
    var last: [String: Int64] = [:]
    for parameter in parameters(broker) {
      #expect(parameter.sequence > last[parameter.key] ?? 0, comment)
      last[parameter.key] = parameter.sequence
    }
  }

  private static let changed = "maturity: { click: 2m, conversion: 2m }, half_life: 5m"

  @Test func theSameTopologyPublishesEverythingAgain() throws {
    let records = Living.history(2 * Self.half, seed: 31).records
    let topology = try Living.topology()
    let broker = broker(records[..<Self.half])
    try runToEnd(try start(topology, broker))
    let stopped = broker.commitNumber
    let before = Set(parameters(broker).map(\.key))
    #expect(before.count > 10)
    for record in records[Self.half...] { broker.append(record) }
    let runner = try start(topology, broker, rebuilds: true)
    try runToEnd(runner)

    let found = try epochs(broker)
    #expect(found.map(\.number) == [1, 2])
    #expect(found.map(\.isRebuild) == [false, true])
    #expect(found.last?.snapshot == stopped)
    let again = Set(parameters(broker).filter { $0.transaction > stopped }.map(\.key))
    #expect(before.isSubset(of: again))
    expectRising(broker)
    // An audit follows the journal through the rebuild, to the same state and the same records.
    let audit = try Replaying(topology: topology, registry: OperatorRegistry.all).audit(broker)
    #expect(audit.digest == "\(runner.digest)")
    #expect(audit.outputs == broker.outputTexts)
  }

  @Test func itIsWhatTheTopologyWouldHaveMadeFromTheBeginning() throws {
    let records = Living.history(2 * Self.half, seed: 32).records
    let new = try Living.topology(posteriors: Self.changed)
    let broker = broker(records[..<Self.half])
    try runToEnd(try start(try Living.topology(), broker))
    let rebuilt = try start(new, broker, rebuilds: true)
    try runToEnd(rebuilt)

    let other = self.broker(records[..<Self.half])
    let fresh = try start(new, other)
    try runToEnd(fresh)
    let untouched = fresh.core.digest
    fresh.core.rebuilt()
    #expect(rebuilt.core.digest == fresh.core.digest)
    #expect(fresh.core.digest != untouched)

    // A migrated state is another one: what was learned under the old settings stays in it.
    let migrated = self.broker(records[..<Self.half])
    try runToEnd(try start(try Living.topology(), migrated))
    let old = try start(new, migrated)
    try runToEnd(old)
    old.core.rebuilt()
    #expect(old.core.digest != rebuilt.core.digest)

    let (kept, plain) = (broker.outputs.count, other.outputs.count)
    for record in records[Self.half...] {
      broker.append(record)
      other.append(record)
    }
    try runToEnd(rebuilt)
    try runToEnd(fresh)
    #expect(rebuilt.core.digest == fresh.core.digest)
    let texts = broker.outputTexts.dropFirst(kept)
    #expect(texts.count > 500)
    #expect(Array(texts) == Array(other.outputTexts.dropFirst(plain)))
    expectRising(broker)
  }

  @Test func aCrashAtAnyStepLeavesTheOldStateOrTheNew() throws {
    let half = 500
    let records = Living.history(2 * half, seed: 33).records
    let (old, new) = (try Living.topology(), try Living.topology(posteriors: Self.changed))
    func prepared() throws -> SimulatedBroker {
      let broker = broker(records[..<half])
      try runToEnd(try start(old, broker))
      for record in records[half...] { broker.append(record) }
      return broker
    }
    let calm = try prepared()
    let undisturbed = try start(new, calm, rebuilds: true)
    try runToEnd(undisturbed)
    var (keptRuns, lostRuns, committedRuns, steps) = (0, 0, 0, 0)
    while committedRuns < 3, steps < 60 {
      let broker = try prepared()
      let stopped = broker.commitNumber
      let crashing = try start(new, broker, rebuilds: true)
      for _ in 0..<steps { _ = try crashing.step(now: 0) }
      let isKept = try start(new, broker).snapshotEpoch?.isRebuild == true
      if broker.commitNumber > stopped {
        committedRuns += 1
        #expect(isKept, "step \(steps)")
      }
      let next = try start(new, broker)
      try runToEnd(next)
      expectRising(broker, "step \(steps)")
      if isKept {
        keptRuns += 1
        #expect(next.digest == undisturbed.digest, "step \(steps)")
        #expect(broker.outputTexts == calm.outputTexts, "step \(steps)")
        #expect(try epochs(broker).map(\.isRebuild) == [false, true], "step \(steps)")
      } else {
        lostRuns += 1
        #expect(try epochs(broker).map(\.isRebuild) == [false, false], "step \(steps)")
      }
      steps += 1
    }
    print("\(lostRuns) crashes before the rebuilt state was kept, \(keptRuns) after")
    #expect(lostRuns > 1 && keptRuns > committedRuns && committedRuns == 3)
  }

  @Test func withoutItsSnapshotAnotherTopologysPastIsRefused() throws {
    let records = Living.history(3 * Self.half, seed: 34).records
    let (old, new) = (try Living.topology(), try Living.topology(posteriors: Self.changed))
    for (topology, hasOlder) in [(old, true), (old, false), (new, true), (new, false)] {
      let broker = broker(records[..<Self.half])
      if hasOlder { try runToEnd(try start(old, broker)) }
      for record in records[Self.half..<(2 * Self.half)] { broker.append(record) }
      try runToEnd(try start(old, broker))
      for record in records[(2 * Self.half)...] { broker.append(record) }
      let rebuilt = try start(topology, broker, rebuilds: true)
      try runToEnd(rebuilt, snapshot: false)
      #expect(try epochs(broker).map(\.isRebuild) == [false, true])
      #expect(broker.snapshotNumbers.count == (hasOlder ? 2 : 1))
      broker.tearNewestSnapshot { $0 / 2 }
      if hasOlder, topology.hash == new.hash {
        // What the older snapshot holds was learned under other settings.
        #expect {
          try runToEnd(try start(topology, broker))
        } throws: { error in
          "\(error)".contains("--rebuild")
        }
      } else {
        let again = try start(topology, broker)
        try runToEnd(again)
        #expect(again.digest == rebuilt.digest)
      }
    }
  }

  @Test func aJournalThatIsNotWholeIsNotRebuiltFrom() throws {
    let broker = broker(Living.history(Self.half, seed: 36).records)
    let topology = try Living.topology()
    try runToEnd(try start(topology, broker))
    broker.forgetJournal(1)
    let (commits, outputs) = (broker.commitNumber, broker.outputs.count)
    #expect {
      _ = try start(topology, broker, rebuilds: true)
    } throws: { error in
      (error as? LogError)?.kind == .missing
    }
    try runToEnd(try start(topology, broker))
    #expect(broker.commitNumber == commits && broker.outputs.count == outputs)
  }

  @Test func nothingIsRebuiltBeforeTheFirstCommit() throws {
    let records = Living.history(Self.half, seed: 37).records
    let topology = try Living.topology()
    let (rebuilt, plain) = (broker(records), broker(records))
    try runToEnd(try start(topology, rebuilt, rebuilds: true))
    try runToEnd(try start(topology, plain))
    #expect(rebuilt.outputTexts == plain.outputTexts)
    #expect(try epochs(rebuilt).map(\.isRebuild) == [false])
  }

  @Test func onceIsEnough() throws {
    let topology = try Living.topology()
    for hasHistory in [true, false] {
      let broker = broker(hasHistory ? Living.history(500, seed: 41).records : [])
      if hasHistory { try runToEnd(try start(topology, broker)) }
      let progress = Progress()
      let rebuilt = try start(topology, broker, progress.options)
      try runToEnd(rebuilt)
      #expect(progress.isDone)
      for record in Living.history(50, seed: 42).records { broker.append(record) }
      // The partition went away and has to be opened anew.
      let again = try start(topology, broker, progress.options)
      try runToEnd(again)
      #expect(try epochs(broker).map(\.isRebuild) == (hasHistory ? [false, true] : [false]))
    }
  }

  @Test func aPartitionGivenUpBeforeItIsKeptIsRebuiltAgain() throws {
    let topology = try Living.topology()
    let broker = broker(Living.history(Self.half, seed: 43).records)
    try runToEnd(try start(topology, broker))
    let stopped = broker.commitNumber
    let snapshots = SeededQueue()
    let progress = Progress()
    let runner = try start(topology, broker, progress.options, snapshotQueue: snapshots)
    while !runner.isTakingSnapshot { _ = try runner.step(now: 0) }
    // Another process waits for it, and the disk is slow.
    #expect(try runner.drain(now: 0, snapshot: false))
    runner.park()
    snapshots.dropAll()
    #expect(broker.commitNumber == stopped && !progress.isDone)
    #expect(try !runner.resume(now: 0))
    for record in Living.history(100, seed: 44).records { broker.append(record) }
    try runToEnd(try start(topology, broker, progress.options))
    #expect(progress.isDone)
    #expect(try epochs(broker).map(\.isRebuild) == [false, true])
  }

  @Test func talliesArePublishedAgain() throws {
    let records = Living.history(Self.half, seed: 38).records
    func topology(_ every: String) throws -> CheckedTopology {
      try CheckedTopology.parse(
        text: """
          topology: tally
          sources:
            events: { log: { directory: data, topics: [events] } }
          operators:
            unique: { operator: deduplicate, from: events }
            totals: { operator: tally, from: unique, every: \(every) }
          sinks:
            tallies: { from: totals, log: { topic: tallies } }
          """,
        file: "tally.yaml", registry: OperatorRegistry.all.map(\.description))
    }
    let broker = broker(records)
    try runToEnd(try start(try topology("10s"), broker))
    let kept = broker.outputs.count
    let keys = Set(broker.outputs.filter { $0.sink == 0 }.map(\.key))
    for record in Living.history(50, seed: 39).records { broker.append(record) }
    let last = Living.history(Self.half, seed: 38).facts.map(\.time).max() ?? .earliest
    broker.append(
      Array(#"{"type":"heartbeat","time":\#(last.milliseconds + 60_000)}"#.utf8))
    let runner = try start(try topology("20s"), broker, rebuilds: true)
    try runToEnd(runner)
    let again = Set(broker.outputs.dropFirst(kept).filter { $0.sink == 0 }.map(\.key))
    #expect(keys.count > 10 && keys.isSubset(of: again))
  }
}
