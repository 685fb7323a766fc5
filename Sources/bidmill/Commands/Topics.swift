import ArgumentParser
import KafkaLog
import Streaming

struct Topics: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Kafka: the topics that a topology needs.",
    subcommands: [TopicsCreate.self])
}

struct TopicsCreate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Create the topics that a topology writes on Kafka.",
    discussion: """
      Looks at the cluster of the topology and prints which of the sinks' topics and of its journal \
      are missing; with --apply it makes them, with as many partitions and replicas as the sources \
      have. The topics of the sources are their producers' and must be there.

        bidmill topics create live.yaml
        bidmill topics create live.yaml --apply
      """)

  @OptionGroup var topology: TopologyOptions

  @Flag(help: "Make them; without it they are only printed.")
  var apply = false

  func run() throws {
    let checked = try topology.load()
    let problems = checked.check(for: .run)
    guard problems.isEmpty else { throw TopologyError(problems) }
    let home = try KafkaHome(checked)
    try home.topics.checkNames(home.inputs)
    let cluster = try KafkaCluster(home.settings)
    let missing = try home.topics.missing(on: cluster)
    guard !missing.isEmpty else { return try Terminal.output("nothing is missing\n") }
    if apply { try cluster.create(missing) }
    let verb = apply ? "created" : "missing"
    try Terminal.output(missing.map { "\(verb) \($0)\n" }.joined())
    if !apply { Terminal.error("nothing was changed; --apply makes them") }
  }
}
