import Events
import Streaming
import Synchronization

/// A load at one rate, from its first event until the run is through with it.
struct LoadPhase<Clock: LoadClock> {
  var clock: Clock
  var transport: any LoadTransport
  var plan: LoadPlan
  /// The sink's topic.
  var topic: String
  var stop: LoadStop
  /// Nothing is committed for so long while something waits: nobody is at work.
  var patience: TimeSpan
  /// Ends a phase of a search as soon as so many seconds of events wait.
  var secondsBehindMax: Double?
  /// Processor seconds of the run so far, where it is ours.
  var runSeconds: () -> Double? = { nil }
  /// Throws where the run has ended.
  var checkRun: () throws -> Void = {}
  var show: (LoadWatch<Clock>.Sample) -> Void = { _ in }

  /// Between the phase's beginning and its first event, at least.
  private static var prelude: Int64 { 50_000_000 }

  func run() throws -> LoadResult {
    let first = try transport.ends()
    let emissions = Emissions(first: first)
    let begun = clock.now()
    let routes = LoadRoutes(
      plan.history, topics: transport.topics, partitions: transport.partitions,
      partitionOf: transport.partition)
    // The emitter makes a generator too before it begins.
    let prelude = Self.prelude + 2 * (clock.now() - begun)
    let start = clock.now() + prelude
    let schedule = LoadSchedule(start: start, rate: plan.rate, count: plan.count)
    let history = plan.settings(from: LoadStop.wallClock() + .milliseconds(prelude / 1_000_000))
    var watch = LoadWatch(
      clock: clock, schedule: schedule, firstMeasured: plan.firstMeasured, emissions: emissions,
      source: SourceReader(topics: transport.topics, partitions: transport.partitions),
      observation: try transport.observation(of: topic), lookEvery: transport.lookEvery)
    let progress = EmitterProgress()
    let target = Handed(try transport.target(emissions))
    let failure = Mutex<LogError?>(nil)
    let isOver = Atomic<Bool>(false)
    var result = LoadResult(plan: plan)
    let before = (run: runSeconds(), own: ProcessorTime.ofThisProcess())

    try withThread("emitter") { [clock] in
      do throws(LogError) {
        var emitter = Emitter(
          clock: clock, schedule: schedule, history: history, routes: routes,
          target: target.value, progress: progress)
        try emitter.run()
      } catch {
        failure.withLock { $0 = error }
      }
      isOver.store(true, ordering: .releasing)
    } during: {
      defer { progress.stop() }
      try follow(&watch, emissions, progress, isOver, &result)
    }

    result.emitted = progress.count
    result.records = emissions.count
    result.seconds = Double(max(progress.lastAt - start, 1)) / 1e9
    result.delays = progress.delays
    result.failure = failure.withLock { $0 }
    result.isInterrupted = stop.isThrown
    result.take(watch)
    if let begun = before.run, let now = runSeconds() { result.runSeconds = now - begun }
    result.ownSeconds = ProcessorTime.ofThisProcess() - before.own
    return result
  }

  /// Watches until everything is through, or nothing moves any more.
  private func follow(
    _ watch: inout LoadWatch<Clock>, _ emissions: Emissions, _ progress: EmitterProgress,
    _ isOver: borrowing Atomic<Bool>, _ result: inout LoadResult
  ) throws {
    var movedAt = clock.now()
    var lookedAt = clock.now()
    var processed = 0
    while true {
      let wasOver = isOver.load(ordering: .acquiring)
      let count = emissions.count
      let moved = try watch.turn(emitted: progress.count)
      let now = clock.now()
      if watch.processed > processed || watch.processed >= count { movedAt = now }
      processed = watch.processed
      if wasOver, processed >= count {
        // What was committed last can be seen by now.
        _ = try watch.turn(emitted: progress.count)
        return
      }
      if now - movedAt > patience.milliseconds * 1_000_000 {
        result.isStalled = true
        return
      }
      if stop.isThrown { progress.stop() }
      if let most = secondsBehindMax, Double(watch.lag) > most * plan.rate, !progress.isStopped {
        result.isOverloaded = true
        progress.stop()
      }
      if now - lookedAt > 250_000_000 {
        lookedAt = now
        try checkRun()
        if let sample = watch.samples.last { show(sample) }
      }
      if !moved { clock.sleep(until: now + 500_000) }
    }
  }
}

/// What is handed to another thread and used by no one else from then on.
private struct Handed<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

/// Runs a job on a thread of its own while this one does something else; both are over when it
/// returns.
private func withThread(
  _ name: String, _ job: @escaping @Sendable () -> Void, during body: () throws -> Void
) rethrows {
  let thread = ThreadQueue(name: name)
  defer { thread.close() }
  thread.submit(job)
  try body()
}

/// What came of a phase.
struct LoadResult {
  var plan: LoadPlan
  /// Events that were handed over.
  var emitted = 0
  /// Records that they became: a heartbeat is one in every partition.
  var records = 0
  /// Records that the run has committed.
  var processed = 0
  /// From the first event to the last.
  var seconds = 0.0
  var delays = Latencies()
  var published = Latencies()
  var committed = Latencies()
  var counts = LoadWatch<SystemLoadClock>.Counts()
  var samples: [LoadWatch<SystemLoadClock>.Sample] = []
  /// Processor seconds of the run, where it is ours, and of this process.
  var runSeconds: Double?
  var ownSeconds = 0.0
  var failure: LogError?
  var isStalled = false
  var isOverloaded = false
  var isInterrupted = false

  init(plan: LoadPlan) { self.plan = plan }

  mutating func take(_ watch: LoadWatch<some LoadClock>) {
    processed = watch.processed
    published = watch.published
    committed = watch.committed
    counts = .init(
      matched: watch.counts.matched, more: watch.counts.more, clock: watch.counts.clock,
      foreign: watch.counts.foreign, all: watch.counts.all)
    samples = watch.samples.map { .init(seconds: $0.seconds, emitted: $0.emitted, lag: $0.lag) }
  }

  /// Events a second that were handed over.
  var achieved: Double { Double(emitted) / seconds }

  /// The emitter kept its rate.
  var isEmitterOnTime: Bool { achieved >= 0.99 * plan.rate }

  /// Of lag, while events came, without the warm-up; nil where that was too short.
  var trend: Trend? {
    let from = Double(plan.warmUp.milliseconds) / 1000
    return Trend(
      samples.filter { $0.seconds >= from && $0.seconds <= seconds }.map {
        Trend.Sample(seconds: $0.seconds, lag: Double($0.lag))
      })
  }

  /// The run kept up; nil where that cannot be told.
  var isSustained: Bool? {
    if isStalled || isOverloaded || failure != nil { return false }
    return trend.map { !$0.grows(at: plan.rate) }
  }
}
