import ArgumentParser
import Events
import LocalLog
import Streaming

struct LogInfo: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Show a log's topics and groups.",
    discussion: """
      For each topic its partitions with offsets, bytes on the disk, and the event times of the \
      first and the last record; for each group how far it has come and what is left (lag). Reads \
      a few blocks, changes nothing.

        bidmill log info data
      """)

  @OptionGroup var log: LogDirectoryArgument

  @Flag(help: "Print the result as JSON.")
  var json = false

  func run() throws {
    let survey = try LogSurvey(LocalLogStore.open(log.directory))
    try Terminal.output(json ? survey.json.pretty : survey.text)
  }
}

/// What a log holds.
private struct LogSurvey {
  struct Partition {
    var number: Int32
    var first: Int64
    var end: Int64
    var bytes: Int64
    var firstTime: EventTime?
    var lastTime: EventTime?
  }

  struct Topic {
    var info: TopicInfo
    var partitions: [Partition]
  }

  var root: String
  var topics: [Topic] = []
  var groups: [GroupInfo]

  init(_ store: LocalLogStore) throws {
    root = store.root
    var times = RecordTimeReader()
    for info in try store.topics() {
      var partitions: [Partition] = []
      for number in 0..<Int32(info.partitions) {
        let reader = try store.reader(info.name, partition: number)
        let first = try reader.firstOffset()
        let end = try reader.endOffset()
        partitions.append(
          Partition(
            number: number, first: first, end: end,
            bytes: try store.storedBytes(info.name, partition: number),
            firstTime: try LogSurvey.time(reader, at: first, end: end, &times),
            lastTime: try LogSurvey.time(reader, at: end - 1, end: end, &times)))
      }
      topics.append(Topic(info: info, partitions: partitions))
    }
    groups = try store.groups()
  }

  private static func time(
    _ reader: LocalLogReader, at offset: Int64, end: Int64, _ times: inout RecordTimeReader
  ) throws(LogError) -> EventTime? {
    guard offset >= 0, offset < end else { return nil }
    let chunk = RecordChunk()
    try reader.seek(to: offset)
    guard try reader.fetch(into: chunk, maxRecords: 1) == .records, let record = chunk.records.first
    else { return nil }
    return times.time(of: record.value)
  }

  private func lag(_ group: GroupInfo) -> Int64 {
    group.nextOffsets.reduce(0) { sum, next in
      let partition = topics.first { $0.info.name == next.topic }?.partitions
        .first { $0.number == group.partition }
      return sum + max(0, (partition?.end ?? next.offset) - next.offset)
    }
  }

  var text: String {
    var text = "\(root)\n"
    if topics.isEmpty { text += "\nno topics\n" }
    for topic in topics {
      let writer = topic.info.group.map { "written by the group \($0)" } ?? "filled by appends"
      let records = topic.partitions.reduce(0) { $0 + $1.end - $1.first }
      text += "\n\(topic.info.name): \(Text.plural(records, "record")), \(writer)\n"
      var rows = [["partition", "offsets", "bytes", "first event", "last event"]]
      for part in topic.partitions {
        rows.append([
          "\(part.number)",
          part.end > part.first ? "\(part.first) to \(part.end - 1)" : "none",
          Text.bytes(part.bytes), Text.time(part.firstTime), Text.time(part.lastTime),
        ])
      }
      text += Text.table(rows, [.right, .right, .right, .left, .left], indent: 2)
    }
    for name in groups.map(\.name).reduce(into: [String](), { if $0.last != $1 { $0.append($1) } })
    {
      text += "\ngroup \(name)\n"
      var rows = [["partition", "commits", "next offsets", "lag"]]
      for group in groups where group.name == name {
        rows.append([
          "\(group.partition)", Text.count(group.number),
          group.nextOffsets.map { "\($0.topic) \($0.offset)" }.joined(separator: ", "),
          Text.count(lag(group)),
        ])
      }
      text += Text.table(rows, [.right, .right, .left, .right], indent: 2)
    }
    return text
  }

  var json: JSONText {
    .object([
      ("directory", .string(root)),
      (
        "topics",
        .array(
          topics.map { topic in
            .object([
              ("topic", .string(topic.info.name)),
              ("group", topic.info.group.map { .string($0) } ?? .null),
              ("partitions", .array(topic.partitions.map(LogSurvey.json))),
            ])
          })
      ),
      (
        "groups",
        .array(
          groups.map { group in
            .object([
              ("group", .string(group.name)),
              ("partition", .count(group.partition)),
              ("commits", .count(group.number)),
              (
                "next_offsets",
                .object(group.nextOffsets.map { ($0.topic, .count($0.offset)) })
              ),
              ("lag", .count(lag(group))),
            ])
          })
      ),
    ])
  }

  private static func json(_ partition: Partition) -> JSONText {
    .object([
      ("partition", .count(partition.number)),
      ("first_offset", .count(partition.first)),
      ("end_offset", .count(partition.end)),
      ("bytes", .count(partition.bytes)),
      ("first_time", .time(partition.firstTime)),
      ("last_time", .time(partition.lastTime)),
    ])
  }
}
