import Events

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The records of one input that are fetched and decoded but not yet taken.
///
/// Fetches a chunk, decodes it in windows small enough to stay in the cache, and shows one record
/// at a time: an event, or a rejection. What a record is worth (too far ahead in time, from an
/// untrusted source) is decided here, in the input's own order, so that it does not depend on
/// how inputs are merged.
final class InputBuffer {
  /// A record that is decoded and waits to be taken.
  struct Slot: BitwiseCopyable {
    /// Event time; Int64.min for a rejected record, which takes the time of whatever goes before.
    var time: Int64
    var offset: Int64
    /// Its event's index in the batch, or -1 - its rejection's index.
    var outcome: Int32
    var value: UnsafeRawBufferPointer
  }

  /// A refused record: why, and what is known of it.
  struct Refusal {
    var rejection: Rejection
    /// Absent where it could not be read.
    var account: Identifier
    /// Its own time, where that could be read and is believed.
    var time: EventTime?
    /// The log has kept only its beginning.
    var isTruncated: Bool
  }

  /// Behind a pointer: mutable properties of a class cost an exclusivity check at each use.
  struct Window: ~Copyable {
    var cursor = 0
    var end = 0
    /// Window's first record within the chunk.
    var start = 0
    /// Newest event time up to the end of the window.
    var newestDecoded = Int64.min
    /// Records whose partition was looked at since the start, up to `judgedRecords`, and how many
    /// of them stand elsewhere than they should.
    var keyed = 0
    var misplaced = 0
    var decoder = EventDecoder()
  }

  static let windowSize = 256
  static let chunkRecords = 256
  static let rejectedTime = Int64.min
  /// After so many records it shows whether a topic is keyed as its source says.
  static let judgedRecords = 1_000

  let index: Int
  let description: LogInput
  /// Index of the topology's source that events enter by; nil for every source.
  let source: Int?
  /// `{"topic":…,"partition":…,"offset":` as it stands in outputs.
  let sourcePrefix: UnsafeMutableBufferPointer<UInt8>
  let batch: EventBatch
  private let log: any InputLog
  private let limits: Topology.Time
  private let chunk = RecordChunk()
  private let slots: UnsafeMutablePointer<Slot>
  private let window: UnsafeMutablePointer<Window>
  private var rejections: [Refusal] = []
  /// When the chunk arrived, in monotonic ms.
  private(set) var arrivedAt: Int64 = 0
  /// The last fetch found the input's end.
  private(set) var isAtEnd = false
  /// Shown each window before its first record is taken.
  private let prefetch: (EventBatch) -> Void
  /// Shown each window after its last record was taken.
  private let taken: ((EventBatch, _ now: Int64) -> Void)?
  /// Since when it has given nothing although it is not at its end, in monotonic ms.
  private(set) var waitingSince: Int64?

  init(
    index: Int, log: any InputLog, topology: Topology,
    prefetch: @escaping (EventBatch) -> Void,
    taken: ((EventBatch, _ now: Int64) -> Void)? = nil
  ) {
    self.index = index
    self.log = log
    self.prefetch = prefetch
    self.taken = taken
    limits = topology.time
    let description = log.inputs[index]
    self.description = description
    source = topology.sources.firstIndex { $0.name == description.source }
    batch = EventBatch(capacity: InputBuffer.windowSize)
    slots = .allocate(capacity: InputBuffer.windowSize)
    window = .allocate(capacity: 1)
    window.initialize(to: Window())
    sourcePrefix = InputBuffer.prefix(of: description)
  }

  deinit {
    slots.deallocate()
    window.deinitialize(count: 1)
    window.deallocate()
    sourcePrefix.deallocate()
  }

  private static func prefix(of input: LogInput) -> UnsafeMutableBufferPointer<UInt8> {
    let prefix =
      input.isFile
      ? RecordSource.filePrefix(input.topic)
      : RecordSource.topicPrefix(input.topic, partition: input.partition)
    let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: prefix.count)
    _ = copy.initialize(from: prefix)
    return copy
  }

  /// Starts anew at an offset, with the newest event time that was taken before it.
  func seek(to offset: Int64, newest: Int64) throws(LogError) {
    try log.seek(index, to: offset)
    chunk.removeAll()
    window.pointee.cursor = 0
    window.pointee.start = 0
    window.pointee.end = 0
    window.pointee.newestDecoded = newest
    isAtEnd = false
  }

  /// Records of the window that are not taken yet.
  @inline(__always)
  var waiting: Int { window.pointee.end &- window.pointee.cursor }

  var hasHead: Bool { waiting > 0 }

  /// The record that stands next; only while `hasHead`.
  @inline(__always)
  var head: UnsafeMutablePointer<Slot> { slots + window.pointee.cursor }

  /// The record that stands next is the first of a fetch.
  var standsAtChunkStart: Bool { window.pointee.start == 0 && window.pointee.cursor == 0 }

  /// The event that stands next; nil when the record was rejected.
  @inline(__always)
  var event: UnsafeMutablePointer<Event>? {
    let outcome = head.pointee.outcome
    return outcome >= 0 ? batch[Int(outcome)] : nil
  }

  /// What is wrong with the record that stands next.
  var refusal: Refusal {
    let outcome = head.pointee.outcome
    precondition(outcome < 0, "only a rejected record has a rejection")
    return rejections[Int(-1 - outcome)]
  }

  /// Moves on to the next record.
  @inline(__always)
  func take() { window.pointee.cursor &+= 1 }

  /// Makes sure that a record stands next, if the log has one.
  @inline(__always)
  func fill(now: Int64) throws(LogError) -> FetchStatus {
    if waiting > 0 { return .records }
    return try refill(now: now)
  }

  @inline(never)
  private func refill(now: Int64) throws(LogError) -> FetchStatus {
    if let taken, window.pointee.end > 0 { taken(batch, now) }
    window.pointee.start += window.pointee.end
    if window.pointee.start >= chunk.records.count {
      window.pointee.start = 0
      window.pointee.end = 0
      window.pointee.cursor = 0
      // Not left to the log: records of the last chunk must never be taken again.
      chunk.removeAll()
      let status = try log.fetch(index, into: chunk, maxRecords: InputBuffer.chunkRecords)
      isAtEnd = status == .end
      waitingSince = status == .waiting ? waitingSince ?? now : nil
      guard status == .records else { return status }
      guard !chunk.records.isEmpty else { return .waiting }
      arrivedAt = now
    }
    decodeWindow()
    let (keyed, misplaced) = (window.pointee.keyed, window.pointee.misplaced)
    if keyed == InputBuffer.judgedRecords, misplaced * 2 > keyed, let keying = description.keying {
      throw keying.mistaken(description, misplaced, of: keyed)
    }
    prefetch(batch)
    return .records
  }

  private func decodeWindow() {
    let start = window.pointee.start
    let count = min(InputBuffer.windowSize, chunk.records.count - start)
    batch.removeAll()
    rejections.removeAll(keepingCapacity: true)
    chunk.records.withUnsafeBufferPointer { records in
      for i in 0..<count {
        let record = records[start &+ i]
        slots[i] = Slot(
          time: InputBuffer.rejectedTime, offset: record.offset, outcome: 0, value: record.value)
        decode(record, into: slots + i)
      }
    }
    window.pointee.cursor = 0
    window.pointee.end = count
  }

  @inline(__always)
  private func decode(_ record: LogRecord, into slot: UnsafeMutablePointer<Slot>) {
    if let rejection = window.pointee.decoder.decode(record.value, into: batch) {
      let refused = window.pointee.decoder.refused
      return reject(rejection, of: refused.account, at: refused.time, slot)
    }
    let index = batch.count &- 1
    let event = batch[index]
    let time = event.pointee.time.milliseconds
    if let refusal = refuse(event, record) {
      // A time that is too far ahead is not believed; that of a misplaced record is.
      let believed = refusal.reason == .wrongPartition ? event.pointee.time : nil
      return reject(refusal, of: event.pointee.account, at: believed, slot)
    }
    if time > window.pointee.newestDecoded { window.pointee.newestDecoded = time }
    slot.pointee.time = time
    slot.pointee.outcome = Int32(truncatingIfNeeded: index)
  }

  @inline(never)
  private func reject(
    _ rejection: Rejection, of account: Identifier, at time: EventTime?,
    _ slot: UnsafeMutablePointer<Slot>
  ) {
    slot.pointee.outcome = -1 - Int32(rejections.count)
    var refusal = Refusal(rejection: rejection, account: account, time: time, isTruncated: false)
    if let truncated = chunk.truncated.first(where: { $0.offset == slot.pointee.offset }) {
      refusal.isTruncated = true
      refusal.rejection.detail += " (the whole record has \(truncated.length) bytes)"
    }
    rejections.append(refusal)
  }

  /// One bad date must not move time, and what everyone learned comes only from who is trusted.
  @inline(__always)
  private func refuse(_ event: UnsafeMutablePointer<Event>, _ record: LogRecord) -> Rejection? {
    let time = event.pointee.time.milliseconds
    let newest = window.pointee.newestDecoded
    if record.appendTime != LogRecord.noAppendTime {
      if time &- limits.maxAhead.milliseconds > record.appendTime {
        return tooFarAhead(
          time, of: "its record was appended", at: record.appendTime, limits.maxAhead)
      }
    } else if newest != Int64.min, time &- limits.maxGap.milliseconds > newest {
      return tooFarAhead(time, of: "the newest event before it", at: newest, limits.maxGap)
    }
    let type = event.pointee.type
    if type == .prior, !description.trusted { return untrustedPrior() }
    // What is everybody's stands in every partition.
    let isForAll = type == .heartbeat || (type == .prior && event.pointee.account.isAbsent)
    guard let keying = description.keying, !isForAll else { return nil }
    return misplaced(event.pointee.account, record.key, keying)
  }

  /// An account that is in two partitions would be counted in each of them. A function of the
  /// record and its input alone.
  @inline(__always)
  private func misplaced(
    _ account: Identifier, _ key: UnsafeRawBufferPointer, _ keying: Keying
  ) -> Rejection? {
    // An account has at least one byte, so neither address is nil.
    let isRight =
      key.count == account.bytes.count
      && memcmp(key.baseAddress!, account.bytes.baseAddress!, key.count) == 0
      && keying.partition(of: key) == Int(description.partition)
    if window.pointee.keyed < InputBuffer.judgedRecords {
      window.pointee.keyed &+= 1
      if !isRight { window.pointee.misplaced &+= 1 }
    }
    return isRight ? nil : keying.rejection(of: key, in: description)
  }

  @inline(never)
  private func untrustedPrior() -> Rejection {
    Rejection(
      reason: .invalidField, field: "type",
      detail: "prior events are accepted only from a source marked `trusted: true`; "
        + "source \(description.source) is not",
      byteOffset: 0)
  }

  @inline(never)
  private func tooFarAhead(_ time: Int64, of what: String, at base: Int64, _ limit: TimeSpan)
    -> Rejection
  {
    Rejection(
      reason: .outOfRange, field: "time",
      detail: "the event's time \(time) is more than \(limit.milliseconds) ms after "
        + "\(what) (\(base))",
      byteOffset: 0)
  }
}
