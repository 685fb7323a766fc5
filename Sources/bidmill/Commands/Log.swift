import ArgumentParser

struct Log: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Local logs: look into, fill, convert, check.",
    discussion: """
      A local log is a directory of topics in compressed, checksummed segments: what `run` reads \
      and writes where there is no Kafka.

        bidmill log import data --topic events --partitions 4 events.jsonl
        bidmill log info data
        bidmill log record data --from kafka:events --brokers localhost:9092
        bidmill log cat data tallies --limit 5
      """,
    subcommands: [
      LogInfo.self, LogCat.self, LogImportCommand.self, LogExport.self, LogRecordCommand.self,
      LogVerify.self,
    ])
}

/// The directory of a local log.
struct LogDirectoryArgument: ParsableArguments {
  @Argument(help: "The log's directory.", completion: .directory)
  var directory: String
}
