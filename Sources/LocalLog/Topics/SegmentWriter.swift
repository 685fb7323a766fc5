import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where a topic partition ends: the segment, the byte in it, and the next offset.
struct LogEnd: BitwiseCopyable, Equatable {
  var segment: Int64
  var position: Int64
  var offset: Int64
}

/// Appends blocks to a topic partition's last segment and begins new ones. Used by one thread.
///
/// After a failed append the bytes past `end` are unknown; `cut` puts that right. Until it
/// succeeded nothing may be appended.
final class SegmentWriter {
  let directory: PartitionDirectory
  private let options: LocalLogOptions
  private(set) var end: LogEnd
  private var index: SegmentIndex
  private var file: FileDescriptor
  private var indexIsSaved = true
  private var needsSync = false
  private var syncedAt: Int64

  /// Opens the end of a partition whose bytes count as they stand: continues after the last whole
  /// block and cuts what a crash left behind it.
  static func continuing(
    _ directory: PartitionDirectory, _ options: LocalLogOptions
  ) throws(LogError) -> SegmentWriter {
    guard let last = try directory.bases().last else {
      return try SegmentWriter(creating: 0, directory, options)
    }
    let cursor = try SegmentCursor(directory.log(last), base: last)
    var index = try directory.loadIndex(cursor)
    let start = index.entries.last.map { ($0.position, $0.offset) } ?? (0, last)
    index.cut(to: start.0)
    cursor.move(to: start.0, nextOffset: start.1)
    let decoder = TailChecker()
    while true {
      switch try cursor.peek() {
      case .block(let header):
        guard let payload = try cursor.payload(header) else {
          return try SegmentWriter(cuttingAt: cursor, index, directory, options)
        }
        if let reason = decoder.check(header, payload) {
          let range = header.baseOffset...(header.endOffset - 1)
          let position = cursor.position
          if try cursor.hasLaterBlock() {
            throw directory.damage(
              cursor.path, position: position, offsets: range, from: header.baseOffset, reason)
          }
          return try SegmentWriter(cuttingAt: cursor, index, directory, options)
        }
        _ = index.add(header, at: cursor.position)
        cursor.advance(header)
      case .seal(let header):
        return try SegmentWriter(creating: header.baseOffset, directory, options)
      case .end:
        return try SegmentWriter(cuttingAt: cursor, index, directory, options)
      case .damaged(let reason):
        let position = cursor.position
        if try cursor.hasLaterBlock() {
          throw directory.damage(
            cursor.path, position: position, offsets: nil, from: cursor.nextOffset, reason)
        }
        return try SegmentWriter(cuttingAt: cursor, index, directory, options)
      }
    }
  }

  /// Opens the end of a partition at the last commit and removes what follows it.
  /// - Parameter next: the number of the only transaction that may stand after the end.
  static func committed(
    _ end: LogEnd?, next: Int64, _ directory: PartitionDirectory, _ options: LocalLogOptions
  ) throws(LogError) -> SegmentWriter {
    let bases = try directory.bases()
    guard let end else {
      try checkTail(bases, LogEnd(segment: 0, position: 0, offset: 0), next: next, directory)
      for base in bases.reversed() { try directory.removeSegment(base, options) }
      return try SegmentWriter(creating: 0, directory, options)
    }
    guard bases.contains(end.segment) else {
      throw LogError(
        .badData, recovery: .stop,
        "\(directory.log(end.segment)) is gone, but commits of the topic \(directory.topic) end in"
          + " it; restore it from a backup")
    }
    try checkTail(bases, end, next: next, directory)
    for base in bases.reversed() where base > end.segment {
      try directory.removeSegment(base, options)
    }
    let cursor = try SegmentCursor(directory.log(end.segment), base: end.segment)
    var index = try directory.loadIndex(cursor)
    index.cut(to: end.position)
    let start = index.entries.last.map { ($0.position, $0.offset) } ?? (0, end.segment)
    index.cut(to: start.0)
    cursor.move(to: start.0, nextOffset: start.1)
    while cursor.position < end.position {
      guard case .block(let header) = try cursor.peek() else { break }
      _ = index.add(header, at: cursor.position)
      cursor.advance(header)
    }
    guard cursor.position == end.position, cursor.nextOffset == end.offset,
      try cursor.size() >= end.position
    else {
      throw directory.damage(
        cursor.path, position: cursor.position, offsets: nil, from: cursor.nextOffset,
        "commits reach to byte \(end.position) and offset \(end.offset), its blocks do not")
    }
    return try SegmentWriter(cuttingAt: cursor, index, directory, options)
  }

  /// Refuses when blocks after the last commit belong to a later transaction than the one that
  /// was being written: then commits are missing, and cutting would lose outputs.
  private static func checkTail(
    _ bases: [Int64], _ end: LogEnd, next: Int64, _ directory: PartitionDirectory
  ) throws(LogError) {
    for base in bases where base >= end.segment {
      let cursor = try SegmentCursor(directory.log(base), base: base)
      if base == end.segment { cursor.move(to: end.position, nextOffset: end.offset) }
      while case .block(let header) = try cursor.peek() {
        if header.transaction != next {
          throw LogError(
            .badData, recovery: .stop,
            "\(cursor.path) holds transaction \(header.transaction) at byte \(cursor.position), but"
              + " the group's commits end with \(next - 1): the end of its commit log is missing;"
              + " restore it from a backup")
        }
        cursor.advance(header)
      }
    }
  }

  private init(
    creating base: Int64, _ directory: PartitionDirectory, _ options: LocalLogOptions
  ) throws(LogError) {
    self.directory = directory
    self.options = options
    end = LogEnd(segment: base, position: 0, offset: base)
    index = SegmentIndex(base: base)
    file = try SegmentWriter.create(base, directory, options)
    syncedAt = clockMilliseconds(CLOCK_MONOTONIC)
    indexIsSaved = false
  }

  private init(
    cuttingAt cursor: SegmentCursor, _ index: SegmentIndex, _ directory: PartitionDirectory,
    _ options: LocalLogOptions
  ) throws(LogError) {
    self.directory = directory
    self.options = options
    self.index = index
    end = LogEnd(segment: cursor.base, position: cursor.position, offset: cursor.nextOffset)
    file = try FileDescriptor(open: cursor.path, O_RDWR, faults: options.faults)
    syncedAt = clockMilliseconds(CLOCK_MONOTONIC)
    if try file.size() > end.position {
      try file.truncate(to: end.position)
      needsSync = true
    }
    indexIsSaved = false
  }

  private static func create(
    _ base: Int64, _ directory: PartitionDirectory, _ options: LocalLogOptions
  ) throws(LogError) -> FileDescriptor {
    let file = try FileDescriptor(
      open: directory.log(base), O_RDWR | O_CREAT | O_TRUNC, faults: options.faults)
    if options.fsync == .always {
      try FileSystem.syncDirectory(directory.path, faults: options.faults)
    }
    return file
  }

  /// Appends a block whose base offset is `end.offset`. Visible to readers of plain topics.
  func append(_ header: BlockHeader, _ bytes: UnsafeRawBufferPointer) throws(LogError) {
    precondition(header.baseOffset == end.offset, "offsets are dense")
    if end.position > 0, end.position + Int64(bytes.count) > options.segmentBytes { try roll() }
    try file.write(bytes, at: end.position)
    needsSync = true
    let made = index.add(header, at: end.position)
    end.position += Int64(bytes.count)
    end.offset = header.endOffset
    if made { saveIndex() }
  }

  /// Seals this segment and begins the next.
  private func roll() throws(LogError) {
    var seal = BlockHeader()
    seal.isSeal = true
    seal.baseOffset = end.offset
    seal.times = index.times
    try withUnsafeTemporary(BlockHeader.length) { buffer throws(LogError) in
      if let start = buffer.baseAddress { seal.write(to: start) }
      try file.write(UnsafeRawBufferPointer(buffer), at: end.position)
    }
    if options.fsync != .never { try file.sync() }
    file = try SegmentWriter.create(end.offset, directory, options)
    indexIsSaved = false
    index = SegmentIndex(base: end.offset)
    end = LogEnd(segment: end.offset, position: 0, offset: end.offset)
  }

  /// Forces what was appended to the disk as the options say.
  func sync(force: Bool = false) throws(LogError) {
    guard needsSync else { return }
    switch options.fsync {
    case .never: return
    case .always: break
    case .interval(let milliseconds):
      let now = clockMilliseconds(CLOCK_MONOTONIC)
      guard force || now - syncedAt >= milliseconds else { return }
      syncedAt = now
    }
    try file.sync()
    needsSync = false
  }

  /// Removes what stands after `mark`, an earlier `end`.
  func cut(to mark: LogEnd) throws(LogError) {
    let later = try directory.bases().filter { $0 > mark.segment }
    for base in later.reversed() { try directory.removeSegment(base, options) }
    if mark.segment != end.segment {
      file = try FileDescriptor(
        open: directory.log(mark.segment), O_RDWR, faults: options.faults)
      let cursor = try SegmentCursor(directory.log(mark.segment), base: mark.segment)
      index = try directory.loadIndex(cursor)
      end = mark
    }
    if try file.size() > mark.position { try file.truncate(to: mark.position) }
    index.cut(to: mark.position)
    indexIsSaved = false
    needsSync = true
    end = mark
  }

  /// Syncs and saves the index.
  func close() throws(LogError) {
    try sync(force: true)
    saveIndex()
  }

  /// Brings the index file up to date. A failure is no loss: the index is computed again.
  private func saveIndex() {
    let path = directory.index(end.segment)
    do throws(LogError) {
      if indexIsSaved, let last = index.entries.last {
        let bytes = SegmentIndex.encoded(last, base: index.base)
        let position =
          SegmentIndex.headerLength + (index.entries.count - 1) * SegmentIndex.entryLength
        let indexFile = try FileDescriptor(open: path, O_WRONLY)
        try indexFile.write(bytes, at: Int64(position))
      } else if !index.entries.isEmpty {
        try FileSystem.replace(path, with: index.encoded(), durable: false)
        indexIsSaved = true
      } else {
        try FileSystem.remove(path)
      }
    } catch {
      indexIsSaved = false
    }
  }
}

/// Checks payloads of a segment's end without keeping what is in them.
private struct TailChecker {
  func check(_ header: BlockHeader, _ payload: UnsafeRawBufferPointer) -> String? {
    XXH64.hash(payload) == header.payloadChecksum
      ? nil : "its checksum does not match its bytes"
  }
}

extension PartitionDirectory {
  func removeSegment(_ base: Int64, _ options: LocalLogOptions) throws(LogError) {
    // The index first: without it the segment is whole, the other way round it is a stray.
    try FileSystem.remove(index(base))
    try FileSystem.remove(log(base), faults: options.faults)
  }
}
