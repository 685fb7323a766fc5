import Events
import Operators
import TestKit
import Testing

@testable import Streaming

/// `--warm-from`: a log that begins with what was learned from records that are kept elsewhere.
@Suite struct WarmStartTests {
  private static let half = 1500

  /// The records before `count`, as they stand elsewhere, and where the log goes on.
  private func history(_ records: [[UInt8]], to count: Int) -> History {
    let elsewhere = LivingPartition.broker(records[..<count])
    elsewhere.closeInputs()
    return History(log: elsewhere.open(), nextOffsets: [Int64(count)], count: Int64(count))
  }

  @Test func itGoesOnAsOneThatTookEveryRecord() throws {
    let records = Living.history(2 * Self.half, seed: 51).records
    let topology = try Living.topology()
    let warmed = LivingPartition.broker(records)
    let warm = try LivingPartition.start(
      topology, warmed, history: history(records, to: Self.half))
    #expect(warm.isRecovering)
    try LivingPartition.runToEnd(warm)

    let plain = LivingPartition.broker(records[..<Self.half])
    let whole = try LivingPartition.start(topology, plain)
    try LivingPartition.runToEnd(whole)
    let kept = plain.outputs.count
    // What stands is published once more, since nothing of the history was.
    whole.core.rebuilt()
    for record in records[Self.half...] { plain.append(record) }
    try LivingPartition.runToEnd(whole)

    #expect(warm.digest == whole.digest)
    #expect(warmed.outputTexts.count > 500)
    #expect(warmed.outputTexts == Array(plain.outputTexts.dropFirst(kept)))
    LivingPartition.expectRising(warmed)
    #expect(warmed.nextOffsets == [Int64(records.count)])
  }

  @Test func aCrashAtAnyStepLeavesNothingOrAll() throws {
    let records = Living.history(1000, seed: 52).records
    let topology = try Living.topology()
    let calm = LivingPartition.broker(records)
    let undisturbed = try LivingPartition.start(
      topology, calm, history: history(records, to: 500))
    try LivingPartition.runToEnd(undisturbed)
    var (lost, kept, committed, steps) = (0, 0, 0, 0)
    while committed < 3, steps < 60 {
      let broker = LivingPartition.broker(records)
      let crashing = try LivingPartition.start(
        topology, broker, history: history(records, to: 500))
      for _ in 0..<steps { _ = try crashing.step(now: 0) }
      let isKept = !broker.snapshotNumbers.isEmpty
      if broker.commitNumber > 0 {
        committed += 1
        #expect(isKept, "step \(steps)")
      }
      // Once it is kept the history is not needed, and where it is named again not read.
      let next =
        isKept && steps.isMultiple(of: 2)
        ? try LivingPartition.start(topology, broker)
        : try LivingPartition.start(topology, broker, history: history(records, to: 500))
      try LivingPartition.runToEnd(next)
      kept += isKept ? 1 : 0
      lost += isKept ? 0 : 1
      #expect(next.digest == undisturbed.digest, "step \(steps)")
      #expect(broker.outputTexts == calm.outputTexts, "step \(steps)")
      #expect(try LivingPartition.epochs(broker).map(\.number) == [1], "step \(steps)")
      steps += 1
    }
    print("\(lost) crashes before the state was kept, \(kept) after")
    #expect(lost > 1 && kept > committed && committed == 3)
  }

  /// Its journal alone does not lead to its state.
  @Test func withoutItsSnapshotItIsRefused() throws {
    let records = Living.history(Self.half, seed: 55).records
    let topology = try Living.topology()
    let broker = LivingPartition.broker(records)
    let runner = try LivingPartition.start(
      topology, broker, history: history(records, to: 500))
    try LivingPartition.runToEnd(runner, snapshot: false)
    #expect(broker.snapshotNumbers == [0] && broker.commitNumber > 0)
    broker.tearNewestSnapshot { $0 / 2 }
    #expect {
      try LivingPartition.runToEnd(try LivingPartition.start(topology, broker))
    } throws: { error in
      (error as? LogError)?.kind == .badData && "\(error)".contains("snapshot 0")
    }
  }

  @Test func aLogThatHasBegunGoesOnWithoutIt() throws {
    let records = Living.history(Self.half, seed: 53).records
    let topology = try Living.topology()
    let (named, plain) = (
      LivingPartition.broker(records[..<500]), LivingPartition.broker(records[..<500])
    )
    for broker in [named, plain] {
      try LivingPartition.runToEnd(try LivingPartition.start(topology, broker))
      for record in records[500...] { broker.append(record) }
    }
    let again = try LivingPartition.start(topology, named, history: history(records, to: 400))
    try LivingPartition.runToEnd(again)
    let usual = try LivingPartition.start(topology, plain)
    try LivingPartition.runToEnd(usual)
    #expect(again.digest == usual.digest)
  }

  @Test func aGapBetweenHistoryAndLogIsRefused() throws {
    let records = Living.history(Self.half, seed: 54).records
    let topology = try Living.topology()
    let broker = LivingPartition.broker(records)
    broker.removeRecords(before: 600)
    #expect {
      _ = try LivingPartition.start(topology, broker, history: history(records, to: 599))
    } throws: { error in
      (error as? LogError)?.kind == .missing && "\(error)".contains("longer history")
    }
    #expect(broker.commitNumber == 0 && broker.snapshotNumbers.isEmpty)
  }
}
