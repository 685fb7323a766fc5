import CKafka
public import Streaming
import Synchronization

/// A group's partition on a Kafka cluster.
///
/// `fetch` and `seek` belong to the partition's worker, `commit` to one other thread; what was
/// committed last may be asked by anyone.
public final class KafkaPartitionLog: PartitionLog, @unchecked Sendable {
  public let inputs: [LogInput]
  public let partition: Int32

  private let cluster: KafkaCluster
  private let outputs: [LogOutput]
  private let readers: [KafkaInput]
  private let writer: Mutex<Writer>
  private let lastCommit = Mutex<CommitPoint?>(nil)
  /// It has been asked for what is committed, and not given up since.
  private let isLookedUp = Atomic<Bool>(false)
  private let committedRecords = Atomic<Int64>(0)
  /// First offsets, where nothing is committed yet.
  private let beginnings = Mutex<[Int64]>([])
  private let journalReader = Mutex<KafkaCluster?>(nil)
  /// Since when a commit has had no answer; 0 while there is none.
  private let unanswered = Atomic<Int64>(0)
  /// A commit got its answer late: what the inputs said of their ends is out of date.
  private let endsAreOld = Atomic<Bool>(false)

  /// With a commit unanswered for so long, the cluster may be out of reach.
  private static let answerMilliseconds: Int64 = 1_000

  /// What commits are made with.
  private struct Writer {
    var producer: (any CommitProducer)?
    /// How large records of the outputs may be, once it is known.
    var limits: [Int]?
    var isClosed = false
  }

  init(
    _ cluster: KafkaCluster, partition: Int32, inputs: [LogInput], outputs: [LogOutput]
  ) throws(LogError) {
    self.cluster = cluster
    self.partition = partition
    self.inputs = inputs
    self.outputs = outputs
    var readers: [KafkaInput] = []
    for input in inputs {
      readers.append(try KafkaInput(cluster, topic: input.topic, partition: input.partition))
    }
    self.readers = readers
    writer = Mutex(Writer())
  }

  // MARK: Reading

  public func fetch(_ input: Int, into chunk: RecordChunk, maxRecords: Int) throws(LogError)
    -> FetchStatus
  {
    if endsAreOld.exchange(false, ordering: .relaxed) {
      for reader in readers { try reader.forgetEnd() }
    }
    let status = try readers[input].fetch(into: chunk, maxRecords: maxRecords)
    // Time must not go on by itself while the cluster is away, or all that waits there is late.
    return status == .end && isUnanswered ? .waiting : status
  }

  private var isUnanswered: Bool {
    let since = unanswered.load(ordering: .relaxed)
    return since != 0 && KafkaClient.now() - since > KafkaPartitionLog.answerMilliseconds
  }

  public func seek(_ input: Int, to offset: Int64) throws(LogError) {
    try readers[input].seek(to: offset)
  }

  public func firstOffsets() throws(LogError) -> [Int64] {
    var offsets: [Int64] = []
    for input in inputs {
      offsets.append(try cluster.watermarks(input.topic, input.partition).low)
    }
    return offsets
  }

  // MARK: What is committed

  /// The last commit, as far as this process knows without asking.
  public var lastKnownCommit: CommitPoint? { lastCommit.withLock { $0 } }

  /// Records behind the last commit; nil while that is not known.
  public var left: Int64? {
    guard isLookedUp.load(ordering: .relaxed) else { return nil }
    return left(after: lastKnownCommit?.nextOffsets ?? beginnings.withLock { $0 })
  }

  /// Records behind these offsets, one per input; nil while that is not known.
  func left(after offsets: [Int64]) -> Int64? {
    var sum: Int64 = 0
    for (reader, offset) in zip(readers, offsets) {
      guard let left = reader.left(after: offset) else { return nil }
      sum += left
    }
    return sum
  }

  /// Fences whoever had the partition before, then asks the group's coordinator.
  public func committed() throws(LogError) -> CommitPoint? {
    let result = writer.withLock { writer -> Result<CommitPoint?, LogError> in
      do throws(LogError) {
        // Only after this nothing that was begun can still be committed.
        try open(&writer)
        if let producer = writer.producer as? JournalFirstProducer {
          return .success(try check(producer.last))
        }
        return .success(try askCommitted())
      } catch { return .failure(error) }
    }
    let point = try result.get()
    if point == nil {
      let first = try firstOffsets()
      beginnings.withLock { $0 = first }
    }
    lastCommit.withLock { $0 = point }
    isLookedUp.store(true, ordering: .relaxed)
    return point
  }

  private func open(_ writer: inout Writer) throws(LogError) {
    precondition(!writer.isClosed, "nothing is asked of a partition after close")
    guard writer.producer == nil else { return }
    if writer.limits == nil {
      writer.limits = cluster.messageBytesMax(of: outputs.map(\.topic))
    }
    let (settings, outputs, limits) = (cluster.settings, outputs, writer.limits ?? [])
    let id = settings.transactionalID(partition)
    let (partition, journal) = (partition, try repeatsLastCommit ? journalCluster() : nil)
    writer.producer = try cluster.calls.during(
      "the opening of the transactions of \(id)", milliseconds: settings.answerWithinMilliseconds
    ) { () throws(LogError) -> any CommitProducer in
      guard let journal else {
        return try TransactionalProducer(settings, id: id, outputs: outputs, limits: limits)
      }
      return try JournalFirstProducer(
        settings, id: id, partition: partition, outputs: outputs, limits: limits,
        journal: journal)
    }
  }

  /// Where records of the journal are read, whatever became of their transactions: which of them
  /// count is known from elsewhere, and `at_least_once` leaves some in transactions that nobody
  /// ended.
  private func journalCluster() throws(LogError) -> KafkaCluster {
    if let known = journalReader.withLock({ $0 }) { return known }
    var settings = cluster.settings
    settings.readsUncommitted = true
    settings.reportsStatistics = false
    let made = try KafkaCluster(settings)
    journalReader.withLock { $0 = made }
    return made
  }

  /// What the journal ends with, held against what the group says, which may lag behind it.
  private func check(_ last: CommitPoint?) throws(LogError) -> CommitPoint? {
    let (marks, _) = try askOffsets()
    let group = cluster.settings.group
    guard marks.allSatisfy({ $0?.number ?? Int64.max <= last?.number ?? 0 }) else {
      throw LogError(
        .badData,
        "the committed offsets of partition \(partition) of the group \(group) are ahead of its "
          + "journal, or were moved by something else. Begin anew with another `group`")
    }
    guard last?.nextOffsets.count ?? inputs.count == inputs.count else {
      throw LogError(
        .configuration,
        "the journal of the group \(group) is of \(last?.nextOffsets.count ?? 0) topics, and there "
          + "are \(inputs.count) now. Set the sources back, or begin anew with another `group`")
    }
    return last
  }

  private func askCommitted() throws(LogError) -> CommitPoint? {
    let (marks, offsets) = try askOffsets()
    return try point(marks, offsets)
  }

  /// The group's offsets, with the marks of the commits that they are of: nil for no commit of
  /// ours, number 0 for none at all.
  private func askOffsets() throws(LogError) -> (marks: [CommitMetadata.Mark?], offsets: [Int64]) {
    let list = PartitionList(capacity: inputs.count)
    for input in inputs { list.add(input.topic, input.partition, offset: -1001) }
    let wait = Int32(clamping: cluster.settings.answerWithinMilliseconds)
    let error = rd_kafka_committed(cluster.consumer.handle, list.list, wait)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw LogError(
        .unavailable, recovery: .rewind,
        "the committed offsets of the group \(cluster.settings.group) cannot be read: "
          + KafkaClient.text(error))
    }
    var marks: [CommitMetadata.Mark?] = []
    var offsets: [Int64] = []
    for element in list.elements {
      guard element.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw LogError(
          .unavailable, recovery: .rewind,
          "the committed offset of \(String(cString: element.topic)) \(element.partition) cannot be"
            + " read: \(KafkaClient.text(element.err))")
      }
      marks.append(
        element.offset >= 0 ? CommitMetadata.mark(element) : CommitMetadata.Mark(number: 0))
      offsets.append(element.offset)
    }
    return (marks, offsets)
  }

  /// All sources' offsets must be of one commit, or of none.
  private func point(
    _ marks: [CommitMetadata.Mark?], _ offsets: [Int64]
  ) throws(LogError) -> CommitPoint? {
    let group = cluster.settings.group
    guard let first = marks.first, let mark = first, marks.allSatisfy({ $0 == mark }) else {
      throw LogError(
        .badData,
        "the committed offsets of partition \(partition) of the group \(group) are not those of one"
          + " commit: they were reset or moved by something else, or the sources have changed. "
          + "Begin anew with another `group`")
    }
    guard mark.number > 0 else {
      guard try !JournalReading(cluster, partition: partition).hasRecords() else {
        // A group's offsets go with their topic.
        let known = cluster.partitionCountsNow(of: inputs.map(\.topic))
        if let known, let gone = inputs.first(where: { known[$0.topic] == nil }) {
          throw LogError(
            .missing,
            "the topic \(gone.topic) is gone: it was deleted, and the committed offsets of the group "
              + "\(group) with it. Make it again and begin anew with another `group`")
        }
        throw LogError(
          .badData,
          "the group \(group) has no committed offsets for partition \(partition), but its journal"
            + " has records: the offsets have expired (`offsets.retention.minutes`) or were "
            + "removed. Begin anew with another `group`")
      }
      return nil
    }
    return CommitPoint(number: mark.number, nextOffsets: offsets, journalSum: mark.journalSum)
  }

  /// Up to the last commit that this process knows of.
  public func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    guard let last = lastKnownCommit?.number, last > number else { return }
    try JournalReading(try journalCluster(), partition: partition)
      .read(after: number, through: last, body)
  }

  /// Removes the journal's records that no kept snapshot needs.
  public func forgetJournal(through number: Int64) throws(LogError) {
    // Readers of its own: those of the sources are the worker's.
    let cluster = try journalCluster()
    let reading = try JournalReading(cluster, partition: partition)
    guard let offset = try reading.offset(after: number) else { return }
    try cluster.deleteRecords(cluster.settings.journalTopic, partition, before: offset)
  }

  public var deadLetterForm: DeadLetterForm { .original }

  public var repeatsLastCommit: Bool { cluster.settings.delivery == .atLeastOnce }

  // MARK: Commits

  public func commit(_ transaction: Transaction) throws(LogError) {
    precondition(
      transaction.nextOffsets.count == inputs.count,
      "a transaction names the next offset of every input")
    if unanswered.load(ordering: .relaxed) == 0 {
      unanswered.store(KafkaClient.now(), ordering: .relaxed)
    }
    let result = writer.withLock { writer -> Result<Void, LogError> in
      do throws(LogError) {
        return .success(try commit(transaction, with: &writer))
      } catch { return .failure(error) }
    }
    // Without success it stays unanswered: it is sent again.
    try result.get()
    if isUnanswered { endsAreOld.store(true, ordering: .relaxed) }
    unanswered.store(0, ordering: .relaxed)
    let before = lastCommit.withLock { last in
      defer { last = transaction.point }
      return last?.nextOffsets
    }
    let records = zip(transaction.nextOffsets, before ?? beginnings.withLock { $0 })
      .reduce(0) { $0 + max(0, $1.0 - $1.1) }
    committedRecords.add(records, ordering: .relaxed)
  }

  /// Records up to the commits that this process has made.
  public var recordsCommitted: Int64 { committedRecords.load(ordering: .relaxed) }

  private func commit(_ transaction: Transaction, with writer: inout Writer) throws(LogError) {
    // There the next producer sees in the journal what became of the last one's commit.
    if repeatsLastCommit { try reopen(&writer) }
    guard let producer = writer.producer else {
      // A new producer settles what the last one left open: that comes first.
      throw LogError(
        .unavailable, recovery: .rewind,
        "what came of the transaction of \(cluster.settings.transactionalID(partition)) is not "
          + "known yet")
    }
    do throws(LogError) {
      let (partition, inputs, cluster) = (partition, inputs, cluster)
      try cluster.calls.during(
        "a commit of \(cluster.settings.transactionalID(partition))",
        milliseconds: cluster.settings.commitWithinMilliseconds
      ) { () throws(LogError) in
        try producer.commit(
          transaction, partition: partition, inputs: inputs,
          group: try cluster.groupMetadata())
      }
    } catch {
      if error.recovery != .retry { writer.producer = nil }
      guard repeatsLastCommit, error.recovery == .rewind else { throw error }
      throw LogError(error.kind, recovery: .retry, error.message)
    }
  }

  private func reopen(_ writer: inout Writer) throws(LogError) {
    do throws(LogError) { try open(&writer) } catch {
      guard error.recovery == .rewind else { throw error }
      throw LogError(error.kind, recovery: .retry, error.message)
    }
  }

  public func onArrival(_ wake: @escaping @Sendable () -> Void) -> Bool {
    for reader in readers { reader.onArrival(wake) }
    return true
  }

  /// Its transactions end with it: whoever has the partition next finds none open.
  public func park() {
    isLookedUp.store(false, ordering: .relaxed)
    unanswered.store(0, ordering: .relaxed)
    for reader in readers { reader.close() }
    writer.withLock { $0.producer = nil }
  }

  public func close() {
    for reader in readers { reader.close() }
    writer.withLock { writer in
      if let producer = writer.producer as? JournalFirstProducer,
        let group = try? KafkaGroupMetadata(cluster.settings.group)
      {
        producer.end(inputs, group)
      }
      writer.producer = nil
      writer.isClosed = true
    }
  }
}
