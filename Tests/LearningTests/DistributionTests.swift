import Learning
import Testing

/// Expects a value within a relative tolerance.
func expect(
  _ value: Double, near expected: Double, within tolerance: Double,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(
    (value - expected).magnitude <= tolerance * expected.magnitude,
    "\(value) instead of \(expected)", sourceLocation: sourceLocation)
}

@Suite struct DistributionTests {
  /// scipy.special.betainc.
  @Test(arguments: [
    (2.5, 3.5, 0.3, 0.29675298929566646), (0.25, 49.75, 0.001, 0.5150606731459563),
    (21, 981, 0.03, 0.9671052837885631), (1000.5, 250000, 0.004, 0.5482654632036787),
    (100000, 1_000_000, 0.0911, 0.7570852135136465), (0.01, 0.02, 0.5, 0.6667194610412723),
    (50, 1, 0.9, 0.005153775207320118), (1, 1, 0.25, 0.25),
  ])
  func betaProbabilities(_ a: Double, _ b: Double, _ x: Double, _ expected: Double) {
    expect(BetaDistribution(alpha: a, beta: b).cdf(x), near: expected, within: 1e-11)
    let other = BetaDistribution(alpha: b, beta: a).cdf(1 - x)
    #expect((1 - other - expected).magnitude < 1e-10)
  }

  /// scipy.stats.beta.ppf.
  @Test(arguments: [
    (2.5, 3.5, 0.3, 0.3017723232475053), (0.25, 49.75, 0.5, 0.0008841269681416899),
    (21, 981, 0.95, 0.028901353480960075), (31, 971, 1e-9, 0.008299571652466026),
    (1000.5, 250000, 0.05, 0.0037814510867230236), (0.5, 0.5, 0.999, 0.999997532600929),
  ])
  func betaQuantiles(_ a: Double, _ b: Double, _ p: Double, _ expected: Double) {
    let distribution = BetaDistribution(alpha: a, beta: b)
    expect(distribution.quantile(p), near: expected, within: 1e-11)
    expect(distribution.cdf(distribution.quantile(p)), near: p, within: 1e-10)
  }

  @Test func betaShape() {
    let distribution = BetaDistribution(alpha: 2, beta: 3)
    expect(distribution.mean, near: 0.4, within: 1e-15)
    expect(distribution.variance, near: 0.04, within: 1e-15)
    expect(distribution.density(0.25), near: 12 * 0.25 * 0.75 * 0.75, within: 1e-14)
    #expect(distribution.density(0) == 0 && distribution.density(-1) == 0)
    #expect(BetaDistribution(alpha: 1, beta: 3).density(0) == 3)
    #expect(BetaDistribution(alpha: 0.5, beta: 3).density(0) == .infinity)
    #expect(distribution.cdf(-1) == 0 && distribution.cdf(2) == 1)
    #expect(distribution.quantile(0) == 0 && distribution.quantile(1) == 1)
    let prior = BetaDistribution(mean: 0.005, strength: 50)
    expect(prior.alpha, near: 0.25, within: 1e-15)
    expect(prior.mean, near: 0.005, within: 1e-15)
  }

  /// The quantile inverts the distribution wherever the parameters lie.
  @Test func betaQuantilesInvert() {
    let seed: UInt64 = 99
    var random = SplitMix64(seed: seed)
    for _ in 0..<2000 {
      let a = abs(random.signed(-4, 14))
      let b = abs(random.signed(-4, 14))
      let p = random.uniform(0.001, 0.999)
      let distribution = BetaDistribution(alpha: a, beta: b)
      let x = distribution.quantile(p)
      // Near 1 a step of the last place of x is a visible step of the probability.
      guard x > 1e-290, x < 1 - 1e-5 else { continue }
      #expect((distribution.cdf(x) - p).magnitude < 1e-9, "\(a) \(b) \(p), seed \(seed)")
    }
  }

  /// bandits.py: the prior (10, 1, 2, 8) after 12, 15, 9, 20, 11.
  @Test func normalInverseGammaGolden() {
    var moments = Moments()
    for x in [12.0, 15, 9, 20, 11] { moments.add(x) }
    let prior = NormalInverseGamma(mean: 10, strength: 1, shape: 2, scale: 8)
    let after = prior.updated(with: moments)
    expect(after.mean, near: 12.8333333333, within: 1e-11)
    expect(after.strength, near: 6, within: 1e-15)
    expect(after.shape, near: 4.5, within: 1e-15)
    expect(after.scale, near: 49.4166666667, within: 1e-11)
    // The mean's own distribution: Student's t of 2·shape degrees.
    let mean = StudentT(
      degrees: 2 * after.shape, location: after.mean,
      scale: (after.scale / (after.shape * after.strength)).squareRoot())
    expect(mean.scale, near: 1.352866185, within: 1e-9)
    expect(1 - mean.cdf(14), near: 0.2054374216, within: 1e-9)
    expect(mean.quantile(0.025), near: 9.772937403, within: 1e-9)
    expect(mean.quantile(0.975), near: 15.89372926, within: 1e-9)
    expect(after.varianceOfMean, near: after.scale / (3.5 * 6), within: 1e-15)

    // Taking an observation back leaves what the others alone give.
    moments.add(20, weight: -1)
    var others = Moments()
    for x in [12.0, 15, 9, 11] { others.add(x) }
    #expect(prior.updated(with: moments) == prior.updated(with: others))
    #expect(prior.updated(with: Moments()) == prior)
  }

  /// scipy.stats.t.
  @Test func studentGoldens() {
    for (degrees, p, x) in [
      (9, 0.975, 2.262157162798205), (1, 0.9, 3.0776835371752544),
      (3.5, 0.001, -8.315567604516117), (200, 0.6, 0.25368437919014747),
    ] as [(Double, Double, Double)] {
      expect(StudentT(degrees: degrees).quantile(p), near: x, within: 1e-11)
    }
    for (degrees, x, p) in [
      (9, 2, 0.9617235881146495), (1, -30, 0.010606402405535426),
      (3.5, 0.1, 0.5370977901565539), (200, -5, 6.250990638857704e-07),
    ] as [(Double, Double, Double)] {
      expect(StudentT(degrees: degrees).cdf(x), near: p, within: 1e-11)
    }
    #expect(StudentT(degrees: 4, location: 7, scale: 2).quantile(0.5) == 7)
    #expect(StudentT(degrees: 4).cdf(-.infinity) == 0 && StudentT(degrees: 4).cdf(1e200) == 1)
  }
}
