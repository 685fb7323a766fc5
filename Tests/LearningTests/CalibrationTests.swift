import Learning
import Testing

@Suite struct CalibrationTests {
  /// C1 of calibration.py, point by point, in rising score.
  static let points: [CalibrationPoint] = {
    let stream = ScoredStream.calibration
    return stream.scores.indices.sorted { stream.scores[$0] < stream.scores[$1] }.map {
      CalibrationPoint(
        probability: stream.scores[$0], positives: stream.labels[$0],
        negatives: 1 - stream.labels[$0])
    }
  }()

  static let histogram: ScoreHistogram = {
    var histogram = ScoreHistogram()
    for (p, y) in zip(ScoredStream.calibration.scores, ScoredStream.calibration.labels) {
      histogram.add(probability: p, label: y)
    }
    return histogram
  }()

  /// calibration.py: sklearn's _sigmoid_calibration; and with scipy's BFGS the same with a prior of
  /// precision 10 around (1, 0).
  @Test func plattGolden() {
    let smoothed = PlattScaling.fit(CalibrationTests.points, strength: 0, smoothed: true)
    expect(smoothed.slope, near: 0.612990437280666, within: 1e-6)
    expect(smoothed.intercept, near: -1.2463489761396955, within: 1e-6)
    let prior = PlattScaling.fit(CalibrationTests.points)
    expect(prior.slope, near: 0.6097117210595047, within: 1e-6)
    expect(prior.intercept, near: -1.2074499464077353, within: 1e-6)
    let binned = PlattScaling.fit(CalibrationTests.histogram.points)
    // Scores above 0.98 share a bin.
    #expect((binned.slope - prior.slope).magnitude < 0.01)
    #expect((binned.intercept - prior.intercept).magnitude < 0.005)
  }

  /// scipy's BFGS, example by example: the most probable line, then the curvature at it.
  @Test func onlinePlattGolden() {
    var platt = OnlinePlatt()
    let examples: [(logit: Double, label: Double, weight: Double, slope: Double, cut: Double)] = [
      (-5, 1, 1, 0.5351307284402134, 0.09297384432916739),
      (-4, 0, 1, 0.5693844737743452, 0.08411623026036388),
      (-6, 0, 3, 0.6070188757216674, 0.07852459408017838),
      (2, 0, 1, 0.5090640198970108, -0.004356590132189624),
      (-3, 1, 0.5, 0.4403219027984615, 0.02811672920971091),
    ]
    for example in examples {
      platt.learn(logit: example.logit, label: example.label, weight: example.weight)
      expect(platt.slope, near: example.slope, within: 1e-6)
      #expect((platt.intercept - example.cut).magnitude < 1e-7)
    }
  }

  /// One pass comes close to the whole batch, in any order of the examples.
  @Test(arguments: [1, 7, 1999] as [Int])
  func onlinePlattNearsTheBatch(_ stride: Int) {
    let stream = ScoredStream.calibration
    var platt = OnlinePlatt()
    for i in 0..<2000 {
      let j = i * stride % 2000
      let s = stream.scores[j]
      platt.learn(logit: Elementary.log(s / (1 - s)), label: stream.labels[j])
    }
    #expect((platt.slope - 0.6097).magnitude < 0.03, "\(platt)")
    #expect((platt.intercept + 1.2074).magnitude < 0.05, "\(platt)")
  }

  /// A campaign whose rate halves: with fading evidence the line follows.
  @Test func fadingFollows() {
    let seed: UInt64 = 3
    var random = SplitMix64(seed: seed)
    var (fading, keeping) = (OnlinePlatt(), OnlinePlatt())
    for i in 0..<40_000 {
      let logit = random.uniform(-4, -1)
      let shift = i < 20_000 ? 0.0 : -0.7
      let p = 1 / (1 + Elementary.exp(-logit - shift))
      let label = random.unit() < p ? 1.0 : 0
      fading.learn(logit: logit, label: label)
      keeping.learn(logit: logit, label: label)
      if i % 100 == 99 { fading.forget(keep: 0.98) }
    }
    let rate = { (platt: OnlinePlatt) in platt.scaling.logit(-2) }
    #expect((rate(fading) + 2.7).magnitude < 0.15, "seed \(seed)")
    #expect((rate(keeping) + 2.35).magnitude < 0.15, "seed \(seed)")
  }

  /// calibration.py: scikit-learn's isotonic regression, ten points and C1.
  @Test func isotonicGolden() {
    let labels = [1.0, 0, 0, 1, 0, 1, 1, 0, 1, 1]
    let small = labels.enumerated().map { i, y in
      CalibrationPoint(probability: Double(i + 1) / 20, positives: y, negatives: 1 - y)
    }
    let curve = IsotonicCalibration.fit(small, strength: 0)
    let third = 1.0 / 3
    for (point, expected) in zip(
      small, [third, third, third, 0.5, 0.5, 2 * third, 2 * third, 2 * third, 1, 1])
    { expect(curve(point.probability), near: expected, within: 2e-6) }
    let golden = IsotonicCalibration.fit(CalibrationTests.points, strength: 0)
    for (p, expected) in [
      (0.05, 0.0227272727), (0.25, 0.0952380952), (0.5, 0.2208835341), (0.75, 0.4),
      (0.95, 0.6578947368),
    ] { expect(golden(p), near: expected, within: 1e-8) }
    var levels: [Double] = []
    for point in CalibrationTests.points {
      let level = golden(point.probability)
      if level - (levels.last ?? -1) > 1e-6 { levels.append(level) }
    }
    #expect(levels.count == 27)
    let binned = IsotonicCalibration.fit(CalibrationTests.histogram.points)
    for p in [0.05, 0.25, 0.5, 0.75, 0.95] {
      #expect((binned(p) - golden(p)).magnitude < 0.06, "\(p): \(binned(p))")
    }
  }

  @Test func isotonicRisesAndKeepsTheSum() {
    let seed: UInt64 = 44
    var random = SplitMix64(seed: seed)
    for size in [1, 2, 5, 200, 3000] {
      var p = 0.001
      let points = (0..<size).map { _ in
        p += random.unit() * 0.9 / Double(size)
        let weight = random.uniform(0, 5)
        let positives = weight * random.unit()
        return CalibrationPoint(
          probability: p, positives: positives, negatives: weight - positives)
      }
      for strength in [0.0, 1, 20] {
        let curve = IsotonicCalibration.fit(points, strength: strength)
        #expect(curve.corners <= 256 && curve.corners > 0)
        var last = 0.0
        for step in 0...1000 {
          let q = curve(Double(step) / 1000)
          #expect(q >= last && q < 1, "seed \(seed)")
          last = q
        }
        guard strength == 0, size < 3000 else { continue }
        let expected = points.reduce(0) { $0 + $1.positives }
        let fitted = points.reduce(0) { $0 + $1.weight * curve($1.probability) }
        #expect((fitted - expected).magnitude < 1e-4 * Double(size), "seed \(seed)")
      }
    }
    // Strictly rising outcomes: every point is its own block, more corners than there is room.
    let rising = (1...2000).map { i in
      let positives = Double(i)
      return CalibrationPoint(
        probability: positives / 2001, positives: positives, negatives: 2001 - positives)
    }
    let curve = IsotonicCalibration.fit(rising, strength: 0)
    #expect(curve.corners == 250)
    #expect((curve(0.5) - 0.5).magnitude < 0.01)
  }

  /// calibration.py: logistic regression on ln s and −ln(1 − s) without a penalty (statsmodels).
  /// betacal itself gives 0.026083, 0.236591 and 0.608142 at 0.05, 0.5 and 0.95.
  @Test func betaGolden() {
    let beta = BetaCalibration.fit(CalibrationTests.points, strength: 0)
    expect(beta.a, near: 0.94306852, within: 1e-6)
    expect(beta.b, near: 0.43637061, within: 1e-6)
    expect(beta.c, near: -0.81943934, within: 1e-6)
    for (p, expected) in [(0.05, 0.026083), (0.5, 0.236591), (0.95, 0.608142)] {
      #expect((beta(p) - expected).magnitude < 2e-3)
    }
    // Outcomes that would need a negative a: it is left out (scipy, BFGS).
    let bent = ScoredStream.calibration.scores.enumerated().map { i, s in
      let positive = (s < 0.3 && i % 2 == 1) || s > 0.9
      return CalibrationPoint(
        probability: s, positives: positive ? 1 : 0, negatives: positive ? 0 : 1)
    }
    let reduced = BetaCalibration.fit(bent, strength: 0)
    #expect(reduced.a == 0)
    expect(reduced.b, near: 0.5452154365958434, within: 1e-5)
    expect(reduced.c, near: -1.7268252522208356, within: 1e-5)
  }

  /// calibration.py: scipy's bounded minimum.
  @Test func temperatureGolden() {
    let scaling = TemperatureScaling.fit(CalibrationTests.points, strength: 0)
    expect(scaling.temperature, near: 2.262689, within: 1e-6)
    var sums = ScoreSums()
    for point in CalibrationTests.points {
      sums.add(probability: scaling(point.probability), label: point.positives)
    }
    expect(sums.logLoss ?? 0, near: 0.629803658, within: 1e-8)
  }

  @Test func withoutEvidenceNothingChanges() {
    for p in [1e-5, 0.004, 0.2, 0.5, 0.97] {
      expect(PlattScaling.fit([])(p), near: p, within: 1e-10)
      expect(OnlinePlatt().scaling(p), near: p, within: 1e-10)
      expect(BetaCalibration.fit([])(p), near: p, within: 1e-10)
      expect(TemperatureScaling.fit([])(p), near: p, within: 1e-10)
      expect(IsotonicCalibration.fit([])(p), near: p, within: 1e-10)
    }
  }

  @Test func extremesStayProbabilities() {
    let extremes: [Double] = [-.infinity, -1, 0, 1e-300, 1e-6, 0.3, 1, 2, .infinity, .nan]
    let sets: [[CalibrationPoint]] = [
      [CalibrationPoint(probability: 0, positives: 1e12, negatives: 0)],
      [CalibrationPoint(probability: 1, positives: 0, negatives: 1e12)],
      [
        CalibrationPoint(probability: 1e-6, positives: 0, negatives: 1e9),
        CalibrationPoint(probability: 0.999999, positives: 1e9, negatives: 0),
      ],
      [CalibrationPoint(probability: 0.5, positives: 1e-300, negatives: 1e-300)],
    ]
    for points in sets {
      for strength in [0.0, 1e-9, 10] {
        for p in extremes {
          for q in [
            PlattScaling.fit(points, strength: strength)(p),
            PlattScaling.fit(points, strength: strength, smoothed: true)(p),
            BetaCalibration.fit(points, strength: strength)(p),
            TemperatureScaling.fit(points, strength: strength)(p),
            IsotonicCalibration.fit(points, strength: strength)(p),
          ] { #expect(q > 0 && q < 1) }
        }
      }
    }
    var platt = OnlinePlatt()
    for logit in [-1e300, -35, 0, 35, 1e300, .infinity, .nan] {
      for weight in [0.0, 1e-12, 1, 1e9] {
        platt.learn(logit: logit, label: 1, weight: weight)
        platt.learn(logit: logit, label: 0, weight: weight)
        #expect(platt.slope.isFinite && platt.intercept.isFinite)
        let q = platt.scaling(0.3)
        #expect(q > 0 && q < 1)
      }
    }
  }
}
