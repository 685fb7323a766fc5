import KafkaLog
import Streaming

/// A topology on one Kafka cluster.
struct KafkaHome {
  let topology: CheckedTopology
  let settings: KafkaSettings
  let inputs: [LogInput]

  /// - Throws: What stands against it in the topology; the cluster is not asked.
  init(_ topology: CheckedTopology) throws {
    self.topology = topology
    var inputs: [LogInput] = []
    var clients: [(place: String, brokers: String, properties: [Topology.Property])] = []
    for source in topology.topology.sources {
      guard case .kafka(let kafka) = source.transport else {
        throw KafkaHome.refusal("the source \(source.name)")
      }
      clients.append(("sources.\(source.name)", kafka.brokers, kafka.properties))
      inputs += LiveHomes.inputs(of: source, kafka.topics)
    }
    for sink in topology.sinks {
      guard case .kafka(let kafka) = sink.transport else {
        throw KafkaHome.refusal("the sink \(sink.name)")
      }
      clients.append(("sinks.\(sink.name)", kafka.brokers, kafka.properties))
    }
    let first = clients[0]
    for client in clients where client.properties != first.properties {
      throw Failure(
        .configuration,
        "error: \(client.place) has other `properties` than \(first.place); a run is one client: "
          + "write the same for all of them")
    }
    for client in clients where !KafkaHome.isSame(client.brokers, first.brokers) {
      throw Failure(
        .configuration,
        "error: \(client.place) is on \(client.brokers), \(first.place) on \(first.brokers); a run is "
          + "on one cluster")
    }
    self.inputs = inputs
    var settings = KafkaSettings(
      brokers: first.brokers, group: topology.group, properties: first.properties)
    settings.delivery = topology.topology.delivery
    self.settings = settings
  }

  private static func isSame(_ a: String, _ b: String) -> Bool {
    func set(_ brokers: String) -> Set<Substring> { Set(brokers.split(separator: ",")) }
    return set(a) == set(b)
  }

  private static func refusal(_ what: String) -> Failure {
    Failure(
      .configuration,
      "error: \(what) is not on the Kafka cluster that the first source is on; a run has everything "
        + "in one place: write `kafka:` with its topic")
  }

  var topics: KafkaTopics {
    KafkaTopics(
      inputs: inputs, outputs: topology.outputs, snapshots: snapshotTopic, settings: settings)
  }

  /// The topic of this cluster that snapshots go to.
  private var snapshotTopic: String? {
    guard case .kafka(let sink) = topology.topology.snapshots.store,
      sink.brokers == settings.brokers
    else { return nil }
    return sink.topic
  }

  /// Becomes a member of the topology's group.
  func join(as instance: String?) throws -> KafkaMembership {
    try topics.checkNames(inputs)
    let count = try topics.check(on: KafkaCluster(settings))
    var settings = settings
    settings.prefetchKilobytes = KafkaHome.prefetchKilobytes(count * inputs.count)
    settings.reportsStatistics = true
    return try KafkaMembership(
      KafkaCluster(settings), inputs: topology.keyed(inputs, partitions: count),
      outputs: topology.keyed(topology.outputs, partitions: count), partitionCount: count,
      snapshots: SnapshotPlace(topology, partitions: count), instance: instance)
  }

  /// For each of so many partitions of topics: half a gigabyte for all of them together, and what a
  /// core processes in about a second at most.
  static func prefetchKilobytes(_ count: Int) -> Int {
    min(max((512 << 10) / max(count, 1), 1 << 10), 192 << 10)
  }
}
