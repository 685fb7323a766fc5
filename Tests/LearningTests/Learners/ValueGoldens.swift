import Learning
import Testing

@Suite struct ValueRegressionTests {
  private struct Model {
    let learner: ValueRegression
    var coordinates: [ValueRegression.Coordinate]
    var total: ValueRegression.Total

    init(
      _ family: ValueRegression.Family, features: Int, precision: Double = 1, memory: Double = 1
    ) {
      let learner = ValueRegression(family: family, precision: precision, memory: memory)
      self.learner = learner
      coordinates = (0..<features).map { learner.coordinate(of: UInt32($0)) }
      total = learner.total()
    }

    private mutating func with<Result>(
      _ active: [(Int, Double)],
      _ body: (
        ValueRegression, ActiveFeatures<ValueRegression.Coordinate>, inout ValueRegression.Total
      ) -> Result
    ) -> Result {
      let rows = active.map { Int32($0.0) } + [0]
      let values = active.map(\.1) + [0]
      let learner = learner
      return coordinates.withUnsafeMutableBufferPointer { coordinates in
        rows.withUnsafeBufferPointer { rows in
          values.withUnsafeBufferPointer { values in
            body(
              learner,
              ActiveFeatures(
                coordinates: coordinates.baseAddress!, rows: rows.baseAddress!,
                values: values.baseAddress!, count: active.count), &total)
          }
        }
      }
    }

    mutating func learn(_ active: [(Int, Double)], _ amount: Double, weight: Double = 1) {
      with(active) { $0.learn($1, &$2, amount: amount, weight: weight) }
    }

    mutating func expected(_ active: [(Int, Double)]) -> Double {
      with(active) { $0.expected($0.score($1, $2), $2) }
    }
  }

  /// scipy.optimize.brentq of η − mean − h s² (v e^(−η) − 1).
  @Test(
    arguments: [
      (0.0, 1.0, 5.0, 1.0, 0.9444557794344), (2, 0.3, 1e-3, 1, 1.700054802054),
      (1, 1e6, 40, 1, 3.688876765241), (0.5, 2, 3, 4, 1.033996102307),
    ] as [(Double, Double, Double, Double, Double)])
  func gammaGoesToTheMode(_ golden: (Double, Double, Double, Double, Double)) {
    let (mean, variance, amount, weight, mode) = golden
    var model = Model(.gamma, features: 1, precision: 1 / variance)
    model.total.bias = ValueRegression.Coordinate(mean: mean, precision: 1e300)
    model.total.weight = 1
    model.learn([(0, 1)], amount, weight: weight)
    #expect(isNear(mean + model.coordinates[0].mean, mode, 1e-9))
    #expect(isNear(model.coordinates[0].precision, 1 / variance + weight, 1e-9))
  }

  /// Without features: the exact posterior of a mean of logarithms, and their variance.
  @Test func logarithmsHaveTheirMeanAndVariance() {
    var model = Model(.logNormal, features: 1)
    var random = SplitMix64(seed: 8)
    var logarithms: [Double] = []
    for _ in 0..<20_000 {
      let normal =
        (-2 * Elementary.log(1 - random.unit())).squareRoot()
        * cosine(2 * Double.pi * random.unit())
      logarithms.append(3 + 0.8 * normal)
      model.learn([], Elementary.exp(logarithms.last ?? 0))
    }
    let mean = logarithms.reduce(0, +) / 20_000
    #expect(isNear(model.total.bias.mean, mean, 1e-6))
    #expect(isNear(model.total.variance, 0.64, 0.02))
    // e^(3 + 0.32)
    #expect(isNear(model.expected([]), 27.66, 0.7))
  }

  /// Both families find what features multiply amounts by.
  @Test(arguments: [ValueRegression.Family.logNormal, .gamma])
  func featuresMultiplyAmounts(_ family: ValueRegression.Family) {
    var model = Model(family, features: 3, memory: 0.999)
    var random = SplitMix64(seed: 9)
    for _ in 0..<20_000 {
      let bits = random.next()
      let active = (0..<3).filter { bits >> UInt64($0) & 1 == 1 }.map { ($0, 1.0) }
      let factor = active.reduce(1.0) { $0 * [2, 0.5, 1.25][$1.0] }
      // Mean 1, positive, skewed: exponential.
      model.learn(active, 10 * factor * -Elementary.log(1 - random.unit()))
    }
    let base = model.expected([])
    #expect(isNear(model.expected([(0, 1)]) / base, 2, 0.2))
    #expect(isNear(model.expected([(1, 1)]) / base, 0.5, 0.05))
    #expect(isNear(model.expected([(2, 1)]) / base, 1.25, 0.12))
    // The gamma family fits the mean whatever the distribution; the logarithm's is not normal here.
    if family == .gamma { #expect(isNear(base, 10, 1)) }
  }

  @Test(arguments: [ValueRegression.Family.logNormal, .gamma])
  func extremeAmountsStayFinite(_ family: ValueRegression.Family) {
    var model = Model(family, features: 2)
    #expect(model.expected([(0, 1)]) == 1)
    let amounts = [1e300, 1e-300, 0, -5, .nan, .infinity, 1, 1e20, .leastNonzeroMagnitude, 1e18]
    for (i, amount) in amounts.enumerated() {
      model.learn(
        [(0, FeatureValue.limit), (1, -1e-9)], amount, weight: i % 2 == 0 ? 1e6 : 1e-9)
      let expected = model.expected([(0, 1), (1, FeatureValue.limit)])
      #expect(expected.isFinite && expected > 0, "\(amount)")
      #expect(model.coordinates.allSatisfy { $0.mean.isFinite && $0.precision.isFinite })
    }
    let before = model.total
    model.learn([(0, 1)], 5, weight: 0)
    #expect(model.total == before)
  }

  /// By the series; enough for a test's normals.
  private func cosine(_ x: Double) -> Double {
    var (sum, term) = (1.0, 1.0)
    for k in 1...30 {
      term *= -x * x / Double((2 * k - 1) * (2 * k))
      sum += term
    }
    return sum
  }
}

@Suite struct EntireSpaceTests {
  /// The derivative of the loss by the conversion head's log-odds; autograd
  /// (`esmm_and_delay_weights.py`), p = σ(−2), q = σ(−1).
  @Test(arguments: [(0, 0.02421295032), (1, -0.7310585786)] as [(Double, Double)])
  func theExampleHasTheLossesGradient(_ golden: (credit: Double, gradient: Double)) {
    let (p, q) = (Rate.sigmoid(-2), Rate.sigmoid(-1))
    let example = EntireSpace.example(click: p, conversion: q, credit: golden.credit)
    #expect(isNear(example.weight * (q - example.label), golden.gradient, 1e-10))
  }

  /// The loss whose derivatives these are, of clicks and of clicked conversions; autograd
  /// (`esmm_and_delay_weights.py`).
  @Test(
    arguments: [
      (0, 0, 0.1595117452, 0.1192029220), (1, 0, 2.159511745, -0.8807970780),
      (1, 1, 5.56711771, -0.8807970780),
    ] as [(Double, Double, Double, Double)])
  func theLossIsOfBothRates(
    _ golden: (click: Double, conversion: Double, loss: Double, slope: Double)
  ) {
    let (p, q) = (Rate.sigmoid(-2), Rate.sigmoid(-1))
    let (click, both) = (golden.click, golden.click * golden.conversion)
    #expect(isNear(Rate.logLoss(click, p) + Rate.logLoss(both, p * q), golden.loss, 1e-8))
    // Without the part that no longer goes into the click head: (c − k)(1 − p) / (1 − c).
    let c = p * q
    let whole = [0.1483752709, -0.8516247291, -1.761594156]
    let left = whole[Int(golden.click + golden.conversion)] - (c - both) * (1 - p) / (1 - c)
    #expect(isNear(left, golden.slope, 1e-9) && isNear(p - click, golden.slope, 1e-9))
  }

  /// A soft credit's gradient is the mixture's; a click that did not convert is a plain example.
  @Test func creditsMix() {
    let (p, q) = (0.03, 0.2)
    for credit in [0, 0.25, 0.5, 1] {
      let example = EntireSpace.example(click: p, conversion: q, credit: credit)
      let c = p * q
      #expect(isNear(example.weight * (q - example.label), (c - credit) * (1 - q) / (1 - c), 1e-12))
    }
    let clicked = EntireSpace.example(click: 1, conversion: q, credit: 0)
    #expect(clicked.label == 0 && isNear(clicked.weight, 1, 1e-15))
  }

  /// Over all impressions the conversion head finds the rate among clicks although it is shown none.
  @Test func conversionsPerClickAreFoundOverAllImpressions() {
    let model = LearnerModel(FTRL(alpha: 0.5))
    var random = SplitMix64(seed: 21)
    for _ in 0..<60_000 {
      let segment = UInt32(random.next() & 1)
      let features: [(UInt32, Double)] = [(1, 1), (2 + segment, 1)]
      let isClick = random.unit() < (segment == 0 ? 0.05 : 0.2)
      let isConversion = isClick && random.unit() < (segment == 0 ? 0.5 : 0.1)
      let rates = model.rates(features)
      let example = EntireSpace.example(
        click: rates.x, conversion: rates.y, credit: isConversion ? 1 : 0)
      model.learn((features, Heads(isClick ? 1 : 0, example.label), Heads(1, example.weight)))
    }
    let rates = [model.rates([(1, 1), (2, 1)]), model.rates([(1, 1), (3, 1)])]
    #expect(isNear(rates[0].x, 0.05, 0.01) && isNear(rates[1].x, 0.2, 0.02))
    #expect(isNear(rates[0].x * rates[0].y, 0.025, 0.004))
    #expect(isNear(rates[1].x * rates[1].y, 0.02, 0.004))
  }
}
