import TestKit
import Testing

@testable import Streaming

/// The table against a dictionary.
@Suite struct FingerprintTableTests {
  /// Fingerprints of a few forms: spread out, crowded into one shard and group, of equal tags.
  static func fingerprint(_ choice: inout SeededChoice, crowd: Int) -> UInt64 {
    let n = UInt64(choice.below(3_000)) + 1
    switch crowd {
    case 0: return n &* 0x9E37_79B9_7F4A_7C15 | 1
    case 1: return n << 20 | 3
    case 2: return n << 8 | 0xFFFF << 48
    default: return UInt64.max - n
    }
  }

  static func contents(_ table: FingerprintTable) -> [UInt64: Int64] {
    var found: [UInt64: Int64] = [:]
    table.visit { fingerprint, time in
      #expect(found.updateValue(time, forKey: fingerprint) == nil)
    }
    return found
  }

  @Test func holdsWhatADictionaryHolds() {
    for seed in 1...40 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let crowd = choice.below(4)
      let store = StateStore()
      let table = FingerprintTable("seen", in: store)
      defer { table.deallocate() }
      var model: [UInt64: Int64] = [:]
      for step in 0..<2_000 {
        let fingerprint = FingerprintTableTests.fingerprint(&choice, crowd: crowd)
        guard table.time(of: fingerprint) == model[fingerprint] else {
          Issue.record("seed \(seed): another time for \(fingerprint)")
          return
        }
        if choice.once(in: 2) {
          table.set(fingerprint, time: Int64(step))
          model[fingerprint] = Int64(step)
        }
        if choice.once(in: 900) {
          table.removeAll()
          model.removeAll()
        }
        _ = table.touch(fingerprint) &+ table.touchSlot(fingerprint)
      }
      #expect(table.count == model.count)
      #expect(FingerprintTableTests.contents(table) == model, "seed \(seed)")
    }
  }

  @Test func aSnapshotShowsTheFrozenMoment() {
    for seed in 1...20 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let crowd = choice.below(4)
      let store = StateStore()
      let table = FingerprintTable("seen", in: store)
      defer { table.deallocate() }
      func put() {
        table.set(
          FingerprintTableTests.fingerprint(&choice, crowd: crowd), time: Int64(choice.below(100)))
      }
      for _ in 0..<choice.below(3_000) { put() }
      let frozen = FingerprintTableTests.contents(table)
      let copy = StoreCopy(freezing: store)
      while !copy.isDone {
        for _ in 0..<choice.below(200) { put() }
        if choice.once(in: 10) { table.removeAll() }
        copy.copySlice(pages: 1)
      }
      let restored = StateStore()
      let other = FingerprintTable("seen", in: restored)
      defer { other.deallocate() }
      other.set(77, time: 7)
      copy.restore(into: restored)
      #expect(FingerprintTableTests.contents(other) == frozen, "seed \(seed)")
      #expect(other.count == frozen.count)
      for (fingerprint, time) in frozen { #expect(other.time(of: fingerprint) == time) }
      // It grows on from there.
      for n in 1...2_000 as ClosedRange<UInt64> { other.set(n << 32 | 1, time: 1) }
      for (fingerprint, time) in frozen where fingerprint & 0xFFFF_FFFF != 1 {
        #expect(other.time(of: fingerprint) == time)
      }
    }
  }
}
