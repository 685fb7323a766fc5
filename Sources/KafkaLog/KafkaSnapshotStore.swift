import CKafka
public import Streaming
import Synchronization

/// A partition's snapshots in a compacted topic, so that a machine can be lost.
///
/// Keys begin with the group and the partition:
///
///     g/3/17/0, g/3/17/1, …     the chunks of snapshot 17 of partition 3
///     g/3/index                 which snapshots there are (`SnapshotIndex`)
///
/// Chunks and index are written in transactions, the index always last: near the partition's end,
/// where a restart finds it without reading what stands before. Chunks of a removed snapshot get
/// tombstones, and compaction takes both away.
///
/// `list` and `read` may be called from any thread, also while something is written; what writes
/// (`create`'s sink, `remove`), from one at a time. Nothing is fenced before something is written.
public final class KafkaSnapshotStore: SnapshotStore, @unchecked Sendable {
  /// Payload of one transaction.
  private static let transactionBytes = 8 << 20

  private let cluster: KafkaCluster
  private let topic: String
  private let partition: Int32
  /// The index as it was listed last.
  private let listed = Mutex<SnapshotIndex?>(nil)
  /// The client has one queue for a partition, so it is read by one at a time.
  private let turn = Mutex<Void>(())
  /// Belongs to whoever writes, one at a time; with the index, which nobody else changes as long as
  /// this one is not fenced.
  private var producer: SnapshotProducer?
  private var index = SnapshotIndex()
  fileprivate private(set) var chunkBytes = SnapshotChunk.bytesMax

  /// - Parameter cluster: One that reads nothing else. Several partitions may share it.
  public init(_ cluster: KafkaCluster, topic: String, partition: Int32) {
    self.cluster = cluster
    self.topic = topic
    self.partition = partition
  }

  private var prefix: String { "\(cluster.settings.group)/\(partition)/" }
  private var indexKey: String { prefix + "index" }
  private func key(_ number: Int64, _ chunk: Int64) -> String { "\(prefix)\(number)/\(chunk)" }

  // MARK: Reading

  /// As the topic has them now: another process may have written since.
  public func list() throws(LogError) -> [Int64] {
    let found = try readIndex()
    listed.withLock { $0 = found }
    return found.entries.map(\.number)
  }

  private func reading<Result: Sendable>(
    _ body: (PartitionReading) throws(LogError) -> Result
  ) throws(LogError) -> Result {
    try turn.withLock { (_) throws(LogError) in
      let reading = try PartitionReading(cluster, topic: topic, partition: partition)
      defer { reading.close() }
      return try body(reading)
    }
  }

  /// The newest index that reads, looked for from the partition's end backwards.
  private func readIndex() throws(LogError) -> SnapshotIndex {
    try reading { reading throws(LogError) in try findIndex(reading) }
  }

  private func findIndex(_ reading: PartitionReading) throws(LogError) -> SnapshotIndex {
    let key = Array(indexKey.utf8)
    var back: Int64 = 4
    while reading.low < reading.high {
      let start = max(reading.low, reading.high - back)
      var found: SnapshotIndex?
      try reading.seek(to: start)
      while try reading.next() {
        for record in reading.chunk.records where record.key.elementsEqual(key) {
          found = SnapshotIndex(record.value) ?? found
        }
      }
      if let found { return found }
      if start == reading.low { break }
      back *= 16
    }
    return SnapshotIndex()
  }

  /// - Throws: `.missing` where there is no such snapshot, or where the topic's retention has
  ///   removed some of it; `.badData` where chunks are damaged or lacking.
  public func read(
    _ number: Int64, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    if listed.withLock({ $0 == nil }) { _ = try list() }
    let known = listed.withLock { $0 } ?? SnapshotIndex()
    guard let entry = known.entries.first(where: { $0.number == number }) else {
      throw LogError(.missing, "\(topic) partition \(partition) has no snapshot \(number)")
    }
    try reading { reading throws(LogError) in try read(entry, reading, body) }
  }

  private func read(
    _ entry: SnapshotIndex.Entry, _ reading: PartitionReading,
    _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    let number = entry.number
    try reading.seek(to: entry.firstOffset)
    var chunk: Int64 = 0
    var bytes: Int64 = 0
    var wanted = Array(key(number, 0).utf8)
    while chunk < entry.chunks, try reading.next() {
      for record in reading.chunk.records where record.key.elementsEqual(wanted) {
        guard let payload = SnapshotChunk.payload(record.value, number: number, chunk: chunk)
        else { throw damage(number, "chunk \(chunk) at offset \(record.offset) is damaged") }
        bytes += Int64(payload.count)
        try body(payload)
        chunk += 1
        if chunk == entry.chunks { break }
        wanted = Array(key(number, chunk).utf8)
      }
    }
    guard chunk == entry.chunks else {
      throw damage(number, "chunk \(chunk) of \(entry.chunks) is not there")
    }
    guard bytes == entry.bytes else {
      throw damage(number, "it has \(bytes) bytes instead of \(entry.bytes)")
    }
  }

  private func damage(_ number: Int64, _ reason: String) -> LogError {
    LogError(
      .badData,
      "snapshot \(number) of \(topic) partition \(partition): \(reason). Is the topic's "
        + "`cleanup.policy` `compact`?")
  }

  // MARK: Writing

  /// The topic is not asked for anything before the first byte is written.
  public func create(_ number: Int64) throws(LogError) -> any SnapshotSink {
    precondition(number >= 0, "a snapshot's number is a journal number")
    return SnapshotChunks(self, number)
  }

  public func remove(_ number: Int64) throws(LogError) {
    try writing { producer throws(LogError) in
      var next = index
      guard let place = next.entries.firstIndex(where: { $0.number == number }) else { return }
      let old = next.entries.remove(at: place)
      for chunk in 0..<old.chunks { try producer.put(key(number, chunk), nil) }
      try publish(next, producer)
    }
  }

  /// Opens the topic for writing where that has not been done, and gives it up after an error.
  private func writing<Result>(
    _ body: (SnapshotProducer) throws(LogError) -> Result
  ) throws(LogError) -> Result {
    do throws(LogError) {
      if let producer { return try body(producer) }
      return try body(try open())
    } catch {
      producer = nil
      throw error
    }
  }

  /// Fences whoever wrote before, and removes what was begun and not ended.
  private func open() throws(LogError) -> SnapshotProducer {
    let limit = cluster.messageBytesMax(of: [topic])[0]
    chunkBytes = min(SnapshotChunk.bytesMax, max(limit - 1024, 1024))
    let opened = try SnapshotProducer(cluster.settings, topic: topic, partition: partition)
    var found = try readIndex()
    if let begun = found.begun {
      for key in try chunks(of: begun.number, from: begun.firstOffset) {
        try opened.put(key, nil)
      }
      found.begun = nil
      try publish(found, opened)
    } else {
      index = found
    }
    producer = opened
    return opened
  }

  private func chunks(of number: Int64, from offset: Int64) throws(LogError) -> [String] {
    let wanted = "\(prefix)\(number)/"
    return try reading { reading throws(LogError) in
      try reading.seek(to: max(offset, reading.low))
      var keys: [String] = []
      while try reading.next() {
        for record in reading.chunk.records {
          let key = String(decoding: record.key, as: UTF8.self)
          if key.hasPrefix(wanted) { keys.append(key) }
        }
      }
      return keys
    }
  }

  /// The index is the last record of its transaction.
  private func publish(_ next: SnapshotIndex, _ producer: SnapshotProducer) throws(LogError) {
    try producer.put(indexKey, next.encoded)
    try producer.commit()
    index = next
  }

  fileprivate func begin(_ number: Int64) throws(LogError) -> Int64 {
    try writing { producer throws(LogError) in
      let offset = try cluster.watermarks(topic, partition).high
      var next = index
      next.begun = (number, offset)
      try publish(next, producer)
      return offset
    }
  }

  fileprivate func put(_ number: Int64, _ chunk: Int64, _ record: [UInt8]) throws(LogError) {
    try writing { producer throws(LogError) in
      try producer.put(key(number, chunk), record)
      if producer.bytes >= KafkaSnapshotStore.transactionBytes { try producer.commit() }
    }
  }

  fileprivate func end(_ entry: SnapshotIndex.Entry) throws(LogError) {
    try writing { producer throws(LogError) in
      var next = index
      next.begun = nil
      if let place = next.entries.firstIndex(where: { $0.number == entry.number }) {
        let old = next.entries.remove(at: place)
        for chunk in entry.chunks..<max(old.chunks, entry.chunks) {
          try producer.put(key(entry.number, chunk), nil)
        }
      }
      next.entries.append(entry)
      next.entries.sort { $0.number > $1.number }
      try publish(next, producer)
    }
  }

  /// What was begun stays named in the index, and is removed when the topic is opened again.
  fileprivate func giveUp() { producer = nil }
}

/// A snapshot on its way into the topic.
private final class SnapshotChunks: SnapshotSink, @unchecked Sendable {
  // Handed between threads at most, never used by two at once.
  private let store: KafkaSnapshotStore
  private let number: Int64
  private var firstOffset: Int64?
  private var record: [UInt8] = []
  private var chunks: Int64 = 0
  private var bytes: Int64 = 0
  private var isDone = false

  init(_ store: KafkaSnapshotStore, _ number: Int64) {
    self.store = store
    self.number = number
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(LogError) {
    precondition(!isDone, "nothing is written to a finished snapshot")
    try open()
    var rest = bytes
    while !rest.isEmpty {
      let room = SnapshotChunk.headerBytes + store.chunkBytes - record.count
      record.append(contentsOf: rest.prefix(room))
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(room))
      if record.count == SnapshotChunk.headerBytes + store.chunkBytes { try emit() }
    }
  }

  private func open() throws(LogError) {
    guard firstOffset == nil else { return }
    firstOffset = try store.begin(number)
    startRecord()
  }

  private func startRecord() {
    record.removeAll(keepingCapacity: true)
    record.append(contentsOf: repeatElement(0, count: SnapshotChunk.headerBytes))
    record[0] = SnapshotChunk.version
  }

  private func emit() throws(LogError) {
    let (number, chunk) = (number, chunks)
    record.withUnsafeMutableBytes { raw in
      let payload = UnsafeRawBufferPointer(rebasing: raw[SnapshotChunk.headerBytes...])
      let sum = SnapshotChunk.checksum(payload, number: number, chunk: chunk)
      raw.storeBytes(of: sum.littleEndian, toByteOffset: 1, as: UInt64.self)
    }
    try store.put(number, chunk, record)
    bytes += Int64(record.count - SnapshotChunk.headerBytes)
    chunks += 1
    startRecord()
  }

  func finish() throws(LogError) {
    precondition(!isDone, "a snapshot is finished once")
    try open()
    // An empty snapshot is one chunk, too.
    if record.count > SnapshotChunk.headerBytes || chunks == 0 { try emit() }
    try store.end(
      SnapshotIndex.Entry(
        number: number, firstOffset: firstOffset ?? 0, chunks: chunks, bytes: bytes))
    isDone = true
  }

  func abandon() {
    guard !isDone else { return }
    isDone = true
    if firstOffset != nil { store.giveUp() }
  }
}
