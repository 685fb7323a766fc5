import Dispatch
import Operators
import Streaming
import Synchronization
import TestKit
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Partitions that are taken up and given up while the engine's threads run.
@Suite struct MovingPartitionsTests {
  private let topology: CheckedTopology
  private let brokers: [SimulatedBroker]

  init() throws {
    topology = try Tallying.topology()
    brokers = (0..<4).map { _ in
      SimulatedBroker(inputs: [LogInput(source: "", topic: "events")])
    }
  }

  /// Waits for what other threads bring about.
  private func wait(_ what: String, until isDone: () -> Bool) {
    for _ in 0..<60_000 where !isDone() { usleep(1_000) }
    #expect(isDone(), "\(what) does not come about")
  }

  private func add(_ index: Int, to engine: Engine, _ opened: borrowing Atomic<Int>) throws {
    let (broker, count) = (brokers[index], brokers.count)
    var options = RunnerOptions(
      mode: .live, partition: index, partitionCount: count, commitEvery: 2, commitEvents: 40)
    options.idleClock = false
    let isOpened = try engine.open(index, broker, options)
    if isOpened { opened.add(1, ordering: .relaxed) }
  }

  private func run(
    warmMilliseconds: Int64, _ body: (Engine) throws -> Void
  ) throws -> [PartitionStatus] {
    let engine = Engine(
      topology: topology, registry: OperatorRegistry.all, workers: 2,
      warmMilliseconds: warmMilliseconds)
    let outcome = Mutex<Result<Void, LogError>?>(nil)
    let isOver = DispatchSemaphore(value: 0)
    let thread = DispatchQueue(label: "engine")
    thread.async {
      do throws(LogError) {
        try engine.run()
        outcome.withLock { $0 = .success(()) }
      } catch { outcome.withLock { $0 = .failure(error) } }
      isOver.signal()
    }
    defer {
      engine.stop()
      isOver.wait()
    }
    try body(engine)
    engine.stop()
    isOver.wait()
    isOver.signal()
    try outcome.withLock { $0 }?.get()
    return engine.statuses
  }

  /// Each is moved about at random, between two engines, while records come.
  @Test(arguments: [0, 60_000])
  func eachOutputIsCommittedOnce(warmMilliseconds: Int64) throws {
    let seed: UInt64 = 11
    print("seed \(seed)")
    var choice = SeededChoice(seed: seed)
    let records = History.records(1_200, seed: seed)
    let opened = Atomic<Int>(0)
    var fed = 0
    let statuses = try run(warmMilliseconds: warmMilliseconds) { first in
      _ = try run(warmMilliseconds: warmMilliseconds) { second in
        // Which engine has a partition.
        var places: [Int?] = brokers.map { _ in nil }
        let engines = [first, second]
        while fed < records.count {
          for _ in 0..<min(30, records.count - fed) {
            brokers[fed % brokers.count].append(records[fed])
            fed += 1
          }
          let index = choice.below(brokers.count)
          if let place = places[index] {
            // Sometimes there is no time to commit, and sometimes it is not even asked for.
            if choice.once(in: 4) {
              engines[place].leave([index])
            } else {
              engines[place].release([index], within: choice.once(in: 3) ? 0 : 10_000)
            }
          }
          let next = choice.below(engines.count)
          places[index] = next
          try add(index, to: engines[next], opened)
        }
        for (index, place) in places.enumerated() {
          if let place { engines[place].release([index], within: 10_000) }
        }
      }
      for index in brokers.indices { try add(index, to: first, opened) }
      wait("the end of the records") {
        first.statuses.reduce(0) { $0 + $1.current.records } == records.count
          && brokers.allSatisfy { $0.nextOffsets == $0.recordCounts.map(Int64.init) }
      }
    }
    #expect(statuses.map(\.index) == Array(brokers.indices))
    for (status, broker) in zip(statuses, brokers) {
      let audit = try Replaying(topology: topology, registry: OperatorRegistry.all).audit(broker)
      #expect(status.current.digest.map { "\($0)" } == audit.digest)
      #expect(broker.outputTexts == audit.outputs)
    }
    #expect(opened.load(ordering: .relaxed) > brokers.count)
  }

  @Test func anEngineWithoutPartitionsWaits() throws {
    let statuses = try run(warmMilliseconds: 0) { engine in
      #expect(engine.statuses.isEmpty && engine.lost.isEmpty)
      // What is not there is away already.
      engine.release([0, 1], within: 10_000)
    }
    #expect(statuses.isEmpty)
  }

  @Test func whatIsFencedIsLostAndComesBack() throws {
    for record in History.records(200, seed: 3) { brokers[0].append(record) }
    let opened = Atomic<Int>(0)
    let statuses = try run(warmMilliseconds: 60_000) { engine in
      try add(0, to: engine, opened)
      wait("the end of the records") { brokers[0].nextOffsets == [200] }
      // Somebody else opens it and does nothing.
      _ = brokers[0].open()
      for record in History.records(300, seed: 4) { brokers[0].append(record) }
      wait("the loss") { !engine.lost.isEmpty }
      #expect(engine.lost.map(\.index) == [0])
      #expect(engine.statuses.isEmpty)
      try add(0, to: engine, opened)
      wait("the end of all records") { brokers[0].nextOffsets == [500] }
    }
    #expect(opened.load(ordering: .relaxed) == 1)
    let audit = try Replaying(topology: topology, registry: OperatorRegistry.all)
      .audit(brokers[0])
    #expect(statuses.first?.current.digest.map { "\($0)" } == audit.digest)
    #expect(brokers[0].outputTexts == audit.outputs)
  }

  @Test func aRunThatEndsTakesNothingUp() throws {
    let opened = Atomic<Int>(0)
    let statuses = try run(warmMilliseconds: 0) { engine in
      engine.stop()
      try add(0, to: engine, opened)
      #expect(engine.statuses.isEmpty)
    }
    #expect(statuses.isEmpty)
    #expect(opened.load(ordering: .relaxed) == 0)
  }

  @Test func anErrorEndsTheRun() throws {
    #expect(throws: LogError.self) {
      try run(warmMilliseconds: 0) { engine in
        engine.fail(LogError(.unavailable, "from elsewhere"))
      }
    }
  }
}

extension Engine {
  /// Whether nothing was here to go on from.
  fileprivate func open(
    _ index: Int, _ broker: SimulatedBroker, _ options: RunnerOptions
  ) throws -> Bool {
    var isOpened = false
    try add(index) { () throws(LogError) in
      isOpened = true
      return Engine.Partition(
        log: broker.open(), snapshots: SimulatedSnapshots(broker), options: options)
    }
    return isOpened
  }
}
