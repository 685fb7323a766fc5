import CKafka
import Dispatch
import Events
import Streaming
import Synchronization
import Testing

@testable import KafkaLog

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// How errors of transactions are told apart, on the mock.
@Suite(.serialized) struct CommitErrorTests {
  private func open(_ mock: MockCluster, within milliseconds: Int64 = 10_000) throws
    -> KafkaPartitionLog
  {
    let log = try KafkaCluster(mock.settings(within: milliseconds)).partitionLog(
      partition: 0, inputs: [LogInput(source: "events", topic: "events")],
      outputs: [LogOutput(sink: "tallies", topic: "tallies", compacted: false)])
    #expect(try log.committed() == nil)
    return log
  }

  private func mock() throws -> MockCluster {
    try MockCluster(topics: [("events", 1), ("tallies", 1), ("g-journal", 1)])
  }

  @Test func aPassingErrorIsWaitedFor() throws {
    let mock = try mock()
    let log = try open(mock)
    mock.fail(
      Request.endTransaction,
      with: [
        RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
      ])
    try log.commit(transaction(1, [5], [("k", "v")]))
    #expect(log.lastKnownCommit == transaction(1, [5]).point)
    log.close()
  }

  @Test func anAbortedTransactionIsSentAgain() throws {
    let mock = try mock()
    let log = try open(mock)
    mock.fail(Request.produce, with: [RD_KAFKA_RESP_ERR_INVALID_RECORD])
    let error = try failure { try log.commit(transaction(1, [5], [("k", "v")])) }
    #expect(error.recovery == .retry, "\(error)")
    // The client sets its sequence right, which may take another one.
    for _ in 0..<5 where log.lastKnownCommit == nil {
      do throws(LogError) {
        try log.commit(transaction(1, [5], [("k", "v")]))
      } catch {
        #expect(error.recovery == .retry, "\(error)")
      }
    }
    #expect(log.lastKnownCommit == transaction(1, [5]).point)
    log.close()
  }

  /// A prior is for everybody: it stands in every partition, from whichever it comes.
  @Test func whatIsForAllGoesToEveryPartition() throws {
    let mock = try MockCluster(topics: [("events", 3), ("priors", 3), ("g-journal", 3)])
    let cluster = try KafkaCluster(mock.settings())
    var output = LogOutput(
      sink: "priors", topic: "priors", compacted: false,
      keying: Keying(hash: .murmur2, partitions: 3))
    output.isForAll = true
    let log = try cluster.partitionLog(
      partition: 1, inputs: [LogInput(source: "events", topic: "events", partition: 1)],
      outputs: [output])
    #expect(try log.committed() == nil)
    try log.commit(transaction(1, [5], [("", "first"), ("", "second")]))
    log.close()
    for partition in 0..<3 as Range<Int32> {
      let reading = try cluster.partitionLog(
        partition: partition,
        inputs: [LogInput(source: "priors", topic: "priors", partition: partition)], outputs: [])
      try reading.seek(0, to: 0)
      #expect(try reading.values() == ["first", "second"], "partition \(partition)")
      reading.close()
    }
  }

  /// What no snapshot needs is looked for beside the partition's own recovery.
  @Test func theJournalMayBeReadBySeveralAtOnce() throws {
    let mock = try mock()
    let log = try open(mock)
    for number in 1...20 as ClosedRange<Int64> { try log.commit(transaction(number, [number])) }
    let failures = Mutex<[LogError]>([])
    let readings = Mutex<[[Int64]]>([])
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      for _ in 0..<5 {
        var numbers: [Int64] = []
        do throws(LogError) {
          try log.journal(after: 0) { number, _ in numbers.append(number) }
        } catch { failures.withLock { $0.append(error) } }
        readings.withLock { $0.append(numbers) }
      }
    }
    #expect(failures.withLock { $0.map(\.message) } == [])
    #expect(readings.withLock { $0.allSatisfy { $0 == Array(1...20) } })
    log.close()
  }

  @Test func whatATopicDoesNotTakeEndsTheRun() throws {
    let mock = try mock()
    let log = try open(mock)
    mock.fail(Request.produce, with: [RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE])
    let error = try failure { try log.commit(transaction(1, [5], [("k", "v")])) }
    #expect(error.kind == .configuration && error.recovery == .stop, "\(error)")
    #expect(error.message.contains("max.message.bytes"))
    log.close()
  }

  @Test func ofARefusedRecordLessIsKept() throws {
    let mock = try mock()
    let log = try open(mock)
    let letter = transaction(1, [5])
    letter.outputs.append(
      sink: 0, time: EventTime(milliseconds: 0),
      withHeaders: { json in
        json.unframed("key")
        let start = json.count
        Array("malformed_json".utf8).withUnsafeBytes {
          RecordHeaders.write("reason", $0, to: &json)
        }
        let headers = json.count - start
        json.unframed(String(repeating: "x", count: 2 << 20))
        return (3, headers)
      })
    // Smaller than the topic said; a smaller one it takes.
    mock.fail(Request.produce, with: [RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE])
    let error = try failure { try log.commit(letter) }
    #expect(error.recovery == .retry && error.message.contains("larger"), "\(error)")
    for _ in 0..<5 where log.lastKnownCommit == nil {
      do throws(LogError) { try log.commit(letter) } catch {
        #expect(error.recovery == .retry, "\(error)")
      }
    }
    #expect(log.lastKnownCommit == letter.point)
    let reading = try PartitionReading(
      try KafkaCluster(mock.settings()), topic: "tallies", partition: 0)
    try reading.seek(to: 0)
    var sizes: [Int] = []
    while try reading.next() { sizes += reading.chunk.records.map(\.value.count) }
    reading.close()
    let size = try #require(sizes.last)
    #expect(size > 100_000 && size < 600_000, "\(sizes)")
    log.close()
  }

  @Test(arguments: [
    RD_KAFKA_RESP_ERR_PRODUCER_FENCED.rawValue, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH.rawValue,
  ])
  func whoeverIsFencedLeaves(_ code: Int32) throws {
    let mock = try mock()
    let log = try open(mock)
    mock.fail(Request.endTransaction, with: [rd_kafka_resp_err_t(rawValue: code)])
    let error = try failure { try log.commit(transaction(1, [5], [("k", "v")])) }
    #expect(error.kind == .unavailable && error.recovery == .recreate, "\(error)")
    #expect(error.message.contains("another process"))
    log.close()
  }

  @Test func withoutAnAnswerTheOutcomeIsLookedUp() throws {
    let mock = try mock()
    let log = try open(mock, within: 5_000)
    mock.setDown(true)
    let error = try failure { try log.commit(transaction(1, [5], [("k", "v")])) }
    #expect(error.kind == .unavailable && error.recovery == .rewind, "\(error)")
    // Until that is done nothing is sent.
    #expect(try failure { try log.commit(transaction(1, [5])) }.recovery == .rewind)
    #expect(try failure { _ = try log.committed() }.recovery == .rewind)
    mock.setDown(false)
    #expect(try log.committed() == nil)
    try log.commit(transaction(1, [5], [("k", "v")]))
    log.close()
  }
}

@Suite struct JournalRecordTests {
  private func record(_ key: String, _ value: [UInt8], _ body: (LogRecord) throws -> Void) rethrows
  {
    try Array(key.utf8).withUnsafeBytes { key in
      try value.withUnsafeBytes { value in
        try body(LogRecord(offset: 7, appendTime: 0, key: key, value: value))
      }
    }
  }

  @Test(arguments: [0, 1, 511 << 10, 512 << 10, (512 << 10) + 1, 1_300_000])
  func comesBackWhole(_ count: Int) throws {
    let journal = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let parts = JournalRecord.parts(journal, number: 42)
    var read: [UInt8] = []
    for (place, part) in parts.enumerated() {
      try part.withBytes { (key, value) throws(LogError) in
        #expect(value.count <= JournalRecord.partBytesMax + 2)
        let content = try JournalRecord.read(
          LogRecord(offset: 0, appendTime: 0, key: key, value: value), topic: "j")
        #expect(content.number == 42)
        #expect(content.isContinued == (place < parts.count - 1))
        read += content.bytes
      }
    }
    #expect(read == journal)
  }

  @Test(
    arguments: [
      ("", [1, 0]), ("x", [1, 0]), ("-1", [1, 0]), ("1", []), ("1", [1]),
      ("1", [2, 0]), ("1", [1, 2]),
    ] as [(String, [UInt8])])
  func whatIsNoJournalIsRefused(_ key: String, _ value: [UInt8]) throws {
    try record(key, value) { record in
      let error = try failure { _ = try JournalRecord.read(record, topic: "g-journal") }
      #expect(error.kind == .badData && error.message.contains("offset 7 of g-journal"))
    }
  }

  @Test func metadataCarryTheCommit() {
    let list = PartitionList(capacity: 2)
    list.add("t", 0, offset: 1)
    list.add("t", 1, offset: 1)
    for mark in [
      CommitMetadata.Mark(number: 123_456_789), .init(number: 1, journalSum: 0),
      .init(number: Int64.max, journalSum: UInt64.max),
    ] {
      free(list.elements[0].metadata)
      CommitMetadata.set(mark, on: &list.elements[0])
      #expect(CommitMetadata.mark(list.elements[0]) == mark)
    }
    #expect(CommitMetadata.mark(list.elements[1]) == nil)
    for text in [
      "somebody's own", "journal=", "journal=x", "journal=0", "journal=-1", "journal=1 ",
      "journal=1 sum=", "journal=1 sum=xyz", "journal=1 other=1", "journal=1 sum=1 sum=1",
    ] {
      free(list.elements[1].metadata)
      list.elements[1].metadata = strdup(text).map { UnsafeMutableRawPointer($0) }
      list.elements[1].metadata_size = text.utf8.count
      #expect(CommitMetadata.mark(list.elements[1]) == nil, "\(text)")
    }
  }
}
