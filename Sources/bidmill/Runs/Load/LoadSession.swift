import Events
import LocalLog
import Streaming
import Synchronization

/// Whether a load is to end early.
final class LoadStop: Sendable {
  private let thrown = Atomic<Bool>(false)

  var isThrown: Bool { thrown.load(ordering: .relaxed) }

  func throwIt() { thrown.store(true, ordering: .relaxed) }

  /// What events say of when they happened.
  static func wallClock() -> EventTime { EventTime(milliseconds: LocalLogOptions.wallClock()) }
}

/// A load on a topology: the log, the run where it is started here, and the phases.
final class LoadSession {
  struct Settings {
    var topology: CheckedTopology
    var plan: LoadPlan
    /// Of source topics that are made.
    var partitions: Int
    /// The sink that is watched; nil for bid parameters, or whatever there is.
    var sink: String?
    /// The arguments of the run that is started; nil where it is there already.
    var run: [String]?
    /// Search for the highest rate that is sustained, in steps of this length.
    var search: TimeSpan?
    /// How long a run that does nothing is waited for.
    var patience: TimeSpan
    var isQuiet = false
  }

  let transport: any LoadTransport
  let sink: CheckedTopology.Sink
  private let settings: Settings
  private let stop: LoadStop
  private let clock = SystemLoadClock()
  private let progress: ProgressLine
  private var child: ChildRun?

  init(_ settings: Settings, stop: LoadStop) throws {
    self.settings = settings
    self.stop = stop
    sink = try LoadSession.sink(settings.sink, of: settings.topology)
    transport = try LoadHome.open(settings.topology, partitions: settings.partitions)
    progress = ProgressLine(isQuiet: settings.isQuiet)
  }

  private static func sink(
    _ name: String?, of topology: CheckedTopology
  ) throws(Failure) -> CheckedTopology.Sink {
    let sinks = topology.sinks
    if let name {
      if let found = sinks.first(where: { $0.name == name }) { return found }
      throw Failure(
        .usage,
        "error: the topology has no sink \(name); it has "
          + sinks.map(\.name).joined(separator: ", "))
    }
    let other = sinks.enumerated().first { $0.offset != topology.deadLetterSink }?.element
    guard let found = sinks.first(where: { $0.name == "bid_parameters" }) ?? other ?? sinks.first
    else { throw Failure(.configuration, "error: the topology has no sink to watch") }
    return found
  }

  private var topic: String {
    switch sink.transport {
    case .log(let log): log.topic
    case .kafka(let kafka): kafka.topic
    case .files: sink.name
    }
  }

  /// All of the phases; fewer where the load was stopped.
  func run() throws -> LoadOutcome {
    defer { progress.end() }
    var outcome = LoadOutcome(
      topology: settings.topology, transport: transport.name, sink: sink.name,
      isChild: settings.run != nil)
    if let arguments = settings.run { child = try ChildRun(arguments) }
    try waitForRun()
    if let step = settings.search {
      try search(step, &outcome)
      guard !stop.isThrown, let most = outcome.sustained else { return try finish(&outcome) }
      var plan = settings.plan
      plan.rate = max(most / 2, 1)
      try take(phase(plan).run(), &outcome)
    } else {
      try take(phase(settings.plan).run(), &outcome)
    }
    return try finish(&outcome)
  }

  private func finish(_ outcome: inout LoadOutcome) throws -> LoadOutcome {
    progress.end()
    try child?.end()
    child = nil
    return outcome
  }

  private func take(_ result: LoadResult, _ outcome: inout LoadOutcome) throws {
    outcome.result = result
  }

  private func search(_ step: TimeSpan, _ outcome: inout LoadOutcome) throws {
    var search = RateSearch(from: settings.plan.rate)
    while let rate = search.next, !stop.isThrown {
      var plan = settings.plan
      plan.rate = rate
      plan.duration = step
      var phase = phase(plan)
      phase.secondsBehindMax = 3
      let result = try phase.run()
      outcome.steps.append(result)
      if let failure = result.failure { throw failure }
      // Nothing is learned of a run that gets less than it was to get.
      let isSustained = result.isSustained == true && result.isEmitterOnTime
      guard !stop.isThrown else { return }
      search.note(rate, isSustained: isSustained)
      outcome.sustained = search.sustained
      if !settings.isQuiet { say(result, isSustained) }
    }
  }

  private func say(_ result: LoadResult, _ isSustained: Bool) {
    let rate = Text.count(Int(result.plan.rate))
    let why =
      isSustained
      ? "sustained"
      : !result.isEmitterOnTime && !result.isOverloaded
        ? "the emitter made only \(Text.count(Int(result.achieved)))" : "lag grows"
    Terminal.error("\(rate) events/s: \(why)")
  }

  private func phase(_ plan: LoadPlan) -> LoadPhase<SystemLoadClock> {
    var phase = LoadPhase(
      clock: clock, transport: transport, plan: plan, topic: topic, stop: stop,
      patience: settings.patience)
    phase.runSeconds = { [child] in child?.processorSeconds }
    phase.checkRun = { [child] in try child?.check() }
    let progress = progress
    phase.show = { sample in
      progress.show(min(sample.seconds / plan.seconds, 1)) {
        "\(Text.count(Int(plan.rate))) events/s, \(Text.count(sample.emitted)) emitted, "
          + "lag \(Text.count(sample.lag))"
      }
    }
    return phase
  }

  // MARK: The run

  /// Emits a heartbeat everywhere and waits until it is processed: then somebody is at work, and
  /// through with what was there before.
  private func waitForRun() throws {
    let emissions = Emissions(first: try transport.ends())
    let target = try transport.target(emissions)
    let time = LoadStop.wallClock()
    let record = Array(#"{"type":"heartbeat","time":\#(time.milliseconds)}"#.utf8)
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    for topic in transport.topics.indices {
      for partition in 0..<transport.partitions {
        let place = LoadRecord(
          number: 0, topic: topic, partition: partition, time: time.milliseconds)
        try record.withUnsafeBytes { try target.append(place, key: none, value: $0) }
      }
    }
    try target.finish()
    let ends = emissions.ends
    var best = Int64.min
    var movedAt = clock.now()
    while !stop.isThrown {
      try child?.check()
      let committed = try transport.committed()
      if let committed, zip(committed, ends).allSatisfy({ $0 >= $1 }) { return }
      let sum = committed?.reduce(0, +) ?? 0
      if sum > best {
        best = sum
        movedAt = clock.now()
      }
      guard clock.now() - movedAt < settings.patience.milliseconds * 1_000_000 else {
        throw absent()
      }
      progress.show { "waiting for the run: \(Text.count(ends.reduce(0, +) - sum)) to go" }
      clock.sleep(milliseconds: 20)
    }
  }

  private func absent() -> Failure {
    Failure(
      .unavailable,
      "error: nobody has processed anything in \(transport.name) for "
        + "\(settings.patience.text), and nothing was "
        + "emitted but a heartbeat: is `bidmill run` with this topology at work? Start it first, or "
        + "let the load do so with --run")
  }
}

/// What came of a load.
struct LoadOutcome {
  var topology: CheckedTopology
  var transport: String
  var sink: String
  /// The run was started by the load, on the same machine.
  var isChild: Bool
  /// Of a search.
  var steps: [LoadResult] = []
  /// The highest rate that was sustained in them.
  var sustained: Double?
  /// The phase that latencies are of; nil where it did not come to that.
  var result: LoadResult?
}
