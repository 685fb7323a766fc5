import Learning
import Testing

/// A small real data set, page by page: predict, then learn.
@Suite struct PhishingTests {
  @Test func theRowsAreTheOracles() {
    #expect(PhishingRow.all.count == 1_250)
    #expect(PhishingRow.all.map(\.label).reduce(0, +) == 548)
  }

  /// River 0.26.1, `StandardScaler | LogisticRegression` (`linear_scaled.py`): mean log-loss, the
  /// first three and the last prediction, weights, intercept.
  @Test(
    arguments: [
      (
        ScaledLinear(step: .plain, rate: 0.01), 0.3301120464388,
        [0.5, 0.5012499973958, 0.5062371764746, 0.08136044697224],
        [
          -1.14822965531, -0.9538756753834, -0.8423701615066, -0.3061602847027,
          -0.1653322118552, 0.1824531409464, -0.2590020201959, -0.1942279136816,
          0.04592961106679,
        ], -0.3540661874717
      ),
      (
        ScaledLinear(step: .adaptive, rate: 0.1), 0.2838898399297,
        [0.5, 0.5012499973958, 0.5768822085554, 0.05996783076753],
        [
          -1.341550046248, -1.148301682036, -0.9406539378817, -0.3462020786697,
          -0.1330372254187, 0.1837547386744, -0.2693954799812, -0.2072327079707,
          0.06881821604979,
        ], -0.3654253445603
      ),
    ] as [(ScaledLinear, Double, [Double], [Double], Double)])
  func scaledLinearIsRivers(
    _ golden: (
      learner: ScaledLinear, loss: Double, rates: [Double], weights: [Double], intercept: Double
    )
  ) {
    let learner = golden.learner
    let memory = FeatureMemory { learner.coordinate(of: $0) }
    var total = learner.total()
    var rates: [Double] = []
    var loss = 0.0
    for row in PhishingRow.all {
      let features = row.features.enumerated().map { (UInt32($0.offset), $0.element) }
      memory.with(features) {
        rates.append(learner.rates(learner.score($0, total)).x)
        learner.learn($0, &total, labels: Heads(row.label, 0), weights: Heads(1, 0))
      }
      loss += Rate.logLoss(row.label, rates.last ?? 0) / 1_250
    }
    #expect(isNear(loss, golden.loss, 1e-9))
    #expect(areNear(rates[..<3] + rates.suffix(1), golden.rates, 1e-9))
    #expect(areNear((0..<9).map { memory.coordinate($0).weights.x }, golden.weights, 1e-9))
    #expect(isNear(total.intercept.x, golden.intercept, 1e-9))
  }

  /// Feature 0 is always there, the others behind it where they are not 0.
  private func run<Learner: SparseLearner>(_ learner: Learner) -> (
    model: LearnerModel<Learner>, loss: Double, last: Double
  ) {
    let model = LearnerModel(learner)
    var (loss, last) = (0.0, 0.0)
    for row in PhishingRow.all {
      var features: [(UInt32, Double)] = [(0, 1)]
      for (i, value) in row.features.enumerated() where value != 0 {
        features.append((UInt32(i) + 1, value))
      }
      let rate = model.learn(features, row.label)
      loss += Rate.logLoss(row.label, rate) / 1_250
      last = Rate.logit(rate)
    }
    return (model, loss, last)
  }

  /// Vowpal Wabbit 9.11.9, `--ftrl --ftrl_alpha A --ftrl_beta 1 --l1 L --l2 M --noconstant`:
  /// progressive log-loss, the last log-odds, weights. It computes with 32-bit floats. What `l1`
  /// keeps at 0 is exactly 0.
  @Test(
    arguments: [
      (
        FTRL(alpha: 0.1), 0.47014169, -1.5051206,
        [
          0.7316149, -1.188499, -1.048407, -0.6012646, -0.2203109, -0.1805441, 0.9363574,
          -0.006203582, 0.06071599, 0.06277671,
        ]
      ),
      (
        FTRL(alpha: 0.5, l1: 1, l2: 1), 0.34663812, -2.7706795,
        [
          2.180643, -2.460083, -2.629851, -1.514248, -0.4887932, 0, 1.62508, -0.1433678,
          0.41126, 0.2148485,
        ]
      ),
      (
        FTRL(alpha: 0.1, l1: 20), 0.54841394, -1.1692529,
        [
          0.3779967, -0.9955698, -0.6673513, -0.4405043, -0.04771345, -0.06435478, 0.6456588, 0,
          0, 0,
        ]
      ),
    ] as [(FTRL, Double, Double, [Double])])
  func ftrlIsVowpalWabbits(
    _ golden: (learner: FTRL, loss: Double, last: Double, weights: [Double])
  ) {
    let (model, loss, last) = run(golden.learner)
    #expect(isNear(loss, golden.loss, 1e-6) && isNear(last, golden.last, 1e-5))
    let weights = (0..<10).map { golden.learner.weights(model.coordinate($0)).x }
    #expect(areNear(weights, golden.weights, 1e-5))
    #expect(weights.map { $0 == 0 } == golden.weights.map { $0 == 0 })
  }

  /// The same of its default update, `-l 0.5`, whose step Vowpal Wabbit solves to five digits.
  @Test func invariantIsVowpalWabbits() {
    let (model, loss, last) = run(InvariantUpdate(rate: 0.5))
    #expect(isNear(loss, 0.36796516, 4e-6) && isNear(last, -2.3791318, 1e-4))
    let weights = [
      1.547269, -2.02425, -2.209012, -1.144185, -0.3827407, -0.06659905, 1.565027, -0.05672593,
      0.3543153, 0.2130458,
    ]
    #expect(areNear((0..<10).map { model.coordinate($0).weights.x }, weights, 1e-4))
  }
}
