import CKafka
public import Streaming
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// The log on Apache Kafka, by librdkafka: nothing else in the project imports it.
//
// The processes of a topology share its partitions out as members of a group (`KafkaGroup`). Each
// reads its partitions of all source topics (`KafkaInput`), and commits outputs, source offsets and
// journal in one transaction per partition (`TransactionalProducer`); `KafkaPartitionLog` puts both
// behind the engine's protocol. Which topics there must be is in `KafkaTopics`. Nothing here knows
// events or operators: records are a key and a value, both bytes.
//
// Where things are, for a group `g` that reads `events`:
//
//     events, tallies, …        sources and sinks; a partition's outputs have its number
//     g-journal                 per partition, one record a commit: its number and the journal
//     offsets of g              next offset per source partition; metadata `journal=<number> sum=<s>`
//     transactional.id g-<n>    of partition n: whoever opens it last fences those before

/// How a cluster is reached.
public struct KafkaSettings: Sendable {
  /// `host:port[,host:port…]`
  public var brokers: String
  /// The consumer group: names committed offsets, the journal's topic and the transactions.
  public var group: String
  /// Passed to the client as they are.
  public var properties: [Topology.Property]
  /// How long an answer is waited for when something is looked up or opened.
  public var answerWithinMilliseconds: Int64
  /// How long one try of a commit may take.
  public var commitWithinMilliseconds: Int64
  /// What a commit is: a transaction of everything, or a journal first and then the rest.
  public var delivery = Topology.Delivery.exactlyOnce
  /// Records of transactions that are open or were aborted are read too.
  var readsUncommitted = false
  /// Off for clusters that know nothing of topics' settings and do not say so.
  var asksForTopicSettings = true
  /// Clients tell how they do (`KafkaStatistics`). Only where `complaints` is called again and
  /// again: what nobody takes gathers in the clients.
  public var reportsStatistics = false
  /// How much is fetched ahead, per partition of a topic.
  public var prefetchKilobytes = 32_768

  public init(
    brokers: String, group: String, properties: [Topology.Property] = [],
    answerWithinMilliseconds: Int64 = 15_000, commitWithinMilliseconds: Int64 = 15_000
  ) {
    self.brokers = brokers
    self.group = group
    self.properties = properties
    self.answerWithinMilliseconds = answerWithinMilliseconds
    self.commitWithinMilliseconds = commitWithinMilliseconds
  }

  /// The topic that the group's journal is in.
  public var journalTopic: String { "\(group)-journal" }

  func transactionalID(_ partition: Int32) -> String { "\(group)-\(partition)" }
}

/// A Kafka cluster, as one process sees it: what is there, and its partitions as logs.
public final class KafkaCluster: Sendable {
  public let settings: KafkaSettings
  /// Reads the sources of all partitions, each into a queue of its own. It is no member of the
  /// group: what it reads it is told, partition by partition.
  let consumer: KafkaClient
  let calls = CallWatch()
  /// Whose it is to read the journal: see `JournalReading`.
  let journalTurn = Mutex<Void>(())
  private let member = Mutex<KafkaClient?>(nil)

  /// Finds the cluster.
  ///
  /// - Throws: `.configuration` for a property that the client refuses; `.unavailable` when no
  ///   broker answers in time.
  public init(_ settings: KafkaSettings) throws(LogError) {
    self.settings = settings
    consumer = try KafkaClient(
      .consumer, settings,
      owned: KafkaCluster.consumerProperties(
        settings.group, isolation: settings.readsUncommitted ? "read_uncommitted" : "read_committed"
      ),
      preferred: KafkaCluster.consumerPreferences
        + [("queued.max.messages.kbytes", "\(settings.prefetchKilobytes)")])
  }

  /// What the engine's guarantees rest on.
  static func consumerProperties(
    _ group: String, isolation: String = "read_committed"
  ) -> [(String, String)] {
    [
      ("group.id", group), ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"),
      ("auto.offset.reset", "error"), ("enable.partition.eof", "true"),
      ("isolation.level", isolation),
    ]
  }

  /// What a user may set otherwise. Memory is bounded by bytes alone, per partition of a topic. A
  /// client before 2.2.0 that holds as much looks again after a second, or after the answer to a
  /// fetch of other partitions: one that waits for records keeps a partition waiting that has some.
  private static let consumerPreferences = [
    ("queued.min.messages", "10000000"), ("fetch.wait.max.ms", "100"),
    ("fetch.queue.backoff.ms", "10"), ("socket.nagle.disable", "true"),
    ("reconnect.backoff.max.ms", "1000"),
  ]

  /// Topics and how many partitions each has; absent ones are left out.
  public func partitionCounts(of topics: [String]) throws(LogError) -> [String: Int] {
    let all = try metadata().topics
    var counts: [String: Int] = [:]
    for topic in topics { counts[topic] = all[topic]?.partitions }
    return counts
  }

  struct TopicInfo {
    var partitions: Int
    var replicas: Int
  }

  struct Metadata {
    var topics: [String: TopicInfo] = [:]
    var brokers = 0
  }

  /// Asks for all topics, which makes none: to ask for one by its name may create it.
  func metadata() throws(LogError) -> Metadata {
    var answer: UnsafePointer<rd_kafka_metadata>?
    let deadline = Deadline(milliseconds: settings.answerWithinMilliseconds)
    // Short at first: a password that is refused is not worth waiting for.
    var wait: Int32 = 500
    while true {
      let error = rd_kafka_metadata(
        consumer.handle, 1, nil, &answer, max(min(wait, deadline.left), 1))
      if error == RD_KAFKA_RESP_ERR_NO_ERROR { break }
      consumer.discardEvents()
      if let refusal = consumer.takeRefusal() { throw self.refusal(refusal) }
      guard error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT,
        !deadline.isOver
      else { throw unreachable(error) }
      if error == RD_KAFKA_RESP_ERR__TRANSPORT { usleep(100_000) }
      wait = min(wait &* 2, 10_000)
    }
    guard let answer else { throw LogError(.ours, "the Kafka client's answer is empty") }
    return KafkaCluster.read(answer)
  }

  /// What the cluster answers within some seconds; nil where it does not.
  func partitionCountsNow(of topics: [String]) -> [String: Int]? {
    var answer: UnsafePointer<rd_kafka_metadata>?
    guard rd_kafka_metadata(consumer.handle, 1, nil, &answer, 3_000) == RD_KAFKA_RESP_ERR_NO_ERROR,
      let answer
    else { return nil }
    let all = KafkaCluster.read(answer).topics
    var counts: [String: Int] = [:]
    for topic in topics { counts[topic] = all[topic]?.partitions }
    return counts
  }

  /// Takes the answer over.
  private static func read(_ answer: UnsafePointer<rd_kafka_metadata>) -> Metadata {
    defer { rd_kafka_metadata_destroy(answer) }
    var result = Metadata()
    result.brokers = Int(answer.pointee.broker_cnt)
    for topic in UnsafeBufferPointer(
      start: answer.pointee.topics, count: Int(answer.pointee.topic_cnt))
    where topic.err == RD_KAFKA_RESP_ERR_NO_ERROR && topic.partition_cnt > 0 {
      result.topics[String(cString: topic.topic)] = TopicInfo(
        partitions: Int(topic.partition_cnt), replicas: Int(topic.partitions[0].replica_cnt))
    }
    return result
  }

  /// Who the client says it is, or how it speaks, is not accepted.
  func refusal(_ reason: String) -> LogError {
    LogError(
      .configuration,
      "\(settings.brokers) refuses this client: \(reason). Correct `security.protocol`, `sasl.…` "
        + "and `ssl.…` in `properties`")
  }

  // MARK: While it runs

  /// What a person should hear of, found since the last call: brokers out of reach, a password that
  /// is not accepted any more. Call it now and then: it also serves the client's callbacks.
  public func complaints() -> [String] {
    consumer.discardEvents()
    KafkaClient.serveProducers()
    var found: [String] = []
    if let reason = consumer.takeRefusal() { found.append(refusal(reason).message) }
    if consumer.takeAbsence() {
      let last = consumer.lastComplaint.map { " (\($0))" } ?? ""
      found.append("no broker of \(settings.brokers) can be reached\(last); waiting for it")
    }
    return found
  }

  /// A call of the client library that has not returned long after the time it was given.
  public var overdueCall: String? { calls.overdue }

  /// Commits are those of this member from now on; nil: of nobody in particular.
  func setMember(_ client: KafkaClient?) { member.withLock { $0 = client } }

  func groupMetadata() throws(LogError) -> KafkaGroupMetadata {
    if let client = member.withLock({ $0 }) { return try KafkaGroupMetadata(of: client) }
    return try KafkaGroupMetadata(settings.group)
  }

  func unreachable(_ error: rd_kafka_resp_err_t) -> LogError {
    let last = consumer.lastComplaint.map { " (\($0))" } ?? ""
    let silence = [
      RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT,
      RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
    ]
    guard silence.contains(error) else {
      return LogError(
        .unavailable, recovery: .retry,
        "\(settings.brokers) refuses: \(KafkaClient.text(error))\(last)")
    }
    return LogError(
      .unavailable, recovery: .retry,
      "no broker of \(settings.brokers) answered within "
        + "\(settings.answerWithinMilliseconds / 1000) s: \(KafkaClient.text(error))\(last). Start "
        + "the cluster, or correct `brokers` and the client's `properties`")
  }

  /// First and next offset of a topic's partition.
  func watermarks(_ topic: String, _ partition: Int32) throws(LogError) -> (low: Int64, high: Int64)
  {
    // Clusters that are only read now and then have nobody else to do it.
    consumer.discardEvents()
    let deadline = Deadline(milliseconds: settings.answerWithinMilliseconds)
    var (low, high): (Int64, Int64) = (0, 0)
    while true {
      let error = rd_kafka_query_watermark_offsets(
        consumer.handle, topic, partition, &low, &high, max(deadline.left, 1))
      switch error {
      case RD_KAFKA_RESP_ERR_NO_ERROR: return (low, high)
      // A topic that was just made, or a leader that has just changed.
      case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
        guard !deadline.isOver else { throw unreachable(error) }
        usleep(50_000)
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
        RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        throw LogError(.missing, "\(settings.brokers) has no partition \(partition) of \(topic)")
      default: throw unreachable(error)
      }
    }
  }

  /// Opens a partition: its sources for reading, its sinks for transactions.
  ///
  /// Check the topics first (`checkTopics`). Nothing is fenced before `committed()` is asked for.
  public func partitionLog(
    partition: Int32, inputs: [LogInput], outputs: [LogOutput]
  ) throws(LogError) -> KafkaPartitionLog {
    try KafkaPartitionLog(self, partition: partition, inputs: inputs, outputs: outputs)
  }
}
