public import Events

/// How a partition does, for metrics: made by its worker once a second, read by anyone.
///
/// Counts are of this process since it took the partition up, without what it processed again to
/// come to the committed point: so the counts of all processes add up.
public struct PartitionReport: Sendable {
  public struct Input: Sendable {
    public var source: String
    public var topic: String
    public var partition: Int32
    /// Offset of the next record to take.
    public var nextOffset: Int64
    public var newestTime: EventTime?
    /// ms that it has given nothing for although it is not at its end; 0 where that is not so.
    public var waitingMilliseconds: Int64
  }

  /// The newest snapshot that this process has finished.
  public struct Snapshot: Sendable {
    /// The commit that it shows.
    public var number: Int64
    public var ageMilliseconds: Int64
    public var durationMilliseconds: Int64
    /// Bytes of state in it, before compression.
    public var bytes: Int
  }

  public struct HotAccount: Sendable {
    public var account: String
    /// At least so many in the last minute.
    public var events: Int64
  }

  /// What its state has depended on since.
  public var epoch: Epoch?
  /// The last clock entry; nil before the first.
  public var clock: EventTime?
  public var inputs: [Input] = []
  public var events: Int64 = 0
  public var late: Int64 = 0
  /// By `RejectionReason.rawValue`.
  public var deadLetters: [Int64] = []
  /// Operator counters (`unique`, `duplicates`), in the topology's order.
  public var counters: [(step: String, name: String, value: Int64)] = []
  /// Records per sink.
  public var outputs: [(sink: String, records: Int64)] = []
  /// Bytes of rows in use, per operator and of the engine.
  public var stateBytes: [(step: String, bytes: Int)] = []
  public var commits: Int64 = 0
  public var commitLatency = LatencyHistogram()
  /// Part of the journal that was processed again; 1 when there is nothing left of it.
  public var restored: Double = 1
  public var snapshot: Snapshot?
  public var snapshotsFailed: Int64 = 0
  /// Commits since the newest snapshot: what would be processed again.
  public var commitsSinceSnapshot: Int64 = 0
  public var hotAccounts: [HotAccount] = []
}

/// Counts of durations by upper bound, and their sum.
public struct LatencyHistogram: Sendable, Equatable {
  /// In ms; what lies above the last is in `counts`' last place.
  public static let boundsMilliseconds: [Int64] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000,
  ]

  /// Per bound, not cumulative; one more than there are bounds.
  public private(set) var counts = [Int64](
    repeating: 0, count: LatencyHistogram.boundsMilliseconds.count + 1)
  public private(set) var sumMilliseconds: Int64 = 0

  public init() {}

  public var count: Int64 { counts.reduce(0, +) }

  package mutating func add(milliseconds: Int64) {
    let bounds = LatencyHistogram.boundsMilliseconds
    counts[bounds.firstIndex { milliseconds <= $0 } ?? bounds.count] += 1
    sumMilliseconds += max(0, milliseconds)
  }
}
