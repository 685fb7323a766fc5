import ArgumentParser
import Events
import Streaming

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what a snapshot holds, and whether it is whole.",
    discussion: """
      Reads the whole file and checks every checksum: prints which state it is (topology, \
      partition, epoch, the offsets that it reflects) and what stands in it, table by table. Ends \
      with 65 when it is damaged.

        bidmill inspect state/tally/tally/0/00000000000000000042.snapshot
      """)

  @Argument(help: "The snapshot file.", completion: .file(extensions: ["snapshot"]))
  var snapshot: String

  @Flag(help: "Print the result as JSON.")
  var json = false

  func run() throws {
    let survey = try SnapshotSurvey(snapshot)
    try Terminal.output(json ? survey.json.pretty : survey.text)
  }
}

/// A snapshot that was read to its end.
private struct SnapshotSurvey {
  let path: String
  let header: SnapshotHeader
  var fileBytes: Int64 = 0
  var pages: Int64 = 0

  init(_ path: String) throws(Failure) {
    self.path = path
    var parser = SnapshotParser()
    var found: SnapshotHeader?
    var (bytes, pages) = (Int64(0), Int64(0))
    do throws(LogError) {
      try SnapshotFile.read(path) { (piece) throws(LogError) in
        do throws(SnapshotDamage) {
          try parser.feed(piece) { (item) in
            switch item {
            case .header(let header): found = header
            case .page: pages += 1
            }
          }
        } catch {
          throw LogError(
            .badData,
            "\(path) is damaged within its uncompressed bytes \(bytes) to "
              + "\(bytes + Int64(piece.count)): \(error.description)")
        }
        bytes += Int64(piece.count)
      }
    } catch { throw Failure(error) }
    guard let found, parser.isComplete else {
      throw Failure(.badData, "error: \(path) ends too early, after \(bytes) bytes: it was cut")
    }
    header = found
    fileBytes = PathKind.byteCount(path)
    self.pages = pages
  }

  /// The last clock entry as a time; the epoch's topology says how long a tick is.
  private var time: EventTime? {
    let key = "time tick "
    guard header.tick >= 0,
      let line = header.epoch.topology.split(separator: "\n").first(where: { $0.hasPrefix(key) }),
      line.hasSuffix("ms"), let tick = Int64(line.dropFirst(key.count).dropLast(2))
    else { return nil }
    let (milliseconds, overflow) = header.tick.multipliedReportingOverflow(by: tick)
    return overflow ? nil : EventTime(milliseconds: milliseconds)
  }

  private var ratio: Double {
    fileBytes > 0 ? Double(header.stateBytes) / Double(fileBytes) : 1
  }

  private var topologyHash: String {
    let digits = String(header.epoch.topologyHash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The regions, with the numbered pieces of one table as one.
  private var tables: [SnapshotHeader.Region] {
    var tables: [SnapshotHeader.Region] = []
    for region in header.regions {
      var whole = region
      let digits = region.name.reversed().prefix { $0.isNumber }.count
      if digits > 0, region.name.dropLast(digits).hasSuffix(".") {
        whole.name = region.name.dropLast(digits) + "*"
      }
      if let last = tables.last, last.section == whole.section, last.name == whole.name,
        last.stride == whole.stride
      {
        tables[tables.count - 1].rows += whole.rows
      } else {
        tables.append(whole)
      }
    }
    return tables
  }

  var text: String {
    let state = Text.bytes(header.stateBytes)
    var text = Text.table(
      [
        ["topology", "\(header.topology) \(topologyHash)"],
        ["partition", "\(header.partition) of \(header.partitionCount)"],
        ["commit", Text.count(header.number)],
        [
          "epoch",
          "\(header.epoch.number), "
            + (header.epoch.isRebuild ? "rebuilt at commit " : "from snapshot ")
            + "\(header.epoch.snapshot)",
        ],
        ["clock", time.map { Text.time($0) } ?? "not started"],
        [
          "bytes",
          "\(Text.bytes(fileBytes)) for \(state) of state (\(Text.decimal(ratio, places: 2)) : 1)",
        ],
        ["checksums", "all match (\(Text.plural(pages, "page")))"],
      ], [.left])
    text += "\ninputs\n"
    text += Text.table(
      header.inputs.map {
        ["\($0.topic)", "partition \($0.partition)", "next offset \(Text.count($0.nextOffset))"]
      }, [.left], indent: 2)
    text += "\noperators\n"
    text += Text.table(
      header.operators.map { [$0.name, "\($0.kind) \($0.version)"] }, [.left], indent: 2)
    text += "\nstate\n"
    var rows = [["section", "table", "rows", "bytes a row", "bytes"]]
    rows += tables.map {
      [
        $0.section, $0.name, Text.count($0.rows), "\($0.stride)", Text.bytes($0.rows * $0.stride),
      ]
    }
    return text + Text.table(rows, [.left, .left, .right, .right, .right], indent: 2)
  }

  var json: JSONText {
    .object([
      ("file", .string(path)),
      ("intact", .bool(true)),
      ("topology", .string(header.topology)),
      ("topology_hash", .string(topologyHash)),
      ("partition", .count(header.partition)),
      ("partitions", .count(header.partitionCount)),
      ("commit", .count(header.number)),
      (
        "epoch",
        .object([
          ("number", .count(header.epoch.number)),
          ("snapshot", .count(header.epoch.snapshot)),
          ("rebuilt", .bool(header.epoch.isRebuild)),
        ])
      ),
      ("clock", .time(time)),
      ("bytes", .count(fileBytes)),
      ("state_bytes", .count(header.stateBytes)),
      ("ratio", .number((ratio * 1000).rounded() / 1000)),
      (
        "inputs",
        .array(
          header.inputs.map {
            .object([
              ("topic", .string($0.topic)),
              ("partition", .count($0.partition)),
              ("next_offset", .count($0.nextOffset)),
            ])
          })
      ),
      (
        "operators",
        .array(
          header.operators.map {
            .object([
              ("name", .string($0.name)), ("kind", .string($0.kind)),
              ("version", .count($0.version)),
            ])
          })
      ),
      (
        "tables",
        .array(
          header.regions.map {
            .object([
              ("section", .string($0.section)),
              ("name", .string($0.name)),
              ("version", .count($0.version)),
              ("rows", .count($0.rows)),
              ("row_bytes", .count($0.stride)),
              ("bytes", .count($0.rows * $0.stride)),
            ])
          })
      ),
    ])
  }
}
