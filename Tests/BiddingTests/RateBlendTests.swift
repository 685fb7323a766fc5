import Bidding
import Events
import Learning
import Testing

@Suite struct RateBlendTests {
  private func agreement(expected: Double, observed: Double) -> RateAgreement {
    var agreement = RateAgreement()
    agreement.add(rate: expected, outcome: observed, keep: 1)
    return agreement
  }

  @Test func aModelThatIsRightCountsWhereEvidenceIsThin() {
    let right = agreement(expected: 1_000, observed: 1_010).errorSquared(atBest: 0.2)
    let thin = RateBlend(BetaDistribution(alpha: 1, beta: 99), predicted: 0.02, errorSquared: right)
    let even = RateBlend(
      BetaDistribution(alpha: 25, beta: 2_475), predicted: 0.02, errorSquared: right)
    let thick = RateBlend(
      BetaDistribution(alpha: 10_000, beta: 990_000), predicted: 0.02, errorSquared: right)
    #expect(thin.weight > 0.9 && thick.weight < 0.01)
    #expect((even.weight - 0.34).magnitude < 0.02)
    #expect(thin.factor(of: 0.01) > 1.9 && thick.factor(of: 0.01) < 1.01)
    #expect(even.factor(of: 0.01) == 1 + even.weight)
    // Thousands of impressions without a click say that the model is wrong of this ad.
    let silent = BetaDistribution(alpha: 0.5, beta: 20_000)
    let blend = RateBlend(silent, predicted: 0.02, errorSquared: right)
    #expect(silent.mean * blend.factor(of: silent.mean) < 0.0015)
  }

  @Test func aModelThatIsWrongOrKnowsNothingDoesNotCount() {
    let belief = BetaDistribution(alpha: 5, beta: 495)
    let new = RateBlend(
      belief, predicted: 0.02, errorSquared: RateAgreement().errorSquared(atBest: 0.2))
    let wrong = RateBlend(
      belief, predicted: 0.02,
      errorSquared: agreement(expected: 1_000, observed: 100).errorSquared(atBest: 0.2))
    let right = RateBlend(
      belief, predicted: 0.02,
      errorSquared: agreement(expected: 100, observed: 100).errorSquared(atBest: 0.2))
    #expect(new.weight == 0 && wrong.weight < 0.05 && right.weight > 0.6)
    #expect(RateBlend(belief, predicted: 0, errorSquared: 1).factor(of: 0.01) == 1)
    #expect(RateBlend().factor(of: 0.01) == 1 && right.factor(of: 0) == 1)
  }

  @Test func fadesWhatIsOld() {
    var agreement = RateAgreement()
    for _ in 0..<1_000 { agreement.add(rate: 0.5, outcome: 0, keep: 0.99) }
    let wrong = agreement.errorSquared(atBest: 0.1)
    for _ in 0..<1_000 { agreement.add(rate: 0.5, outcome: 0.5, keep: 0.99) }
    #expect(agreement.errorSquared(atBest: 0.1) < wrong / 50)
  }

  @Test(arguments: [11, 12] as [UInt64])
  func staysWithinBoundsWhateverComes(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    func number(_ low: Double, _ high: Double) -> Double {
      Elementary.exp(low + (high - low) * Double(random.next() >> 11) * 0x1p-53)
    }
    for _ in 0..<5_000 {
      let belief = BetaDistribution(alpha: number(-20, 20), beta: number(-20, 20))
      let expected = agreement(expected: number(-30, 30), observed: number(-30, 30))
      let error = expected.errorSquared(atBest: number(-7, 2))
      let (predicted, mean) = (number(-14, -0.01), belief.mean)
      let blend = RateBlend(belief, predicted: predicted, errorSquared: error)
      let rate = mean * blend.factor(of: mean)
      #expect(error.isFinite && error > 0, "seed \(seed)")
      #expect(blend.weight >= 0 && blend.weight <= 1, "seed \(seed)")
      let bounds = (min(mean, predicted), max(mean, predicted))
      #expect(rate >= bounds.0 * 0.999 && rate <= bounds.1 * 1.001, "seed \(seed)")
    }
  }
}
