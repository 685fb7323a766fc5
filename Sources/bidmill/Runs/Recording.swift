import Events
import KafkaLog
import LocalLog
import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Topics on Kafka on their way into a local log or a file.
///
/// What is written is forced to the disk now and then, and only then it is noted how far it is:
/// after a crash some records may stand behind the note. In a log those are counted and looked at
/// again; a file is cut back to the note.
struct Recording {
  /// Between two notes.
  private static let noteEvery = 1 << 16

  var reading: KafkaReading
  var show: (_ records: Int64, _ fraction: Double?) -> Void = { _, _ in }

  struct Result {
    /// Records of this call.
    var records: Int64 = 0
    /// Records of a recording that was broken off, which were not recorded again.
    var continued: Int64 = 0
  }

  /// What a recording of a topic notes as the place that it came from.
  static func origin(_ brokers: String, _ topic: String) -> String { "\(brokers)/\(topic)" }

  // MARK: Into a log

  func run(toLog directory: String) throws -> Result {
    let parts = try reading.open()
    let store = try LocalLogStore.open(directory, creating: true)
    var result = Result()
    let total = parts.joined().reduce(0) { $0 + $1.range.count }
    for topic in parts {
      try store.createTopic(topic[0].topic, partitions: topic.count)
      for part in topic {
        try record(part, into: store, &result) { show($0, Double($0) / Double(max(total, 1))) }
      }
    }
    return result
  }

  private func record(
    _ part: KafkaReading.Part, into store: LocalLogStore, _ result: inout Result,
    _ show: (Int64) -> Void
  ) throws {
    let appender = try store.appender(part.topic, partition: part.partition)
    var mark = try begin(part, appender.nextOffset, store)
    let input = KafkaReplayInput(part.range, waits: true)
    try input.seek(to: mark.originOffset)
    defer { part.range.close() }
    let chunk = RecordChunk()
    var times = RecordTimeReader()
    var known = try KnownRecords(store, part, from: mark.offset, to: appender.nextOffset)
    result.continued += mark.offset
    var next = mark.originOffset
    var unnoted = 0
    while try input.fetch(into: chunk, maxRecords: 4096) == .records {
      for record in chunk.records {
        next = record.offset + 1
        if try known.take(record) {
          result.continued += 1
          continue
        }
        try appender.append(
          key: record.key, value: record.value, appendTime: record.appendTime,
          eventTime: times.time(of: record.value)?.milliseconds ?? TopicAppender.unknownTime)
        result.records += 1
        unnoted += 1
      }
      if unnoted >= Recording.noteEvery {
        try note(&mark, next, appender, store, part)
        unnoted = 0
      }
      show(result.records + result.continued)
    }
    try known.checkDone()
    try note(&mark, next, appender, store, part)
    try appender.close()
  }

  /// Where a recording goes on; a new one is noted before its first record is written.
  private func begin(
    _ part: KafkaReading.Part, _ written: Int64, _ store: LocalLogStore
  ) throws -> RecordingMark {
    let origin = Recording.origin(reading.brokers, part.topic)
    if let mark = try store.recordingMark(part.topic, partition: part.partition) {
      guard mark.origin == origin, mark.offset <= written else {
        throw Failure(
          .configuration,
          "error: the topic \(part.topic) of \(store.root) was recorded from \(mark.origin) up to "
            + "offset \(mark.offset), and has \(written) records; record into another directory")
      }
      return mark
    }
    guard written == 0 else {
      throw Failure(
        .configuration,
        "error: the topic \(part.topic) of \(store.root) has records that were not recorded from "
          + "Kafka; record into another directory")
    }
    let mark = RecordingMark(origin: origin, originOffset: part.range.start, offset: 0)
    try store.keep(mark, of: part.topic, partition: part.partition)
    return mark
  }

  private func note(
    _ mark: inout RecordingMark, _ next: Int64, _ appender: TopicAppender, _ store: LocalLogStore,
    _ part: KafkaReading.Part
  ) throws(LogError) {
    try appender.flush()
    mark.originOffset = max(next, mark.originOffset)
    mark.offset = appender.nextOffset
    try store.keep(mark, of: part.topic, partition: part.partition)
  }

  // MARK: Into a file

  func run(toFile path: String, overwrite: Bool) throws -> Result {
    let (data, note) = (path + ".part", path + ".recording")
    if overwrite {
      for old in [note, data] { _ = unlink(old) }
    } else if PathKind(path) != .missing {
      throw Failure(
        .configuration,
        "error: \(path) exists; name another file, or allow it with --overwrite")
    }
    let parts = Array(try reading.open().joined())
    var state = try FileNote(path: note, origin: reading.brokers, parts)
    let file = try FileOutput(
      continuing: data, at: state.bytes, compressing: path.hasSuffix(".zst"))
    let merge = try LogMerge(
      zip(parts, state.positions).map {
        (
          reader: KafkaReplayInput($0.range, waits: true), isFirst: $0.partition == 0,
          position: $1
        )
      })
    var result = Result(continued: state.records)
    let total = parts.reduce(0) { $0 + $1.range.count }
    var broken: Int64 = 0
    try merge.read { value in
      // Taken already, so that the positions are those behind it.
      if Recording.add(value, to: file) { broken += 1 }
      result.records += 1
      guard result.records % Int64(Recording.noteEvery) == 0 else { return try file.drain() }
      let records = result.records + result.continued
      try state.keep(bytes: try file.checkpoint(), records: records, merge.positions)
      show(records, Double(records) / Double(max(total, 1)))
    }
    _ = try file.checkpoint()
    guard rename(data, path) == 0 else {
      throw Failure(
        .unavailable, "error: cannot write \(path): \(String(cString: strerror(errno)))")
    }
    _ = unlink(note)
    if broken > 0 {
      Terminal.error(
        "warning: \(Text.plural(broken, "record")) had line breaks inside, which are spaces now")
    }
    return result
  }

  /// A line break in a record would make two lines of it. Returns whether there was one.
  private static func add(_ value: UnsafeRawBufferPointer, to file: FileOutput) -> Bool {
    guard value.contains(0x0A) else {
      file.add(value)
      return false
    }
    value.map { $0 == 0x0A ? 0x20 : $0 }.withUnsafeBytes { file.add($0) }
    return true
  }
}

/// Records that a recording has written behind its last note: the same ones come again.
private struct KnownRecords {
  private let reader: LocalLogReader
  private let chunk = RecordChunk()
  private var place = 0
  private var left: Int64
  private let name: String

  init(
    _ store: LocalLogStore, _ part: KafkaReading.Part, from first: Int64, to end: Int64
  ) throws(LogError) {
    reader = try store.reader(part.topic, partition: part.partition)
    try reader.seek(to: first)
    left = end - first
    name = "\(part.topic) partition \(part.partition)"
  }

  /// Whether the record is one that stands there already.
  mutating func take(_ record: LogRecord) throws(LogError) -> Bool {
    guard left > 0 else { return false }
    if place == chunk.records.count {
      place = 0
      guard try reader.fetch(into: chunk, maxRecords: 4096) == .records else { throw differs }
    }
    let known = chunk.records[place]
    guard known.key.elementsEqual(record.key), known.value.elementsEqual(record.value) else {
      throw differs
    }
    place += 1
    left -= 1
    return true
  }

  func checkDone() throws(LogError) { if left > 0 { throw differs } }

  private var differs: LogError {
    LogError(
      .badData,
      "\(name): what was recorded last does not stand in the topic any more: it was compacted or "
        + "removed meanwhile. Record into another directory")
  }
}

/// How far a file has been recorded: a line for the file, then one for each partition.
private struct FileNote {
  private static let version = "bidmill-recording 1"

  private let path: String
  private let origin: String
  private let names: [String]
  private(set) var bytes: Int64 = 0
  private(set) var records: Int64 = 0
  private(set) var positions: [LogMerge.Position]

  /// Of a recording that was broken off, or of a new one.
  init(path: String, origin: String, _ parts: [KafkaReading.Part]) throws {
    self.path = path
    self.origin = origin
    names = parts.map { "\($0.topic) \($0.partition)" }
    positions = parts.map { .init(offset: $0.range.start, time: .earliest) }
    guard PathKind(path) != .missing else { return }
    let input = try FileInput(path: path)
    let chunk = RecordChunk()
    var lines: [String] = []
    while try input.fetch(into: chunk, maxRecords: 4096) == .records {
      lines += chunk.records.map { String(decoding: $0.value, as: UTF8.self) }
    }
    guard lines.count == names.count + 1, read(lines) else {
      throw Failure(
        .configuration,
        "error: \(path) is of a recording of other topics or of another cluster; give the same "
          + "command again, or begin anew with --overwrite")
    }
  }

  private mutating func read(_ lines: [String]) -> Bool {
    let head = lines[0].split(separator: "\t").map(String.init)
    guard head.count == 4, head[0] == FileNote.version, head[1] == origin,
      let bytes = Int64(head[2]), let records = Int64(head[3]), bytes >= 0, records >= 0
    else { return false }
    (self.bytes, self.records) = (bytes, records)
    for place in names.indices {
      let fields = lines[place + 1].split(separator: "\t").map(String.init)
      guard fields.count == 3, fields[0] == names[place], let offset = Int64(fields[1]),
        let time = Int64(fields[2]), offset >= 0
      else { return false }
      positions[place] = .init(offset: offset, time: EventTime(milliseconds: time))
    }
    return true
  }

  /// Replaces the note; what it says is on the disk already.
  mutating func keep(bytes: Int64, records: Int64, _ positions: [LogMerge.Position]) throws {
    (self.bytes, self.records, self.positions) = (bytes, records, positions)
    let file = try LineFile(path, overwrite: true)
    var lines = ["\(FileNote.version)\t\(origin)\t\(bytes)\t\(records)"]
    for (name, position) in zip(names, positions) {
      lines.append("\(name)\t\(position.offset)\t\(position.time.milliseconds)")
    }
    for line in lines { try Array(line.utf8).withUnsafeBytes { try file.add($0) } }
    try file.finish()
  }
}
