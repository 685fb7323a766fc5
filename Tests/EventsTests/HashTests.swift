import Events
import Testing

@Suite struct HashTests {
  private func murmur(_ text: String, _ seed: UInt32) -> UInt32 {
    var text = text
    return text.withUTF8 { Hash.murmur3($0, seed: seed) }
  }

  private func hash(_ bytes: [UInt8]) -> UInt64 {
    bytes.withUnsafeBufferPointer { Hash.text($0) }
  }

  /// Values of scikit-learn's `murmurhash3_32`.
  @Test func murmurAgreesWithScikitLearn() {
    #expect(murmur("", 0) == 0)
    #expect(murmur("a", 0) == 1_009_084_850)
    #expect(murmur("user=123", 0) == 3_109_495_484)
    #expect(murmur("campaign=42", 0) == 4_117_167_974)
    #expect(murmur("ünïcode", 0) == 2_947_451_484)
    #expect(murmur("", 42) == 142_593_372)
    #expect(murmur("a", 42) == 3_001_393_763)
    #expect(murmur("user=123", 42) == 1_858_887_199)
    #expect(murmur("campaign=42", 42) == 116_985_872)
    #expect(murmur("ünïcode", 42) == 53_403_615)
  }

  @Test func murmurAgreesWithItsDefinitionAtEveryLength() {
    var random = SplitMix64(seed: 21)
    print("seed 21")
    for length in 0..<70 {
      let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let seed = UInt32(truncatingIfNeeded: random.next())
      let found = bytes.withUnsafeBufferPointer { Hash.murmur3($0, seed: seed) }
      #expect(found == ReferenceHash.murmur3(bytes, seed: seed))
    }
  }

  @Test func splitMixAgreesWithItsGolden() {
    var random = SplitMix64(seed: 1_234_567)
    let expected: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
      4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
    ]
    #expect(expected.map { _ in random.next() } == expected)
    #expect((0..<1_000).allSatisfy { _ in (0..<1).contains(random.nextUnit()) })
  }

  @Test func textHashAgreesWithItsDefinitionAtEveryLength() {
    var random = SplitMix64(seed: 22)
    print("seed 22")
    var seen: Set<UInt64> = []
    for length in 0..<200 {
      // Zeros too: padding must not make texts of different lengths equal.
      let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next() & 1) }
      #expect(hash(bytes) == ReferenceHash.text(bytes))
      let zeros = [UInt8](repeating: 0, count: length)
      #expect(hash(zeros) == ReferenceHash.text(zeros))
      seen.insert(hash(zeros))
    }
    #expect(seen.count == 200)
  }

  /// Frozen: they are in fingerprints and snapshots.
  @Test func textHashStaysAsItIs() {
    #expect(Hash.text("") == 0)
    #expect(Hash.text("a") == 0x49C2_4368_B3D8_CC12)
    #expect(Hash.text("acme-7") == 0xF3A4_B931_0FF7_6E53)
    #expect(Hash.text("imp-000000123456") == 0xBA53_C5C3_AEB3_D484)
    #expect(Hash.fingerprint(account: 1, type: .click, id: 2) == 0xFE2F_0E2A_E367_F742)
  }

  @Test func fingerprintsTellAccountsTypesAndIdsApart() {
    var seen: Set<UInt64> = []
    for account in 1...20 as ClosedRange<UInt64> {
      for type in EventType.allCases {
        for id in 1...20 as ClosedRange<UInt64> {
          seen.insert(Hash.fingerprint(account: account, type: type, id: id))
        }
      }
    }
    #expect(seen.count == 20 * EventType.allCases.count * 20)
    #expect(Hash.combine(1, 2) != Hash.combine(2, 1))
  }

  @Test func oneBitChangesHalfOfTheBits() {
    var random = SplitMix64(seed: 23)
    print("seed 23")
    var changed = 0
    let rounds = 4_000
    for _ in 0..<rounds {
      var bytes = (0..<Int.random(in: 1..<40, using: &random)).map { _ in
        UInt8(truncatingIfNeeded: random.next())
      }
      let before = hash(bytes)
      let bit = Int.random(in: 0..<(bytes.count * 8), using: &random)
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      changed += (hash(bytes) ^ before).nonzeroBitCount
    }
    let mean = Double(changed) / Double(rounds)
    #expect((31.5...32.5).contains(mean), "\(mean) of 64 bits change")
  }
}
