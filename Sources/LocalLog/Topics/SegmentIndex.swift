import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where to begin looking in a segment: a few blocks' offsets and positions, and the greatest
/// times before them. Everything in it can be computed again from the segment.
///
/// File: 24 bytes of header (magic "BMIX", version, the segment's base offset, checksum), then 40
/// bytes an entry (offset, position, greatest append time and greatest event time before it,
/// checksum). What follows the first wrong entry does not count.
struct SegmentIndex {
  struct Entry: Equatable {
    var offset: Int64
    var position: Int64
    /// Times of all blocks of the segment that stand before `position`.
    var appendMaxBefore: Int64
    var eventMaxBefore: Int64

    func maxBefore(_ kind: LogTime) -> Int64 {
      kind == .append ? appendMaxBefore : eventMaxBefore
    }
  }

  static let headerLength = 24
  static let entryLength = 40
  /// An entry for every so many bytes of a segment.
  static let spacing: Int64 = 256 << 10
  private static let magic: UInt64 = 0x0000_0001_5849_4D42

  let base: Int64
  private(set) var entries: [Entry] = []
  /// Running state of a segment that is walked or written: times so far, last entry's position.
  private(set) var times = BlockTimes()
  private var lastPosition: Int64 = 0

  init(base: Int64) { self.base = base }

  /// Tells the index of a block; in order.
  /// - Returns: whether an entry was made for it.
  mutating func add(_ header: BlockHeader, at position: Int64) -> Bool {
    var made = false
    if position - lastPosition >= SegmentIndex.spacing {
      entries.append(
        Entry(
          offset: header.baseOffset, position: position,
          appendMaxBefore: SegmentIndex.bound(times.appendMin, times.appendMax),
          eventMaxBefore: SegmentIndex.bound(times.eventMin, times.eventMax)))
      lastPosition = position
      made = true
    }
    times.add(header.times)
    return made
  }

  /// Unknown times may be any.
  private static func bound(_ low: Int64, _ high: Int64) -> Int64 {
    low == BlockHeader.unknownTime ? Int64.max : high
  }

  /// Forgets everything at and after a position. The running times stay wide: an index may say
  /// "may be here" too often, never too rarely.
  mutating func cut(to position: Int64) {
    entries.removeAll { $0.position >= position }
    lastPosition = entries.last?.position ?? 0
  }

  /// Where to begin to find `offset`.
  func start(offset: Int64) -> (position: Int64, offset: Int64) {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].offset <= offset { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? (0, base) : (entries[low - 1].position, entries[low - 1].offset)
  }

  /// Where to begin to find the first record at or after `time`.
  func start(time: Int64, _ kind: LogTime) -> (position: Int64, offset: Int64) {
    // The greatest times before entries rise, so this is a binary search too.
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].maxBefore(kind) < time { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? (0, base) : (entries[low - 1].position, entries[low - 1].offset)
  }

  // MARK: As a file

  /// Everything, as the file should be.
  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: SegmentIndex.headerLength)
    bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return }
      start.put(SegmentIndex.magic, 0)
      start.put(UInt64(bitPattern: base), 8)
      start.put(XXH64.hash(UnsafeRawBufferPointer(start: start, count: 16)), 16)
    }
    for entry in entries { bytes += SegmentIndex.encoded(entry, base: base) }
    return bytes
  }

  static func encoded(_ entry: Entry, base: Int64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: entryLength)
    bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return }
      start.put(UInt64(bitPattern: entry.offset), 0)
      start.put(UInt64(bitPattern: entry.position), 8)
      start.put(UInt64(bitPattern: entry.appendMaxBefore), 16)
      start.put(UInt64(bitPattern: entry.eventMaxBefore), 24)
      let body = UnsafeRawBufferPointer(start: start, count: 32)
      start.put(XXH64.hash(body, seed: UInt64(bitPattern: base)), 32)
    }
    return bytes
  }

  /// The entries of a file; nil when its header is wrong.
  init?(base: Int64, decoding bytes: [UInt8]) {
    guard bytes.count >= SegmentIndex.headerLength else { return nil }
    self.init(base: base)
    let isValid = bytes.withUnsafeBytes { buffer -> Bool in
      guard let start = buffer.baseAddress, start.word(0) == SegmentIndex.magic,
        start.number(8) == base,
        XXH64.hash(UnsafeRawBufferPointer(start: start, count: 16)) == start.word(16)
      else { return false }
      var cursor = SegmentIndex.headerLength
      while cursor + SegmentIndex.entryLength <= buffer.count {
        let entry = start + cursor
        let body = UnsafeRawBufferPointer(start: entry, count: 32)
        guard XXH64.hash(body, seed: UInt64(bitPattern: base)) == entry.word(32) else { break }
        let decoded = Entry(
          offset: entry.number(0), position: entry.number(8), appendMaxBefore: entry.number(16),
          eventMaxBefore: entry.number(24))
        guard decoded.position > lastPosition, decoded.offset > (entries.last?.offset ?? base)
        else { break }
        entries.append(decoded)
        lastPosition = decoded.position
        cursor += SegmentIndex.entryLength
      }
      return true
    }
    guard isValid else { return nil }
    if let last = entries.last {
      times = BlockTimes(
        appendMin: last.appendMaxBefore == .max ? .min : last.appendMaxBefore,
        appendMax: last.appendMaxBefore == .max ? .min : last.appendMaxBefore,
        eventMin: last.eventMaxBefore == .max ? .min : last.eventMaxBefore,
        eventMax: last.eventMaxBefore == .max ? .min : last.eventMaxBefore)
    }
  }
}
