import Learning
import Testing

/// Vowpal Wabbit 9.11.9 over the same 2,000 examples in the same order: progressive log-loss and the
/// last log-odds. It computes with 32-bit floats.
@Suite struct VowpalWabbitTests {
  /// `SplitMix64(99)`: four categories of rising size, a number, a label, a weight of 1 or 5.
  private func examples() -> [(features: [(UInt32, Double)], label: Double, weight: Double)] {
    var random = SplitMix64(seed: 99)
    let sizes = [3, 10, 50, 200]
    let offsets: [UInt32] = [1, 4, 14, 64]
    return (0..<2_000).map { i in
      var features: [(UInt32, Double)] = [(0, 1)]
      var categories: [UInt32] = []
      for (size, offset) in zip(sizes, offsets) {
        let u = random.unit()
        let category = UInt32(u * u * Double(size))
        categories.append(category)
        features.append((offset + category, 1))
      }
      let x = 4 * random.unit() - 2
      features.append((300, x))
      var logit = -1.5 + 0.4 * x
      if categories[0] == 1 { logit += 0.8 }
      logit += categories[1] % 2 == 1 ? 0.5 : -0.5
      if categories[2] % 7 == 3 { logit += 1 }
      let label = random.unit() < 1 / (1 + Elementary.exp(-logit)) ? 1.0 : 0
      return (features, label, i % 3 == 0 ? 5 : 1)
    }
  }

  private func check<Learner: SparseLearner>(
    _ learner: Learner, isWeighted: Bool, loss: Double, last: Double
  ) {
    let model = LearnerModel(learner)
    var (sum, logit, hits) = (0.0, 0.0, 0.0)
    for example in examples() {
      let rate = model.learn(
        example.features, example.label, weight: isWeighted ? example.weight : 1)
      sum += Rate.logLoss(example.label, rate)
      logit = Rate.logit(rate)
      hits += example.label
    }
    #expect(hits == 459)
    #expect(isNear(sum / 2_000, loss, 1e-6) && isNear(logit, last, 1e-4))
  }

  @Test func ftrl() {
    let learner = FTRL(alpha: 0.1)
    check(learner, isWeighted: false, loss: 0.5136535, last: -2.192395)
    check(learner, isWeighted: true, loss: 0.5165856, last: -2.263710)
  }

  @Test func ftrlWithPenalties() {
    let learner = FTRL(alpha: 0.5, l1: 0.1, l2: 1)
    check(learner, isWeighted: false, loss: 0.5145554, last: -2.447762)
    check(learner, isWeighted: true, loss: 0.5293089, last: -2.785734)
  }

  @Test func invariant() {
    let learner = InvariantUpdate(rate: 0.5)
    check(learner, isWeighted: false, loss: 0.5158777, last: -2.541763)
    check(learner, isWeighted: true, loss: 0.5332901, last: -2.964612)
  }
}
