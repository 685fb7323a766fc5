import Learning
import Testing

@Suite struct DelayTests {
  /// A click as delay_and_survival.py draws it: followed for `age`, converted after `delay` or not.
  struct Click {
    var delay: Double?
    var age: Double
  }

  static func clicks() -> [Click] {
    var random = SplitMix64(seed: 123)
    return (0..<5000).map { _ in
      let age = random.unit() * 6
      let converts = random.unit() < 0.3
      let delay = -Elementary.log(1 - random.unit()) / 0.5
      return Click(delay: converts && delay <= age ? delay : nil, age: age)
    }
  }

  /// delay_and_survival.py, D1: scipy's maximum of the likelihood, and the exponential mixture-cure
  /// model of lifelines, for one probability and one rate of all clicks. Soft labels alone, by
  /// expectation–maximisation, arrive at the same place.
  @Test func softLabelsFindTheMaximumLikelihood() {
    let clicks = DelayTests.clicks()
    let converted = clicks.filter { $0.delay != nil }
    expect(Double(converted.count) / 5000, near: 0.1912, within: 1e-12)
    var (logit, logRate) = (-2.0, 0.0)
    for _ in 0..<600 {
      var labels = Double(converted.count)
      var time = 0.0
      for click in clicks {
        if let delay = click.delay {
          time += delay
        } else {
          let label = ExponentialDelay.pendingLabel(
            logit: logit, logRate: logRate, age: click.age)
          labels += label
          time += label * click.age
        }
      }
      logit = Elementary.log(labels / (5000 - labels))
      logRate = Elementary.log(Double(converted.count) / time)
    }
    expect(1 / (1 + Elementary.exp(-logit)), near: 0.279701, within: 2e-6)
    expect(Elementary.exp(logRate), near: 0.513315, within: 2e-6)
    var loss = 0.0
    var slope = ExponentialDelay.Gradient(logit: 0, logRate: 0)
    for click in clicks {
      let gradient: ExponentialDelay.Gradient
      if let delay = click.delay {
        loss += ExponentialDelay.convertedLoss(logit: logit, logRate: logRate, delay: delay)
        gradient = ExponentialDelay.convertedGradient(
          logit: logit, logRate: logRate, delay: delay)
      } else {
        loss += ExponentialDelay.pendingLoss(logit: logit, logRate: logRate, age: click.age)
        gradient = ExponentialDelay.pendingGradient(
          logit: logit, logRate: logRate, age: click.age)
      }
      slope.logit += gradient.logit
      slope.logRate += gradient.logRate
    }
    expect(loss, near: 3283.98997, within: 1e-8)
    #expect(slope.logit.magnitude < 1e-6 && slope.logRate.magnitude < 1e-6)
  }

  @Test func gradientsAreTheLossesDerivatives() {
    let seed: UInt64 = 17
    var random = SplitMix64(seed: seed)
    for _ in 0..<500 {
      let logit = random.uniform(-6, 6)
      let logRate = random.uniform(-4, 3)
      let age = random.uniform(0, 8)
      let h = 1e-5
      func slope(_ loss: (Double) -> Double, _ x: Double) -> Double {
        (loss(x + h) - loss(x - h)) / (2 * h)
      }
      let pending = ExponentialDelay.pendingGradient(logit: logit, logRate: logRate, age: age)
      let converted = ExponentialDelay.convertedGradient(
        logit: logit, logRate: logRate, delay: age)
      let pairs = [
        (
          pending.logit,
          slope({ ExponentialDelay.pendingLoss(logit: $0, logRate: logRate, age: age) }, logit)
        ),
        (
          pending.logRate,
          slope({ ExponentialDelay.pendingLoss(logit: logit, logRate: $0, age: age) }, logRate)
        ),
        (
          converted.logit,
          slope({ ExponentialDelay.convertedLoss(logit: $0, logRate: logRate, delay: age) }, logit)
        ),
        (
          converted.logRate,
          slope(
            { ExponentialDelay.convertedLoss(logit: logit, logRate: $0, delay: age) }, logRate)
        ),
      ]
      for (gradient, numeric) in pairs {
        #expect((gradient - numeric).magnitude < 1e-6 * max(1, gradient.magnitude), "seed \(seed)")
      }
    }
  }

  /// esmm_and_delay_weights.py, E1: autograd's derivatives of the loss of pCTCVR are (c − k) times
  /// the slope.
  @Test func entireSpaceSlopeGolden() {
    let (click, conversion) = (0.1192029220221176, 0.2689414213699951)
    let slope = EntireSpace.slope(click: click, conversion: conversion)
    expect(click * conversion * slope, near: 0.02421295032, within: 1e-9)
    expect((click * conversion - 1) * slope, near: -0.7310585786, within: 1e-9)
  }

  /// delay_and_survival.py: the weighted gradients at a logit of −2, and b / (1 − b).
  @Test func fakeNegativesGolden() {
    let p = 1 / (1 + Elementary.exp(2))
    expect(
      FakeNegatives.positive(predicted: p).gradient(at: p), near: -0.9857906634, within: 1e-9)
    expect(
      FakeNegatives.negative(predicted: p).gradient(at: p), near: 0.1175091276, within: 1e-9)
    for (b, p) in [(0.00990099, 0.01), (0.0476190476, 0.05), (0.2307692308, 0.3)] {
      expect(FakeNegatives.calibrated(b), near: p, within: 1e-6)
    }
    #expect(FakeNegatives.calibrated(0.5) == 1 && FakeNegatives.calibrated(1) == 1)
  }

  /// esmm_and_delay_weights.py: with true probabilities as predictions, weighted examples have the
  /// masses of the true labels.
  @Test func weightsRestoreTheMassesOfLabels() {
    for (p, late) in [(0.3, 0.12), (0.3, 0), (0.01, 0.01), (0.9, 0.2), (1, 0.5), (0, 0)] {
      let elapsed = (1 - p + late) / (1 + late)
      let elapsedPositive = ElapsedSampling.positive(late: late)
      let elapsedNegative = ElapsedSampling.negative(predicted: p, late: late)
      #expect(
        (p / (1 + late) * elapsedPositive.weight - p).magnitude < 1e-15, "\(p), \(late)")
      #expect(
        (elapsed * elapsedNegative.weight - (1 - p)).magnitude < 1e-15, "\(p), \(late)")
      let positive = DuplicatedSampling.positive(predicted: p, late: late)
      let negative = DuplicatedSampling.negative(predicted: p, late: late)
      #expect(((p - late / 2) * positive.weight - p).magnitude < 1e-15)
      #expect(((1 - p + late / 2) * negative.weight - (1 - p)).magnitude < 1e-15)
      // Every click comes as a negative, those that convert as a positive too.
      let fake = (FakeNegatives.positive(predicted: p), FakeNegatives.negative(predicted: p))
      expect(p / (1 + p) * fake.0.weight, near: p, within: 1e-14)
      #expect((1 / (1 + p) * fake.1.weight - (1 - p)).magnitude < 1e-15)
    }
  }

  @Test func extremesStayNumbers() {
    let extremes: [Double] = [-1e300, -800, -1, 0, 1e-300, 1, 800, 1e300]
    for logit in extremes {
      for logRate in extremes {
        for age in extremes {
          let label = ExponentialDelay.pendingLabel(logit: logit, logRate: logRate, age: age)
          #expect(label >= 0 && label <= 1)
          let pending = ExponentialDelay.pendingGradient(logit: logit, logRate: logRate, age: age)
          let converted = ExponentialDelay.convertedGradient(
            logit: logit, logRate: logRate, delay: age)
          #expect(pending.logit >= 0 && pending.logit <= 1)
          #expect(pending.logRate.isFinite && pending.logRate >= 0)
          #expect(converted.logit <= 0 && converted.logit >= -1 && converted.logRate.isFinite)
          #expect(
            ExponentialDelay.pendingLoss(logit: logit, logRate: logRate, age: age) >= 0)
        }
      }
      for late in extremes {
        for label in [
          FakeNegatives.positive(predicted: logit), FakeNegatives.negative(predicted: logit),
          ElapsedSampling.positive(late: late),
          ElapsedSampling.negative(predicted: logit, late: late),
          DuplicatedSampling.positive(predicted: logit, late: late),
          DuplicatedSampling.negative(predicted: logit, late: late),
        ] { #expect(label.weight >= 0 && label.weight <= 2) }
      }
    }
  }
}

@Suite struct ConversionLagTests {
  /// delay_and_survival.py, lifelines' KaplanMeierFitter: seed 99, lags of mean 3, followed for up
  /// to 10.
  @Test func kaplanMeierGolden() {
    var random = SplitMix64(seed: 99)
    var times: [Double] = []
    var isEvent: [Bool] = []
    for _ in 0..<300 {
      let lag = -Elementary.log(1 - random.unit()) * 3
      let age = random.unit() * 10
      times.append(min(lag, age))
      isEvent.append(lag <= age)
    }
    let steps = ProductLimit.survival(times: times, isEvent: isEvent)
    #expect(steps.count == 209)
    // ExponentialFitter's scale: the sample is the oracle's.
    expect(times.reduce(0, +) / 209, near: 3.37205519, within: 1e-8)
    func survival(_ time: Double) -> Double { steps.last { $0.time <= time }?.value ?? 1 }
    for (time, expected) in [(1.0, 0.7148883724), (3, 0.4401726237), (6, 0.1734252579)] {
      expect(survival(time), near: expected, within: 1e-9)
    }
    #expect((steps.first { $0.value <= 0.5 }?.time ?? 0) > 2.445422)
    #expect((steps.first { $0.value <= 0.5 }?.time ?? 0) < 2.445423)
  }

  /// Lags of mean 3 that are known only when below a uniform age up to 10, seed 31. lifelines
  /// 0.30.3, KaplanMeierFitter().fit(11 − lag, entry=11 − age), read just before 11 − time. The
  /// naive shares are 0.2275, 0.3875, 0.6375, 0.895 and 0.9975.
  @Test func truncatedLagsGolden() {
    var random = SplitMix64(seed: 31)
    var lags: [Double] = []
    var ages: [Double] = []
    while lags.count < 400 {
      let lag = -Elementary.log(1 - random.unit()) * 3
      let age = random.unit() * 10
      guard lag <= age else { continue }
      lags.append(lag)
      ages.append(age)
    }
    let steps = ProductLimit.truncatedDistribution(lags: lags, ages: ages)
    for (time, expected) in [
      (0.5, 0.18027896637454346), (1.0, 0.3140054595381684), (2, 0.5412603327311537),
      (4, 0.809139255947139), (8, 0.9873417721518987),
    ] {
      expect(steps.last { $0.time <= time }?.value ?? 0, near: expected, within: 1e-12)
    }
    #expect(ProductLimit.truncatedDistribution(lags: [], ages: []).isEmpty)
    #expect(ProductLimit.survival(times: [], isEvent: []).isEmpty)
  }

  @Test func binsCoverTheWindow() {
    let bins = LagBins()
    #expect(bins.position(-5).bin == 0 && bins.position(0).part == 0)
    #expect(bins.position(2_592_000_000).bin == 64 && bins.position(.infinity).bin == 64)
    #expect(bins.end(63) == 2_592_000_000 && bins.end(0) == 60_000)
    var last = (bin: 0, part: 0.0)
    for step in 0..<4000 {
      let lag = Elementary.exp(Double(step) * 0.0054) + 1
      let place = bins.position(lag)
      #expect(place.bin > last.bin || (place.bin == last.bin && place.part >= last.part))
      #expect(place.part >= 0 && place.part <= 1)
      if place.bin < 64 { #expect(lag <= bins.end(place.bin) * (1 + 1e-12)) }
      last = place
    }
  }

  struct Click {
    var lag: Double?
    var age: Double
  }

  func clicks(seed: UInt64, count: Int) -> [Click] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in
      // A day of mean lag; followed for up to 30 days, most for less than two.
      let lag = random.unit() < 0.3 ? -Elementary.log(1 - random.unit()) * 86_400_000 : nil
      let part = random.unit()
      return Click(lag: lag, age: part * part * part * 2_592_000_000)
    }
  }

  func sums(_ clicks: [Click], steps: Int, bins: LagBins) -> ConversionLag {
    var sums = ConversionLag()
    for click in clicks {
      sums.open()
      var from = 0.0
      for step in 1...steps {
        let age = click.age * Double(step) / Double(steps)
        if let lag = click.lag, lag <= age {
          sums.convert(from: from, lag: lag, bins: bins)
          break
        }
        sums.follow(from: from, to: age, bins: bins)
        from = age
      }
    }
    return sums
  }

  /// The binned curve against the product limit of the same clicks and against the truth; a
  /// distribution of the lags seen so far would be far too short.
  @Test func theBinnedCurveFollowsKaplanAndMeier() {
    let bins = LagBins()
    let clicks = clicks(seed: 5, count: 20_000)
    let curve = sums(clicks, steps: 3, bins: bins).curve(bins)
    let exact = ProductLimit.survival(
      times: clicks.map { min($0.lag ?? .infinity, $0.age) },
      isEvent: clicks.map { ($0.lag ?? .infinity) <= $0.age })
    for hours in [1.0, 6, 24, 48, 120, 480] {
      let age = hours * 3_600_000
      let limit = exact.last { $0.time <= age }?.value ?? 1
      #expect((curve.survival(age) - limit).magnitude < 0.002, "\(hours) h")
      let truth = 1 - 0.3 * (1 - Elementary.exp(-hours / 24))
      #expect((curve.survival(age) - truth).magnitude < 0.01, "\(hours) h")
      let maturity = 1 - Elementary.exp(-hours / 24)
      #expect(((curve.maturity(age) ?? 0) - maturity).magnitude < 0.02, "\(hours) h")
    }
    #expect((curve.conversionRate - 0.3).magnitude < 0.01)
    #expect((curve.pendingLabel(0) - curve.conversionRate).magnitude < 1e-12)
    #expect(curve.pendingLabel(2_592_000_000) == 0)
  }

  /// How often a click was looked at on the way changes nothing; sums add and subtract.
  @Test func sumsAreSums() {
    let bins = LagBins(first: 1000, window: 604_800_000)
    let first = clicks(seed: 8, count: 500)
    let second = clicks(seed: 9, count: 300)
    var merged = sums(first, steps: 1, bins: bins)
    merged.add(sums(second, steps: 1, bins: bins))
    let together = sums(first + second, steps: 7, bins: bins)
    let one = merged.curve(bins)
    let other = together.curve(bins)
    for day in 0..<8 {
      let age = Double(day) * 86_400_000
      expect(one.survival(age), near: other.survival(age), within: 1e-12)
    }
    merged.scale(by: 0.25)
    expect(merged.curve(bins).survival(1e8), near: one.survival(1e8), within: 1e-12)
    merged.scale(by: 4)
    merged.add(sums(second, steps: 2, bins: bins), times: -1)
    expect(
      merged.curve(bins).survival(1e8),
      near: sums(first, steps: 1, bins: bins).curve(bins)
        .survival(1e8), within: 1e-12)
  }

  @Test func nothingKnownSaysNothing() {
    let bins = LagBins()
    var sums = ConversionLag()
    #expect(sums.curve(bins).maturity(1e6) == nil)
    #expect(sums.curve(bins).survival(1e9) == 1 && sums.curve(bins).pendingLabel(1e6) == 0)
    sums.open()
    sums.convert(from: 0, lag: -3, bins: bins)
    let curve = sums.curve(bins)
    #expect(curve.conversionRate == 1 && curve.survival(1e9) == 0)
    #expect(curve.maturity(1e9) == 1 && curve.pendingLabel(1e9) == 0)
  }
}
