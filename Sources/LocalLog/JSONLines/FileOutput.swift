package import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One stream of one partition of a replay, in a file that has another name until it is whole.
///
/// What is added is kept until it is written: after a failed `drain` the same bytes are written
/// again to the same place.
package final class FileOutput {
  static let bufferBytes = 1 << 20

  package let path: String
  private let file: FileDescriptor
  private var position: Int64 = 0
  /// Its bytes stand in another stream, or it has its own name: `finish` has nothing left to do.
  var isTaken = false
  private var pending = ContiguousArray<UInt8>()
  private var compressed: UnsafeMutableRawBufferPointer?
  private let compressor: ZstdCompressor?

  package init(_ path: String, compressing: Bool, faults: WriteFaults?) throws(LogError) {
    self.path = path
    if compressing {
      compressor = ZstdCompressor(level: LocalLogStore.defaultCompressionLevel)
    } else {
      compressor = nil
    }
    file = try FileDescriptor(open: path, O_RDWR | O_CREAT | O_TRUNC, faults: faults)
  }

  /// Goes on with a stream that an earlier process has left, cut back to `position`.
  package init(continuing path: String, at position: Int64, compressing: Bool) throws(LogError) {
    self.path = path
    self.position = position
    compressor =
      compressing ? ZstdCompressor(level: LocalLogStore.defaultCompressionLevel) : nil
    file = try FileDescriptor(open: path, O_RDWR | O_CREAT)
    let size = try file.size()
    guard size >= position else {
      throw LogError(
        .badData,
        "\(path) has \(size) bytes, and \(position) were written: it is not what it was; remove it "
          + "and begin anew")
    }
    if size > position { try file.truncate(to: position) }
  }

  deinit { compressed?.deallocate() }

  /// Writes the rest and forces it to the disk.
  ///
  /// - Returns: the bytes that stand in the file.
  package func checkpoint() throws(LogError) -> Int64 {
    if !pending.isEmpty { try writePending() }
    if try file.size() > position { try file.truncate(to: position) }
    try file.sync()
    return position
  }

  package func add(_ value: UnsafeRawBufferPointer) {
    pending.append(contentsOf: value)
    pending.append(0x0A)
  }

  /// Writes what has gathered, where it is enough or `all` is asked for.
  package func drain(all: Bool = false) throws(LogError) {
    guard pending.count >= FileOutput.bufferBytes || (all && !pending.isEmpty) else { return }
    try writePending()
  }

  private func writePending() throws(LogError) {
    var failure: LogError?
    var written = 0
    pending.withUnsafeBytes { bytes in
      do throws(LogError) {
        let out = packed(bytes)
        try file.write(out, at: position)
        written = out.count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    position += Int64(written)
    pending.removeAll(keepingCapacity: true)
  }

  /// The bytes as one zstd frame, where that is asked for.
  private func packed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard compressor != nil else { return bytes }
    let room = ZstdCompressor.bound(bytes.count)
    if (compressed?.count ?? 0) < room {
      compressed?.deallocate()
      compressed = .allocate(byteCount: room, alignment: 64)
    }
    guard let compressed, let count = compressor?.compress(bytes, into: compressed) else {
      return bytes
    }
    return UnsafeRawBufferPointer(rebasing: compressed[..<count])
  }

  /// Writes the rest; an empty compressed stream still is one frame.
  package func finish() throws(LogError) {
    if isTaken { return }
    if !pending.isEmpty || (compressor != nil && position == 0) { try writePending() }
    // Bytes of a failed write may stand behind the end.
    if try file.size() > position { try file.truncate(to: position) }
    try file.sync()
  }

  /// Appends another finished stream's bytes to this one, all or none; then the other has none.
  func take(_ other: FileOutput) throws(LogError) {
    var end = position
    try withUnsafeTemporary(1 << 20) { buffer throws(LogError) in
      var from: Int64 = 0
      while from < other.position {
        let count = try other.file.read(at: from, into: buffer)
        if count == 0 { break }
        try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: end)
        from += Int64(count)
        end += Int64(count)
      }
    }
    position = end
    other.position = 0
    other.isTaken = true
  }
}
