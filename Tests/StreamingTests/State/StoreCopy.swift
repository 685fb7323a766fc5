import TestKit

@testable import Streaming

// State: that what operators keep is what they put there, whatever happens in between: growth,
// snapshots under way, restores. Each structure runs beside a naive model of it.

/// The rows of a store at the moment it was frozen, copied in slices as a snapshot copies them.
final class StoreCopy {
  private final class Pages {
    /// Per region, its pages' bytes.
    var bytes: [[Int: [UInt8]]]
    /// Pages that were handed over twice.
    var repeated = 0

    init(regions: Int) { bytes = Array(repeating: [:], count: regions) }
  }

  private let store: StateStore
  private let pages: Pages
  private let rowCounts: [Int]
  private var next = 0

  init(freezing store: StateStore) {
    self.store = store
    let pages = Pages(regions: store.entries.count)
    self.pages = pages
    rowCounts = store.entries.map { $0.region.pointee.count }
    for (index, entry) in store.entries.enumerated() {
      entry.region.pointee.freeze(id: Int32(index)) { id, page, rows in
        if pages.bytes[Int(id)].updateValue(Array(rows), forKey: page) != nil {
          pages.repeated += 1
        }
      }
    }
  }

  var isDone: Bool { next == store.entries.count }

  var repeatedPages: Int { pages.repeated }

  /// Copies up to `count` pages of the next region that has some left.
  func copySlice(pages count: Int) {
    guard !isDone else { return }
    if store.entries[next].region.pointee.copySlice(pages: count) { next += 1 }
  }

  func finish() { while !isDone { copySlice(pages: 8) } }

  /// A region's bytes at the frozen moment.
  func bytes(ofRegion region: Int) -> [UInt8] {
    pages.bytes[region].keys.sorted().flatMap { pages.bytes[region][$0] ?? [] }
  }

  /// Fills a store that was made in the same way.
  func restore(into other: StateStore) {
    for (index, entry) in other.entries.enumerated() {
      precondition(entry.region.pointee.makeRoom(forRestored: rowCounts[index]))
      let bytes = bytes(ofRegion: index)
      bytes.withUnsafeBytes { raw in
        if let base = raw.baseAddress {
          entry.region.pointee.base.copyMemory(from: base, byteCount: raw.count)
        }
      }
    }
    other.didRestore()
  }
}

extension StateStore {
  /// A region's rows as they are.
  func bytes(ofRegion region: Int) -> [UInt8] {
    let entry = entries[region].region.pointee
    return Array(UnsafeRawBufferPointer(start: entry.base, count: entry.count * entry.stride))
  }
}

extension SeededChoice {
  /// A number of up to `bits` bits, small ones as likely as large ones.
  mutating func magnitude(bits: Int) -> Int64 {
    let limit = below(bits + 1)
    return limit == 0 ? 0 : Int64(below(1 << limit))
  }
}
