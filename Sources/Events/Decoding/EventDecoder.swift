/// Decodes records into events: validates everything, copies nothing but escaped text, and never
/// reads a byte outside of the record.
///
/// It remembers the order of fields of the records before to go faster; what it returns for a
/// record depends on that record alone. Not thread-safe: a partition owns it.
public struct EventDecoder: ~Copyable {
  /// Fields in accepted records that their type does not know, so far.
  public private(set) var unknownFieldsCount: Int64 = 0

  /// What can still be read of the record that was refused last: whose it was and when, so that
  /// its dead letter finds its place. Valid as long as the batch.
  public struct Refused: Sendable {
    /// Absent where the record does not name a valid one.
    public var account = Identifier.absent
    /// nil where the record has no valid one.
    public var time: EventTime?
  }

  public internal(set) var refused = Refused()

  let plans = FieldPlans()
  let defaults: Defaults
  let predictions: Predictions
  var members: ContiguousArray<JSONMember> = []
  var innerMembers: ContiguousArray<JSONMember> = []
  /// Unescaped text that is needed no longer than its record is looked at.
  var scratch = TextArena()
  private var routed: EventBatch?

  public init() {
    defaults = Defaults()
    predictions = Predictions(defaults: defaults)
  }

  /// Decodes one record.
  ///
  /// - Parameters:
  ///   - record: one JSON object. Its bytes must stay where they are as long as `batch` holds the
  ///     event.
  ///   - batch: gets one event more if the record is accepted and is as before if it is not. Must
  ///     not be full.
  /// - Returns: nil if the event is in the batch; otherwise what is wrong with the record.
  public mutating func decode(
    _ record: UnsafeRawBufferPointer, into batch: EventBatch
  ) -> Rejection? {
    precondition(!batch.isFull, "a full batch takes no event")
    guard let start = record.baseAddress, record.count > 0 else {
      refused = Refused()
      return .emptyRecord
    }
    if record.count > Limits.recordBytes {
      refused = Refused()
      return .tooLarge(record.count)
    }
    let base = start.assumingMemoryBound(to: UInt8.self)
    let unknownFields = decodeFast(base, count: record.count, into: batch)
    if unknownFields >= 0 {
      unknownFieldsCount &+= Int64(truncatingIfNeeded: unknownFields)
      return nil
    }
    return decodeSlowly(base, count: record.count, into: batch)
  }

  @inline(never)
  private mutating func decodeSlowly(
    _ base: UnsafePointer<UInt8>, count: Int, into batch: EventBatch
  ) -> Rejection? {
    refused = Refused()
    do throws(Rejection) {
      let unknownFields = try decodeThoroughly(base, count: count, into: batch)
      unknownFieldsCount &+= Int64(truncatingIfNeeded: unknownFields)
      return nil
    } catch {
      return error
    }
  }

  /// What decides where a record goes.
  public struct Routing: Sendable {
    public var type: EventType
    public var time: EventTime
    /// Absent for heartbeats and priors that name none. Valid until the next call and as long as
    /// the record's bytes are.
    public var account: Identifier
  }

  /// Finds a record's type, time and account exactly as `decode` does, at the same cost; nil where
  /// `decode` refuses the record. Counts no unknown fields.
  public mutating func routing(of record: UnsafeRawBufferPointer) -> Routing? {
    let batch = routed ?? EventBatch(capacity: 1)
    routed = batch
    batch.removeAll()
    let counted = unknownFieldsCount
    defer { unknownFieldsCount = counted }
    guard decode(record, into: batch) == nil else { return nil }
    let event = batch[0]
    return Routing(
      type: event.pointee.type, time: event.pointee.time, account: event.pointee.account)
  }
}

/// The values of fields that a record left out, where the contract gives them text.
struct Defaults {
  /// A conversion's action.
  let conversion = Defaults.identifier("conversion")
  /// A deal stage's pipeline.
  let pipeline = Defaults.identifier("default")

  private static func identifier(_ literal: StaticString) -> Identifier {
    // A literal's bytes are never freed, so they may be pointed to for good.
    JSONString.identifier(
      UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }
}
