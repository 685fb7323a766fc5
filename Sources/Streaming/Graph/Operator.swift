public import Events

// The graph: operators, the typed streams between them, and the walk of one entry through them.

/// One step of a topology: state, and what an entry does to it.
///
/// An operator is a struct. It gets its settings, streams and tables in `init`, keeps everything
/// that must survive a crash in tables of the store, and never looks at anything else: no clock,
/// no randomness, no other operator's state. Rows of one account must not influence another's.
///
/// Per entry of the sequence the graph calls each operator once, after all its upstreams:
/// `timers` if some of its own came due (clock entries only), then `process` if any of its inputs
/// has records.
public protocol Operator: SendableMetatype {
  /// What topology files may say about it.
  static var description: OperatorDescription { get }

  /// - Throws: `SettingProblem` when settings do not fit each other.
  init(_ setup: OperatorSetup) throws(SettingProblem)

  /// Reads its input streams, updates its state, appends to its output streams.
  mutating func process(_ entry: borrowing Entry)

  /// Some of its timers came due, in order of time and age.
  mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry)

  /// Time has come to its end (a replay only): publish what is still held back. Called once, in
  /// topological order.
  mutating func finish(_ entry: borrowing Entry)

  /// Its state was made anew from the log's beginning (`--rebuild`): readers hold records of another
  /// one. Sees to it that what it publishes of the present is published again at the next clock
  /// entries (`timers`); must not append to its outputs. Called between two entries.
  mutating func rebuilt(_ entry: borrowing Entry)

  /// A window of the partition's events, before the first of them is processed: touch the rows
  /// that they will need, so that memory is fetched side by side instead of one row after the
  /// other. Must not change state.
  func prefetch(_ batch: EventBatch)

  /// Answers between two entries: writes members of an object that is open. Must not change state,
  /// and not take long: the partition waits. `entry` has the time and no event.
  ///
  /// - Returns: false where it has nothing to say and wrote nothing.
  func query(_ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter) -> Bool

  /// Adds the canonical form of its state: per account, independent of row numbers, arrival order
  /// of accounts, table layout and partition.
  func digest(into digest: inout StateDigest)

  /// Frees what it allocated beside tables.
  func deallocate()
}

extension Operator {
  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {}
  public mutating func finish(_ entry: borrowing Entry) {}
  public mutating func rebuilt(_ entry: borrowing Entry) {}
  public func prefetch(_ batch: EventBatch) {}
  public func query(
    _ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter
  ) -> Bool { false }
  public func deallocate() {}
}

/// What an operator may know about the entry that is being walked.
public struct Entry: ~Copyable {
  /// The last clock entry: time as this partition knows it.
  public let clock: EventTime
  /// Events before it are late: clock − `out_of_orderness`.
  public let watermark: EventTime
  /// True for a clock entry (timers, ticks), false for an event.
  public let isClock: Bool
  /// Where the event stands that is being walked; nil for a clock entry.
  let batch: Unmanaged<EventBatch>?

  /// The rare fields of the entry's event (a campaign's budget, a control's order); nil where its
  /// type or its record has none.
  public func details(of event: UnsafePointer<Event>) -> EventDetails? {
    guard event.pointee.detail >= 0, let batch else { return nil }
    return batch._withUnsafeGuaranteedRef { $0.details(of: event.pointee) }
  }

  /// The features that the entry's event brought, in the order of its record. Valid while the entry
  /// is walked.
  @inline(__always)
  public func features(of event: UnsafePointer<Event>) -> UnsafeBufferPointer<Feature> {
    guard event.pointee.featuresCount > 0, let batch else {
      return UnsafeBufferPointer(start: nil, count: 0)
    }
    return batch._withUnsafeGuaranteedRef { $0.features(of: event.pointee) }
  }
}

/// What an operator is made from.
public struct OperatorSetup {
  /// Its name in the topology.
  public let name: String
  public let settings: Settings
  public let time: Topology.Time
  /// The topology's seed.
  public let seed: UInt64
  public let store: StateStore
  public let directory: Directory
  public let timers: Timers
  package let ports: GraphPorts

  /// The streams of this record type that feed it, in `from` order; empty when an optional input
  /// is left out.
  public func inputs<Record: StreamRecord>(_ type: Record.Type) -> [Stream<Record>] {
    ports.inputs(type)
  }

  /// The only stream of a required, single input.
  public func input<Record: StreamRecord>(_ type: Record.Type) -> Stream<Record> {
    let streams = ports.inputs(type)
    precondition(streams.count == 1, "\(name) expects one input of \(Record.stream)")
    return streams[0]
  }

  /// The events that feed it, from however many sources and operators.
  public func events() -> EventInput { EventInput(ports.events()) }

  /// The same where events are an optional input; nil when it is left out.
  public func optionalEvents() -> EventInput? {
    let streams = ports.events()
    return streams.isEmpty ? nil : EventInput(streams)
  }

  /// Its output stream of a record type.
  public func output<Record: StreamRecord>(_ type: Record.Type) -> Stream<Record> {
    ports.output(type)
  }

  /// Its output stream of events.
  public func eventOutput() -> Stream<EventReference> { ports.eventOutput() }

  /// A count that is kept in snapshots and shown in summaries and metrics.
  public func counter(_ name: String) -> Counter {
    let table = store.table("counter.\(name)", of: Int64.self, capacity: 1)
    store.counterTables.append(("\(self.name).\(name)", table))
    return Counter(table: table)
  }
}

/// A count that survives restarts. Overflow is out of reach (2⁶³).
public struct Counter {
  let table: Table<Int64>

  init(table: Table<Int64>) {
    self.table = table
    if table.count == 0 { table.append(0) }
  }

  public var value: Int64 { table[0] }

  @inline(__always)
  public func add(_ n: Int64 = 1) { table.update(0).pointee &+= n }
}

/// Asks for a call at a later clock entry.
public struct Timers {
  package let wheel: TimingWheel
  package let owner: Int32

  /// Calls the operator back at the first clock entry at or after `time`, and after the current
  /// entry. `key` is handed back. O(1).
  public func add(at time: EventTime, key: Int64 = 0) {
    wheel.add(due: time.milliseconds, key: key, owner: owner)
  }
}

/// An order-free sum over accounts of their canonical state.
///
/// Each fact is hashed together with where it belongs and the hashes are added, so neither the
/// order of accounts nor the number of partitions matters.
public struct StateDigest: Equatable, Sendable, CustomStringConvertible {
  public private(set) var low: UInt64 = 0
  public private(set) var high: UInt64 = 0
  /// Of the operator whose facts are being added; no part of the sum.
  package var section: UInt64 = 0

  public init() {}

  public static func == (a: StateDigest, b: StateDigest) -> Bool {
    a.low == b.low && a.high == b.high
  }

  /// Adds one fact: `owner` says whose (a path hash of account, campaign, ad), `words` what.
  public mutating func add(owner: UInt64, _ words: Int64...) {
    var hash = StateDigest.step(section, owner)
    for word in words { hash = StateDigest.step(hash, UInt64(bitPattern: word)) }
    add(hash)
  }

  /// The same for two, four and five words, without an array: of some facts there are millions.
  public mutating func add(owner: UInt64, _ a: Int64, _ b: Int64) {
    var hash = StateDigest.step(section, owner)
    hash = StateDigest.step(hash, UInt64(bitPattern: a))
    add(StateDigest.step(hash, UInt64(bitPattern: b)))
  }

  public mutating func add(owner: UInt64, _ a: Int64, _ b: Int64, _ c: Int64, _ d: Int64) {
    var hash = StateDigest.step(section, owner)
    hash = StateDigest.step(hash, UInt64(bitPattern: a))
    hash = StateDigest.step(hash, UInt64(bitPattern: b))
    hash = StateDigest.step(hash, UInt64(bitPattern: c))
    add(StateDigest.step(hash, UInt64(bitPattern: d)))
  }

  public mutating func add(
    owner: UInt64, _ a: Int64, _ b: Int64, _ c: Int64, _ d: Int64, _ e: Int64
  ) {
    var hash = StateDigest.step(section, owner)
    hash = StateDigest.step(hash, UInt64(bitPattern: a))
    hash = StateDigest.step(hash, UInt64(bitPattern: b))
    hash = StateDigest.step(hash, UInt64(bitPattern: c))
    hash = StateDigest.step(hash, UInt64(bitPattern: d))
    add(StateDigest.step(hash, UInt64(bitPattern: e)))
  }

  private mutating func add(_ hash: UInt64) {
    low &+= hash
    high &+= StateDigest.step(hash, 0xD6E8_FEB8_6659_FD93)
  }

  /// Adds another partition's digest.
  public mutating func add(_ other: StateDigest) {
    low &+= other.low
    high &+= other.high
  }

  /// SplitMix64's finaliser over a running state; any good mixer does.
  @inline(__always)
  static func step(_ state: UInt64, _ word: UInt64) -> UInt64 {
    var z = (state &+ 0x9E37_79B9_7F4A_7C15) ^ word
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// 32 hexadecimal digits.
  public var description: String { StateDigest.hex(high) + StateDigest.hex(low) }

  private static func hex(_ word: UInt64) -> String {
    let digits = String(word, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
