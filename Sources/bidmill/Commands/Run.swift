import ArgumentParser
import Events
import LocalLog
import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a topology on a local log or on Kafka, for good.",
    discussion: """
      Consumes the topics of the sources as they grow and publishes to the topics of the sinks, in \
      the same log directory or on the same Kafka cluster. Outputs and positions are committed together: after a crash the next \
      run goes on where the last commit stands, and no record is published twice. Snapshots go to \
      the directory that the topology names.

      While it works it answers over HTTP, on 127.0.0.1:8080 unless --http says otherwise: \
      /health/live, /health/ready, /metrics, /v1/accounts/A/campaigns/C/ads/D; and it takes events \
      in (POST /v1/events). The README explains each.

      SIGTERM and SIGINT (^C) drain, commit, take a last snapshot and end with 0; a second one ends \
      at once. On a local log one run of a topology at a time: another one is refused with 69. On \
      Kafka as many as there are partitions share them out, more stand by, and what one of them \
      leaves or loses the others take over.

        bidmill log import data --topic events --partitions 4 events.jsonl
        bidmill run Topologies/tally.yaml
        bidmill run Topologies/tally.yaml --exit-when-idle 2s --json
        bidmill log cat data tallies --limit 5
        bidmill topics create on-kafka.yaml --apply && bidmill run on-kafka.yaml
      """)

  @OptionGroup var topology: TopologyOptions

  @Option(help: ArgumentHelp("Threads (default: one a core).", valueName: "n"))
  var workers: Int?

  @Option(
    help: ArgumentHelp(
      "End once everything is processed and nothing new has come for so long.",
      valueName: "duration"))
  var exitWhenIdle: DurationArgument?

  @Flag(help: "Begin with empty state where the log no longer holds what it was made of.")
  var acceptLoss = false

  @Flag(
    help: ArgumentHelp(
      "Make state anew from the log's beginning, under the topology as it is now.",
      discussion: """
        Follows the journal to the last commit with outputs off, keeps that state as a snapshot, and \
        publishes bid parameters and tallies again, with rising `seq`. Attributions stay as they \
        were published. The log and its journal must be there from their beginning. Once is enough: \
        leave it out when the run is started again.
        """))
  var rebuild = false

  @Option(
    help: ArgumentHelp(
      "On Kafka: learn first from this recording (`bidmill log record`), then go on behind it.",
      discussion: """
        For partitions of which nothing is committed yet: the recorded topics are taken as a replay \
        takes them, nothing is published of them, the state is kept as a snapshot, and the topics \
        are read from the offsets at which the recording ended. Where there are commits it is not \
        read.
        """, valueName: "dir"), completion: .directory)
  var warmFrom: String?

  @Option(
    help: ArgumentHelp(
      "On Kafka: a name that this process keeps over restarts; no two may have the same.",
      discussion: """
        Its partitions then wait for it, for the client's session.timeout.ms (10 s), instead of \
        being shared out anew.
        """, valueName: "name"))
  var instance: String?

  @Option(
    help: ArgumentHelp(
      "On Kafka: how long the state of a partition that went away stays in memory.",
      discussion: "Should it come back unchanged, it goes on without a restore.",
      valueName: "duration"))
  var warmFor = DurationArgument(.minutes(5))

  /// For those who start a run and may be killed: without them it ends as it does on SIGTERM.
  @Flag(help: .hidden)
  var endWithParent = false

  @OptionGroup var service: ServiceOptions

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let workers, !(1...1024).contains(workers) {
      throw ValidationError("--workers is 1 to 1024, not \(workers).")
    }
    if rebuild, warmFrom != nil {
      throw ValidationError(
        "--rebuild makes state from the log's beginning, --warm-from from a recording; give one.")
    }
  }

  func run() throws {
    let stop = StopSwitch()
    let leave = StopSwitch()
    let isOrdered = endWithParent
    SignalWatch.begin { _ in
      leave.throwIt()
      stop.throwIt()
      guard !isOrdered else { return }
      Terminal.error("stopping: committing what is done; a second signal ends at once")
    }
    let parent = getppid()
    let orphaned =
      endWithParent
      ? Ticker(milliseconds: 500) { if getppid() != parent { stop.throwIt() } } : nil
    defer { orphaned?.stop() }
    let checked = try topology.load()
    let answering = try RunService.start(service, isQuiet: report.quiet)
    if let answering { leave.connect { answering.beginStopping() } }
    defer { answering?.stop() }
    var live = LiveRun(
      topology: checked, workers: workers, acceptLoss: acceptLoss, instance: instance,
      warmFor: warmFor.span, exitWhenIdle: exitWhenIdle?.span, isQuiet: report.quiet)
    live.service = answering
    if let warmFrom { live.history = try history(warmFrom, of: checked) }
    if rebuild { live.rebuild = RebuildProgress() }
    live.onStart = { stop.connect($0) }
    let outcome = try live.run()
    if outcome.isRecovering {
      Terminal.error("stopped before the past was processed again; the next run goes on with it")
    }
    if report.json { return try Terminal.output(Self.json(outcome).pretty) }
    let topics = Dictionary(
      checked.outputs.map { ($0.sink, "topic \($0.topic)") }, uniquingKeysWith: { a, _ in a })
    try Terminal.output(outcome.summary.table { topics[$0] ?? "" })
  }

  private func history(
    _ directory: String, of checked: CheckedTopology
  ) throws -> LocalLogStore {
    guard case .kafka? = checked.topology.sources.first?.transport else {
      throw Failure(
        .usage,
        "error: --warm-from is for topologies on Kafka; a local log begins with what was imported "
          + "into it")
    }
    return try LocalLogStore.open(directory)
  }

  private static func json(_ outcome: LiveRun.Outcome) -> JSONText {
    guard case .object(var members) = outcome.summary.json else { return outcome.summary.json }
    members.append(("events_in_run", .count(outcome.summary.eventsInRun)))
    members.append(("commits", .count(outcome.commits)))
    return .object(members)
  }
}
