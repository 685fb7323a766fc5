import Events
import Streaming

/// What `/metrics` says of a run.
struct RunMetrics {
  let run: RunningTopology
  /// Milliseconds since the Unix epoch.
  let now: Int64
  private let partitions: [PartitionStatus.Values]
  private let indexes: [Int]
  private let turns: [Int64]

  init(_ run: RunningTopology, now: Int64) {
    self.run = run
    self.now = now
    let statuses = run.partitions()
    partitions = statuses.map(\.current)
    indexes = statuses.map(\.index)
    turns = statuses.map(\.turns)
  }

  func write(to text: inout MetricsText) {
    writeBuild(to: &text)
    writePartitions(to: &text)
    writeLag(to: &text)
    writeRecords(to: &text)
    writeCommits(to: &text)
    writeState(to: &text)
    writeHotAccounts(to: &text)
    if let rebalances = run.rebalances() {
      text.add(
        "bidmill_rebalances_total", .counter,
        "Times that the group gave partitions to this process or took them.",
        rebalances)
    }
    run.clientMetrics(&text)
  }

  private func forEach(_ body: (PartitionStatus.Values, MetricsText.Labels) -> Void) {
    for (values, index) in zip(partitions, indexes) { body(values, [("partition", "\(index)")]) }
  }

  private func forEachReport(_ body: (PartitionReport, MetricsText.Labels) -> Void) {
    forEach { values, labels in
      if let report = values.report { body(report, labels) }
    }
  }

  private func writeBuild(to text: inout MetricsText) {
    text.add(
      "bidmill_build_info", .gauge, "1, with what is running as labels.", 1,
      [
        ("version", run.version), ("topology", run.topology.topology.name),
        ("topology_hash", String(run.topology.hash, radix: 16)),
      ])
    text.add(
      "bidmill_partitions", .gauge, "Partitions of the topology, in all processes.",
      Int64(run.partitionCount))
    text.add(
      "bidmill_partitions_assigned", .gauge, "Partitions at work in this process.",
      Int64(partitions.count { $0.phase != .done }))
  }

  private func writePartitions(to text: inout MetricsText) {
    text.begin("bidmill_partition_ready", .gauge, "1: caught up to its committed point.")
    forEach { text.sample($0.isReady ? 1 as Int64 : 0, $1) }
    text.begin(
      "bidmill_restore_progress_ratio", .gauge,
      "Part of the journal since the snapshot that has been processed again.")
    forEach { values, labels in
      let loaded = values.phase == .starting ? 0 : values.report?.restored
      text.sample(values.isReady ? 1 : loaded ?? 0, labels)
    }
    text.begin("bidmill_partition_turns_total", .counter, "Turns of the partition's loop.")
    for (index, turns) in zip(indexes, turns) {
      text.sample(turns, [("partition", "\(index)")])
    }
  }

  private func writeLag(to text: inout MetricsText) {
    text.begin(
      "bidmill_event_time_seconds", .gauge, "Event time that the partition has come to (Unix).")
    forEachReport { report, labels in
      if let clock = report.clock { text.sample(Double(clock.milliseconds) / 1e3, labels) }
    }
    text.begin(
      "bidmill_event_time_lag_seconds", .gauge, "How far that is behind this machine's clock.")
    forEachReport { report, labels in
      guard let clock = report.clock else { return }
      text.sample(Double(max(0, now - clock.milliseconds)) / 1e3, labels)
    }
    text.begin("bidmill_lag_records", .gauge, "Records in the log after the last commit.")
    for index in indexes {
      if let left = run.recordsLeft(index) { text.sample(left, [("partition", "\(index)")]) }
    }
    text.begin(
      "bidmill_input_waiting_seconds", .gauge,
      "How long an input that is not at its end has given nothing; the partition waits for it.")
    forEachReport { report, labels in
      for input in report.inputs {
        text.sample(
          Double(input.waitingMilliseconds) / 1e3,
          labels + [("source", input.source), ("topic", input.topic)])
      }
    }
    text.begin("bidmill_input_next_offset", .gauge, "Offset of the next record to take.")
    forEachReport { report, labels in
      for input in report.inputs {
        text.sample(
          input.nextOffset, labels + [("source", input.source), ("topic", input.topic)])
      }
    }
    text.begin(
      "bidmill_retention_headroom_records", .gauge,
      "Records between the log's beginning and the first that a restore would need.")
    for index in indexes {
      if let headroom = run.retentionHeadroom(index) {
        text.sample(headroom, [("partition", "\(index)")])
      }
    }
  }

  private func writeRecords(to text: inout MetricsText) {
    text.begin("bidmill_events_total", .counter, "Records taken, refused ones included.")
    forEachReport { text.sample($0.events, $1) }
    text.begin("bidmill_events_late_total", .counter, "Events older than the watermark.")
    forEachReport { text.sample($0.late, $1) }
    text.begin("bidmill_dead_letters_total", .counter, "Refused records, by reason.")
    forEachReport { report, labels in
      for (reason, count) in zip(RejectionReason.allCases, report.deadLetters) {
        text.sample(count, labels + [("reason", "\(reason.code)")])
      }
    }
    text.begin(
      "bidmill_operator_total", .counter,
      "What operators count: duplicates, late touches, published and clipped bids, and so on.")
    forEachReport { report, labels in
      for counter in report.counters {
        text.sample(
          counter.value, labels + [("operator", counter.step), ("counter", counter.name)])
      }
    }
    text.begin("bidmill_output_records_total", .counter, "Records made for each sink.")
    forEachReport { report, labels in
      for output in report.outputs {
        text.sample(output.records, labels + [("sink", output.sink)])
      }
    }
  }

  private func writeCommits(to text: inout MetricsText) {
    text.begin("bidmill_commits_total", .counter, "Commits of outputs, offsets and journal.")
    forEachReport { text.sample($0.commits, $1) }
    text.begin("bidmill_commit_number", .gauge, "Number of the partition's last commit.")
    forEach { text.sample($0.lastCommitted, $1) }
    text.begin(
      "bidmill_commit_duration_seconds", .histogram,
      "From the moment that a transaction is closed until its commit is known to be done.")
    let bounds = LatencyHistogram.boundsMilliseconds.map { Double($0) / 1e3 }
    forEachReport { report, labels in
      text.histogram(
        bounds: bounds, counts: report.commitLatency.counts,
        sum: Double(report.commitLatency.sumMilliseconds) / 1e3, labels)
    }
  }

  private func writeState(to text: inout MetricsText) {
    text.begin("bidmill_state_bytes", .gauge, "Rows in use, without their indexes.")
    forEachReport { report, labels in
      for part in report.stateBytes {
        text.sample(Int64(part.bytes), labels + [("operator", part.step)])
      }
    }
    text.begin(
      "bidmill_snapshot_commits_behind", .gauge,
      "Commits since the newest snapshot: what a restart would process again.")
    forEachReport { text.sample($0.commitsSinceSnapshot, $1) }
    text.begin(
      "bidmill_snapshot_age_seconds", .gauge,
      "Since this process finished its newest snapshot; absent before the first.")
    forEachReport { report, labels in
      guard let snapshot = report.snapshot else { return }
      text.sample(Double(snapshot.ageMilliseconds) / 1e3, labels)
    }
    text.begin("bidmill_snapshot_duration_seconds", .gauge, "What the newest snapshot took.")
    forEachReport { report, labels in
      guard let snapshot = report.snapshot else { return }
      text.sample(Double(snapshot.durationMilliseconds) / 1e3, labels)
    }
    text.begin(
      "bidmill_snapshot_bytes", .gauge, "Rows in the newest snapshot, before compression.")
    forEachReport { report, labels in
      if let snapshot = report.snapshot { text.sample(Int64(snapshot.bytes), labels) }
    }
    text.begin("bidmill_snapshots_failed_total", .counter, "Snapshots that could not be written.")
    forEachReport { text.sample($0.snapshotsFailed, $1) }
  }

  private func writeHotAccounts(to text: inout MetricsText) {
    text.begin(
      "bidmill_hot_account_events", .gauge,
      "The accounts with the most events in the last minute; at least so many.")
    forEachReport { report, labels in
      for hot in report.hotAccounts {
        text.sample(hot.events, labels + [("account", hot.account)])
      }
    }
  }
}

extension PartitionStatus.Values {
  /// Its state is restored and has caught up to the committed point.
  var isReady: Bool { phase == .running && !isRecovering }
}
