import Learning
import Testing

@Suite struct BestArmTests {
  @Test func nodesIntegratePolynomials() {
    for count in [2, 3, 5, 16, 64, 128] {
      let rule = GaussLegendre(count: count)
      for i in 1..<count { #expect(rule.nodes[i] < rule.nodes[i - 1]) }
      for degree in stride(from: 0, to: min(2 * count, 40), by: 2) {
        var sum = 0.0
        for i in 0..<count {
          var power = 1.0
          for _ in 0..<degree { power *= rule.nodes[i] }
          sum += rule.weights[i] * power
        }
        expect(sum, near: 2 / Double(degree + 1), within: 1e-13)
      }
    }
  }

  /// bandits.py, B1: 20, 25 and 30 clicks of 1000 under Beta(1, 1).
  @Test func ratesGolden() {
    let best = BestArm.beta([
      BetaDistribution(alpha: 21, beta: 981), BetaDistribution(alpha: 26, beta: 976),
      BetaDistribution(alpha: 31, beta: 971),
    ])
    for (p, expected) in zip(best, [0.0470339623, 0.233683938, 0.719282099]) {
      #expect((p - expected).magnitude < 2e-8)
    }
  }

  /// A new ad whose density has a pole at 0, beside two that are known; scipy.integrate.quad.
  @Test func vagueRatesGolden() {
    let best = BestArm.beta([
      BetaDistribution(alpha: 0.25, beta: 49.75), BetaDistribution(alpha: 5.25, beta: 1049.75),
      BetaDistribution(alpha: 20.25, beta: 3029.75),
    ])
    for (p, expected) in zip(best, [0.2090511500, 0.1946042530, 0.5963445970]) {
      #expect((p - expected).magnitude < 1e-6)
    }
  }

  struct Normals: Sendable {
    var means: [Double]
    var deviations: [Double]
    var best: [Double]
  }

  /// scipy.integrate.quad; widths from 1 to 1/1000 of another.
  @Test(arguments: [
    Normals(
      means: [0, 0.2, 0.4], deviations: [0.1, 0.3, 0.2],
      best: [0.013704950211862273, 0.2859693954537459, 0.7003256533478037]),
    Normals(
      means: [0, 0, 1], deviations: [1, 0.01, 0.001],
      best: [0.15865537393017146, 0, 0.8413446242516942]),
    Normals(
      means: [0, 0, 0, 0, 0, 0], deviations: [1, 1.2, 0.5, 0.1, 2, 3],
      best: [
        0.13714160117432564, 0.1636898656194506, 0.06965308677164017, 0.0327947126797592,
        0.25613955463648963, 0.3405811781317467,
      ]),
    Normals(
      means: [0, 5], deviations: [1, 1], best: [0.0002034760087224794, 0.99979652300469]),
  ])
  func normalGoldens(_ test: Normals) {
    let best = BestArm.normal(means: test.means, deviations: test.deviations)
    for (p, expected) in zip(best, test.best) { #expect((p - expected).magnitude < 1e-6) }
  }

  @Test func probabilitiesSumToOneAndKeepSymmetry() {
    let seed: UInt64 = 3
    var random = SplitMix64(seed: seed)
    for count in [1, 2, 3, 8, 64] {
      let means = (0..<count).map { _ in random.uniform(-2, 2) }
      let deviations = (0..<count).map { _ in abs(random.signed(-10, 1)) }
      let best = BestArm.normal(means: means, deviations: deviations)
      expect(best.reduce(0, +), near: 1, within: 1e-12)
      #expect(best.allSatisfy { $0 >= 0 }, "seed \(seed)")
      let mirrored = BestArm.normal(means: means.reversed(), deviations: deviations.reversed())
      for (p, q) in zip(best, mirrored.reversed()) { #expect((p - q).magnitude < 1e-12) }
    }
    let same = BestArm.normal(means: [1, 1, 1, 1], deviations: [2, 2, 2, 2])
    for p in same { expect(p, near: 0.25, within: 1e-12) }
  }

  /// The quadrature against counting who wins among many draws.
  @Test func drawsAgree() {
    let arms = [
      BetaDistribution(alpha: 3, beta: 200), BetaDistribution(alpha: 0.5, beta: 30),
      BetaDistribution(alpha: 10, beta: 500),
    ]
    let best = BestArm.beta(arms)
    var wins = [0.0, 0, 0]
    let rounds = 40_000
    for round in 0..<rounds {
      var winner = 0
      var most = -1.0
      for (i, arm) in arms.enumerated() {
        var draws = Draws(
          seed: 11, account: 1, purpose: 2, entity: UInt64(i), counter: UInt64(round))
        let rate = draws.beta(arm)
        if rate > most { (winner, most) = (i, rate) }
      }
      wins[winner] += 1
    }
    for i in 0..<3 { #expect((wins[i] / Double(rounds) - best[i]).magnitude < 0.01) }
  }
}
