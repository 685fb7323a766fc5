import Learning
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The bounds that the elementary functions state, against the C library's functions (which are
/// themselves within 1 ULP).
@Suite struct ElementaryTests {
  /// A function, the C library's, the bound in ULP, and arguments.
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var own: @Sendable (Double) -> Double
    var reference: @Sendable (Double) -> Double
    var bound: Double
    var argument: @Sendable (inout SplitMix64) -> Double

    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case(
      name: "exp", own: Elementary.exp, reference: { exp($0) }, bound: 1,
      argument: { $0.uniform(-708.39, 709.78) }),
    Case(
      name: "exp, small", own: Elementary.exp, reference: { exp($0) }, bound: 1,
      argument: { $0.signed(-60, 2) }),
    Case(
      name: "exp2", own: Elementary.exp2, reference: { exp2($0) }, bound: 1,
      argument: { $0.uniform(-1021.9, 1023.99) }),
    Case(
      name: "exp2, small", own: Elementary.exp2, reference: { exp2($0) }, bound: 1,
      argument: { $0.signed(-60, 4) }),
    Case(
      name: "expm1", own: Elementary.expm1, reference: { expm1($0) }, bound: 2,
      argument: { $0.signed(-70, 9) }),
    Case(
      name: "expm1, near", own: Elementary.expm1, reference: { expm1($0) }, bound: 2,
      argument: { $0.uniform(-2, 2) }),
    Case(
      name: "log", own: Elementary.log, reference: { log($0) }, bound: 1,
      argument: { abs($0.signed(-1021, 1023)) }),
    Case(
      name: "log, near 1", own: Elementary.log, reference: { log($0) }, bound: 1,
      argument: { 1 + $0.signed(-52, -2) }),
    Case(
      name: "log1p", own: Elementary.log1p, reference: { log1p($0) }, bound: 1,
      argument: { abs($0.signed(-70, 1000)) }),
    Case(
      name: "log1p, near", own: Elementary.log1p, reference: { log1p($0) }, bound: 1,
      argument: { $0.uniform(-0.9999, 3) }),
    Case(
      name: "log1p, negative", own: Elementary.log1p, reference: { log1p($0) }, bound: 1,
      argument: { -abs($0.signed(-70, -1)) }),
    Case(
      name: "erf", own: Elementary.erf, reference: { erf($0) }, bound: 2,
      argument: { $0.signed(-60, 3) }),
    Case(
      name: "erfc", own: Elementary.erfc, reference: { erfc($0) }, bound: 4,
      argument: { $0.uniform(-6, 26.5) }),
    Case(
      name: "erfc, near", own: Elementary.erfc, reference: { erfc($0) }, bound: 4,
      argument: { $0.uniform(-1, 1.5) }),
  ]

  @Test(arguments: cases)
  func errorsStayWithinTheirBounds(_ test: Case) {
    let seed: UInt64 = 20_261_121
    var random = SplitMix64(seed: seed)
    var worst = (error: 0.0, x: 0.0)
    for _ in 0..<200_000 {
      let x = test.argument(&random)
      let reference = test.reference(x)
      let error = (test.own(x) - reference).magnitude / reference.ulp
      if !(error <= worst.error) { worst = (error, x) }
    }
    // The reference's own error comes on top.
    #expect(worst.error <= test.bound + 1, "\(test.name) at \(worst.x), seed \(seed)")
  }

  @Test func edges() {
    #expect(Elementary.exp(0) == 1 && Elementary.exp(-0.0) == 1)
    #expect(Elementary.exp(.infinity) == .infinity && Elementary.exp(-.infinity) == 0)
    #expect(Elementary.exp(709.782712893385) == .infinity && Elementary.exp(-746) == 0)
    #expect(Elementary.exp(709.782712893383).isFinite)
    #expect(Elementary.exp(-745.1) == .leastNonzeroMagnitude)
    #expect(Elementary.exp2(-1074) == .leastNonzeroMagnitude && Elementary.exp2(-1080) == 0)
    #expect(Elementary.exp2(1024) == .infinity && Elementary.exp2(-.infinity) == 0)
    for k in -1022...1023 { #expect(Elementary.exp2(Double(k)) == exp2(Double(k))) }
    #expect(Elementary.expm1(-0.0).sign == .minus && Elementary.expm1(-50) == -1)
    #expect(Elementary.expm1(.infinity) == .infinity && Elementary.expm1(-.infinity) == -1)
    #expect(Elementary.log(0) == -.infinity && Elementary.log(-0.0) == -.infinity)
    #expect(Elementary.log(1) == 0 && Elementary.log(.infinity) == .infinity)
    #expect(Elementary.log(-1).isNaN && Elementary.log(-.infinity).isNaN)
    #expect(Elementary.log(.leastNonzeroMagnitude) == log(Double.leastNonzeroMagnitude))
    #expect(Elementary.log(.greatestFiniteMagnitude) == log(Double.greatestFiniteMagnitude))
    #expect(Elementary.log1p(-1) == -.infinity && Elementary.log1p(-1.5).isNaN)
    #expect(Elementary.log1p(-0.0).sign == .minus && Elementary.log1p(.infinity) == .infinity)
    #expect(Elementary.erf(.infinity) == 1 && Elementary.erf(-.infinity) == -1)
    #expect(Elementary.erfc(.infinity) == 0 && Elementary.erfc(-.infinity) == 2)
    #expect(Elementary.normalCDF(.infinity) == 1 && Elementary.normalCDF(-.infinity) == 0)
    #expect(Elementary.normalDensity(.infinity) == 0)
    #expect(Elementary.normalQuantile(0) == -.infinity && Elementary.normalQuantile(1) == .infinity)
    #expect(Elementary.normalQuantile(-0.1).isNaN && Elementary.normalQuantile(1.1).isNaN)
    #expect(Elementary.logGamma(0) == .infinity && Elementary.logGamma(-0.5).isNaN)
    #expect(Elementary.logGamma(1) == 0 && Elementary.logGamma(2) == 0)
  }

  @Test func notANumberStaysIt() {
    let nan = Double.nan
    #expect(Elementary.exp(nan).isNaN && Elementary.exp2(nan).isNaN)
    #expect(Elementary.expm1(nan).isNaN && Elementary.log(nan).isNaN)
    #expect(Elementary.log1p(nan).isNaN && Elementary.erf(nan).isNaN)
    #expect(Elementary.erfc(nan).isNaN && Elementary.normalCDF(nan).isNaN)
    #expect(Elementary.normalDensity(nan).isNaN && Elementary.normalQuantile(nan).isNaN)
    #expect(Elementary.logGamma(nan).isNaN)
  }

  /// Below 2⁻¹⁰²² the last place is of a fixed size; one of it is the bound.
  @Test func subnormalResultsAreRight() {
    for i in 0..<3000 {
      let x = -708 - Double(i) * 0.0126
      #expect((Elementary.exp(x) - exp(x)).magnitude <= max(exp(x).ulp, .leastNonzeroMagnitude))
      let y = -1022 - Double(i) * 0.0175
      #expect((Elementary.exp2(y) - exp2(y)).magnitude <= max(exp2(y).ulp, .leastNonzeroMagnitude))
    }
  }

  @Test func logGammaAgainstTheCLibrary() {
    let seed: UInt64 = 7
    var random = SplitMix64(seed: seed)
    for _ in 0..<100_000 {
      let x = abs(random.signed(-30, 60))
      let reference: Double = lgamma(x)
      let allowed = max(5 * reference.ulp, 1.2e-15)
      #expect((Elementary.logGamma(x) - reference).magnitude <= allowed, "\(x), seed \(seed)")
    }
  }

  @Test(arguments: [
    // mpmath, 40 digits.
    (1e-10, 23.025850929882736), (0.1, 2.252712651734206), (0.5, 0.5723649429247001),
    (0.9999, 5.7729791561193866e-05), (1.0001, -5.771334222047127e-05),
    (1.5, -0.12078223763524522), (1.9999, -4.227520877215346e-05),
    (2.0001, 4.2281658112919945e-05), (2.5, 0.2846828704729192),
    (3.7, 1.428072326665388), (7.99, 8.50501160608848), (8.01, 8.545324429747733),
    (20, 39.339884187199495), (171.6, 709.6573587630563), (1e5, 1051287.7089736569),
    (1e10, 220258509288.81058),
  ])
  func logGammaGoldens(_ x: Double, _ expected: Double) {
    #expect((Elementary.logGamma(x) - expected).magnitude <= max(4 * expected.ulp, 1e-15))
  }

  @Test(arguments: [
    (-30.3, 5.731723503315496e-202), (-20.1, 3.6896808637213897e-90),
    (-8, 6.220960574271784e-16), (-3, 0.0013498980316300946),
    (-1, 0.15865525393145705), (-0.5, 0.3085375387259869), (0.1, 0.539827837277029),
    (0.75, 0.7733726476231318), (1, 0.8413447460685429), (3, 0.9986501019683699),
    (8, 0.9999999999999993),
  ])
  func normalGoldens(_ x: Double, _ expected: Double) {
    #expect((Elementary.normalCDF(x) - expected).magnitude <= 6 * expected.ulp)
  }

  @Test(arguments: [
    // scipy.stats.norm.ppf.
    (1e-300, -37.0470962993612), (1e-20, -9.262340089798409),
    (1e-5, -4.264890793922825), (0.02, -2.053748910631823),
    (0.075, -1.4395314709384563), (0.3, -0.5244005127080409), (0.77, 0.7388468491852137),
    (0.975, 1.959963984540054), (0.9999999, 5.199337582290661),
  ])
  func normalQuantileGoldens(_ p: Double, _ expected: Double) {
    expect(Elementary.normalQuantile(p), near: expected, within: 1e-15)
  }

  @Test func theNormalQuantileInvertsTheNormal() {
    for i in 1..<2000 {
      let z = -8 + Double(i) * 0.004
      expect(Elementary.normalQuantile(Elementary.normalCDF(z)), near: z, within: 1e-13)
    }
  }
}
