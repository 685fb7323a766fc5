import Events
import Streaming

/// What a run did, in numbers: `summary.json`, and the table on standard output.
struct Summary {
  var topology: String
  var partitions: Int
  /// Records taken, refused ones included.
  var events: Int64
  /// Dropped because they had come before.
  var duplicates: Int64
  /// Refused.
  var deadLetters: Int64
  /// Older than the watermark when they were taken.
  var late: Int64
  var firstTime: EventTime?
  var lastTime: EventTime?
  var seconds: Double
  /// Events that `seconds` were spent on.
  var eventsInRun: Int64
  var digest: StateDigest
  /// Records published, per sink.
  var streams: [(name: String, records: Int64)]

  /// - Parameters:
  ///   - copies: records that several partitions took but that stand in the input once.
  ///   - eventsInRun: nil for all of them.
  init(
    topology: CheckedTopology, statuses: [PartitionStatus], seconds: Double, copies: Int64 = 0,
    eventsInRun: Int64? = nil
  ) {
    let values = statuses.map(\.current)
    self.topology = topology.topology.name
    partitions = values.count
    events = values.reduce(0) { $0 + $1.records } - copies
    deadLetters = values.reduce(0) { $0 + $1.rejected }
    late = values.reduce(0) { $0 + $1.late }
    duplicates = values.reduce(0) { sum, value in
      sum + value.counters.filter { $0.name.hasSuffix(".duplicates") }.reduce(0) { $0 + $1.value }
    }
    firstTime = values.compactMap(\.firstTime).min()
    lastTime = values.compactMap(\.lastTime).max()
    self.seconds = seconds
    self.eventsInRun = eventsInRun ?? events
    digest = StateDigest()
    for value in values { if let part = value.digest { digest.add(part) } }
    streams = topology.sinks.enumerated().map { place, sink in
      let records = values.reduce(0) { sum, value in
        sum + (place < value.sinks.count ? value.sinks[place].records : 0)
      }
      return (sink.name, Int64(records))
    }
  }

  var accepted: Int64 { events - duplicates - deadLetters }

  var eventsPerSecond: Double { seconds > 0 ? Double(eventsInRun) / seconds : 0 }

  var json: JSONText {
    .object(
      [
        ("topology", .string(topology)),
        ("events", .count(events)),
        ("accepted", .count(accepted)),
        ("duplicates", .count(duplicates)),
        ("dead_letters", .count(deadLetters)),
        ("late", .count(late)),
        ("first_time", .time(firstTime)),
        ("last_time", .time(lastTime)),
        ("partitions", .count(partitions)),
        ("seconds", .number((seconds * 1000).rounded() / 1000)),
        ("events_per_second", .count(Int64(eventsPerSecond.rounded()))),
        ("digest", .string("\(digest)")),
        ("streams", .object(streams.map { ($0.name, .count($0.records)) })),
      ])
  }

  /// For people. `destinations` says of each stream where its records went.
  func table(destinations: (String) -> String) -> String {
    let speed =
      "\(Text.seconds(seconds)), \(Text.count(Int64(eventsPerSecond.rounded()))) events/s"
    var counts = [
      ("events", events), ("accepted", accepted), ("duplicates", duplicates),
      ("dead letters", deadLetters),
    ]
    if late > 0 { counts.append(("late", late)) }
    let width = counts.map { Text.count($0.1).count }.max() ?? 0
    var rows = counts.map { name, count in
      let text = Text.count(count)
      return [name, String(repeating: " ", count: width - text.count) + text]
    }
    rows += [
      ["event time", "\(Text.time(firstTime)) to \(Text.time(lastTime))"],
      ["took", speed],
      ["digest", "\(digest)"],
    ]
    let streamRows = streams.map { [$0.name, Text.count($0.records), destinations($0.name)] }
    return Text.table(rows, [.left]) + "\n" + Text.table(streamRows, [.left, .right])
  }
}
