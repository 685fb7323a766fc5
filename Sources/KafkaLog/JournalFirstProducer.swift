import CKafka
import Streaming

/// A partition's producer for `at_least_once`: the journal is acknowledged, then the outputs are
/// sent, and readers see them at once.
///
/// The journal is what counts: the last record in it is the last commit. Its outputs may be missing
/// after a crash; they follow from the journal, so they are made again and are the same.
///
/// Journal records stand in transactions, but not for the sake of these: only a transactional
/// producer can be fenced. They are read whether or not their transaction was ever committed. Now
/// and then one is, with the group's offsets, for those who watch how far the group is, and for
/// `exactly_once` to go on from after a clean stop.
final class JournalFirstProducer: CommitProducer {
  /// Between commits of the group's offsets.
  private static let offsetsEveryMilliseconds: Int64 = 5_000
  /// A transaction that was left alone for so long may have been ended by the broker, which would
  /// look as if somebody else had taken over.
  private static let transactionMilliseconds: Int64 = 300_000

  private let settings: KafkaSettings
  private let id: String
  private let outputs: [LogOutput]
  private let client: KafkaClient
  private let journal: TopicHandle
  /// Made anew when it has lost something.
  private var sender: (client: KafkaClient, topics: OutputTopics)?
  private var limits: [Int]
  /// The last commit that the journal has.
  private(set) var last: CommitPoint?
  private var lastJournal: [UInt8] = []
  private var transactionSince: Int64?
  /// What went wrong after a commit was done; said at the next one.
  private var failure: LogError?

  /// Fences whoever wrote the journal before, and reads its end.
  ///
  /// - Parameter journal: A cluster that reads uncommitted records.
  init(
    _ settings: KafkaSettings, id: String, partition: Int32, outputs: [LogOutput], limits: [Int],
    journal cluster: KafkaCluster
  ) throws(LogError) {
    self.settings = settings
    self.id = id
    self.outputs = outputs
    self.limits = limits
    client = try KafkaClient(
      .producer, settings,
      owned: [("transactional.id", id), ("delivery.report.only.error", "true")],
      preferred: TransactionalProducer.preferences
        + [("linger.ms", "0"), ("transaction.timeout.ms", "900000")])
    journal = try TopicHandle(client, settings.journalTopic)
    try client.openTransactions(id)
    try write([JournalRecord.fence], partition)
    guard let whole = try JournalReading(cluster, partition: partition).last() else { return }
    lastJournal = whole.bytes
    last = CommitPoint(
      number: whole.number, nextOffsets: try JournalFirstProducer.nextOffsets(whole, settings),
      journalSum: Transaction.journalSum(of: whole.bytes))
  }

  /// Where a commit's journal leads to.
  private static func nextOffsets(
    _ whole: JournalParts.Whole, _ settings: KafkaSettings
  ) throws(LogError) -> [Int64] {
    let result = whole.bytes.withUnsafeBytes { raw -> Result<[Int64], JournalReader.Damage> in
      do throws(JournalReader.Damage) {
        var reader = try JournalReader(raw)
        while try reader.next() != nil {}
        return .success(reader.offsets)
      } catch { return .failure(error) }
    }
    switch result {
    case .success(let offsets): return offsets
    case .failure(let damage):
      throw LogError(
        .badData, "record \(whole.number) of \(settings.journalTopic): \(damage.description)")
    }
  }

  func commit(
    _ transaction: Transaction, partition: Int32, inputs: [LogInput],
    group: KafkaGroupMetadata
  ) throws(LogError) {
    if let failure { throw failure }
    if try !isJournaled(transaction) {
      try write(
        JournalRecord.parts(transaction.journal, number: transaction.number), partition)
      last = transaction.point
      lastJournal = transaction.journal
    }
    try send(transaction, partition)
    if let since = transactionSince,
      KafkaClient.now() - since >= JournalFirstProducer.offsetsEveryMilliseconds
    {
      do throws(LogError) { try endTransaction(inputs, group) } catch { failure = error }
    }
  }

  /// Whether the journal has it already: its outputs are sent again.
  private func isJournaled(_ transaction: Transaction) throws(LogError) -> Bool {
    let number = last?.number ?? 0
    if transaction.number == number + 1 { return false }
    guard transaction.number == number, last?.nextOffsets == transaction.nextOffsets,
      transaction.journal.isEmpty || transaction.journal == lastJournal
    else {
      throw LogError(
        .unavailable, recovery: .recreate,
        "another process has taken over \(id): commit \(transaction.number) is not ours, the "
          + "journal stands at \(number)")
    }
    return true
  }

  // MARK: The journal

  /// Durable when it returns.
  private func write(_ records: [JournalRecord], _ partition: Int32) throws(LogError) {
    let deadline = Deadline(milliseconds: settings.commitWithinMilliseconds)
    _ = client.takeDeliveryError()
    try beginTransaction()
    for record in records {
      try record.withBytes { (key, value) throws(LogError) in
        if let error = journal.produce(partition, key: key, value: value) {
          throw lost(Outcome(error, "a record for \(journal.name) partition \(partition)", client))
        }
      }
    }
    rd_kafka_flush(client.handle, max(deadline.left, 1))
    if let error = client.takeDeliveryError() {
      throw lost(Outcome(error, "the journal", client))
    }
    guard rd_kafka_outq_len(client.handle) == 0 else {
      throw lost(Outcome(RD_KAFKA_RESP_ERR__TIMED_OUT, "the journal", client))
    }
  }

  /// This producer is of no more use; the next one finds out what the journal has.
  private func lost(_ outcome: Outcome) -> LogError {
    outcome.refusal(id, settings)
      ?? LogError(.unavailable, recovery: .rewind, "\(id) cannot commit: \(outcome.text)")
  }

  private func beginTransaction() throws(LogError) {
    if let since = transactionSince {
      guard KafkaClient.now() - since > JournalFirstProducer.transactionMilliseconds else { return }
      throw LogError(
        .unavailable, recovery: .rewind, "the transaction of \(id) was left alone for long")
    }
    if let error = rd_kafka_begin_transaction(client.handle) { throw lost(Outcome(error, client)) }
    transactionSince = KafkaClient.now()
  }

  private func endTransaction(
    _ inputs: [LogInput], _ group: KafkaGroupMetadata
  ) throws(LogError) {
    guard let last, transactionSince != nil else { return }
    let deadline = Deadline(milliseconds: settings.commitWithinMilliseconds)
    let offsets = PartitionList(capacity: inputs.count)
    for (input, offset) in zip(inputs, last.nextOffsets) {
      offsets.add(input.topic, input.partition, offset: offset)
    }
    let mark = CommitMetadata.Mark(number: last.number, journalSum: last.journalSum)
    for place in offsets.elements.indices {
      CommitMetadata.set(mark, on: &offsets.elements[place])
    }
    try during(deadline) {
      rd_kafka_send_offsets_to_transaction(client.handle, offsets.list, group.handle, $0)
    }
    try during(deadline) { rd_kafka_commit_transaction(client.handle, $0) }
    transactionSince = nil
  }

  private func during(
    _ deadline: Deadline, _ call: (Int32) -> OpaquePointer?
  ) throws(LogError) {
    while let error = call(max(deadline.left, 1)) {
      let outcome = Outcome(error, client)
      if outcome.isRetriable, !outcome.isFatal, !outcome.mustAbort, !deadline.isOver { continue }
      throw lost(outcome)
    }
  }

  /// The end of the run: the group's offsets are those of the last commit.
  func end(_ inputs: [LogInput], _ group: KafkaGroupMetadata) {
    guard failure == nil else { return }
    // The next run finds the same in the journal.
    do throws(LogError) { try endTransaction(inputs, group) } catch { failure = error }
  }

  // MARK: The outputs

  /// Acknowledged when it returns. After an error all of them are sent again.
  private func send(_ transaction: Transaction, _ partition: Int32) throws(LogError) {
    guard !transaction.outputs.isEmpty else { return }
    if sender == nil { sender = try makeSender() }
    guard let (client, topics) = sender else { return }
    let deadline = Deadline(milliseconds: settings.commitWithinMilliseconds)
    var failed: Outcome?
    _ = client.takeDeliveryError()
    for record in transaction.outputs.records {
      while let error = topics.produce(record, of: transaction.outputs, from: partition) {
        if error == RD_KAFKA_RESP_ERR__QUEUE_FULL, !deadline.isOver {
          rd_kafka_flush(client.handle, 100)
          continue
        }
        failed = Outcome(error, "a record for \(topics.name(of: record))", client)
        break
      }
      if failed != nil { break }
    }
    rd_kafka_flush(client.handle, max(deadline.left, 1))
    if let error = client.takeDeliveryError() { failed = Outcome(error, "an output", client) }
    if failed == nil, rd_kafka_outq_len(client.handle) > 0 {
      failed = Outcome(RD_KAFKA_RESP_ERR__TIMED_OUT, "the outputs", client)
    }
    guard let failed else { return }
    let isLess = failed.isTooLarge && topics.keepLess(of: transaction.outputs)
    limits = topics.limits
    self.sender = nil
    if !isLess, let refusal = failed.refusal(id, settings) { throw refusal }
    throw LogError(
      .unavailable, recovery: .retry, "outputs of \(id) were not taken: \(failed.text)")
  }

  private func makeSender() throws(LogError) -> (client: KafkaClient, topics: OutputTopics) {
    let client = try KafkaClient(
      .producer, settings,
      owned: [("enable.idempotence", "true"), ("delivery.report.only.error", "true")],
      preferred: TransactionalProducer.preferences
        + [("linger.ms", "0"), TransactionalProducer.batchBytes(limits)])
    return (client, try OutputTopics(client, outputs, limits: limits))
  }
}
