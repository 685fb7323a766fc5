import Events

/// The records of one input that are fetched and decoded but not yet taken.
///
/// Fetches a chunk, decodes it in windows small enough to stay in the cache, and shows one record
/// at a time: an event, or a rejection. What a record is worth (too far ahead in time, from an
/// untrusted source) is decided here, in the input's own order, so that it does not depend on
/// how inputs are merged.
final class InputBuffer {
  /// The record that stands next.
  struct Head {
    /// Event time; nil for a rejected record, which takes the time of whatever goes before it.
    var time: Int64?
    var offset: Int64
    var nextOffset: Int64
  }

  static let windowSize = 256
  static let chunkRecords = 4096

  let index: Int
  let description: LogInput
  /// Index of the topology's source that events enter by; nil for every source.
  let source: Int?
  /// `{"topic":…,"partition":…,"offset":` as it stands in outputs.
  let sourcePrefix: UnsafeMutableBufferPointer<UInt8>
  private let log: any PartitionLog
  private let limits: Topology.Time
  private let chunk = RecordChunk()
  let batch: EventBatch
  private var decoder = EventDecoder()
  /// Per record of the window: its event's index, or -1 - its rejection's index.
  private let outcomes: UnsafeMutablePointer<Int32>
  private var rejections: [(rejection: Rejection, account: Identifier)] = []
  /// Window within the chunk, and the record that stands next.
  private var windowStart = 0
  private var windowEnd = 0
  private var cursor = 0
  /// Newest event time up to the end of the window.
  private var newestDecoded: Int64
  /// When the chunk arrived, in monotonic ms.
  private(set) var arrivedAt: Int64 = 0
  /// The last fetch found the input's end.
  private(set) var isAtEnd = false
  /// Fields that no event type of their record knows, so far.
  private(set) var unknownFields: Int64 = 0

  init(index: Int, log: any PartitionLog, topology: Topology) {
    self.index = index
    self.log = log
    limits = topology.time
    let description = log.inputs[index]
    self.description = description
    source = topology.sources.firstIndex { $0.name == description.source }
    batch = EventBatch(capacity: InputBuffer.windowSize)
    outcomes = .allocate(capacity: InputBuffer.windowSize)
    newestDecoded = Int64.min
    sourcePrefix = InputBuffer.prefix(of: description)
  }

  deinit {
    outcomes.deallocate()
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
    windowStart = 0
    windowEnd = 0
    cursor = 0
    newestDecoded = newest
    isAtEnd = false
  }

  var hasHead: Bool { cursor < windowEnd }

  /// Makes sure that a record stands next, if the log has one.
  @inline(__always)
  func fill(now: Int64) throws(LogError) -> FetchStatus {
    if cursor < windowEnd { return .records }
    return try refill(now: now)
  }

  @inline(never)
  private func refill(now: Int64) throws(LogError) -> FetchStatus {
    if windowEnd == chunk.records.count {
      windowStart = 0
      windowEnd = 0
      cursor = 0
      let status = try log.fetch(index, into: chunk, maxRecords: InputBuffer.chunkRecords)
      isAtEnd = status == .end
      guard status == .records, !chunk.records.isEmpty else { return status }
      arrivedAt = now
    }
    decodeWindow()
    return .records
  }

  private func decodeWindow() {
    windowStart = windowEnd
    windowEnd = min(windowStart + InputBuffer.windowSize, chunk.records.count)
    cursor = windowStart
    batch.removeAll()
    rejections.removeAll(keepingCapacity: true)
    for i in windowStart..<windowEnd { decode(i) }
  }

  private func decode(_ i: Int) {
    let record = chunk.records[i]
    let rejection = decoder.decode(record.value, into: batch)
    if rejection == nil {
      let event = batch[batch.count - 1]
      if let refusal = refuse(event, record) {
        reject(refusal, of: event.pointee.account, at: i)
      } else {
        if event.pointee.time.milliseconds > newestDecoded {
          newestDecoded = event.pointee.time.milliseconds
        }
        outcomes[i - windowStart] = Int32(truncatingIfNeeded: batch.count - 1)
      }
    } else if let rejection {
      reject(rejection, of: .absent, at: i)
    }
  }

  private func reject(_ rejection: Rejection, of account: Identifier, at i: Int) {
    outcomes[i - windowStart] = -1 - Int32(rejections.count)
    rejections.append((rejection, account))
  }

  /// One bad date must not move time, and what everyone learned comes only from who is trusted.
  @inline(__always)
  private func refuse(_ event: UnsafeMutablePointer<Event>, _ record: LogRecord) -> Rejection? {
    let time = event.pointee.time.milliseconds
    if record.appendTime != LogRecord.noAppendTime {
      if time &- limits.maxAhead.milliseconds > record.appendTime {
        return tooFarAhead(time, of: "its record was appended", at: record.appendTime, limits.maxAhead)
      }
    } else if newestDecoded != Int64.min, time &- limits.maxGap.milliseconds > newestDecoded {
      return tooFarAhead(time, of: "the newest event before it", at: newestDecoded, limits.maxGap)
    }
    if event.pointee.type == .prior, !description.trusted {
      return Rejection(
        reason: .invalidField, field: "type",
        detail: "prior events are accepted only from a source marked `trusted: true`; "
          + "source \(description.source) is not",
        byteOffset: 0)
    }
    return nil
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

  /// The record that stands next; only after `fill` gave `.records`.
  var head: Head {
    let outcome = outcomes[cursor - windowStart]
    return Head(
      time: outcome >= 0 ? batch[Int(outcome)].pointee.time.milliseconds : nil,
      offset: chunk.records[cursor].offset,
      nextOffset: nextOffset)
  }

  /// Offset after the record that stands next. A chunk's last record may be followed by a gap.
  private var nextOffset: Int64 {
    cursor + 1 < chunk.records.count ? chunk.records[cursor].offset + 1 : chunk.nextOffset
  }

  /// The event that stands next; nil when the record was rejected.
  @inline(__always)
  var event: UnsafeMutablePointer<Event>? {
    let outcome = outcomes[cursor &- windowStart]
    return outcome >= 0 ? batch[Int(outcome)] : nil
  }

  /// Why the record that stands next was rejected, and its account where that could be read.
  var rejection: (rejection: Rejection, account: Identifier) {
    let outcome = outcomes[cursor - windowStart]
    precondition(outcome < 0, "only a rejected record has a rejection")
    return rejections[Int(-1 - outcome)]
  }

  var record: LogRecord { chunk.records[cursor] }

  /// The record that stands next is the first of a fetch.
  var standsAtChunkStart: Bool { cursor == 0 }

  /// Moves on to the next record.
  @inline(__always)
  func take() { cursor &+= 1 }
}
