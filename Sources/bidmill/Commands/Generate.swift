import ArgumentParser
import Events
import Simulation
import Streaming

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a made-up history of events.",
    discussion: """
      Writes JSON Lines: campaigns, impressions, clicks, conversions, deals and auctions of several \
      accounts, with late events, duplicates and records that break the contract among them. The \
      same options give the same bytes on every machine. Bids do not change what happens in it: it \
      is for trying topologies and measuring speed, not for judging bids.

        bidmill generate --out events.jsonl --events 100000
        bidmill generate --out events.jsonl.zst --events 5000000 --accounts 50 --seed 7
        bidmill generate --out - --events 3 --bad 0
      """)

  @Option(
    help: ArgumentHelp(
      "The file to write (.zst: compressed); `-` is standard output.",
      valueName: "file"), completion: .file())
  var out: String

  @OptionGroup var history: HistoryOptions

  @Flag(help: "Replace the file where it exists.")
  var overwrite = false

  @OptionGroup var report: ReportOptions

  func run() throws {
    if report.json, out == "-" {
      throw Failure(.usage, "error: --json would mix with the events on standard output")
    }
    let file = try LineFile(out, overwrite: overwrite)
    let counts: HistoryCounts
    do {
      counts = try write(to: file)
    } catch {
      file.abandon()
      throw error
    }
    if out == "-" { return }
    try Terminal.output(report.json ? Self.json(counts).pretty : Self.table(counts, out))
  }

  private func write(to file: LineFile) throws -> HistoryCounts {
    var generator = HistoryGenerator(history.settings)
    let total = Double(history.settings.records)
    let progress = ProgressLine(isQuiet: report.quiet || out == "-")
    var bytes: [UInt8] = []
    while generator.next(into: &bytes) != nil {
      try bytes.withUnsafeBytes { try file.add($0) }
      if generator.counts.records % 4096 == 0 {
        let done = generator.counts.records
        progress.show(Double(done) / total) { Text.plural(done, "event") }
      }
    }
    progress.end()
    try file.finish()
    return generator.counts
  }

  static func json(_ counts: HistoryCounts) -> JSONText {
    .object([
      ("events", .count(counts.records)),
      ("accepted", .count(counts.acceptedTotal)),
      ("duplicates", .count(counts.duplicates)),
      ("dead_letters", .count(counts.rejectedTotal)),
      (
        "types",
        .object(counts.acceptedByType.map { ($0.name, .count($0.count)) })
      ),
      ("reasons", .object(counts.rejectedByReason.map { ($0.name, .count($0.count)) })),
    ])
  }

  private static func table(_ counts: HistoryCounts, _ path: String) -> String {
    var rows = counts.acceptedByType.map { ["  " + $0.name, Text.count($0.count)] }
    rows.append(["  duplicates", Text.count(counts.duplicates)])
    rows.append(["  bad records", Text.count(counts.rejectedTotal)])
    return "\(path): \(Text.plural(counts.records, "event"))\n"
      + Text.table(rows, [.left, .right])
  }
}

/// What a history is like.
struct HistoryOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Records in all, bad ones and duplicates too.", valueName: "n"))
  var events = 1_000_000

  @OptionGroup var population: PopulationOptions

  @Option(help: ArgumentHelp("When it begins (RFC 3339, or ms since 1970).", valueName: "time"))
  var start: TimeArgument?

  @Option(help: ArgumentHelp("From the first record to the last.", valueName: "duration"))
  var duration = DurationArgument(.days(7))

  @Option(help: ArgumentHelp("Records that come twice, in a million.", valueName: "n"))
  var duplicates = 10_000

  @Option(help: ArgumentHelp("Records that come late, in a million.", valueName: "n"))
  var late = 20_000

  @Option(help: ArgumentHelp("Records that break the contract, in a million.", valueName: "n"))
  var bad = 1_000

  func validate() throws {
    try PopulationOptions.check([
      ("events", events, 0...1_000_000_000_000), ("duplicates", duplicates, 0...1_000_000),
      ("late", late, 0...1_000_000), ("bad", bad, 0...1_000_000),
    ])
    let settings = settings
    guard settings.start <= .latest,
      settings.duration.milliseconds <= (.latest - settings.start).milliseconds
    else {
      throw ValidationError(
        "The history ends after the year 9999; begin earlier or make it shorter.")
    }
  }

  var settings: HistorySettings {
    var settings = HistorySettings()
    settings.records = events
    population.apply(to: &settings)
    if let start { settings.start = start.time }
    settings.duration = duration.span
    settings.duplicatesPerMillion = duplicates
    settings.latePerMillion = late
    settings.badPerMillion = bad
    return settings
  }
}

extension HistoryCounts {
  var rejectedByReason: [(name: String, count: Int)] {
    RejectionReason.allCases.map { ("\($0.code)", rejected($0)) }.filter { $0.1 > 0 }
  }

  var acceptedByType: [(name: String, count: Int)] {
    EventType.allCases.map { ("\($0.name)", accepted($0)) }.filter { $0.1 > 0 }
  }

  var rejectedTotal: Int { RejectionReason.allCases.reduce(0) { $0 + rejected($1) } }

  var acceptedTotal: Int { EventType.allCases.reduce(0) { $0 + accepted($1) } }
}
