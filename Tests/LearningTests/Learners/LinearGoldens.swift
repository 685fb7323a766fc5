import Learning
import Testing

/// Eight small examples; `ftrl.py`, `vw_invariant_update.py`.
private let stream: [([(UInt32, Double)], Double)] = [
  ([(Name.a, 1), (Name.b, 2)], 1), ([(Name.a, 1), (Name.c, -1)], 0),
  ([(Name.b, 0.5), (Name.c, 1.5)], 1), ([(Name.a, 2)], 0),
  ([(Name.a, 1), (Name.b, 2), (Name.c, 1)], 1), ([(Name.c, 2)], 0), ([(Name.b, 1)], 0),
  ([(Name.a, 0.5), (Name.b, 0.5), (Name.c, 0.5)], 1),
]

@Suite struct FTRLTests {
  /// Vowpal Wabbit 9.11.9 `--ftrl` (`ftrl.py`).
  @Test(
    arguments: [
      (
        FTRL(alpha: 0.1),
        [0.5, 0.508333, 0.518879, 0.501829, 0.53853, 0.547433, 0.52513, 0.513626],
        [-0.010984, 0.089152, 0.060735]
      ),
      (
        FTRL(alpha: 0.5, l1: 0.25, l2: 1),
        [0.5, 0.51562, 0.54335, 0.5, 0.614533, 0.641143, 0.582659, 0.531227],
        [-0.024404, 0.273577, 0.120387]
      ),
    ] as [(FTRL, [Double], [Double])])
  func predictsAndLearnsAsVowpalWabbit(_ golden: (FTRL, [Double], [Double])) {
    let (learner, rates, weights) = golden
    let model = LearnerModel(learner)
    #expect(areNear(stream.map { model.learn($0.0, $0.1) }, rates, 1e-6))
    let learned = [Name.a, Name.b, Name.c].map { learner.weights(model.coordinate($0)).x }
    #expect(areNear(learned, weights, 1e-6))
  }

  @Test func keepsTheSumsOfTheAlgorithm() {
    let model = LearnerModel(FTRL(alpha: 0.1))
    for (features, label) in stream { model.learn(features, label) }
    let coordinates = [Name.a, Name.b, Name.c].map { model.coordinate($0) }
    #expect(areNear(coordinates.map(\.z.x), [0.256706, -2.227199, -1.518375], 1e-6))
    #expect(areNear(coordinates.map(\.n.x), [1.787827, 2.24459, 2.250052], 1e-6))
    #expect(coordinates.allSatisfy { $0.z.y == 0 && $0.n.y == 0 })
  }

  /// What learns in the second lane learns the same.
  @Test func headsAreIndependent() {
    let single = LearnerModel(FTRL(alpha: 0.5, l1: 0.25, l2: 1))
    let both = LearnerModel(FTRL(alpha: 0.5, l1: 0.25, l2: 1))
    for (features, label) in stream {
      let rate = single.learn(features, label)
      let rates = both.learn((features, Heads(1 - label, label), Heads(2, 1)))
      #expect(rates.y == rate)
    }
  }

  @Test func forgettingKeepsTheWeights() {
    let learner = FTRL(alpha: 0.5, l1: 0.25, l2: 1)
    let model = LearnerModel(learner)
    for (features, label) in stream { model.learn((features, Heads(label, 0), Heads(1, 1))) }
    for feature in [Name.a, Name.b, Name.c] {
      let before = model.coordinate(feature)
      var after = before
      learner.forget(&after, keeping: 0.5)
      let (old, new) = (learner.weights(before), learner.weights(after))
      #expect(isNear(old.x, new.x, 1e-12) && isNear(old.y, new.y, 1e-12))
      #expect(isNear(after.n.x, before.n.x * 0.5, 1e-15 * before.n.x))
    }
    var unseen = learner.coordinate(of: 9)
    learner.forget(&unseen, keeping: 0.5)
    #expect(unseen == learner.coordinate(of: 9))
  }
}

@Suite struct InvariantUpdateTests {
  /// The update with the exact solution of its step (scipy's Lambert W, `vw_invariant_update.py`);
  /// and Vowpal Wabbit 9.11.9's default update, which solves it to five digits in 32-bit floats.
  @Test func predictsAndLearnsAsVowpalWabbit() {
    let model = LearnerModel(InvariantUpdate(rate: 0.5))
    var logits: [Double] = []
    for (i, (features, label)) in stream.enumerated() {
      let features = i == 4 ? [features[0], (Name.b, 4), features[2]] : features
      logits.append(model.score(features).logits.x)
      model.learn(features, label)
    }
    #expect(
      areNear(
        logits,
        [
          0, 0.298598146726, 0.539833069685, 0.129472136125, 0.974374354441, 0.891147051163,
          0.154547483622, 0.0988785307194,
        ], 1e-11))
    #expect(
      areNear(
        logits,
        [0, 0.2985966, 0.5398327, 0.1294692, 0.9743658, 0.8911428, 0.1545471, 0.0988778], 1e-5))
    let weights = [Name.a, Name.b, Name.c].map { model.coordinate($0).weights.x }
    #expect(
      areNear(weights, [-0.0440881445639, 0.134392397507, 0.198829174256], 1e-11))
  }

  /// One step moves the margin m as the flow dm/dt = 1 / (1 + eᵐ) does in the time that rate,
  /// weight and response make; scipy.integrate.solve_ivp. From 0 by 5 it is `--sgd --invariant`'s step of
  /// weight 2 (1.50333, and of weight 1 twice 1.50334; `vw_extras.py`).
  @Test(
    arguments: [
      (0, 1, 0.442854401), (0, 5, 1.503335826994), (-5, 100, 9.505365021), (3, 50, 1.2319818588),
      (-40, 10, 10), (20, 1e3, 2.0611514948e-06),
    ] as [(Double, Double, Double)])
  func aStepIsAFlow(_ golden: (margin: Double, time: Double, moved: Double)) {
    // Without a past, the response to an example of value 1 is 1 / slope.
    let slope = 1 / (1 + Elementary.exp(golden.margin))
    for label in [1.0, 0] {
      let sign = 2 * label - 1
      let learner = InvariantUpdate(rate: golden.time * slope)
      let model = LearnerModel(learner)
      var coordinate = learner.coordinate(of: Name.a)
      coordinate.weights.x = sign * golden.margin
      coordinate.scale = 1
      model.set(coordinate, of: Name.a)
      model.learn([(Name.a, 1)], label)
      let moved = sign * model.coordinate(Name.a).weights.x - golden.margin
      #expect(isNear(moved, golden.moved, 1e-8 * golden.moved + 1e-14), "\(moved)")
    }
  }

  /// One example of weight 50 moves the prediction as fifty of a fiftieth of the rate's size do, and
  /// past none that is certain.
  @Test func aWeightCannotOvershoot() {
    let model = LearnerModel(InvariantUpdate())
    for weight in [1.0, 50, 1e6] {
      let before = model.score([(Name.a, 1)]).logits.x
      model.learn([(Name.a, 1)], 1, weight: weight)
      let after = model.score([(Name.a, 1)]).logits.x
      #expect(after > before && after < 50)
    }
    // An example to the contrary still counts.
    let sure = model.score([(Name.a, 1)]).logits.x
    model.learn([(Name.a, 1)], 0, weight: 10)
    #expect(model.score([(Name.a, 1)]).logits.x < sure)
  }
}

@Suite struct ScaledLinearTests {
  /// 500 rows of `SplitMix64(77)`; four features of very different scales.
  private func rows() -> [(features: [(UInt32, Double)], label: Double, value: Double)] {
    var random = SplitMix64(seed: 77)
    return (0..<500).map { _ in
      let u = (0..<4).map { _ in random.unit() }
      let b = u[1] * u[1] - 0.5
      let c = u[2] < 0.3 ? 1.0 : 0
      let logit = -1 + 4 * (u[0] - 0.5) - 1.5 * b + c
      let label = random.unit() < 1 / (1 + Elementary.exp(-logit)) ? 1.0 : 0
      return (
        [(1, 100 * u[0]), (2, b), (3, c), (4, -3 + 0.001 * u[3])], label,
        5 + 3 * u[0] - c + 0.1 * (random.unit() - 0.5)
      )
    }
  }

  private struct Outcome {
    var loss = 0.0
    var last = 0.0
    var weights: [Double] = []
    var intercept = 0.0
  }

  private func run(_ learner: ScaledLinear) -> Outcome {
    var coordinates = (0..<4).map { learner.coordinate(of: UInt32($0)) }
    var total = learner.total()
    var outcome = Outcome()
    coordinates.withUnsafeMutableBufferPointer { coordinates in
      for row in rows() {
        let rows: [Int32] = [0, 1, 2, 3]
        rows.withUnsafeBufferPointer { numbers in
          row.features.map(\.1).withUnsafeBufferPointer { values in
            let features = ActiveFeatures(
              coordinates: coordinates.baseAddress!, rows: numbers.baseAddress!,
              values: values.baseAddress!, count: 4)
            let score = learner.score(features, total)
            let isLogistic = learner.loss == .logistic
            outcome.last = isLogistic ? learner.rates(score).x : score.x
            outcome.loss +=
              isLogistic
              ? Rate.logLoss(row.label, outcome.last)
              : (outcome.last - row.value) * (outcome.last - row.value)
            learner.learn(
              features, &total, labels: Heads(isLogistic ? row.label : row.value, 0),
              weights: Heads(1, 0))
          }
        }
      }
      outcome.weights = coordinates.map(\.weights.x)
    }
    outcome.loss /= 500
    outcome.intercept = total.intercept.x
    return outcome
  }

  /// River 0.26.1, `StandardScaler | LogisticRegression` or `LinearRegression`.
  @Test(
    arguments: [
      (
        ScaledLinear(step: .plain, rate: 0.01), 0.605296363681, 0.354739826292,
        [0.650619225693, -0.199616356535, 0.238484962227, -0.0290042514968], -0.301512252236
      ),
      (
        ScaledLinear(step: .adaptive, rate: 0.1), 0.568953823727, 0.326476725945,
        [0.907572655474, -0.301502661395, 0.373898624063, -0.0397004816949], -0.303506041382
      ),
      (
        ScaledLinear(loss: .squared, step: .plain, rate: 0.01), 2.11732276384, 5.99724888519,
        [0.849799763923, 0.00491706276174, -0.45795298419, 0.00244090573602], 6.16185651666
      ),
      (
        ScaledLinear(loss: .squared, step: .adaptive, rate: 0.1), 2.28668973416, 6.06089776085,
        [0.663562658559, -0.00183255598209, -0.369512217147, 0.028887681792], 6.150167164
      ),
    ] as [(ScaledLinear, Double, Double, [Double], Double)])
  func learnsAsRiver(_ golden: (ScaledLinear, Double, Double, [Double], Double)) {
    let outcome = run(golden.0)
    #expect(isNear(outcome.loss, golden.1, 1e-9))
    #expect(isNear(outcome.last, golden.2, 1e-9))
    #expect(areNear(outcome.weights, golden.3, 1e-9))
    #expect(isNear(outcome.intercept, golden.4, 1e-9))
  }
}
