import ArgumentParser
import LocalLog
import Operators
import Streaming

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say why an ad has the bid that it has.",
    discussion: """
      Takes the topology over the history again, up to --at, and tells how the ad's last published \
      bid came about: rates, value, pacing, what limited it, what was counted, and where the last \
      events stand that moved it. A log that the topology has run on is gone through as its \
      journal says, so what is explained is what was published. Nothing is written.

        bidmill explain Topologies/live.yaml --from events.jsonl acme/spring/spring-7
        bidmill explain Topologies/live.yaml --from data acme/spring/spring-7 \\
          --at 2026-01-03T12:00:00Z
      """)

  @Argument(help: "The topology: a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
  var topology: String

  @Argument(help: "The ad: account/campaign/ad.")
  var ad: String

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Replace a value of the file. May be repeated.", valueName: "key=value"))
  var overrides: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "A file, a directory of *.jsonl and *.jsonl.zst, or a local log. May be repeated.",
      valueName: "path"),
    completion: .file())
  var from: [String] = []

  @Option(
    help: ArgumentHelp(
      "Explain the bid as it was then (RFC 3339, or ms since 1970).", valueName: "time"))
  var at: TimeArgument?

  @OptionGroup var report: ReportOptions

  func run() throws {
    let ad = try AdHistory.Ad(path: ad)
    let checked = try TopologyOptions.load(topology, overrides: overrides)
    guard checked.operators.contains(where: { $0.description.outputs.contains(.bidParameters) })
    else {
      throw Failure(
        .configuration,
        "error: \(topology) publishes no bid parameters: no operator of it gives `bid_parameters` "
          + "(as `safety` does), so there is no bid to explain")
    }
    let (watched, sinks) = checked.watching(AdHistory.streams)
    let history = AdHistory(ad, sinks: sinks, until: at?.time)
    let scratch = try ScratchDirectory()
    defer { scratch.remove() }
    var plan = ReplayPlan(
      topology: watched, from: from,
      destination: FileReplay.Destination(directory: scratch.path), until: at?.time,
      isQuiet: report.quiet)
    plan.observe = { history.observe($0) }
    let summary = try plan.run()
    guard let explanation = Explanation(ad, history.current) else {
      throw Failure(
        .missing,
        "error: nothing was published for the ad \(self.ad) in \(Text.plural(summary.events, "event"))"
          + (at == nil ? "" : " before \(Text.time(at?.time))")
          + "; check the names (account/campaign/ad, as in the events)")
    }
    try Terminal.output(report.json ? explanation.json : explanation.text)
  }
}

extension AdHistory.Ad {
  /// - Parameter path: `account/campaign/ad`; an ad's name may hold further slashes.
  init(path: String) throws {
    let parts = path.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) else {
      throw Failure(.usage, "error: an ad is named account/campaign/ad, not \(path)")
    }
    self.init(account: String(parts[0]), campaign: String(parts[1]), ad: String(parts[2]))
  }
}

/// A directory that is gone afterwards.
struct ScratchDirectory {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent(
      "bidmill-\(ProcessInfo.processInfo.processIdentifier)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  func remove() { try? FileManager.default.removeItem(atPath: path) }
}
