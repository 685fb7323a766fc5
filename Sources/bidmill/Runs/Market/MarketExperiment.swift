import Dispatch
import Events
import Learning
import Simulation
import Streaming
import Synchronization

/// The same world under many seeds: how much better than a constant bid, and how sure.
struct MarketExperiment {
  var world: MarketWorld
  var topology: CheckedTopology
  /// Seeds: the world's own and those after it.
  var count: Int
  var isQuiet: Bool

  struct Run: Sendable {
    var seed: UInt64
    var spend: Int64
    var roas: Double
    var baselineSpend: Int64
    var baselineROAS: Double
    var events: Int64
    /// Of whole days whose budget could be spent.
    var deviations: [Double]
    var overspends: [Overspend]
  }

  /// A day that cost more than its budget.
  struct Overspend: Sendable {
    var micros: Int64
    /// The most that was spent that day within one step and the latency.
    var bound: Int64
  }

  func run() throws -> ExperimentReport {
    let clock = SystemClock()
    let begun = clock.now()
    let results = Mutex<[Result<Run, any Error>]>([])
    let progress = ProgressLine(isQuiet: isQuiet)
    let (world, topology, count) = (world, topology, count)
    // One after the other where there is one processor; a run has no thread of its own.
    DispatchQueue.concurrentPerform(iterations: count) { index in
      var world = world
      world.seed &+= UInt64(index)
      let result = Result { try MarketExperiment.run(world, topology) }
      let done = results.withLock {
        $0.append(result)
        return $0.count
      }
      progress.show(Double(done) / Double(count)) { "\(done) of \(Text.plural(count, "seed"))" }
    }
    progress.end()
    let runs = try results.withLock { try $0.map { try $0.get() } }
    return ExperimentReport(
      runs: runs.sorted { $0.seed < $1.seed }, days: world.days,
      seconds: Double(max(clock.now() - begun, 1)) / 1000)
  }

  private static func run(_ world: MarketWorld, _ topology: CheckedTopology) throws -> Run {
    let loop = try ClosedLoop(world, topology: topology, archive: nil)
    try loop.run()
    let report = MarketReport(loop, baseline: ClosedLoop.baseline(world), seconds: 0)
    let days = report.campaigns.flatMap(\.countedDays)
    return Run(
      seed: world.seed, spend: report.total.spend.micros, roas: report.total.roas,
      baselineSpend: report.baseline.spend.micros, baselineROAS: report.baseline.roas,
      events: report.events, deviations: days.map(\.deviation),
      overspends: report.campaigns.flatMap(\.days).filter { $0.overspend > 0 }.map {
        Overspend(micros: $0.overspend, bound: $0.busiest.micros)
      })
  }
}

/// What many seeds say together.
struct ExperimentReport {
  var runs: [MarketExperiment.Run]
  var days: Int
  var seconds: Double

  /// Paired per seed: the mean of log(ROAS / ROAS of the constant bid), as a ratio, with the
  /// 95 % t-interval. Nil where a seed has no value or there is only one.
  var gain: (mean: Double, low: Double, high: Double)? {
    let logs = runs.compactMap { run -> Double? in
      guard run.roas > 0, run.baselineROAS > 0 else { return nil }
      return Elementary.log(run.roas / run.baselineROAS)
    }
    guard logs.count == runs.count, logs.count > 1 else { return nil }
    let n = Double(logs.count)
    let mean = logs.reduce(0, +) / n
    let variance = logs.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
    let radius = StudentT(degrees: n - 1).quantile(0.975) * (variance / n).squareRoot()
    return (
      Elementary.exp(mean), Elementary.exp(mean - radius), Elementary.exp(mean + radius)
    )
  }

  private var deviations: [Double] { runs.flatMap(\.deviations).sorted { abs($0) < abs($1) } }

  private func quantile(_ part: Double) -> Double? {
    guard !deviations.isEmpty else { return nil }
    return deviations[min(deviations.count - 1, Int(Double(deviations.count) * part))]
  }

  private var overspends: [MarketExperiment.Overspend] { runs.flatMap(\.overspends) }
  private var beyondBound: Int { overspends.count { $0.micros > $0.bound } }

  var text: String {
    var rows = [["seed", "spend", "ROAS", "fixed bid", "gain", "worst day"]]
    for run in runs {
      let worst = run.deviations.max { abs($0) < abs($1) }
      rows.append([
        "\(run.seed)", Text.money(micros: run.spend), Text.decimal(run.roas, places: 2),
        Text.decimal(run.baselineROAS, places: 2),
        run.baselineROAS > 0 ? Text.decimal(run.roas / run.baselineROAS, places: 2) + "x" : "",
        worst.map { MarketReport.signedPercent($0) } ?? "",
      ])
    }
    var text = Text.table(rows, Array(repeating: .right, count: 6)) + "\n"
    if let gain {
      text +=
        "ROAS over the fixed bid's: \(Text.decimal(gain.mean, places: 3))x, 95 % interval "
        + "\(Text.decimal(gain.low, places: 3))x to \(Text.decimal(gain.high, places: 3))x "
        + "(\(runs.count) seeds, paired, log ratio)\n"
    }
    if let middle = quantile(0.5), let most = quantile(0.95), let worst = deviations.last {
      text +=
        "Spend off the budget, \(Text.plural(deviations.count, "campaign day")): median "
        + "\(MarketReport.percent(abs(middle))), 95th percentile "
        + "\(MarketReport.percent(abs(most))), worst \(MarketReport.signedPercent(worst))\n"
    }
    let most = overspends.map(\.micros).max() ?? 0
    text +=
      "Overspend: \(Text.plural(overspends.count, "day")), at most \(Text.count(most)) micros; "
      + "\(beyondBound) beyond what is bought in one step and the latency\n"
    let events = runs.reduce(0) { $0 + $1.events }
    text +=
      "\(Text.plural(events, "event")) in \(Text.seconds(seconds)): "
      + "\(Text.count(Int64(Double(events) / max(seconds, 0.001)))) events/s\n"
    return text
  }

  var json: JSONText {
    .object([
      (
        "gain",
        gain.map {
          .object([
            ("mean", .number($0.mean)), ("low", .number($0.low)), ("high", .number($0.high)),
          ])
        } ?? .null
      ),
      (
        "deviation",
        .object([
          ("days", .count(deviations.count)),
          ("median", quantile(0.5).map { .number($0) } ?? .null),
          ("p95", quantile(0.95).map { .number($0) } ?? .null),
          ("worst", deviations.last.map { .number($0) } ?? .null),
        ])
      ),
      (
        "overspend",
        .object([
          ("days", .count(overspends.count)),
          ("most_micros", .count(overspends.map(\.micros).max() ?? 0)),
          ("beyond_bound", .count(beyondBound)),
        ])
      ),
      ("seconds", .number(seconds)),
      (
        "runs",
        .array(
          runs.map { run in
            .object([
              ("seed", .integer(Int64(clamping: run.seed))),
              ("events", .count(run.events)),
              ("spend", .number(Double(run.spend) / 1e6)),
              ("roas", .number(run.roas)),
              ("fixed_bid_spend", .number(Double(run.baselineSpend) / 1e6)),
              ("fixed_bid_roas", .number(run.baselineROAS)),
              ("worst_day", run.deviations.max { abs($0) < abs($1) }.map { .number($0) } ?? .null),
            ])
          })
      ),
    ])
  }
}
