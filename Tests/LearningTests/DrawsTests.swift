import Learning
import Testing

@Suite struct DrawsTests {
  func draws(_ counter: Int, entity: UInt64 = 5) -> Draws {
    Draws(seed: 42, account: 7, purpose: 1, entity: entity, counter: UInt64(counter))
  }

  @Test func aDrawIsAFunctionOfItsNames() {
    var first = draws(3)
    var again = draws(3)
    var seen: Set<UInt64> = []
    for _ in 0..<10 {
      let word = first.word()
      #expect(word == again.word())
      seen.insert(word)
    }
    for counter in 4..<1000 {
      var other = draws(counter)
      seen.insert(other.word())
    }
    for (seed, account, purpose, entity) in [
      (43, 7, 1, 5), (42, 8, 1, 5), (42, 7, 2, 5), (42, 7, 1, 6), (7, 42, 1, 5), (42, 1, 7, 5),
    ] as [(UInt64, UInt64, UInt64, UInt64)] {
      var other = Draws(
        seed: seed, account: account, purpose: purpose, entity: entity, counter: 3)
      seen.insert(other.word())
    }
    #expect(seen.count == 10 + 996 + 6)
  }

  /// What the numbers are is part of what a replay gives: they must not change.
  @Test func theNumbersStay() {
    var draws = draws(0)
    #expect(draws.word() == 12_338_173_392_902_976_248)
    #expect(draws.uniform() == 0.595291883221566)
    #expect(draws.normal() == -1.5348601403023003)
    #expect(draws.beta(BetaDistribution(alpha: 0.25, beta: 49.75)) == 0.0005055191346312397)
  }

  /// Kolmogorov and Smirnov's distance of a sample from a distribution, times √n.
  func distance(_ sample: [Double], _ cdf: (Double) -> Double) -> Double {
    let sorted = sample.sorted()
    let n = Double(sorted.count)
    var worst = 0.0
    for (i, x) in sorted.enumerated() {
      let p = cdf(x)
      worst = max(worst, Double(i + 1) / n - p, p - Double(i) / n)
    }
    return worst * n.squareRoot()
  }

  /// 1.95 is passed by one honest sample in a thousand; the seeds are fixed.
  let limit = 1.95

  @Test func uniformsAndNormalsHaveTheirDistributions() {
    var uniforms: [Double] = []
    var normals: [Double] = []
    for counter in 0..<20_000 {
      var draws = draws(counter)
      uniforms.append(draws.uniform())
      normals.append(draws.normal())
    }
    #expect(distance(uniforms) { $0 } < limit)
    #expect(distance(normals) { Elementary.normalCDF($0) } < limit)
    var products = 0.0
    for i in 1..<uniforms.count { products += (uniforms[i] - 0.5) * (uniforms[i - 1] - 0.5) }
    // Neighbours are uncorrelated: 4 standard errors.
    #expect((products / Double(uniforms.count) * 12).magnitude < 4 / 141.4)
  }

  @Test(arguments: [0.02, 0.25, 1, 1.5, 20, 5000])
  func gammasHaveTheirMoments(_ shape: Double) {
    var sum = 0.0
    var squares = 0.0
    let count = 40_000
    for counter in 0..<count {
      var draws = draws(counter, entity: 9)
      let value = draws.gamma(shape: shape)
      sum += value
      squares += (value - shape) * (value - shape)
    }
    let n = Double(count)
    #expect((sum / n - shape).magnitude < 4 * (shape / n).squareRoot())
    // The variance of a squared deviation of a gamma is 2·shape² + 6·shape.
    let error = ((2 * shape * shape + 6 * shape) / n).squareRoot()
    #expect((squares / n - shape).magnitude < 4 * error)
  }

  @Test(arguments: [
    BetaDistribution(alpha: 0.25, beta: 49.75), BetaDistribution(alpha: 1, beta: 1),
    BetaDistribution(alpha: 21, beta: 981), BetaDistribution(alpha: 0.3, beta: 0.4),
    BetaDistribution(alpha: 300, beta: 0.5),
  ])
  func betasHaveTheirDistribution(_ distribution: BetaDistribution) {
    let sample = (0..<10_000).map { counter in
      var draws = draws(counter, entity: 13)
      return draws.beta(distribution)
    }
    #expect(sample.allSatisfy { $0 >= 0 && $0 <= 1 })
    #expect(distance(sample, distribution.cdf) < limit)
  }

  @Test func betasOfTinyParametersStayNumbers() {
    for counter in 0..<1000 {
      var draws = draws(counter)
      let rate = draws.beta(BetaDistribution(alpha: 1e-9, beta: 1e-9))
      #expect(rate >= 0 && rate <= 1)
    }
  }
}
