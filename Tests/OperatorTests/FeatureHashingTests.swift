import Events
import Learning
import Testing

/// Features are numbered as Vowpal Wabbit 9.11.9 numbers them with `-b 18 --hash all -q uc`
/// (`hashing.py`): a field's name seeds the hash of what it holds.
@Suite struct FeatureHashingTests {
  private func hash(_ text: String, seed: UInt32 = 0) -> UInt32 {
    var text = text
    return text.withUTF8 { Hash.murmur3($0, seed: seed) }
  }

  @Test func featuresAndCrossesAreVowpalWabbits() {
    let user = hash("user_a", seed: hash("u"))
    let campaign = hash("camp_b", seed: hash("c"))
    #expect(FeatureHash.masked(user, bits: 18) == 61_262)
    #expect(FeatureHash.masked(campaign, bits: 18) == 110_308)
    #expect(FeatureHash.masked(FeatureHash.cross(user, campaign), bits: 18) == 71_982)
  }
}
