import Benchmark
import Events
import LocalLog
import Operators
import Simulation
import Streaming
import Support

// For comparing one change with another on one machine:
//
//     make bench                          run everything, then check what is counted
//     make bench FILTER='decode.*'        some of it
//     swift package --package-path Benchmarks --allow-writing-to-package-directory \
//       benchmark baseline update before  keep a run on this machine under a name …
//     swift package --package-path Benchmarks benchmark baseline compare before
//
// Wall time and throughput are reported and gate nothing: machines differ, and this one has other
// things to do. Instructions come from the processor's counters and read 0 where a virtual
// machine hides them; what gates is counted without them (Tools/Measure/Counting.swift).

let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.wallClock, .throughput, .instructions], warmupIterations: 2,
    scalingFactor: .kilo, maxDuration: .seconds(3), maxIterations: 1_000)
  decoding()
  encoding()
  replaying()
  logging()
  snapshots()
}

/// Records per iteration: throughput is shown per record.
private let unit = 1_000

/// Good records of a type, or of all.
private func block(of type: EventType? = nil) -> RecordBlock {
  var taken = 0
  return RecordBlock(Histories.settings(records: 30_000)) {
    guard taken < unit, $0.rejection == nil, type == nil || type == $0.type else { return false }
    taken += 1
    return true
  }
}

@Sendable private func decoding() {
  for (name, type) in [
    ("impressions", .impression), ("clicks", .click), ("mixed", nil),
  ] as [(String, EventType?)] {
    Benchmark("decode \(name)") { benchmark in
      let records = block(of: type)
      var decoder = EventDecoder()
      let batch = EventBatch(capacity: 256)
      benchmark.startMeasurement()
      for _ in 0..<benchmark.scaledIterations.count / unit {
        blackHole(Jobs.decode(records, &decoder, batch))
      }
    }
  }
  Benchmark("decode: the same bytes, memchr for line ends") { benchmark in
    let records = block()
    benchmark.startMeasurement()
    for _ in 0..<benchmark.scaledIterations.count / unit { blackHole(Jobs.findLineEnds(records)) }
  }
  Benchmark("decode: the same bytes, a plain read") { benchmark in
    let records = block()
    benchmark.startMeasurement()
    for _ in 0..<benchmark.scaledIterations.count / unit { blackHole(Jobs.readPlainly(records)) }
  }
}

@Sendable private func encoding() {
  for (name, write) in [
    ("tally", Records.tally), ("dead letter", Records.deadLetter),
  ] as [(String, @Sendable (inout JSONWriter, Int) -> Void)] {
    Benchmark("encode \(name)") { benchmark in
      var json = JSONWriter(capacity: 1 << 20)
      benchmark.startMeasurement()
      for number in benchmark.scaledIterations {
        write(&json, number)
        if number % 256 == 0 { json.removeAll() }
      }
      blackHole(json.count)
    }
  }
}

/// Files are made once and kept in memory where the system has such a place.
private let directory = "/dev/shm/bidmill-bench"
private let replayRecords = 100_000

@Sendable private func replaying() {
  Benchmark(
    "replay tally.yaml, 100k events of JSON Lines",
    configuration: .init(scalingFactor: .one, maxIterations: 20)
  ) { benchmark in
    System.makeDirectory(directory)
    let file = "\(directory)/events-\(replayRecords).jsonl"
    try Histories.write(Histories.settings(records: replayRecords), to: file)
    let topology = try Jobs.tally()
    benchmark.startMeasurement()
    blackHole(try Jobs.replay(topology, file: file, to: directory + "/out").records)
  }
}

@Sendable private func logging() {
  Benchmark(
    "local log: append 100k events (31 MB)",
    configuration: .init(scalingFactor: .one, maxIterations: 20)
  ) { benchmark in
    System.makeDirectory(directory)
    System.shell("rm -rf '\(directory)/appended'")
    let records = RecordBlock(Histories.settings(records: replayRecords))
    benchmark.startMeasurement()
    try Jobs.append(records, toNewLog: directory + "/appended")
  }
  Benchmark(
    "local log: read 100k events (31 MB)",
    configuration: .init(scalingFactor: .one, maxIterations: 20)
  ) { benchmark in
    System.makeDirectory(directory)
    let log = directory + "/log-\(replayRecords)"
    try Jobs.fill(log: log, Histories.settings(records: replayRecords), partitions: 1)
    benchmark.startMeasurement()
    blackHole(try Jobs.read(log: log))
  }
}

@Sendable private func snapshots() {
  Benchmark(
    "snapshot and restore of 256 MiB",
    configuration: .init(
      metrics: [.pauseMax, .pauseQuantile, .snapshotTime, .restoreTime], warmupIterations: 0,
      scalingFactor: .one, maxDuration: .seconds(60), maxIterations: 3)
  ) { benchmark in
    let events = Int64(256) * 1024 * 1024 / 16 * 15 / 32
    let result = try SnapshotRun.run(events: events, directory: "/tmp/bidmill-bench") { _ in }
    benchmark.measurement(.pauseMax, Int(result.during.longest * 1000))
    benchmark.measurement(.pauseQuantile, Int(result.during.quantile(0.99) * 1000))
    benchmark.measurement(.snapshotTime, Int(result.snapshotSeconds * 1000))
    benchmark.measurement(.restoreTime, Int(result.restoreSeconds * 1000))
  }
}

extension BenchmarkMetric {
  static var pauseMax: Self { .custom("longest step during it (us)", useScalingFactor: false) }
  static var pauseQuantile: Self { .custom("p99 step during it (us)", useScalingFactor: false) }
  static var snapshotTime: Self { .custom("taking it (ms)", useScalingFactor: false) }
  static var restoreTime: Self { .custom("restoring it (ms)", useScalingFactor: false) }
}
