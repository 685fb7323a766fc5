public import Streaming

/// Reads one partition of one topic, in offset order, and follows its end.
///
/// Sees the records of a topic that a group writes only once they are committed. Used by one
/// thread at a time; any number of readers may read beside one writer, in any process.
public final class LocalLogReader: @unchecked Sendable {
  // Handed between threads at most, never used by two at once.
  /// Bytes behind the last record of a chunk that may be read (not meaningful, but there): so
  /// that decoders may look at whole words.
  public static let readableSlack = 64
  /// A fetch stops adding blocks where a chunk would grow above this many bytes.
  static let chunkBytes = 1 << 20

  public let topic: String
  public let partition: Int32
  /// The offset that the next fetch begins with.
  public private(set) var nextOffset: Int64 = 0

  private let directory: PartitionDirectory
  private let tail: CommitTail?
  private var cursor: SegmentCursor?
  private let decoder = BlockDecoder()
  /// A block with more records than were asked for, decompressed, and where to go on in it.
  private var rest: UnsafeMutableRawBufferPointer?
  private var restHeader = BlockHeader()
  private var restCapacity = 0
  /// Where a torn end was found that proved to be no damage, and the file's size then.
  private var knownTorn: (position: Int64, size: Int64)?

  init(_ directory: PartitionDirectory, tail: CommitTail?) {
    topic = directory.topic
    partition = directory.partition
    self.directory = directory
    self.tail = tail
  }

  deinit { rest?.deallocate() }

  // MARK: Fetching

  /// Refills `chunk` with the next records. See `PartitionLog.fetch`: `.end` means that nothing
  /// more is visible now; later fetches see what is written later.
  ///
  /// - Throws: `.badData` where the log is damaged, `.missing` where retention has removed what
  ///   comes next.
  public func fetch(into chunk: RecordChunk, maxRecords: Int) throws(LogError) -> FetchStatus {
    precondition(maxRecords > 0, "a fetch asks for at least one record")
    chunk.removeAll()
    chunk.nextOffset = nextOffset
    // The records are grown outside of the chunk: a local array is cheaper to append to.
    var records = ContiguousArray<LogRecord>()
    swap(&records, &chunk.records)
    defer {
      swap(&records, &chunk.records)
      chunk.nextOffset = nextOffset
    }
    if restHeader.recordCount > 0, nextOffset < restHeader.endOffset,
      nextOffset >= restHeader.baseOffset
    {
      try serveRest(chunk, maxRecords, &records)
      return .records
    }
    var used = 0
    while records.count < maxRecords, try isVisible() {
      guard let cursor = try openedCursor() else { break }
      switch try cursor.peek() {
      case .block(let header):
        knownTorn = nil
        if header.endOffset <= nextOffset {
          guard try cursor.payload(header) != nil else { return try torn(cursor, header, records) }
          cursor.advance(header)
          continue
        }
        let first = Int(max(0, nextOffset - header.baseOffset))
        let count = header.recordCount - first
        let fitsChunk = used + header.rawLength <= LocalLogReader.chunkBytes
        if !records.isEmpty, count > maxRecords - records.count || !fitsChunk {
          return .records
        }
        guard let payload = try cursor.payload(header) else {
          return try torn(cursor, header, records)
        }
        if count > maxRecords {
          if let reason = fillRest(header, payload) {
            return try damaged(cursor, header, reason, records)
          }
          cursor.advance(header)
          try serveRest(chunk, maxRecords, &records)
          return .records
        }
        if used == 0 {
          chunk.reserve(
            max(header.rawLength, min(LocalLogReader.chunkBytes, header.rawLength * 8))
              + LocalLogReader.readableSlack)
        }
        let room = chunk.storage.count - LocalLogReader.readableSlack
        guard used + header.rawLength <= room else { return .records }
        let raw = UnsafeMutableRawBufferPointer(
          rebasing: chunk.storage[used..<used + header.rawLength])
        if let reason = decoder.decompress(header, payload, into: raw) {
          return try damaged(cursor, header, reason, records)
        }
        guard
          BlockDecoder.records(
            header, UnsafeRawBufferPointer(raw), from: first, count: count, into: &records)
        else { throw lengths(cursor, header) }
        used += header.rawLength
        cursor.advance(header)
        nextOffset = header.endOffset
      case .seal(let header):
        guard try openSegment(header.baseOffset) else {
          return records.isEmpty ? .end : .records
        }
      case .end(let isTorn):
        if isTorn { return try torn(cursor, nil, records) }
        return records.isEmpty ? .end : .records
      case .damaged(let reason):
        return try damaged(cursor, nil, reason, records)
      }
    }
    return records.isEmpty ? .end : .records
  }

  /// Whether the record at `nextOffset` may be read, as far as commits are concerned.
  private func isVisible() throws(LogError) -> Bool {
    guard let tail else { return true }
    if nextOffset < tail.end.offset { return true }
    // What stands after the committed end may yet be cut and written anew, so nothing that was
    // read of it before this look counts.
    cursor?.forget()
    try tail.refresh()
    return nextOffset < tail.end.offset
  }

  /// Decompresses a block that is delivered in parts; returns what is wrong with it, or nil.
  private func fillRest(_ header: BlockHeader, _ payload: UnsafeRawBufferPointer) -> String? {
    if restCapacity < header.rawLength {
      rest?.deallocate()
      restCapacity = header.rawLength
      rest = .allocate(byteCount: restCapacity, alignment: 64)
    }
    restHeader = BlockHeader()
    guard let rest else { return nil }
    let raw = UnsafeMutableRawBufferPointer(rebasing: rest[..<header.rawLength])
    if let reason = decoder.decompress(header, payload, into: raw) { return reason }
    restHeader = header
    return nil
  }

  /// Copies the next records of the kept block into the chunk.
  private func serveRest(
    _ chunk: RecordChunk, _ maxRecords: Int, _ records: inout ContiguousArray<LogRecord>
  ) throws(LogError) {
    guard let rest, let source = rest.baseAddress else { return }
    let header = restHeader
    let first = Int(nextOffset - header.baseOffset)
    let raw = UnsafeRawBufferPointer(rebasing: rest[..<header.rawLength])
    guard
      BlockDecoder.records(header, raw, from: first, count: maxRecords, into: &records),
      let low = records.first?.key.baseAddress, let last = records.last
    else {
      records.removeAll()
      throw directory.damage(
        directory.path, position: 0, offsets: header.baseOffset...(header.endOffset - 1),
        from: nextOffset, "its lengths do not add up")
    }
    let start = low - UnsafeRawPointer(source)
    var length = 0
    for record in records { length += record.key.count + record.value.count }
    chunk.reserve(length + LocalLogReader.readableSlack)
    chunk.storage.copyMemory(
      from: UnsafeRawBufferPointer(rebasing: raw[start..<start + length]))
    guard let target = chunk.storage.baseAddress else { return }
    for index in records.indices {
      let record = records[index]
      let at = UnsafeRawPointer(target) + ((record.key.baseAddress ?? low) - low)
      records[index].key = UnsafeRawBufferPointer(start: at, count: record.key.count)
      records[index].value = UnsafeRawBufferPointer(
        start: at + record.key.count, count: record.value.count)
    }
    nextOffset = last.offset + 1
  }

  // MARK: What is not as it should be

  /// The file ends in the middle of a block: a write that is under way or was never finished.
  private func torn(
    _ cursor: SegmentCursor, _ header: BlockHeader?, _ records: ContiguousArray<LogRecord>
  ) throws(LogError) -> FetchStatus {
    if !records.isEmpty { return .records }
    return try damaged(cursor, header, "the file ends within the block", records)
  }

  /// Records before the place are delivered first; then the torn end of the last write is an end,
  /// and everything else an error.
  private func damaged(
    _ cursor: SegmentCursor, _ header: BlockHeader?, _ reason: String,
    _ records: ContiguousArray<LogRecord>
  ) throws(LogError) -> FetchStatus {
    if !records.isEmpty { return .records }
    let position = cursor.position
    let next = cursor.nextOffset
    if tail == nil {
      let size = try cursor.size()
      if let knownTorn, knownTorn == (position, size) { return .end }
      let isLast = try directory.bases().last == cursor.base
      let isInside = try cursor.hasLaterBlock()
      // Another look: what is being written while we read is whole by the second one.
      cursor.move(to: position, nextOffset: next)
      if isLast, !isInside {
        knownTorn = (position, size)
        return .end
      }
      // The write may have ended between the two looks, and others after it.
      if try isWhole(cursor) { return .end }
    }
    throw directory.damage(
      cursor.path, position: position, offsets: header.map { $0.baseOffset...($0.endOffset - 1) },
      from: next, reason)
  }

  /// Whether what stands at the cursor is as it should be; the cursor stays where it is.
  private func isWhole(_ cursor: SegmentCursor) throws(LogError) -> Bool {
    let (position, next) = (cursor.position, cursor.nextOffset)
    defer { cursor.move(to: position, nextOffset: next) }
    switch try cursor.peek() {
    case .block(let header):
      guard let payload = try cursor.payload(header) else { return false }
      return XXH64.hash(payload) == header.payloadChecksum
    case .seal: return true
    case .end, .damaged: return false
    }
  }

  private func lengths(_ cursor: SegmentCursor, _ header: BlockHeader) -> LogError {
    directory.damage(
      cursor.path, position: cursor.position,
      offsets: header.baseOffset...(header.endOffset - 1), from: header.baseOffset,
      "its lengths do not add up")
  }

  // MARK: Finding places

  private func openedCursor() throws(LogError) -> SegmentCursor? {
    if let cursor { return cursor }
    try position(at: nextOffset)
    return cursor
  }

  /// Goes on in the segment that begins with `base`; false where there is none yet.
  private func openSegment(_ base: Int64) throws(LogError) -> Bool {
    if FileSystem.exists(directory.log(base)) {
      cursor = try SegmentCursor(directory.log(base), base: base)
      return true
    }
    if let later = try directory.bases().first(where: { $0 > base }) {
      // A segment may have been made since the first look.
      if FileSystem.exists(directory.log(base)) { return try openSegment(base) }
      throw LogError(
        .missing, recovery: .stop,
        "offsets \(base) to \(later - 1) of the topic \(topic), partition \(partition), are gone:"
          + " retention removed them before they were read; restore them, or begin at \(later)")
    }
    return false
  }

  /// The next fetch begins with `offset`, or with the first record after it that is still held.
  /// Beyond the end it waits until the log gets there.
  public func seek(to offset: Int64) throws(LogError) {
    precondition(offset >= 0, "offsets begin at 0")
    nextOffset = offset
    cursor = nil
    knownTorn = nil
    restHeader = BlockHeader()
  }

  private func position(at offset: Int64) throws(LogError) {
    let bases = try directory.bases()
    guard let first = bases.first else { return }
    nextOffset = max(offset, first)
    let base = bases.last { $0 <= nextOffset } ?? first
    let opened = try SegmentCursor(directory.log(base), base: base)
    let start = try directory.loadIndex(opened).start(offset: nextOffset)
    opened.move(to: start.position, nextOffset: start.offset)
    cursor = opened
  }

  /// The first offset that is still held; 0 when nothing was ever removed.
  public func firstOffset() throws(LogError) -> Int64 { try directory.bases().first ?? 0 }

  /// The offset after the last visible record.
  public func endOffset() throws(LogError) -> Int64 {
    if let tail {
      try tail.refresh()
      return tail.end.offset
    }
    guard let last = try directory.bases().last else { return 0 }
    let walk = try SegmentCursor(directory.log(last), base: last)
    let index = try directory.loadIndex(walk)
    let start = index.entries.last.map { ($0.position, $0.offset) } ?? (0, last)
    walk.move(to: start.0, nextOffset: start.1)
    // The last write may be unfinished, with or without its length: only its checksum tells.
    while case .block(let header) = try walk.peek(), let payload = try walk.payload(header),
      XXH64.hash(payload) == header.payloadChecksum
    {
      walk.advance(header)
    }
    return walk.nextOffset
  }

  /// The first offset whose record's time is at or after `time`, in ms since the epoch; the end
  /// when there is none. Records need not be in the order of their times: no record before the
  /// offset is at or after `time`.
  ///
  /// By append time it is exact. Event times are known block by block: there it is the first
  /// offset of the block that holds the record. Records of unknown time count as at or after any.
  public func offset(ofTime time: Int64, by kind: LogTime) throws(LogError) -> Int64 {
    let end = try endOffset()
    for base in try directory.bases() where base < end {
      if let seal = try directory.seal(base), !seal.times.mayReach(time, kind) { continue }
      let walk = try SegmentCursor(directory.log(base), base: base)
      let start = try directory.loadIndex(walk).start(time: time, kind)
      walk.move(to: start.position, nextOffset: start.offset)
      while walk.nextOffset < end, case .block(let header) = try walk.peek() {
        if header.times.mayReach(time, kind) {
          if kind == .event { return header.baseOffset }
          if let found = try offset(ofAppendTime: time, walk, header) { return found }
        }
        walk.advance(header)
      }
    }
    return end
  }

  private func offset(
    ofAppendTime time: Int64, _ walk: SegmentCursor, _ header: BlockHeader
  ) throws(LogError) -> Int64? {
    guard let payload = try walk.payload(header) else { return nil }
    return try withUnsafeTemporary(header.rawLength) { raw throws(LogError) -> Int64? in
      if let reason = decoder.decompress(header, payload, into: raw) {
        throw directory.damage(
          walk.path, position: walk.position, offsets: header.baseOffset...(header.endOffset - 1),
          from: header.baseOffset, reason)
      }
      var records = ContiguousArray<LogRecord>()
      guard
        BlockDecoder.records(
          header, UnsafeRawBufferPointer(raw), from: 0, count: header.recordCount, into: &records)
      else { throw lengths(walk, header) }
      return records.first {
        $0.appendTime == LogRecord.noAppendTime || $0.appendTime >= time
      }?.offset
    }
  }
}
