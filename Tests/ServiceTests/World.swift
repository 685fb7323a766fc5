import Events
import Foundation
import Operators
import Service
import Streaming
import Synchronization
import TestClient
import TestKit

/// A run over simulated logs with a service in front of it, all in this process.
final class World: Sendable {
  static let topologyText = """
    topology: world
    sources:
      events: { log: { directory: data, topics: [events, clicks] } }
    operators:
      unique: { operator: deduplicate, from: events, within: 24h }
      totals: { operator: tally, from: unique, every: 1m }
    sinks:
      tallies: { from: totals, log: { topic: tallies } }
      dead_letters: { log: { topic: dead-letters } }
    """

  let topology: CheckedTopology
  let brokers: [SimulatedBroker]
  let engine: Engine
  let service: HTTPService
  let intake: MemoryIntake
  let notices = Mutex<[Notice]>([])
  private let hasEnded = DispatchSemaphore(value: 0)

  /// Partitions of accounts, as a producer would choose them.
  static let partitionCount = 2

  init(
    token: BearerToken? = nil, bodyBytesMax: Int? = nil, requestTimeout: Duration? = nil
  ) throws {
    topology = try CheckedTopology.parse(
      text: World.topologyText, file: "world.yaml",
      registry: OperatorRegistry.all.map(\.description))
    brokers = (0..<World.partitionCount).map {
      let broker = SimulatedBroker(inputs: [
        LogInput(source: "events", topic: "events", partition: Int32($0))
      ])
      broker.closeInputs()
      return broker
    }
    engine = try Engine(
      topology: topology, registry: OperatorRegistry.all,
      partitions: brokers.enumerated().map { index, broker in
        Engine.Partition(
          log: broker.open(),
          options: RunnerOptions(
            mode: .live, partition: index, partitionCount: World.partitionCount, commitEvery: 5))
      }, workers: 1)
    var configuration = try ServiceConfiguration(
      address: ServiceAddress(host: "127.0.0.1", port: 0))
    configuration.version = "1.2.3"
    configuration.token = token
    if let bodyBytesMax { configuration.bodyBytesMax = bodyBytesMax }
    if let requestTimeout { configuration.requestTimeout = requestTimeout }
    service = HTTPService(configuration)
    intake = MemoryIntake(brokers)
  }

  /// Listens, and begins to run where that is wanted.
  func start(attached: Bool = true, running: Bool = true) async throws {
    let (service, engine) = (service, engine)
    let failure = await Blocking.run { () -> LogError? in
      do throws(LogError) {
        try service.start()
        return nil
      } catch { return error }
    }
    if let failure { throw failure }
    if attached { service.attach(run) }
    guard running else { return }
    Thread.detachNewThread { [hasEnded] in
      do throws(LogError) { try engine.run() } catch {
        preconditionFailure("the run goes on until it is stopped: \(error)")
      }
      hasEnded.signal()
    }
    if attached {
      _ = await until("readiness", await ask(self.port, "/health/ready")) { $0.status == 200 }
    }
  }

  var run: RunningTopology {
    let engine = engine
    var run = RunningTopology(topology: topology, partitionCount: World.partitionCount) {
      engine.statuses
    }
    run.version = "1.2.3"
    run.intake = intake
    run.partition = { World.partition(of: Array($0.utf8)) }
    run.recordsLeft = { partition in partition == 0 ? 7 : nil }
    return run
  }

  static func partition(of account: [UInt8]) -> Int {
    account.withUnsafeBytes { Partitioner.murmur2($0, partitions: partitionCount) }
  }

  var port: Int { service.port ?? 0 }

  func stop(running: Bool = true) async {
    let (engine, service, hasEnded) = (engine, service, hasEnded)
    await Blocking.run {
      engine.stop()
      if running { hasEnded.wait() }
      service.stop()
    }
  }

  /// Adds a record to its account's partition.
  func append(_ record: String, account: String) {
    brokers[World.partition(of: Array(account.utf8))].append(Array(record.utf8))
  }

  func add(
    _ type: String = "impression", id: String, account: String, campaign: String = "c",
    ad: String = "a", time: Int64 = World.time
  ) {
    append(
      World.record(type, id: id, account: account, campaign: campaign, ad: ad, time: time),
      account: account)
  }

  static let time: Int64 = 1_767_225_600_000

  static func record(
    _ type: String = "impression", id: String, account: String, campaign: String = "c",
    ad: String = "a", time: Int64 = World.time
  ) -> String {
    func quoted(_ text: String) -> String {
      var json = JSONWriter()
      json.string(text)
      return json.string
    }
    return
      #"{"type":"\#(type)","id":\#(quoted(id)),"time":\#(time),"account":\#(quoted(account)),"#
      + #""campaign":\#(quoted(campaign)),"ad":\#(quoted(ad)),"price":0.5}"#
  }
}

/// Runs `body` in a world that is cleared away afterwards.
func withWorld(
  attached: Bool = true, running: Bool = true, token: BearerToken? = nil,
  bodyBytesMax: Int? = nil, requestTimeout: Duration? = nil,
  _ body: (World) async throws -> Void
) async throws {
  let world = try World(token: token, bodyBytesMax: bodyBytesMax, requestTimeout: requestTimeout)
  try await world.start(attached: attached, running: running)
  do { try await body(world) } catch {
    await world.stop(running: running)
    throw error
  }
  await world.stop(running: running)
}

/// Takes events into the simulated logs, or does not.
final class MemoryIntake: EventIntake {
  private let brokers: [SimulatedBroker]
  let taken = Mutex<[IncomingRecord]>([])
  let failure = Mutex<LogError?>(nil)

  init(_ brokers: [SimulatedBroker]) { self.brokers = brokers }

  func append(_ records: [IncomingRecord]) throws(LogError) {
    if let failure = failure.withLock({ $0 }) { throw failure }
    for record in records {
      if record.isForAll {
        for broker in brokers { broker.append(record.value, appendTime: record.receivedAt) }
      } else {
        brokers[World.partition(of: record.key)].append(
          record.value, appendTime: record.receivedAt)
      }
    }
    taken.withLock { $0 += records }
  }
}
