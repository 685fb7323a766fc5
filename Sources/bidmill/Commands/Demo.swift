import ArgumentParser
import Events
import LocalLog
import Simulation
import Streaming

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "See everything work on this machine; no broker needed.",
    discussion: """
      Makes a history of events, puts it into a local log, runs the topology \
      `Topologies/tally.yaml` on it live, takes the same topology over the same history in a \
      replay, and shows that both agree with each other and with what was put in. Ends with 70 \
      when they do not.

      Everything is left in --dir to be looked at; the next demo replaces it.

        bidmill demo
        bidmill demo --events 100000 --dir /tmp/demo
      """)

  @Option(help: ArgumentHelp("Events of the history.", valueName: "n"))
  var events = 1_000_000

  @Option(help: ArgumentHelp("Everything left to chance follows from it.", valueName: "n"))
  var seed: UInt64 = 1

  @Option(help: ArgumentHelp("Where the files go.", valueName: "dir"), completion: .directory)
  var dir = "demo"

  @Option(
    help: ArgumentHelp(
      """
      Another topology in place of Topologies/tally.yaml; it reads the log ${TALLY_LOG} and keeps \
      snapshots in ${TALLY_STATE}, as that one does.
      """,
      valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var topology: String?

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if !(1...1_000_000_000).contains(events) {
      throw ValidationError("--events is 1 to 1000000000, not \(events).")
    }
  }

  func run() throws {
    let directory = try MadeDirectory(dir, command: "demo", option: "--dir", mayReplace: true)
    let checked = try load(directory)
    let report = try DemoRun(
      directory: directory, topology: checked.topology, topologyPath: checked.path,
      events: events, seed: seed, isQuiet: report.quiet, isTelling: !report.json
    ).run()
    try Terminal.output(self.report.json ? report.json.pretty : report.text)
    guard report.disagreements.isEmpty else {
      throw Failure(
        .ours,
        report.disagreements.map { "error: \($0)" }.joined(separator: "\n")
          + "\nThis is a bug of bidmill. Please report it with the seed \(seed) and "
          + "\(events) events.")
    }
  }

  /// The topology as the demo runs it: on the log and with the snapshots of its own directory.
  private func load(_ directory: MadeDirectory) throws -> (topology: CheckedTopology, path: String)
  {
    var path = topology ?? ShippedTopology.tallyPath
    if topology == nil, PathKind(path) != .file {
      path = directory.file("tally.yaml")
      try TextFile.replace(path, with: ShippedTopology.tally)
    }
    var environment = ProcessInfo.processInfo.environment
    environment["TALLY_LOG"] = directory.file("log")
    environment["TALLY_STATE"] = directory.file("state")
    let checked = try CheckedTopology.load(
      path: path, environment: environment, registry: TopologyOptions.registry)
    for source in checked.topology.sources {
      guard case .log(let log) = source.transport, log.directory == directory.file("log") else {
        throw Failure(
          .configuration,
          "error: \(path): the source \(source.name) does not read the demo's log; write "
            + "`log: { directory: \"${TALLY_LOG:-data}\", … }`")
      }
    }
    return (checked, path)
  }
}
