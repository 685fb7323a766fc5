public import Streaming

/// Topics that were recorded from elsewhere, up to where the recording was last noted: what may
/// stand behind that, after a crash, is not part of it.
public final class RecordedHistory: InputLog, @unchecked Sendable {
  // Readers belong to one partition's worker.
  public let inputs: [LogInput]
  private let readers: [LocalLogReader]
  private let marks: [RecordingMark]

  /// - Parameter inputs: With the partition that is read of each.
  /// - Throws: `.missing` where one of them was not recorded; `.configuration` where it was recorded
  ///   from another origin.
  public init(
    _ store: LocalLogStore, inputs: [LogInput], origin: (_ topic: String) -> String
  ) throws(LogError) {
    self.inputs = inputs
    var readers: [LocalLogReader] = []
    var marks: [RecordingMark] = []
    for input in inputs {
      guard let mark = try store.recordingMark(input.topic, partition: input.partition) else {
        throw LogError(
          .missing,
          "\(store.root) holds no recording of \(input.topic) partition \(input.partition); make one "
            + "with `bidmill log record`")
      }
      guard mark.origin == origin(input.topic) else {
        throw LogError(
          .configuration,
          "\(input.topic) in \(store.root) was recorded from \(mark.origin), and the topology reads "
            + "\(origin(input.topic)): its offsets would be others. Name the brokers alike, if they "
            + "are the same")
      }
      readers.append(try store.reader(input.topic, partition: input.partition))
      marks.append(mark)
    }
    self.readers = readers
    self.marks = marks
  }

  /// This and where the origin goes on.
  public var history: History {
    History(
      log: self, nextOffsets: marks.map(\.originOffset), count: marks.reduce(0) { $0 + $1.offset })
  }

  public func fetch(
    _ input: Int, into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    let status = try readers[input].fetch(into: chunk, maxRecords: maxRecords)
    let end = marks[input].offset
    guard status == .records, chunk.nextOffset > end else { return status }
    chunk.records.removeAll { $0.offset >= end }
    chunk.nextOffset = end
    return chunk.records.isEmpty ? .end : .records
  }

  public func seek(_ input: Int, to offset: Int64) throws(LogError) {
    try readers[input].seek(to: offset)
  }

  public func firstOffsets() throws(LogError) -> [Int64] {
    var offsets: [Int64] = []
    for reader in readers { offsets.append(try reader.firstOffset()) }
    return offsets
  }
}
