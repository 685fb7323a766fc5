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

/// Snapshots in a topic, on the client library's own mock of a cluster.
@Suite(.serialized) struct SnapshotTests {
  let mock: MockCluster

  init() throws { mock = try MockCluster(topics: [("snapshots", 2)]) }

  private func store(_ partition: Int32 = 0, group: String = "g") throws -> KafkaSnapshotStore {
    var settings = mock.settings()
    settings.group = group
    return KafkaSnapshotStore(
      try KafkaCluster(settings), topic: "snapshots", partition: partition)
  }

  private func content(_ count: Int, _ seed: UInt64) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  private func write(_ number: Int64, _ bytes: [UInt8], to store: KafkaSnapshotStore) throws {
    let sink = try store.create(number)
    var rest = bytes[...]
    while !rest.isEmpty {
      try rest.prefix(300_000).withUnsafeBytes { try sink.write($0) }
      rest = rest.dropFirst(300_000)
    }
    try sink.finish()
  }

  private func read(_ number: Int64, of store: KafkaSnapshotStore) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try store.read(number) { bytes += $0 }
    return bytes
  }

  @Test func comeBackWhole() throws {
    let store = try store()
    #expect(try store.list() == [])
    let sizes = [0, 1, SnapshotChunk.bytesMax, SnapshotChunk.bytesMax + 1, 3_000_000]
    for (number, size) in sizes.enumerated() {
      try write(Int64(number), content(size, UInt64(number)), to: store)
    }
    let other = try self.store()
    #expect(try other.list() == [4, 3, 2, 1, 0])
    for (number, size) in sizes.enumerated() {
      #expect(try read(Int64(number), of: other) == content(size, UInt64(number)))
    }
    // Neither another partition's nor another group's.
    #expect(try self.store(1).list() == [])
    #expect(try self.store(group: "other").list() == [])
    #expect(try failure { _ = try read(9, of: other) }.kind == .missing)
  }

  @Test func onlyTheKeptStay() throws {
    let store = try store()
    for number in Int64(1)...4 {
      try write(number, content(1_200_000, UInt64(number)), to: store)
      for old in try store.list().dropFirst(2) { try store.remove(old) }
    }
    let next = try self.store()
    #expect(try next.list() == [4, 3])
    #expect(try read(3, of: next) == content(1_200_000, 3))
    // Under each key that is not a kept one's, the last record is a tombstone.
    #expect(
      try lastKeys().sorted() == [
        "g/0/3/0", "g/0/3/1", "g/0/3/2", "g/0/4/0", "g/0/4/1", "g/0/4/2", "g/0/index",
      ])
  }

  /// A partition that was another process's for a while comes back with its old store.
  @Test func whatAnotherProcessHasWrittenAndRemovedIsSeen() throws {
    let store = try store()
    try write(5, content(100, 5), to: store)
    #expect(try store.list() == [5])
    let other = try self.store()
    try write(7, content(600_000, 7), to: other)
    try other.remove(5)
    #expect(try store.list() == [7])
    #expect(try read(7, of: store) == content(600_000, 7))
    #expect(try failure { _ = try read(5, of: store) }.kind == .missing)
  }

  @Test func severalMayReadAtOnce() throws {
    let store = try store()
    for number in Int64(1)...2 { try write(number, content(1_200_000, UInt64(number)), to: store) }
    let other = try self.store()
    let wrong = Mutex<[String]>([])
    let expected = (1...2).map { content(1_200_000, $0) }
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      for round in 0..<4 {
        let number = (thread + round) % 2
        do {
          var bytes: [UInt8] = []
          if try other.list() != [2, 1] { wrong.withLock { $0.append("list") } }
          try other.read(Int64(number + 1)) { bytes += $0 }
          if bytes != expected[number] { wrong.withLock { $0.append("bytes of \(number + 1)") } }
        } catch { wrong.withLock { $0.append("\(error)") } }
      }
    }
    #expect(wrong.withLock { $0 } == [])
  }

  @Test func whatWasNotFinishedIsNotThere() throws {
    let store = try store()
    try write(5, content(100, 5), to: store)
    let sink = try store.create(6)
    try content(2_000_000, 6).withUnsafeBytes { try sink.write($0) }
    // The process ends here. (The mock shows what an aborted transaction has written.)
    let heir = try self.store()
    #expect(try heir.list() == [5])
    #expect(try read(5, of: heir) == content(100, 5))
    try write(7, content(600_000, 7), to: heir)
    #expect(try heir.list() == [7, 5])
    #expect(
      try lastKeys().sorted() == ["g/0/5/0", "g/0/7/0", "g/0/7/1", "g/0/index"])
    sink.abandon()
    #expect(try self.store().list() == [7, 5])
  }

  @Test func oneOfTheSameNumberReplaces() throws {
    let store = try store()
    try write(5, content(1_500_000, 1), to: store)
    try write(5, content(10, 2), to: store)
    let next = try self.store()
    #expect(try next.list() == [5])
    #expect(try read(5, of: next) == content(10, 2))
    #expect(try lastKeys().sorted() == ["g/0/5/0", "g/0/index"])
  }

  @Test func aChunkThatIsGoneIsSaid() throws {
    let store = try store()
    try write(1, content(10, 1), to: store)
    try write(2, content(1_500_000, 2), to: store)
    // What somebody else has put in its place.
    var index = SnapshotIndex()
    index.entries = [
      .init(number: 2, firstOffset: 0, chunks: 4, bytes: 2_000_000),
      .init(number: 1, firstOffset: 0, chunks: 1, bytes: 11),
    ]
    let producer = try SnapshotProducer(mock.settings(), topic: "snapshots", partition: 0)
    try producer.put("g/0/index", index.encoded)
    try producer.commit()
    let next = try self.store()
    #expect(try next.list() == [2, 1])
    let lacking = try failure { _ = try read(2, of: next) }
    #expect(lacking.kind == .badData && lacking.message.contains("chunk 3 of 4"), "\(lacking)")
    let short = try failure { _ = try read(1, of: next) }
    #expect(short.kind == .badData && short.message.contains("10 bytes instead of 11"))
  }

  @Test func damageShows() {
    let bytes = content(1_000, 3)
    var record = [UInt8](repeating: 0, count: SnapshotChunk.headerBytes) + bytes
    record[0] = SnapshotChunk.version
    let sum = SnapshotChunk.checksum(bytes, number: 4, chunk: 2)
    withUnsafeBytes(of: sum.littleEndian) { record.replaceSubrange(1..<9, with: $0) }
    func isWhole(_ record: [UInt8], _ number: Int64 = 4, _ chunk: Int64 = 2) -> Bool {
      record.withUnsafeBytes {
        SnapshotChunk.payload($0, number: number, chunk: chunk).map { Array($0) == bytes } ?? false
      }
    }
    #expect(isWhole(record))
    #expect(!isWhole(record, 5) && !isWhole(record, 4, 3))
    for place in stride(from: 0, to: record.count, by: 7) {
      var damaged = record
      damaged[place] ^= 0x10
      #expect(!isWhole(damaged), "byte \(place)")
    }
    for count in [0, 1, 8, 9, 500] { #expect(!isWhole(Array(record.prefix(count)))) }
  }

  @Test func indexComesBack() {
    var index = SnapshotIndex()
    index.entries = [.init(number: 1 << 40, firstOffset: 7, chunks: 3, bytes: 1 << 41)]
    index.begun = (number: 12, firstOffset: 90)
    let bytes = index.encoded
    #expect(bytes.withUnsafeBytes { SnapshotIndex($0) } == index)
    for place in bytes.indices {
      var damaged = bytes
      damaged[place] ^= 1
      #expect(damaged.withUnsafeBytes { SnapshotIndex($0) } == nil)
      #expect(bytes.prefix(place).withUnsafeBytes { SnapshotIndex($0) } == nil)
    }
  }

  /// Keys whose last record is no tombstone: what compaction leaves.
  private func lastKeys() throws -> [String] {
    let reading = try PartitionReading(
      try KafkaCluster(mock.settings()), topic: "snapshots", partition: 0)
    defer { reading.close() }
    try reading.seek(to: 0)
    var last: [String: Bool] = [:]
    while try reading.next() {
      for record in reading.chunk.records {
        last[String(decoding: record.key, as: UTF8.self)] = !record.value.isEmpty
      }
    }
    return last.filter(\.value).map(\.key)
  }
}
