import Events
public import Streaming
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension LocalLogStore {
  /// Opens a partition of a group: its inputs for reading, its outputs for commits.
  ///
  /// Missing output topics are created with as many partitions as the inputs have. Outputs are
  /// cut back to the last commit.
  ///
  /// - Throws: `.missing` that names the input topics that do not exist; `.configuration` where
  ///   inputs have unequal partition counts or an output is written by someone else;
  ///   `.unavailable` that names the process that holds the partition; `.badData` where commits
  ///   and outputs do not fit each other.
  public func partitionLog(
    group: String, partition: Int32, inputs: [LogInput], outputs: [LogOutput]
  ) throws(LogError) -> LocalPartitionLog {
    let partitions = try partitionCount(inputs)
    guard partition >= 0, Int(partition) < partitions else {
      throw LogError(
        .configuration,
        "there is no partition \(partition) for the group \(group): the inputs have 0 to"
          + " \(partitions - 1)")
    }
    var topics: [TopicInfo] = []
    for output in outputs {
      if inputs.contains(where: { $0.topic == output.topic }) {
        throw LogError(
          .configuration, "the topic \(output.topic) is an input and an output of \(group)")
      }
      if topics.contains(where: { $0.name == output.topic }) {
        throw LogError(
          .configuration, "the topic \(output.topic) is named by two sinks of \(group)")
      }
      topics.append(
        try createTopic(
          output.topic, partitions: partitions,
          level: try info(output.topic)?.compressionLevel ?? LocalLogStore.defaultCompressionLevel,
          group: group))
    }
    return try LocalPartitionLog(
      self, group: group, partition: partition, inputs: inputs, topics: topics)
  }

  /// The partition count that all inputs share.
  public func partitionCount(_ inputs: [LogInput]) throws(LogError) -> Int {
    var counts: [(topic: String, count: Int)] = []
    var missing: [String] = []
    for input in inputs where !counts.contains(where: { $0.topic == input.topic }) {
      if let known = try info(input.topic) {
        counts.append((input.topic, known.partitions))
      } else if !missing.contains(input.topic) {
        missing.append(input.topic)
      }
    }
    guard missing.isEmpty else {
      throw LogError(
        .missing,
        "\(root) has no topic \(missing.joined(separator: ", ")); create it with `bidmill log"
          + " import`, or take it out of the sources")
    }
    guard let first = counts.first else {
      throw LogError(.configuration, "there is no input topic")
    }
    guard counts.allSatisfy({ $0.count == first.count }) else {
      let list = counts.map { "\($0.topic) \($0.count)" }.joined(separator: ", ")
      throw LogError(
        .configuration,
        "input topics must have equal partition counts, so that an account is in the same"
          + " partition of all: \(list)")
    }
    return first.count
  }
}

/// A group's partition in a local log.
///
/// `fetch`, `seek` and `firstOffsets` belong to the partition's worker, `commit` to one other
/// thread; they share nothing but the last commit.
public final class LocalPartitionLog: PartitionLog, @unchecked Sendable {
  public let inputs: [LogInput]
  public let group: String
  public let partition: Int32

  private let directory: GroupDirectory
  private let readers: [LocalLogReader]
  private let options: LocalLogOptions
  private let lastCommit: Mutex<CommitPoint?>
  private let writer: Mutex<GroupWriter?>

  fileprivate init(
    _ store: LocalLogStore, group: String, partition: Int32, inputs: [LogInput],
    topics: [TopicInfo]
  ) throws(LogError) {
    self.inputs = inputs
    self.group = group
    self.partition = partition
    options = store.options
    directory = try store.groupDirectory(group, partition)
    var readers: [LocalLogReader] = []
    for input in inputs {
      readers.append(try store.reader(input.topic, partition: input.partition))
    }
    self.readers = readers
    let opened = try GroupWriter(store, directory, inputs: inputs.map(\.topic), topics: topics)
    lastCommit = Mutex(opened.point)
    writer = Mutex(opened)
  }

  public func fetch(
    _ input: Int, into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    try readers[input].fetch(into: chunk, maxRecords: maxRecords)
  }

  public func seek(_ input: Int, to offset: Int64) throws(LogError) {
    try readers[input].seek(to: offset)
  }

  public func firstOffsets() throws(LogError) -> [Int64] {
    var offsets: [Int64] = []
    for reader in readers { offsets.append(try reader.firstOffset()) }
    return offsets
  }

  /// The offset after the last visible record, per input: how far behind the partition is.
  public func endOffsets() throws(LogError) -> [Int64] {
    var offsets: [Int64] = []
    for reader in readers { offsets.append(try reader.endOffset()) }
    return offsets
  }

  public func committed() throws(LogError) -> CommitPoint? { lastCommit.withLock { $0 } }

  /// - Throws: `.missing` where retention has removed the next number.
  public func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    guard let last = lastCommit.withLock({ $0 })?.number, last > number else { return }
    try directory.journal(after: number, through: last, body)
  }

  /// The first journal number that is still held.
  public func firstJournalNumber() throws(LogError) -> Int64 {
    try directory.segments().first ?? 1
  }

  /// Removes whole segments of the journal that a snapshot at `number` makes superfluous.
  /// - Returns: the number of segments removed.
  @discardableResult
  public func removeJournal(through number: Int64) throws(LogError) -> Int {
    try CommitLog.remove(through: number, directory, options)
  }

  public func commit(_ transaction: Transaction) throws(LogError) {
    // Typed errors and a lock's closure do not mix well; the result carries the error.
    let result = writer.withLock { writer -> Result<CommitPoint?, LogError> in
      guard let writer else {
        preconditionFailure("nothing is committed to a partition after close")
      }
      do throws(LogError) {
        try writer.commit(transaction)
        return .success(writer.point)
      } catch {
        return .failure(error)
      }
    }
    let point = try result.get()
    lastCommit.withLock { $0 = point }
  }

  public func close() {
    writer.withLock { writer in
      writer?.close()
      writer = nil
    }
  }
}

/// The writing half of a group's partition.
private final class GroupWriter {
  private let lock: FileLock
  private let commits: CommitLog
  private let group: String
  private let topics: [TopicInfo]
  private let writers: [SegmentWriter]
  private let encoder: BlockEncoder
  private let options: LocalLogOptions
  /// Where each of the group's inputs and outputs stands in the commits' table.
  private let inputPlaces: [Int]
  private let outputPlaces: [Int]
  private var counts: [Int]
  /// Output that may stand after the last commit and must be cut before anything is appended.
  private var needsCut = false
  /// Set once it is unknown what the next one who opens the log will find.
  private var lost: LogError?

  init(
    _ store: LocalLogStore, _ directory: GroupDirectory, inputs: [String], topics: [TopicInfo]
  ) throws(LogError) {
    options = store.options
    group = directory.group
    self.topics = topics
    try FileSystem.makeDirectory(directory.path, faults: options.faults)
    lock = try FileLock(
      directory.path + "/lock",
      what: "partition \(directory.partition) of the group \(directory.group)")
    var distinct: [String] = []
    for name in inputs where !distinct.contains(name) { distinct.append(name) }
    commits = try CommitLog(
      directory, inputs: distinct, outputs: topics.map(\.name), options)
    let table = commits.table
    inputPlaces = inputs.map { table.inputs.firstIndex(of: $0) ?? 0 }
    let outputPlaces = topics.map { table.outputs.firstIndex(of: $0.name) ?? 0 }
    self.outputPlaces = outputPlaces
    var writers: [SegmentWriter] = []
    for (topic, place) in zip(topics, outputPlaces) {
      let end = commits.state.ends[place]
      let isNew = end == LogEnd(segment: 0, position: 0, offset: 0)
      writers.append(
        try SegmentWriter.committed(
          isNew ? nil : end, next: commits.state.number + 1,
          try store.directory(topic.name, directory.partition), options))
    }
    self.writers = writers
    encoder = BlockEncoder(
      level: topics.first?.compressionLevel ?? LocalLogStore.defaultCompressionLevel)
    counts = Array(repeating: 0, count: topics.count)
  }

  var point: CommitPoint? {
    let state = commits.state
    guard state.number > 0 else { return nil }
    return CommitPoint(
      number: state.number, nextOffsets: inputPlaces.map { state.nextOffsets[$0] })
  }

  func commit(_ transaction: Transaction) throws(LogError) {
    precondition(
      transaction.nextOffsets.count == inputPlaces.count,
      "a transaction names the next offset of every input")
    if let lost { throw lost }
    let last = commits.state.number
    if transaction.number == last, last > 0 {
      // Its answer was lost; the outputs stand there already.
      precondition(
        point?.nextOffsets == transaction.nextOffsets,
        "a transaction that is sent again carries the same offsets")
      return
    }
    precondition(
      transaction.number == last + 1,
      "transactions are committed in order, without gaps: \(transaction.number) after \(last)")
    let isSyncDue = commits.isSyncDue
    do throws(LogError) {
      if needsCut { try cutBack() }
      try append(transaction)
      if isSyncDue {
        for writer in writers { try writer.sync(force: true) }
      }
    } catch {
      needsCut = true
      try? cutBack()
      throw LogError(
        error.kind, recovery: .retry,
        error.message + "; transaction \(transaction.number) of the group \(group) was not"
          + " committed and can be sent again")
    }
    var next = commits.state
    next.number = transaction.number
    for (place, offset) in zip(inputPlaces, transaction.nextOffsets) {
      next.nextOffsets[place] = offset
    }
    for (place, writer) in zip(outputPlaces, writers) { next.ends[place] = writer.end }
    switch commits.append(next, journal: transaction.journal, syncing: isSyncDue) {
    case .committed: return
    case .refused(let error):
      needsCut = true
      try? cutBack()
      throw LogError(error.kind, recovery: .retry, error.message)
    case .unknown(let error):
      let failure = LogError(
        error.kind, recovery: .recreate,
        error.message + "; whether transaction \(transaction.number) of the group \(group) was"
          + " committed shows when the log is opened again")
      lost = failure
      throw failure
    }
  }

  private func append(_ transaction: Transaction) throws(LogError) {
    let buffer = transaction.outputs
    for index in counts.indices { counts[index] = 0 }
    for record in buffer.records { counts[Int(record.sink)] += 1 }
    let now = options.now()
    for sink in counts.indices where counts[sink] > 0 {
      try append(buffer, sink: sink, transaction.number, now)
    }
  }

  private func append(
    _ buffer: OutputBuffer, sink: Int, _ number: Int64, _ now: Int64
  ) throws(LogError) {
    let writer = writers[sink]
    encoder.removeAll()
    for record in buffer.records where Int(record.sink) == sink {
      let length = Int(record.keyLength) + Int(record.valueLength)
      guard length <= BlockEncoder.recordBytesMax else {
        preconditionFailure("an output record is at most \(BlockEncoder.recordBytesMax) bytes")
      }
      if !encoder.isEmpty, encoder.rawLength + length > options.blockBytes {
        try write(writer, number)
      }
      encoder.add(
        key: buffer.key(of: record), value: buffer.value(of: record), appendTime: now,
        eventTime: record.time.milliseconds)
    }
    try write(writer, number)
  }

  private func write(_ writer: SegmentWriter, _ number: Int64) throws(LogError) {
    guard !encoder.isEmpty else { return }
    let block = encoder.encode(baseOffset: writer.end.offset, transaction: number)
    try writer.append(block.header, block.bytes)
  }

  /// Takes the outputs back to the last commit.
  private func cutBack() throws(LogError) {
    encoder.removeAll()
    for (place, writer) in zip(outputPlaces, writers) {
      try writer.cut(to: commits.state.ends[place])
    }
    needsCut = false
  }

  /// Syncs what the options left for later. What fails here is found on the next open.
  func close() {
    for writer in writers { try? writer.close() }
    try? commits.sync()
  }
}
