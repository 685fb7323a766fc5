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

  private static let changed = "maturity: { click: 2m, conversion: 2m }, half_life: 5m"

  @Test func theSameTopologyPublishesEverythingAgain() throws {
    let records = Living.history(2 * Self.half, seed: 31).records
    let topology = try Living.topology()
    let broker = LivingPartition.broker(records[..<Self.half])
    try LivingPartition.runToEnd(try LivingPartition.start(topology, broker))
    let stopped = broker.commitNumber
    let before = Set(LivingPartition.parameters(broker).map(\.key))
    #expect(before.count > 10)
    for record in records[Self.half...] { broker.append(record) }
    let runner = try LivingPartition.start(topology, broker, rebuilds: true)
    try LivingPartition.runToEnd(runner)

    let found = try LivingPartition.epochs(broker)
    #expect(found.map(\.number) == [1, 2])
    #expect(found.map(\.isRebuild) == [false, true])
    #expect(found.last?.snapshot == stopped)
    let again = Set(
      LivingPartition.parameters(broker).filter { $0.transaction > stopped }.map(\.key))
    #expect(before.isSubset(of: again))
    LivingPartition.expectRising(broker)
    // An audit follows the journal through the rebuild, to the same state and the same records.
    let audit = try Replaying(topology: topology, registry: OperatorRegistry.all).audit(broker)
    #expect(audit.digest == "\(runner.digest)")
    #expect(audit.outputs == broker.outputTexts)
  }

  @Test func itIsWhatTheTopologyWouldHaveMadeFromTheBeginning() throws {
    let records = Living.history(2 * Self.half, seed: 32).records
    let new = try Living.topology(posteriors: Self.changed)
    let broker = LivingPartition.broker(records[..<Self.half])
    try LivingPartition.runToEnd(try LivingPartition.start(try Living.topology(), broker))
    let rebuilt = try LivingPartition.start(new, broker, rebuilds: true)
    try LivingPartition.runToEnd(rebuilt)

    let other = LivingPartition.broker(records[..<Self.half])
    let fresh = try LivingPartition.start(new, other)
    try LivingPartition.runToEnd(fresh)
    let untouched = fresh.core.digest
    fresh.core.rebuilt()
    #expect(rebuilt.core.digest == fresh.core.digest)
    #expect(fresh.core.digest != untouched)

    // A migrated state is another one: what was learned under the old settings stays in it.
    let migrated = LivingPartition.broker(records[..<Self.half])
    try LivingPartition.runToEnd(try LivingPartition.start(try Living.topology(), migrated))
    let old = try LivingPartition.start(new, migrated)
    try LivingPartition.runToEnd(old)
    old.core.rebuilt()
    #expect(old.core.digest != rebuilt.core.digest)

    let (kept, plain) = (broker.outputs.count, other.outputs.count)
    for record in records[Self.half...] {
      broker.append(record)
      other.append(record)
    }
    try LivingPartition.runToEnd(rebuilt)
    try LivingPartition.runToEnd(fresh)
    #expect(rebuilt.core.digest == fresh.core.digest)
    let texts = broker.outputTexts.dropFirst(kept)
    #expect(texts.count > 500)
    #expect(Array(texts) == Array(other.outputTexts.dropFirst(plain)))
    LivingPartition.expectRising(broker)
  }

  @Test func aCrashAtAnyStepLeavesTheOldStateOrTheNew() throws {
    let half = 500
    let records = Living.history(2 * half, seed: 33).records
    let (old, new) = (try Living.topology(), try Living.topology(posteriors: Self.changed))
    func prepared() throws -> SimulatedBroker {
      let broker = LivingPartition.broker(records[..<half])
      try LivingPartition.runToEnd(try LivingPartition.start(old, broker))
      for record in records[half...] { broker.append(record) }
      return broker
    }
    let calm = try prepared()
    let undisturbed = try LivingPartition.start(new, calm, rebuilds: true)
    try LivingPartition.runToEnd(undisturbed)
    var (keptRuns, lostRuns, committedRuns, steps) = (0, 0, 0, 0)
    while committedRuns < 3, steps < 60 {
      let broker = try prepared()
      let stopped = broker.commitNumber
      let crashing = try LivingPartition.start(new, broker, rebuilds: true)
      for _ in 0..<steps { _ = try crashing.step(now: 0) }
      let isKept = try LivingPartition.start(new, broker).snapshotEpoch?.isRebuild == true
      if broker.commitNumber > stopped {
        committedRuns += 1
        #expect(isKept, "step \(steps)")
      }
      let next = try LivingPartition.start(new, broker)
      try LivingPartition.runToEnd(next)
      LivingPartition.expectRising(broker, "step \(steps)")
      if isKept {
        keptRuns += 1
        #expect(next.digest == undisturbed.digest, "step \(steps)")
        #expect(broker.outputTexts == calm.outputTexts, "step \(steps)")
        #expect(
          try LivingPartition.epochs(broker).map(\.isRebuild) == [false, true], "step \(steps)")
      } else {
        lostRuns += 1
        #expect(
          try LivingPartition.epochs(broker).map(\.isRebuild) == [false, false], "step \(steps)")
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
      let broker = LivingPartition.broker(records[..<Self.half])
      if hasOlder { try LivingPartition.runToEnd(try LivingPartition.start(old, broker)) }
      for record in records[Self.half..<(2 * Self.half)] { broker.append(record) }
      try LivingPartition.runToEnd(try LivingPartition.start(old, broker))
      for record in records[(2 * Self.half)...] { broker.append(record) }
      let rebuilt = try LivingPartition.start(topology, broker, rebuilds: true)
      try LivingPartition.runToEnd(rebuilt, snapshot: false)
      #expect(try LivingPartition.epochs(broker).map(\.isRebuild) == [false, true])
      #expect(broker.snapshotNumbers.count == (hasOlder ? 2 : 1))
      broker.tearNewestSnapshot { $0 / 2 }
      if hasOlder, topology.hash == new.hash {
        // What the older snapshot holds was learned under other settings.
        #expect {
          try LivingPartition.runToEnd(try LivingPartition.start(topology, broker))
        } throws: { error in
          "\(error)".contains("--rebuild")
        }
      } else {
        let again = try LivingPartition.start(topology, broker)
        try LivingPartition.runToEnd(again)
        #expect(again.digest == rebuilt.digest)
      }
    }
  }

  @Test func aJournalThatIsNotWholeIsNotRebuiltFrom() throws {
    let broker = LivingPartition.broker(Living.history(Self.half, seed: 36).records)
    let topology = try Living.topology()
    try LivingPartition.runToEnd(try LivingPartition.start(topology, broker))
    broker.forgetJournal(1)
    let (commits, outputs) = (broker.commitNumber, broker.outputs.count)
    #expect {
      _ = try LivingPartition.start(topology, broker, rebuilds: true)
    } throws: { error in
      (error as? LogError)?.kind == .missing
    }
    try LivingPartition.runToEnd(try LivingPartition.start(topology, broker))
    #expect(broker.commitNumber == commits && broker.outputs.count == outputs)
  }

  @Test func nothingIsRebuiltBeforeTheFirstCommit() throws {
    let records = Living.history(Self.half, seed: 37).records
    let topology = try Living.topology()
    let (rebuilt, plain) = (LivingPartition.broker(records), LivingPartition.broker(records))
    try LivingPartition.runToEnd(try LivingPartition.start(topology, rebuilt, rebuilds: true))
    try LivingPartition.runToEnd(try LivingPartition.start(topology, plain))
    #expect(rebuilt.outputTexts == plain.outputTexts)
    #expect(try LivingPartition.epochs(rebuilt).map(\.isRebuild) == [false])
  }

  @Test func onceIsEnough() throws {
    let topology = try Living.topology()
    for hasHistory in [true, false] {
      let broker = LivingPartition.broker(hasHistory ? Living.history(500, seed: 41).records : [])
      if hasHistory { try LivingPartition.runToEnd(try LivingPartition.start(topology, broker)) }
      let progress = Progress()
      let rebuilt = try LivingPartition.start(topology, broker, progress.options)
      try LivingPartition.runToEnd(rebuilt)
      #expect(progress.isDone)
      for record in Living.history(50, seed: 42).records { broker.append(record) }
      // The partition went away and has to be opened anew.
      let again = try LivingPartition.start(topology, broker, progress.options)
      try LivingPartition.runToEnd(again)
      #expect(
        try LivingPartition.epochs(broker).map(\.isRebuild)
          == (hasHistory ? [false, true] : [false]))
    }
  }

  @Test func aPartitionGivenUpBeforeItIsKeptIsRebuiltAgain() throws {
    let topology = try Living.topology()
    let broker = LivingPartition.broker(Living.history(Self.half, seed: 43).records)
    try LivingPartition.runToEnd(try LivingPartition.start(topology, broker))
    let stopped = broker.commitNumber
    let snapshots = SeededQueue()
    let progress = Progress()
    let runner = try LivingPartition.start(
      topology, broker, progress.options, snapshotQueue: snapshots)
    while !runner.isTakingSnapshot { _ = try runner.step(now: 0) }
    // Another process waits for it, and the disk is slow.
    #expect(try runner.drain(now: 0, snapshot: false))
    runner.park()
    snapshots.dropAll()
    #expect(broker.commitNumber == stopped && !progress.isDone)
    #expect(try !runner.resume(now: 0))
    for record in Living.history(100, seed: 44).records { broker.append(record) }
    try LivingPartition.runToEnd(try LivingPartition.start(topology, broker, progress.options))
    #expect(progress.isDone)
    #expect(try LivingPartition.epochs(broker).map(\.isRebuild) == [false, true])
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
    let broker = LivingPartition.broker(records)
    try LivingPartition.runToEnd(try LivingPartition.start(try topology("10s"), broker))
    let kept = broker.outputs.count
    let keys = Set(broker.outputs.filter { $0.sink == 0 }.map(\.key))
    for record in Living.history(50, seed: 39).records { broker.append(record) }
    let last = Living.history(Self.half, seed: 38).facts.map(\.time).max() ?? .earliest
    broker.append(
      Array(#"{"type":"heartbeat","time":\#(last.milliseconds + 60_000)}"#.utf8))
    let runner = try LivingPartition.start(try topology("20s"), broker, rebuilds: true)
    try LivingPartition.runToEnd(runner)
    let again = Set(broker.outputs.dropFirst(kept).filter { $0.sink == 0 }.map(\.key))
    #expect(keys.count > 10 && keys.isSubset(of: again))
  }
}
