public import Events

/// What the engine tells a person while it runs.
public struct Notice: Sendable, CustomStringConvertible {
  public enum Level: String, Sendable {
    case info, warning, error
  }

  public var level: Level
  public var partition: Int
  public var message: String

  public init(_ level: Level, partition: Int, _ message: String) {
    self.level = level
    self.partition = partition
    self.message = message
  }

  public var description: String { "\(level.rawValue): partition \(partition): \(message)" }
}

/// How a partition runs.
public struct RunnerOptions: Sendable {
  public enum Mode: Sendable, Equatable {
    /// Over what is there, to its end; nothing is waited for.
    case replay
    /// Along a journal, to its end: the sequence of the live run, again.
    case audit
    /// For good, with recovery, an idle clock, a journal and snapshots.
    case live
  }

  public var mode: Mode
  public var partition: Int
  public var partitionCount: Int
  /// Milliseconds between commits (live).
  public var commitEvery: Int64
  /// Milliseconds that a commit is tried before the partition gives up: long enough for a broker's
  /// restart, or for a person to free a full disk. 0: not again after a failure.
  public var commitPatience: Int64
  /// Records after which a commit is due.
  public var commitEvents: Int
  /// Milliseconds between snapshots (live); nil for none but the one of a clean stop.
  public var snapshotEvery: Int64?
  public var snapshotsKept: Int
  /// Live: whether state is made anew from the log's beginning, and what is published of it once
  /// more. Asked from any thread, each time that the partition is opened: once is enough.
  public var rebuilds: @Sendable () -> Bool = { false }
  /// Called from any thread when that is done and kept.
  public var didRebuild: @Sendable () -> Void = {}
  /// Live, where nothing is committed yet: what is learned before the log's first record is taken.
  public var history: History?
  /// State that no log and no snapshot holds any more may be given up.
  public var acceptLoss: Bool
  /// A replay stops before the first event at or after this time.
  public var until: EventTime?
  /// A replay takes this many ms of event time per ms.
  public var speed: Double?
  /// Live, with every input at its end, time goes on by itself. Off where heartbeats move it.
  public var idleClock = true
  public var notify: @Sendable (Notice) -> Void
  /// Called from any thread when something that was waited for is done.
  package var wake: @Sendable () -> Void = {}
  /// Tests only: a law that is broken on purpose.
  package var mutant: Mutant?

  public init(
    mode: Mode, partition: Int = 0, partitionCount: Int = 1, commitEvery: Int64 = 100,
    commitPatience: Int64 = 120_000, commitEvents: Int = 65_536, snapshotEvery: Int64? = nil,
    snapshotsKept: Int = 2,
    acceptLoss: Bool = false, until: EventTime? = nil, speed: Double? = nil,
    notify: @escaping @Sendable (Notice) -> Void = { _ in }
  ) {
    self.mode = mode
    self.partition = partition
    self.partitionCount = partitionCount
    self.commitEvery = commitEvery
    self.commitPatience = commitPatience
    self.commitEvents = commitEvents
    self.snapshotEvery = snapshotEvery
    self.snapshotsKept = snapshotsKept
    self.acceptLoss = acceptLoss
    self.until = until
    self.speed = speed
    self.notify = notify
  }
}
