import Streaming

/// Reads a partition of the journal's topic, from a commit's number on.
///
/// Offsets rise with numbers, but a commit takes at least two of them (its record and the
/// transaction's end), aborted ones too: the place is found by going back from the end.
struct JournalReading {
  private let cluster: KafkaCluster
  private let topic: String
  private let input: KafkaInput
  private let chunk = RecordChunk()
  private let low: Int64
  private let high: Int64

  init(_ cluster: KafkaCluster, partition: Int32) throws(LogError) {
    self.cluster = cluster
    topic = cluster.settings.journalTopic
    (low, high) = try cluster.watermarks(topic, partition)
    input = try KafkaInput(cluster, topic: topic, partition: partition)
  }

  /// Whether anything was ever committed: ends of transactions and what was aborted do not count.
  func hasRecords() throws(LogError) -> Bool {
    guard low < high else { return false }
    defer { input.close() }
    try input.seek(to: low)
    return try next()
  }

  /// Calls `body` with each journal after `number`, up to `last`.
  func read(
    after number: Int64, through last: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    defer { input.close() }
    try input.seek(to: try start(after: number, last: last))
    var bytes: [UInt8] = []
    var open: Int64?
    while try next() {
      for record in chunk.records {
        let content = try JournalRecord.read(record, topic: topic)
        guard content.number > number else { continue }
        guard content.number <= last else { return }
        if open != content.number { bytes.removeAll(keepingCapacity: true) }
        bytes += content.bytes
        open = content.isContinued ? content.number : nil
        guard open == nil else { continue }
        try give(content.number, bytes, to: body)
        bytes.removeAll(keepingCapacity: true)
        if content.number == last { return }
      }
    }
  }

  /// Where the first record after `number` stands; nil where nothing before it is left, or where
  /// there is none.
  func offset(after number: Int64) throws(LogError) -> Int64? {
    defer { input.close() }
    // The end is as good a place to look back from as the last commit.
    try input.seek(to: try start(after: number, last: number))
    while try next() {
      for record in chunk.records
      where try JournalRecord.read(record, topic: topic).number > number {
        return record.offset > low ? record.offset : nil
      }
    }
    return nil
  }

  private func give(
    _ number: Int64, _ bytes: [UInt8],
    to body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    let result: Result<Void, LogError> = bytes.withUnsafeBytes { raw in
      do throws(LogError) { return .success(try body(number, raw)) } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  /// An offset at or before the first record after `number`.
  private func start(after number: Int64, last: Int64) throws(LogError) -> Int64 {
    var back = 2 * max(last - number, 0) + 16
    while true {
      let offset = max(low, back < high ? high - back : low)
      if offset == low { return low }
      try input.seek(to: offset)
      // Records that are the rest of a commit's parts do not count: one before it is needed.
      if try next(), let record = chunk.records.first,
        try JournalRecord.read(record, topic: topic).number <= number
      {
        return offset
      }
      back *= 4
    }
  }

  /// Waits for records; false at the topic's end.
  private func next() throws(LogError) -> Bool {
    let deadline = Deadline(milliseconds: cluster.settings.answerWithinMilliseconds)
    while !deadline.isOver {
      switch try input.fetch(into: chunk, maxRecords: 4096, waitMilliseconds: 10) {
      case .records: return true
      case .end: return false
      case .waiting: continue
      }
    }
    throw LogError(.unavailable, "\(topic) \(input.partition) cannot be read: no answer")
  }
}
