import Streaming

/// What stands before each block of a segment, 96 bytes, little-endian:
///
///     0 magic "BMB1"        4 version, flags      8 payload length   12 raw length
///    16 base offset        24 record count       28 (zero)           32 base append time
///    40 min append time    48 max append time    56 min event time   64 max event time
///    72 transaction        80 XXH64 of payload   88 XXH64 of bytes 0 to 87
///
/// The payload is one zstd frame. Decompressed it holds the records' bytes, each key followed by
/// its value, and after them 12 bytes a record: key length, value length, append time less the
/// base append time (`Int32.min`: unknown).
///
/// A header without payload whose `isSeal` is set ends a segment: the next one begins at its base
/// offset, and its times are the whole segment's.
struct BlockHeader: BitwiseCopyable {
  static let length = 96
  static let recordLength = 12
  /// More than any writer makes: bounds what a reader allocates.
  static let rawLengthMax = 96 << 20
  static let unknownTime = Int64.min
  private static let magic: UInt32 = 0x3142_4D42
  private static let version: UInt16 = 1

  var isTransactional = false
  var isSeal = false
  var payloadLength = 0
  var rawLength = 0
  var baseOffset: Int64 = 0
  var recordCount = 0
  var baseAppendTime: Int64 = 0
  var times = BlockTimes()
  /// The number of the transaction that wrote it; 0 for plain appends.
  var transaction: Int64 = 0
  var payloadChecksum: UInt64 = 0

  /// Header and payload.
  var totalLength: Int { BlockHeader.length + payloadLength }
  /// Offset of the record after the last one.
  var endOffset: Int64 { baseOffset &+ Int64(recordCount) }

  init() {}

  /// Reads a header from `length` bytes; nil when they are not one.
  init?(_ start: UnsafeRawPointer) {
    let body = UnsafeRawBufferPointer(start: start, count: 88)
    guard
      start.half(0) == BlockHeader.magic,
      start.half(4) & 0xFFFF == UInt32(BlockHeader.version),
      XXH64.hash(body) == start.word(88)
    else { return nil }
    let flags = start.half(4) >> 16
    isTransactional = flags & 1 != 0
    isSeal = flags & 2 != 0
    payloadLength = Int(start.half(8))
    rawLength = Int(start.half(12))
    baseOffset = start.number(16)
    recordCount = Int(start.half(24))
    baseAppendTime = start.number(32)
    times = BlockTimes(
      appendMin: start.number(40), appendMax: start.number(48), eventMin: start.number(56),
      eventMax: start.number(64))
    transaction = start.number(72)
    payloadChecksum = start.word(80)
    // The checksum says that a writer meant it; these say that we can read it.
    guard
      rawLength <= BlockHeader.rawLengthMax,
      payloadLength <= ZstdCompressor.bound(BlockHeader.rawLengthMax),
      recordCount <= rawLength / BlockHeader.recordLength, baseOffset >= 0,
      baseOffset <= Int64.max / 2, isSeal == (recordCount == 0), isSeal == (payloadLength == 0)
    else { return nil }
  }

  func write(to start: UnsafeMutableRawPointer) {
    let flags: UInt32 = (isTransactional ? 1 : 0) | (isSeal ? 2 : 0)
    start.put(half: BlockHeader.magic, 0)
    start.put(half: UInt32(BlockHeader.version) | flags << 16, 4)
    start.put(half: UInt32(payloadLength), 8)
    start.put(half: UInt32(rawLength), 12)
    start.put(UInt64(bitPattern: baseOffset), 16)
    start.put(UInt64(recordCount), 24)
    start.put(UInt64(bitPattern: baseAppendTime), 32)
    start.put(UInt64(bitPattern: times.appendMin), 40)
    start.put(UInt64(bitPattern: times.appendMax), 48)
    start.put(UInt64(bitPattern: times.eventMin), 56)
    start.put(UInt64(bitPattern: times.eventMax), 64)
    start.put(UInt64(bitPattern: transaction), 72)
    start.put(payloadChecksum, 80)
    start.put(XXH64.hash(UnsafeRawBufferPointer(start: start, count: 88)), 88)
  }
}

/// The least and the greatest times of some records, in ms; `BlockHeader.unknownTime` in both of a
/// pair when one of the records' times is unknown.
struct BlockTimes: BitwiseCopyable, Equatable {
  var appendMin = Int64.max
  var appendMax = Int64.max
  var eventMin = Int64.max
  var eventMax = Int64.max
  // A pair (max, max) is "no record yet".

  mutating func add(append: Int64, event: Int64) {
    BlockTimes.widen(&appendMin, &appendMax, append, append)
    BlockTimes.widen(&eventMin, &eventMax, event, event)
  }

  mutating func add(_ other: BlockTimes) {
    if other.appendMin != .max {
      BlockTimes.widen(&appendMin, &appendMax, other.appendMin, other.appendMax)
    }
    if other.eventMin != .max {
      BlockTimes.widen(&eventMin, &eventMax, other.eventMin, other.eventMax)
    }
  }

  private static func widen(
    _ low: inout Int64, _ high: inout Int64, _ newLow: Int64, _ newHigh: Int64
  ) {
    let unknown = BlockHeader.unknownTime
    if low == unknown || newLow == unknown {
      low = unknown
      high = unknown
    } else if low == .max && high == .max {
      low = newLow
      high = newHigh
    } else {
      low = min(low, newLow)
      high = max(high, newHigh)
    }
  }

  /// Whether a record at or after `time` may be among them; true when times are unknown.
  func mayReach(_ time: Int64, _ kind: LogTime) -> Bool {
    switch kind {
    case .append: appendMin == .max ? false : appendMin == .min || appendMax >= time
    case .event: eventMin == .max ? false : eventMin == .min || eventMax >= time
    }
  }
}

/// Which time of a record is meant.
public enum LogTime: Sendable, Equatable {
  /// When the log received it.
  case append
  /// When it happened, where the writer knew.
  case event
}

extension UnsafeRawPointer {
  func word(_ offset: Int) -> UInt64 {
    UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
  func number(_ offset: Int) -> Int64 { Int64(bitPattern: word(offset)) }
  func half(_ offset: Int) -> UInt32 {
    UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
}

extension UnsafeMutableRawPointer {
  func put(_ word: UInt64, _ offset: Int) {
    storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
  }
  func put(half: UInt32, _ offset: Int) {
    storeBytes(of: half.littleEndian, toByteOffset: offset, as: UInt32.self)
  }
}
