// The engine: how a partition's sources become one sequence, how the sequence is walked, and how
// what comes out is committed. Everything that decides results is here and synchronous
// (`Sequencer`, `PartitionCore`); threads, clocks and commits stand around it (`PartitionRunner`,
// `Worker`). What lives here knows logs and operators only by their protocols.

/// One step of a partition's sequence, as the journal keeps it.
package enum JournalEntry: Equatable, Sendable {
  /// The records of an input up to (not including) `nextOffset` were taken.
  case run(input: Int, nextOffset: Int64)
  /// Time moved to this tick (a multiple of the topology's `tick`), passing all before it.
  case clock(tick: Int64)
  /// From here on another topology, seed or build processed the sequence.
  case epoch(Epoch)
}

/// What state depends on beside the log: when it changes, law 1 begins anew.
public struct Epoch: Equatable, Sendable {
  /// Rises by one with each change, from 1.
  public var number: Int64
  /// `CheckedTopology.hash`: operators, their versions, settings, seed, time settings.
  public var topologyHash: UInt64
  /// The snapshot that state was loaded from when this epoch began; 0 when it began empty.
  public var snapshot: Int64
  /// State was made anew from the log's beginning up to commit `snapshot`, under this topology.
  public var isRebuild = false
  /// Milliseconds between clock entries: what ticks of the journal and of snapshots count.
  public var tickMilliseconds: Int64
  /// The canonical text behind the hash, for people and audits.
  public var topology: String

  public init(
    number: Int64, topologyHash: UInt64, snapshot: Int64, tickMilliseconds: Int64, topology: String
  ) {
    self.number = number
    self.topologyHash = topologyHash
    self.snapshot = snapshot
    self.tickMilliseconds = tickMilliseconds
    self.topology = topology
  }

  /// The snapshot, or below 0 its complement where state was rebuilt: as journals and snapshots
  /// have it.
  var origin: Int64 { isRebuild ? ~snapshot : snapshot }

  init(
    number: Int64, topologyHash: UInt64, origin: Int64, tickMilliseconds: Int64, topology: String
  ) {
    self.init(
      number: number, topologyHash: topologyHash, snapshot: origin < 0 ? ~origin : origin,
      tickMilliseconds: tickMilliseconds, topology: topology)
    isRebuild = origin < 0
  }
}

/// Writes the journal of one transaction.
///
/// Format (version 1): a version byte, then the state at its beginning — tick, number of inputs,
/// next offset of each — so that every transaction can be read alone; then entries, each a tag
/// byte and variable-length integers, deltas against what went before.
package struct JournalWriter {
  package static let version: UInt8 = 1
  static let runTag: UInt8 = 1
  static let clockTag: UInt8 = 2
  static let epochTag: UInt8 = 3

  package private(set) var bytes: [UInt8] = []
  private var offsets: [Int64] = []
  private var tick: Int64 = 0
  private var openInput = -1
  private var openNextOffset: Int64 = 0

  package init() {}

  /// Begins a transaction's journal. `tick` is -1 before the first clock entry.
  package mutating func begin(tick: Int64, nextOffsets: [Int64]) {
    bytes.removeAll(keepingCapacity: true)
    bytes.append(JournalWriter.version)
    self.tick = tick
    offsets = nextOffsets
    openInput = -1
    Varint.append(signed: tick, to: &bytes)
    Varint.append(UInt64(nextOffsets.count), to: &bytes)
    for offset in nextOffsets { Varint.append(signed: offset, to: &bytes) }
  }

  /// Notes that a record of `input` was taken.
  @inline(__always)
  package mutating func took(input: Int, nextOffset: Int64) {
    if input != openInput {
      closeRun()
      openInput = input
    }
    openNextOffset = nextOffset
  }

  private mutating func closeRun() {
    guard openInput >= 0 else { return }
    bytes.append(JournalWriter.runTag)
    Varint.append(UInt64(openInput), to: &bytes)
    Varint.append(signed: openNextOffset &- offsets[openInput], to: &bytes)
    offsets[openInput] = openNextOffset
    openInput = -1
  }

  package mutating func clock(tick newTick: Int64) {
    closeRun()
    bytes.append(JournalWriter.clockTag)
    Varint.append(signed: newTick &- tick, to: &bytes)
    tick = newTick
  }

  package mutating func epoch(_ epoch: Epoch) {
    closeRun()
    bytes.append(JournalWriter.epochTag)
    Varint.append(signed: epoch.number, to: &bytes)
    Varint.append(epoch.topologyHash, to: &bytes)
    Varint.append(signed: epoch.origin, to: &bytes)
    Varint.append(signed: epoch.tickMilliseconds, to: &bytes)
    let text = Array(epoch.topology.utf8)
    Varint.append(UInt64(text.count), to: &bytes)
    bytes.append(contentsOf: text)
  }

  /// Ends the transaction's journal; `bytes` is complete.
  package mutating func finish() { closeRun() }
}

/// Reads the journal of one transaction.
package struct JournalReader {
  package struct Damage: Error, CustomStringConvertible {
    package var description: String
  }

  private let bytes: [UInt8]
  private var position = 0
  private var tick: Int64
  package private(set) var offsets: [Int64]
  /// Time when the transaction began; -1 before the first clock entry.
  package let startTick: Int64

  package init(_ raw: UnsafeRawBufferPointer) throws(Damage) {
    bytes = Array(raw)
    guard let version = bytes.first else { throw Damage(description: "an empty journal record") }
    guard version == JournalWriter.version else {
      throw Damage(
        description: "journal version \(version); this build reads \(JournalWriter.version)")
    }
    position = 1
    guard let startTick = Varint.readSigned(bytes, &position),
      let count = Varint.read(bytes, &position), count <= UInt64(bytes.count)
    else { throw Damage(description: "a journal record that ends in its header") }
    self.startTick = startTick
    tick = startTick
    offsets = []
    for _ in 0..<count {
      guard let offset = Varint.readSigned(bytes, &position) else {
        throw Damage(description: "a journal record that ends in its header")
      }
      offsets.append(offset)
    }
  }

  /// The next entry; nil at the end.
  package mutating func next() throws(Damage) -> JournalEntry? {
    guard position < bytes.count else { return nil }
    let tag = bytes[position]
    position += 1
    switch tag {
    case JournalWriter.runTag:
      guard let input = Varint.read(bytes, &position), input < UInt64(offsets.count),
        let delta = Varint.readSigned(bytes, &position)
      else { throw Damage(description: "a damaged run in the journal") }
      let next = offsets[Int(input)].addingReportingOverflow(delta)
      guard !next.overflow, delta > 0 else {
        throw Damage(description: "a run in the journal that goes backwards")
      }
      offsets[Int(input)] = next.partialValue
      return .run(input: Int(input), nextOffset: next.partialValue)
    case JournalWriter.clockTag:
      guard let delta = Varint.readSigned(bytes, &position), delta > 0 else {
        throw Damage(description: "a clock entry in the journal that goes backwards")
      }
      let next = tick.addingReportingOverflow(delta)
      guard !next.overflow else { throw Damage(description: "a clock entry beyond all time") }
      tick = next.partialValue
      return .clock(tick: tick)
    case JournalWriter.epochTag:
      return .epoch(try readEpoch())
    default:
      throw Damage(description: "unknown journal entry \(tag)")
    }
  }

  private mutating func readEpoch() throws(Damage) -> Epoch {
    guard let number = Varint.readSigned(bytes, &position),
      let hash = Varint.read(bytes, &position),
      let snapshot = Varint.readSigned(bytes, &position),
      let tick = Varint.readSigned(bytes, &position),
      let length = Varint.read(bytes, &position), length <= UInt64(bytes.count - position)
    else { throw Damage(description: "a damaged epoch in the journal") }
    let text = String(decoding: bytes[position..<(position + Int(length))], as: UTF8.self)
    position += Int(length)
    return Epoch(
      number: number, topologyHash: hash, origin: snapshot, tickMilliseconds: tick,
      topology: text)
  }
}

/// Little-endian base-128 integers; signed ones in zigzag form.
package enum Varint {
  package static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  package static func append(signed value: Int64, to bytes: inout [UInt8]) {
    append(UInt64(bitPattern: (value << 1) ^ (value >> 63)), to: &bytes)
  }

  package static func read(_ bytes: [UInt8], _ position: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      guard shift < 63 || byte <= 1 else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }

  package static func readSigned(_ bytes: [UInt8], _ position: inout Int) -> Int64? {
    guard let raw = read(bytes, &position) else { return nil }
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }
}
