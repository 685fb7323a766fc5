import Events
import Operators
import Synchronization
import TestKit
import Testing

@testable import Streaming

/// Following a journal: the same sequence again, whatever the log's fetches look like, or an error.
@Suite struct RecoveryTests {
  typealias Record = ScriptedInputs.Record

  private func failure(_ body: () throws -> Void) -> LogError? {
    do {
      try body()
      return nil
    } catch { return error as? LogError }
  }

  @Test func gapsInTheLogMakeNoDifference() throws {
    // Offsets 2 and 5…7 are no records (a transaction's markers, say). Where fetches end in
    // between decides nothing.
    let offsets: [Int64] = [0, 1, 3, 4, 8, 9]
    func records(_ range: Range<Int>) -> ScriptedInputs.Fetch {
      .records(offsets[range].map { Record($0, at: 1_000 * $0) })
    }
    let cuts: [[ScriptedInputs.Fetch]] = [
      [records(0..<6)], [records(0..<2), records(2..<6)], [records(0..<4), records(4..<6)],
      (0..<6).map { records($0..<($0 + 1)) },
    ]
    for first in cuts {
      var live = try Sequence([first])
      #expect(try live.run() == .end)
      live.sequencer.journal.finish()
      let journal = live.sequencer.journal.bytes
      for second in cuts {
        let again = try Sequence([second])
        try journal.withUnsafeBytes { raw in
          var reader = try JournalReader(raw)
          while let entry = try reader.next() {
            while try !again.sequencer.follow(entry, limit: 1, now: 0) {}
          }
        }
        #expect(again.engine.records == 6 && again.sequencer.nextOffsets == [10])
      }
    }
  }

  @Test func aJournalThatCannotBeIsRefused() throws {
    let events = ScriptedInputs.Fetch.records((0..<5).map { Record($0, at: 1_000 * $0) })
    func follow(_ entries: [JournalEntry]) -> LogError? {
      failure {
        let sequence = try Sequence([[events]])
        for entry in entries {
          while try !sequence.sequencer.follow(entry, limit: 100, now: 0) {}
        }
      }
    }
    #expect(follow([.clock(tick: 0), .run(input: 0, nextOffset: 5)]) == nil)
    // An event before time begins, an input that is not there, time back and time beyond all.
    for entries in [
      [.run(input: 0, nextOffset: 1)],
      [.clock(tick: 3), .run(input: 1, nextOffset: 1)],
      [.clock(tick: 3), .clock(tick: 3)],
      [.clock(tick: Int64.max)],
    ] as [[JournalEntry]] {
      #expect(follow(entries)?.kind == .badData, "\(entries)")
    }
    // Refused records may come before time begins.
    let sequence = try Sequence([[.records([.bad(0), .bad(1)])]])
    #expect(try sequence.sequencer.follow(.run(input: 0, nextOffset: 2), limit: 9, now: 0))
    #expect(sequence.engine.rejected == 2)
  }

  @Test func aJournalWithAGapIsRefused() throws {
    for missing in 1...4 as ClosedRange<Int64> {
      var world = SnapshotTests.World()
      let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
      for n in 0..<4 {
        world.feed((n * 10)..<(n * 10 + 10))
        try world.run(topology, snapshot: false)
      }
      #expect(world.broker.commitNumber == 4)
      world.broker.forgetJournal(missing)
      let error = failure { try world.run(topology) }
      #expect(error?.kind == .missing, "without record \(missing)")
    }
  }

  /// Retention has taken what follows the last snapshot, or even what follows the last commit.
  @Test(arguments: [70, 110] as [Int64], [0, 20])
  func whatRetentionHasTakenIsGivenUpOnlyWhenAsked(first: Int64, new: Int) throws {
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    var world = SnapshotTests.World()
    world.feed(0..<50)
    try world.run(topology)
    world.feed(50..<100)
    try world.run(topology, snapshot: false)
    world.feed(100..<(100 + max(new, Int(first) - 100)))
    world.broker.removeRecords(before: first)
    let error = failure { try world.run(topology) }
    #expect(error?.kind == .missing && error?.message.contains("--accept-loss") == true)
    let commits = world.broker.commitNumber
    // Empty state, from the last commit or the first record that there is; and that is committed,
    // whether anything comes or not.
    let taken = Int64(world.broker.recordCounts[0]) - max(100, first)
    #expect(try world.run(topology, acceptLoss: true).core.recordsTaken == taken)
    #expect(world.broker.commitNumber > commits)
    #expect(world.broker.nextOffsets == [max(100, first) + taken])
    // From then on everything is as it should be.
    world.feed(200..<210)
    #expect(try world.run(topology).core.recordsTaken == taken + 10)
    world.feed(210..<220)
    #expect(try world.run(topology, snapshot: false).core.recordsTaken == taken + 20)
  }

  @Test func anAuditWithoutAJournalIsEmpty() throws {
    let world = SnapshotTests.World()
    world.feed(0..<10)
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    let outcome = try Replaying(topology: topology, registry: OperatorRegistry.all)
      .audit(world.broker)
    #expect(outcome.records == 0 && outcome.outputs.isEmpty)
  }

  @Test func emptyAndHopelessLogsComeToTheirEnd() throws {
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    for count in [0, 1, 300] {
      // Nothing at all, or nothing that can be read.
      let driver = try PartitionDriver(topology, registry: OperatorRegistry.all)
      try driver.send((0..<count).map { Array("bad \($0)".utf8) })
      driver.finish()
      #expect(try driver.outputs.count == count)
      #expect(driver.recordsTaken == Int64(count))
      #expect(driver.digest == StateDigest())
      try driver.commit(snapshot: true)
      #expect(driver.broker.snapshotNumbers == (count == 0 ? [] : [1]))
      // And again, live, from there.
      let next = try PartitionDriver(
        resuming: driver.broker, topology, registry: OperatorRegistry.all)
      try next.send(SnapshotTests.impression(1, at: 1_000))
      #expect(next.recordsTaken == Int64(count) + 1)
    }
  }

  @Test func noCommitFollowsTheEndOfAPartition() throws {
    let log = CommitPipelineTests.ScriptedLog()
    let topology = try SnapshotTests.topology(SnapshotTests.tallyAlone)
    let commits = SeededQueue()
    let runner = try PartitionRunner(
      topology: topology, registry: OperatorRegistry.all, log: log, snapshots: nil,
      commitQueue: commits, snapshotQueue: ImmediateQueue(), options: RunnerOptions(mode: .replay))
    try runner.start(now: 0)
    log.records = [Record(0, SnapshotTests.impression(1, at: 5_000))]
    while try runner.step(now: 0) != .end {}
    #expect(try !runner.drain(now: 0, snapshot: false))
    // The run fails elsewhere while the commit waits for its turn.
    runner.abandon()
    commits.runAll()
    #expect(log.calls == ["commit 1: ", "close"])
  }

  @Test func whatIsGivenUpBeginsWhereTheLogDoes() throws {
    // Neither a snapshot nor what came behind the last commit is left.
    for (committed, first) in [(nil, 40), (25, 40), (40, 40), (70, 40)] as [(Int64?, Int64)] {
      let point = committed.map { CommitPoint(number: 3, nextOffsets: [$0]) }
      let log = CommitPipelineTests.ScriptedLog(lookups: [.success(point)], first: first)
      var options = RunnerOptions(mode: .live)
      options.acceptLoss = true
      let runner = try PartitionRunner(
        topology: SnapshotTests.topology(SnapshotTests.tallyAlone),
        registry: OperatorRegistry.all, log: log, snapshots: nil, commitQueue: ImmediateQueue(),
        snapshotQueue: ImmediateQueue(), options: options)
      try runner.start(now: 0)
      #expect(runner.sequencer.nextOffsets == [max(committed ?? 0, first)])
    }
  }

  @Test func aQueueThatNobodyWantsAnyMoreEndsItsThread() {
    let done = Mutex(false)
    withExtendedLifetime(ThreadQueue(name: "short")) { queue in
      queue.submit { done.withLock { $0 = true } }
    }
    // Its end waits for what was submitted.
    #expect(done.withLock { $0 })
  }

  @Test func operatorsReadTheSourcesThatFeedThem() throws {
    let topology = try CheckedTopology.parse(
      text: """
        topology: several
        sources:
          s0: { log: { directory: data, topics: [a] } }
          s1: { log: { directory: data, topics: [b] } }
          s2: { log: { directory: data, topics: [c] } }
        operators:
          first: { operator: tally, from: s0 }
          last: { operator: tally, from: [s2, s1] }
          all: { operator: tally, from: [s1, s2, s0] }
          unique: { operator: deduplicate, from: [s0, s2] }
          behind: { operator: tally, from: [unique, s1] }
        sinks:
          one: { from: first, stream: tallies, log: { topic: one } }
          two: { from: last, stream: tallies, log: { topic: two } }
          three: { from: all, stream: tallies, log: { topic: three } }
          four: { from: behind, stream: tallies, log: { topic: four } }
          both: { from: [first, last], stream: tallies, log: { topic: both } }
          passed: { from: [unique, s1], stream: events, log: { topic: passed } }
        """,
      file: "several.yaml", registry: OperatorRegistry.all.map(\.description))
    let driver = try PartitionDriver(
      topology, registry: OperatorRegistry.all,
      inputs: ["s0", "s1", "s2"].map { LogInput(source: $0, topic: $0) })
    // 1, 2 and 4 impressions, the same ids everywhere.
    for (input, count) in [1, 2, 4].enumerated() {
      try driver.send(
        (0..<count).map {
          Array(
            (#"{"type":"impression","id":"\#(input % 2 == 0 ? $0 : 100 + $0)","time":\#(1_000 + $0),"#
              + #""account":"a","campaign":"c","ad":"d","price":1}"#).utf8)
        }, to: input)
    }
    driver.finish()
    var counts: [[String]] = Array(repeating: [], count: 6)
    for output in try driver.outputs {
      let digits = output.split(separator: #""impressions":"#).last?.prefix { $0.isNumber } ?? ""
      counts[try #require(Int(output.prefix(1)) as Int?)].append(String(digits))
    }
    #expect(counts[0] == ["1"] && counts[1] == ["6"] && counts[2] == ["7"])
    // One of s2's four came through s0 before.
    #expect(counts[3] == ["6"] && counts[4] == ["1", "6"] && counts[5].count == 6)
    #expect(driver.counter("unique.duplicates") == 1)
  }

  @Test func aReplaysFilesStandInForEverySource() throws {
    let driver = try PartitionDriver(
      SnapshotTests.topology(SnapshotTests.tallyAlone), registry: OperatorRegistry.all,
      inputs: [
        LogInput(source: "", topic: "a.jsonl", isFile: true),
        LogInput(source: "elsewhere", topic: "b.jsonl", isFile: true),
      ])
    try driver.send(SnapshotTests.impression(1, at: 1_000), to: 0)
    try driver.send(SnapshotTests.impression(2, at: 1_000), to: 1)
    driver.finish()
    #expect(try driver.outputs.count == 2)
  }
}
