import Learning
import Testing

@Suite struct DriftTests {
  /// AD1 of drift.py: 3000 zeros and ones from seed 7, of rates 0.2, 0.5 and 0.35.
  static let stream: [Double] = {
    var random = SplitMix64(seed: 7)
    return (0..<3000).map { i in
      random.unit() < (i < 1000 ? 0.2 : i < 2000 ? 0.5 : 0.35) ? 1.0 : 0
    }
  }()

  struct Found: Equatable {
    var at: Int
    var width: Double
  }

  /// adwin_stepwise.py: River 0.26.1, which begins anew after each drift.
  @Test func adwinGolden() {
    #expect(DriftTests.stream.reduce(0, +) == 1059)
    let cases: [(settings: ADWIN.Settings, found: [Found], width: Double)] = [
      (ADWIN.Settings(), [Found(at: 1087, width: 832), Found(at: 2303, width: 1088)], 696),
      (
        ADWIN.Settings(delta: 0.05, clock: 1),
        [Found(at: 1064, width: 937), Found(at: 2123, width: 931)], 876
      ),
      (
        ADWIN.Settings(clock: 8, buckets: 3),
        [Found(at: 1087, width: 832), Found(at: 2295, width: 952)], 704
      ),
    ]
    for (settings, expected, width) in cases {
      var detector = ADWIN()
      var found: [Found] = []
      for (i, value) in DriftTests.stream.enumerated() {
        guard detector.update(value, settings) == .drift else { continue }
        found.append(Found(at: i, width: detector.width))
        detector = ADWIN()
      }
      #expect(found == expected)
      #expect(detector.width == width)
      if settings.clock == 32 {
        #expect(detector.total == 236)
        expect(detector.variance * detector.width, near: 155.9770115, within: 1e-9)
      }
    }
  }

  /// As the paper has it: what is after the change stays.
  @Test func adwinKeepsTheNewLevel() {
    var detector = ADWIN()
    var drifts: [Int] = []
    for (i, value) in DriftTests.stream.enumerated() {
      guard detector.update(value, ADWIN.Settings()) == .drift else { continue }
      drifts.append(i)
      if drifts.count == 1 {
        #expect(detector.meanBefore < 0.25 && detector.meanAfter > 0.35)
      }
    }
    #expect(drifts.first == 1087 && drifts.count >= 2)
    #expect((detector.mean - 0.35).magnitude < 0.05 && detector.width < 1400)
  }

  /// What is certain and too small to matter is no drift, and stays in the window.
  @Test func adwinIgnoresSmallDifferences() {
    let seed: UInt64 = 31
    var random = SplitMix64(seed: seed)
    let values = (0..<40_000).map { i in random.unit() < (i < 20_000 ? 0.2 : 0.23) ? 1.0 : 0 }
    #expect(run(ADWIN.self, .init(), values).drifts.count >= 1, "seed \(seed)")
    #expect(run(ADWIN.self, .init(least: 0.06), values).drifts.isEmpty, "seed \(seed)")
    var detector = ADWIN()
    for value in values { _ = detector.update(value, .init(least: 0.06)) }
    #expect(detector.width == 40_000)
    #expect(run(ADWIN.self, .init(least: 0.06), DriftTests.stream).drifts.first == 1087)
  }

  /// The window's mean and variance are those of its observations, however they were bucketed.
  @Test func adwinCountsItsWindow() {
    let seed: UInt64 = 21
    var random = SplitMix64(seed: seed)
    var detector = ADWIN()
    var values: [Double] = []
    for i in 0..<5000 {
      values.append(random.unit() * 0.3 + (i / 1500 % 2 == 0 ? 0 : 0.4))
      _ = detector.update(values[i], ADWIN.Settings(clock: 16, buckets: 4))
      let window = values.suffix(Int(detector.width))
      guard i % 97 == 0 else { continue }
      let mean = window.reduce(0, +) / Double(window.count)
      let square = window.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(window.count)
      #expect((detector.mean - mean).magnitude < 1e-10, "seed \(seed), \(i)")
      #expect((detector.variance - square).magnitude < 1e-9, "seed \(seed), \(i)")
    }
    #expect(detector.width < 2000)
  }

  func run<Detector: DriftDetector>(
    _ type: Detector.Type, _ settings: Detector.Settings, _ values: [Double]
  ) -> (drifts: [Int], warnings: [Int]) {
    var detector = Detector()
    var result: (drifts: [Int], warnings: [Int]) = ([], [])
    for (i, value) in values.enumerated() {
      switch detector.update(value, settings) {
      case .stable: break
      case .warning: result.warnings.append(i)
      case .drift: result.drifts.append(i)
      }
    }
    return result
  }

  /// drift.py: River 0.26.1's PageHinkley, DDM, HDDM_A and HDDM_W, on the stream and on 1 − it.
  @Test func otherDetectorsGolden() {
    let stream = DriftTests.stream
    let mirror = stream.map { 1 - $0 }
    #expect(run(PageHinkley.self, .init(), stream).drifts == [1102, 2235])
    #expect(
      run(PageHinkley.self, .init(threshold: 10), stream).drifts
        == [382, 1037, 1268, 1341, 1664, 1973, 2063, 2124, 2240, 2430, 2621, 2745])
    let ddm = run(DDM.self, .init(), stream)
    #expect(ddm.drifts == [952, 1008])
    #expect(ddm.warnings.first == 268)
    #expect(run(DDM.self, .init(), mirror).drifts.isEmpty)
    let hddma = run(HDDMA.self, .init(), stream)
    #expect(hddma.drifts == [1064])
    #expect(hddma.warnings.first == 1055)
    #expect(run(HDDMA.self, .init(), mirror).drifts.isEmpty)
    let hddmw = run(HDDMW.self, .init(), stream)
    #expect(hddmw.drifts == [1055])
    #expect(hddmw.warnings.first == 1038)
    let mirrored = run(HDDMW.self, .init(), mirror)
    #expect(mirrored.drifts == [1667, 2060])
    #expect(mirrored.warnings.first == 1268)
    let both = run(Mirrored<HDDMW>.self, .init(), stream)
    #expect(both.drifts.first == 1055 && both.drifts.count >= 2)
  }

  /// drift.py: scipy's ks_2samp, exact; and scipy.stats.ks_2samp(method="exact") of the sizes and
  /// distances named.
  @Test func kolmogorovSmirnovGolden() {
    var random = SplitMix64(seed: 11)
    let a = (0..<30).map { _ in random.unit() }
    let b = (0..<30).map { _ in
      let u = random.unit()
      return u * u.squareRoot()
    }
    let test = KolmogorovSmirnov.test(a, b)
    expect(test.distance, near: 0.2333333333, within: 1e-9)
    expect(test.pValue, near: 0.392945014, within: 1e-8)
    #expect(KolmogorovSmirnov.test(a, a).pValue == 1)
    expect(
      KolmogorovSmirnov.pValue(steps: 3, count: 3), near: 2.0 / 20, within: 1e-14)
    #expect(KolmogorovSmirnov.pValue(steps: 0, count: 9) == 1)
  }

  func draws(_ counter: UInt64) -> Draws {
    Draws(seed: 1, account: 2, purpose: 3, entity: 4, counter: counter)
  }

  /// A feature that keeps its mean and falls in two.
  @Test func kswinSeesShapes() {
    let seed: UInt64 = 6
    var random = SplitMix64(seed: seed)
    var (detector, again) = (KSWIN(), KSWIN())
    var drifts: [Int] = []
    for i in 0..<3000 {
      let side = random.unit() < 0.5 ? -3.0 : 3
      let value = Elementary.normalQuantile(random.unit()) + (i < 1500 ? 0 : side)
      let signal = detector.update(value, KSWIN.Settings(), draws: draws)
      #expect(again.update(value, KSWIN.Settings(), draws: draws) == signal)
      if signal == .drift { drifts.append(i) }
    }
    #expect(drifts.count >= 1 && drifts.allSatisfy { $0 >= 1500 && $0 < 1700 }, "seed \(seed)")
    #expect(detector == again)
  }

  /// drift.py; and the noise: the index times N M / (N + M) is about χ² of bins − 1 degrees.
  @Test func stabilityGolden() throws {
    let expected = [Double](repeating: 0.1, count: 10)
    let observed = [0.08, 0.09, 0.1, 0.1, 0.11, 0.12, 0.12, 0.1, 0.1, 0.08]
    let index = try #require(PopulationStability.index(expected: expected, observed: observed))
    expect(index.value, near: 0.0182253112789, within: 1e-11)
    let seed: UInt64 = 13
    var random = SplitMix64(seed: seed)
    let sample = (0..<5000).map { _ in -Elementary.log(1 - random.unit()) }
    var excesses = 0.0
    let rounds = 200
    for _ in 0..<rounds {
      var stability = PopulationStability(decilesOf: sample)
      for value in sample { stability.addReference(bin: stability.bin(of: value)) }
      for _ in 0..<2000 {
        stability.addPresent(bin: stability.bin(of: -Elementary.log(1 - random.unit())))
      }
      excesses += try #require(stability.index).excess
    }
    // All rounds share the reference's own noise, so they are not centred exactly.
    #expect((excesses / Double(rounds)).magnitude < 1, "seed \(seed)")
    var stability = PopulationStability(decilesOf: sample)
    for value in sample { stability.addReference(bin: stability.bin(of: value)) }
    #expect(stability.index == nil)
    for _ in 0..<2000 {
      stability.addPresent(bin: stability.bin(of: -1.5 * Elementary.log(1 - random.unit())))
    }
    let shifted = try #require(stability.index)
    #expect(shifted.excess > 20 && shifted.value > 0.1, "seed \(seed)")
    stability.next(joining: true)
    #expect(stability.index == nil)
    #expect(PopulationStability(decilesOf: [4, 4, 4]).bin(of: .nan) == 1)
  }

  @Test func extremesDoNoHarm() {
    let extremes: [Double] = [
      -.infinity, -1e308, -1, -0.0, .leastNonzeroMagnitude, 1, 1e154, 1e308, .infinity, .nan,
    ]
    let seed: UInt64 = 2
    var random = SplitMix64(seed: seed)
    let values = (0..<4000).map { _ in extremes[Int(random.next() % UInt64(extremes.count))] }
    var kswin = KSWIN()
    for value in values { _ = kswin.update(value, KSWIN.Settings(every: 1), draws: draws) }
    // Each returns; what it found of such values is nothing to rely on.
    #expect(run(ADWIN.self, .init(clock: 1), values).drifts.count < 4000)
    #expect(run(PageHinkley.self, .init(), values).drifts.count < 4000)
    #expect(run(Mirrored<DDM>.self, .init(), values).drifts.count < 4000)
    #expect(run(Mirrored<HDDMA>.self, .init(), values).drifts.count < 4000)
    #expect(run(Mirrored<HDDMW>.self, .init(), values).drifts.count < 4000)
  }
}
