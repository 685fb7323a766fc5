import Events
import Operators
import Streaming
import TestKit
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How soon `learner` finds a change, how often it finds one where there is none, and what its
/// answer is worth, through the whole operator at its shipped defaults: the tables of `Watching.md`.
///
/// `MEASURE=1 swift test -c release --filter WatchMeasurements` prints them; without it the same runs
/// are shorter and only their bounds are checked. `MEASURE_SETTINGS` has settings of the learner that
/// delays and false alarms are measured with in place of the defaults.
@Suite struct WatchMeasurements {
  static let isFull = getenv("MEASURE") != nil
  static let settings = getenv("MEASURE_SETTINGS").map { String(cString: $0) } ?? ""

  /// A market and what becomes of it.
  struct Change: Sendable {
    var name: String
    var base: Double
    /// At a part 0...1 of the change.
    var shape: @Sendable (Double) -> KnownMarket.Shape
    /// Impressions before the change, and over which the gradual one happens.
    var before: Int
    var ramp: Int
  }

  static let changes = [
    Change(
      name: "clicks at 0.2, odds × 1.5", base: -1.5, shape: { .init(shift: 0.405 * $0) },
      before: 20_000, ramp: 10_000),
    Change(
      name: "clicks at 0.2, odds ÷ 1.5", base: -1.5, shape: { .init(shift: -0.405 * $0) },
      before: 20_000, ramp: 10_000),
    Change(
      name: "clicks at 0.02, odds × 2", base: -4.1, shape: { .init(shift: 0.693 * $0) },
      before: 50_000, ramp: 20_000),
    Change(
      name: "clicks at 0.02, odds ÷ 2", base: -4.1, shape: { .init(shift: -0.693 * $0) },
      before: 50_000, ramp: 20_000),
    Change(
      name: "clicks at 0.2, one feature turned round", base: -1.5,
      shape: { .init(turn: $0) }, before: 20_000, ramp: 10_000),
  ]

  // MARK: Delays

  /// Impressions from the beginning of a change to the alarm, of each seed; nil where it was missed
  /// for 40,000.
  private func delays(_ change: Change, over ramp: Int, seeds: Int) throws -> [Int?] {
    try (1...seeds).map { seed in
      let scene = try WatchScene(
        Self.settings, seed: UInt64(seed), base: change.base, sinks: ["alerts"])
      try scene.run(change.before)
      _ = try scene.take()
      let begin = scene.market.now
      for part in 0..<20 {
        try scene.run(2_000) { i in
          let done = ramp == 0 ? 1 : min(Double(part * 2_000 + i) / Double(ramp), 1)
          return change.shape(done)
        }
        let found = try scene.alerts("drift").first { $0["severity"] as? String == "warning" }
        if let found { return (Int(Estimating.number(found, "time")) - Int(begin)) / 100 }
      }
      return nil
    }
  }

  private func text(_ delays: [Int?]) -> String {
    let found = delays.compactMap { $0 }.sorted()
    guard found.count * 2 > delays.count else {
      return "missed by \(delays.count - found.count) of \(delays.count)"
    }
    let padded = found + Array(repeating: Int.max, count: delays.count - found.count)
    let late = padded[delays.count * 9 / 10]
    return "\(padded[delays.count / 2]) / \(late == .max ? "missed" : "\(late)")"
  }

  @Test func delaysOfAlarms() throws {
    let seeds = Self.isFull ? 31 : 1
    print("| change | at once, median / 9 of 10 | gradual | over |")
    print("|---|---|---|---|")
    for change in Self.isFull ? Self.changes : Array(Self.changes.prefix(2)) {
      let abrupt = try delays(change, over: 0, seeds: seeds)
      let gradual = try delays(change, over: change.ramp, seeds: seeds)
      print("| \(change.name) | \(text(abrupt)) | \(text(gradual)) | \(change.ramp) |")
      if !Self.isFull {
        #expect(abrupt.allSatisfy { $0.map { $0 < 5_000 } ?? false }, "\(change.name)")
      }
    }
  }

  // MARK: False alarms

  @Test func falseAlarms() throws {
    let count = Self.isFull ? 2_000_000 : 20_000
    print("| stationary clicks at | impressions | alarms | per million |")
    print("|---|---|---|---|")
    for base in [-1.5, -4.1] {
      var (alarms, total) = (0, 0)
      for seed in 101...(Self.isFull ? 104 : 101) as ClosedRange<UInt64> {
        let scene = try WatchScene(
          Self.settings, seed: seed, base: base, sinks: ["alerts"])
        try scene.run(count)
        alarms += try scene.alerts("drift").filter { $0["severity"] as? String == "warning" }.count
        total += count
      }
      let rate = Double(alarms) / Double(total) * 1e6
      print("| \(base == -1.5 ? "0.2" : "0.02") | \(total) | \(alarms) | \(rate) |")
      if !Self.isFull { #expect(alarms == 0) }
    }
  }

  // MARK: Recovery

  /// Mean excess of the log-loss over that of the true rates (Kullback–Leibler divergence), by how
  /// many impressions after the change; in thousandths of a nat.
  private func recovery(
    _ change: Change, _ more: String, seeds: Int, windows: [Int]
  ) throws -> [Double] {
    var sums = [Double](repeating: 0, count: windows.count)
    for seed in 1...seeds {
      let scene = try WatchScene(
        more, seed: UInt64(seed), base: change.base, sinks: ["predictions"])
      try scene.run(5 * change.before)
      _ = try scene.shown()
      var first = 0
      for (window, end) in windows.enumerated() {
        var records: [Double] = []
        try scene.run(end - first) { _ in change.shape(1) }
        for shown in try scene.shown() { records.append(shown.divergence) }
        sums[window] += records.reduce(0, +) / Double(records.count)
        first = end
      }
    }
    return sums.map { $0 / Double(seeds) * 1_000 }
  }

  @Test func recoveries() throws {
    let seeds = Self.isFull ? 8 : 1
    let windows = Self.isFull ? [2_000, 5_000, 10_000, 20_000, 40_000] : [2_000, 4_000]
    let variants: [(String, String)] = [
      ("watched only", "drift: { respond: false }"), ("keep: 0.5", ""),
      ("keep: 0.1", "drift: { keep: 0.1 }"), ("keep: 0", "drift: { keep: 0 }"),
      ("Platt, watched only", "calibration: platt\n    drift: { respond: false }"),
      ("Platt, keep: 0.1", "calibration: platt\n    drift: { keep: 0.1 }"),
    ]
    print("| change | drift | \(windows.map { "to \($0)" }.joined(separator: " | ")) |")
    print("|---|---|\(windows.map { _ in "---|" }.joined())")
    for change in Self.isFull ? Self.changes : Array(Self.changes.prefix(1)) {
      for (name, more) in Self.isFull ? variants : Array(variants.prefix(2)) {
        let curve = try recovery(change, more, seeds: seeds, windows: windows)
        let figures = curve.map { "\(($0 * 100).rounded() / 100)" }
        print("| \(change.name) | \(name) | \(figures.joined(separator: " | ")) |")
        #expect(curve.allSatisfy { $0 >= 0 && $0 < 1_000 })
      }
    }
  }
}
