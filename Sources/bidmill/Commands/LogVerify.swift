import ArgumentParser
import LocalLog
import Streaming

struct LogVerify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Read everything and check it.",
    discussion: """
      Checks every checksum, offset, index and commit of the log, and prints what is wrong with \
      its place. Changes nothing. Beside a running writer its unfinished writes may show as torn \
      tails, which are no damage. Ends with 65 when something is lost or unreadable.

        bidmill log verify data
      """)

  @OptionGroup var log: LogDirectoryArgument

  @Option(help: "Only this topic, and no groups.")
  var topic: String?

  @Flag(help: "Print the result as JSON.")
  var json = false

  func run() throws {
    let store = try LocalLogStore.open(log.directory)
    if let topic { _ = try store.reader(topic, partition: 0) }
    let found = try store.verify(topic: topic)
    try Terminal.output(json ? report(found).pretty : text(found))
    if !found.isIntact { throw Failure(.badData) }
  }

  private func text(_ found: LogVerification) -> String {
    var text = ""
    for problem in found.problems {
      text += "\(problem.isSerious ? "error" : "note"): \(problem)\n"
    }
    if !found.problems.isEmpty { text += "\n" }
    let ratio = found.bytes > 0 ? Double(found.rawBytes) / Double(found.bytes) : 1
    text += Text.table(
      [
        ["topics", Text.count(found.topics)],
        ["partitions", Text.count(found.partitions)],
        ["segments", Text.count(found.segments)],
        ["records", Text.count(found.records)],
        ["commits", Text.count(found.commits)],
        [
          "bytes",
          "\(Text.bytes(found.bytes)) for \(Text.bytes(found.rawBytes)) of records (\(Text.decimal(ratio, places: 1)) : 1)",
        ],
      ], [.left])
    let serious = found.problems.filter(\.isSerious).count
    text += found.isIntact ? "intact\n" : "damaged: \(Text.plural(serious, "problem"))\n"
    return text
  }

  private func report(_ found: LogVerification) -> JSONText {
    .object([
      ("intact", .bool(found.isIntact)),
      ("topics", .count(found.topics)),
      ("partitions", .count(found.partitions)),
      ("segments", .count(found.segments)),
      ("blocks", .count(found.blocks)),
      ("records", .count(found.records)),
      ("bytes", .count(found.bytes)),
      ("raw_bytes", .count(found.rawBytes)),
      ("commits", .count(found.commits)),
      (
        "problems",
        .array(
          found.problems.map {
            .object([
              ("kind", .string($0.kind.rawValue)),
              ("serious", .bool($0.isSerious)),
              ("path", .string($0.path)),
              ("position", $0.position.map { .count($0) } ?? .null),
              ("message", .string($0.message)),
            ])
          })
      ),
    ])
  }
}
