import Events

/// What a partition's worker notes for its reports, beside state: nothing that is decided in the
/// partition depends on it. Costs nothing per event.
package final class PartitionMeter {
  /// Where counts stood when this process went on from the committed point.
  struct Baseline {
    var events: Int64
    var late: Int64
    var commits: Int64
    var counters: [Int64]
    var outputs: [Int]
  }

  static let reportEvery: Int64 = 1_000
  /// An input that is not at its end and gives nothing for so long is spoken of.
  static let patienceMilliseconds: Int64 = 30_000
  static let hotAccountsMax = 5

  var phase = PartitionStatus.Phase.starting
  var baseline: Baseline?
  var commitLatency = LatencyHistogram()
  var snapshot: (number: Int64, finishedAt: Int64, duration: Int64, bytes: Int)?
  var snapshotsFailed: Int64 = 0
  /// Inputs whose silence was spoken of.
  var silent: Set<Int> = []
  private(set) var report: PartitionReport?
  private var reportedAt: Int64?

  /// Takes the newest report; nil when it was taken.
  func take() -> PartitionReport? {
    defer { report = nil }
    return report
  }

  func isDue(_ now: Int64) -> Bool {
    reportedAt.map { now - $0 >= PartitionMeter.reportEvery } ?? true
  }

  func set(_ report: PartitionReport, now: Int64) {
    self.report = report
    reportedAt = now
  }
}

extension PartitionRunner {
  /// Notes where counts begin, and once a second makes a report of how it goes (live runs only).
  func tendReport(now: Int64) {
    guard options.mode == .live else { return }
    if meter.baseline == nil, !isRecovering { meter.baseline = baseline }
    guard meter.isDue(now) else { return }
    watchInputs(now: now)
    meter.set(report(now: now), now: now)
  }

  private var baseline: PartitionMeter.Baseline {
    let engine = core.state[0]
    return PartitionMeter.Baseline(
      events: engine.records, late: engine.late, commits: lastCommitted,
      counters: core.counters.map(\.value),
      outputs: core.graph.sinkNames.indices.map {
        core.graph.target.counts[$0]
      })
  }

  /// Says once that an input has gone silent, and that it is back.
  private func watchInputs(now: Int64) {
    for (index, input) in sequencer.inputReports(now: now).enumerated() {
      let isSilent = input.waitingMilliseconds >= PartitionMeter.patienceMilliseconds
      guard isSilent != meter.silent.contains(index) else { continue }
      if isSilent {
        meter.silent.insert(index)
        options.notify(
          Notice(
            .warning, partition: options.partition,
            "\(input.topic) partition \(input.partition) has given nothing for "
              + "\(input.waitingMilliseconds / 1000) s although it is not at its end; the "
              + "partition waits for it at offset \(input.nextOffset)"))
      } else {
        meter.silent.remove(index)
        options.notify(
          Notice(
            .info, partition: options.partition,
            "\(input.topic) partition \(input.partition) gives records again"))
      }
    }
  }

  package func report(now: Int64) -> PartitionReport {
    let engine = core.state[0]
    let base = meter.baseline
    var report = PartitionReport()
    report.epoch = epoch
    report.clock = core.tick < 0 ? nil : core.clock
    report.inputs = sequencer.inputReports(now: now)
    report.restored = recoveredPart
    report.stateBytes = core.store.byteCounts.map { ($0.section, $0.bytes) }
    report.commitLatency = meter.commitLatency
    report.snapshotsFailed = meter.snapshotsFailed
    report.commitsSinceSnapshot = max(0, lastCommitted - max(newestSnapshot, 0))
    report.deadLetters = core.deadLetters
    report.snapshot = meter.snapshot.map {
      PartitionReport.Snapshot(
        number: $0.number, ageMilliseconds: max(0, now - $0.finishedAt),
        durationMilliseconds: $0.duration, bytes: $0.bytes)
    }
    report.hotAccounts = core.hotAccounts.top(PartitionMeter.hotAccountsMax, now: now).map {
      PartitionReport.HotAccount(
        account: core.directory.accounts.name($0.row).string, events: $0.events)
    }
    if let base {
      report.events = engine.records - base.events
      report.late = engine.late - base.late
      report.commits = lastCommitted - base.commits
    }
    report.counters = zip(core.counters, 0...).map { counter, i in
      let dot = counter.name.firstIndex(of: ".") ?? counter.name.endIndex
      return (
        String(counter.name[..<dot]), String(counter.name[dot...].dropFirst()),
        base.map { counter.value - $0.counters[i] } ?? 0
      )
    }
    report.outputs = zip(core.graph.sinkNames, 0...).map { name, i in
      (name, base.map { Int64(core.graph.target.counts[i] - $0.outputs[i]) } ?? 0)
    }
    return report
  }
}
