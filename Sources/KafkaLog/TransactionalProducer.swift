import CKafka
import Streaming

/// A partition's producer: outputs, offsets and journal in one transaction.
///
/// Opening one ends what an earlier one of the same id had begun, and fences it for good. After an
/// error that leaves the outcome open it must not be used again: a new one settles it.
final class TransactionalProducer: CommitProducer {
  private let client: KafkaClient
  private let settings: KafkaSettings
  private let id: String
  private let topics: OutputTopics
  private let journal: TopicHandle

  /// What a user may set otherwise. The queue must hold a whole transaction.
  static let preferences = [
    ("queue.buffering.max.messages", "10000000"), ("queue.buffering.max.kbytes", "2097151"),
    ("socket.nagle.disable", "true"), ("linger.ms", "2"),
    ("reconnect.backoff.max.ms", "1000"),
    // Records of our own limits; what the broker takes is its topics' `max.message.bytes`.
    ("message.max.bytes", "33554432"),
  ]

  /// Waits until transactions that were left open are ended.
  ///
  /// - Parameter limits: `max.message.bytes` of the outputs' topics.
  init(
    _ settings: KafkaSettings, id: String, outputs: [LogOutput], limits: [Int]
  ) throws(LogError) {
    self.settings = settings
    self.id = id
    client = try KafkaClient(
      .producer, settings,
      owned: [("transactional.id", id), ("delivery.report.only.error", "true")],
      preferred: TransactionalProducer.preferences
        + [TransactionalProducer.batchBytes(limits)])
    topics = try OutputTopics(client, outputs, limits: limits)
    journal = try TopicHandle(client, settings.journalTopic)
    try client.openTransactions(id)
  }

  /// A topic holds a batch of records against its limit, not each of them.
  static func batchBytes(_ limits: [Int]) -> (String, String) {
    ("batch.size", "\(min(1_000_000, limits.min() ?? 1_000_000))")
  }

  // MARK: A transaction

  /// - Throws: `.retry` when it was aborted; `.rewind` when it is not known what came of it, and
  ///   this producer is of no more use; `.stop` when another one has taken over.
  func commit(
    _ transaction: Transaction, partition: Int32, inputs: [LogInput],
    group: KafkaGroupMetadata
  ) throws(LogError) {
    let deadline = Deadline(milliseconds: settings.commitWithinMilliseconds)
    _ = client.takeDeliveryError()
    try during("begin", transaction, deadline) { _ in rd_kafka_begin_transaction(client.handle) }
    try produceOutputs(transaction, partition, deadline)
    for record in JournalRecord.parts(transaction.journal, number: transaction.number) {
      try record.withBytes { (key, value) throws(LogError) in
        try produce(to: journal.name, partition, transaction, deadline) {
          journal.produce(partition, key: key, value: value)
        }
      }
    }
    let offsets = PartitionList(capacity: inputs.count)
    for (input, offset) in zip(inputs, transaction.nextOffsets) {
      offsets.add(input.topic, input.partition, offset: offset)
    }
    let mark = CommitMetadata.Mark(
      number: transaction.number, journalSum: transaction.journalSum)
    for place in offsets.elements.indices {
      CommitMetadata.set(mark, on: &offsets.elements[place])
    }
    try during("send offsets", transaction, deadline) {
      rd_kafka_send_offsets_to_transaction(client.handle, offsets.list, group.handle, $0)
    }
    try during("commit", transaction, deadline) { rd_kafka_commit_transaction(client.handle, $0) }
  }

  private func produceOutputs(
    _ transaction: Transaction, _ partition: Int32, _ deadline: Deadline
  ) throws(LogError) {
    let outputs = transaction.outputs
    for record in outputs.records {
      try produce(to: topics.name(of: record), partition, transaction, deadline) {
        topics.produce(record, of: outputs, from: partition)
      }
    }
  }

  private func produce(
    to name: String, _ partition: Int32, _ transaction: Transaction, _ deadline: Deadline,
    _ call: () -> rd_kafka_resp_err_t?
  ) throws(LogError) {
    while let error = call() {
      if error == RD_KAFKA_RESP_ERR__QUEUE_FULL, !deadline.isOver {
        rd_kafka_flush(client.handle, 100)
        continue
      }
      throw try abort(
        Outcome(error, "a record for \(name) partition \(partition)", client), transaction,
        deadline)
    }
  }

  // MARK: Errors

  /// One step of a transaction, until it is done or has failed.
  private func during(
    _ step: String, _ transaction: Transaction, _ deadline: Deadline,
    _ call: (Int32) -> OpaquePointer?
  ) throws(LogError) {
    while let error = call(max(deadline.left, 1)) {
      let outcome = Outcome(error, client)
      if outcome.isRetriable, !outcome.isFatal, !outcome.mustAbort, !deadline.isOver { continue }
      if outcome.isFatal || !outcome.mustAbort { throw unusable(outcome, step) }
      throw try abort(outcome, transaction, deadline)
    }
  }

  /// Ends the transaction without its records. Returns what to throw.
  private func abort(
    _ cause: Outcome, _ transaction: Transaction, _ deadline: Deadline
  ) throws(LogError) -> LogError {
    while let error = rd_kafka_abort_transaction(client.handle, max(deadline.left, 1)) {
      let outcome = Outcome(error, client)
      if outcome.isRetriable, !outcome.isFatal, !deadline.isOver { continue }
      throw unusable(outcome, "abort")
    }
    // What the library says of the transaction names its state, not what brought it there.
    var cause = cause
    if let error = client.takeDeliveryError() { cause.replace(with: error) }
    if cause.isTooLarge, topics.keepLess(of: transaction.outputs) {
      return LogError(
        .unavailable, recovery: .retry,
        "a record of \(id) is larger than its topic takes: less is kept of refused records")
    }
    return cause.refusal(id, settings)
      ?? LogError(
        .unavailable, recovery: .retry,
        "the transaction of \(id) was aborted: \(cause.text)")
  }

  private func unusable(_ outcome: Outcome, _ step: String) -> LogError {
    outcome.refusal(id, settings)
      ?? LogError(
        .unavailable, recovery: .rewind,
        "what came of the transaction of \(id) is not known (\(step)): \(outcome.text)")
  }
}

extension KafkaClient {
  /// Waits until transactions of this id that were left open are ended, and fences whoever began
  /// them.
  func openTransactions(_ id: String) throws(LogError) {
    let deadline = Deadline(milliseconds: settings.answerWithinMilliseconds)
    while let error = rd_kafka_init_transactions(handle, max(deadline.left, 1)) {
      let outcome = Outcome(error, self)
      if outcome.isRetriable, !deadline.isOver { continue }
      if let refusal = outcome.refusal(id, settings) { throw refusal }
      throw LogError(
        .unavailable, recovery: .rewind,
        "the transactions of \(id) cannot be opened: \(outcome.text). Is the cluster up, with as "
          + "many brokers as the replicas of its transaction log?")
    }
  }
}

/// What the library answered to a transaction's step.
struct Outcome {
  var code: rd_kafka_resp_err_t
  var isRetriable = false
  var isFatal = false
  var mustAbort = false
  var text: String

  /// Takes the error over.
  init(_ error: OpaquePointer, _ client: KafkaClient) {
    code = rd_kafka_error_code(error)
    isRetriable = rd_kafka_error_is_retriable(error) != 0
    isFatal = rd_kafka_error_is_fatal(error) != 0
    mustAbort = rd_kafka_error_txn_requires_abort(error) != 0
    text = rd_kafka_error_string(error).map { String(cString: $0) } ?? KafkaClient.text(code)
    rd_kafka_error_destroy(error)
    findFatal(client)
  }

  init(_ code: rd_kafka_resp_err_t, _ what: String, _ client: KafkaClient) {
    self.code = code
    text = "\(what): \(KafkaClient.text(code))"
    findFatal(client)
  }

  /// A topic does not take a record of this size.
  var isTooLarge: Bool {
    code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
      || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE
  }

  /// A fatal error has its cause elsewhere.
  private mutating func findFatal(_ client: KafkaClient) {
    var reason = [CChar](repeating: 0, count: 512)
    let fatal = rd_kafka_fatal_error(client.handle, &reason, reason.count)
    guard fatal != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    code = fatal
    isFatal = true
    text = KafkaClient.text(reason)
  }

  /// A record's own error says more.
  mutating func replace(with error: rd_kafka_resp_err_t) {
    code = error
    text = "a record was not taken: \(KafkaClient.text(error))"
  }

  /// What no further try can change.
  func refusal(_ id: String, _ settings: KafkaSettings) -> LogError? {
    switch code {
    case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
      RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      LogError(
        .unavailable, recovery: .recreate,
        "another process has taken over \(id), or this one was silent for longer than "
          + "`transaction.timeout.ms`")
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      LogError(
        .configuration,
        "a record of \(id) is larger than its topic takes (\(text)): raise `max.message.bytes` of "
          + "the topics of the sinks, of dead letters first")
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      LogError(
        .configuration,
        "the cluster refuses \(id): \(text). Allow it to write the topics of the sinks and "
          + "\(settings.journalTopic), to use the group \(settings.group) and the transactional "
          + "ids that begin with \(settings.group)-")
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      LogError(
        .missing, "a topic that \(id) writes is gone: \(text). Make it again (`bidmill topics`)")
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
      LogError(
        .unavailable, recovery: .recreate,
        "the group \(settings.group) has been shared out anew without this process, or its offsets "
          + "are another application's")
    default: nil
    }
  }
}

/// What a partition's commits are made with.
protocol CommitProducer: AnyObject {
  /// - Throws: With what to do about it, as `PartitionLog.commit`; unless that is `.retry` this
  ///   producer is of no more use.
  func commit(
    _ transaction: Transaction, partition: Int32, inputs: [LogInput],
    group: KafkaGroupMetadata
  ) throws(LogError)
}

/// The group that offsets are committed for, as a transaction wants it.
final class KafkaGroupMetadata {
  let handle: OpaquePointer

  /// Of a client that is no member.
  init(_ group: String) throws(LogError) {
    guard let handle = rd_kafka_consumer_group_metadata_new(group) else {
      throw LogError(.ours, "the Kafka client gives no metadata for the group \(group)")
    }
    self.handle = handle
  }

  /// Of a member, as its membership stands now: a commit of one that is no member any more is
  /// refused.
  init(of member: KafkaClient) throws(LogError) {
    guard let handle = rd_kafka_consumer_group_metadata(member.handle) else {
      throw LogError(.ours, "the Kafka client gives no metadata for its own group")
    }
    self.handle = handle
  }

  deinit { rd_kafka_consumer_group_metadata_destroy(handle) }
}
