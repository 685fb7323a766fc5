import Events
import KafkaLog
import LocalLog
import Streaming

/// Topics of a cluster as they are now, from a beginning to an end: for replays and recordings.
/// No group is joined and nothing is committed; aborted records are not seen.
struct KafkaReading {
  /// `host:port[,host:port…]`
  var brokers: String
  var properties: [Topology.Property] = []
  var topics: [String]
  /// Nil for the first records that there are.
  var start: KafkaRange.Position?
  /// Nil for the end that there is now.
  var end: KafkaRange.Position?

  private static let prefix = "kafka:"

  /// The topics that `--from kafka:a,b` names; nil where no path is of this kind.
  static func topics(in paths: [String]) throws(Failure) -> [String]? {
    guard paths.contains(where: { $0 == "kafka" || $0.hasPrefix(prefix) }) else { return nil }
    var topics: [String] = []
    for path in paths {
      let names = path.dropFirst(prefix.count).split(separator: ",").map(String.init)
      guard path.hasPrefix(prefix), !names.isEmpty else {
        throw Failure(
          .usage,
          "error: \(path) cannot be read beside or as topics of Kafka; write "
            + "`--from kafka:TOPIC[,TOPIC…]`")
      }
      for name in names {
        guard !topics.contains(name) else {
          throw Failure(.usage, "error: the topic \(name) is named twice")
        }
        topics.append(name)
      }
    }
    return topics
  }

  /// One partition of one topic.
  struct Part {
    var topic: String
    var partition: Int32
    var range: KafkaRange
  }

  /// Finds beginnings and ends of all partitions, which are fixed from then on.
  ///
  /// - Returns: By topic, then partition.
  func open() throws(LogError) -> [[Part]] {
    var settings = KafkaSettings(
      brokers: brokers, group: "bidmill-reading", properties: properties)
    let counts = try KafkaCluster(settings).partitionCounts(of: topics)
    let missing = topics.filter { counts[$0] == nil }
    guard missing.isEmpty else {
      throw LogError(
        .missing,
        "\(brokers) has no topic \(missing.joined(separator: ", ")), or this client may not see it")
    }
    settings.prefetchKilobytes = KafkaHome.prefetchKilobytes(counts.values.reduce(0, +))
    let cluster = try KafkaCluster(settings)
    var all: [[Part]] = []
    for topic in topics {
      var parts: [Part] = []
      for partition in 0..<Int32(counts[topic] ?? 0) {
        parts.append(
          Part(
            topic: topic, partition: partition,
            range: try KafkaRange(
              cluster, topic: topic, partition: partition, from: start, to: end)))
      }
      all.append(parts)
    }
    return all
  }
}

/// A stretch of a topic's partition, as replays read it.
final class KafkaReplayInput: ReplayInput {
  private let range: KafkaRange
  private let waits: Bool

  /// - Parameter waits: A fetch comes back with records or at the end, never with nothing.
  init(_ range: KafkaRange, waits: Bool = false) {
    self.range = range
    self.waits = waits
  }

  func fetch(into chunk: RecordChunk, maxRecords: Int) throws(LogError) -> FetchStatus {
    var status = try range.fetch(into: chunk, maxRecords: maxRecords)
    while waits, status == .waiting {
      status = try range.fetch(into: chunk, maxRecords: maxRecords)
    }
    return status
  }

  func seek(to offset: Int64) throws(LogError) { try range.seek(to: offset) }
  func firstOffset() throws(LogError) -> Int64 { range.start }
}

extension CheckedTopology {
  /// The cluster of its first source on Kafka.
  var kafka: Topology.KafkaSource? {
    for source in topology.sources {
      if case .kafka(let kafka) = source.transport { return kafka }
    }
    return nil
  }

  /// Topics that stand in for its sources: where a source names one of them it is that source's,
  /// otherwise all sources'.
  func inputs(of topics: [String]) -> [LogInput] {
    topics.map { topic in
      guard
        let source = topology.sources.first(where: { $0.transport.topics.contains(topic) })
      else {
        return LogInput(
          source: "", topic: topic, trusted: topology.sources.contains(where: \.trusted))
      }
      return LogInput(
        source: source.name, topic: topic, urgent: source.urgent, trusted: source.trusted)
    }
  }
}
