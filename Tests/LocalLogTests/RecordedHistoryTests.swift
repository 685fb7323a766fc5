import LocalLog
import Streaming
import Testing

/// What a recording is good for as the beginning of a run.
@Suite struct RecordedHistoryTests {
  private let inputs = [LogInput(source: "events", topic: "events")]

  private func recording(_ scratch: Scratch, records: Int) throws -> LocalLogStore {
    let store = try LocalLogStore.open(scratch.path + "/data", creating: true)
    try store.createTopic("events", partitions: 1)
    let appender = try store.appender("events", partition: 0)
    for number in 0..<records {
      let value = Array("record \(number)".utf8)
      _ = try value.withUnsafeBytes { bytes in
        try appender.append(
          key: UnsafeRawBufferPointer(start: nil, count: 0), value: bytes,
          appendTime: LogRecord.noAppendTime, eventTime: Int64(number))
      }
    }
    try appender.close()
    return store
  }

  @Test(arguments: [0, 1, 700, 5000]) func itEndsWhereTheRecordingWasNoted(_ noted: Int) throws {
    let scratch = Scratch()
    let store = try recording(scratch, records: 5000)
    try store.keep(
      RecordingMark(origin: "here/events", originOffset: 9000, offset: Int64(noted)),
      of: "events", partition: 0)
    let recorded = try RecordedHistory(store, inputs: inputs) { "here/\($0)" }
    #expect(recorded.history.nextOffsets == [9000])
    #expect(recorded.history.count == Int64(noted))
    let chunk = RecordChunk()
    var offsets: [Int64] = []
    while try recorded.fetch(0, into: chunk, maxRecords: 256) == .records {
      offsets += chunk.records.map(\.offset)
    }
    #expect(offsets == (0..<Int64(noted)).map { $0 })
  }

  @Test func whatIsNoRecordingOfTheTopicIsRefused() throws {
    let scratch = Scratch()
    let store = try recording(scratch, records: 3)
    #expect {
      _ = try RecordedHistory(store, inputs: inputs) { "here/\($0)" }
    } throws: { error in
      (error as? LogError)?.kind == .missing && "\(error)".contains("log record")
    }
    try store.keep(
      RecordingMark(origin: "there/events", originOffset: 3, offset: 3), of: "events",
      partition: 0)
    #expect {
      _ = try RecordedHistory(store, inputs: inputs) { "here/\($0)" }
    } throws: { error in
      (error as? LogError)?.kind == .configuration && "\(error)".contains("there/events")
    }
  }
}
