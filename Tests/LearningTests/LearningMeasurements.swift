import Learning
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What detectors and calibrators do at their defaults, as figures: the tables of `Learning.md`.
///
/// `MEASURE=1 swift test -c release --filter LearningMeasurements` prints them; without it the same
/// runs are shorter and only their bounds are checked.
@Suite struct LearningMeasurements {
  static let isFull = getenv("MEASURE") != nil

  /// A stationary source of values in 0...1, and what it changes to.
  struct Source: Sendable {
    var name: String
    /// A value at a part 0...1 of the change.
    var value: @Sendable (inout SplitMix64, Double) -> Double
    /// Observations before the change.
    var before: Int
    /// Observations over which the gradual change happens.
    var ramp: Int
  }

  static let sources = [
    Source(
      name: "labels, 0.2 → 0.3", value: { $0.unit() < 0.2 + 0.1 * $1 ? 1 : 0 }, before: 5000,
      ramp: 2000),
    Source(
      name: "labels, 0.01 → 0.02", value: { $0.unit() < 0.01 + 0.01 * $1 ? 1 : 0 },
      before: 20_000, ramp: 10_000),
    Source(
      name: "log-loss / 13.8 of a click model at 0.03, odds doubled",
      value: { random, part in
        let logit = -3.5 + 0.7 * Elementary.normalQuantile(random.unit())
        let truth = 1 / (1 + Elementary.exp(-logit - 0.6931 * part))
        let label = random.unit() < truth ? 1.0 : 0
        return Loss.log(1 / (1 + Elementary.exp(-logit)), label: label) / 13.8156
      }, before: 20_000, ramp: 10_000),
    Source(
      name: "a normal feature moved by one deviation, scaled",
      value: { 0.5 + (Elementary.normalQuantile($0.unit()) + $1) / 16 }, before: 5000,
      ramp: 2000),
  ]

  struct Figures {
    /// Alarms per million stationary observations.
    var falseAlarms = 0.0
    /// Median observations from the change's beginning to the alarm; nil where most miss it.
    var abrupt: Int?
    var gradual: Int?
  }

  /// - Parameter make: A detector that starts afresh, as a function of its observations.
  func figures(
    _ source: Source, _ make: () -> (Double, UInt64) -> Bool
  ) -> Figures {
    var result = Figures()
    let count = LearningMeasurements.isFull ? 10_000_000 : 50_000
    var random = SplitMix64(seed: 1001)
    let detect = make()
    var alarms = 0
    for i in 0..<count where detect(source.value(&random, 0), UInt64(i)) { alarms += 1 }
    result.falseAlarms = Double(alarms) * 1e6 / Double(count)
    result.abrupt = delay(source, ramp: 1, make)
    result.gradual = delay(source, ramp: source.ramp, make)
    return result
  }

  func delay(_ source: Source, ramp: Int, _ make: () -> (Double, UInt64) -> Bool) -> Int? {
    let runs = LearningMeasurements.isFull ? 101 : 5
    let limit = 40_000
    var delays: [Int] = []
    for run in 0..<runs {
      var random = SplitMix64(seed: 2000 + UInt64(run))
      let detect = make()
      for i in 0..<source.before {
        _ = detect(source.value(&random, 0), UInt64(i))
      }
      var found = Int.max
      for i in 0..<limit {
        let part = min(Double(i + 1) / Double(ramp), 1)
        if detect(source.value(&random, part), UInt64(source.before + i)) {
          found = i + 1
          break
        }
      }
      delays.append(found)
    }
    let median = delays.sorted()[runs / 2]
    return median == .max ? nil : median
  }

  static func detector<Detector: DriftDetector>(
    _ type: Detector.Type, _ settings: Detector.Settings
  ) -> (Double, UInt64) -> Bool {
    var detector = Detector()
    return { value, _ in detector.update(value, settings) == .drift }
  }

  static func kswin() -> (Double, UInt64) -> Bool {
    var detector = KSWIN()
    return { value, _ in
      detector.update(value, KSWIN.Settings()) {
        Draws(seed: 3, account: 1, purpose: 1, entity: 1, counter: $0)
      } == .drift
    }
  }

  static let detectors: [(name: String, make: @Sendable () -> (Double, UInt64) -> Bool)] = [
    ("ADWIN", { detector(ADWIN.self, .init()) }),
    ("Page–Hinkley", { detector(PageHinkley.self, .init()) }),
    ("DDM, mirrored", { detector(Mirrored<DDM>.self, .init()) }),
    ("HDDM-A, mirrored", { detector(Mirrored<HDDMA>.self, .init()) }),
    ("HDDM-W, mirrored", { detector(Mirrored<HDDMW>.self, .init()) }),
    ("KSWIN", kswin),
  ]

  @Test(arguments: 0..<4)
  func detectorsAtTheirDefaults(_ index: Int) {
    let source = LearningMeasurements.sources[index]
    var lines = ["\(source.name) (change after \(source.before), gradual over \(source.ramp))"]
    for (name, make) in LearningMeasurements.detectors {
      let found = figures(source, make)
      func text(_ delay: Int?) -> String { delay.map { "\($0)" } ?? "missed" }
      lines.append(
        "| \(name) | \(found.falseAlarms) | \(text(found.abrupt)) | \(text(found.gradual)) |")
      if name == "ADWIN" {
        // Few false alarms, and no change is missed.
        #expect(found.falseAlarms <= 40 && found.abrupt != nil && found.gradual != nil)
      }
    }
    print(lines.joined(separator: "\n"))
  }

  /// How far each calibrator stays from the truth after so many examples of a click model that is
  /// too confident and too high: mean log-loss beyond that of the true probabilities, in percent of
  /// it, over fresh examples.
  @Test func calibratorsAtTheirDefaults() {
    struct World {
      var random: SplitMix64

      mutating func next() -> (raw: Double, truth: Double, label: Double) {
        let truth = -3.9 + 0.6 * Elementary.normalQuantile(random.unit())
        let p = 1 / (1 + Elementary.exp(-truth))
        // Twice as spread, and half a unit too high.
        let raw = 2 * (truth + 3.9) - 3.4
        return (1 / (1 + Elementary.exp(-raw)), p, random.unit() < p ? 1 : 0)
      }
    }
    let names = ["none", "Platt", "Platt, online", "isotonic", "beta", "temperature"]
    let rounds = LearningMeasurements.isFull ? 50 : 3
    let probes = LearningMeasurements.isFull ? 20_000 : 3000
    var lines = ["| examples | " + names.joined(separator: " | ") + " |"]
    for size in [300, 3000, 30_000, 300_000] where LearningMeasurements.isFull || size <= 30_000 {
      var excess = [Double](repeating: 0, count: names.count)
      var floor = 0.0
      for round in 0..<rounds {
        var world = World(random: SplitMix64(seed: 5000 + UInt64(round)))
        var histogram = ScoreHistogram()
        var online = OnlinePlatt()
        for _ in 0..<size {
          let example = world.next()
          histogram.add(probability: example.raw, label: example.label)
          online.learn(
            logit: Elementary.log(example.raw / (1 - example.raw)), label: example.label)
        }
        let platt = PlattScaling.fit(histogram.points)
        let isotonic = IsotonicCalibration.fit(histogram.points)
        let beta = BetaCalibration.fit(histogram.points)
        let temperature = TemperatureScaling.fit(histogram.points)
        let line = online.scaling
        for _ in 0..<probes {
          let probe = world.next()
          floor += Loss.log(probe.truth, label: probe.truth)
          let maps = [
            probe.raw, platt(probe.raw), line(probe.raw), isotonic(probe.raw), beta(probe.raw),
            temperature(probe.raw),
          ]
          for (i, q) in maps.enumerated() { excess[i] += Loss.log(q, label: probe.truth) }
        }
      }
      let percents = excess.map { ($0 / floor - 1) * 100 }
      lines.append(
        "| \(size) | "
          + percents.map { "\(($0 * 100).rounded() / 100)" }.joined(separator: " | ") + " |")
      for i in 1..<5 where size >= 3000 { #expect(percents[i] < percents[0] / 2) }
    }
    print(lines.joined(separator: "\n"))
  }
}
