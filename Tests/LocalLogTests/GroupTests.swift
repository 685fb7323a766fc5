import LocalLog
import Streaming
import Testing

@Suite("Commits of a group")
struct GroupTests {
  static let inputs = [LogInput(source: "events", topic: "events")]
  static let outputs = [
    LogOutput(sink: "bids", topic: "bids", compacted: true),
    LogOutput(sink: "alerts", topic: "alerts", compacted: false),
  ]

  @Test("Outputs, offsets and journal of commits are there after reopening")
  func commits() throws {
    let scratch = Scratch()
    let store = try LocalLogStore.filled(
      scratch.path + "/log", entries(count: 10, seed: 1), options: LocalLogOptions(fsync: .never))
    do {
      let log = try store.partitionLog(
        group: "live", partition: 0, inputs: Self.inputs, outputs: Self.outputs)
      #expect(try log.committed() == nil)
      for number in 1...5 as ClosedRange<Int64> {
        try log.commit(
          Transaction(
            number, next: [number * 2], journal: [UInt8(number), 7],
            outputs: [(0, "bid \(number)"), (1, "alert \(number)"), (0, "more \(number)")]))
      }
      log.close()
    }
    let log = try store.partitionLog(
      group: "live", partition: 0, inputs: Self.inputs, outputs: Self.outputs)
    #expect(try log.committed() == CommitPoint(number: 5, nextOffsets: [10]))
    var journal: [Int64: [UInt8]] = [:]
    try log.journal(after: 2) { number, bytes in journal[number] = Array(bytes) }
    #expect(journal == [3: [3, 7], 4: [4, 7], 5: [5, 7]])
    let bids = try store.reader("bids", partition: 0).all()
    #expect(text(bids) == (1...5).flatMap { ["bid \($0)", "more \($0)"] })
  }
}
