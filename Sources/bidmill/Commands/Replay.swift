import ArgumentParser
import Events
import KafkaLog
import LocalLog
import Streaming

struct Replay: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Take a topology over a history, as fast as it goes.",
    discussion: """
      Reads JSON Lines files (plain or .zst), directories of them, a local log, or standard input \
      (`-`), or topics on Kafka from their beginning (or --start) to the end that they have now; they \
      stand in for every source of the topology. Without --from the topology's own files, local log \
      or topics are read. Several inputs are merged by event time; but a log that the \
      topology has run on is gone through as its journal says, up to what was committed, unless \
      --no-journal, --until or --speed is given.

      Writes into --out: <sink>.jsonl for each sink, dead_letters.jsonl with every refused record \
      and the reason, and summary.json. The same input gives the same bytes, but for the times in \
      summary.json. In several partitions an account's records are the same, but for `source`.

        bidmill replay Topologies/tally.yaml --from events.jsonl --out results
        bidmill replay Topologies/tally.yaml --from day1.jsonl.zst day2.jsonl.zst --out results \\
          --partitions 2 --set operators.totals.every=1h
        bidmill replay Topologies/tally.yaml --from data --out results --until 2026-01-03T00:00:00Z
        bidmill replay Topologies/tally.yaml --from kafka:events --brokers localhost:9092 \\
          --out results
      """)

  @OptionGroup var topology: TopologyOptions

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Files, directories of *.jsonl and *.jsonl.zst, one local log, `kafka:TOPIC[,TOPIC…]`, or `-`.",
      valueName: "path"),
    completion: .file())
  var from: [String] = []

  @Option(
    help: ArgumentHelp(
      "Where the topics on Kafka are (default: where the topology's sources are).",
      valueName: "host:port"))
  var brokers: String?

  @Option(
    help: ArgumentHelp(
      "Kafka: begin at the first record with this timestamp or a later one, or at `offset:N` of "
        + "each partition.", valueName: "time"))
  var start: PositionArgument?

  @Option(help: ArgumentHelp("Where the results go.", valueName: "dir"), completion: .directory)
  var out: String

  @Option(
    help: ArgumentHelp(
      "Split files into partitions by account (default: 1). A log has its own.", valueName: "n"))
  var partitions: Int?

  @Option(help: ArgumentHelp("Threads (default: one a core).", valueName: "n"))
  var workers: Int?

  @Option(
    help: ArgumentHelp(
      "Stop before the first event at or after this time (RFC 3339, or ms since 1970); Kafka: or "
        + "before `offset:N` of each partition.", valueName: "time"))
  var until: PositionArgument?

  @Option(
    help: ArgumentHelp("Event time per time: `60x` is a minute a second.", valueName: "factor"))
  var speed: SpeedArgument?

  @Option(
    help: ArgumentHelp(
      "Go on from this snapshot (one for each partition, all of the same log).", valueName: "file"),
    completion: .file())
  var fromSnapshot: [String] = []

  @Option(
    help: ArgumentHelp("Write a snapshot of each partition at the end.", valueName: "dir"),
    completion: .directory)
  var snapshotAtEnd: String?

  @Flag(help: "Replace the results of an earlier replay.")
  var overwrite = false

  @Flag(help: "Write <sink>.jsonl.zst.")
  var compress = false

  @Flag(help: "Merge a log's topics by event time even where it has a journal.")
  var noJournal = false

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let partitions, !(1...4096).contains(partitions) {
      throw ValidationError("--partitions is 1 to 4096, not \(partitions).")
    }
    if let workers, !(1...1024).contains(workers) {
      throw ValidationError("--workers is 1 to 1024, not \(workers).")
    }
    guard !from.isEmpty, !from.contains(where: { $0.hasPrefix("kafka:") }) else { return }
    var isOffset = false
    if case .offset = until { isOffset = true }
    if brokers != nil || start != nil || isOffset {
      throw ValidationError(
        "--brokers, --start and offsets are for `--from kafka:TOPIC`, not for files and logs.")
    }
  }

  private var untilTime: EventTime? {
    if case .time(let time) = until { time } else { nil }
  }

  private var end: KafkaRange.Position? {
    if case .offset(let offset) = until { .offset(offset) } else { nil }
  }

  func run() throws {
    let checked = try topology.load()
    let results = ResultDirectory(path: out)
    try results.prepare(overwrite: overwrite)
    let summary = try ReplayPlan(
      topology: checked, from: from,
      destination: FileReplay.Destination(
        directory: out, overwrite: overwrite, compress: compress),
      partitions: partitions, workers: workers, until: untilTime, speed: speed?.factor,
      fromSnapshots: fromSnapshot, snapshotDirectory: snapshotAtEnd, followsJournal: !noJournal,
      isQuiet: report.quiet, brokers: brokers, start: start?.inTopic, end: end
    ).run()
    try results.write(summary)
    if report.json { return try Terminal.output(summary.json.pretty) }
    let suffix = compress ? ".jsonl.zst" : ".jsonl"
    try Terminal.output(summary.table { results.file($0 + suffix) })
  }
}
