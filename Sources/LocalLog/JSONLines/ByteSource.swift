// JSON Lines files, plain or compressed with zstd, as the inputs and outputs of a replay. A line
// is bytes here: what stands in it is the decoder's business.

import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The bytes of a file in order, decompressed where they begin with zstd's magic number.
final class ByteSource {
  static let compressedBytes = 128 << 10

  let path: String
  private let file: FileDescriptor
  private var input: UnsafeMutableRawBufferPointer
  private var consumed = 0
  private var filled = 0
  /// Bytes of the file before `consumed`.
  private var position: Int64 = 0
  private var decompressor: ZstdDecompressor?
  private var isFrameEnd = false
  private var mayHoldOutput = false
  private var failure: LogError?

  /// - Parameter path: a file, or `-` for standard input.
  init(_ path: String) throws(LogError) {
    self.path = path == "-" ? "standard input" : path
    if path == "-" {
      file = FileDescriptor(borrowing: STDIN_FILENO, path: "standard input")
    } else {
      file = try FileDescriptor(open: path, O_RDONLY)
    }
    guard !(try file.status().isDirectory) else {
      throw LogError(
        .configuration,
        "\(path) is a directory; name the files in it (for example \(path)/*.jsonl)")
    }
    #if canImport(Glibc)
      _ = posix_fadvise(file.raw, 0, 0, POSIX_FADV_SEQUENTIAL)
    #endif
    input = .allocate(byteCount: ByteSource.compressedBytes, alignment: 64)
    while filled < 4 {
      let count = try file.read(
        into: UnsafeMutableRawBufferPointer(rebasing: input[filled..<4]))
      if count == 0 { break }
      filled += count
    }
    if ZstdDecompressor.isMagic(UnsafeRawBufferPointer(rebasing: input[..<filled])) {
      decompressor = ZstdDecompressor()
    }
  }

  deinit { input.deallocate() }

  var isCompressed: Bool { decompressor != nil }

  /// The next bytes; 0 at the end.
  /// - Throws: `.badData` with the byte of the file where it stops making sense, after everything
  ///   before it was returned.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
    if let failure { throw failure }
    if isCompressed { return try decompress(into: buffer) }
    if filled > consumed {
      let count = min(filled - consumed, buffer.count)
      buffer.copyMemory(
        from: UnsafeRawBufferPointer(rebasing: input[consumed..<consumed + count]))
      consumed += count
      return count
    }
    return try file.read(into: buffer)
  }

  private func decompress(into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
    var produced = 0
    while produced < buffer.count {
      if consumed == filled, !mayHoldOutput {
        // What is there is returned before anything that may block.
        if produced > 0 { return produced }
        position += Int64(consumed)
        consumed = 0
        filled = 0
        filled = try file.read(into: input)
        if filled == 0 {
          if isFrameEnd { return 0 }
          throw fail(
            "the compressed data ends in the middle: the file was cut or is still being written;"
              + " fetch it again")
        }
      }
      let room = UnsafeMutableRawBufferPointer(rebasing: buffer[produced...])
      guard
        let step = decompressor?.step(
          UnsafeRawBufferPointer(rebasing: input[consumed..<filled]), into: room)
      else { return produced }
      consumed += step.consumed
      produced += step.produced
      if let reason = step.failure {
        let error = fail("the compressed data is damaged (\(reason)); fetch the file again")
        if produced > 0 { return produced }
        throw error
      }
      isFrameEnd = step.isFrameEnd
      // A frame that has ended holds nothing back; asked again, it would begin the next one.
      mayHoldOutput = step.produced == room.count && !isFrameEnd
    }
    return produced
  }

  private func fail(_ reason: String) -> LogError {
    let error = LogError(
      .badData, "\(path) cannot be read beyond byte \(position + Int64(consumed)): \(reason)")
    failure = error
    return error
  }
}
