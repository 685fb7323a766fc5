import Learning
import Testing

/// Curves that are written down corner by corner and read again.
@Suite struct PublishedCurveTests {
  private func curve() -> IsotonicCalibration {
    IsotonicCalibration.fit(
      (1...40).map { i in
        CalibrationPoint(
          probability: Double(i) / 50, positives: Double(i * i % 23), negatives: Double(40 - i))
      })
  }

  @Test func cornersMakeTheSameCurve() {
    let curve = curve()
    var copy = IsotonicCalibration()
    for i in 0..<curve.corners {
      let corner = curve.corner(i)
      let isTaken = copy.append(score: corner.score, rate: corner.rate)
      #expect(isTaken)
    }
    #expect(copy == curve && curve.corners > 2)
    for i in 0...1_000 {
      let probability = Double(i) / 1_000
      #expect(copy(probability).bitPattern == curve(probability).bitPattern)
    }
  }

  @Test func whatIsNoCornerIsRefused() {
    var curve = IsotonicCalibration()
    let isFirst = curve.append(score: 0.2, rate: 0.3)
    let before = curve
    for corner in [
      (0.2, 0.4), (0.1, 0.4), (0.3, 0.2), (1.5, 0.4), (0.3, 1.5), (.nan, 0.4), (0.3, .nan),
    ] {
      let isTaken = curve.append(score: corner.0, rate: corner.1)
      #expect(!isTaken && curve == before)
    }
    for i in 1..<IsotonicCalibration.cornersMax {
      let isTaken = curve.append(score: 0.2 + Double(i) / 1_000, rate: 0.3)
      #expect(isTaken)
    }
    let isTaken = curve.append(score: 0.9, rate: 0.9)
    #expect(isFirst && !isTaken)
  }

  @Test func aProbitModelBeginsAtItsPrior() {
    let learner = AdPredictor(beta: 0.5, prior: Heads(0.1, 0.7))
    let placed = AdPredictor.placed(learner.start, active: 4, noise: learner.noise)
    // Without the bias's own variance, and features of variance 1.
    let rates = AdPredictor.rates(
      AdPredictor.Score(means: placed, variances: Heads(repeating: 4 + learner.noise)))
    #expect(abs(rates.x - 0.1) < 1e-12 && abs(rates.y - 0.7) < 1e-12)
  }
}
