import Events
public import Streaming
import Synchronization

/// The whole life of a partition under seeded faults: processes that crash after any call, commits
/// that are refused, aborted or lose their answer, snapshots that tear, zombies that wake after
/// they were fenced, records that come a few at a time, and a clock that idles in between.
///
/// What must hold at the end: the state's digest is that of a run without any disturbance, and
/// what was committed is, record for record, what an audit along the journal produces: each
/// output exactly once.
public struct FaultSimulation {
  public struct Settings: Sendable {
    /// Chance of a fault per log call: one in so many; 0 for none.
    public var faultRate = 6
    /// Chance of a crash per turn: one in so many.
    public var crashRate = 12
    /// Chance that a crash leaves the old process alive, to wake later.
    public var zombieRate = 3
    /// Chance that a crash tears the newest snapshot.
    public var tearRate = 8
    public var mutant: String?
    /// Chance per turn that the partition moves to another process, and perhaps back: one in so
    /// many; 0 for never.
    public var moveRate = 0
    /// Time idles on between records; then the digest depends on when they arrived.
    public var idleClock = true

    public init() {}
  }

  /// What a run found.
  public struct Report: Sendable {
    public var seed: UInt64
    public var crashes = 0
    public var faults = 0
    public var zombies = 0
    /// Partitions that came back to a process, and how many of them went on without a restore.
    public var returns = 0
    public var warmReturns = 0
    public var tornSnapshots = 0
    public var recoveries = 0
    public var snapshots = 0
    public var outputs = 0
    /// What is wrong; nil when everything holds.
    public var failure: String?
  }

  private let topology: CheckedTopology
  private let registry: [OperatorType]
  private let inputs: [LogInput]
  /// Records per input, in offset order.
  private let history: [[[UInt8]]]
  private let settings: Settings
  private var choice: SeededChoice
  private var report: Report

  public init(
    topology: CheckedTopology, registry: [OperatorType], inputs: [LogInput], history: [[[UInt8]]],
    seed: UInt64, settings: Settings = Settings()
  ) {
    self.topology = topology
    self.registry = registry
    self.inputs = inputs
    self.history = history
    self.settings = settings
    choice = SeededChoice(seed: seed)
    report = Report(seed: seed)
  }

  /// One process that holds, or held, the partition.
  private final class Process {
    let runner: PartitionRunner
    let commits = SeededQueue()
    let snapshots = SeededQueue()

    init(_ make: (SeededQueue, SeededQueue) throws -> PartitionRunner) rethrows {
      runner = try make(commits, snapshots)
    }
  }

  /// Plays the seed to its end.
  ///
  /// - Parameter expectedDigest: that of the undisturbed run, or nil to compute it.
  public mutating func run(expectedDigest: String? = nil) -> Report {
    do {
      let digest = try play()
      let broker = self.broker
      let audit = try Replaying(topology: topology, registry: registry).audit(broker)
      report.outputs = broker.outputs.count
      compare(digest: digest, audit: audit, broker: broker, expected: expectedDigest)
    } catch {
      report.failure = "the run ended with an error: \(error)"
    }
    return report
  }

  private var broker = SimulatedBroker(inputs: [])

  private mutating func play() throws -> String {
    broker = SimulatedBroker(inputs: inputs)
    var fed = inputs.map { _ in 0 }
    var now: Int64 = 1_000
    var process = try start(now: now)
    var zombies: [Process] = []
    var turns = 0
    while true {
      turns += 1
      guard turns < 200_000 else { throw LogError(.ours, "the simulation does not come to an end") }
      now += Int64(choice.once(in: 25) ? choice.below(1_500) : choice.below(3))
      if choice.once(in: 4) { feed(&fed) }
      let isFed = zip(fed, history).allSatisfy { $0 == $1.count }
      if !isFed, choice.once(in: settings.crashRate) {
        zombies += try crash(&process, now: now)
      }
      if !isFed, settings.moveRate > 0, choice.once(in: settings.moveRate) {
        try move(&process, now: now)
      }
      for zombie in zombies where choice.once(in: 10) { wake(zombie, now: now) }
      if choice.once(in: 15) { process.runner.requestSnapshot() }
      try turn(process, now: now)
      if isFed, try isDone(process, now: now) { break }
    }
    for zombie in zombies { wake(zombie, now: now) }
    return "\(process.runner.digest)"
  }

  /// A few more records arrive.
  private mutating func feed(_ fed: inout [Int]) {
    let input = choice.below(inputs.count)
    let count = min(choice.below(40), history[input].count - fed[input])
    for i in fed[input]..<(fed[input] + count) { broker.append(history[input][i], to: input) }
    fed[input] += count
  }

  /// One step of the process, and whatever its queues get done meanwhile. What the log answers
  /// with an error that ends the process is a crash like any other.
  private mutating func turn(_ process: Process, now: Int64) throws {
    _ = try process.runner.step(now: now)
    if choice.once(in: 2) { process.commits.runOne() }
    for _ in 0..<choice.below(3) { process.snapshots.runOne() }
  }

  private func isDone(_ process: Process, now: Int64) throws -> Bool {
    let runner = process.runner
    guard !runner.isRecovering,
      runner.core.recordsTaken == Int64(history.reduce(0) { $0 + $1.count })
    else { return false }
    process.commits.runAll()
    process.snapshots.runAll()
    return try runner.drain(now: now, snapshot: false)
  }

  /// The process dies; another one takes over. Returns the old one if it is only paused.
  private mutating func crash(_ process: inout Process, now: Int64) throws -> [Process] {
    report.crashes += 1
    var survivors: [Process] = []
    if choice.once(in: settings.zombieRate) {
      survivors = [process]
      report.zombies += 1
    } else {
      process.commits.dropAll()
      process.snapshots.dropAll()
    }
    if choice.once(in: settings.tearRate), broker.snapshotNumbers.count > 1 {
      report.tornSnapshots += 1
      let cut = choice.below(1_000)
      broker.tearNewestSnapshot { $0 * cut / 1_000 }
    }
    report.snapshots += broker.snapshotNumbers.count
    process = try start(now: now)
    if process.runner.isRecovering { report.recoveries += 1 }
    return survivors
  }

  /// The partition is given up, with what is not committed of it; perhaps another process has it
  /// for a while; then it comes back.
  private mutating func move(_ process: inout Process, now: Int64) throws {
    let away = process
    if choice.once(in: 2) {
      away.commits.runAll()
      _ = try away.runner.drain(now: now, snapshot: false)
    }
    away.runner.park()
    if choice.once(in: 2) {
      let other = try start(now: now)
      var later = now
      for _ in 0..<choice.below(60) {
        later += Int64(choice.below(3))
        try turn(other, now: later)
      }
      if choice.once(in: 3) {
        // It dies; nobody is left but the first one.
        other.commits.dropAll()
        other.snapshots.dropAll()
      } else {
        other.runner.park()
        other.commits.runAll()
        other.snapshots.runAll()
      }
    }
    away.commits.runAll()
    away.snapshots.runAll()
    report.returns += 1
    if try resumes(away, now: now) {
      report.warmReturns += 1
    } else {
      process = try start(now: now)
    }
  }

  private func resumes(_ process: Process, now: Int64) throws -> Bool {
    while true {
      do throws(LogError) { return try process.runner.resume(now: now) } catch {
        guard error.recovery == .rewind || error.recovery == .retry else { throw error }
      }
    }
  }

  /// A zombie goes on where it was paused; the log refuses it.
  private mutating func wake(_ zombie: Process, now: Int64) {
    zombie.commits.runAll()
    do { _ = try zombie.runner.step(now: now) } catch {
      // Fenced: that is how a zombie ends.
    }
  }

  private mutating func start(now: Int64) throws -> Process {
    var options = RunnerOptions(
      mode: .live, commitEvery: 1 + Int64(choice.below(6)), commitEvents: choice.inside(1...60))
    options.idleClock = settings.idleClock
    options.mutant = settings.mutant.flatMap { Mutant(rawValue: $0) }
    let (topology, registry, broker) = (topology, registry, broker)
    let faults = FaultChoice(choice.fork(), rate: settings.faultRate)
    let log = broker.open(
      faults: SimulatedFaults(fetchLimit: { faults.fetchLimit() }, draw: { faults.draw() }))
    while true {
      let process = try Process { commits, snapshots in
        try PartitionRunner(
          topology: topology, registry: registry, log: log,
          snapshots: SimulatedSnapshots(broker), commitQueue: commits, snapshotQueue: snapshots,
          options: options)
      }
      do throws(LogError) {
        try process.runner.start(now: now)
        return process
      } catch {
        guard error.recovery == .rewind || error.recovery == .retry else { throw error }
        report.faults += 1
      }
    }
  }

  private mutating func compare(
    digest: String, audit: RunOutcome, broker: SimulatedBroker, expected: String?
  ) {
    if let expected, digest != expected {
      report.failure = "digest \(digest) is not that of the undisturbed run, \(expected)"
    } else if audit.digest != digest {
      report.failure = "digest \(digest) is not that of an audit along the journal, \(audit.digest)"
    } else if audit.outputs != broker.outputTexts {
      report.failure = FaultSimulation.difference(broker.outputTexts, audit.outputs)
    }
  }

  private static func difference(_ committed: [String], _ audited: [String]) -> String {
    let place = zip(committed, audited).enumerated().first { $1.0 != $1.1 }?.offset
    let first = place ?? min(committed.count, audited.count)
    func at(_ list: [String]) -> String { first < list.count ? list[first] : "nothing" }
    return "\(committed.count) outputs committed, \(audited.count) in the audit; the first "
      + "difference is number \(first): committed \(at(committed)), audit \(at(audited))"
  }
}

/// Draws what goes wrong with a process's log calls, from whichever thread they come.
private final class FaultChoice: Sendable {
  private let choice: Mutex<SeededChoice>
  private let rate: Int

  init(_ choice: SeededChoice, rate: Int) {
    self.choice = Mutex(choice)
    self.rate = rate
  }

  func fetchLimit() -> Int { choice.withLock { $0.inside(1...50) } }

  func draw() -> SimulatedFaults.Fault {
    choice.withLock {
      guard rate > 0, $0.once(in: rate) else { return .none }
      return $0.pick([.refuse, .loseAnswer, .abort])
    }
  }
}

extension SeededChoice {
  /// An independent sequence of choices.
  public mutating func fork() -> SeededChoice { SeededChoice(seed: UInt64(below(Int.max))) }
}
