import Events
import Operators
import TestKit
import Testing

@testable import Streaming

/// A partition of the whole loop on a simulated log, run step by step.
enum LivingPartition {
  static func start(
    _ topology: CheckedTopology, _ broker: SimulatedBroker, rebuilds: Bool = false,
    history: History? = nil
  ) throws -> PartitionRunner {
    var options = RunnerOptions(mode: .live, commitEvents: 200)
    options.rebuilds = { rebuilds }
    options.history = history
    return try start(topology, broker, options)
  }

  static func start(
    _ topology: CheckedTopology, _ broker: SimulatedBroker, _ options: RunnerOptions,
    snapshotQueue: any WorkQueue = ImmediateQueue()
  ) throws -> PartitionRunner {
    let runner = try PartitionRunner(
      topology: topology, registry: OperatorRegistry.all, log: broker.open(),
      snapshots: SimulatedSnapshots(broker), commitQueue: ImmediateQueue(),
      snapshotQueue: snapshotQueue, options: options)
    try runner.start(now: 0)
    return runner
  }

  static func runToEnd(_ runner: PartitionRunner, snapshot: Bool = true) throws {
    var idle = 0
    // Keeping the rebuilt state takes turns in which nothing is read.
    while idle < 3 { idle = try runner.step(now: 0) == .advanced ? 0 : idle + 1 }
    while try !runner.drain(now: 0, snapshot: snapshot) {}
  }

  static func broker(_ records: some Sequence<[UInt8]>) -> SimulatedBroker {
    let broker = SimulatedBroker(inputs: [LogInput(source: "events", topic: "events")])
    for record in records { broker.append(record) }
    return broker
  }

  static func epochs(_ broker: SimulatedBroker) throws -> [Epoch] {
    var found: [Epoch] = []
    for record in broker.journal {
      var reader = try record.withUnsafeBytes { try JournalReader($0) }
      while let entry = try reader.next() {
        if case .epoch(let epoch) = entry { found.append(epoch) }
      }
    }
    return found
  }

  struct Parameter {
    var key: String
    var sequence: Int64
    var transaction: Int64
  }

  /// The bid parameters in the order in which they were committed.
  static func parameters(_ broker: SimulatedBroker) -> [Parameter] {
    broker.outputs.compactMap { output in
      let text = String(decoding: output.value, as: UTF8.self)
      guard let start = text.firstRange(of: #""seq":"#), text.contains(#""valid_until":"#) else {
        return nil
      }
      let digits = text[start.upperBound...].prefix { $0.isNumber }
      return Parameter(
        key: String(decoding: output.key, as: UTF8.self), sequence: Int64(digits) ?? -1,
        transaction: output.transaction)
    }
  }

  /// A reader that keeps the highest `seq` always takes the newest record.
  static func expectRising(_ broker: SimulatedBroker, _ comment: Comment? = nil) {
    var last: [String: Int64] = [:]
    for parameter in parameters(broker) {
      #expect(parameter.sequence > last[parameter.key] ?? 0, comment)
      last[parameter.key] = parameter.sequence
    }
  }
}
