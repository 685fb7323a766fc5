import Events
import Operators
import Streaming
import TestKit
import Testing

/// The same log in time order over another number of partitions: whoever an account shares its
/// partition with, its outputs are the same.
enum Partitions {
  /// Records in time order, each with its account; empty for those that name none.
  struct History {
    let records: [(bytes: [UInt8], account: String)]

    init(seed: UInt64, records count: Int) {
      var decoder = EventDecoder()
      let generated = EngineTests.History.records(
        count, seed: seed, duration: .minutes(40), accounts: 7, late: false)
      var owned: [(bytes: [UInt8], account: String, time: Int64)] = []
      for record in generated {
        record.withUnsafeBytes { raw in
          if let routing = decoder.routing(of: raw) {
            owned.append((record, routing.account.string, routing.time.milliseconds))
          }
        }
      }
      let sorted = owned.enumerated().sorted {
        ($0.element.time, $0.offset) < ($1.element.time, $1.offset)
      }
      records = sorted.map { ($0.element.bytes, $0.element.account) }
    }
  }

  struct Result {
    /// Per account, in order, without `source`.
    var outputs: [String: [String]]
    var digest: StateDigest
    var records: Int64
  }

  /// Runs the real engine, its threads and all, over a history that is split by account.
  static func run(_ history: History, over count: Int, mutant: Mutant? = nil) throws -> Result {
    let inputs = [LogInput(source: "events", topic: "events")]
    let brokers = (0..<count).map { _ in SimulatedBroker(inputs: inputs) }
    for record in history.records {
      let hash = Array(record.account.utf8).withUnsafeBufferPointer { Hash.text($0) }
      brokers[Int(hash % UInt64(count))].append(record.bytes)
    }
    let engine = try Engine(
      topology: try Tallying.twice(every: "10s"), registry: OperatorRegistry.all,
      partitions: brokers.enumerated().map { index, broker in
        var options = RunnerOptions(
          mode: .replay, partition: index, partitionCount: count, commitEvents: 100)
        options.mutant = mutant
        return Engine.Partition(log: broker.open(), options: options)
      },
      workers: 3)
    try engine.run()
    var result = Result(outputs: [:], digest: StateDigest(), records: 0)
    for text in brokers.flatMap(\.outputTexts) {
      let key = text.split(separator: " ")[1].prefix { $0 != "/" }
      result.outputs[String(key), default: []].append(OperatorContract.withoutSource(text))
    }
    for status in engine.statuses {
      result.records += status.current.records
      if let digest = status.current.digest { result.digest.add(digest) }
    }
    return result
  }
}

@Suite struct PartitionIdentityTests {
  @Test func anAccountsResultsDoNotDependOnTheNumberOfPartitions() throws {
    for seed in 1...6 as ClosedRange<UInt64> {
      let history = Partitions.History(seed: seed, records: 1_500)
      let one = try Partitions.run(history, over: 1)
      #expect(one.outputs.count == 7)
      for count in [2, 4, 9] {
        let many = try Partitions.run(history, over: count)
        #expect(many.records == one.records, "seed \(seed)")
        #expect(many.outputs == one.outputs, "seed \(seed), \(count) partitions")
        #expect(many.digest == one.digest, "seed \(seed), \(count) partitions")
      }
    }
  }

  @Test func everyPartitionWalksToTheLogsLastTime() throws {
    // One account falls silent an hour before the other ends: its tally of the last minute is
    // published on the way, at its own time, in whichever partition it is.
    let inputs = [LogInput(source: "events", topic: "events")]
    let brokers = (0..<2).map { _ in SimulatedBroker(inputs: inputs) }
    func impression(_ account: String, at time: Int64) -> [UInt8] {
      Array(
        (#"{"type":"impression","id":"\#(time)","time":\#(time),"account":"\#(account)","#
          + #""campaign":"c","ad":"d","price":1}"#).utf8)
    }
    brokers[0].append(impression("early", at: 1_000_000))
    brokers[1].append(impression("late", at: 1_000_000))
    brokers[1].append(impression("late", at: 4_600_000))
    let engine = try Engine(
      topology: try Tallying.topology(), registry: OperatorRegistry.all,
      partitions: brokers.map {
        Engine.Partition(log: $0.open(), options: RunnerOptions(mode: .replay))
      },
      workers: 2)
    try engine.run()
    #expect(brokers[0].outputTexts.count == 1)
    #expect(brokers[0].outputTexts.first?.contains(#""time":1020000,"#) == true)
    // The last one is published by the end of the replay.
    #expect(brokers[1].outputTexts.count == 2)
    #expect(brokers[1].outputTexts.last?.contains(#""time":4600000,"#) == true)
  }
}
