import CKafka
public import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A process's membership in the group that shares the partitions out.
///
/// The member's client fetches nothing: it says which partitions are this process's, and its
/// membership is what commits are made under. One thread calls `serve` again and again, and at the
/// end `leave`.
public final class KafkaGroup: @unchecked Sendable {
  // What changes belongs to the serving thread.

  public enum Change: Equatable, Sendable {
    /// These are all that this process has from now on; numbers of partitions of every source.
    case assigned([Int])
    /// They are another process's as soon as this has been handled. `isLost`: they may be already.
    case revoked([Int], isLost: Bool)
  }

  private let cluster: KafkaCluster
  private let client: KafkaClient
  private let queue: OpaquePointer
  private let topics: [String]
  private let partitionCount: Int
  private let instance: String?
  private var holds: [Int] = []
  private var looksAgainAt: Int64 = 0
  private var hasProblem = false

  private static let lookEvery: Int64 = 15_000

  /// Asks to become a member.
  ///
  /// - Parameters:
  ///   - topics: The sources' topics, each with `partitionCount` partitions.
  ///   - instance: A name that this process keeps over restarts. Its partitions then wait for it
  ///     for `session.timeout.ms` instead of being shared out anew.
  public init(
    _ cluster: KafkaCluster, topics: [String], partitionCount: Int, instance: String? = nil
  ) throws(LogError) {
    self.cluster = cluster
    self.topics = topics
    self.partitionCount = partitionCount
    self.instance = instance
    var owned = KafkaCluster.consumerProperties(cluster.settings.group)
    owned.append(("partition.assignment.strategy", "range"))
    if let instance { owned.append(("group.instance.id", instance)) }
    client = try KafkaClient(
      .consumer, cluster.settings, owned: owned, preferred: KafkaGroup.preferences,
      events: RD_KAFKA_EVENT_REBALANCE)
    guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
      throw LogError(.ours, "the Kafka client gives no queue for its group")
    }
    self.queue = queue
    let list = PartitionList(capacity: topics.count)
    for topic in topics { list.add(topic, -1, offset: -1001) }
    let error = rd_kafka_subscribe(client.handle, list.list)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw LogError(
        .unavailable,
        "the group \(cluster.settings.group) cannot be joined: \(KafkaClient.text(error))")
    }
    looksAgainAt = KafkaClient.now() + KafkaGroup.lookEvery
    cluster.setMember(client)
  }

  deinit { rd_kafka_queue_destroy(queue) }

  /// What a user may set otherwise.
  private static let preferences = [
    ("session.timeout.ms", "10000"), ("heartbeat.interval.ms", "3000"),
    // How long others wait for a member that does not answer: longer than it takes to commit.
    ("max.poll.interval.ms", "60000"),
    // Topics that are gone or have grown are noticed within this time.
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("socket.nagle.disable", "true"), ("reconnect.backoff.max.ms", "1000"),
  ]

  // MARK: Serving

  /// Waits for what comes, at most so long, and handles it. While `handle` works on partitions that
  /// are revoked, the others of the group wait.
  ///
  /// - Throws: What `handle` throws; `.configuration` where the group does not fit or this process's
  ///   place in it is taken.
  public func serve(
    milliseconds: Int32, _ handle: (Change) throws(LogError) -> Void
  ) throws(LogError) {
    try watchTopics()
    guard let event = rd_kafka_queue_poll(queue, milliseconds) else { return }
    defer { rd_kafka_event_destroy(event) }
    switch rd_kafka_event_type(event) {
    case RD_KAFKA_EVENT_REBALANCE: try rebalance(event, handle)
    case RD_KAFKA_EVENT_ERROR: try check(rd_kafka_event_error(event), event)
    default: break
    }
  }

  private func rebalance(
    _ event: OpaquePointer, _ handle: (Change) throws(LogError) -> Void
  ) throws(LogError) {
    guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS else {
      let isLost = rd_kafka_assignment_lost(client.handle) != 0
      defer { answer(nil) }
      let revoked = holds
      holds = []
      return try handle(.revoked(revoked, isLost: isLost))
    }
    let given = rd_kafka_event_topic_partition_list(event)
    let partitions = try numbers(given)
    // The member's own client is given nothing to fetch.
    answer(PartitionList(capacity: 0))
    holds = partitions
    try handle(.assigned(partitions))
  }

  /// Refused only where the membership is over, which comes as an event of its own.
  private func answer(_ list: PartitionList?) { _ = rd_kafka_assign(client.handle, list?.list) }

  /// The numbers of the partitions: the same of every source, or an account's events would be in
  /// two processes.
  private func numbers(
    _ given: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
  ) throws(LogError) -> [Int] {
    var numbers: [String: [Int]] = [:]
    if let given {
      for element in UnsafeBufferPointer(start: given.pointee.elems, count: Int(given.pointee.cnt))
      {
        numbers[String(cString: element.topic), default: []].append(Int(element.partition))
      }
    }
    let all = topics.map { numbers[$0, default: []].sorted() }
    let first = all.first ?? []
    let isWhole = all.allSatisfy { $0 == first } && numbers.keys.allSatisfy(topics.contains)
    if isWhole, !first.isEmpty, first.allSatisfy({ $0 < partitionCount }) { return first }
    // Either nothing is left for this process, or something has happened to the topics.
    try checkTopics()
    if isWhole, first.isEmpty { return [] }
    let list = zip(topics, all).map { "\($0) \($1)" }.joined(separator: ", ")
    throw LogError(
      .configuration,
      "the group \(cluster.settings.group) does not give this process the same partitions of every "
        + "source: \(list). All members of a group run the same topology; write another `group` for "
        + "another one")
  }

  private func checkTopics() throws(LogError) {
    if let problem = problem(try cluster.partitionCounts(of: topics)) { throw problem }
  }

  /// Clients wait for a topic that was deleted as for one that is out of reach: so it is looked for.
  /// A cluster that restarts may know less than it holds, so once is not enough.
  private func watchTopics() throws(LogError) {
    let now = KafkaClient.now()
    guard now >= looksAgainAt else { return }
    looksAgainAt = now + KafkaGroup.lookEvery
    // Without an answer nothing is known.
    guard let counts = cluster.partitionCountsNow(of: topics) else { return }
    guard let problem = problem(counts) else {
      hasProblem = false
      return
    }
    if hasProblem { throw problem }
    hasProblem = true
  }

  private func problem(_ counts: [String: Int]) -> LogError? {
    for topic in topics {
      guard let count = counts[topic] else {
        return LogError(
          .missing,
          "the topic \(topic) is gone: it was deleted while it was read. Make it again and begin "
            + "with another `group`, or take it out of the sources")
      }
      guard count == partitionCount else {
        return LogError(
          .configuration,
          "\(topic) has \(count) partitions now and had \(partitionCount) when the run began: "
            + "accounts would change their partition. Begin anew with another `group`")
      }
    }
    return nil
  }

  private func check(
    _ error: rd_kafka_resp_err_t, _ event: OpaquePointer
  ) throws(LogError) {
    let group = cluster.settings.group
    var reason = [CChar](repeating: 0, count: 512)
    var code = error
    if error == RD_KAFKA_RESP_ERR__FATAL {
      code = rd_kafka_fatal_error(client.handle, &reason, reason.count)
    }
    switch code {
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
      throw LogError(
        .unavailable,
        "another process has joined the group \(group) as \(instance ?? ""): give each process a "
          + "name of its own (--instance)")
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
      throw LogError(
        .configuration,
        "the group \(group) has members that share partitions out in another way than `range`: it "
          + "is another application's. Write another `group`")
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      throw LogError(
        .configuration,
        "the cluster does not let this client join the group \(group): \(KafkaClient.text(code))")
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
      throw LogError(
        .configuration,
        "the cluster does not take this `session.timeout.ms`; correct it in `properties`")
    case _ where error == RD_KAFKA_RESP_ERR__FATAL:
      throw LogError(
        .unavailable,
        "the membership in the group \(group) has failed: \(KafkaClient.text(reason))")
    default:
      // The client goes on by itself.
      break
    }
  }

  // MARK: The end

  /// Says good-bye, so that the partitions are shared out at once. A member with a name does not:
  /// its partitions wait for it. Waits some seconds at most.
  public func leave() {
    cluster.setMember(nil)
    if let error = rd_kafka_consumer_close_queue(client.handle, queue) {
      rd_kafka_error_destroy(error)
      return
    }
    let deadline = Deadline(milliseconds: 5_000)
    while rd_kafka_consumer_closed(client.handle) == 0, !deadline.isOver {
      guard let event = rd_kafka_queue_poll(queue, 100) else { continue }
      if rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE { answer(nil) }
      rd_kafka_event_destroy(event)
    }
  }
}
