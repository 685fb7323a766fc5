import ArgumentParser
import LocalLog
import Streaming

struct LogImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Append JSON Lines to a topic.",
    discussion: """
      Creates the log and the topic where they do not exist. Each line becomes a record whose key \
      is its account, in the partition that Kafka's default partitioner would choose; heartbeats \
      and priors go to every partition. Lines that break the contract are imported too (into \
      partition 0 where no account can be read): that they are bad is for a topology to say. Records have no append time, so \
      that a run treats them as a replay of the files would.

      Reads plain and .zst files, directories of them, and `-`; writes into the log's directory.

        bidmill log import data --topic events --partitions 4 events.jsonl
        bidmill log import data --topic events day2.jsonl.zst day3.jsonl.zst
      """)

  @OptionGroup var log: LogDirectoryArgument

  @Option(help: "The topic to append to.")
  var topic = "events"

  @Option(
    help: ArgumentHelp(
      "Partitions of a new topic (default: 1); fixed when it is created.", valueName: "n"))
  var partitions: Int?

  @Argument(help: "JSON Lines files, directories of them, or `-`.", completion: .file())
  var files: [String]

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let partitions, !(1...4096).contains(partitions) {
      throw ValidationError("--partitions is 1 to 4096, not \(partitions).")
    }
  }

  func run() throws {
    guard case .files(let paths) = try InputPaths.resolve(files) else {
      throw Failure(
        .configuration,
        "error: \(files[0]) is a local log; turn it into lines with `bidmill log export` first")
    }
    // A file that cannot be opened must not leave half of the others behind.
    for path in paths where path != "-" { _ = try FileInput(path: path) }
    let store = try LocalLogStore.open(log.directory, creating: true)
    let known = try store.info(topic)
    let count = partitions ?? known?.partitions ?? 1
    try store.createTopic(topic, partitions: count)
    let result = try LogImport(
      store: store, topic: topic, partitions: count, isQuiet: report.quiet
    ).run(paths)
    try Terminal.output(report.json ? json(result).pretty : table(result))
  }

  private func json(_ result: LogImport.Result) -> JSONText {
    .object([
      ("topic", .string(topic)),
      ("lines", .count(result.lines)),
      ("records", .array(result.records.map { .count($0) })),
      ("in_every_partition", .count(result.everywhere)),
      ("without_account", .count(result.withoutAccount)),
      ("seconds", .number(result.seconds)),
    ])
  }

  private func table(_ result: LogImport.Result) -> String {
    var rows = result.records.enumerated().map {
      ["  partition \($0.offset)", Text.count($0.element)]
    }
    if result.everywhere > 0, result.records.count > 1 {
      rows.append(["  in every partition", Text.count(result.everywhere)])
    }
    if result.withoutAccount > 0 {
      rows.append(["  without account", Text.count(result.withoutAccount)])
    }
    return "\(log.directory), topic \(topic): \(Text.plural(result.lines, "line")) in "
      + Text.seconds(result.seconds) + "\n" + Text.table(rows, [.left, .right])
  }
}
