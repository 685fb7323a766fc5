import Learning
import Testing

/// 400 rows in 3 dimensions from `SplitMix64(42)`, all features before all labels
/// (`bayesian_learners.py`).
private func sample() -> (rows: [[Double]], labels: [Double]) {
  var random = SplitMix64(seed: 42)
  let rows = (0..<400).map { _ in (0..<3).map { _ in 2 * random.unit() - 1 } }
  let labels = rows.map { row in
    let logit = row[0] - 0.5 * row[1] + 0.25 * row[2]
    return random.unit() < 1 / (1 + Elementary.exp(-logit)) ? 1.0 : 0
  }
  return (rows, labels)
}

private func features(_ row: [Double]) -> [(UInt32, Double)] {
  row.enumerated().map { (UInt32($0.offset), $0.element) }
}

@Suite struct BayesianLogisticTests {
  @Test func theSampleIsTheOracles() {
    let (rows, labels) = sample()
    #expect(labels.reduce(0, +) == 187)
    #expect(areNear(rows[0], [0.483129757544, -0.680179214246, -0.44279773949], 1e-12))
  }

  /// The mode of each step by scipy.optimize.brentq.
  @Test(
    arguments: [
      (
        BayesianLogistic(), 1.0, [1.236254595, -0.3070730252, 0.2379709569],
        [29.76632789, 32.0876815, 30.46366022]
      ),
      (
        BayesianLogistic(memory: 0.99), 1, [1.492952558, 0.04634155423, 0.01081838912],
        [6.174522663, 6.959084282, 7.153099827]
      ),
      (
        BayesianLogistic(), 3, [1.281379048, -0.3142562843, 0.242218313],
        [84.80921895, 91.95517014, 87.00956428]
      ),
    ] as [(BayesianLogistic, Double, [Double], [Double])])
  func learnsOneExampleAtATime(_ golden: (BayesianLogistic, Double, [Double], [Double])) {
    let (rows, labels) = sample()
    let model = LearnerModel(golden.0)
    for (row, label) in zip(rows, labels) {
      model.learn(features(row), label, weight: golden.1)
    }
    let coordinates = (0..<3).map { model.coordinate($0) }
    #expect(areNear(coordinates.map(\.means.x), golden.2, 1e-8))
    #expect(areNear(coordinates.map(\.precisions.x), golden.3, 1e-7))
  }

  /// sklearn.linear_model.LogisticRegression(C=1, fit_intercept=False).
  @Test func aWholeBatchGivesTheMode() {
    let (rows, labels) = sample()
    var posterior = DensePosterior(count: 3, precision: 1)
    posterior.learnLogistic(rows, outcomes: labels)
    #expect(areNear(posterior.means, [1.25095627, -0.317455973, 0.219272851], 2e-8))
    let variances = (0..<3).map { i in
      posterior.predict((0..<3).map { $0 == i ? 1 : 0 }).variance
    }
    #expect(areNear(variances, [0.0359995249, 0.0317071239, 0.0334537228], 1e-9))
    var diagonal = DensePosterior(count: 3, precision: 1)
    diagonal.learnLogistic(rows, outcomes: labels, diagonal: true)
    let precisions = (0..<3).map { diagonal.precisions[$0 * 4] }
    #expect(areNear(precisions, [27.8176798, 31.823548, 30.1239828], 1e-6))
  }

  /// Chapelle and Li's algorithm in four batches; scipy.optimize.minimize.
  @Test func batchesFollowEachOther() {
    let (rows, labels) = sample()
    var posterior = DensePosterior(count: 3, precision: 1)
    for start in stride(from: 0, to: 400, by: 100) {
      posterior.learnLogistic(
        Array(rows[start..<start + 100]), outcomes: Array(labels[start..<start + 100]),
        diagonal: true)
    }
    #expect(areNear(posterior.means, [1.24577833, -0.323152948, 0.236588036], 1e-7))
    let precisions = (0..<3).map { posterior.precisions[$0 * 4] }
    #expect(areNear(precisions, [28.9726359, 31.6499914, 30.2393282], 1e-6))
    let (mean, variance) = posterior.predict(rows[0])
    let score = BayesianLogistic.Score(means: Heads(mean, 0), variances: Heads(variance, 0))
    #expect(isNear(BayesianLogistic().rates(score).x, 0.671029351, 1e-8))
    // What MacKay's formula approximates: scipy.integrate.quad.
    let deviation = variance.squareRoot()
    let rule = GaussLegendre.standard
    let rate = zip(rule.nodes, rule.weights).reduce(0) { sum, point in
      let z = 8 * point.0
      return sum
        + 8 * point.1 * Elementary.normalDensity(z) * Rate.sigmoid(mean + deviation * z)
    }
    #expect(isNear(rate, 0.67083504, 1e-8))
  }

  /// Ridge regression; River 0.26.1's BayesianLinearRegression gives the same.
  @Test func linearOutcomesGiveRidgeRegression() {
    let rows = Array(sample().rows[..<50])
    var posterior = DensePosterior(count: 3, precision: 1)
    let outcomes = rows.map { $0[0] - 0.5 * $0[1] + 0.25 * $0[2] }
    for i in stride(from: 0, to: 50, by: 10) {
      posterior.learn(Array(rows[i..<i + 10]), outcomes: Array(outcomes[i..<i + 10]))
    }
    #expect(areNear(posterior.means, [0.945919199, -0.467992357, 0.251067209], 1e-9))
  }

  /// Draws have the score's mean and deviation.
  @Test func samplesAreDrawnFromTheBelief() {
    let learner = BayesianLogistic()
    let score = BayesianLogistic.Score(means: Heads(-1, 0.5), variances: Heads(0.25, 4))
    var sums = (0.0, 0.0)
    for counter in 0..<20_000 as Range<UInt64> {
      var draws = Draws(seed: 3, account: 0, purpose: 1, entity: 0, counter: counter)
      let logit = Rate.logit(learner.sample(score, &draws, scale: 0.5).x)
      sums.0 += logit
      sums.1 += (logit + 1) * (logit + 1)
    }
    #expect(isNear(sums.0 / 20_000, -1, 0.01))
    #expect(isNear(sums.1 / 20_000, 0.0625, 0.003))
  }
}

@Suite struct AdPredictorTests {
  private static let stream: [([(UInt32, Double)], Double)] = [
    ([(1, 1), (11, 1)], 1), ([(1, 1), (12, 1)], 0), ([(2, 1), (11, 1)], 1),
    ([(2, 1), (12, 1)], 0), ([(1, 1), (11, 1)], 0), ([(3, 1), (11, 1)], 1),
  ]

  /// River 0.26.1's AdPredictor (`bayesian_learners.py`).
  @Test func learnsAsRiver() {
    let model = LearnerModel(AdPredictor(beta: 0.1, prior: Heads(0.1, 0.1)))
    let rates = AdPredictorTests.stream.map { model.learn($0.0, $0.1) }
    #expect(
      areNear(
        rates,
        [0.147491869, 0.496197739, 0.400946368, 0.28770858, 0.740421795, 0.298753796], 1e-8))
    #expect(isNear(model.total.bias.means.x, -1.2010697, 1e-7))
    #expect(isNear(model.total.bias.variances.x, 0.29402501, 1e-8))
    #expect(isNear(model.coordinate(11).means.x, 1.163433, 1e-6))
    #expect(isNear(model.coordinate(11).variances.x, 0.34655664, 1e-8))
  }

  @Test func fadesAsRiver() {
    let model = LearnerModel(AdPredictor(beta: 0.1, prior: Heads(0.1, 0.1), fading: 0.05))
    let rates = AdPredictorTests.stream.map { model.learn($0.0, $0.1) }
    #expect(
      areNear(
        rates,
        [0.147491869, 0.496353428, 0.410486965, 0.309355198, 0.727764364, 0.30850293], 1e-8))
  }

  /// Of one feature moment matching is exact: scipy.integrate.quad. The bias is held at nothing by
  /// a fixed belief.
  @Test func momentsAreThoseOfThePosterior() {
    let learner = AdPredictor(beta: (0.01 - 1e-12).squareRoot())
    var total = learner.total()
    total.isPlaced = true
    total.bias.variances = Heads(repeating: 1e-12)
    var coordinate = learner.coordinate(of: 1)
    var row: Int32 = 0
    var value = 1.0
    let features = ActiveFeatures(
      coordinates: &coordinate, rows: &row, values: &value, count: 1)
    let score = learner.score(features, total)
    learner.learn(features, &total, score, labels: Heads(1, 0), weights: Heads(1, 0))
    #expect(isNear(coordinate.means.x, 0.7939248115, 1e-9))
    #expect(isNear(coordinate.variances.x, 0.3696833937, 1e-9))
  }
}

@Suite struct DensePosteriorTests {
  private func rows(_ seed: UInt64, _ count: Int) -> (rows: [[Double]], outcomes: [Double]) {
    var random = SplitMix64(seed: seed)
    let rows = (0..<count).map { _ in (0..<4).map { _ in random.uniform(-1, 1) } }
    return (rows, rows.map { $0[0] - 2 * $0[3] + random.uniform(-0.1, 0.1) })
  }

  /// With linear outcomes a batch is its examples one by one, in any order; two of them are one of
  /// twice the precision.
  @Test func aBatchIsItsExamples() {
    let seed: UInt64 = 15
    let (rows, outcomes) = rows(seed, 60)
    var (batch, single, twice, heavy) = (
      DensePosterior(count: 4, precision: 0.5), DensePosterior(count: 4, precision: 0.5),
      DensePosterior(count: 4, precision: 0.5), DensePosterior(count: 4, precision: 0.5)
    )
    batch.learn(rows, outcomes: outcomes, precision: 3)
    for i in rows.indices.reversed() {
      single.learn([rows[i]], outcomes: [outcomes[i]], precision: 3)
    }
    twice.learn(rows + rows, outcomes: outcomes + outcomes)
    heavy.learn(rows, outcomes: outcomes, precision: 2)
    #expect(areNear(batch.means, single.means, 1e-12), "seed \(seed)")
    #expect(areNear(batch.precisions, single.precisions, 1e-10), "seed \(seed)")
    #expect(areNear(twice.means, heavy.means, 1e-12), "seed \(seed)")
  }

  /// A feature that never comes keeps its prior, and one that comes no more its weight where the
  /// others do not depend on it.
  @Test func aFeatureThatIsNotThereKeepsWhatItWas() {
    var posterior = DensePosterior(count: 3, precision: 2)
    posterior.learnLogistic([[1, 0, 0], [1, 0, 0], [1, 0, 0]], outcomes: [1, 1, 0])
    let first = posterior.means[0]
    #expect(first > 0 && posterior.means[1] == 0 && posterior.means[2] == 0)
    #expect(posterior.precisions[4] == 2)
    posterior.learnLogistic([[0, 1, 0], [0, 1, 0]], outcomes: [0, 0])
    #expect(isNear(posterior.means[0], first, 1e-12) && posterior.means[1] < 0)
  }

  @Test func extremesStayNumbers() {
    let seed: UInt64 = 16
    var random = SplitMix64(seed: seed)
    let values = [0, 1, -1, 1e-12, 1e6, -1e6, FeatureValue.limit]
    for _ in 0..<200 {
      var posterior = DensePosterior(count: 3, precision: random.unit() < 0.5 ? 1e-6 : 1)
      let rows = (0..<6).map { _ in
        (0..<3).map { _ in values[Int(random.next() % UInt64(values.count))] }
      }
      let labels = rows.map { _ in random.unit() < 0.5 ? 1.0 : 0 }
      if random.unit() < 0.5 {
        posterior.learnLogistic(rows, outcomes: labels, diagonal: random.unit() < 0.5)
      } else {
        posterior.learn(rows, outcomes: labels)
      }
      let numbers = posterior.means + posterior.precisions
      #expect(numbers.allSatisfy { $0.isFinite }, "seed \(seed): \(rows)")
      let (mean, variance) = posterior.predict([1, 1, 1])
      #expect(mean.isFinite && variance.isFinite && variance >= 0, "seed \(seed): \(rows)")
    }
  }
}
