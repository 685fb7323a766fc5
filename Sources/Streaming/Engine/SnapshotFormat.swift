import Events

/// What a snapshot says about itself, before its pages.
public struct SnapshotHeader: Equatable, Sendable {
  public struct Input: Equatable, Sendable {
    public var topic: String
    public var partition: Int32
    public var nextOffset: Int64
  }

  public struct Operator: Equatable, Sendable {
    public var name: String
    public var kind: String
    public var version: Int
  }

  /// A region's rows: `section` is the operator (or `engine`), pages follow with its index.
  public struct Region: Equatable, Sendable {
    public var section: String
    public var name: String
    public var version: Int
    public var stride: Int
    public var rows: Int
  }

  public var topology: String
  public var partition: Int
  public var partitionCount: Int
  /// The journal number that the state reflects.
  public var number: Int64
  public var epoch: Epoch
  /// Last clock entry; -1 before the first.
  public var tick: Int64
  public var inputs: [Input]
  /// In topological order.
  public var operators: [Operator]
  public var regions: [Region]

  /// Bytes of all rows; `Int.max` where a header, as a file may have it, speaks of more.
  public var stateBytes: Int {
    regions.reduce(0) { total, region in
      let bytes = region.rows.multipliedReportingOverflow(by: region.stride)
      let sum = total.addingReportingOverflow(bytes.partialValue)
      return bytes.overflow || sum.overflow ? Int.max : sum.partialValue
    }
  }

  /// Pages that all rows stand on.
  var pageCount: UInt64 {
    regions.reduce(0) {
      let rowsPerPage = Streaming.Region.rowsPerPage(stride: $1.stride)
      return $0 &+ UInt64(($1.rows + rowsPerPage - 1) / rowsPerPage)
    }
  }
}

/// The file format of snapshots (version 1).
///
/// `bidsnap` and a version byte; then frames: kind (1 byte), payload length (4 bytes, little
/// endian), checksum over kind, length and payload (8 bytes), payload. The first frame is the
/// header, the last one counts the pages between; pages come in any order, each once.
enum SnapshotFormat {
  static let magic: [UInt8] = Array("bidsnap".utf8) + [1]
  static let frameHeaderBytes = 13
  /// Longest payload a reader accepts: pages are batched up to about 1 MiB.
  static let payloadBytesMax = 64 << 20

  enum Kind: UInt8 {
    case header = 1
    case pages = 2
    case end = 3
  }

  /// Longest region that a reader accepts.
  static let regionBytesMax = 1 << 40

  /// A page within a `pages` payload: region, page number and byte count, then the bytes.
  static let pageHeaderBytes = 12

  static func checksum(kind: UInt8, _ payload: UnsafeRawBufferPointer) -> UInt64 {
    let text = Hash.text(payload.bindMemory(to: UInt8.self))
    return Hash.combine(text, UInt64(kind) << 32 | UInt64(payload.count))
  }

  /// Fills in the frame header in front of a payload that stands after `frameHeaderBytes` free
  /// bytes.
  static func seal(_ frame: UnsafeMutableRawBufferPointer, kind: Kind) {
    let payload = UnsafeRawBufferPointer(rebasing: frame[frameHeaderBytes...])
    let sum = checksum(kind: kind.rawValue, payload)
    frame[0] = kind.rawValue
    frame.storeBytes(of: UInt32(payload.count).littleEndian, toByteOffset: 1, as: UInt32.self)
    frame.storeBytes(of: sum.littleEndian, toByteOffset: 5, as: UInt64.self)
  }

  static func seal(_ frame: inout [UInt8], kind: Kind) {
    frame.withUnsafeMutableBytes { seal($0, kind: kind) }
  }

  static var emptyFrame: [UInt8] { [UInt8](repeating: 0, count: frameHeaderBytes) }

  static func encode(_ header: SnapshotHeader, to bytes: inout [UInt8]) {
    append(header.topology, to: &bytes)
    append(header.partition, to: &bytes)
    append(header.partitionCount, to: &bytes)
    Varint.append(signed: header.number, to: &bytes)
    Varint.append(signed: header.epoch.number, to: &bytes)
    Varint.append(header.epoch.topologyHash, to: &bytes)
    Varint.append(signed: header.epoch.origin, to: &bytes)
    Varint.append(signed: header.epoch.tickMilliseconds, to: &bytes)
    append(header.epoch.topology, to: &bytes)
    Varint.append(signed: header.tick, to: &bytes)
    append(header.inputs.count, to: &bytes)
    for input in header.inputs {
      append(input.topic, to: &bytes)
      append(Int(input.partition), to: &bytes)
      Varint.append(signed: input.nextOffset, to: &bytes)
    }
    append(header.operators.count, to: &bytes)
    for entry in header.operators {
      append(entry.name, to: &bytes)
      append(entry.kind, to: &bytes)
      append(entry.version, to: &bytes)
    }
    append(header.regions.count, to: &bytes)
    for region in header.regions {
      append(region.section, to: &bytes)
      append(region.name, to: &bytes)
      append(region.version, to: &bytes)
      append(region.stride, to: &bytes)
      append(region.rows, to: &bytes)
    }
  }

  private static func append(_ text: String, to bytes: inout [UInt8]) {
    append(text.utf8.count, to: &bytes)
    bytes.append(contentsOf: text.utf8)
  }

  private static func append(_ number: Int, to bytes: inout [UInt8]) {
    Varint.append(signed: Int64(number), to: &bytes)
  }

  /// nil when the bytes are not a header.
  static func decodeHeader(_ bytes: [UInt8]) -> SnapshotHeader? {
    var reader = HeaderReader(bytes: bytes)
    return reader.header()
  }

  private struct HeaderReader {
    let bytes: [UInt8]
    var position = 0

    mutating func int64() -> Int64? { Varint.readSigned(bytes, &position) }

    mutating func int() -> Int? { int64().flatMap { Int(exactly: $0) } }

    mutating func count() -> Int? {
      guard let n = int(), n >= 0, n <= bytes.count else { return nil }
      return n
    }

    mutating func text() -> String? {
      guard let length = count(), length <= bytes.count - position else { return nil }
      defer { position += length }
      return String(decoding: bytes[position..<(position + length)], as: UTF8.self)
    }

    mutating func list<T>(_ element: (inout HeaderReader) -> T?) -> [T]? {
      guard let n = count() else { return nil }
      var items: [T] = []
      for _ in 0..<n {
        guard let item = element(&self) else { return nil }
        items.append(item)
      }
      return items
    }

    mutating func header() -> SnapshotHeader? {
      guard let topology = text(), let partition = int(), let partitionCount = int(),
        let number = int64(), let epoch = epoch(), let tick = int64(),
        let inputs = list({ $0.input() }), let operators = list({ $0.oneOperator() }),
        let regions = list({ $0.region() }), position == bytes.count
      else { return nil }
      return SnapshotHeader(
        topology: topology, partition: partition, partitionCount: partitionCount, number: number,
        epoch: epoch, tick: tick, inputs: inputs, operators: operators, regions: regions)
    }

    mutating func epoch() -> Epoch? {
      guard let number = int64(), let hash = Varint.read(bytes, &position),
        let snapshot = int64(), let tick = int64(), let topology = text()
      else { return nil }
      return Epoch(
        number: number, topologyHash: hash, origin: snapshot, tickMilliseconds: tick,
        topology: topology)
    }

    mutating func input() -> SnapshotHeader.Input? {
      guard let topic = text(), let partition = int(), let exact = Int32(exactly: partition),
        let next = int64()
      else { return nil }
      return SnapshotHeader.Input(topic: topic, partition: exact, nextOffset: next)
    }

    mutating func oneOperator() -> SnapshotHeader.Operator? {
      guard let name = text(), let kind = text(), let version = int() else { return nil }
      return SnapshotHeader.Operator(name: name, kind: kind, version: version)
    }

    mutating func region() -> SnapshotHeader.Region? {
      guard let section = text(), let name = text(), let version = int(), let stride = int(),
        let rows = int(), stride > 0, stride <= Streaming.Region.rowBytesMax, rows >= 0,
        rows <= SnapshotFormat.regionBytesMax / stride
      else { return nil }
      return SnapshotHeader.Region(
        section: section, name: name, version: version, stride: stride, rows: rows)
    }
  }
}
