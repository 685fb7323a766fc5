import Events
import Streaming

/// Texts of 1…128 bytes, whose room is used again: one region of 8-byte words, free pieces listed
/// by length. A text is addressed by its first word and its own length.
///
/// A freed piece serves only texts of the same number of words, so the store is never larger than
/// the sum over lengths of what was once stored at a time.
struct TextStore {
  private let words: Table<UInt64>
  /// First free piece by number of words; a free piece's first word is the next one. -1 at the end.
  private let free: Table<Int32>

  static let bytesMax = 128

  init(_ name: String, in store: StateStore) {
    words = store.table(name, of: UInt64.self)
    free = store.table("\(name).free", of: Int32.self, capacity: 17)
    free.fill(to: TextStore.bytesMax / 8 + 1, with: -1)
  }

  /// Stores a text; longer ones are an event decoder's mistake.
  func add(_ text: Identifier) -> Int32 {
    let count = Int(text.length)
    precondition(count > 0 && count <= TextStore.bytesMax, "identifiers have 1…128 bytes")
    let wordCount = Int32((count + 7) / 8)
    var start = free[wordCount]
    if start >= 0 {
      free.update(wordCount).pointee = Int32(truncatingIfNeeded: words[start])
    } else {
      start = words.extend(by: Int(wordCount))
    }
    // A text may cross the border of a snapshot's page.
    _ = words.update(start)
    let first = words.update(start + wordCount - 1) - Int(wordCount - 1)
    if let bytes = text.start { memoryCopy(first, bytes, count) }
    return start
  }

  func remove(_ start: Int32, length: UInt8) {
    let wordCount = Int32((Int(length) + 7) / 8)
    words.update(start).pointee = UInt64(UInt32(bitPattern: free[wordCount]))
    free.update(wordCount).pointee = start
  }

  /// The text; valid until the next one is stored. Its hash is not kept: 0.
  @inline(__always)
  func text(_ start: Int32, length: UInt8) -> Identifier {
    let bytes = UnsafeRawPointer(words.address(start)).assumingMemoryBound(to: UInt8.self)
    return Identifier(hash: 0, start: bytes, length: UInt32(length))
  }

  /// Loads what reading a text begins with; returns something of it.
  @inline(__always)
  func touch(_ start: Int32) -> UInt64 { words[start] }

  private func memoryCopy(
    _ target: UnsafeMutablePointer<UInt64>, _ source: UnsafePointer<UInt8>, _ count: Int
  ) {
    UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: count)
  }
}
