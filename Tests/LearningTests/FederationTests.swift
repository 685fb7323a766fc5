import Learning
import Testing

@Suite struct FederationTests {
  /// differential_privacy.py: scipy's root of Balle and Wang's equation, equal to dp-accounting's
  /// privacy-loss distributions (1.993091 and, for ten rounds at 4, 3.341409).
  @Test func gaussianGolden() {
    expect(GaussianMechanism.epsilon(delta: 1e-5, sigma: 2), near: 1.9930914044, within: 1e-9)
    var ledger = PrivacyLedger()
    for _ in 0..<10 { ledger.add(sigma: 4) }
    expect(ledger.epsilon(delta: 1e-5), near: 3.3414094692, within: 1e-9)
    #expect(ledger.permits(sigma: 4, epsilon: 3.6, delta: 1e-5))
    #expect(!ledger.permits(sigma: 4, epsilon: 3.4, delta: 1e-5))
    #expect(PrivacyLedger().epsilon(delta: 1e-5) == 0)
  }

  @Test func noiseAndPrivacyInvert() {
    for epsilon in [1e-3, 0.1, 1, 8, 40] {
      for delta in [1e-12, 1e-6, 0.01] {
        let sigma = GaussianMechanism.sigma(epsilon: epsilon, delta: delta)
        expect(
          GaussianMechanism.epsilon(delta: delta, sigma: sigma), near: epsilon, within: 1e-6)
        #expect(GaussianMechanism.delta(epsilon: epsilon, sigma: sigma * 1.01) < delta)
        #expect(GaussianMechanism.delta(epsilon: epsilon, sigma: sigma / 1.01) > delta)
      }
    }
    #expect(GaussianMechanism.epsilon(delta: 0.5, sigma: 10) == 0)
    #expect(GaussianMechanism.epsilon(delta: 1e-9, sigma: 1e-5) == .infinity)
    #expect(GaussianMechanism.delta(epsilon: 1e5, sigma: 0.001).isFinite)
    #expect(GaussianMechanism.delta(epsilon: 0, sigma: 1e9) < 1e-9)
    // Neighbours at the end of the closed form and the beginning of the series.
    for sigma in [1.0, 20, 400] {
      var last = 1.0
      for step in 0..<400 {
        let delta = GaussianMechanism.delta(epsilon: Double(step) * 0.1 / sigma, sigma: sigma)
        #expect(delta <= last)
        last = delta
      }
    }
  }

  @Test func clippingKeepsDirections() {
    let seed: UInt64 = 14
    var random = SplitMix64(seed: seed)
    for _ in 0..<300 {
      let original = (0..<8).map { _ in random.signed(-40, 40) }
      var vector = original
      let length = vector.withUnsafeMutableBufferPointer { Contribution.clip($0, to: 2.5) }
      let exact = original.reduce(0) { $0 + $1 * $1 }.squareRoot()
      expect(length, near: exact, within: 1e-12)
      let clipped = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
      expect(clipped, near: min(exact, 2.5), within: 1e-12)
      for (a, b) in zip(original, vector) {
        #expect((a * clipped - b * exact).magnitude <= 1e-9 * exact, "seed \(seed)")
      }
    }
    var extreme = [1e308, -1e308, .infinity, .nan, 1e-308]
    let length = extreme.withUnsafeMutableBufferPointer { Contribution.clip($0, to: 1) }
    #expect(length > 1e308 && extreme[2] == 0 && extreme[3] == 0)
    expect(extreme[0], near: 0.5.squareRoot(), within: 1e-12)
    var none = [0.0, 0]
    #expect(none.withUnsafeMutableBufferPointer { Contribution.clip($0, to: 1) } == 0)
  }

  @Test func noiseHasItsDeviation() {
    var sum = [Double](repeating: 5, count: 20_000)
    var draws = Draws(seed: 1, account: 2, purpose: 3, entity: 4, counter: 5)
    sum.withUnsafeMutableBufferPointer {
      Contribution.addNoise($0, deviation: 3, draws: &draws)
    }
    let mean = sum.reduce(0, +) / 20_000
    let square = sum.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20_000
    #expect((mean - 5).magnitude < 0.1 && (square - 9).magnitude < 0.4)
  }

  /// vectors.py: one step of gradient descent by three accounts, averaged by examples, is the step
  /// of their pooled examples.
  @Test func averagingGolden() {
    var random = SplitMix64(seed: 3)
    let x = (0..<12).map { _ in (random.unit(), random.unit()) }
    let y = (0..<12).map { _ in random.unit() < 0.5 ? 1.0 : 0 }
    let start = (0.1, -0.2)
    func step(_ rows: Range<Int>) -> [Double] {
      var gradient = (0.0, 0.0)
      for i in rows {
        let p = 1 / (1 + Elementary.exp(-(x[i].0 * start.0 + x[i].1 * start.1)))
        gradient.0 += (p - y[i]) * x[i].0 / Double(rows.count)
        gradient.1 += (p - y[i]) * x[i].1 / Double(rows.count)
      }
      return [start.0 - 0.5 * gradient.0, start.1 - 0.5 * gradient.1]
    }
    var mean = [0.0, 0]
    var total = 0.0
    mean.withUnsafeMutableBufferPointer { mean in
      for rows in [0..<3, 3..<7, 7..<12] {
        step(rows).withUnsafeBufferPointer {
          Contribution.average($0, examples: Double(rows.count), into: mean, total: &total)
        }
      }
      step(0..<2).withUnsafeBufferPointer {
        Contribution.average($0, examples: 0, into: mean, total: &total)
      }
    }
    let pooled = step(0..<12)
    expect(mean[0], near: pooled[0], within: 1e-12)
    expect(mean[1], near: pooled[1], within: 1e-12)
    #expect(total == 12)
    expect(mean[0], near: 0.07936029272, within: 1e-9)
    expect(mean[1], near: -0.2207193022, within: 1e-9)
  }

  /// sequential_and_laplace.py: statsmodels' Wilson interval of 17 of 20.
  @Test func patternsNeedManyAccounts() {
    let interval = Wilson.interval(successes: 17, trials: 20)
    expect(interval.low, near: 0.6395811353, within: 1e-9)
    expect(interval.high, near: 0.9476312541, within: 1e-9)
    let rule = PatternRule()
    #expect(rule.tells(having: 17, of: 20, told: false))
    #expect(!rule.tells(having: 9, of: 9, told: false))
    #expect(!rule.tells(having: 15, of: 20, told: false))
    #expect(!rule.tells(having: 8, of: 10, told: false))
    // One account more or less changes nothing that is told.
    for having in [15.0, 16, 17] { #expect(rule.tells(having: having, of: 20, told: true)) }
    #expect(!rule.tells(having: 13, of: 20, told: true))
    #expect(!rule.tells(having: 7, of: 7, told: true))
    for having in [-1, 0, .infinity, .nan] as [Double] {
      #expect(!rule.tells(having: having, of: 20, told: false))
      #expect(!rule.tells(having: having, of: 0, told: true))
    }
    let edges = Wilson.interval(successes: 0, trials: 0)
    #expect(edges.low == 0 && edges.high == 1)
  }

  /// Accounts whose rates are drawn from a known distribution.
  @Test(arguments: [(0.02, 50.0), (0.02, 500), (0.3, 5)])
  func ratesBecomeAPrior(_ mean: Double, _ strength: Double) throws {
    let seed: UInt64 = 70
    var random = SplitMix64(seed: seed)
    var sums = (RateSums(), RateSums())
    for account in 0..<400 {
      var draws = Draws(seed: seed, account: 1, purpose: 2, entity: 3, counter: UInt64(account))
      let rate = draws.beta(BetaDistribution(mean: mean, strength: strength))
      let trials = 200 + Int(random.next() % 2000)
      let successes = (0..<trials).reduce(0) { count, _ in count + (random.unit() < rate ? 1 : 0) }
      sums.0.add(successes: Double(successes), trials: Double(trials))
      if account >= 200 { sums.1.add(successes: Double(successes), trials: Double(trials)) }
    }
    let prior = try #require(sums.0.prior())
    expect(prior.mean, near: mean, within: 0.1)
    expect(prior.alpha + prior.beta, near: strength, within: 0.4)
    var half = sums.0
    half.add(sums.1, times: -1)
    half.add(sums.1)
    expect(try #require(half.prior()).mean, near: prior.mean, within: 1e-12)
  }

  @Test func fewRatesSayLittle() throws {
    var sums = RateSums()
    #expect(sums.prior() == nil)
    sums.add(successes: 5, trials: 100)
    sums.add(successes: 0, trials: 0)
    #expect(sums.prior() == nil && sums.accounts == 1)
    sums.add(successes: 5, trials: 100)
    // No spread beyond chance: as sure as is allowed.
    #expect(try #require(sums.prior(strengths: 1...300)).alpha == 0.05 * 300)
    var opposed = RateSums()
    opposed.add(successes: 0, trials: 1000)
    opposed.add(successes: 1000, trials: 1000)
    #expect(try #require(opposed.prior()).alpha == 0.5)
    sums.add(successes: 5, trials: 100, sign: -1)
    #expect(sums.prior() == nil)
  }
}
