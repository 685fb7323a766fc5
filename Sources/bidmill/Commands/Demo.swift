import ArgumentParser
import Simulation
import Streaming

struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "See everything work on this machine; no broker needed.",
    discussion: """
      Lets the topology `Topologies/live.yaml` bid for several days in the market \
      `Topologies/worlds/market.yaml`: people, rivals and auctions are simulated, all that happens \
      goes through a local log, and the bidder obeys the bid parameters that come back. Then \
      replays what was written and makes sure that it gives the same state and the same records, \
      to the last byte; ends with 70 where it does not.

      Everything is left in --dir to be looked at; the next demo replaces it.

        bidmill demo
        bidmill demo --days 1 --seed 7 --dir /tmp/demo
      """)

  @Option(help: ArgumentHelp("Days, 1 to 366, in place of the world's.", valueName: "n"))
  var days: Int?

  @Option(help: ArgumentHelp("In place of the world's.", valueName: "n"))
  var seed: UInt64?

  @Option(help: ArgumentHelp("Where the files go.", valueName: "dir"), completion: .directory)
  var dir = "demo"

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let days, !(1...366).contains(days) {
      throw ValidationError("--days is 1 to 366, not \(days).")
    }
  }

  func run() throws {
    let directory = try MadeDirectory(dir, command: "demo", option: "--dir", mayReplace: true)
    let (worldPath, topologyPath) = try paths(directory)
    var world = try WorldFile.load(worldPath)
    if let days { world.days = days }
    if let seed { world.seed = seed }
    let run = SimulationRun(
      world: world, topology: try SimulationRun.load(topologyPath), directory: directory,
      isQuiet: report.quiet)
    let result = try run.run()
    let disagreements = try run.disagreements(with: result)
    guard !report.json else {
      try Terminal.output(json(result, disagreements).pretty)
      return try Simulate.check(disagreements, seed: world.seed)
    }
    try Terminal.output("A demo of bidmill in \(dir)\n\n\(result.text)\n")
    try Simulate.check(disagreements, seed: world.seed)
    try Terminal.output(
      """
      A replay of the log ended in the same state with the same records, to the last byte, and \
      every ad's
      impressions, clicks and spend were counted as they happened, to the last micro.
      \(next(result, world: worldPath, topology: topologyPath))
      """)
  }

  /// The shipped files; where they are not at hand, their copies in the demo's directory.
  private func paths(_ directory: MadeDirectory) throws -> (world: String, topology: String) {
    func path(_ shipped: String, _ name: String, _ text: String) throws -> String {
      if PathKind(shipped) == .file { return shipped }
      try TextFile.replace(directory.file(name), with: text)
      return directory.file(name)
    }
    return (
      try path(ShippedTopology.marketPath, "market.yaml", ShippedTopology.market),
      try path(ShippedTopology.livePath, "live.yaml", ShippedTopology.live)
    )
  }

  private func json(_ result: MarketReport, _ disagreements: [String]) -> JSONText {
    .object([
      ("agree", .bool(disagreements.isEmpty)),
      ("disagreements", .array(disagreements.map { .string($0) })),
      ("summary", result.json),
    ])
  }

  private func next(_ result: MarketReport, world: String, topology: String) -> String {
    let program = CommandLine.arguments.first ?? "bidmill"
    let log = "\(dir)/log"
    let best = result.mostShown
    return """

      Look at it
        \(program) log info \(log)
        \(program) log cat \(log) bid-parameters --limit 2
        \(program) log cat \(log) attributions --limit 2
        \(program) explain \(topology) --from \(dir)/events.jsonl.zst \(best)
        less \(dir)/truth.json
      Try it
        \(program) describe \(topology)
        \(program) replay \(topology) --from \(dir)/events.jsonl.zst --out results
        \(program) simulate \(world) --out market --seed 7
        \(program) simulate \(world) --seeds 5

      """
  }
}
