import Events
import LocalLog
import Streaming

/// JSON Lines on their way into a topic of a local log.
struct LogImport {
  var store: LocalLogStore
  var topic: String
  var partitions: Int
  var isQuiet = false

  struct Result {
    /// Lines that were read.
    var lines: Int64 = 0
    /// Records that were appended, per partition.
    var records: [Int64]
    /// Heartbeats and priors: lines that every partition got.
    var everywhere: Int64 = 0
    /// Lines without an account that can be read.
    var withoutAccount: Int64 = 0
    var seconds = 0.0
  }

  /// Appends the lines of the files, in their order.
  func run(_ files: [String], fraction: (Int64) -> Double? = { _ in nil }) throws -> Result {
    let clock = SystemClock()
    let begun = clock.now()
    let route = AccountRoute(partitions: partitions, acceptsPriors: true)
    let appenders = try (0..<partitions).map {
      try store.appender(topic, partition: Int32($0))
    }
    var result = Result(records: Array(repeating: 0, count: partitions))
    let progress = ProgressLine(isQuiet: isQuiet)
    defer { progress.end() }
    do {
      for file in files {
        try append(file, route, appenders, &result) { lines in
          progress.show(fraction(lines)) { "\(file): \(Text.plural(lines, "line"))" }
        }
      }
      for appender in appenders { try appender.close() }
    } catch let error as LogError {
      for appender in appenders { try? appender.close() }
      throw LogError(
        error.kind,
        error.message + "; the import stopped after \(Text.plural(result.lines, "line")), of which "
          + "some may not be in the topic \(topic): `bidmill log info` tells what is")
    }
    result.seconds = Double(max(clock.now() - begun, 1)) / 1000
    return result
  }

  private func append(
    _ file: String, _ route: AccountRoute, _ appenders: [TopicAppender], _ result: inout Result,
    _ show: (Int64) -> Void
  ) throws {
    let input = try FileInput(path: file)
    let chunk = RecordChunk()
    while try input.fetch(into: chunk, maxRecords: 4096) == .records {
      for cut in chunk.truncated {
        Terminal.error(
          "warning: \(file):\(cut.offset): the line has \(Text.count(cut.length)) bytes; only its "
            + "beginning is imported, and will be refused as too large")
      }
      for record in chunk.records {
        try append(record.value, route.decide(record.value), appenders, &result)
        result.lines += 1
      }
      show(result.lines)
    }
  }

  private func append(
    _ value: UnsafeRawBufferPointer, _ decision: AccountRoute.Decision,
    _ appenders: [TopicAppender], _ result: inout Result
  ) throws(LogError) {
    let isEverywhere = decision.partition == FileReplay.everyPartition
    if isEverywhere {
      result.everywhere += 1
    } else if decision.account.isAbsent {
      result.withoutAccount += 1
    }
    let places = isEverywhere ? 0..<partitions : decision.partition..<decision.partition + 1
    for place in places {
      try appenders[place].append(
        key: UnsafeRawBufferPointer(decision.account.bytes), value: value,
        appendTime: LogRecord.noAppendTime,
        eventTime: decision.time?.milliseconds ?? TopicAppender.unknownTime)
      result.records[place] += 1
    }
  }
}
