import ArgumentParser
import Operators
import Streaming

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The topology that a command works with, and what is changed in it.
struct TopologyOptions: ParsableArguments {
  @Argument(
    help: "The topology: a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
  var topology: String

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "Replace a value of the file: `operators.totals.every=10s`, `seed=7`. May be repeated.",
      valueName: "key=value"))
  var overrides: [String] = []

  /// The topology, checked; what is allowed but probably not meant is said on standard error.
  func load() throws(TopologyError) -> CheckedTopology {
    let checked = try TopologyOptions.load(topology, overrides: overrides)
    for warning in checked.warnings { Terminal.error(warning.description) }
    return checked
  }

  static func load(_ path: String, overrides: [String]) throws(TopologyError) -> CheckedTopology {
    try CheckedTopology.load(
      path: path, environment: ProcessInfo.processInfo.environment, overrides: overrides,
      registry: registry)
  }

  /// The same for a text; `name` is what its problems are reported under.
  static func parse(_ text: String, name: String) throws(TopologyError) -> CheckedTopology {
    try CheckedTopology.parse(
      text: text, file: name, environment: ProcessInfo.processInfo.environment, registry: registry)
  }

  static var registry: [OperatorDescription] { OperatorRegistry.all.map(\.description) }
}

extension CheckedTopology {
  /// Where each sink's records go, in the order of the sinks.
  var outputs: [LogOutput] {
    sinks.map { sink in
      let topic =
        switch sink.transport {
        case .log(let log): log.topic
        case .kafka(let kafka): kafka.topic
        case .files: sink.name
        }
      return LogOutput(sink: sink.name, topic: topic, compacted: sink.stream.compacted)
    }
  }
}
