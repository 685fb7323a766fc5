public import Streaming

// The service of a live run over HTTP: whether it is healthy, what it counts, what it knows of a
// campaign, and a way in for events. It sees a run through what partitions show of themselves
// (`PartitionStatus`), asks them between two of their steps, and never touches their state. Which
// log a run works on is none of its business: where that matters the caller brings it along
// (`RunningTopology`).

/// A run, as the service sees it. Everything is asked for anew at each request: partitions may come
/// and go.
public struct RunningTopology: Sendable {
  public var topology: CheckedTopology
  /// Of the program.
  public var version = ""
  /// The partitions that are at work in this process.
  public var partitions: @Sendable () -> [PartitionStatus]
  /// How many there are, those of other processes included.
  public var partitionCount: Int
  /// The partition of an account; nil where nobody knows.
  public var partition: @Sendable (_ account: String) -> Int? = { _ in nil }
  /// Records of a partition after its last commit; nil while that is not known.
  public var recordsLeft: @Sendable (_ partition: Int) -> Int64? = { _ in nil }
  /// Records of a partition between the log's beginning and what its oldest kept snapshot needs;
  /// below 0 that is gone. nil while that is not known.
  public var retentionHeadroom: @Sendable (_ partition: Int) -> Int64? = { _ in nil }
  /// It is known which partitions are this process's: until then it is not ready.
  public var isSettled: @Sendable () -> Bool = { true }
  /// Times that partitions were given to this process or taken from it; nil where that is never.
  public var rebalances: @Sendable () -> Int64? = { nil }
  /// Writes further metrics: those of the log's client.
  public var clientMetrics: @Sendable (inout MetricsText) -> Void = { _ in }
  /// Where events that come in over HTTP go; nil where none are taken.
  public var intake: (any EventIntake)?

  public init(
    topology: CheckedTopology, partitionCount: Int,
    partitions: @escaping @Sendable () -> [PartitionStatus]
  ) {
    self.topology = topology
    self.partitionCount = partitionCount
    self.partitions = partitions
  }
}

/// Takes events into the log that the run reads.
public protocol EventIntake: Sendable {
  /// Appends records and returns when they are durable. May block: it is called on a thread of its
  /// own, by one at a time.
  ///
  /// - Throws: Where it is not known that all are in the log. They may be sent again.
  func append(_ records: [IncomingRecord]) throws(LogError)

  /// Called now and then while nothing comes: what is held may be given back.
  func rest()
}

extension EventIntake {
  public func rest() {}
}

/// An event on its way in.
public struct IncomingRecord: Sendable, Equatable {
  public var topic: String
  /// The account's bytes; empty where the event has none.
  public var key: [UInt8]
  /// One JSON object without line breaks.
  public var value: [UInt8]
  /// For every partition of the topic (heartbeats).
  public var isForAll: Bool
  /// Event time, in ms.
  public var time: Int64
  /// When it came in, in ms since the epoch.
  public var receivedAt: Int64
}
