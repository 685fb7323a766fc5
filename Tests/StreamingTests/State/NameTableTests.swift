import Events
import TestKit
import Testing

@testable import Streaming

/// Names and the index below them.
@Suite struct NameTableTests {
  /// Interns a text under a parent, with its own hash or a forced one.
  static func intern(
    _ table: NameTable, _ text: String, parent: Int32 = -1, hash: UInt64? = nil
  ) -> Int32 {
    var bytes = Array(text.utf8)
    // Nothing may be read beyond the text.
    bytes.append(contentsOf: [0xFF, 0xFF, 0xFF])
    return bytes.withUnsafeBufferPointer { buffer in
      let text = UnsafeBufferPointer(rebasing: buffer.dropLast(3))
      return table.intern(
        Identifier(
          hash: hash ?? Hash.text(text), start: text.baseAddress, length: UInt32(text.count)),
        parent: parent, parentHash: parent < 0 ? 0 : UInt64(parent) &* 77)
    }
  }

  static func texts(_ table: NameTable) -> [String] {
    (0..<Int32(table.count)).map { table.name($0).string }
  }

  @Test func aNameHasOneRow() {
    let store = StateStore()
    let table = NameTable("names", in: store)
    defer { table.deallocate() }
    let texts = (0..<20_000).map { "name \($0) \(String(repeating: "x", count: $0 % 40))" }
    for (i, text) in texts.enumerated() {
      #expect(NameTableTests.intern(table, text) == Int32(i))
    }
    for (i, text) in texts.enumerated() {
      #expect(NameTableTests.intern(table, text) == Int32(i))
    }
    #expect(NameTableTests.texts(table) == texts)
  }

  @Test func equalHashesAreNotEqualNames() {
    let store = StateStore()
    let table = NameTable("names", in: store)
    defer { table.deallocate() }
    // Same length or not, differing in the first or the last byte, in the tail of eight or before.
    let texts = [
      "a", "b", "ab", "abcdefgh", "abcdefgi", "bbcdefgh", "abcdefgha", "abcdefghb",
      "abcdefghabcdefgh", "abcdefghabcdefgi",
    ]
    for round in 0..<3 {
      for (i, text) in texts.enumerated() {
        #expect(NameTableTests.intern(table, text, hash: 42) == Int32(i), "round \(round)")
      }
    }
    // A parent is part of the name even where the hash does not tell.
    let row = table.intern(
      Identifier(hash: 42, start: nil, length: 0), parent: 3, parentHash: 0)
    #expect(row == Int32(texts.count))
    #expect(table.parent(row) == 3)
  }

  @Test func namesUnderDifferentParentsDiffer() {
    let store = StateStore()
    let table = NameTable("names", in: store)
    defer { table.deallocate() }
    var rows: Set<Int32> = []
    for parent in 0..<50 as Range<Int32> {
      for text in ["one", "two", "three"] {
        rows.insert(NameTableTests.intern(table, text, parent: parent))
      }
    }
    #expect(rows.count == 150)
    #expect(Set((0..<150 as Range<Int32>).map { table.hash($0) }).count == 150)
  }

  @Test func restoredNamesKeepTheirRows() {
    for seed in 1...10 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let store = StateStore()
      let table = NameTable("names", in: store)
      defer { table.deallocate() }
      func add() {
        _ = NameTableTests.intern(
          table, "name \(choice.below(5_000))", hash: choice.once(in: 3) ? 9 : nil)
      }
      for _ in 0..<choice.below(500) { add() }
      let frozen = NameTableTests.texts(table)
      let copy = StoreCopy(freezing: store)
      while !copy.isDone {
        for _ in 0..<50 { add() }
        copy.copySlice(pages: 1)
      }
      let restored = StateStore()
      let other = NameTable("names", in: restored)
      defer { other.deallocate() }
      _ = NameTableTests.intern(other, "forgotten")
      copy.restore(into: restored)
      #expect(NameTableTests.texts(other) == frozen, "seed \(seed)")
      let hashes = (0..<Int32(other.count)).map { other.hash($0) }
      #expect(hashes == (0..<Int32(other.count)).map { table.hash($0) })
      #expect(NameTableTests.intern(other, "forgotten") == Int32(frozen.count))
    }
  }

  @Test func theIndexFindsEveryRowOfAHash() {
    for seed in 1...20 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let index = RowIndex()
      defer { index.deallocate() }
      var hashes: [UInt64] = []
      for row in 0..<2_000 as Range<Int32> {
        // Few distinct hashes, or hashes of one tag, or of one shard.
        let n = UInt64(choice.below(400))
        let hash =
          switch choice.below(3) {
          case 0: n
          case 1: n << 48 | 5 << 16
          default: n &* 0x9E37_79B9_7F4A_7C15
          }
        index.insert(hash, row: row)
        hashes.append(hash)
      }
      for (row, hash) in hashes.enumerated() {
        #expect(index.find(hash) { $0 == Int32(row) } == Int32(row))
      }
      #expect(index.find(12_345_678) { _ in false } == nil)
      index.removeAll()
      #expect(index.find(hashes[0]) { _ in true } == nil)
    }
  }
}
