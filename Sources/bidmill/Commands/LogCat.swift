import ArgumentParser
import Events
import LocalLog
import Streaming

struct LogCat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cat",
    abstract: "Print a topic's records, one a line.",
    discussion: """
      Partition after partition, each in the order of its offsets; records that are not committed \
      are not shown. Times are event times. Reads the log, writes nothing.

        bidmill log cat data tallies --limit 5
        bidmill log cat data events --partition 2 --from-offset 1000 --to-offset 1010 --offsets
        bidmill log cat data events --from-time 2026-01-02T00:00:00Z | head
      """)

  @OptionGroup var log: LogDirectoryArgument

  @Argument(help: "The topic.")
  var topic: String

  @Option(help: ArgumentHelp("Only this partition.", valueName: "n"))
  var partition: Int32?

  @Option(help: ArgumentHelp("The first offset to print.", valueName: "offset"))
  var fromOffset: Int64?

  @Option(help: ArgumentHelp("The offset to stop before.", valueName: "offset"))
  var toOffset: Int64?

  @Option(help: ArgumentHelp("Only events at or after this time.", valueName: "time"))
  var fromTime: TimeArgument?

  @Option(help: ArgumentHelp("Only events before this time.", valueName: "time"))
  var toTime: TimeArgument?

  @Option(help: ArgumentHelp("Records to print.", valueName: "n"))
  var limit: Int?

  @Flag(help: "Print each record's key first, and a tab.")
  var keys = false

  @Flag(help: "Print each record's partition and offset first, and a tab.")
  var offsets = false

  func validate() throws {
    if let limit, limit < 0 { throw ValidationError("--limit is 0 or more.") }
    for offset in [fromOffset, toOffset] {
      if let offset, offset < 0 { throw ValidationError("Offsets begin at 0.") }
    }
  }

  func run() throws {
    let store = try LocalLogStore.open(log.directory)
    guard let info = try store.info(topic) else {
      _ = try store.reader(topic, partition: 0)
      return
    }
    let file = try LineFile("-", overwrite: false)
    let first = max(fromOffset ?? 0, 0)
    let last = max(toOffset ?? .max, first)
    var rest = limit ?? .max
    var times = RecordTimeReader()
    var line: [UInt8] = []
    var failure: (any Error)?
    for partition in partition.map({ [$0] }) ?? Array(0..<Int32(info.partitions)) {
      var begin = first
      if let fromTime {
        let reader = try store.reader(topic, partition: partition)
        begin = max(
          begin, try reader.offset(ofTime: fromTime.time.milliseconds, by: .event))
      }
      guard rest > 0, begin < last else { continue }
      try store.scan(topic, partition: partition, offsets: begin..<last) {
        (partition, record) throws(LogError) in
        if let fromTime, times.time(of: record.value).map({ $0 < fromTime.time }) ?? true {
          return true
        }
        if let toTime, times.time(of: record.value).map({ $0 >= toTime.time }) ?? true {
          return true
        }
        compose(record, partition, &line)
        do { try line.withUnsafeBytes { try file.add($0) } } catch {
          failure = error
          return false
        }
        rest -= 1
        return rest > 0
      }
      if let failure { throw failure }
    }
    try file.finish()
  }

  private func compose(_ record: LogRecord, _ partition: Int32, _ line: inout [UInt8]) {
    line.removeAll(keepingCapacity: true)
    if offsets { line += Array("\(partition):\(record.offset)\t".utf8) }
    if keys {
      line.append(contentsOf: record.key)
      line.append(0x09)
    }
    line.append(contentsOf: record.value)
  }
}
