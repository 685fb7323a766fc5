import KafkaLog
import LocalLog
import Streaming

/// Where a topology's snapshots are kept.
enum SnapshotPlace {
  case directory(String, name: String)
  case topic(KafkaCluster, String)

  /// Reaches the cluster where they are in a topic.
  ///
  /// - Throws: `.missing` where that topic is not there, or has too few partitions.
  init(_ topology: CheckedTopology, partitions: Int) throws(LogError) {
    switch topology.topology.snapshots.store {
    case .directory(let path): self = .directory(path, name: topology.topology.name)
    case .kafka(let sink):
      var settings = KafkaSettings(
        brokers: sink.brokers, group: topology.group, properties: sink.properties)
      // It is read once, when a partition begins.
      settings.prefetchKilobytes = 8 << 10
      let cluster = try KafkaCluster(settings)
      guard let count = try cluster.partitionCounts(of: [sink.topic])[sink.topic] else {
        throw LogError(
          .missing,
          "\(sink.brokers) has no topic \(sink.topic), which snapshots go to; create it with "
            + "`bidmill topics create TOPOLOGY --apply`, or write `snapshots: { directory: … }`")
      }
      guard count >= partitions else {
        throw LogError(
          .configuration,
          "\(sink.topic) has \(count) partitions, the sources have \(partitions), and each has its "
            + "snapshots in the partition of the same number; name another topic for `snapshots`")
      }
      self = .topic(cluster, sink.topic)
    }
  }

  func store(partition: Int) throws(LogError) -> any SnapshotStore {
    switch self {
    case .directory(let path, let name):
      try DirectorySnapshotStore(directory: path, name: name, partition: Int32(partition))
    case .topic(let cluster, let topic):
      KafkaSnapshotStore(cluster, topic: topic, partition: Int32(partition))
    }
  }
}
