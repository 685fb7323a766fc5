import CKafka
import Streaming
import Synchronization
import Testing

@testable import KafkaLog

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Membership, on the mock: who gets which partitions, and what is refused.
@Suite(.serialized) struct GroupTests {
  /// A member with what it has been told.
  private final class Member {
    let group: KafkaGroup
    private(set) var changes: [KafkaGroup.Change] = []
    private(set) var holds: [Int]?

    init(
      _ mock: MockCluster, topics: [String] = ["events"], partitions: Int, instance: String? = nil
    ) throws {
      group = try KafkaGroup(
        KafkaCluster(mock.settings()), topics: topics, partitionCount: partitions,
        instance: instance)
    }

    func serve() throws(LogError) {
      try group.serve(milliseconds: 20) { (change) throws(LogError) in
        changes.append(change)
        switch change {
        case .assigned(let partitions): holds = partitions
        case .revoked: holds = nil
        }
      }
    }
  }

  /// Serves members until what they hold is as wished.
  private func serve(_ members: [Member], until isDone: () -> Bool) throws {
    let deadline = Deadline(milliseconds: 40_000)
    while !isDone() {
      for member in members { try member.serve() }
      if deadline.isOver {
        Issue.record("\(members.map(\.changes))")
        return
      }
    }
  }

  @Test func partitionsAreSharedOutAndComeBack() throws {
    let mock = try MockCluster(topics: [("events", 4), ("clicks", 4)])
    let topics = ["events", "clicks"]
    let first = try Member(mock, topics: topics, partitions: 4)
    try serve([first]) { first.holds == [0, 1, 2, 3] }
    let second = try Member(mock, topics: topics, partitions: 4)
    try serve([first, second]) {
      let all = (first.holds ?? []) + (second.holds ?? [])
      return all.sorted() == [0, 1, 2, 3] && first.holds?.count == 2
    }
    // It was revoked before the others got it, and not because it was lost.
    #expect(first.changes.contains(.revoked([0, 1, 2, 3], isLost: false)))
    second.group.leave()
    try serve([first]) { first.holds == [0, 1, 2, 3] }
    first.group.leave()
  }

  @Test func whoeverIsTooManyStandsBy() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    let members = try (0..<2).map { _ in try Member(mock, partitions: 1) }
    try serve(members) {
      members.allSatisfy { $0.holds != nil } && members.flatMap { $0.holds ?? [] } == [0]
    }
    for member in members { member.group.leave() }
  }

  @Test func aMemberBeforeItsTopicsChangeIsTold() throws {
    let mock = try MockCluster(topics: [("events", 3), ("odd", 2)])
    // The topics have not the counts that the run found at its start.
    let unequal = try Member(mock, topics: ["events", "odd"], partitions: 3)
    let error = try failure { try serve([unequal]) { false } }
    #expect(error.kind == .configuration, "\(error)")
    #expect(error.message.contains("odd has 2 partitions now"))
    let grown = try Member(mock, topics: ["events"], partitions: 2)
    #expect(try failure { try serve([grown]) { false } }.message.contains("events has 3"))
    unequal.group.leave()
    grown.group.leave()
  }

  @Test func theMembershipOutlivesAnOutage() throws {
    let mock = try MockCluster(topics: [("events", 2)])
    let member = try Member(mock, partitions: 2)
    try serve([member]) { member.holds == [0, 1] }
    mock.setDown(true)
    for _ in 0..<50 { try member.serve() }
    #expect(member.holds == [0, 1])
    mock.setDown(false)
    let second = try Member(mock, partitions: 2)
    try serve([member, second]) {
      (member.holds ?? []) + (second.holds ?? []) != [] && member.holds?.count == 1
        && second.holds?.count == 1
    }
    member.group.leave()
    second.group.leave()
  }

  @Test(arguments: [
    nil, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID.rawValue,
    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION.rawValue,
    RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID.rawValue,
  ])
  func commitsAreAMembers(_ refusal: Int32?) throws {
    let mock = try MockCluster(topics: [("events", 1), ("tallies", 1), ("g-journal", 1)])
    let cluster = try KafkaCluster(mock.settings())
    let group = try KafkaGroup(cluster, topics: ["events"], partitionCount: 1)
    var holds: [Int] = []
    let deadline = Deadline(milliseconds: 30_000)
    while holds.isEmpty, !deadline.isOver {
      try group.serve(milliseconds: 20) { (change) throws(LogError) in
        if case .assigned(let partitions) = change { holds = partitions }
      }
    }
    let log = try cluster.partitionLog(
      partition: 0, inputs: [LogInput(source: "events", topic: "events")],
      outputs: [LogOutput(sink: "tallies", topic: "tallies", compacted: false)])
    #expect(try log.committed() == nil)
    if let refusal {
      mock.fail(Request.transactionOffsets, with: [rd_kafka_resp_err_t(rawValue: refusal)])
      let error = try failure { try log.commit(transaction(1, [5], [("k", "v")])) }
      #expect(error.recovery == .recreate, "\(error)")
      #expect(log.recordsCommitted == 0)
    } else {
      try log.commit(transaction(1, [5], [("k", "v")]))
      #expect(log.recordsCommitted == 5)
    }
    log.close()
    group.leave()
  }
}

/// What wakes a reader, and what it waits through.
@Suite(.serialized) struct ArrivalTests {
  private func log(_ mock: MockCluster) throws -> KafkaPartitionLog {
    try KafkaCluster(mock.settings()).partitionLog(
      partition: 0, inputs: [LogInput(source: "events", topic: "events")], outputs: [])
  }

  @Test func arrivalsWake() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    let producer = try TestProducer(mock.settings())
    let log = try log(mock)
    let wakes = Atomic<Int>(0)
    #expect(
      withExtendedLifetime(log) { log.onArrival { wakes.add(1, ordering: .relaxed) } })
    try log.seek(0, to: 0)
    for round in 0..<20 {
      #expect(try log.waits(for: .end) == .end)
      let before = wakes.load(ordering: .relaxed)
      producer.append(["\(round)"], to: "events")
      let deadline = Deadline(milliseconds: 20_000)
      while wakes.load(ordering: .relaxed) == before, !deadline.isOver { usleep(1_000) }
      #expect(wakes.load(ordering: .relaxed) > before, "round \(round)")
      #expect(try log.values(atLeast: 1) == ["\(round)"])
    }
    log.close()
  }

  @Test func slowRoundTripsAreWaitedFor() throws {
    let mock = try MockCluster(topics: [("events", 1), ("tallies", 1), ("g-journal", 1)])
    mock.setRoundTrip(milliseconds: 400)
    try TestProducer(mock.settings()).append(["a", "b"], to: "events")
    let log = try KafkaCluster(mock.settings(within: 20_000)).partitionLog(
      partition: 0, inputs: [LogInput(source: "events", topic: "events")],
      outputs: [LogOutput(sink: "tallies", topic: "tallies", compacted: false)])
    #expect(try log.committed() == nil)
    try log.seek(0, to: 0)
    #expect(try log.values(atLeast: 2) == ["a", "b"])
    try log.commit(transaction(1, [2], [("k", "v")]))
    #expect(log.lastKnownCommit == transaction(1, [2]).point)
    log.close()
  }

  @Test func errorsOfAFetchPass() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    let producer = try TestProducer(mock.settings())
    producer.append(["a"], to: "events")
    let log = try log(mock)
    try log.seek(0, to: 0)
    #expect(try log.values(atLeast: 1) == ["a"])
    mock.fail(
      Request.fetch,
      with: [
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_UNKNOWN,
      ])
    producer.append(["b"], to: "events")
    var values: [String] = []
    let deadline = Deadline(milliseconds: 30_000)
    let chunk = RecordChunk()
    while values.isEmpty, !deadline.isOver {
      do throws(LogError) {
        if try log.fetch(0, into: chunk, maxRecords: 10) == .records {
          values += chunk.records.map { String(decoding: $0.value, as: UTF8.self) }
        }
      } catch { #expect(error.recovery == .retry, "\(error)") }
      usleep(1_000)
    }
    #expect(values == ["b"])
    log.close()
  }

  @Test func aPartitionThatIsUnknownForAMomentIsAskedForAgain() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    let producer = try TestProducer(mock.settings())
    producer.append(["a"], to: "events")
    let log = try log(mock)
    try log.seek(0, to: 0)
    #expect(try log.values() == ["a"])
    mock.fail(
      Request.fetch, with: Array(repeating: RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, count: 2))
    var retries = 0
    var values: [String] = []
    producer.append(["b"], to: "events")
    let deadline = Deadline(milliseconds: 25_000)
    let chunk = RecordChunk()
    while values.isEmpty, !deadline.isOver {
      do throws(LogError) {
        if try log.fetch(0, into: chunk, maxRecords: 10) == .records {
          values += chunk.records.map { String(decoding: $0.value, as: UTF8.self) }
        }
      } catch {
        #expect(error.recovery == .retry && error.kind == .missing, "\(error)")
        retries += 1
      }
      usleep(1_000)
    }
    #expect(values == ["b"], "\(retries) retries")
    log.close()
  }

  @Test func whatIsNoTextIsHandedOn() throws {
    let mock = try MockCluster(topics: [("events", 1)])
    let producer = try TestProducer(mock.settings())
    producer.append(bytes: [nil, [], [0xFF, 0x00, 0xFE], [UInt8](repeating: 0, count: 100_000)])
    let log = try log(mock)
    try log.seek(0, to: 0)
    var sizes: [Int] = []
    let chunk = RecordChunk()
    let deadline = Deadline(milliseconds: 20_000)
    while sizes.count < 4, !deadline.isOver {
      if try log.fetch(0, into: chunk, maxRecords: 10) == .records {
        sizes += chunk.records.map(\.value.count)
      }
    }
    #expect(sizes == [0, 0, 3, 100_000])
    log.close()
  }
}
