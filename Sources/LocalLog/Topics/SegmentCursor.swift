// Topic partitions: segments of blocks, their indexes, appending, reading, removing. Knows of
// groups only where the visible end of a topic's partition comes from.

import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Walks the blocks of one segment file, reading ahead.
final class SegmentCursor {
  /// What stands where the cursor is.
  enum Found {
    case block(BlockHeader)
    /// The segment's last word: the next one begins at the header's base offset.
    case seal(BlockHeader)
    /// The file ends here, or in the middle of a block.
    case end(isTorn: Bool)
    /// Bytes that are no block.
    case damaged(reason: String)
  }

  let base: Int64
  private(set) var position: Int64
  /// Offset that the next block must begin with.
  private(set) var nextOffset: Int64
  private let file: FileDescriptor
  private var buffer: UnsafeMutableRawBufferPointer
  /// What of the file the buffer holds: from `position - consumed` for `filled` bytes.
  private var consumed = 0
  private var filled = 0
  private let readAhead: Int

  init(_ path: String, base: Int64, readAhead: Int = 128 << 10) throws(LogError) {
    self.base = base
    self.position = 0
    self.nextOffset = base
    self.readAhead = max(readAhead, BlockHeader.length)
    file = try FileDescriptor(open: path, O_RDONLY)
    buffer = .allocate(byteCount: self.readAhead, alignment: 64)
  }

  deinit { buffer.deallocate() }

  var path: String { file.path }
  func size() throws(LogError) -> Int64 { try file.size() }

  func move(to position: Int64, nextOffset: Int64) {
    self.position = position
    self.nextOffset = nextOffset
    forget()
  }

  /// What stands here. Looks at the header only.
  func peek() throws(LogError) -> Found {
    let available = try fill(BlockHeader.length)
    if available < BlockHeader.length {
      forget()
      return .end(isTorn: available > 0)
    }
    guard let start = buffer.baseAddress, let header = BlockHeader(start + consumed) else {
      forget()
      return .damaged(reason: "there is no valid block header")
    }
    guard header.baseOffset == nextOffset else {
      forget()
      return .damaged(
        reason: "the block begins with offset \(header.baseOffset) instead of \(nextOffset)")
    }
    return header.isSeal ? .seal(header) : .block(header)
  }

  /// The bytes after the header that `peek` found, valid until the next call; nil where the file
  /// ends before them.
  func payload(_ header: BlockHeader) throws(LogError) -> UnsafeRawBufferPointer? {
    guard try fill(header.totalLength) >= header.totalLength else {
      forget()
      return nil
    }
    let start = consumed + BlockHeader.length
    return UnsafeRawBufferPointer(rebasing: buffer[start..<start + header.payloadLength])
  }

  /// Goes past the block that `peek` found.
  func advance(_ header: BlockHeader) {
    position += Int64(header.totalLength)
    nextOffset = header.endOffset
    consumed += header.totalLength
    if consumed >= filled { forget() }
  }

  /// Whether a valid header stands anywhere after this position: then what stands here is damage
  /// and not the torn end of the last write.
  func hasLaterBlock() throws(LogError) -> Bool {
    defer { forget() }
    let size = try file.size()
    var from = position + 1
    let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { window.deallocate() }
    guard let start = window.baseAddress else { return false }
    while from + Int64(BlockHeader.length) <= size {
      let count = try file.read(at: from, into: window)
      if count < BlockHeader.length { return false }
      for index in 0...(count - BlockHeader.length)
      where start.load(fromByteOffset: index, as: UInt8.self) == UInt8(ascii: "B") {
        if let header = BlockHeader(start + index), header.baseOffset >= nextOffset { return true }
      }
      from += Int64(count - BlockHeader.length + 1)
    }
    return false
  }

  /// Drops what was read ahead: it may have been written anew since.
  func forget() {
    consumed = 0
    filled = 0
  }

  /// Has at least `count` bytes from `position` in the buffer, unless the file ends before.
  private func fill(_ count: Int) throws(LogError) -> Int {
    if filled - consumed >= count { return filled - consumed }
    let kept = filled - consumed
    if count > buffer.count {
      let larger = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(count + readAhead / 2, 64), alignment: 64)
      larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[consumed..<filled]))
      buffer.deallocate()
      buffer = larger
    } else if consumed > 0, kept > 0, let start = buffer.baseAddress {
      start.copyMemory(from: start + consumed, byteCount: kept)
    }
    consumed = 0
    filled = kept
    filled += try file.read(
      at: position + Int64(kept), into: UnsafeMutableRawBufferPointer(rebasing: buffer[kept...]))
    return filled
  }
}
