import ArgumentParser
import LocalLog
import Streaming

struct LogExport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Turn a topic into JSON Lines.",
    discussion: """
      Writes the values of all records, partitions merged by event time, so that the file can be \
      replayed or imported again. What stands in every partition (heartbeats, priors) is written \
      once.

        bidmill log export data events --out events.jsonl.zst
        bidmill log export data tallies --out - | jq .spend
      """)

  @OptionGroup var log: LogDirectoryArgument

  @Argument(help: "The topic.")
  var topic: String

  @Option(
    help: ArgumentHelp(
      "The file to write (.zst: compressed); `-` is standard output.", valueName: "file"),
    completion: .file())
  var out: String

  @Option(help: ArgumentHelp("Only this partition.", valueName: "n"))
  var partition: Int32?

  @Flag(help: "Replace the file where it exists.")
  var overwrite = false

  @Flag(name: .shortAndLong, help: "Show no progress.")
  var quiet = false

  func run() throws {
    let store = try LocalLogStore.open(log.directory)
    _ = try store.reader(topic, partition: partition ?? 0)
    let count = try store.info(topic)?.partitions ?? 1
    let merge = try LogMerge(
      store, topic: topic, partitions: partition.map { [$0] } ?? Array(0..<Int32(count)))
    let file = try LineFile(out, overwrite: overwrite)
    let progress = ProgressLine(isQuiet: quiet || out == "-")
    var records: Int64 = 0
    do {
      try merge.read { value in
        try file.add(value)
        records += 1
        if records % 4096 == 0 { progress.show { Text.plural(records, "record") } }
      }
      progress.end()
      try file.finish()
    } catch {
      file.abandon()
      throw error
    }
    if out != "-" { try Terminal.output("\(out): \(Text.plural(records, "record"))\n") }
  }
}
