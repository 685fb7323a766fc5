import Events
import Operators
import Synchronization
import TestKit
import Testing

@testable import Streaming

@Suite struct ReportTests {
  private static func topology() throws -> CheckedTopology {
    try CheckedTopology.parse(
      text: """
        topology: reported
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          unique: { operator: deduplicate, from: events }
          totals: { operator: tally, from: unique }
        sinks:
          tallies: { from: totals, log: { topic: tallies } }
        """, file: "reported.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  private static func record(_ id: Int, account: String = "acme", time: Int64) -> [UInt8] {
    Array(
      #"{"type":"impression","id":"\#(id)","time":\#(time),"account":"\#(account)","campaign":"c","ad":"a","price":1}"#
        .utf8)
  }

  /// A log that gives nothing and is not at its end.
  private final class SilentLog: PartitionLog {
    let inputs = [LogInput(source: "events", topic: "events", partition: 3)]
    let status = Mutex(FetchStatus.waiting)

    func fetch(_ input: Int, into chunk: RecordChunk, maxRecords: Int) throws(LogError)
      -> FetchStatus
    { status.withLock { $0 } }
    func seek(_ input: Int, to offset: Int64) throws(LogError) {}
    func firstOffsets() throws(LogError) -> [Int64] { [0] }
    func committed() throws(LogError) -> CommitPoint? { nil }
    func journal(
      after number: Int64, _ body: (Int64, UnsafeRawBufferPointer) throws(LogError) -> Void
    ) throws(LogError) {}
    func commit(_ transaction: Transaction) throws(LogError) {}
    func close() {}
  }

  private final class Notices: Sendable {
    let all = Mutex<[String]>([])
  }

  @Test func speaksOfAnInputThatIsSilent() throws {
    let log = SilentLog()
    let notices = Notices()
    let runner = try PartitionRunner(
      topology: ReportTests.topology(), registry: OperatorRegistry.all, log: log, snapshots: nil,
      commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(),
      options: RunnerOptions(
        mode: .live, notify: { notice in notices.all.withLock { $0.append("\(notice)") } }))
    try runner.start(now: 0)
    for now in stride(from: 0 as Int64, through: 29_000, by: 1_000) {
      _ = try runner.step(now: now)
    }
    #expect(notices.all.withLock { $0 } == [])
    #expect(runner.meter.take()?.inputs[0].waitingMilliseconds == 29_000)
    for now in stride(from: 30_000 as Int64, through: 90_000, by: 1_000) {
      _ = try runner.step(now: now)
    }
    // Once, however long it lasts.
    #expect(
      notices.all.withLock { $0 } == [
        "warning: partition 0: events partition 3 has given nothing for 30 s although it is not at "
          + "its end; the partition waits for it at offset 0"
      ])
    #expect(runner.meter.take()?.inputs[0].waitingMilliseconds == 90_000)
    log.status.withLock { $0 = .end }
    _ = try runner.step(now: 91_000)
    _ = try runner.step(now: 92_000)
    #expect(notices.all.withLock { $0.count } == 2)
    #expect(runner.meter.take()?.inputs[0].waitingMilliseconds == 0)
  }

  /// What is processed again to come to the committed point was counted by whoever committed it.
  @Test func countsOnlyItsOwnWork() throws {
    let broker = SimulatedBroker(inputs: [LogInput(source: "events", topic: "events")])
    func runner() throws -> PartitionRunner {
      try PartitionRunner(
        topology: ReportTests.topology(), registry: OperatorRegistry.all, log: broker.open(),
        snapshots: nil, commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(),
        options: RunnerOptions(mode: .live, commitEvery: 1))
    }
    let start: Int64 = 1_767_225_600_000
    for i in 0..<300 { broker.append(ReportTests.record(i, time: start + Int64(i))) }
    broker.append(Array("{".utf8))
    broker.append(ReportTests.record(0, time: start))
    let first = try runner()
    try first.start(now: 0)
    for now in 1...2_000 as ClosedRange<Int64> { _ = try first.step(now: now) }
    let report = try #require(first.meter.take())
    #expect(report.events == 302)
    #expect(report.deadLetters.reduce(0, +) == 1)
    #expect(report.counters.first { $0.name == "duplicates" }?.value == 1)
    #expect(report.counters.first { $0.name == "duplicates" }?.step == "unique")
    #expect(report.commits > 0 && report.commits <= first.lastCommitted)
    #expect(report.commitLatency.count == report.commits)
    #expect(report.hotAccounts.map(\.account) == ["acme"])
    #expect(report.hotAccounts[0].events == 301)
    #expect(report.commitsSinceSnapshot == report.commits)

    broker.append(ReportTests.record(1_000, time: start + 400))
    let second = try runner()
    try second.start(now: 10_000)
    _ = try second.step(now: 10_000)
    let early = try #require(second.meter.take())
    #expect(early.restored < 1 && early.events == 0)
    for now in 10_001...12_000 as ClosedRange<Int64> { _ = try second.step(now: now) }
    let late = try #require(second.meter.take())
    #expect(late.restored == 1)
    #expect(late.events == 1)
    #expect(late.deadLetters.reduce(0, +) == 0)
    #expect(late.counters.first { $0.name == "duplicates" }?.value == 0)
  }

  // MARK: Hot accounts

  /// Events of which nothing but the account's row is looked at.
  private func window(_ rows: [Int32]) -> EventBatch {
    let batch = EventBatch(capacity: max(rows.count, 1))
    var decoder = EventDecoder()
    let record = ReportTests.record(1, time: 1)
    record.withUnsafeBytes { bytes in
      for row in rows {
        guard decoder.decode(bytes, into: batch) == nil else { return }
        batch[batch.count - 1].pointee.account.row = row
      }
    }
    #expect(batch.count == rows.count)
    return batch
  }

  @Test func findsWhoSendsMost() {
    let seed: UInt64 = 99
    var random = SplitMix64(seed: seed)
    let hot = HotAccounts()
    var counts: [Int32: Int64] = [:]
    for now in 0..<400 as Range<Int64> {
      let rows = (0..<256).map { _ -> Int32 in
        switch random.next() % 10 {
        case 0...3: 7
        case 4...5: 8
        default: Int32(100 + random.next() % 5_000)
        }
      }
      for row in rows { counts[row, default: 0] += 1 }
      hot.observe(window(rows), now: now * 100)
    }
    let top = hot.top(2, now: 39_900)
    #expect(top.map(\.row) == [7, 8], "seed \(seed)")
    for (row, events) in top {
      let part = Double(events) / Double(counts[row] ?? 1)
      print("seed \(seed): account \(row): \(events) of \(counts[row] ?? 0) are certain")
      #expect(part > 0.85 && part < 1.15, "seed \(seed)")
    }
  }

  @Test func forgetsAfterAMinute() {
    let hot = HotAccounts()
    #expect(hot.top(5, now: 0).isEmpty)
    hot.observe(window([1, 1, 1, -1, 2]), now: 5_000)
    hot.observe(window([2, 2]), now: 15_000)
    #expect(hot.top(5, now: 20_000).map(\.row) == [1, 2])
    #expect(hot.top(5, now: 20_000).map(\.events) == [3, 3])
    #expect(hot.top(5, now: 62_000).map(\.events) == [2])
    #expect(hot.top(5, now: 72_000).isEmpty)
    #expect(hot.top(5, now: 1_000_000_000).isEmpty)
    hot.observe(window([3]), now: 1_000_000_001)
    #expect(hot.top(5, now: 1_000_000_002).map(\.row) == [3])
  }
}
