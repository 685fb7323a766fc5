// Groups: what makes outputs, source offsets and the journal take effect together. One commit
// record, written last and synced, is the atomic point; everything else is cut back to it.

import Streaming

/// The committed state of a group's partition: what one record, or the beginning of a segment of
/// commits, says.
struct GroupState: Equatable {
  /// The number of the last transaction; 0 before the first.
  var number: Int64 = 0
  /// Next offset per input topic of the table.
  var nextOffsets: [Int64] = []
  /// End per output topic of the table.
  var ends: [LogEnd] = []
}

/// The topics that a segment of commits speaks of, by place.
struct GroupTable: Equatable {
  var inputs: [String] = []
  var outputs: [String] = []
}

/// How commits stand in a file, little-endian.
///
/// A segment begins with a header: magic "BMCL", version, its whole length, counts of inputs and
/// outputs, the state before its first commit, the topics' names (2 bytes of length, then UTF-8),
/// checksum. Each commit is 56 bytes (magic "BMC1", flags, number, append time, counts, journal
/// length, checksum of what follows, checksum of these) and what follows: next offsets, ends (24
/// bytes each), journal. A commit whose flag 1 is set ends the segment.
struct CommitHeader: BitwiseCopyable {
  static let length = 56
  static let journalLengthMax = 1 << 30
  private static let magic: UInt32 = 0x3143_4D42

  var isSeal = false
  var number: Int64
  var time: Int64 = 0
  var inputCount = 0
  var outputCount = 0
  var journalLength = 0
  var bodyChecksum: UInt64 = 0

  var bodyLength: Int { inputCount * 8 + outputCount * 24 + journalLength }
  var totalLength: Int { CommitHeader.length + bodyLength }

  init(number: Int64) { self.number = number }

  init?(_ start: UnsafeRawPointer) {
    guard start.half(0) == CommitHeader.magic, start.half(4) & ~1 == 0,
      XXH64.hash(UnsafeRawBufferPointer(start: start, count: 48)) == start.word(48)
    else { return nil }
    isSeal = start.half(4) & 1 != 0
    number = start.number(8)
    time = start.number(16)
    inputCount = Int(start.half(24))
    outputCount = Int(start.half(28))
    journalLength = Int(start.half(32))
    bodyChecksum = start.word(40)
    guard number > 0, inputCount < 1 << 20, outputCount < 1 << 20,
      journalLength <= CommitHeader.journalLengthMax
    else { return nil }
  }

  func write(to start: UnsafeMutableRawPointer) {
    start.put(half: CommitHeader.magic, 0)
    start.put(half: isSeal ? 1 : 0, 4)
    start.put(UInt64(bitPattern: number), 8)
    start.put(UInt64(bitPattern: time), 16)
    start.put(half: UInt32(inputCount), 24)
    start.put(half: UInt32(outputCount), 28)
    start.put(half: UInt32(journalLength), 32)
    start.put(half: 0, 36)
    start.put(bodyChecksum, 40)
    start.put(XXH64.hash(UnsafeRawBufferPointer(start: start, count: 48)), 48)
  }

  static func encode(
    _ state: GroupState, time: Int64, journal: [UInt8], into bytes: inout [UInt8]
  ) {
    var header = CommitHeader(number: state.number)
    header.time = time
    header.inputCount = state.nextOffsets.count
    header.outputCount = state.ends.count
    header.journalLength = journal.count
    bytes.removeAll(keepingCapacity: true)
    bytes.append(contentsOf: repeatElement(0, count: length))
    bytes.append(state: state)
    bytes.append(contentsOf: journal)
    bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return }
      header.bodyChecksum = XXH64.hash(UnsafeRawBufferPointer(rebasing: buffer[length...]))
      header.write(to: start)
    }
  }

  static func seal(after number: Int64) -> [UInt8] {
    var header = CommitHeader(number: number + 1)
    header.isSeal = true
    header.bodyChecksum = XXH64.hash(UnsafeRawBufferPointer(start: nil, count: 0))
    var bytes = [UInt8](repeating: 0, count: length)
    bytes.withUnsafeMutableBytes { buffer in
      if let start = buffer.baseAddress { header.write(to: start) }
    }
    return bytes
  }

  /// The state of a body whose checksum holds.
  func state(_ body: UnsafeRawPointer) -> GroupState {
    GroupState(
      number: number, offsetsAt: body, inputs: inputCount, outputs: outputCount)
  }
}

extension GroupState {
  init(number: Int64, offsetsAt start: UnsafeRawPointer, inputs: Int, outputs: Int) {
    self.number = number
    for index in 0..<inputs { nextOffsets.append(start.number(index * 8)) }
    for index in 0..<outputs {
      let at = inputs * 8 + index * 24
      ends.append(
        LogEnd(
          segment: start.number(at), position: start.number(at + 8),
          offset: start.number(at + 16)))
    }
  }
}

extension [UInt8] {
  fileprivate mutating func append(number: Int64) {
    var little = number.littleEndian
    Swift.withUnsafeBytes(of: &little) { append(contentsOf: $0) }
  }

  fileprivate mutating func append(half: UInt32) {
    var little = half.littleEndian
    Swift.withUnsafeBytes(of: &little) { append(contentsOf: $0) }
  }

  fileprivate mutating func append(state: GroupState) {
    for offset in state.nextOffsets { append(number: offset) }
    for end in state.ends {
      append(number: end.segment)
      append(number: end.position)
      append(number: end.offset)
    }
  }
}

/// The beginning of a segment of commits.
struct CommitSegmentHeader: Equatable {
  private static let magic: UInt32 = 0x4C43_4D42
  private static let fixedLength = 32

  var table: GroupTable
  /// The state before the segment's first commit.
  var state: GroupState

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(half: CommitSegmentHeader.magic)
    bytes.append(half: 1)
    bytes.append(half: 0)
    bytes.append(half: UInt32(table.inputs.count))
    bytes.append(half: UInt32(table.outputs.count))
    bytes.append(half: 0)
    bytes.append(number: state.number)
    bytes.append(state: state)
    for name in table.inputs + table.outputs {
      let utf8 = [UInt8](name.utf8)
      bytes.append(UInt8(truncatingIfNeeded: utf8.count))
      bytes.append(UInt8(truncatingIfNeeded: utf8.count >> 8))
      bytes += utf8
    }
    let total = bytes.count + 8
    bytes.withUnsafeMutableBytes { $0.baseAddress?.put(half: UInt32(total), 8) }
    let checksum = bytes.withUnsafeBytes { XXH64.hash($0) }
    bytes.append(number: Int64(bitPattern: checksum))
    return bytes
  }

  /// The whole length that the first 12 bytes announce; nil when they begin no segment.
  static func length(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count >= 12, let start = bytes.baseAddress, start.half(0) == magic,
      start.half(4) == 1
    else { return nil }
    let total = Int(start.half(8))
    return total >= fixedLength + 8 && total <= 64 << 20 ? total : nil
  }

  init(table: GroupTable, state: GroupState) {
    self.table = table
    self.state = state
  }

  /// Reads exactly the announced bytes.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard CommitSegmentHeader.length(bytes) == bytes.count, let start = bytes.baseAddress else {
      return nil
    }
    let body = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 8)])
    guard XXH64.hash(body) == start.word(bytes.count - 8) else { return nil }
    let inputs = Int(start.half(12))
    let outputs = Int(start.half(16))
    var cursor = CommitSegmentHeader.fixedLength
    guard cursor + inputs * 8 + outputs * 24 <= body.count else { return nil }
    state = GroupState(
      number: start.number(24), offsetsAt: start + cursor, inputs: inputs, outputs: outputs)
    cursor += inputs * 8 + outputs * 24
    var names: [String] = []
    for _ in 0..<(inputs + outputs) {
      guard cursor + 2 <= body.count else { return nil }
      let length = Int(bytes[cursor]) | Int(bytes[cursor + 1]) << 8
      cursor += 2
      guard cursor + length <= body.count else { return nil }
      names.append(String(decoding: body[cursor..<cursor + length], as: UTF8.self))
      cursor += length
    }
    guard cursor == body.count, state.number >= 0 else { return nil }
    table = GroupTable(inputs: Array(names[..<inputs]), outputs: Array(names[inputs...]))
  }
}
