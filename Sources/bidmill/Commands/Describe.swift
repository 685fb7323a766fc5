import ArgumentParser
import Streaming

struct Describe: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what a topology file means.",
    discussion: """
      Prints the sources, the operators in the order in which they run, the sinks and the \
      guarantees, with every default filled in; or the graph for Mermaid or Graphviz. Reads the \
      topology file and the environment variables that it names; opens no log.

        bidmill describe Topologies/tally.yaml
        bidmill describe Topologies/tally.yaml --format dot | dot -Tsvg > tally.svg
        bidmill describe --settings
        bidmill describe --settings Topologies/tally.yaml
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text, mermaid, dot
  }

  @Argument(
    help: "The topology: a YAML file. With --settings it may be left out.",
    completion: .file(extensions: ["yaml", "yml"]))
  var topology: String?

  @Option(help: "What to print the graph as.")
  var format = Format.text

  @Flag(help: "Print every setting of the operators (of this topology, or of all).")
  var settings = false

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "Replace a value of the file: `operators.totals.every=10s`. May be repeated.",
      valueName: "key=value"))
  var overrides: [String] = []

  func validate() throws {
    if topology == nil, !settings {
      throw ValidationError("Name a topology file, or ask for --settings.")
    }
    if settings, format != .text {
      throw ValidationError("--settings are text; leave --format out.")
    }
    if topology == nil, !overrides.isEmpty {
      throw ValidationError("--set changes a topology file; name one.")
    }
  }

  func run() throws {
    guard let topology else {
      return try Terminal.output(SettingsReference.text(for: TopologyOptions.registry))
    }
    let checked = try TopologyOptions.load(topology, overrides: overrides)
    for warning in checked.warnings { Terminal.error(warning.description) }
    if settings { return try Terminal.output(checked.settingsReference) }
    let form: CheckedTopology.DescriptionForm =
      switch format {
      case .text: .text
      case .mermaid: .mermaid
      case .dot: .dot
      }
    try Terminal.output(checked.describe(form))
  }
}
