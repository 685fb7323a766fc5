import Events
import LocalLog
import Streaming

/// The records of a topic's partitions, merged by event time.
///
/// Within a partition the order stays; a record without a time that can be read follows the one
/// before it. What stands in every partition (heartbeats, priors) is taken from the first.
final class LogMerge {
  /// Where an input stands: its next record, and the newest time before that.
  struct Position: Equatable {
    var offset: Int64
    var time: EventTime
  }

  private final class Source {
    let reader: any ReplayInput
    let isFirst: Bool
    let chunk = RecordChunk()
    var next = 0
    var position: Position
    var isAtEnd = false

    init(_ reader: any ReplayInput, isFirst: Bool, _ position: Position) {
      self.reader = reader
      self.isFirst = isFirst
      self.position = position
    }

    var record: LogRecord { chunk.records[next] }

    func take() {
      position.offset = record.offset + 1
      next += 1
    }
  }

  private let sources: [Source]
  private var times = RecordTimeReader()

  init(_ store: LocalLogStore, topic: String, partitions: [Int32]) throws(LogError) {
    var sources: [Source] = []
    for partition in partitions {
      let reader = try store.reader(topic, partition: partition)
      sources.append(
        Source(
          reader, isFirst: sources.isEmpty,
          Position(offset: try reader.firstOffset(), time: .earliest)))
    }
    self.sources = sources
  }

  /// Merges inputs that wait for their records, from the positions that they are given. What is in
  /// every partition is taken from those that are `isFirst`.
  init(
    _ inputs: [(reader: any ReplayInput, isFirst: Bool, position: Position)]
  ) throws(LogError) {
    for input in inputs { try input.reader.seek(to: input.position.offset) }
    sources = inputs.map { Source($0.reader, isFirst: $0.isFirst, $0.position) }
  }

  /// Of each input; valid between two records.
  var positions: [Position] { sources.map(\.position) }

  /// Calls `body` with each record's value, until it is done.
  func read(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    for source in sources { try fill(source) }
    while true {
      var best = -1
      for (place, source) in sources.enumerated() where !source.isAtEnd {
        if best < 0 || source.position.time < sources[best].position.time { best = place }
      }
      guard best >= 0 else { return }
      let value = sources[best].record.value
      sources[best].take()
      try body(value)
      try fill(sources[best])
    }
  }

  /// Makes a record stand next that is to be given.
  private func fill(_ source: Source) throws(LogError) {
    while true {
      if source.next == source.chunk.records.count {
        source.next = 0
        guard try source.reader.fetch(into: source.chunk, maxRecords: 4096) == .records else {
          source.isAtEnd = true
          return
        }
      }
      if sources.count == 1 { return }
      if !source.isFirst, times.isBroadcast(source.record.value) {
        source.take()
        continue
      }
      // Late records go where they stand: what comes after them must not wait.
      if let time = times.time(of: source.record.value), time > source.position.time {
        source.position.time = time
      }
      return
    }
  }
}
