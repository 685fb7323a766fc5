import Learning
import Testing

@Suite struct EvaluationTests {
  let stream = ScoredStream.calibration

  /// calibration.py, C1: scikit-learn.
  @Test func sumsGolden() throws {
    var sums = ScoreSums()
    var table = ReliabilityTable()
    for (p, y) in zip(stream.scores, stream.labels) {
      sums.add(probability: p, label: y)
      table.add(probability: p, label: y)
    }
    #expect(sums.labels == 544)
    expect(try #require(sums.logLoss), near: 0.6915837484, within: 1e-9)
    expect(try #require(sums.normalizedEntropy), near: 1.181713769, within: 1e-9)
    expect(try #require(sums.brier), near: 0.2306032834, within: 1e-9)
    expect(try #require(sums.calibrationRatio), near: 1.871675267, within: 1e-9)
    let error = try #require(table.calibration)
    expect(error.expected, near: 0.2370956725, within: 1e-9)
    expect(error.largest, near: 0.3595621123, within: 1e-9)
    let bin = try #require(table.bin(9))
    #expect(bin.predicted > 0.9 && bin.predicted < 1 && bin.observed > 0.4)
  }

  /// calibration.py, C1: the figures of single predictions lie within the bins' errors.
  @Test func histogramGolden() throws {
    var histogram = ScoreHistogram()
    for (p, y) in zip(stream.scores, stream.labels) { histogram.add(probability: p, label: y) }
    expect(stream.auc, near: 0.7713467599, within: 1e-9)
    expect(stream.averagePrecision, near: 0.539869526, within: 1e-9)
    expect(stream.capture(0.1), near: 0.2389705882, within: 1e-9)
    let auc = try #require(histogram.auc)
    let precision = try #require(histogram.averagePrecision)
    let capture = try #require(histogram.capture())
    let lift = try #require(histogram.lift())
    #expect((auc.value - 0.7713467599).magnitude < 0.001 && auc.error < 0.006)
    #expect((precision.value - 0.539869526).magnitude < min(precision.error, 0.005))
    #expect((capture.value - 0.2389705882).magnitude <= capture.error && capture.error < 0.03)
    #expect((lift.value - 2.389705882).magnitude <= lift.error)
    let error = try #require(histogram.calibration())
    #expect((error.expected - 0.2370956725).magnitude < 1e-6)
    #expect((error.largest - 0.3703478376).magnitude < 0.01)
  }

  /// For models of clicks and conversions, against the exact figures of the same predictions.
  @Test(arguments: [(0.005, 1.0), (0.03, 0.5), (0.2, 2.0)])
  func errorsBound(_ rate: Double, _ spread: Double) throws {
    let seed: UInt64 = 12
    var random = SplitMix64(seed: seed)
    var exact = ScoredStream(scores: [], labels: [])
    var histogram = ScoreHistogram()
    for _ in 0..<20_000 {
      let logit =
        Elementary.log(rate / (1 - rate)) + spread * Elementary.normalQuantile(random.unit())
      let p = 1 / (1 + Elementary.exp(-logit))
      let y = random.unit() < p ? 1.0 : 0
      exact.scores.append(p)
      exact.labels.append(y)
      histogram.add(logit: logit, probability: p, label: y)
    }
    let auc = try #require(histogram.auc)
    let precision = try #require(histogram.averagePrecision)
    let capture = try #require(histogram.capture())
    #expect((auc.value - exact.auc).magnitude <= auc.error, "seed \(seed)")
    #expect((auc.value - exact.auc).magnitude < 0.003 && auc.error < 0.02)
    #expect(
      (precision.value - exact.averagePrecision).magnitude <= precision.error, "seed \(seed)")
    #expect((capture.value - exact.capture(0.1)).magnitude <= capture.error, "seed \(seed)")
    let calibration = try #require(histogram.calibration())
    #expect(calibration.expected < 0.02 && calibration.largest < 0.05)
  }

  /// Merging adds, taking back subtracts, a common factor changes no figure.
  @Test func sumsAreSums() throws {
    var (whole, first, second) = (ScoreSums(), ScoreSums(), ScoreSums())
    var histograms = (ScoreHistogram(), ScoreHistogram(), ScoreHistogram())
    var tables = (ReliabilityTable(), ReliabilityTable(), ReliabilityTable())
    for i in 0..<2000 {
      let (p, y) = (stream.scores[i], i % 7 == 0 ? 0.4 : stream.labels[i])
      whole.add(probability: p, label: y)
      histograms.0.add(probability: p, label: y)
      tables.0.add(probability: p, label: y)
      if i < 700 {
        first.add(probability: p, label: y)
        histograms.1.add(probability: p, label: y)
        tables.1.add(probability: p, label: y)
      } else {
        second.add(probability: p, label: y)
        histograms.2.add(probability: p, label: y)
        tables.2.add(probability: p, label: y)
      }
    }
    var merged = first
    merged.add(second)
    expect(try #require(merged.logLoss), near: try #require(whole.logLoss), within: 1e-12)
    merged.add(second, times: -1)
    expect(try #require(merged.logLoss), near: try #require(first.logLoss), within: 1e-12)
    merged.scale(by: 0x1p-40)
    expect(
      try #require(merged.normalizedEntropy), near: try #require(first.normalizedEntropy),
      within: 1e-12)
    histograms.1.add(histograms.2)
    let auc = try #require(histograms.0.auc)
    expect(try #require(histograms.1.auc).value, near: auc.value, within: 1e-12)
    histograms.1.scale(by: 0x1p-20)
    expect(try #require(histograms.1.auc).value, near: auc.value, within: 1e-12)
    histograms.1.scale(by: 0x1p20)
    histograms.1.add(histograms.0, times: -1)
    #expect(histograms.1.bins().allSatisfy { $0.weight < 1e-12 })
    tables.1.add(tables.2)
    tables.1.scale(by: 2)
    expect(
      try #require(tables.1.calibration).expected,
      near: try #require(tables.0.calibration).expected, within: 1e-12)
  }

  /// A fading figure is the weighted one, whatever the order of events and the landmarks between.
  @Test func fadingIsAWeightedSum() throws {
    let decay = ForwardDecay(halfLife: 3_600_000)
    var fading = Fading<ScoreSums>()
    var direct = ScoreSums()
    let end = Int64(2000) * 120_000
    for i in 0..<2000 {
      // Every tenth comes late.
      let time = Int64(i % 10 == 0 ? max(i - 40, 0) : i) * 120_000
      let weight = fading.weight(at: time, decay: decay)
      fading.sums.add(probability: stream.scores[i], label: stream.labels[i], weight: weight)
      direct.add(
        probability: stream.scores[i], label: stream.labels[i],
        weight: Elementary.exp2(-Double(end - time) / 3_600_000))
    }
    #expect(fading.landmark == 2)
    expect(
      try #require(fading.sums.logLoss), near: try #require(direct.logLoss), within: 1e-10)
    let discount = decay.discount(end, from: fading.landmark)
    expect(fading.sums.weight * discount, near: direct.weight, within: 1e-10)
  }

  @Test func emptyAndExtremeStayDefined() throws {
    #expect(ScoreSums().logLoss == nil && ScoreSums().brier == nil)
    #expect(ScoreSums().normalizedEntropy == nil && ScoreSums().calibrationRatio == nil)
    #expect(ScoreHistogram().auc == nil && ScoreHistogram().averagePrecision == nil)
    #expect(ScoreHistogram().capture() == nil && ScoreHistogram().calibration() == nil)
    #expect(ReliabilityTable().calibration == nil && ReliabilityTable().bin(3) == nil)
    var sums = ScoreSums()
    var histogram = ScoreHistogram()
    var table = ReliabilityTable()
    for p in [-.infinity, -1, 0, 1e-300, 0.5, 1, 7, .infinity, .nan] {
      for y in [0.0, 0.3, 1] {
        sums.add(probability: p, label: y)
        histogram.add(probability: p, label: y)
        histogram.add(logit: p, probability: p, label: y)
        table.add(probability: p, label: y)
        #expect(Loss.log(p, label: y) >= 0 && Loss.log(p, label: y) < 13.9)
      }
    }
    #expect(try #require(sums.logLoss).isFinite && #require(sums.normalizedEntropy).isFinite)
    #expect(try #require(histogram.auc).value.isFinite)
    #expect(try #require(histogram.averagePrecision).value <= 1)
    #expect(try #require(histogram.calibration()).largest <= 1)
    #expect(try #require(table.calibration).largest <= 1)
    // Subnormal weights end, too.
    var tiny = ScoreHistogram()
    tiny.add(probability: 0.2, label: 1, weight: .leastNonzeroMagnitude)
    #expect(tiny.calibration() == nil || tiny.calibration()?.expected.isFinite == true)
  }
}
