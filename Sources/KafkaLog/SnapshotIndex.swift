import Events
import Streaming

/// Which snapshots of a partition there are in a topic, and where.
///
/// It is a record of the topic itself, and its newest one is all that counts: a snapshot is there
/// when the index names it.
struct SnapshotIndex: Equatable {
  static let version: UInt8 = 1

  struct Entry: Equatable {
    var number: Int64
    /// Its chunks stand at or after it, in their order.
    var firstOffset: Int64
    var chunks: Int64
    var bytes: Int64
  }

  /// Newest first.
  var entries: [Entry] = []
  /// A snapshot that was begun: without its end, its chunks are to be removed.
  var begun: (number: Int64, firstOffset: Int64)?

  init() {}

  static func == (a: SnapshotIndex, b: SnapshotIndex) -> Bool {
    a.entries == b.entries && a.begun?.number == b.begun?.number
      && a.begun?.firstOffset == b.begun?.firstOffset
  }

  /// Version, entries, what was begun (-1 for nothing), then a checksum of all before it.
  var encoded: [UInt8] {
    var bytes: [UInt8] = [SnapshotIndex.version]
    Varint.append(UInt64(entries.count), to: &bytes)
    for entry in entries {
      for value in [entry.number, entry.firstOffset, entry.chunks, entry.bytes] {
        Varint.append(signed: value, to: &bytes)
      }
    }
    Varint.append(signed: begun?.number ?? -1, to: &bytes)
    Varint.append(signed: begun?.firstOffset ?? -1, to: &bytes)
    withUnsafeBytes(of: SnapshotChunk.checksum(bytes, number: 0, chunk: 0).littleEndian) {
      bytes.append(contentsOf: $0)
    }
    return bytes
  }

  /// Nil where the bytes are no index.
  init?(_ raw: UnsafeRawBufferPointer) {
    let all = Array(raw)
    guard all.count > 9, all[0] == SnapshotIndex.version else { return nil }
    let bytes = Array(all.dropLast(8))
    let sum = raw.loadUnaligned(fromByteOffset: bytes.count, as: UInt64.self)
    guard UInt64(littleEndian: sum) == SnapshotChunk.checksum(bytes, number: 0, chunk: 0) else {
      return nil
    }
    var place = 1
    guard let count = Varint.read(bytes, &place), count <= UInt64(bytes.count) else { return nil }
    for _ in 0..<count {
      guard let number = Varint.readSigned(bytes, &place),
        let first = Varint.readSigned(bytes, &place),
        let chunks = Varint.readSigned(bytes, &place), let size = Varint.readSigned(bytes, &place),
        number >= 0, first >= 0, chunks > 0, size >= 0
      else { return nil }
      entries.append(Entry(number: number, firstOffset: first, chunks: chunks, bytes: size))
    }
    guard let number = Varint.readSigned(bytes, &place),
      let first = Varint.readSigned(bytes, &place), place == bytes.count
    else { return nil }
    if number >= 0 { begun = (number, max(first, 0)) }
  }
}

/// A piece of a snapshot, as a record: a version byte, a checksum, the bytes.
enum SnapshotChunk {
  static let version: UInt8 = 1
  static let headerBytes = 9
  /// Well below what topics take unless told otherwise.
  static let bytesMax = 512 << 10

  /// Of the bytes and of where they belong.
  static func checksum(_ bytes: UnsafeRawBufferPointer, number: Int64, chunk: Int64) -> UInt64 {
    let hash = Hash.text(bytes.bindMemory(to: UInt8.self))
    let place = Hash.combine(
      UInt64(bitPattern: number) &+ 1, UInt64(bitPattern: chunk) &+ UInt64(bytes.count))
    return Hash.combine(hash, place)
  }

  static func checksum(_ bytes: [UInt8], number: Int64, chunk: Int64) -> UInt64 {
    bytes.withUnsafeBytes { checksum($0, number: number, chunk: chunk) }
  }

  /// The payload of a chunk; nil where it is another one's or damaged.
  static func payload(
    _ value: UnsafeRawBufferPointer, number: Int64, chunk: Int64
  ) -> UnsafeRawBufferPointer? {
    guard value.count >= headerBytes, value[0] == version else { return nil }
    let sum = UInt64(littleEndian: value.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
    let payload = UnsafeRawBufferPointer(rebasing: value[headerBytes...])
    return checksum(payload, number: number, chunk: chunk) == sum ? payload : nil
  }
}
