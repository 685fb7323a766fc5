import LocalLog
import Streaming
import Testing

@Suite("Topics of plain appends")
struct TopicTests {
  static let small = LocalLogOptions(fsync: .never, segmentBytes: 20_000, blockBytes: 2_000)

  @Test("What is appended is read back, whatever the fetch size", arguments: [1, 7, 100, 5000])
  func roundTrip(maxRecords: Int) throws {
    let scratch = Scratch()
    let written = entries(count: 2000, seed: 1)
    let store = try LocalLogStore.filled(scratch.path + "/log", written, options: Self.small)
    let reader = try store.reader("events", partition: 0)
    #expect(try reader.all(maxRecords: maxRecords) == written)
    #expect(try reader.endOffset() == 2000)
    #expect(try reader.firstOffset() == 0)
  }
}
