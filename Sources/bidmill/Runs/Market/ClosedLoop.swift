import Events
import Operators
import Simulation
import Streaming

/// A market and the topology that bids in it, in lockstep: a step of the market, all that follows
/// from it, the next step. Without threads and without a clock, so that a world and a topology
/// always give the same events, the same outputs and the same state.
final class ClosedLoop {
  private(set) var market: Market
  private(set) var bids: PublishedBids
  /// Records that the market has sent.
  private(set) var events: Int64 = 0
  /// Nil without a topology: then bids are constant.
  private(set) var outcome: Outcome?

  private let topology: CheckedTopology?
  private let archive: MarketArchive?
  private let parameterSinks: Set<Int>
  private let latency: TimeSpan

  /// What a topology made of the events.
  struct Outcome {
    var digest: StateDigest
    var duplicates: Int64
    var deadLetters: Int64
    /// Records published, per sink.
    var streams: [(name: String, records: Int64)]
  }

  init(_ world: MarketWorld, topology: CheckedTopology?, archive: MarketArchive?) throws {
    market = Market(world, policy: topology == nil ? .fixed : .parameters)
    bids = PublishedBids(market)
    latency = world.bidder.latency
    self.topology = topology
    self.archive = archive
    let sinks = topology?.sinks ?? []
    parameterSinks = Set(sinks.indices.filter { sinks[$0].stream == .bidParameters })
    if topology != nil, parameterSinks.isEmpty {
      throw Failure(
        .configuration,
        "error: the topology \(topology?.topology.name ?? "") has no sink for `bid_parameters`, "
          + "so nobody would bid by it")
    }
  }

  /// The topic that events come by: the first one that the topology reads.
  static func topic(of topology: CheckedTopology?) -> String {
    topology?.topology.sources.lazy.compactMap(\.transport.topics.first).first ?? "events"
  }

  /// Runs until the world's end.
  func run(_ progress: ((EventTime, Int64) -> Void)? = nil) throws {
    guard let topology else { return try runAlone(progress) }
    let log = MarketLog(topic: ClosedLoop.topic(of: topology), archive: archive) {
      [unowned self] in take($0, $1, $2)
    }
    var options = RunnerOptions(mode: .replay, commitPatience: 0)
    options.idleClock = false
    let runner = try PartitionRunner(
      topology: topology, registry: OperatorRegistry.all, log: log, snapshots: nil,
      commitQueue: DirectQueue(), snapshotQueue: DirectQueue(), options: options)
    try runner.start(now: 0)
    var records = MarketRecords()
    while market.now < market.end {
      try step(&records)
      progress?(market.now, events)
      log.send(&records)
      while try runner.step(now: 0) == .advanced {}
      while try !runner.drain(now: 0, snapshot: false) {}
    }
    runner.finish(atTick: runner.core.tick)
    while try !runner.drain(now: 0, snapshot: false) {}
    let core = runner.core
    outcome = Outcome(
      digest: runner.digest,
      duplicates: core.counters.filter { $0.name.hasSuffix(".duplicates") }
        .reduce(0) { $0 + $1.value },
      deadLetters: Int64(core.graph.target.counts[topology.deadLetterSink]),
      streams: core.graph.sinkNames.indices.map {
        (core.graph.sinkNames[$0], Int64(core.graph.target.counts[$0]))
      })
    try archive?.finish()
  }

  private func runAlone(_ progress: ((EventTime, Int64) -> Void)?) throws {
    var records = MarketRecords()
    while market.now < market.end {
      try step(&records)
      progress?(market.now, events)
    }
    try archive?.finish()
  }

  private func step(_ records: inout MarketRecords) throws {
    records.removeAll()
    market.step(until: market.now + market.world.bidder.step, into: &records)
    events += Int64(records.records.count)
    try archive?.add(records)
  }

  /// Something was published: bid parameters are on their way to the bidder.
  private func take(
    _ sink: Int, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) {
    guard parameterSinks.contains(sink), let parameters = bids.read(key: key, value) else { return }
    market.apply(parameters, arriving: market.now + latency)
  }

  /// What a person would get who bids the default bid all the time, in the same world.
  static func baseline(_ world: MarketWorld) -> [AdTruth] {
    var market = Market(world, policy: .fixed, isRecording: false)
    var records = MarketRecords()
    market.step(until: market.end, into: &records)
    return (0..<market.campaignCount).map { market.total($0) }
  }
}
