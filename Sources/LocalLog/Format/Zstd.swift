import CZstd
import Streaming

/// A reused compression context.
struct ZstdCompressor: ~Copyable {
  private let context: OpaquePointer

  init(level: Int32) {
    guard let context = ZSTD_createCCtx() else {
      preconditionFailure("there is memory for a compression context")
    }
    self.context = context
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
  }

  deinit { ZSTD_freeCCtx(context) }

  static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

  /// Compresses into one frame; `output` must hold at least `bound(input.count)` bytes.
  func compress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> Int {
    let count = ZSTD_compress2(
      context, output.baseAddress, output.count, input.baseAddress, input.count)
    precondition(
      ZSTD_isError(count) == 0,
      "compressing into enough room succeeds: \(String(cString: ZSTD_getErrorName(count)))")
    return count
  }
}

/// A reused decompression context.
struct ZstdDecompressor: ~Copyable {
  private let context: OpaquePointer

  init() {
    guard let context = ZSTD_createDCtx() else {
      preconditionFailure("there is memory for a decompression context")
    }
    self.context = context
  }

  deinit { ZSTD_freeDCtx(context) }

  /// Decompresses one frame; nil unless it fills `output` exactly.
  func decompress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> Bool {
    let count = ZSTD_decompressDCtx(
      context, output.baseAddress, output.count, input.baseAddress, input.count)
    return ZSTD_isError(count) == 0 && count == output.count
  }

  struct Step {
    var consumed: Int
    var produced: Int
    /// The input so far ends where a frame ends.
    var isFrameEnd: Bool
    /// What is wrong with the input, or nil.
    var failure: String?
  }

  /// Decompresses a piece of a stream of frames.
  func step(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> Step {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let hint = ZSTD_decompressStream(context, &target, &source)
    let failure =
      ZSTD_isError(hint) == 0 ? nil : String(cString: ZSTD_getErrorName(hint))
    return Step(
      consumed: source.pos, produced: target.pos, isFrameEnd: hint == 0, failure: failure)
  }

  /// Forgets a frame in the middle.
  func reset() { _ = ZSTD_DCtx_reset(context, ZSTD_reset_session_only) }

  /// Whether a file that begins with these bytes is compressed with zstd.
  static func isMagic(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 4 else { return false }
    let word = UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
    return word == 0xFD2F_B528 || word & 0xFFFF_FFF0 == 0x184D_2A50
  }
}
