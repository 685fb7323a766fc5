import Events
import LocalLog
import Streaming

/// A topic's records, all partitions merged by event time.
///
/// Within a partition the order stays; a record without a time that can be read follows the one
/// before it. What stands in every partition (heartbeats, priors) is taken from the first.
final class LogMerge {
  private final class Source {
    let reader: LocalLogReader
    let chunk = RecordChunk()
    var next = 0
    var time = EventTime.earliest
    var isAtEnd = false

    init(_ reader: LocalLogReader) { self.reader = reader }

    var record: LogRecord { chunk.records[next] }
  }

  private let sources: [Source]
  private var times = RecordTimeReader()

  init(_ store: LocalLogStore, topic: String, partitions: [Int32]) throws(LogError) {
    var sources: [Source] = []
    for partition in partitions {
      sources.append(Source(try store.reader(topic, partition: partition)))
    }
    self.sources = sources
  }

  /// Calls `body` with each record's value, until it is done.
  func read(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    for (place, source) in sources.enumerated() { try fill(source, isFirst: place == 0) }
    while true {
      var best = -1
      for (place, source) in sources.enumerated() where !source.isAtEnd {
        if best < 0 || source.time < sources[best].time { best = place }
      }
      guard best >= 0 else { return }
      try body(sources[best].record.value)
      sources[best].next += 1
      try fill(sources[best], isFirst: best == 0)
    }
  }

  /// Makes a record stand next that is to be given.
  private func fill(_ source: Source, isFirst: Bool) throws(LogError) {
    while true {
      if source.next == source.chunk.records.count {
        source.next = 0
        guard try source.reader.fetch(into: source.chunk, maxRecords: 4096) == .records else {
          source.isAtEnd = true
          return
        }
      }
      if sources.count == 1 { return }
      if !isFirst, times.isBroadcast(source.record.value) {
        source.next += 1
        continue
      }
      // Late records go where they stand: what comes after them must not wait.
      if let time = times.time(of: source.record.value), time > source.time { source.time = time }
      return
    }
  }
}
