import Streaming
import Synchronization

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
    return try alone { () throws(LogError) in
      try input.seek(to: low)
      return try next()
    }
  }

  /// The client has one queue for a partition, so it is read by one at a time.
  private func alone<Result: Sendable>(
    _ body: () throws(LogError) -> Result
  ) throws(LogError) -> Result {
    try cluster.journalTurn.withLock { (_) throws(LogError) in
      defer { input.close() }
      return try body()
    }
  }

  /// Calls `body` with each journal after `number`, up to `last`.
  func read(
    after number: Int64, through last: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    try alone { () throws(LogError) in try readAll(after: number, through: last, body) }
  }

  private func readAll(
    after number: Int64, through last: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    try input.seek(to: try start(after: number, last: last))
    var parts = JournalParts()
    var held: JournalParts.Whole?
    while try next() {
      for record in chunk.records {
        guard let whole = parts.take(try JournalRecord.read(record, topic: topic)),
          whole.number > number
        else { continue }
        guard whole.number <= last else {
          if let held { try give(held.number, held.bytes, to: body) }
          return
        }
        // Among uncommitted records there may be several of a number: the last writer's counts.
        if let held, held.number < whole.number { try give(held.number, held.bytes, to: body) }
        held = whole
      }
    }
    if let held { try give(held.number, held.bytes, to: body) }
  }

  /// The last commit's journal that is whole; nil where there is none.
  func last() throws(LogError) -> JournalParts.Whole? {
    guard low < high else { return nil }
    return try alone { () throws(LogError) in try findLast() }
  }

  private func findLast() throws(LogError) -> JournalParts.Whole? {
    var back: Int64 = 16
    while true {
      let offset = max(low, high - back)
      try input.seek(to: offset)
      if let found = try last(from: offset) { return found }
      if offset == low { return nil }
      back *= 4
    }
  }

  private func last(from offset: Int64) throws(LogError) -> JournalParts.Whole? {
    var parts = JournalParts()
    var found: JournalParts.Whole?
    // Of the first one, parts may stand before the place where reading began.
    var first: Int64?
    while try next() {
      for record in chunk.records {
        let content = try JournalRecord.read(record, topic: topic)
        first = first ?? content.number
        guard let whole = parts.take(content), offset == low || whole.number != first else {
          continue
        }
        found = whole
      }
    }
    return found
  }

  /// Where the first record after `number` stands; nil where nothing before it is left, or where
  /// there is none.
  func offset(after number: Int64) throws(LogError) -> Int64? {
    try alone { () throws(LogError) in try findOffset(after: number) }
  }

  private func findOffset(after number: Int64) throws(LogError) -> Int64? {
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
      // Records that are the rest of a commit's parts do not count: one before it is needed. Nor
      // does where a writer began.
      if let first = try firstNumber(), first <= number { return offset }
      back *= 4
    }
  }

  private func firstNumber() throws(LogError) -> Int64? {
    while try next() {
      for record in chunk.records {
        let number = try JournalRecord.read(record, topic: topic).number
        if number > 0 { return number }
      }
    }
    return nil
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
