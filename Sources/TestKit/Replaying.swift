public import Streaming
import Synchronization

/// What a run left behind, in a form that can be compared to the last byte.
public struct RunOutcome: Equatable, Sendable {
  public var digest: String
  /// Committed outputs in order, as `sink key value`.
  public var outputs: [String]
  public var records: Int64

  public init(digest: String, outputs: [String], records: Int64) {
    self.digest = digest
    self.outputs = outputs
    self.records = records
  }
}

/// Runs partitions step by step in the caller's thread, without threads or clocks.
public struct Replaying {
  public var topology: CheckedTopology
  public var registry: [OperatorType]

  public init(topology: CheckedTopology, registry: [OperatorType]) {
    self.topology = topology
    self.registry = registry
  }

  /// A history over one input, to its end.
  ///
  /// - Parameters:
  ///   - fetchLimit: Records per fetch: where batches are cut.
  ///   - publishAtEnd: As `bidmill replay` does; a live run does not.
  public func run(
    _ records: [[UInt8]], fetchLimit: Int = 4096, commitEvents: Int = 65_536,
    publishAtEnd: Bool = false, mutant: String? = nil
  ) throws -> RunOutcome {
    let broker = SimulatedBroker(inputs: [topology.anySource])
    for record in records { broker.append(record) }
    return try run(
      broker, mode: .replay, fetchLimit: fetchLimit, commitEvents: commitEvents,
      publishAtEnd: publishAtEnd, mutant: mutant)
  }

  /// The sequence that a broker's journal keeps, from its beginning; nothing is committed to it.
  public func audit(_ broker: SimulatedBroker) throws -> RunOutcome {
    let scratch = broker.copyForAudit()
    return try run(
      scratch, mode: .audit, fetchLimit: 4096, commitEvents: 65_536, publishAtEnd: false)
  }

  public func run(
    _ broker: SimulatedBroker, mode: RunnerOptions.Mode, fetchLimit: Int, commitEvents: Int,
    publishAtEnd: Bool, mutant: String? = nil
  ) throws -> RunOutcome {
    var options = RunnerOptions(mode: mode, commitEvents: commitEvents)
    options.mutant = mutant.flatMap { Mutant(rawValue: $0) }
    let runner = try PartitionRunner(
      topology: topology, registry: registry,
      log: broker.open(faults: SimulatedFaults(fetchLimit: { fetchLimit })), snapshots: nil,
      commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(), options: options)
    try runner.start(now: 0)
    while try runner.step(now: 0) != .end {}
    if publishAtEnd { runner.finish(atTick: runner.core.tick) }
    while try !runner.drain(now: 0, snapshot: false) {}
    return RunOutcome(
      digest: "\(runner.digest)", outputs: broker.outputTexts, records: runner.core.recordsTaken)
  }
}

extension SimulatedBroker {
  /// Committed outputs, readable.
  public var outputTexts: [String] {
    outputs.map {
      "\($0.sink) \(String(decoding: $0.key, as: UTF8.self)) "
        + String(decoding: $0.value, as: UTF8.self)
    }
  }

  /// The same records and journal, with nothing published yet: what an audit reads.
  func copyForAudit() -> SimulatedBroker {
    let copy = SimulatedBroker(inputs: inputs)
    let (topics, journal, number, offsets) = state.withLock {
      ($0.topics, $0.journal, $0.commitNumber, $0.nextOffsets)
    }
    copy.state.withLock {
      $0.topics = topics
      $0.journal = journal
      $0.auditNumber = number
      $0.nextOffsets = offsets
    }
    return copy
  }
}
