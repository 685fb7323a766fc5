public import Events
public import Streaming

/// A topology fed by hand: send an event, move time, look at what came out.
///
/// For unit tests of operators and topologies: no log, no threads, no waiting.
///
///     let driver = try TopologyDriver(topology, registry: OperatorRegistry.all)
///     try driver.send(#"{"type":"click", …}"#)
///     try driver.advance(to: EventTime(milliseconds: 60_000))
///     driver.outputs(of: "tallies")
public final class TopologyDriver {
  private let topology: CheckedTopology
  private let broker: SimulatedBroker
  private let runner: PartitionRunner
  private var taken: [Int]

  /// - Parameter inputs: What events come from; one that stands in for every source by default.
  /// - Throws: What operators have against their settings.
  public init(
    _ topology: CheckedTopology, registry: [OperatorType],
    inputs: [LogInput]? = nil
  ) throws {
    self.topology = topology
    broker = SimulatedBroker(inputs: inputs ?? [topology.anySource])
    // Each event is committed at once, so that its outputs can be looked at.
    runner = try PartitionRunner(
      topology: topology, registry: registry, log: broker.open(), snapshots: nil,
      commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(),
      options: RunnerOptions(mode: .replay, commitEvents: 1))
    taken = topology.sinks.map { _ in 0 }
    try runner.start(now: 0)
  }

  /// Processes one record; what is wrong with it goes to `dead_letters`.
  public func send(_ record: String, to input: Int = 0) throws {
    try send(Array(record.utf8), to: input)
  }

  public func send(_ record: [UInt8], to input: Int = 0) throws {
    broker.append(record, to: input)
    while try runner.step(now: 0) != .end {}
    try settle()
  }

  /// Moves time to the last clock entry at or before a moment, firing every timer on the way.
  public func advance(to time: EventTime) throws {
    runner.sequencer.advance(toTick: runner.core.tick(of: time.milliseconds))
    try settle()
  }

  /// The end of a replay: what is held back is published.
  public func finish() throws {
    runner.finish(atTick: runner.core.tick)
    try settle()
  }

  private func settle() throws {
    while try !runner.drain(now: 0, snapshot: false) {}
  }

  /// Records of a sink since the last call, as JSON.
  public func outputs(of sink: String) -> [String] {
    guard let index = topology.sinks.firstIndex(where: { $0.name == sink }) else {
      preconditionFailure("the topology has no sink named \(sink)")
    }
    let all = broker.outputs.filter { $0.sink == Int32(index) }
    defer { taken[index] = all.count }
    return all.dropFirst(taken[index]).map { String(decoding: $0.value, as: UTF8.self) }
  }

  /// The last clock entry.
  public var clock: EventTime { runner.core.clock }

  /// What the operators say of a campaign or an ad, as JSON; nil where nothing is known of it.
  public func answer(_ question: Question) -> String? {
    guard case .known(let json) = runner.core.answer(question, partition: 0) else { return nil }
    return String(decoding: json, as: UTF8.self)
  }

  /// Counters of operators, as `operator.name`.
  public func counter(_ name: String) -> Int64? {
    runner.core.counters.first { $0.name == name }?.value
  }

  public var digest: StateDigest { runner.digest }
}
