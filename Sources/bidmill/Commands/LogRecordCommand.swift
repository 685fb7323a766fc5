import ArgumentParser
import LocalLog
import Streaming

struct LogRecordCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "record",
    abstract: "Copy topics from Kafka.",
    discussion: """
      Into a local log: each topic becomes one of the same name, with as many partitions, and with \
      the records' keys. Into a file (.jsonl, .jsonl.zst): one line a record, all partitions merged \
      by event time, what stands in every partition once.

      Reads up to the end that the topics have when it begins, or to --until; no group is joined, \
      nothing is committed, and aborted records are not seen. A recording that was broken off, by \
      kill -9 too, goes on where it was when the same command is given again: no record is lost or \
      doubled. Given again after its end, one into a log takes what has come since.

        bidmill log record data --from kafka:impressions,clicks --brokers localhost:9092
        bidmill log record events.jsonl.zst --from kafka:events --brokers localhost:9092 \\
          --start 2026-01-02T00:00:00Z --until 2026-01-03T00:00:00Z
      """)

  @Argument(
    help: "A local log's directory, or a file that ends in .jsonl or .jsonl.zst.",
    completion: .file())
  var to: String

  @Option(help: ArgumentHelp("`kafka:TOPIC[,TOPIC…]`", valueName: "topics"))
  var from: String

  @Option(help: ArgumentHelp("Where the topics are.", valueName: "host:port"))
  var brokers: String

  @Option(
    help: ArgumentHelp(
      "Begin at the first record with this timestamp or a later one, or at `offset:N` of each "
        + "partition (default: the first there is).", valueName: "time"))
  var start: PositionArgument?

  @Option(
    help: ArgumentHelp(
      "Stop before the first record with this timestamp or a later one, or before `offset:N` "
        + "(default: the end there is now).", valueName: "time"))
  var until: PositionArgument?

  @Option(
    name: .customLong("property"),
    help: ArgumentHelp("A setting of the Kafka client. May be repeated.", valueName: "name=value"))
  var properties: [String] = []

  @Flag(help: "Replace the file where it exists, and what is left of a recording into it.")
  var overwrite = false

  @OptionGroup var report: ReportOptions

  func validate() throws {
    for property in properties where !property.dropFirst().contains("=") {
      throw ValidationError("--property is name=value, not \(property).")
    }
  }

  func run() throws {
    guard let topics = try KafkaReading.topics(in: [from]) else {
      throw Failure(.usage, "error: --from is `kafka:TOPIC[,TOPIC…]`, not \(from)")
    }
    let reading = KafkaReading(
      brokers: brokers,
      properties: properties.map {
        let end = $0.firstIndex(of: "=") ?? $0.endIndex
        return Topology.Property(
          name: String($0[..<end]), value: String($0[end...].dropFirst()))
      }, topics: topics, start: start?.inTopic, end: until?.inTopic)
    let progress = ProgressLine(isQuiet: report.quiet)
    let result: Recording.Result
    do {
      defer { progress.end() }
      let recording = Recording(reading: reading) { records, fraction in
        progress.show(fraction) { Text.plural(records, "record") }
      }
      result =
        to.hasSuffix(".jsonl") || to.hasSuffix(".jsonl.zst")
        ? try recording.run(toFile: to, overwrite: overwrite) : try recording.run(toLog: to)
    }
    if report.json {
      return try Terminal.output(
        JSONText.object([
          ("topics", .array(topics.map { .string($0) })), ("records", .count(result.records)),
          ("continued", .count(result.continued)),
        ]).pretty)
    }
    var text = "\(to): \(Text.plural(result.records, "record"))"
    if result.continued > 0 { text += ", after \(Text.count(result.continued)) that were there" }
    try Terminal.output(text + "\n")
  }
}
