import Events
import Streaming

/// A load's result for people and for programs.
struct LoadReport {
  private let outcome: LoadOutcome
  private let result: LoadResult?

  init(_ outcome: LoadOutcome) {
    self.outcome = outcome
    result = outcome.result
  }

  private var commitMilliseconds: Double {
    Double(outcome.topology.topology.commit.every.milliseconds)
  }

  // MARK: For people

  var text: String {
    var text = "\(outcome.topology.topology.name) on \(outcome.transport)"
    text +=
      outcome.isChild
      ? "; the run is a process on this machine, beside the emitter (\(Machine.cores) cores)\n"
      : "\n"
    if !outcome.steps.isEmpty { text += "\n" + searchText }
    guard let result else { return text + "\nno latencies were measured\n" }
    return text + "\n" + loadText(result) + "\n" + latencyText(result)
  }

  private var searchText: String {
    var rows = [["events/s", "emitted", "mean lag", "lag grows by", "run's processors", ""]]
    for step in outcome.steps {
      let verdict =
        step.isSustained == true
        ? step.isEmitterOnTime ? "sustained" : "the emitter is too slow" : "not sustained"
      rows.append([
        Text.count(Int(step.plan.rate)), Text.count(Int(step.achieved)),
        step.trend.map { LoadReport.milliseconds($0.mean / step.plan.rate * 1000) } ?? "",
        step.trend.map { Text.decimal($0.slope / step.plan.rate * 1000, places: 1) + " ms/s" }
          ?? "",
        LoadReport.processors(step), verdict,
      ])
    }
    let most = outcome.sustained.map { "\(Text.count(Int($0))) events/s" } ?? "none of these rates"
    return Text.table(rows, [.right, .right, .right, .right, .right, .left])
      + "sustained: \(most)\n"
  }

  private func loadText(_ result: LoadResult) -> String {
    var rows: [[String]] = []
    let percent = Text.decimal(result.achieved / result.plan.rate * 100, places: 1)
    rows.append([
      "emitted",
      "\(Text.plural(result.emitted, "event")) in \(Text.seconds(result.seconds)): "
        + "\(Text.count(Int(result.achieved.rounded()))) events/s, \(percent) % of "
        + "\(Text.count(Int(result.plan.rate)))" + (result.isInterrupted ? ", interrupted" : ""),
    ])
    rows.append([
      "handed over",
      "late by \(LoadReport.milliseconds(result.delays.milliseconds(99))) at the 99th percentile, "
        + "\(LoadReport.milliseconds(result.delays.milliseconds(100))) at most"
        + (result.isEmitterOnTime ? "" : ": the emitter did not keep the rate"),
    ])
    rows.append([
      "processed",
      "\(Text.count(result.processed)) of \(Text.plural(result.records, "record")) "
        + "(heartbeats are one in every partition)",
    ])
    rows.append(["lag", lagText(result)])
    if let seconds = result.runSeconds {
      let each = seconds / Double(max(result.processed, 1)) * 1e6
      rows.append([
        "run",
        "\(LoadReport.processors(result)) processors, \(Text.decimal(each, places: 2)) µs an event",
      ])
    }
    rows.append([
      "published",
      "\(Text.plural(result.counts.all, "record")) of \(outcome.sink): "
        + "\(Text.count(result.counts.matched)) events caused one or more, "
        + "\(Text.count(result.counts.clock)) because time went on"
        + (result.counts.foreign > 0
          ? ", \(Text.count(result.counts.foreign)) of other events" : ""),
    ])
    return Text.table(rows, [.left, .left])
  }

  private func lagText(_ result: LoadResult) -> String {
    guard let trend = result.trend else { return "too short a time to tell" }
    let slope = trend.slope / result.plan.rate * 1000
    return "\(result.isSustained == true ? "flat" : "grows"): "
      + "\(Text.count(Int(trend.mean.rounded()))) records "
      + "(\(LoadReport.milliseconds(trend.mean / result.plan.rate * 1000))) on average, slope "
      + "\(Text.decimal(slope, places: 2)) ± "
      + "\(Text.decimal(trend.error / result.plan.rate * 1000, places: 2)) ms/s"
  }

  private func latencyText(_ result: LoadResult) -> String {
    var rows = [["latency from intended emission, ms"] + LoadReport.headings + ["events"]]
    for (name, latencies) in series(result) {
      rows.append(
        [name] + Latencies.reported.map { LoadReport.number(latencies.milliseconds($0.percentile)) }
          + [Text.count(latencies.count)])
    }
    rows.append(
      ["\(outcome.sink) beyond the commit interval"]
        + Latencies.reported.map { reported in
          LoadReport.number(
            result.published.milliseconds(reported.percentile).map { $0 - commitMilliseconds })
        } + [""])
    return Text.table(rows, [.left] + LoadReport.headings.map { _ in .right } + [.right])
      + "commits are \(outcome.topology.topology.commit.every.text) apart\n"
  }

  private func series(_ result: LoadResult) -> [(String, Latencies)] {
    [("\(outcome.sink) published", result.published), ("committed", result.committed)]
  }

  private static let headings = ["p50", "p90", "p99", "p99.9", "max"]

  private static func number(_ value: Double?) -> String {
    value.map { Text.decimal($0, places: 1) } ?? "-"
  }

  private static func milliseconds(_ value: Double?) -> String {
    value.map { Text.decimal($0, places: 1) + " ms" } ?? "-"
  }

  private static func processors(_ result: LoadResult) -> String {
    result.runSeconds.map { Text.decimal($0 / result.seconds, places: 2) } ?? "-"
  }

  // MARK: For programs

  var json: JSONText {
    .object([
      ("topology", .string(outcome.topology.topology.name)),
      ("transport", .string(outcome.transport)),
      ("sink", .string(outcome.sink)),
      ("run_is_child", .bool(outcome.isChild)),
      ("cores", .count(Machine.cores)),
      ("commit_interval_ms", .number(commitMilliseconds)),
      ("sustained_events_per_second", outcome.sustained.map { .number($0) } ?? .null),
      ("steps", .array(outcome.steps.map { .object(LoadReport.members($0)) })),
      ("load", result.map { .object(loadMembers($0)) } ?? .null),
    ])
  }

  private static func members(_ result: LoadResult) -> [(String, JSONText)] {
    func number(_ value: Double?) -> JSONText { value.map { .number($0) } ?? .null }
    return [
      ("rate", .number(result.plan.rate)),
      ("achieved", .number(result.achieved)),
      ("seconds", .number(result.seconds)),
      ("emitted", .count(result.emitted)),
      ("records", .count(result.records)),
      ("processed", .count(result.processed)),
      ("sustained", result.isSustained.map { .bool($0) } ?? .null),
      ("emitter_on_time", .bool(result.isEmitterOnTime)),
      ("interrupted", .bool(result.isInterrupted)),
      ("lag_mean", number(result.trend?.mean)),
      ("lag_slope_per_second", number(result.trend?.slope)),
      ("lag_slope_error", number(result.trend?.error)),
      ("run_cpu_seconds", number(result.runSeconds)),
      ("own_cpu_seconds", .number(result.ownSeconds)),
    ]
  }

  private func loadMembers(_ result: LoadResult) -> [(String, JSONText)] {
    LoadReport.members(result) + [
      (
        "published",
        .object([
          ("records", .count(result.counts.all)),
          ("events", .count(result.counts.matched)),
          ("more_of_the_same_events", .count(result.counts.more)),
          ("by_clock", .count(result.counts.clock)),
          ("of_other_events", .count(result.counts.foreign)),
        ])
      ),
      (
        "latency_ms",
        .object([
          ("published", LoadReport.json(result.published)),
          ("committed", LoadReport.json(result.committed)),
          ("handed_over", LoadReport.json(result.delays)),
        ])
      ),
      (
        "series",
        .array(
          result.thinned(to: 200).map {
            .object([
              ("seconds", .number($0.seconds)), ("emitted", .count($0.emitted)),
              ("lag", .integer($0.lag)),
            ])
          })
      ),
    ]
  }

  private static func json(_ latencies: Latencies) -> JSONText {
    .object(
      [("events", .count(latencies.count))]
        + Latencies.reported.map { reported in
          (
            reported.name,
            latencies.milliseconds(reported.percentile).map { .number($0) } ?? .null
          )
        })
  }
}

extension LoadResult {
  /// Every so-many-th sample.
  func thinned(to count: Int) -> [LoadWatch<SystemLoadClock>.Sample] {
    let every = max(1, (samples.count + count - 1) / count)
    return stride(from: 0, to: samples.count, by: every).map { samples[$0] }
  }
}
