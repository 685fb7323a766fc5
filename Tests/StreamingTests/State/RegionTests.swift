import TestKit
import Testing

@testable import Streaming

/// Tables under a snapshot: what is copied is the frozen moment, bit for bit, while rows change.
@Suite struct RegionTests {
  struct Narrow: BitwiseCopyable {
    var a: UInt32 = 0
    var b: UInt16 = 0
    var c: UInt16 = 0
  }

  /// 104 bytes: rows do not fill a page evenly.
  struct Wide: BitwiseCopyable {
    var words: (Int64, Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0, 0)
    var more: (Int64, Int64, Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0, 0, 0)
  }

  /// A table of either row and what it should hold.
  struct Subject<Row: BitwiseCopyable> {
    let table: Table<Row>
    let make: (UInt32) -> Row
    var rows: [UInt32] = []

    mutating func change(_ choice: inout SeededChoice) {
      let value = UInt32(choice.below(1 << 30))
      switch choice.below(40) {
      case 0 where choice.once(in: 4):
        table.removeAll()
        rows.removeAll()
      case 1:
        for _ in 0..<choice.below(2_000) {
          table.append(make(value))
          rows.append(value)
        }
      case 2...12:
        #expect(Int(table.append(make(value))) == rows.count)
        rows.append(value)
      case 13...15:
        guard !rows.isEmpty else { return }
        // Over several pages.
        let first = choice.below(rows.count)
        let end = min(first + 1 + choice.below(2_000), rows.count)
        let target = table.update(Int32(first)..<Int32(end))
        for row in first..<end {
          target[row - first] = make(value)
          rows[row] = value
        }
      case 16:
        let count = choice.below(2_000) + 1
        let first = table.extend(by: count)
        #expect(Int(first) == rows.count)
        let target = table.address(first)
        for row in 0..<count {
          target[row] = make(value)
          rows.append(value)
        }
      default:
        guard !rows.isEmpty else { return }
        let row = choice.below(rows.count)
        table.update(Int32(row)).pointee = make(value)
        rows[row] = value
      }
    }

    /// The bytes that the table should consist of.
    var bytes: [UInt8] {
      rows.flatMap { value in withUnsafeBytes(of: make(value)) { Array($0) } }
    }
  }

  static func narrow(_ value: UInt32) -> Narrow { Narrow(a: value, b: 1, c: 2) }

  static func wide(_ value: UInt32) -> Wide {
    let n = Int64(value)
    return Wide(words: (n, 1, 2, 3, 4, -n), more: (n, n, 0, 0, 0, 0, n &* n))
  }

  @Test func aSnapshotShowsTheFrozenMoment() {
    for seed in 1...40 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let store = StateStore()
      var narrow = Subject(
        table: store.table("narrow", of: Narrow.self, capacity: 1), make: RegionTests.narrow)
      var wide = Subject(
        table: store.table("wide", of: Wide.self, capacity: 1), make: RegionTests.wide)
      func change() {
        if choice.once(in: 2) { narrow.change(&choice) } else { wide.change(&choice) }
      }
      for _ in 0..<3 {
        for _ in 0..<choice.below(400) { change() }
        let frozen = [narrow.bytes, wide.bytes]
        let copy = StoreCopy(freezing: store)
        while !copy.isDone {
          for _ in 0..<choice.below(30) { change() }
          copy.copySlice(pages: choice.below(4))
        }
        guard copy.bytes(ofRegion: 0) == frozen[0], copy.bytes(ofRegion: 1) == frozen[1],
          copy.repeatedPages == 0
        else {
          Issue.record("seed \(seed): the copy is not the frozen moment")
          return
        }
        guard store.bytes(ofRegion: 0) == narrow.bytes, store.bytes(ofRegion: 1) == wide.bytes
        else {
          Issue.record("seed \(seed): the table is not what was put into it")
          return
        }
      }
    }
  }

  @Test func aSnapshotThatIsGivenUpLeavesTheRowsAlone() {
    var choice = SeededChoice(seed: 4)
    let store = StateStore()
    var subject = Subject(table: store.table("rows", of: Wide.self), make: RegionTests.wide)
    for _ in 0..<20 {
      for _ in 0..<100 { subject.change(&choice) }
      let copy = StoreCopy(freezing: store)
      for _ in 0..<50 { subject.change(&choice) }
      copy.copySlice(pages: 1)
      for entry in store.entries { entry.region.pointee.thaw() }
    }
    #expect(store.bytes(ofRegion: 0) == subject.bytes)
  }

  @Test func anEmptyTableIsCopiedAtOnce() {
    let store = StateStore()
    let table = store.table("rows", of: Narrow.self)
    let copy = StoreCopy(freezing: store)
    table.append(Narrow(a: 1))
    copy.finish()
    #expect(copy.bytes(ofRegion: 0).isEmpty)
    #expect(table.count == 1)
  }

  @Test func largeTablesMoveBetweenTheirMemories() {
    // Beyond 2 MiB memory comes in whole pages from the kernel, and goes back there.
    let store = StateStore()
    let table = store.table("rows", of: Wide.self, capacity: 1)
    for i in 0..<60_000 as Range<UInt32> { table.append(RegionTests.wide(i)) }
    let copy = StoreCopy(freezing: store)
    for i in 60_000..<130_000 as Range<UInt32> {
      table.append(RegionTests.wide(i))
      if i % 1_000 == 0 { table.update(Int32(i) - 60_000).pointee = RegionTests.wide(0) }
    }
    copy.finish()
    let restored = StateStore()
    let copied = restored.table("rows", of: Wide.self)
    copy.restore(into: restored)
    #expect(copied.count == 60_000)
    #expect((0..<60_000).allSatisfy { copied[Int32($0)].words.0 == Int64($0) })
    #expect(table.count == 130_000 && table[0].words.0 == 0 && table[1].words.0 == 1)
  }
}
