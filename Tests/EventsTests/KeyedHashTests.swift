import Events
import Testing

@Suite struct KeyedHashTests {
  /// The reference vectors of SipHash-2-4: key 00…0f, messages 00, 00 01, ….
  @Test func referenceVectors() {
    let hash = KeyedHash(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)
    func message(_ count: UInt8) -> [UInt8] { Array(0..<count) }
    #expect(hash.hash(message(0)) == 0x726F_DB47_DD0E_0E31)
    #expect(hash.hash(message(8)) == 0x93F5_F579_9A93_2462)
    #expect(hash.hash(message(15)) == 0xA129_CA61_49BE_45E5)
  }

  @Test func threeWordsAreTheirBytes() {
    let hash = KeyedHash(secret: "a key")
    let words: [UInt64] = [0x0102_0304_0506_0708, 0, .max]
    let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }
    #expect(hash.hash(words[0], words[1], words[2]) == hash.hash(bytes))
  }

  @Test func everySecretHasItsOwnKeyAndId() {
    let secrets = ["", "a", "b", "ab", "a\u{0}", String(repeating: "a", count: 100)]
    let ids = Set(secrets.map { KeyedHash(secret: $0).id })
    #expect(ids.count == secrets.count)
    #expect(KeyedHash(secret: "a") == KeyedHash(secret: "a"))
  }
}
