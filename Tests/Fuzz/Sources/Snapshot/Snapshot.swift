import Events
import FuzzKit
import Operators
import Simulation
import Streaming
import Synchronization

// The bytes of a snapshot. An input's first byte chooses what the others are:
// 0: the snapshot, byte by byte; then it is restored, too;
// 1: frames without checksums (kind, three bytes of length, payload), which get right ones, so
//    that what stands behind the checksums is reached. It is inspected only: what a checksum
//    vouches for is state, which is trusted.

private let topology = makeTopology()
private let whole = makeSnapshot()
private let wholeHeader = whole.withUnsafeBytes { try? readSnapshotHeader($0) }

@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  Seeds.write([[0] + whole, [1] + Framing.taken(whole), [0], [1, 1, 0, 0, 0, 3, 2, 0, 0, 0, 0]])
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func run(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  guard let mode = input.first else { return 0 }
  let rest = Array(input.dropFirst())
  let isRaw = mode & 1 == 0
  let bytes = isRaw ? rest : Framing.given(rest)
  let all = bytes.withUnsafeBytes { inspect($0, piece: max(bytes.count, 1)) }
  let pieces = bytes.withUnsafeBytes { inspect($0, piece: 1 + Int(mode >> 1)) }
  require(all == pieces, "how a snapshot is cut changes what is in it")
  if let all {
    require(all.stateBytes == all.header.stateBytes, "a whole snapshot has all pages")
    // A corpus may hold what earlier builds wrote, with another header.
    if isRaw, all.header == wholeHeader {
      require(bytes == whole, "a snapshot that reads is the one that was written")
    }
  }
  _ = bytes.withUnsafeBytes { try? readSnapshotHeader($0) }
  if isRaw {
    let isRestored = restore(bytes)
    require(isRestored == (bytes == whole), "only the snapshot that was written is restored")
  }
  return 0
}

private func inspect(
  _ bytes: UnsafeRawBufferPointer, piece: Int
) -> SnapshotInspection.Summary? {
  let store = MemoryStore(Array(bytes), piece: piece)
  return try? SnapshotInspection.inspect(1, in: store)
}

// MARK: A snapshot to begin with

private func makeTopology() -> CheckedTopology {
  do {
    return try CheckedTopology.parse(
      text: """
        topology: tally
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          unique: { operator: deduplicate, from: events, within: 1h }
          totals: { operator: tally, from: unique, every: 1m }
        sinks:
          tallies: { from: totals, log: { topic: tallies } }
        """, file: "tally.yaml", registry: OperatorRegistry.all.map(\.description))
  } catch { found("the topology reads: \(error)") }
}

private func makeSnapshot() -> [UInt8] {
  var settings = HistorySettings()
  settings.records = 60
  settings.accounts = 2
  settings.duration = .minutes(5)
  var history = HistoryGenerator(settings)
  var records: [[UInt8]] = []
  var bytes: [UInt8] = []
  while history.next(into: &bytes) != nil {
    records.append(bytes)
    bytes.removeAll()
  }
  let store = MemoryStore([], piece: 4096)
  do {
    let engine = try Engine(
      topology: topology, registry: OperatorRegistry.all,
      partitions: [
        .init(log: RecordLog(records), snapshots: store, options: RunnerOptions(mode: .replay))
      ], workers: 1, snapshotAtEnd: true)
    try engine.run()
  } catch { found("a snapshot can be taken: \(error)") }
  return store.bytes
}

/// Whether a replay begins from these bytes.
private func restore(_ bytes: [UInt8]) -> Bool {
  do {
    let engine = try Engine(
      topology: topology, registry: OperatorRegistry.all,
      partitions: [
        .init(
          log: RecordLog([]), snapshots: MemoryStore(bytes, piece: 4096), fromSnapshot: 1,
          options: RunnerOptions(mode: .replay))
      ], workers: 1)
    try engine.run()
    return true
  } catch let error as LogError {
    require(error.kind == .badData, "a damaged snapshot is bad data: \(error)")
    return false
  } catch { found("the topology fits: \(error)") }
}

/// Records in memory.
private final class RecordLog: PartitionLog {
  let inputs = [LogInput(source: "events", topic: "events")]
  private let records: [[UInt8]]
  private let next = Mutex(0)

  init(_ records: [[UInt8]]) { self.records = records }

  func fetch(
    _ input: Int, into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    chunk.removeAll()
    let start = next.withLock { $0 }
    let end = min(records.count, start + maxRecords)
    chunk.nextOffset = Int64(max(start, end))
    guard start < end else { return .end }
    next.withLock { $0 = end }
    chunk.reserve(records[start..<end].reduce(64) { $0 + $1.count })
    var used = 0
    for number in start..<end {
      let place = UnsafeMutableRawBufferPointer(
        rebasing: chunk.storage[used..<used + records[number].count])
      place.copyBytes(from: records[number])
      used += records[number].count
      chunk.records.append(
        LogRecord(
          offset: Int64(number), appendTime: LogRecord.noAppendTime,
          key: UnsafeRawBufferPointer(start: nil, count: 0),
          value: UnsafeRawBufferPointer(place)))
    }
    return .records
  }

  func seek(_ input: Int, to offset: Int64) throws(LogError) {
    next.withLock { $0 = Int(clamping: offset) }
  }

  func firstOffsets() throws(LogError) -> [Int64] { [0] }
  func committed() throws(LogError) -> CommitPoint? { nil }
  func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {}
  func commit(_ transaction: Transaction) throws(LogError) {}
  func close() {}
}

/// One snapshot in memory, given out in pieces.
private final class MemoryStore: SnapshotStore, SnapshotSink {
  private let content: Mutex<[UInt8]>
  private let piece: Int

  init(_ bytes: [UInt8], piece: Int) {
    content = Mutex(bytes)
    self.piece = piece
  }

  var bytes: [UInt8] { content.withLock { $0 } }

  func list() throws(LogError) -> [Int64] { [1] }
  func create(_ number: Int64) throws(LogError) -> any SnapshotSink { self }
  func read(
    _ number: Int64, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    let bytes = bytes
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + piece)
      let result: Result<Void, LogError> = bytes.withUnsafeBytes { raw in
        do throws(LogError) {
          try body(UnsafeRawBufferPointer(rebasing: raw[start..<end]))
          return .success(())
        } catch { return .failure(error) }
      }
      try result.get()
      start = end
    }
  }
  func remove(_ number: Int64) throws(LogError) {}
  func write(_ bytes: UnsafeRawBufferPointer) throws(LogError) {
    content.withLock { $0.append(contentsOf: bytes) }
  }
  func finish() throws(LogError) {}
  func abandon() {}
}

/// Frames with and without their checksums.
private enum Framing {
  static let magic = Array("bidsnap".utf8) + [1]

  /// A snapshot's frames as an input has them.
  static func taken(_ snapshot: [UInt8]) -> [UInt8] {
    var frames: [UInt8] = []
    var position = magic.count
    while position + 13 <= snapshot.count {
      let length =
        Int(snapshot[position + 1]) | Int(snapshot[position + 2]) << 8
        | Int(snapshot[position + 3]) << 16
      frames += [
        snapshot[position], snapshot[position + 1], snapshot[position + 2], snapshot[position + 3],
      ]
      frames += snapshot[(position + 13)..<min(snapshot.count, position + 13 + length)]
      position += 13 + length
    }
    return frames
  }

  /// A snapshot of an input's frames, with right checksums.
  static func given(_ frames: [UInt8]) -> [UInt8] {
    var bytes = magic
    var decisions = frames[...]
    while decisions.count >= 4 {
      let head = Array(decisions.prefix(4))
      decisions = decisions.dropFirst(4)
      let length = Int(head[1]) | Int(head[2]) << 8 | Int(head[3]) << 16
      let payload = Array(decisions.prefix(length))
      decisions = decisions.dropFirst(length)
      bytes.append(head[0])
      append(UInt64(payload.count), 4, to: &bytes)
      let text = payload.withUnsafeBufferPointer { Hash.text($0) }
      append(Hash.combine(text, UInt64(head[0]) << 32 | UInt64(payload.count)), 8, to: &bytes)
      bytes += payload
    }
    return bytes
  }

  private static func append(_ number: UInt64, _ count: Int, to bytes: inout [UInt8]) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * index))) }
  }
}
