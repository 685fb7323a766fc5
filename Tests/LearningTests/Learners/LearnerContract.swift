import Learning
import Testing

/// What every learner of two rates keeps, whatever it computes.
struct LearnerContract<Learner: SparseLearner> {
  let learner: Learner
  /// Every number of a coordinate, and of a total.
  let numbers: (Learner.Coordinate) -> [Double]
  let totals: (Learner.Total) -> [Double]
  /// No number may be larger after extreme examples.
  var bound = 1e30

  private static var featureCount: UInt32 { 50 }

  /// Examples of two rates that depend on features.
  private func examples(_ count: Int, _ random: inout SplitMix64) -> [Example] {
    (0..<count).map { _ in
      var features: [(UInt32, Double)] = [(0, 1)]
      for _ in 0..<3 {
        let feature = 1 + UInt32(random.next() % 12)
        guard !features.contains(where: { $0.0 == feature }) else { continue }
        features.append((feature, feature == 5 ? random.uniform(0.5, 1.5) : 1))
      }
      let logit = features.dropFirst().reduce(0) { $0 + ($1.0 % 3 == 1 ? 2.0 : -1) }
      let label = random.unit() < Rate.sigmoid(logit) ? 1.0 : 0
      let other = random.unit() < 0.3 ? random.unit() : 1 - label
      return (features, Heads(label, other), Heads(1, random.uniform(0, 2)))
    }
  }

  private func state(_ model: LearnerModel<Learner>) -> [UInt64] {
    ((0..<Self.featureCount).flatMap { numbers(model.coordinate($0)) } + totals(model.total))
      .map(\.bitPattern)
  }

  func check(seed: UInt64) {
    print("learner contract of \(Learner.self), seed \(seed)")
    var random = SplitMix64(seed: seed)
    let history = examples(1_200, &random)
    learnsSomething(history)
    survivesACopy(history)
    ignoresWhenFeaturesCame(history)
    learnsNothingOfNoWeight(history)
    leavesOthersAlone(history)
    weighs(history)
    endures(&random)
  }

  private func learnsSomething(_ history: [Example]) {
    let model = LearnerModel(learner)
    var (loss, base) = (0.0, 0.0)
    let mean = history.map(\.labels.x).reduce(0, +) / Double(history.count)
    for (i, example) in history.enumerated() {
      let rates = model.learn(example)
      #expect(rates.x >= Rate.least && rates.x <= 1 - Rate.least)
      guard i >= history.count / 2 else { continue }
      loss += Rate.logLoss(example.labels.x, rates.x)
      base += Rate.logLoss(example.labels.x, mean)
    }
    #expect(loss < base, "better than the base rate in the second half")
  }

  /// A copy of its bytes goes on to the same bits.
  private func survivesACopy(_ history: [Example]) {
    let model = LearnerModel(learner)
    for example in history[..<300] { model.learn(example) }
    let copy = model.copy()
    for example in history[300...] { #expect(model.learn(example) == copy.learn(example)) }
    #expect(state(model) == state(copy))
  }

  /// Neither the numbers of rows nor when a feature was first heard of change a bit.
  private func ignoresWhenFeaturesCame(_ history: [Example]) {
    let late = LearnerModel(learner)
    let early = LearnerModel(learner)
    early.meet(Array((0..<Self.featureCount).reversed()))
    for example in history { #expect(late.learn(example) == early.learn(example)) }
    #expect(state(late) == state(early))
  }

  private func learnsNothingOfNoWeight(_ history: [Example]) {
    let model = LearnerModel(learner)
    for example in history[..<100] { model.learn(example) }
    let before = history[100..<200].map { model.rates($0.features) }
    for example in history[..<100] { model.learn((example.features, example.labels, .zero)) }
    #expect(history[100..<200].map { model.rates($0.features) } == before)
    // One head of two.
    let one = LearnerModel(learner)
    for example in history { one.learn((example.features, example.labels, Heads(1, 0))) }
    let other = LearnerModel(learner)
    for example in history {
      other.learn((example.features, Heads(example.labels.x, 0.5), Heads(1, 0)))
    }
    #expect(history.allSatisfy { one.rates($0.features) == other.rates($0.features) })
  }

  /// A feature that no longer comes keeps what it was; one that never came is as new.
  private func leavesOthersAlone(_ history: [Example]) {
    let model = LearnerModel(learner)
    for example in history { model.learn(example) }
    let gone = numbers(model.coordinate(7))
    for example in history {
      model.learn(
        (example.features.filter { $0.0 != 7 }, example.labels, example.weights))
    }
    #expect(numbers(model.coordinate(7)) == gone)
    #expect(numbers(model.coordinate(99)) == numbers(learner.coordinate(of: 99)))
    // No features at all are an example too.
    let rates = model.learn(([], Heads(1, 0), .one))
    #expect(rates.x > 0 && rates.x < 1)
  }

  /// More weight moves a prediction further, toward the label and not past certainty.
  private func weighs(_ history: [Example]) {
    let features = history[0].features
    var moved: [Double] = []
    for weight in [0.1, 1, 3] {
      let model = LearnerModel(learner)
      for example in history[..<200] { model.learn(example) }
      let before = model.rates(features)
      model.learn((features, Heads(1, 0), Heads(repeating: weight)))
      let after = model.rates(features)
      #expect(after.x > before.x && after.y < before.y, "weight \(weight)")
      moved.append(after.x - before.x)
    }
    #expect(moved == moved.sorted())
  }

  /// Values, labels and weights at their limits: no NaN, nothing without bounds.
  private func endures(_ random: inout SplitMix64) {
    let model = LearnerModel(learner)
    let values = [
      0, 1, -1, 1e-300, .leastNonzeroMagnitude, 1e300, -1e300, .infinity, .nan, 1e-9, 1e6,
    ]
    let weights = [0, 1e-12, 1, 50, 1e6]
    for round in 0..<3_000 {
      var features: [(UInt32, Double)] = []
      for feature in 0..<Self.featureCount where random.next() % 8 == 0 {
        let value = values[Int(random.next() % UInt64(values.count))]
        features.append((feature, FeatureValue.bounded(value)))
      }
      let labels = Heads(round % 3 == 0 ? 1 : 0, random.unit())
      let rates = model.learn(
        (
          features, labels,
          Heads(weights[Int(random.next() % 5)], weights[Int(random.next() % 5)])
        ))
      #expect(rates.x >= Rate.least && rates.x <= 1 - Rate.least)
      #expect(rates.y >= Rate.least && rates.y <= 1 - Rate.least)
    }
    let all =
      (0..<Self.featureCount).flatMap { numbers(model.coordinate($0)) }
      + totals(model.total)
    #expect(all.allSatisfy { $0.isFinite && $0.magnitude < bound })
    // And it still learns.
    for _ in 0..<2_000 { model.learn(([(200, 1)], Heads(1, 0), .one)) }
    let rates = model.rates([(200, 1)])
    #expect(rates.x > 0.5 && rates.y < 0.5)
  }
}

@Suite struct LearnerContractTests {
  private static let seeds: [UInt64] = [1, 2, 3]

  @Test(arguments: seeds, [FTRL(), FTRL(alpha: 0.5, l1: 0.1, l2: 1)])
  func ftrl(_ seed: UInt64, _ learner: FTRL) {
    LearnerContract(
      learner: learner, numbers: { [$0.z.x, $0.z.y, $0.n.x, $0.n.y] }, totals: { _ in [] }
    ).check(seed: seed)
  }

  @Test(arguments: seeds) func invariant(_ seed: UInt64) {
    LearnerContract(
      learner: InvariantUpdate(),
      numbers: { [$0.weights.x, $0.weights.y, $0.squares.x, $0.squares.y, $0.scale] },
      totals: { [$0.examples.x, $0.examples.y, $0.norms.x, $0.norms.y] }
    ).check(seed: seed)
  }

  @Test(arguments: seeds, [BayesianLogistic(), BayesianLogistic(precision: 0.5, memory: 0.999)])
  func bayes(_ seed: UInt64, _ learner: BayesianLogistic) {
    LearnerContract(
      learner: learner,
      numbers: { [$0.means.x, $0.means.y, $0.precisions.x, $0.precisions.y] }, totals: { _ in [] }
    ).check(seed: seed)
  }

  @Test(
    arguments: seeds,
    [AdPredictor(beta: 1), AdPredictor(beta: 0.5, prior: Heads(0.1, 0.1), fading: 0.01)])
  func adPredictor(_ seed: UInt64, _ learner: AdPredictor) {
    LearnerContract(
      learner: learner,
      numbers: { [$0.means.x, $0.means.y, $0.variances.x, $0.variances.y] },
      totals: { [$0.bias.means.x, $0.bias.means.y, $0.bias.variances.x, $0.bias.variances.y] }
    ).check(seed: seed)
  }

  @Test(
    arguments: seeds,
    [
      FactorizationMachine<SIMD4<Double>>(),
      FactorizationMachine<SIMD4<Double>>(rate: 0.05, l2: 1e-5, seed: 9, isAdaptive: false),
    ])
  func factorizationMachine(_ seed: UInt64, _ learner: FactorizationMachine<SIMD4<Double>>) {
    LearnerContract(
      learner: learner,
      numbers: {
        var numbers = [$0.weights.value.x, $0.weights.value.y]
        let (first, second) = ($0.first.value, $0.second.value)
        numbers += first.indices.map { first[$0] } + second.indices.map { second[$0] }
        return numbers
      }, totals: { [$0.bias.value.x, $0.bias.value.y] }
    ).check(seed: seed)
  }

  /// Before any evidence a rate is what it was said to be, whatever the features; the probit model
  /// and the factorization machine come near it.
  @Test func beginsWithTheBase() {
    let rates = Heads(0.005, 0.02)
    let base = Heads(Rate.logit(rates.x), Rate.logit(rates.y))
    let features: [(UInt32, Double)] = [(1, 1), (2, 0.5), (3, 1)]
    func check<Learner: SparseLearner>(_ learner: Learner, within tolerance: Double) {
      let found = LearnerModel(learner).rates(features)
      #expect(isNear(found.x / rates.x, 1, tolerance), "\(Learner.self)")
      #expect(isNear(found.y / rates.y, 1, tolerance), "\(Learner.self)")
    }
    check(FTRL(base: base), within: 1e-12)
    check(InvariantUpdate(base: base), within: 1e-12)
    check(BayesianLogistic(precision: 1e9, base: base), within: 1e-6)
    check(FactorizationMachine<SIMD4<Double>>(base: base), within: 0.1)
    check(AdPredictor(beta: 10, prior: rates), within: 0.1)
  }
}
