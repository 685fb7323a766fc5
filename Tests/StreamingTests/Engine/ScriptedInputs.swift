import Events
import Operators
import Synchronization
import TestKit

@testable import Streaming

/// A log whose inputs answer every fetch as a test has written it down.
final class ScriptedInputs: PartitionLog {
  enum Fetch: Sendable {
    /// Records with their offsets; `next` is the log's position after them.
    case records([Record])
    case waiting
    case end
    /// Says `.records` and brings none, as no log should.
    case nothing
  }

  struct Record: Sendable {
    var offset: Int64
    var value: [UInt8]
    var appendTime = LogRecord.noAppendTime

    init(_ offset: Int64, _ text: String, appendTime: Int64 = LogRecord.noAppendTime) {
      self.offset = offset
      value = Array(text.utf8)
      self.appendTime = appendTime
    }

    /// An event that only moves time.
    init(_ offset: Int64, at time: Int64, appendTime: Int64 = LogRecord.noAppendTime) {
      self.init(
        offset, #"{"type":"heartbeat","time":\#(time)}"#, appendTime: appendTime)
    }

    /// A record that no decoder takes.
    static func bad(_ offset: Int64) -> Record { Record(offset, "bad \(offset)") }
  }

  let inputs: [LogInput]
  /// What an input says when its script is over.
  private let last: Fetch
  private let scripts: Mutex<[[Fetch]]>

  init(inputs: [LogInput], _ scripts: [[Fetch]], last: Fetch = .end) {
    self.inputs = inputs
    self.last = last
    self.scripts = Mutex(scripts)
  }

  /// More for an input to say.
  func add(_ fetches: [Fetch], to input: Int) { scripts.withLock { $0[input] += fetches } }

  func fetch(_ input: Int, into chunk: RecordChunk, maxRecords: Int) throws(LogError)
    -> FetchStatus
  {
    let fetch = scripts.withLock { $0[input].isEmpty ? last : $0[input].removeFirst() }
    switch fetch {
    case .waiting: return .waiting
    case .end: return .end
    case .nothing: return .records
    case .records(let records):
      chunk.reserve(records.reduce(0) { $0 + $1.value.count })
      var place = 0
      for record in records {
        let target = UnsafeMutableRawBufferPointer(
          rebasing: chunk.storage[place..<(place + record.value.count)])
        target.copyBytes(from: record.value)
        place += record.value.count
        chunk.records.append(
          LogRecord(
            offset: record.offset, appendTime: record.appendTime,
            key: UnsafeRawBufferPointer(start: nil, count: 0),
            value: UnsafeRawBufferPointer(target)))
        chunk.nextOffset = record.offset + 1
      }
      return .records
    }
  }

  func seek(_ input: Int, to offset: Int64) throws(LogError) {}
  func firstOffsets() throws(LogError) -> [Int64] { inputs.map { _ in 0 } }
  func committed() throws(LogError) -> CommitPoint? { nil }
  func journal(
    after number: Int64, _ body: (Int64, UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {}
  func commit(_ transaction: Transaction) throws(LogError) {}
  func close() {}
}

/// A sequencer over scripted inputs, and the sequence that it makes.
struct Sequence {
  let log: ScriptedInputs
  let core: PartitionCore
  let sequencer: Sequencer
  let outputs = OutputBuffer()
  var now: Int64 = 10_000

  /// - Parameters:
  ///   - sources: Per input; the topology has one of each name, in their order.
  init(
    _ scripts: [[ScriptedInputs.Fetch]], mode: RunnerOptions.Mode = .replay, urgent: Set<Int> = [],
    trusted: Set<Int> = [], time: String = "{}", until: EventTime? = nil,
    last: ScriptedInputs.Fetch = .end
  ) throws {
    let names = scripts.indices.map { "s\($0)" }
    let inputs = names.enumerated().map {
      LogInput(
        source: $1, topic: $1, urgent: urgent.contains($0), trusted: trusted.contains($0))
    }
    log = ScriptedInputs(inputs: inputs, scripts, last: last)
    let topology = try CheckedTopology.parse(
      text: """
        topology: merged
        time: \(time)
        sources:
        \(names.map { "  \($0): { log: { directory: data, topics: [\($0)] } }" }
          .joined(separator: "\n"))
        operators:
          totals: { operator: tally, from: [\(names.joined(separator: ", "))] }
        sinks:
          tallies: { from: totals, log: { topic: tallies } }
          dead_letters: { log: { topic: dead-letters } }
        """,
      file: "merged.yaml", registry: OperatorRegistry.all.map(\.description))
    core = try PartitionCore(
      topology: topology, registry: OperatorRegistry.all, inputCount: inputs.count,
      outputs: outputs)
    var options = RunnerOptions(mode: mode)
    options.until = until
    sequencer = Sequencer(core: core, log: log, options: options)
    try sequencer.start(at: inputs.map { _ in 0 })
    sequencer.journal.begin(tick: -1, nextOffsets: sequencer.nextOffsets)
  }

  /// Steps until nothing moves any more; says how it ended.
  @discardableResult
  mutating func run(limit: Int = 1_000) throws(LogError) -> Sequencer.Progress {
    while true {
      let progress = try sequencer.step(limit: limit, now: now)
      if progress != .advanced { return progress }
    }
  }

  /// The sequence so far: `a3` for record 3 of the first input, `|7` for time moving to tick 7.
  var trace: String {
    get throws {
      sequencer.journal.finish()
      let bytes = sequencer.journal.bytes
      var texts: [String] = []
      try bytes.withUnsafeBytes { raw in
        var reader = try JournalReader(raw)
        var offsets = reader.offsets
        while let entry = try reader.next() {
          switch entry {
          case .run(let input, let next):
            let letter = UnicodeScalar(UInt8(ascii: "a") + UInt8(input))
            texts += (offsets[input]..<next).map { "\(letter)\($0)" }
            offsets[input] = next
          case .clock(let tick): texts.append("|\(tick)")
          case .epoch: texts.append("epoch")
          }
        }
      }
      return texts.joined(separator: " ")
    }
  }

  /// Values of the dead letters so far.
  var deadLetters: [String] {
    outputs.records.filter { $0.sink == core.graph.deadLetterSink }.map {
      String(decoding: outputs.value(of: $0), as: UTF8.self)
    }
  }

  var engine: EngineState { core.state[0] }
}
