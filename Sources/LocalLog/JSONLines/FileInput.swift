public import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a replay reads from: one partition of one input.
///
/// Used by one thread at a time.
public protocol ReplayInput: AnyObject {
  /// As `PartitionLog.fetch`; `.end` is for good.
  func fetch(into chunk: RecordChunk, maxRecords: Int) throws(LogError) -> FetchStatus
  func seek(to offset: Int64) throws(LogError)
  func firstOffset() throws(LogError) -> Int64
}

extension LocalLogReader: ReplayInput {}

/// The lines of a JSON Lines file as records: no key, the line as value, its number (from 1) as
/// offset, no append time.
///
/// Lines end with LF; one CR before it does not count, nor does a byte order mark at the file's
/// beginning. The last line counts without LF too. Blank lines are skipped but numbered. A line
/// above `lineBytesMax` is delivered as its first `truncatedBytes`, and listed in the chunk's
/// `truncated`.
public final class FileInput: ReplayInput, @unchecked Sendable {
  // Handed between threads at most, never used by two at once.
  /// What is held of one line at most.
  public static let lineBytesMax = 16 << 20
  /// What is kept of a longer one: one byte more than a decoder accepts.
  public static let truncatedBytes = (1 << 20) + 1
  /// Bytes behind the last line of a chunk that may be read.
  public static let readableSlack = 64
  static let readBytesMax = 1 << 20
  static let readBytesMin = 64 << 10

  public let path: String
  private var source: ByteSource
  /// What was read but not delivered: a line's beginning, or lines beyond `maxRecords`.
  private var carry: UnsafeMutableRawBufferPointer
  private var carryCount = 0
  /// The carry's first bytes in which there is no line end.
  private var carryScanned = 0
  private var isAtEnd = false
  private var failure: LogError?
  private var line: Int64 = 1
  /// Lines before this one are not delivered.
  private var firstLine: Int64 = 1
  private var lineBytesAverage = 256

  /// - Parameter path: a file, or `-` for standard input.
  /// - Throws: `.missing`, or `.configuration` for a directory.
  public init(path: String) throws(LogError) {
    self.path = path
    source = try ByteSource(path)
    carry = .allocate(byteCount: 4096, alignment: 64)
  }

  deinit { carry.deallocate() }

  public func firstOffset() throws(LogError) -> Int64 { 1 }

  /// The next fetch begins with this line.
  /// - Throws: `.configuration` where standard input would have to go back.
  public func seek(to offset: Int64) throws(LogError) {
    if offset < line {
      guard path != "-" else {
        throw LogError(
          .configuration,
          "standard input cannot go back to line \(offset) from \(line); replay from a file")
      }
      source = try ByteSource(path)
      carryCount = 0
      carryScanned = 0
      isAtEnd = false
      failure = nil
      line = 1
    }
    firstLine = offset
  }

  public func fetch(into chunk: RecordChunk, maxRecords: Int) throws(LogError) -> FetchStatus {
    precondition(maxRecords > 0, "a fetch asks for at least one record")
    chunk.removeAll()
    chunk.nextOffset = line
    let (wanted, overflow) = maxRecords.multipliedReportingOverflow(by: lineBytesAverage)
    let block = max(
      FileInput.readBytesMin, min(FileInput.readBytesMax, overflow ? .max : wanted))
    chunk.reserve(carryCount + block + FileInput.readableSlack)
    chunk.storage.copyMemory(from: UnsafeRawBufferPointer(rebasing: carry[..<carryCount]))
    var split = LineSplit(
      used: carryCount, scanned: carryScanned, line: line, firstLine: firstLine)
    swap(&split.records, &chunk.records)
    carryCount = 0
    carryScanned = 0
    fill(&split, chunk, block, maxRecords)
    line = split.line
    keep(split, chunk)
    let isEmpty = split.records.isEmpty
    if split.records.count > 16 {
      lineBytesAverage = max(16, min(split.start / split.records.count, 1 << 20))
    }
    swap(&split.records, &chunk.records)
    chunk.nextOffset = max(line, firstLine)
    if !isEmpty { return .records }
    if let failure { throw failure }
    return .end
  }

  /// Splits and reads until there are records or nothing more comes.
  private func fill(
    _ split: inout LineSplit, _ chunk: RecordChunk, _ block: Int, _ maxRecords: Int
  ) {
    var hasRead = false
    while true {
      split.run(chunk.storage, maxRecords)
      if split.records.count >= maxRecords { return }
      if !split.records.isEmpty, hasRead || split.records.count >= maxRecords / 2 { return }
      if isAtEnd {
        if failure == nil { split.finish(chunk.storage) }
        return
      }
      if split.records.isEmpty {
        if split.used - split.start > FileInput.lineBytesMax {
          skipLongLine(&split, chunk)
          continue
        }
        split.compact(chunk.storage)
        chunk.reserve(split.used + block + FileInput.readableSlack, keeping: split.used)
      }
      let room = chunk.storage.count - FileInput.readableSlack - split.used
      if room <= 0 { return }
      split.used += read(
        UnsafeMutableRawBufferPointer(
          rebasing: chunk.storage[split.used..<split.used + min(room, block)]))
      hasRead = true
    }
  }

  /// Reads on; an error counts as the end and is thrown once the lines before it are delivered.
  private func read(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
    do throws(LogError) {
      let count = try source.read(into: buffer)
      if count == 0 { isAtEnd = true }
      return count
    } catch {
      failure = error
      isAtEnd = true
      return 0
    }
  }

  /// The line at `split.start` is longer than we hold: keeps its beginning and reads past it.
  private func skipLongLine(_ split: inout LineSplit, _ chunk: RecordChunk) {
    split.compact(chunk.storage)
    let prefix = FileInput.truncatedBytes
    var length = Int64(split.used)
    var lastByte = chunk.storage[split.used - 1]
    let window = UnsafeMutableRawBufferPointer(
      rebasing: chunk.storage[prefix..<chunk.storage.count - FileInput.readableSlack])
    guard let start = window.baseAddress else { return }
    while true {
      let count = read(window)
      if count == 0 {
        // Cut in the middle by damage: not a line. By the file's end: the last one.
        split.used = failure == nil ? prefix : 0
        if failure == nil { split.emitLong(chunk, prefix, length, lastByte) }
        split.start = split.used
        split.scanned = split.used
        return
      }
      guard let found = memchr(start, 0x0A, count) else {
        length += Int64(count)
        lastByte = window[count - 1]
        continue
      }
      let at = UnsafeRawPointer(found) - UnsafeRawPointer(start)
      length += Int64(at)
      if at > 0 { lastByte = window[at - 1] }
      split.emitLong(chunk, prefix, length, lastByte)
      let rest = count - at - 1
      start.copyMemory(from: start + at + 1, byteCount: rest)
      split.start = prefix
      split.scanned = prefix
      split.used = prefix + rest
      return
    }
  }

  /// Puts aside what was read beyond the delivered lines.
  private func keep(_ split: LineSplit, _ chunk: RecordChunk) {
    carryCount = split.used - split.start
    carryScanned = split.scanned - split.start
    if carryCount > carry.count {
      carry.deallocate()
      carry = .allocate(byteCount: max(carryCount, 64 << 10), alignment: 64)
    }
    carry.copyMemory(
      from: UnsafeRawBufferPointer(rebasing: chunk.storage[split.start..<split.used]))
  }
}

/// Lines found in a buffer.
private struct LineSplit {
  var records: ContiguousArray<LogRecord> = []
  /// Where the next line begins.
  var start = 0
  /// How far the buffer is filled.
  var used: Int
  /// Up to where there is no line end from `start` on.
  var scanned: Int
  var line: Int64
  let firstLine: Int64

  init(used: Int, scanned: Int, line: Int64, firstLine: Int64) {
    self.used = used
    self.scanned = scanned
    self.line = line
    self.firstLine = firstLine
  }

  /// Takes whole lines out of the buffer, `maxRecords` at most.
  mutating func run(_ storage: UnsafeMutableRawBufferPointer, _ maxRecords: Int) {
    guard let bytes = storage.baseAddress else { return }
    while records.count < maxRecords, scanned < used {
      guard let found = memchr(bytes + scanned, 0x0A, used - scanned) else {
        scanned = used
        return
      }
      let end = UnsafeRawPointer(found) - UnsafeRawPointer(bytes)
      emit(UnsafeRawPointer(bytes), end)
      start = end + 1
      scanned = start
    }
  }

  /// The last line, that no LF ends.
  mutating func finish(_ storage: UnsafeMutableRawBufferPointer) {
    guard start < used, let bytes = storage.baseAddress else { return }
    emit(UnsafeRawPointer(bytes), used)
    start = used
    scanned = used
  }

  @inline(__always)
  private mutating func emit(_ bytes: UnsafeRawPointer, _ end: Int) {
    let number = line
    line += 1
    var first = start
    var end = end
    if end > first, bytes.load(fromByteOffset: end - 1, as: UInt8.self) == 0x0D { end -= 1 }
    if number == 1, end - first >= 3,
      bytes.loadUnaligned(
        fromByteOffset: first, as: UInt16.self) == UInt16(littleEndian: 0xBBEF),
      bytes.load(fromByteOffset: first + 2, as: UInt8.self) == 0xBF
    {
      first += 3
    }
    if first == end || number < firstLine { return }
    if bytes.load(fromByteOffset: first, as: UInt8.self) <= 0x20,
      LineSplit.isBlank(UnsafeRawBufferPointer(start: bytes + first, count: end - first))
    {
      return
    }
    records.append(
      LogRecord(
        offset: number, appendTime: LogRecord.noAppendTime,
        key: UnsafeRawBufferPointer(start: nil, count: 0),
        value: UnsafeRawBufferPointer(start: bytes + first, count: end - first)))
  }

  private static func isBlank(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
  }

  mutating func emitLong(
    _ chunk: RecordChunk, _ prefix: Int, _ length: Int64, _ lastByte: UInt8
  ) {
    let number = line
    line += 1
    guard number >= firstLine else { return }
    chunk.truncated.append(
      TruncatedRecord(offset: number, length: length - (lastByte == 0x0D ? 1 : 0)))
    records.append(
      LogRecord(
        offset: number, appendTime: LogRecord.noAppendTime,
        key: UnsafeRawBufferPointer(start: nil, count: 0),
        value: UnsafeRawBufferPointer(rebasing: chunk.storage[..<prefix])))
  }

  /// Moves what is left to the buffer's beginning. No record may point into it.
  mutating func compact(_ storage: UnsafeMutableRawBufferPointer) {
    guard start > 0, let bytes = storage.baseAddress else { return }
    bytes.copyMemory(from: bytes + start, byteCount: used - start)
    used -= start
    scanned -= start
    start = 0
  }
}
