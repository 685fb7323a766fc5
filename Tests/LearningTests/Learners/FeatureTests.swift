import Learning
import Testing

@Suite struct FeatureTests {
  /// Vowpal Wabbit 9.11.9, `-b 18 --hash all -q uc` (`hashing.py`): `|u user_a |c camp_b`. The parts
  /// are MurmurHash3 of the names, seeded with that of their fields.
  @Test func crossesAreVowpalWabbits() {
    let first: UInt32 = 61_262
    let second: UInt32 = 110_308
    // Masking the parts first gives the same low bits.
    #expect(FeatureHash.masked(FeatureHash.cross(first, second), bits: 18) == 71_982)
    #expect(FeatureHash.masked(.max, bits: 32) == .max)
    #expect(FeatureHash.masked(.max, bits: 22) == (1 << 22) - 1)
  }

  @Test func numbersOfAFieldDiffer() {
    var seen: Set<UInt32> = []
    for field in 0..<20 as Range<UInt32> {
      for number in 0..<500 as Range<Int32> { seen.insert(FeatureHash.number(field << 10, number)) }
    }
    #expect(seen.count == 10_000)
  }

  @Test func bucketsAreBinaryOrdersOfMagnitude() {
    #expect(FeatureHash.bucket(0) == 0 && FeatureHash.bucket(.nan) == 0)
    #expect(FeatureHash.bucket(1) == FeatureHash.bucket(1.99))
    #expect(FeatureHash.bucket(2) == FeatureHash.bucket(1) + 1)
    #expect(FeatureHash.bucket(0.5) == FeatureHash.bucket(1) - 1)
    #expect(FeatureHash.bucket(-4) == -FeatureHash.bucket(4))
    for value in [
      Double.infinity, -.infinity, 1e308, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
    ] {
      #expect(FeatureHash.bucket(value).magnitude <= 126)
    }
  }

  @Test func valuesAreBounded() {
    #expect(FeatureValue.bounded(.nan) == 0)
    #expect(FeatureValue.bounded(.infinity) == FeatureValue.limit)
    #expect(FeatureValue.bounded(-1e300) == -FeatureValue.limit)
    #expect(FeatureValue.bounded(-3.5) == -3.5 && FeatureValue.bounded(1e-300) == 0)
  }

  @Test func ratesStayInside() {
    for logit in [-1e308, -40, 0, 40, Double.infinity] {
      let rate = Rate.bounded(Rate.sigmoid(logit))
      #expect(rate >= Rate.least && rate <= 1 - Rate.least)
    }
    #expect(isNear(Rate.logit(Rate.sigmoid(1.5)), 1.5, 1e-12))
    #expect(isNear(Rate.logLoss(1, 0.25), 1.3862943611198906, 1e-15))
  }
}

@Suite struct FeatureIndexTests {
  /// Against a dictionary, with features that collide and features at both ends.
  @Test func findsWhatWasInserted() {
    let seed: UInt64 = 31
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    var index = FeatureIndex()
    defer { index.deallocate() }
    var known: [UInt32: Int32] = [:]
    for round in 0..<20_000 {
      let feature =
        round < 2 ? [0, .max][round] : UInt32(truncatingIfNeeded: random.next()) & 0x7FFF
      #expect(index.row(of: feature) == known[feature] ?? -1)
      guard known[feature] == nil else { continue }
      known[feature] = Int32(known.count)
      index.insert(feature, row: Int32(known.count - 1))
      #expect(index.count == known.count)
      // A slot of 8 bytes, 9 to 12.2 of them a feature once there are some.
      if known.count > 64 {
        #expect(Double(index.byteCount) / Double(known.count) < 12.3)
      }
    }
    #expect(known.allSatisfy { index.row(of: $0.key) == $0.value })
    index.removeAll()
    #expect(index.count == 0 && known.keys.allSatisfy { index.row(of: $0) == -1 })
  }
}
