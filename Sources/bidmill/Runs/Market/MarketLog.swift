import Events
import LocalLog
import Simulation
import Streaming

/// The log between a market and the topology that bids in it: what the market sends is fetched,
/// what the topology publishes is committed, and both are kept where an archive is given.
final class MarketLog: PartitionLog, @unchecked Sendable {
  // One thread calls everything: the loop runs commits in its own.
  let inputs: [LogInput]
  private let archive: MarketArchive?
  /// Shown every output as it is committed: its sink, its key and its value.
  private let published: (Int, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void

  private var pending = MarketRecords()
  private var isPending = false
  private var nextOffset: Int64 = 0
  private var lastNumber: Int64 = 0

  init(
    topic: String, archive: MarketArchive?,
    published: @escaping (Int, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) {
    inputs = [LogInput(source: "", topic: topic)]
    self.archive = archive
    self.published = published
  }

  /// Puts records where the next fetch finds them; gives the place of the last ones back.
  func send(_ records: inout MarketRecords) {
    precondition(!isPending, "what was sent is fetched before more is sent")
    swap(&records, &pending)
    isPending = !pending.isEmpty
  }

  func fetch(
    _ input: Int, into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    chunk.removeAll()
    guard isPending else { return .waiting }
    isPending = false
    // A step's records are few, and the buffer takes what it is given.
    chunk.reserve(pending.bytes.count)
    pending.bytes.withUnsafeBytes { chunk.storage.copyMemory(from: $0) }
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    for record in pending.records {
      chunk.records.append(
        LogRecord(
          offset: nextOffset, appendTime: LogRecord.noAppendTime, key: empty,
          value: UnsafeRawBufferPointer(
            rebasing: chunk.storage[record.start..<record.start + record.count])))
      nextOffset += 1
    }
    chunk.nextOffset = nextOffset
    return .records
  }

  func seek(_ input: Int, to offset: Int64) throws(LogError) {
    precondition(offset == nextOffset, "a market cannot be wound back")
  }

  func firstOffsets() throws(LogError) -> [Int64] { [0] }

  func committed() throws(LogError) -> CommitPoint? { nil }

  func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {}

  func commit(_ transaction: Transaction) throws(LogError) {
    let outputs = transaction.outputs
    for record in outputs.records {
      let (key, value) = (outputs.key(of: record), outputs.value(of: record))
      try archive?.add(output: record, key: key, value: value)
      published(Int(record.sink), key, value)
    }
  }

  func close() {}
}

/// What a closed loop leaves behind: its events as JSON Lines, and a local log with a topic for
/// them and one for every stream that was published.
final class MarketArchive {
  let eventsPath: String
  let logPath: String
  private let file: LineFile
  private let events: TopicAppender
  private let outputs: [TopicAppender]
  private let accounts: [[UInt8]]

  /// - Parameters:
  ///   - topic: where events go.
  ///   - outputs: of the topology, in its order.
  init(
    directory: MadeDirectory, topic: String, outputs: [LogOutput], world: MarketWorld
  ) throws {
    eventsPath = directory.file("events.jsonl.zst")
    logPath = directory.file("log")
    file = try LineFile(eventsPath, overwrite: true)
    // What a crash would lose can be made again.
    var options = LocalLogOptions()
    options.fsync = .never
    let store = try LocalLogStore.open(logPath, creating: true, options: options)
    try store.createTopic(topic, partitions: 1)
    events = try store.appender(topic, partition: 0)
    var appenders: [TopicAppender] = []
    for output in outputs {
      if let same = appenders.first(where: { $0.topic == output.topic }) {
        appenders.append(same)
        continue
      }
      guard output.topic != topic else {
        throw Failure(
          .configuration, "error: the sink \(output.sink) writes the topic \(topic) of the events")
      }
      try store.createTopic(output.topic, partitions: 1)
      appenders.append(try store.appender(output.topic, partition: 0))
    }
    self.outputs = appenders
    accounts = world.accounts.map { Array($0.name.utf8) }
  }

  func add(_ records: borrowing MarketRecords) throws {
    try records.bytes.withUnsafeBytes { bytes in
      for record in records.records {
        let value = UnsafeRawBufferPointer(
          rebasing: bytes[record.start..<record.start + record.count])
        try file.add(value)
        let key = record.account < 0 ? [] : accounts[record.account]
        try key.withUnsafeBytes { key in
          _ = try events.append(
            key: key, value: value, appendTime: LogRecord.noAppendTime,
            eventTime: record.time.milliseconds)
        }
      }
    }
  }

  func add(
    output: OutputBuffer.Record, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
  ) throws(LogError) {
    _ = try outputs[Int(output.sink)].append(
      key: key, value: value, appendTime: LogRecord.noAppendTime,
      eventTime: output.time.milliseconds)
  }

  func finish() throws {
    try file.finish()
    try events.close()
    for (place, output) in outputs.enumerated()
    where !outputs[..<place].contains(where: { $0 === output }) {
      try output.close()
    }
  }
}

/// Does each job at once, in the caller's thread.
final class DirectQueue: WorkQueue {
  func submit(_ job: @escaping @Sendable () -> Void) { job() }
}
