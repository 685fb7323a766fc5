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
/// `MEASURE=1 swift test -c release --filter WatchMeasurements` prints them; without it the same
/// runs are shorter and only their bounds are checked. `MEASURE_SETTINGS` has settings of the
/// learner that delays and false alarms are measured with in place of the defaults.
@Suite struct WatchMeasurements {
  static let isFull = getenv("MEASURE") != nil
  static let settings = getenv("MEASURE_SETTINGS").map { String(cString: $0) } ?? ""

  /// Seeds that nothing was tuned on.
  static let firstSeed: UInt64 = 501

  /// A market and what becomes of it.
  struct Change: Sendable {
    var name: String
    var base: Double
    /// At a part 0...1 of the change.
    var shape: @Sendable (Double) -> KnownMarket.Shape
    /// Impressions before the change.
    var before: Int
  }

  private static func odds(
    _ name: String, _ base: Double, _ shift: Double, _ before: Int
  ) -> Change {
    Change(name: name, base: base, shape: { .init(shift: shift * $0) }, before: before)
  }

  static let changes = [
    odds("clicks at 0.2, odds × 1.5", -1.5, 0.405, 20_000),
    odds("clicks at 0.2, odds ÷ 1.5", -1.5, -0.405, 20_000),
    odds("clicks at 0.02, odds × 2", -4.1, 0.693, 50_000),
    odds("clicks at 0.02, odds ÷ 2", -4.1, -0.693, 50_000),
    Change(
      name: "clicks at 0.2, one feature turned round", base: -1.5,
      shape: { .init(turn: $0) }, before: 20_000),
  ]
  /// Too rare for what recovery costs to be seen in 40,000 impressions.
  static let rareChanges = [
    odds("clicks at 0.005, odds × 2", -5.5, 0.693, 100_000),
    odds("clicks at 0.005, odds ÷ 2", -5.5, -0.693, 100_000),
  ]

  /// Of 30,000 clicks before it; labels come by the hour, 7200 clicks at a time.
  static let conversions = Change(
    name: "conversions at 0.2, odds × 1.5", base: -1.5,
    shape: { .init(conversionRate: 0.2 + 0.0727 * $0) }, before: 150_000)

  // MARK: Delays

  /// Impressions from the beginning of a change to an alarm, and to the first record of any kind;
  /// nil where there was none.
  private func delays(
    _ change: Change, over ramp: Int, seeds: Int
  ) throws -> (alarms: [Int?], records: [Int?]) {
    var found: (alarms: [Int?], records: [Int?]) = ([], [])
    for seed in Self.firstSeed..<Self.firstSeed + UInt64(seeds) {
      let scene = try WatchScene(Self.settings, seed: seed, base: change.base, sinks: ["alerts"])
      try scene.run(change.before)
      _ = try scene.take()
      let begin = scene.market.now
      var (alarm, record): (Int?, Int?)
      for part in 0..<max(40_000, 2 * ramp) / 2_000 where alarm == nil {
        try scene.run(2_000) { i in
          change.shape(ramp == 0 ? 1 : min(Double(part * 2_000 + i) / Double(ramp), 1))
        }
        for alert in try scene.alerts("drift") where alarm == nil {
          let delay = (Int(Estimating.number(alert, "time")) - Int(begin)) / 100
          if record == nil { record = delay }
          if alert["severity"] as? String == "warning" { alarm = delay }
        }
      }
      found.alarms.append(alarm)
      found.records.append(record)
    }
    return found
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

  private func printDelays(_ changes: [Change], over ramps: [Int], within: Int) throws {
    print("| change | over | an alarm, median / 9 of 10 | alarm or information |")
    print("|---|---|---|---|")
    for change in changes {
      for ramp in ramps {
        let (alarms, records) = try delays(change, over: ramp, seeds: Self.isFull ? 31 : 1)
        print(
          "| \(change.name) | \(ramp == 0 ? "at once" : "\(ramp)") | \(text(alarms)) "
            + "| \(text(records)) |")
        guard !Self.isFull else { continue }
        #expect(records.allSatisfy { $0.map { $0 < within } ?? false }, "\(change.name)")
      }
    }
  }

  @Test func delaysOfAlarms() throws {
    try printDelays(
      Self.isFull ? Self.changes + Self.rareChanges : Array(Self.changes.prefix(2)),
      over: Self.isFull ? [0, 20_000, 100_000] : [0], within: 5_000)
  }

  @Test func delaysOfConversions() throws {
    var change = Self.conversions
    if !Self.isFull { change.before = 45_000 }
    try printDelays([change], over: Self.isFull ? [0, 100_000] : [0], within: 80_000)
  }

  // MARK: False alarms

  /// What comes of a world without a change, or whose odds rise and fall with the day.
  struct Stationary {
    var base: Double
    var rate: String
    var clickWindow = "1m"
    /// Between two impressions, ms.
    var step: Int64 = 100
    /// Of the log-odds, up and down.
    var day = 0.0
    var features = #"bias, ad, "features.*""#
  }

  private static var worlds: [Stationary] {
    let rates = [(-1.5, "0.2"), (-4.1, "0.02"), (-5.5, "0.005")]
    guard isFull else { return rates.prefix(2).map { Stationary(base: $0.0, rate: $0.1) } }
    return rates.map { Stationary(base: $0.0, rate: $0.1) }
      + rates.map { Stationary(base: $0.0, rate: $0.1, clickWindow: "30m") }
      + rates.map { Stationary(base: $0.0, rate: $0.1, clickWindow: "30m", step: 2_000) }
  }

  private static var days: [Stationary] {
    var days: [Stationary] = []
    for (base, rate) in [(-1.5, "0.2"), (-4.1, "0.02")] {
      for features in [#"bias, ad, "features.*""#, #"bias, ad, "features.*", hour"#] {
        for step: Int64 in [200, 2_000] {
          days.append(
            Stationary(
              base: base, rate: rate, clickWindow: "30m", step: step, day: 0.3,
              features: features))
        }
      }
    }
    return days
  }

  private func alarms(_ world: Stationary, count: Int, seeds: Int) throws -> (Int, Int, Int) {
    var (clicks, conversions, changes) = (0, 0, 0)
    for seed in Self.firstSeed..<Self.firstSeed + UInt64(seeds) {
      let scene = try WatchScene(
        Self.settings, seed: seed, base: world.base, step: world.step, sinks: ["alerts"],
        clickWindow: world.clickWindow, features: world.features)
      let first = scene.market.count
      try scene.run(count) { i in
        let time = (first + i) * Int(world.step)
        return .init(shift: world.day * Self.sine(Double(time) / 86_400_000))
      }
      for alert in try scene.alerts("drift") where alert["feature"] == nil {
        if alert["severity"] as? String == "warning" {
          if alert["head"] as? String == "pctr" { clicks += 1 } else { conversions += 1 }
        } else if (alert["message"] as? String)?.hasPrefix("outcomes are more or less") == true {
          changes += 1
        }
      }
    }
    return (clicks, conversions, changes)
  }

  /// sin(2 π x), to 0.2 %, whatever the C library says of it.
  private static func sine(_ x: Double) -> Double {
    let part = x - x.rounded(.down)
    let half = part < 0.5 ? part : part - 0.5
    let hump = half * (0.5 - half)
    let value = 16 * hump / (1.25 - 4 * hump)
    return part < 0.5 ? value : -value
  }

  private func printAlarms(_ worlds: [Stationary], count: Int, seeds: Int) throws {
    print(
      "| clicks | label after | impressions a second | features | impressions "
        + "| alarms, clicks | conversions | information |")
    print("|---|---|---|---|---|---|---|---|")
    for world in worlds {
      let (clicks, conversions, changes) = try alarms(world, count: count, seeds: seeds)
      print(
        "| \(world.rate) | \(world.clickWindow) | \(1_000 / Double(world.step)) "
          + "| \(world.features.replacing("\"", with: "`")) | \(count * seeds) | \(clicks) "
          + "| \(conversions) | \(changes) |")
      if !Self.isFull { #expect(clicks + conversions == 0) }
    }
  }

  @Test func falseAlarms() throws {
    try printAlarms(
      Self.worlds, count: Self.isFull ? 2_000_000 : 20_000, seeds: Self.isFull ? 4 : 1)
  }

  /// A click rate that rises and falls with the day.
  @Test func daysAreTold() throws {
    try printAlarms(
      Self.isFull ? Self.days : Array(Self.days.prefix(1)),
      count: Self.isFull ? 2_000_000 : 10_000, seeds: Self.isFull ? 2 : 1)
  }

  // MARK: Recovery

  /// Mean excess of the log-loss over that of the true rates (Kullback–Leibler divergence), by how
  /// many impressions after the change; in thousandths of a nat.
  private func recovery(
    _ change: Change, _ more: String, seeds: Int, windows: [Int]
  ) throws -> [Double] {
    var sums = [Double](repeating: 0, count: windows.count)
    for seed in Self.firstSeed..<Self.firstSeed + UInt64(seeds) {
      let scene = try WatchScene(more, seed: seed, base: change.base, sinks: ["predictions"])
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
      ("watched only", "drift: { respond: false }"), ("keep: 0.1", ""),
      ("keep: 0.5", "drift: { keep: 0.5 }"), ("keep: 0", "drift: { keep: 0 }"),
      ("Platt, watched only", "calibration: platt\n    drift: { respond: false }"),
      ("Platt, keep: 0.1", "calibration: platt"),
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
