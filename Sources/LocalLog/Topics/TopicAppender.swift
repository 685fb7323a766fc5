public import Streaming

/// Appends records to one partition of a topic that no group owns: for imports and generators.
///
/// Used by one thread at a time. Holds the partition's lock until `close` or its end, so that two
/// processes never write into each other.
public final class TopicAppender: @unchecked Sendable {
  // Handed between threads at most, never used by two at once.
  /// The `eventTime` of a record of which the writer does not know it.
  public static let unknownTime = Int64.min

  public let topic: String
  public let partition: Int32
  private let lock: FileLock
  private let writer: SegmentWriter
  private let encoder: BlockEncoder
  private let blockBytes: Int
  /// A block that is encoded but not written, after a write that failed.
  private var pending: (header: BlockHeader, bytes: UnsafeRawBufferPointer)?

  init(_ info: TopicInfo, _ directory: PartitionDirectory, _ options: LocalLogOptions)
    throws(LogError)
  {
    topic = info.name
    partition = directory.partition
    lock = try FileLock(
      directory.path + "/lock", what: "partition \(directory.partition) of the topic \(info.name)")
    writer = try SegmentWriter.continuing(directory, options)
    encoder = BlockEncoder(level: info.compressionLevel)
    blockBytes = options.blockBytes
  }

  /// The offset that the next record gets.
  public var nextOffset: Int64 {
    (pending?.header.endOffset ?? writer.end.offset) + Int64(encoder.count)
  }

  /// Adds a record; it is written with its block: when that is full, and on `flush`.
  ///
  /// - Parameters:
  ///   - appendTime: ms since the epoch, or `LogRecord.noAppendTime`.
  ///   - eventTime: ms since the epoch, or `unknownTime`; only the index keeps it.
  /// - Returns: the record's offset.
  /// - Throws: `.badData` for a record above 48 MiB; otherwise the write of a full block failed,
  ///   and with `.retry` the same call may be made again: the record was not taken.
  @discardableResult
  public func append(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, appendTime: Int64,
    eventTime: Int64 = TopicAppender.unknownTime
  ) throws(LogError) -> Int64 {
    let bytes = key.count + value.count
    guard bytes <= BlockEncoder.recordBytesMax else {
      throw LogError(
        .badData,
        "a record of \(bytes) bytes does not fit the topic \(topic): at most"
          + " \(BlockEncoder.recordBytesMax) bytes")
    }
    if pending != nil { try writePending() }
    let isFull = !encoder.isEmpty && encoder.rawLength + bytes > blockBytes
    if isFull || !encoder.fits(appendTime: appendTime, bytes: bytes) { try writeBlock() }
    encoder.add(key: key, value: value, appendTime: appendTime, eventTime: eventTime)
    return nextOffset - 1
  }

  /// Writes what was added and, as the options say, forces it to the disk.
  public func flush() throws(LogError) {
    try writeBlock()
    try writer.sync()
  }

  /// Flushes, syncs, and gives the partition up when it goes out of scope.
  public func close() throws(LogError) {
    try writeBlock()
    try writer.close()
  }

  private func writeBlock() throws(LogError) {
    if pending != nil { try writePending() }
    guard !encoder.isEmpty else { return }
    pending = encoder.encode(baseOffset: writer.end.offset, transaction: 0)
    try writePending()
  }

  private func writePending() throws(LogError) {
    guard let block = pending else { return }
    try writer.append(block.header, block.bytes)
    pending = nil
  }
}
