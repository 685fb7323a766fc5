public import Events

// The log protocol: what the engine asks of the place where events come from and outputs go to.
//
// KafkaLog, LocalLog, FileLog and TestKit's SimulatedLog implement it; the engine knows no other
// difference between them. A log is opened per partition. What lives here must not know about
// operators, topologies or threads.

/// One partition of one topic (or one file) that a partition's sequence is merged from.
public struct LogInput: Sendable, Hashable {
  /// The topology's name of the source it belongs to; empty where it stands in for all of them
  /// (the files of a replay).
  public var source: String
  /// The topic, or the file's path as the user gave it.
  public var topic: String
  /// What `source` says in outputs: the partition number; 0 for files.
  public var partition: Int32
  /// `file` instead of `topic` in outputs.
  public var isFile: Bool
  /// Taken on arrival when live, before the merge.
  public var urgent: Bool
  /// May carry `prior` events.
  public var trusted: Bool
  /// Where records must stand by contract; nil where that is not checked (files, local logs).
  public var keying: Keying?

  public init(
    source: String, topic: String, partition: Int32 = 0, isFile: Bool = false,
    urgent: Bool = false, trusted: Bool = false, keying: Keying? = nil
  ) {
    self.source = source
    self.topic = topic
    self.partition = partition
    self.isFile = isFile
    self.urgent = urgent
    self.trusted = trusted
    self.keying = keying
  }
}

/// A raw record of an input. Bytes are valid as long as the chunk that holds it is not refilled.
@frozen
public struct LogRecord: BitwiseCopyable, @unchecked Sendable {
  /// Position in its input; for files the line number, starting at 1.
  public var offset: Int64
  /// When the log received it, in ms since the epoch; `Int64.min` where the log does not know.
  public var appendTime: Int64
  public var key: UnsafeRawBufferPointer
  public var value: UnsafeRawBufferPointer

  public static var noAppendTime: Int64 { Int64.min }

  @inlinable
  public init(
    offset: Int64, appendTime: Int64, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
  ) {
    self.offset = offset
    self.appendTime = appendTime
    self.key = key
    self.value = value
  }
}

/// A record that its log did not deliver whole, because it is too long to be held.
public struct TruncatedRecord: Sendable, Equatable {
  public var offset: Int64
  /// Bytes of the whole value; the record's value is its beginning.
  public var length: Int64

  public init(offset: Int64, length: Int64) {
    self.offset = offset
    self.length = length
  }
}

/// Records fetched together and the memory that their bytes stand in; reused between fetches.
///
/// Not thread-safe: filled and read by the partition that owns it.
public final class RecordChunk {
  public var records: ContiguousArray<LogRecord> = []
  /// Offset of the record after the last one of this chunk (may lie beyond `records.last.offset + 1`
  /// where a log has gaps).
  public var nextOffset: Int64 = 0
  /// Which of the records are only beginnings, in their order; nearly always none.
  public var truncated: [TruncatedRecord] = []
  /// Bytes that records may point into; owned by the chunk, grown by `reserve`.
  public private(set) var storage: UnsafeMutableRawBufferPointer
  /// Called once before the chunk is refilled or freed: for logs that lend their own memory.
  public var onRelease: (() -> Void)?

  public init(capacity: Int = 0) {
    storage = .allocate(byteCount: max(capacity, 64), alignment: 64)
  }

  deinit {
    onRelease?()
    storage.deallocate()
  }

  /// Forgets the records; keeps the memory.
  public func removeAll() {
    onRelease?()
    onRelease = nil
    records.removeAll(keepingCapacity: true)
    if !truncated.isEmpty { truncated.removeAll() }
  }

  /// Makes `storage` at least `capacity` bytes, keeping its first `keeping` bytes. Records that
  /// point into the old storage are the caller's to move.
  public func reserve(_ capacity: Int, keeping used: Int = 0) {
    guard capacity > storage.count else { return }
    let larger = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(capacity, storage.count * 2), alignment: 64)
    if used > 0 {
      larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[..<used]))
    }
    storage.deallocate()
    storage = larger
  }
}

/// What a fetch found.
public enum FetchStatus: Sendable, Equatable {
  /// At least one record is in the chunk.
  case records
  /// Nothing now, and the input is not known to be at its end.
  case waiting
  /// Nothing now: the input is at its end (for a replay: for good).
  case end
}

/// Up to where a partition's outputs are committed.
public struct CommitPoint: Sendable, Equatable {
  /// The number of the last committed transaction, from 1.
  public var number: Int64
  /// Next offset to process, per input, in the inputs' order.
  public var nextOffsets: [Int64]
  /// `Transaction.journalSum`, where the log keeps it. Two processes may have made the same commit
  /// of the same records and yet have moved time differently: then their journals differ.
  public var journalSum: UInt64?

  public init(number: Int64, nextOffsets: [Int64], journalSum: UInt64? = nil) {
    self.number = number
    self.nextOffsets = nextOffsets
    self.journalSum = journalSum
  }

  /// As far as both are known, it is the same commit.
  public func isSame(as other: CommitPoint) -> Bool {
    guard number == other.number, nextOffsets == other.nextOffsets else { return false }
    guard let journalSum, let otherSum = other.journalSum else { return true }
    return journalSum == otherSum
  }
}

/// Outputs, source offsets and journal that take effect together or not at all.
public final class Transaction: @unchecked Sendable {
  // Handed from the partition to the committer and back; never used by two at once.
  /// Journal number of this transaction: the previous committed one + 1.
  public var number: Int64 = 0
  /// Next offset to process, per input, unchanged ones too.
  public var nextOffsets: [Int64] = []
  /// Encoded journal entries (see `Journal`).
  public var journal: [UInt8] = []
  public let outputs = OutputBuffer()

  public init() {}

  /// FNV-1a of the journal: with it, a commit is known to be the same one.
  public var journalSum: UInt64 { Transaction.journalSum(of: journal) }

  public static func journalSum(of journal: [UInt8]) -> UInt64 { fnv1a64(journal) }

  /// Where the partition stands once this is committed.
  public var point: CommitPoint {
    CommitPoint(number: number, nextOffsets: nextOffsets, journalSum: journalSum)
  }

  public func removeAll() {
    journal.removeAll(keepingCapacity: true)
    outputs.removeAll()
  }
}

/// Records to append, for all sinks of a partition, in the order in which they were made.
public final class OutputBuffer {
  @frozen
  public struct Record: BitwiseCopyable, Sendable {
    public var sink: Int32
    public var keyLength: Int32
    /// 0 but for records of which a part goes beside the value (see `RecordHeaders`).
    public var headersLength: Int32
    public var valueLength: Int32
    /// Where the key starts in `bytes`; headers and value follow it directly.
    public var start: Int
    public var time: EventTime
  }

  /// Behind a pointer: mutable properties of a class cost an exclusivity check at each use.
  private struct State: ~Copyable {
    var records: ContiguousArray<Record> = []
    var writer = JSONWriter(capacity: 1 << 16)
  }

  private let state: UnsafeMutablePointer<State>

  public init() {
    state = .allocate(capacity: 1)
    state.initialize(to: State())
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
  }

  public var records: ContiguousArray<Record> { state.pointee.records }

  public var isEmpty: Bool { state.pointee.records.isEmpty }

  /// Keys and values, back to back; valid until the next `append` or `removeAll`.
  public var bytes: UnsafeRawBufferPointer { state.pointee.writer.bytes }

  /// The record's value; valid as long as `bytes`.
  public func value(of record: Record) -> UnsafeRawBufferPointer {
    let start = record.start + Int(record.keyLength) + Int(record.headersLength)
    return UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(record.valueLength))])
  }

  /// The record's headers, encoded; empty for most. Valid as long as `bytes`.
  public func headers(of record: Record) -> UnsafeRawBufferPointer {
    let start = record.start + Int(record.keyLength)
    return UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(record.headersLength))])
  }

  /// The record's key; valid as long as `bytes`.
  public func key(of record: Record) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      rebasing: bytes[record.start..<(record.start + Int(record.keyLength))])
  }

  public func removeAll() {
    state.pointee.records.removeAll(keepingCapacity: true)
    state.pointee.writer.removeAll()
  }

  /// Appends a record whose key and value `write` appends to the buffer; it returns the key's
  /// length.
  @inline(__always)
  public func append(
    sink: Int32, time: EventTime, _ write: (inout JSONWriter) -> Int
  ) {
    let start = state.pointee.writer.count
    let keyLength = write(&state.pointee.writer)
    state.pointee.records.append(
      Record(
        sink: sink, keyLength: Int32(keyLength), headersLength: 0,
        valueLength: Int32(state.pointee.writer.count - start - keyLength), start: start,
        time: time))
  }

  /// Appends a record with headers: `write` appends key, headers and value, and returns the lengths
  /// of the first two.
  package func append(
    sink: Int32, time: EventTime, withHeaders write: (inout JSONWriter) -> (key: Int, headers: Int)
  ) {
    let start = state.pointee.writer.count
    let lengths = write(&state.pointee.writer)
    state.pointee.records.append(
      Record(
        sink: sink, keyLength: Int32(lengths.key), headersLength: Int32(lengths.headers),
        valueLength: Int32(state.pointee.writer.count - start - lengths.key - lengths.headers),
        start: start, time: time))
  }
}

/// The stream that a sink receives and where it goes.
public struct LogOutput: Sendable, Hashable {
  /// The topology's name of the sink; the file's name in a replay.
  public var sink: String
  /// The topic (for files: ignored).
  public var topic: String
  /// Only the newest record of each key matters.
  public var compacted: Bool
  /// Which partition a record goes to: the one that its key belongs to. Nil for the one that it
  /// comes from, where its account already is.
  public var keying: Keying?
  /// With `keying`: each record goes to every partition. It may stand there more than once.
  public var isForAll = false

  public init(sink: String, topic: String, compacted: Bool, keying: Keying? = nil) {
    self.sink = sink
    self.topic = topic
    self.compacted = compacted
    self.keying = keying
  }
}

/// What a partition takes its records from. Used by the partition's worker only.
public protocol InputLog: AnyObject, Sendable {
  /// In rank order: at equal event time the earlier one goes first.
  var inputs: [LogInput] { get }

  /// Refills `chunk` with the next records of an input, in offset order, and moves on.
  /// At most `maxRecords` records; at least one when the status is `.records`.
  func fetch(_ input: Int, into chunk: RecordChunk, maxRecords: Int) throws(LogError) -> FetchStatus

  /// The next fetch of `input` starts at `offset` (or the first record after it).
  func seek(_ input: Int, to offset: Int64) throws(LogError)

  /// First offset still held, per input; 0 (1 for files) when nothing was ever removed.
  func firstOffsets() throws(LogError) -> [Int64]
}

/// What came before a log's records, kept elsewhere: to begin with what can be learned of it.
public struct History: Sendable {
  /// Its records, for the same inputs as the log's in their order, up to an end.
  public var log: any InputLog
  /// Where the log goes on, per input.
  public var nextOffsets: [Int64]
  /// Records in all.
  public var count: Int64

  public init(log: any InputLog, nextOffsets: [Int64], count: Int64) {
    self.log = log
    self.nextOffsets = nextOffsets
    self.count = count
  }
}

/// One partition of a log, as its engine sees it.
///
/// What `InputLog` asks for is called by the partition's worker only; `commit` may be called from
/// one other thread at the same time.
public protocol PartitionLog: InputLog {
  /// The last committed transaction; nil when there is none.
  func committed() throws(LogError) -> CommitPoint?

  /// Calls `body` with each committed journal record whose number is above `number`, oldest first.
  func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError)

  /// Makes outputs, offsets and journal durable and visible together. Returns when they are.
  /// Throws with a recovery: `.retry` (same transaction again), `.rewind` (ask `committed()` which
  /// of the two happened), `.stop`.
  func commit(_ transaction: Transaction) throws(LogError)

  /// No snapshot before `number` is kept: the log may forget the journal up to it. Called from a
  /// background thread.
  func forgetJournal(through number: Int64) throws(LogError)

  /// How refused records are written.
  var deadLetterForm: DeadLetterForm { get }

  /// The last commit's journal is durable before its outputs are, so that after a crash they may be
  /// missing: recovery makes them again, the same ones, and commits them under the same number.
  var repeatsLastCommit: Bool { get }

  /// Gives up the partition; no call may follow.
  func close()

  /// Gives the partition up for now: nothing is fetched or committed before `committed()` and
  /// `seek` are called again.
  func park()

  /// Lets the log call `wake`, from any thread, whenever there may be something new to fetch.
  /// False where it does not: then it is asked every few milliseconds.
  func onArrival(_ wake: @escaping @Sendable () -> Void) -> Bool
}

extension PartitionLog {
  public func park() {}

  public func onArrival(_ wake: @escaping @Sendable () -> Void) -> Bool { false }
}

extension PartitionLog {
  public func forgetJournal(through number: Int64) throws(LogError) {}
  public var deadLetterForm: DeadLetterForm { .json }
  public var repeatsLastCommit: Bool { false }
}

/// What a record of `dead_letters` looks like.
public enum DeadLetterForm: Sendable {
  /// One JSON object, the refused record as text in it.
  case json
  /// The refused record's own bytes, everything else in headers.
  case original
}

/// Something the environment did, with what to do about it.
public struct LogError: Error, Sendable, CustomStringConvertible {
  public enum Recovery: Sendable, Equatable {
    /// The same call may work later.
    case retry
    /// The outcome is unknown: look up what was committed, then decide.
    case rewind
    /// Close and open anew: the partition may have become another process's.
    case recreate
    /// Another process owns the partition now, or nothing can be done: leave.
    case stop
  }

  /// Which exit status of the command line it maps to.
  public enum Kind: Sendable, Equatable {
    case badData, missing, unavailable, ours, configuration
  }

  public var kind: Kind
  public var recovery: Recovery
  /// What happened, where, and what to do.
  public var message: String

  public init(_ kind: Kind, recovery: Recovery = .stop, _ message: String) {
    self.kind = kind
    self.recovery = recovery
    self.message = message
  }

  public var description: String { message }
}
