import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The files of one partition of one topic.
struct PartitionDirectory: Sendable {
  let topic: String
  let partition: Int32
  let path: String

  func log(_ base: Int64) -> String { "\(path)/\(FileName.padded(base)).log" }
  func index(_ base: Int64) -> String { "\(path)/\(FileName.padded(base)).index" }

  /// First offsets of the segments, ascending.
  func bases() throws(LogError) -> [Int64] {
    try FileSystem.list(path).compactMap { FileName.number($0, suffix: ".log") }
  }

  /// A segment's index: the file's where it agrees with the segment, else computed from the
  /// segment's headers. Leaves the cursor anywhere.
  func loadIndex(_ cursor: SegmentCursor) throws(LogError) -> SegmentIndex {
    if let index = try readIndex(cursor) { return index }
    return try rebuildIndex(cursor)
  }

  /// The index file's entries; nil where it is missing or does not agree with the segment.
  func readIndex(_ cursor: SegmentCursor) throws(LogError) -> SegmentIndex? {
    let file = index(cursor.base)
    guard FileSystem.exists(file) else { return nil }
    let bytes: [UInt8]
    do {
      bytes = try FileSystem.read(file)
    } catch {
      // Unreadable is as good as missing: it can be computed.
      return nil
    }
    guard var index = SegmentIndex(base: cursor.base, decoding: bytes) else { return nil }
    index.cut(to: try cursor.size())
    guard let last = index.entries.last else { return index }
    cursor.move(to: last.position, nextOffset: last.offset)
    switch try cursor.peek() {
    case .block, .seal: return index
    case .end, .damaged: return nil
    }
  }

  /// Walks the headers from the segment's beginning to its end or the first damage.
  func rebuildIndex(_ cursor: SegmentCursor) throws(LogError) -> SegmentIndex {
    var index = SegmentIndex(base: cursor.base)
    cursor.move(to: 0, nextOffset: cursor.base)
    var isSealed = false
    walk: while true {
      switch try cursor.peek() {
      case .block(let header):
        guard cursor.position + Int64(header.totalLength) <= (try cursor.size()) else { break walk }
        _ = index.add(header, at: cursor.position)
        cursor.advance(header)
      case .seal:
        isSealed = true
        break walk
      case .end, .damaged: break walk
      }
    }
    // Nobody writes a sealed segment any more, so a reader may save what it found out; where it
    // may not write, the next one finds it out again.
    if isSealed {
      try? FileSystem.replace(self.index(cursor.base), with: index.encoded(), durable: false)
    }
    return index
  }

  /// The last word of a segment: its seal, or nil where it is not sealed.
  func seal(_ base: Int64) throws(LogError) -> BlockHeader? {
    let file = try FileDescriptor(open: log(base), O_RDONLY)
    let size = try file.size()
    guard size >= Int64(BlockHeader.length) else { return nil }
    return try withUnsafeTemporary(BlockHeader.length) { buffer throws(LogError) in
      let count = try file.read(at: size - Int64(BlockHeader.length), into: buffer)
      guard count == BlockHeader.length, let start = buffer.baseAddress,
        let header = BlockHeader(start), header.isSeal
      else { return nil }
      return header
    }
  }

  /// The error for bytes that should be a block.
  func damage(
    _ path: String, position: Int64, offsets: ClosedRange<Int64>?, from: Int64, _ reason: String
  ) -> LogError {
    let place =
      offsets.map { "offsets \($0.lowerBound) to \($0.upperBound)" } ?? "offset \(from) and after"
    return LogError(
      .badData, recovery: .stop,
      "\(path) is damaged at byte \(position) (topic \(topic), partition \(partition), \(place)):"
        + " \(reason); `bidmill log verify` lists all damage, and a copy of this file from a backup"
        + " repairs it")
  }
}

/// A temporary buffer for a call that throws.
func withUnsafeTemporary<Result>(
  _ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(LogError) -> Result
) throws(LogError) -> Result {
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
  defer { buffer.deallocate() }
  return try body(buffer)
}
