import Events
import Streaming
import Testing

@Suite struct RowIndexTests {
  /// Against a dictionary, with hashes that share their home slots and their tags.
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func removedRowsAreGoneAndOthersStay(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let index = RowIndex()
    defer { index.deallocate() }
    var rows: [Int32: UInt64] = [:]
    for step in 0..<20_000 {
      let row = Int32(random.next() % 400)
      if let hash = rows.removeValue(forKey: row) {
        index.remove(hash, row: row)
      } else {
        // Few homes, few shards, and now and then the same hash for two rows.
        let hash = (random.next() % 3) << 60 | (random.next() % 40) << 16
        rows[row] = hash
        index.insert(hash, row: row)
      }
      guard step % 500 == 499 else { continue }
      for row in 0..<Int32(400) {
        let hash = rows[row] ?? (UInt64(row) % 40) << 16
        let found = index.find(hash) { $0 == row }
        #expect(found == (rows[row] == nil ? nil : row), "seed \(seed), step \(step)")
      }
    }
  }
}
