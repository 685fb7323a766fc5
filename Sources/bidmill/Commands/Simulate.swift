import ArgumentParser
import Simulation
import Streaming

struct Simulate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let a topology bid in a simulated market.",
    discussion: """
      Simulates people, rivals and second-price auctions as WORLD describes them, gives what \
      happens to the topology, and lets a bidder obey the bid parameters that come back: a closed \
      loop, in which better bids bring better results. Leaves the events \
      (`events.jsonl.zst`), a local log with the events and every stream that was published \
      (`log`), what was hidden from the bidder (`truth.json`) and `summary.json` in --out, and \
      prints what a media buyer wants to see, beside a constant bid in the same market. The same \
      world gives the same events on every machine.

        bidmill simulate Topologies/worlds/market.yaml --out market
        bidmill simulate Topologies/worlds/market.yaml --out market --days 2 --seed 7 --overwrite
        bidmill simulate Topologies/worlds/market.yaml --out events --events-only
        bidmill simulate Topologies/worlds/market.yaml --seeds 20
        bidmill log cat market/log bid-parameters --limit 3
        bidmill replay Topologies/live.yaml --from market/events.jsonl.zst --out results

      With --seeds the world is run under that many seeds and nothing is left: it tells how much \
      more the topology makes of a budget than a constant bid does, with a confidence interval, \
      and how close to their budgets campaigns spend.
      """)

  @Argument(help: "The world: a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
  var world: String

  @Option(help: ArgumentHelp("Where everything goes.", valueName: "dir"), completion: .directory)
  var out: String?

  @Option(help: ArgumentHelp("Days, 1 to 366, in place of the world's.", valueName: "n"))
  var days: Int?

  @Option(help: ArgumentHelp("In place of the world's.", valueName: "n"))
  var seed: UInt64?

  @Option(
    help: ArgumentHelp("The topology that bids.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var topology: String?

  @Flag(help: "No topology: every bid is the default, until the day's budget is spent.")
  var eventsOnly = false

  @Option(help: ArgumentHelp("Run that many seeds and compare; leaves no files.", valueName: "n"))
  var seeds: Int?

  @Flag(help: "Replay what was written, and make sure that it gives the same.")
  var verify = false

  @Flag(help: "Replace what an earlier simulation has left.")
  var overwrite = false

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let days, !(1...366).contains(days) {
      throw ValidationError("--days is 1 to 366, not \(days).")
    }
    if let seeds, !(1...10_000).contains(seeds) {
      throw ValidationError("--seeds is 1 to 10000, not \(seeds).")
    }
    if (seeds == nil) == (out == nil) {
      throw ValidationError("Say where everything goes with --out, or how many --seeds to compare.")
    }
    if eventsOnly, topology != nil || seeds != nil || verify {
      throw ValidationError("--events-only goes without --topology, --seeds and --verify.")
    }
    if seeds != nil, verify || overwrite {
      throw ValidationError("--seeds leaves no files: nothing to --verify or --overwrite.")
    }
  }

  func run() throws {
    var world = try WorldFile.load(self.world)
    if let days { world.days = days }
    if let seed { world.seed = seed }
    let checked =
      eventsOnly
      ? nil
      : try SimulationRun.load(topology)
    if let seeds, let checked {
      let result = try MarketExperiment(
        world: world, topology: checked, count: seeds, isQuiet: report.quiet
      ).run()
      return try Terminal.output(report.json ? result.json.pretty : result.text)
    }
    let directory = try MadeDirectory(
      out ?? "", command: "simulate", option: "--out", mayReplace: overwrite)
    let run = SimulationRun(
      world: world, topology: checked, directory: directory, isQuiet: report.quiet)
    let result = try run.run()
    try Terminal.output(report.json ? result.json.pretty : result.text)
    guard verify else { return }
    try Simulate.check(run.disagreements(with: result), seed: world.seed)
    if !report.json {
      try Terminal.output(
        """

        A replay of the log ended in the same state with the same records, to the last byte, and \
        every ad's
        impressions, clicks and spend were counted as they happened, to the last micro.

        """)
    }
  }

  /// Ends the command where a replay went another way.
  static func check(_ disagreements: [String], seed: UInt64) throws {
    guard disagreements.isEmpty else {
      throw Failure(
        .ours,
        disagreements.map { "error: \($0)" }.joined(separator: "\n")
          + "\nThis is a bug of bidmill. Please report it with the world and the seed \(seed).")
    }
  }
}
