import Streaming

/// Gathers records and turns them into one block; its memory is reused.
final class BlockEncoder {
  /// A key and a value together are at most this long.
  static let recordBytesMax = 48 << 20

  private var data: UnsafeMutableRawBufferPointer
  private var used = 0
  private var footer: UnsafeMutableRawBufferPointer
  private var output: UnsafeMutableRawBufferPointer
  private(set) var count = 0
  private var baseAppendTime = BlockHeader.unknownTime
  private(set) var times = BlockTimes()
  private let compressor: ZstdCompressor

  init(level: Int32) {
    compressor = ZstdCompressor(level: level)
    data = .allocate(byteCount: 4096, alignment: 64)
    footer = .allocate(byteCount: 1024, alignment: 64)
    output = .allocate(byteCount: 4096, alignment: 64)
  }

  deinit {
    data.deallocate()
    footer.deallocate()
    output.deallocate()
  }

  var isEmpty: Bool { count == 0 }
  /// Uncompressed bytes of the block so far.
  var rawLength: Int { used + count * BlockHeader.recordLength }

  func removeAll() {
    used = 0
    count = 0
    baseAppendTime = BlockHeader.unknownTime
    times = BlockTimes()
  }

  /// Whether this record can share a block with those already here.
  func fits(appendTime: Int64, bytes: Int) -> Bool {
    if rawLength + bytes + BlockHeader.recordLength > BlockHeader.rawLengthMax { return false }
    if appendTime == BlockHeader.unknownTime || baseAppendTime == BlockHeader.unknownTime {
      return true
    }
    let (delta, overflow) = appendTime.subtractingReportingOverflow(baseAppendTime)
    return !overflow && delta > Int64(Int32.min) && delta <= Int64(Int32.max)
  }

  /// Adds a record that `fits`.
  func add(
    key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, appendTime: Int64, eventTime: Int64
  ) {
    if used + key.count + value.count > data.count {
      grow(&data, to: used + key.count + value.count, keeping: used)
    }
    if (count + 1) * BlockHeader.recordLength > footer.count {
      grow(
        &footer, to: (count + 1) * BlockHeader.recordLength,
        keeping: count * BlockHeader.recordLength)
    }
    guard let bytes = data.baseAddress, let lengths = footer.baseAddress else { return }
    if let start = key.baseAddress {
      (bytes + used).copyMemory(from: start, byteCount: key.count)
      used += key.count
    }
    if let start = value.baseAddress {
      (bytes + used).copyMemory(from: start, byteCount: value.count)
      used += value.count
    }
    var delta = Int32.min
    if appendTime != BlockHeader.unknownTime {
      if baseAppendTime == BlockHeader.unknownTime { baseAppendTime = appendTime }
      delta = Int32(truncatingIfNeeded: appendTime &- baseAppendTime)
    }
    let entry = lengths + count * BlockHeader.recordLength
    entry.put(half: UInt32(key.count), 0)
    entry.put(half: UInt32(value.count), 4)
    entry.put(half: UInt32(bitPattern: delta), 8)
    times.add(append: appendTime, event: eventTime)
    count += 1
  }

  /// The finished block; valid until the next call. Forgets the records.
  func encode(
    baseOffset: Int64, transaction: Int64
  ) -> (header: BlockHeader, bytes: UnsafeRawBufferPointer) {
    precondition(count > 0, "a block holds at least one record")
    let footerLength = count * BlockHeader.recordLength
    if used + footerLength > data.count { grow(&data, to: used + footerLength, keeping: used) }
    let rawCount = used + footerLength
    UnsafeMutableRawBufferPointer(rebasing: data[used..<rawCount])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: footer[..<footerLength]))
    let room = BlockHeader.length + ZstdCompressor.bound(rawCount)
    if room > output.count { grow(&output, to: room, keeping: 0) }
    let length = compressor.compress(
      UnsafeRawBufferPointer(rebasing: data[..<rawCount]),
      into: UnsafeMutableRawBufferPointer(rebasing: output[BlockHeader.length...]))
    let total = BlockHeader.length + length
    var header = BlockHeader()
    header.isTransactional = transaction != 0
    header.payloadLength = length
    header.rawLength = rawCount
    header.baseOffset = baseOffset
    header.recordCount = count
    header.baseAppendTime = baseAppendTime
    header.times = times
    header.transaction = transaction
    header.payloadChecksum = XXH64.hash(
      UnsafeRawBufferPointer(rebasing: output[BlockHeader.length..<total]))
    if let start = output.baseAddress { header.write(to: start) }
    removeAll()
    return (header, UnsafeRawBufferPointer(rebasing: output[..<total]))
  }

  private func grow(_ buffer: inout UnsafeMutableRawBufferPointer, to count: Int, keeping: Int) {
    let larger = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(count, buffer.count * 2), alignment: 64)
    larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<keeping]))
    buffer.deallocate()
    buffer = larger
  }
}

/// Turns a block's payload back into records.
struct BlockDecoder: ~Copyable {
  private let decompressor = ZstdDecompressor()

  /// Checks and decompresses a payload into `raw`, which is `header.rawLength` bytes.
  /// - Returns: what is wrong with it, or nil.
  func decompress(
    _ header: BlockHeader, _ payload: UnsafeRawBufferPointer,
    into raw: UnsafeMutableRawBufferPointer
  ) -> String? {
    guard XXH64.hash(payload) == header.payloadChecksum else {
      return "its checksum does not match its bytes"
    }
    guard decompressor.decompress(payload, into: raw) else {
      return "its bytes do not decompress to the \(header.rawLength) bytes that it announces"
    }
    return nil
  }

  /// Appends the records from number `first` on; returns false where lengths do not add up.
  static func records(
    _ header: BlockHeader, _ raw: UnsafeRawBufferPointer, from first: Int, count: Int,
    into records: inout ContiguousArray<LogRecord>
  ) -> Bool {
    let dataEnd = header.rawLength - header.recordCount * BlockHeader.recordLength
    guard let start = raw.baseAddress, dataEnd >= 0 else { return false }
    var entry = start + dataEnd
    var cursor = start
    let end = start + dataEnd
    var left = dataEnd
    for index in 0..<min(header.recordCount, first + count) {
      let keyLength = Int(entry.half(0))
      let valueLength = Int(entry.half(4))
      let delta = Int32(bitPattern: entry.half(8))
      entry += BlockHeader.recordLength
      left -= keyLength + valueLength
      guard left >= 0 else { return false }
      if index >= first {
        records.append(
          LogRecord(
            offset: header.baseOffset &+ Int64(index),
            appendTime: delta == .min
              ? LogRecord.noAppendTime : header.baseAppendTime &+ Int64(delta),
            key: UnsafeRawBufferPointer(start: cursor, count: keyLength),
            value: UnsafeRawBufferPointer(start: cursor + keyLength, count: valueLength)))
      }
      cursor += keyLength + valueLength
    }
    return first + count < header.recordCount || cursor == end
  }
}
