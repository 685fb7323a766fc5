import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The files of one partition of one group.
struct GroupDirectory: Sendable {
  let group: String
  let partition: Int32
  let path: String

  /// A segment's name is the number of the first commit that may stand in it.
  func commits(_ first: Int64) -> String { "\(path)/\(FileName.padded(first)).commits" }

  func segments() throws(LogError) -> [Int64] {
    try FileSystem.list(path).compactMap { FileName.number($0, suffix: ".commits") }
  }

  func damage(_ path: String, position: Int64, number: Int64, _ reason: String) -> LogError {
    LogError(
      .badData, recovery: .stop,
      "\(path) is damaged at byte \(position) (group \(group), partition \(partition), commit"
        + " \(number) and after): \(reason); `bidmill log verify` lists all damage, and a copy of"
        + " this file from a backup repairs it")
  }
}

/// Walks the commits of one segment.
final class CommitCursor {
  enum Found {
    case commit(CommitHeader)
    case seal
    case end(isTorn: Bool)
    case damaged(reason: String)
  }

  let first: Int64
  let header: CommitSegmentHeader
  private(set) var position: Int64
  private(set) var nextNumber: Int64
  private let file: FileDescriptor
  private var buffer: UnsafeMutableRawBufferPointer
  private var consumed = 0
  private var filled = 0

  init(_ directory: GroupDirectory, _ first: Int64) throws(LogError) {
    let path = directory.commits(first)
    let opened = try FileDescriptor(open: path, O_RDONLY)
    let found = try withUnsafeTemporary(12) { start throws(LogError) -> CommitSegmentHeader? in
      guard try opened.read(at: 0, into: start) == 12,
        let length = CommitSegmentHeader.length(UnsafeRawBufferPointer(start)),
        Int64(length) <= (try opened.size())
      else { return nil }
      return try withUnsafeTemporary(length) { whole throws(LogError) in
        guard try opened.read(at: 0, into: whole) == length else { return nil }
        return CommitSegmentHeader(UnsafeRawBufferPointer(whole))
      }
    }
    guard let found, found.state.number == first - 1 else {
      throw directory.damage(path, position: 0, number: first, "its beginning is not valid")
    }
    self.first = first
    self.header = found
    self.file = opened
    self.position = Int64(found.encoded().count)
    self.nextNumber = first
    self.buffer = .allocate(byteCount: 64 << 10, alignment: 64)
  }

  deinit { buffer.deallocate() }

  var path: String { file.path }
  func status() throws(LogError) -> FileDescriptor.Status { try file.status() }

  /// What stands here; a commit's body is checked and available until the next call.
  func next() throws(LogError) -> Found {
    let available = try fill(CommitHeader.length)
    guard available >= CommitHeader.length else {
      forget()
      return .end(isTorn: available > 0)
    }
    guard let start = buffer.baseAddress, let header = CommitHeader(start + consumed) else {
      forget()
      return .damaged(reason: "there is no valid commit")
    }
    guard header.number == nextNumber else {
      forget()
      return .damaged(
        reason: "there is commit \(header.number) instead of \(nextNumber)")
    }
    if header.isSeal { return .seal }
    guard try fill(header.totalLength) >= header.totalLength else {
      forget()
      return .end(isTorn: true)
    }
    guard XXH64.hash(body(header)) == header.bodyChecksum else {
      forget()
      return .damaged(reason: "the checksum does not match the bytes")
    }
    guard header.inputCount == self.header.table.inputs.count,
      header.outputCount == self.header.table.outputs.count
    else {
      forget()
      return .damaged(reason: "the commit speaks of other topics than its segment")
    }
    return .commit(header)
  }

  func body(_ header: CommitHeader) -> UnsafeRawBufferPointer {
    let start = consumed + CommitHeader.length
    return UnsafeRawBufferPointer(rebasing: buffer[start..<start + header.bodyLength])
  }

  func journal(_ header: CommitHeader) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      rebasing: body(header)[(header.inputCount * 8 + header.outputCount * 24)...])
  }

  func state(_ header: CommitHeader) -> GroupState {
    guard let start = body(header).baseAddress else { return GroupState(number: header.number) }
    return header.state(start)
  }

  func advance(_ header: CommitHeader) {
    position += Int64(header.totalLength)
    consumed += header.totalLength
    nextNumber += 1
    if consumed >= filled { forget() }
  }

  /// Whether a whole commit with a later number stands after this position.
  func hasLaterCommit() throws(LogError) -> Bool {
    defer { forget() }
    let rest = try file.size() - position - 1
    guard rest >= Int64(CommitHeader.length) else { return false }
    let from = position + 1
    return try withUnsafeTemporary(Int(rest)) { bytes throws(LogError) in
      let count = try file.read(at: from, into: bytes)
      guard let start = bytes.baseAddress, count >= CommitHeader.length else { return false }
      for index in 0...(count - CommitHeader.length)
      where start.load(fromByteOffset: index, as: UInt8.self) == UInt8(ascii: "B") {
        if let header = CommitHeader(start + index), header.number > nextNumber { return true }
      }
      return false
    }
  }

  private func forget() {
    consumed = 0
    filled = 0
  }

  private func fill(_ count: Int) throws(LogError) -> Int {
    if filled - consumed >= count { return filled - consumed }
    let kept = filled - consumed
    if count > buffer.count {
      // Never more than the file has: a length is only as good as the bytes that stand there.
      guard Int64(count) <= (try file.size()) - position else { return kept }
      let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: count * 2, alignment: 64)
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
