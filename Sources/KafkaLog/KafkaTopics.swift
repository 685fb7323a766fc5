import CKafka
public import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Which topics a topology needs, and what of that a cluster has.
public struct KafkaTopics: Sendable {
  /// A topic that could be made.
  public struct Missing: Sendable, Equatable, CustomStringConvertible {
    public var topic: String
    public var partitions: Int
    public var replicas: Int
    /// Settings other than the cluster's defaults.
    public var configuration: [String: String]

    public var description: String {
      let settings = configuration.sorted { $0.key < $1.key }.map { ", \($0.key)=\($0.value)" }
      return "\(topic): \(partitions) partitions, \(replicas) replicas\(settings.joined())"
    }
  }

  private let inputs: [String]
  private let outputs: [LogOutput]
  private let journal: String
  private let snapshots: String?

  /// - Parameter snapshots: The topic that snapshots go to, if they go to one of this cluster.
  public init(
    inputs: [LogInput], outputs: [LogOutput], snapshots: String? = nil, settings: KafkaSettings
  ) {
    var topics: [String] = []
    for input in inputs where !topics.contains(input.topic) { topics.append(input.topic) }
    self.inputs = topics
    self.outputs = outputs
    self.snapshots = snapshots
    journal = settings.journalTopic
  }

  /// What is wrong with the names alone.
  public func checkNames(_ all: [LogInput]) throws(LogError) {
    for topic in inputs where all.count(where: { $0.topic == topic }) > 1 {
      throw LogError(
        .configuration,
        "the topic \(topic) is named by two sources; on Kafka a topic belongs to one source")
    }
    var written: [String] = [journal]
    if let snapshots {
      guard snapshots != journal, !inputs.contains(snapshots) else {
        throw LogError(
          .configuration,
          "snapshots go to \(snapshots), which is \(snapshots == journal ? "the journal" : "a source")"
            + "'s; write another topic")
      }
      written.append(snapshots)
    }
    for output in outputs {
      guard !inputs.contains(output.topic) else {
        throw LogError(
          .configuration,
          "the topic \(output.topic) is a source and the sink \(output.sink); write another topic")
      }
      guard !written.contains(output.topic) else {
        throw LogError(
          .configuration,
          output.topic == journal
            ? "the sink \(output.sink) writes \(journal), which is the journal's; write another "
              + "topic"
            : output.topic == snapshots
              ? "the sink \(output.sink) writes \(output.topic), which is for snapshots; write another "
                + "topic"
              : "the topic \(output.topic) is named by two sinks; write another topic")
      }
      written.append(output.topic)
    }
  }

  /// How many partitions the sources have.
  ///
  /// - Throws: `.missing` that names every source topic that is not there; `.configuration` where
  ///   they have unequal partition counts.
  public func partitionCount(on cluster: KafkaCluster) throws(LogError) -> Int {
    try sourcePartitions(try cluster.metadata(), cluster.settings)
  }

  private func sourcePartitions(
    _ metadata: KafkaCluster.Metadata, _ settings: KafkaSettings
  ) throws(LogError) -> Int {
    let missing = inputs.filter { metadata.topics[$0] == nil }
    guard missing.isEmpty else {
      throw LogError(
        .missing,
        "\(settings.brokers) has no topic \(missing.joined(separator: ", ")), or this client may not"
          + " see it; create it, or take it out of the sources")
    }
    let counts = inputs.map { ($0, metadata.topics[$0]?.partitions ?? 0) }
    guard let first = counts.first else {
      throw LogError(.configuration, "there is no source topic")
    }
    guard counts.allSatisfy({ $0.1 == first.1 }) else {
      let list = counts.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
      throw LogError(
        .configuration,
        "source topics must have equal partition counts, so that an account is in the same "
          + "partition of all: \(list)")
    }
    return first.1
  }

  /// What a run needs beside its sources: topics that are not there.
  ///
  /// - Throws: also `.configuration` where one is there with another partition count.
  public func missing(on cluster: KafkaCluster) throws(LogError) -> [Missing] {
    let metadata = try cluster.metadata()
    let count = try sourcePartitions(metadata, cluster.settings)
    var result: [Missing] = []
    let replicas = min(
      metadata.topics[inputs[0]]?.replicas ?? 1, max(metadata.brokers, 1))
    for (topic, configuration) in needed {
      guard let known = metadata.topics[topic] else {
        result.append(
          Missing(
            topic: topic, partitions: count, replicas: replicas, configuration: configuration))
        continue
      }
      guard known.partitions == count else {
        throw LogError(
          .configuration,
          "\(topic) has \(known.partitions) partitions, the sources have \(count): what comes of a "
            + "partition is written to the partition of the same number. Make \(topic) anew with "
            + "\(count), or name another topic")
      }
    }
    return result
  }

  private var needed: [(String, [String: String])] {
    outputs.map { output in
      var configuration: [String: String] = [:]
      if output.compacted { configuration["cleanup.policy"] = "compact" }
      return (output.topic, configuration)
    }
      + [(journal, ["cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"])]
      // The segment that is written is never compacted: smaller ones leave less of old snapshots.
      + (snapshots.map {
        [($0, ["cleanup.policy": "compact", "segment.bytes": "134217728"])]
      } ?? [])
  }

  /// Everything that a run needs is there.
  ///
  /// - Returns: the partition count.
  public func check(on cluster: KafkaCluster) throws(LogError) -> Int {
    let absent = try missing(on: cluster)
    guard absent.isEmpty else {
      throw LogError(
        .missing,
        "\(cluster.settings.brokers) has no topic \(absent.map(\.topic).joined(separator: ", ")), "
          + "which the run writes; create it with `bidmill topics create TOPOLOGY --apply`")
    }
    return try partitionCount(on: cluster)
  }
}

extension KafkaCluster {
  /// Makes topics. Those that somebody else has made meanwhile are no error.
  public func create(_ topics: [KafkaTopics.Missing]) throws(LogError) {
    guard !topics.isEmpty else { return }
    var requests: [OpaquePointer?] = []
    defer { for request in requests { rd_kafka_NewTopic_destroy(request) } }
    for topic in topics {
      var reason = [CChar](repeating: 0, count: 512)
      guard
        let request = rd_kafka_NewTopic_new(
          topic.topic, Int32(clamping: topic.partitions), Int32(clamping: topic.replicas), &reason,
          reason.count)
      else {
        throw LogError(
          .configuration, "\(topic.topic) cannot be made: \(KafkaClient.text(reason))")
      }
      requests.append(request)
      for (name, value) in topic.configuration.sorted(by: { $0.key < $1.key }) {
        rd_kafka_NewTopic_set_config(request, name, value)
      }
    }
    guard let queue = rd_kafka_queue_new(consumer.handle) else {
      throw LogError(.ours, "the Kafka client gives no queue")
    }
    defer { rd_kafka_queue_destroy(queue) }
    rd_kafka_CreateTopics(consumer.handle, &requests, requests.count, nil, queue)
    let wait = Int32(clamping: settings.answerWithinMilliseconds + 60_000)
    guard let event = rd_kafka_queue_poll(queue, wait) else {
      throw unreachable(RD_KAFKA_RESP_ERR__TIMED_OUT)
    }
    defer { rd_kafka_event_destroy(event) }
    let error = rd_kafka_event_error(event)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw unreachable(error) }
    guard let answer = rd_kafka_event_CreateTopics_result(event) else {
      throw LogError(.ours, "the answer to the making of topics is another one's")
    }
    var count = 0
    let results = rd_kafka_CreateTopics_result_topics(answer, &count)
    for place in 0..<count {
      guard let result = results?[place] else { continue }
      let code = rd_kafka_topic_result_error(result)
      if code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS {
        continue
      }
      let name = String(cString: rd_kafka_topic_result_name(result))
      let reason =
        rd_kafka_topic_result_error_string(result).map { String(cString: $0) }
        ?? KafkaClient.text(code)
      throw LogError(.configuration, "\(name) cannot be made: \(reason)")
    }
    try waitUntilThere(topics.map(\.topic))
  }

  /// A topic that was made is not known to all brokers at once.
  private func waitUntilThere(_ topics: [String]) throws(LogError) {
    let deadline = Deadline(milliseconds: settings.answerWithinMilliseconds)
    while try partitionCounts(of: topics).count < topics.count, !deadline.isOver { usleep(20_000) }
  }
}
