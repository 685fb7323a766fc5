public import Events

/// A record that flows through a stream: plain bytes, copied by value, with a JSON form.
public protocol StreamRecord: BitwiseCopyable {
  static var stream: StreamType { get }

  /// Writes the sink record's key (unframed), then its value; returns the key's length in bytes.
  func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int

  /// Appends all records of an entry to a sink's output. By default each is encoded alone; a type
  /// whose records have much in common may write that once.
  static func encode(
    _ records: Stream<Self>, to output: borrowing SinkOutput, _ context: borrowing EncodingContext)
}

extension StreamRecord {
  public static func encode(
    _ records: Stream<Self>, to output: borrowing SinkOutput, _ context: borrowing EncodingContext
  ) {
    for i in 0..<records.count {
      let record = records[i]
      output.append { record.encode(to: &$0, context) }
    }
  }
}

/// Where a sink's records go.
public struct SinkOutput: ~Copyable {
  let outputs: OutputBuffer
  let sink: Int32
  let time: EventTime

  /// Appends a record whose key and value `write` writes; it returns the key's length in bytes.
  @inline(__always)
  public func append(_ write: (inout JSONWriter) -> Int) {
    outputs.append(sink: sink, time: time, write)
  }
}

/// What an encoder may look at beside its record.
public struct EncodingContext: ~Copyable {
  public let directory: Directory
  /// What caused the record: an event's place in the log, or the clock.
  public let source: RecordSource
  /// Event time of the event that caused the record, or of the clock entry.
  public let time: EventTime
}

/// The records that one operator has given for the entry that is being walked.
///
/// A `Stream` is a handle: the operator that writes and those that read hold the same one. It is
/// emptied before each entry and belongs to the partition's graph.
@frozen
public struct Stream<Record: BitwiseCopyable> {
  @usableFromInline
  struct Header {
    @usableFromInline var records: UnsafeMutablePointer<Record>
    @usableFromInline var count: Int
    @usableFromInline var capacity: Int
    /// Records since the beginning; for summaries and metrics.
    @usableFromInline var total: Int
    /// Rows that records of the window in sight will probably be about.
    @usableFromInline var expected = UnsafeBufferPointer<Int32>(start: nil, count: 0)

    @usableFromInline
    init(records: UnsafeMutablePointer<Record>, count: Int, capacity: Int, total: Int) {
      self.records = records
      self.count = count
      self.capacity = capacity
      self.total = total
    }
  }

  @usableFromInline let header: UnsafeMutablePointer<Header>

  package init() {
    header = .allocate(capacity: 1)
    header.initialize(
      to: Header(records: .allocate(capacity: 16), count: 0, capacity: 16, total: 0))
  }

  package func deallocate() {
    header.pointee.records.deallocate()
    header.deallocate()
  }

  /// Records of this entry.
  @inlinable
  public var count: Int { header.pointee.count }

  @inlinable
  public var isEmpty: Bool { header.pointee.count == 0 }

  @inlinable
  public subscript(index: Int) -> Record {
    @inline(__always) get {
      precondition(index < header.pointee.count, "a stream has no record of this number")
      return header.pointee.records[index]
    }
  }

  /// Where a record stands, for reading a few of its fields without copying the rest; valid until
  /// the next `append`. O(1).
  @inlinable @inline(__always)
  public func address(_ index: Int) -> UnsafePointer<Record> {
    precondition(index < header.pointee.count, "a stream has no record of this number")
    return UnsafePointer(header.pointee.records + index)
  }

  /// Gives a record to whoever reads this stream. Amortised O(1).
  @inlinable @inline(__always)
  public func append(_ record: Record) {
    if header.pointee.count == header.pointee.capacity { grow() }
    (header.pointee.records + header.pointee.count).initialize(to: record)
    header.pointee.count &+= 1
  }

  /// Rows (of whatever the records are about) that the events of a window will probably need: a hint
  /// from one operator's `prefetch` to those behind it, which results must not depend on. -1 where
  /// nothing is expected of an event; empty where nobody gives hints.
  @inlinable
  public var expected: UnsafeBufferPointer<Int32> { header.pointee.expected }

  /// Says what to expect; the rows must stay where they are until the next window.
  @inlinable
  public func expect(_ rows: UnsafeBufferPointer<Int32>) { header.pointee.expected = rows }

  @usableFromInline @inline(never)
  func grow() {
    let larger = UnsafeMutablePointer<Record>.allocate(capacity: header.pointee.capacity * 2)
    larger.initialize(from: header.pointee.records, count: header.pointee.count)
    header.pointee.records.deallocate()
    header.pointee.records = larger
    header.pointee.capacity *= 2
  }

  @inlinable @inline(__always)
  package func removeAll() {
    header.pointee.total &+= header.pointee.count
    header.pointee.count = 0
  }
}

/// An event of the current entry: a reference into the batch, valid while the entry is walked.
@frozen
public struct EventReference: BitwiseCopyable, @unchecked Sendable {
  public let pointer: UnsafePointer<Event>

  @inlinable
  public init(_ pointer: UnsafePointer<Event>) { self.pointer = pointer }
}

/// The events that feed an operator, whichever of several streams they come through.
///
/// An entry is at most one event, so there is at most one to read.
public struct EventInput {
  private let first: Stream<EventReference>
  private let others: UnsafeMutableBufferPointer<Stream<EventReference>>

  init(_ streams: [Stream<EventReference>]) {
    guard let first = streams.first else {
      preconditionFailure("an operator without a required input of events reads events")
    }
    self.first = first
    others = .allocate(capacity: streams.count - 1)
    _ = others.initialize(from: streams.dropFirst())
  }

  /// Frees the handle's own memory; call it from the operator's `deallocate`.
  public func deallocate() { others.deallocate() }

  /// The event of this entry; nil when none came this way.
  @inline(__always)
  public var current: EventReference? {
    if !first.isEmpty { return first[0] }
    for stream in others where !stream.isEmpty { return stream[0] }
    return nil
  }
}
