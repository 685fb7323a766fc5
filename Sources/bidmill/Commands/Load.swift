import ArgumentParser
import Events
import Simulation
import Streaming

struct Load: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Put load on a running topology and measure what it does.",
    discussion: """
      Emits events at a fixed rate into the sources of TOPOLOGY, in the local log or on Kafka, \
      whether or not the run that is at work there keeps up, and reads what it publishes. The \
      latency of an event is the time from the moment at which it was to be emitted to the arrival \
      of the first record of the sink that names it as its source: an emitter that is late, or a \
      run that stands still, shows. Only events that something was published because of have one; \
      `committed` is the same for every event, to the commit that it is in (in a local log; on \
      Kafka every 50 ms is looked).

      The events are those of `bidmill generate`, at the present time, keyed by account; they stay \
      in the log. Nothing of them repeats what an earlier load has emitted.

      --find-max doubles and then bisects the rate until lag grows, and measures latencies at half \
      of what was sustained. --read-only emits nothing and reads the sources as fast as it goes.

        bidmill load Topologies/live.yaml --rate 20000 --duration 30s --run
        bidmill load Topologies/live.yaml --rate 20000 --find-max --run --plot load.svg
        bidmill load on-kafka.yaml --rate 5000 --duration 1m --json
        bidmill load on-kafka.yaml --read-only

      ^C ends it early; what was measured until then is reported.
      """)

  @OptionGroup var topology: TopologyOptions

  @Option(help: ArgumentHelp("Events a second.", valueName: "n"))
  var rate = 10_000.0

  @Option(help: ArgumentHelp("How long latencies are measured.", valueName: "duration"))
  var duration = DurationArgument(.seconds(30))

  @Option(help: ArgumentHelp("Load before that, counted but not measured.", valueName: "duration"))
  var warmUp = DurationArgument(.seconds(3))

  @Flag(
    name: .customLong("run"),
    help: "Start `bidmill run` for it, as a process on this machine, and end it afterwards.")
  var startsRun = false

  @Option(help: ArgumentHelp("With --run: its threads.", valueName: "n"))
  var workers: Int?

  @Flag(help: "Look for the highest rate that is sustained, and measure at half of it.")
  var findMax = false

  @Option(
    help: ArgumentHelp("With --find-max: how long each rate is tried.", valueName: "duration"))
  var step = DurationArgument(.seconds(8))

  @Option(help: ArgumentHelp("What is waited for (default: bid_parameters).", valueName: "sink"))
  var sink: String?

  @Option(
    help: ArgumentHelp(
      "Of source topics that a local log has not got yet (default: one a core).", valueName: "n"))
  var partitions: Int?

  @Option(
    help: ArgumentHelp("How long a run that does nothing is waited for.", valueName: "duration"))
  var patience = DurationArgument(.seconds(15))

  @OptionGroup var population: PopulationOptions

  @Option(
    help: ArgumentHelp("Draw latencies, lag and rate.", valueName: "file.svg"),
    completion: .file(extensions: ["svg"]))
  var plot: String?

  @Flag(help: "Emit nothing: read the sources as fast as it goes, and tell how fast that was.")
  var readOnly = false

  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard rate.isFinite, (1...10e6).contains(rate) else {
      throw ValidationError("--rate is 1 to 10000000 events a second, not \(rate).")
    }
    for (name, span) in [
      ("duration", duration.span), ("step", step.span), ("patience", patience.span),
    ]
    where !(1000...86_400_000).contains(span.milliseconds) {
      throw ValidationError("--\(name) is 1s to 24h, not \(span.text).")
    }
    guard (0...3_600_000).contains(warmUp.span.milliseconds) else {
      throw ValidationError("--warm-up is 0s to 1h, not \(warmUp.span.text).")
    }
    let seconds = Double(warmUp.span.milliseconds + duration.span.milliseconds) / 1000
    guard rate * seconds < Double(Emissions.countMax) else {
      throw ValidationError("These are more than \(Text.count(Emissions.countMax)) events.")
    }
    for (name, value) in [("workers", workers), ("partitions", partitions)] {
      if let value, !(1...1024).contains(value) {
        throw ValidationError("--\(name) is 1 to 1024, not \(value).")
      }
    }
    if workers != nil, !startsRun { throw ValidationError("--workers goes with --run.") }
    if readOnly, startsRun || findMax || plot != nil {
      throw ValidationError("--read-only goes without --run, --find-max and --plot.")
    }
  }

  func run() throws {
    let stop = LoadStop()
    SignalWatch.begin { _ in
      Terminal.error("stopping: what was emitted is waited for; a second signal ends at once")
      stop.throwIt()
    }
    let checked = try topology.load()
    if let plot { try LoadPlot.check(plot) }
    if readOnly { return try read(checked, stop) }
    let session = try LoadSession(settings(checked), stop: stop)
    let outcome = try session.run()
    if let plot, let result = outcome.result {
      try TextFile.replace(plot, with: LoadPlot(outcome, result).svg)
    }
    let report = LoadReport(outcome)
    try Terminal.output(self.report.json ? report.json.pretty : report.text)
    try check(outcome)
  }

  private func settings(_ checked: CheckedTopology) -> LoadSession.Settings {
    var plan = LoadPlan(rate: rate, warmUp: warmUp.span, duration: duration.span)
    // Many users: at high rates few would be seen again and again.
    plan.history.accounts = 20
    plan.history.usersPerAccount = 100_000
    population.apply(to: &plan.history)
    var settings = LoadSession.Settings(
      topology: checked, plan: plan, partitions: partitions ?? Machine.cores,
      patience: patience.span)
    settings.sink = sink
    settings.search = findMax ? step.span : nil
    settings.isQuiet = report.quiet
    if startsRun {
      settings.run =
        [topology.topology, "--quiet", "--end-with-parent", "--http", "off"]
        + topology.overrides.flatMap { ["--set", $0] }
        + (workers.map { ["--workers", "\($0)"] } ?? [])
    }
    return settings
  }

  /// A report was made; was the load what it was to be?
  private func check(_ outcome: LoadOutcome) throws {
    guard let result = outcome.result else { return }
    if let failure = result.failure {
      throw Failure(
        .unavailable,
        "error: \(failure.message); the load ended after \(Text.plural(result.emitted, "event"))")
    }
    if result.isStalled {
      throw Failure(
        .unavailable,
        "error: the run stopped processing: \(Text.count(result.records - result.processed)) of "
          + "\(Text.plural(result.records, "record")) are left. Is it still there?")
    }
  }

  // MARK: Reading only

  private func read(_ checked: CheckedTopology, _ stop: LoadStop) throws {
    let transport = try LoadHome.open(checked, partitions: partitions ?? Machine.cores)
    let clock = SystemLoadClock()
    let begun = (at: clock.now(), cpu: ProcessorTime.ofThisProcess())
    var (records, bytes): (Int64, Int64) = (0, 0)
    let progress = ProgressLine(isQuiet: report.quiet)
    try transport.readAll {
      records += $0
      bytes += $1
      progress.show { "\(Text.plural(records, "record"))" }
      return !stop.isThrown
    }
    progress.end()
    let seconds = Double(max(clock.now() - begun.at, 1)) / 1e9
    let cpu = ProcessorTime.ofThisProcess() - begun.cpu
    let rate = Double(records) / seconds
    if report.json {
      let json = JSONText.object([
        ("records", .integer(records)), ("bytes", .integer(bytes)), ("seconds", .number(seconds)),
        ("records_per_second", .number(rate)), ("cpu_seconds", .number(cpu)),
      ])
      return try Terminal.output(json.pretty)
    }
    try Terminal.output(
      "\(transport.name): \(Text.plural(records, "record")), \(Text.bytes(bytes)) in "
        + "\(Text.seconds(seconds)): \(Text.count(Int64(rate))) records/s, "
        + "\(Text.seconds(cpu)) of processor time\n")
  }
}
