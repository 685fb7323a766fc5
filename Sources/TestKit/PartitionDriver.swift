public import Streaming

/// A partition by hand, in the caller's thread, on a simulated broker that may outlive it: many
/// records at a time, snapshots, restarts. `TopologyDriver` is the simpler one for unit tests.
///
/// ```swift
/// let driver = try PartitionDriver(topology, registry: OperatorRegistry.all)
/// try driver.send([impression, click])
/// #expect(try driver.outputs == […])
/// ```
public final class PartitionDriver {
  /// The world that the partition stands in.
  public let broker: SimulatedBroker
  private let runner: PartitionRunner
  private let snapshots: SimulatedSnapshots
  private var now: Int64 = 1

  /// - Parameters:
  ///   - inputs: What `send` may feed; one that stands in for every source where none are given.
  ///   - fetchLimit: Most records per fetch, drawn anew for each: where batches are cut.
  public convenience init(
    _ topology: CheckedTopology, registry: [OperatorType],
    inputs: [LogInput]? = nil, mutant: String? = nil,
    fetchLimit: @escaping @Sendable () -> Int = { Int.max }
  ) throws {
    let options = RunnerOptions(mode: .replay)
    try self.init(
      topology, registry: registry, broker: SimulatedBroker(inputs: inputs ?? [topology.anySource]),
      options: options, mutant: mutant, fetchLimit: fetchLimit)
  }

  /// A live partition that goes on where the one before it on this broker stopped.
  public convenience init(
    resuming broker: SimulatedBroker, _ topology: CheckedTopology, registry: [OperatorType],
    mutant: String? = nil
  ) throws {
    var options = RunnerOptions(mode: .live)
    options.idleClock = false
    try self.init(
      topology, registry: registry, broker: broker, options: options, mutant: mutant,
      fetchLimit: { Int.max })
  }

  private init(
    _ topology: CheckedTopology, registry: [OperatorType], broker: SimulatedBroker,
    options: RunnerOptions, mutant: String?, fetchLimit: @escaping @Sendable () -> Int
  ) throws {
    var options = options
    options.mutant = mutant.flatMap { Mutant(rawValue: $0) }
    self.broker = broker
    snapshots = SimulatedSnapshots(broker)
    runner = try PartitionRunner(
      topology: topology, registry: registry,
      log: broker.open(faults: SimulatedFaults(fetchLimit: fetchLimit)), snapshots: snapshots,
      commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(), options: options)
    try runner.start(now: now)
    try settle()
  }

  /// Appends records to an input and takes everything that can be taken.
  public func send(_ records: [[UInt8]], to input: Int = 0) throws {
    for record in records { broker.append(record, to: input) }
    try settle()
  }

  /// The same, for records as text.
  public func send(_ records: String..., to input: Int = 0) throws {
    try send(records.map { Array($0.utf8) }, to: input)
  }

  private func settle() throws {
    while true {
      now += 1
      let wasRecovering = runner.isRecovering
      let progress = try runner.step(now: now)
      if progress != .advanced, !wasRecovering { return }
    }
  }

  /// The end of a replay: what operators hold back is published.
  public func finish() { runner.finish(atTick: runner.core.tick) }

  /// Commits what was made, and takes a snapshot of it where asked for.
  public func commit(snapshot: Bool = false) throws {
    repeat { now += 1 } while try !runner.drain(now: now, snapshot: snapshot)
  }

  /// What sinks got so far, in order, as `sink key value`; commits it.
  public var outputs: [String] {
    get throws {
      try commit()
      return broker.outputTexts
    }
  }

  /// The state's digest as it is now.
  public var digest: StateDigest { runner.core.digest }

  /// Records taken, refused ones included.
  public var recordsTaken: Int64 { runner.core.recordsTaken }

  /// An operator's counter, by `operator.counter`.
  public func counter(_ name: String) -> Int64? {
    runner.core.counters.first { $0.name == name }?.value
  }

  /// Records that came to a sink, by its name in the topology.
  public func count(ofSink name: String) -> Int? {
    runner.core.graph.sinkNames.firstIndex(of: name).map {
      runner.core.graph.target.counts[$0]
    }
  }

  /// Bytes of an operator's rows.
  public func stateBytes(of name: String) -> Int {
    runner.core.store.byteCounts.first { $0.section == name }?.bytes ?? 0
  }
}

extension CheckedTopology {
  /// What stands in for every source, as the files of a replay do: trusted where one of them is.
  var anySource: LogInput {
    LogInput(source: "", topic: "events", trusted: topology.sources.contains(where: \.trusted))
  }
}
