import Events

/// Why a snapshot cannot be used.
public struct SnapshotDamage: Error, CustomStringConvertible, Sendable {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// Reads a snapshot frame by frame: header, pages, end; checks everything on the way.
///
/// Feed it the file's bytes in pieces of any size. It never trusts a length.
package struct SnapshotParser {
  package enum Item {
    case header(SnapshotHeader)
    case page(region: Int, page: Int, UnsafeRawBufferPointer)
  }

  private var pending: [UInt8] = []
  private var sawMagic = false
  private var header: SnapshotHeader?
  private var pages: UInt64 = 0
  private var bytes: UInt64 = 0
  /// Pages that came, 64 to a word, by region and page number: a copied page may come once only.
  /// Asked by key, never walked.
  private var seen: [UInt64: UInt64] = [:]
  package private(set) var isComplete = false

  package init() {}

  package mutating func feed(
    _ piece: UnsafeRawBufferPointer, _ body: (Item) throws(SnapshotDamage) -> Void
  ) throws(SnapshotDamage) {
    pending.append(contentsOf: piece)
    var position = 0
    if !sawMagic {
      guard pending.count >= SnapshotFormat.magic.count else { return }
      guard pending.starts(with: SnapshotFormat.magic) else {
        throw SnapshotDamage("not a snapshot, or one of another format version")
      }
      sawMagic = true
      position = SnapshotFormat.magic.count
    }
    while let payload = try nextFrame(&position) {
      try read(kind: payload.kind, payload.range, body)
    }
    pending.removeSubrange(..<position)
  }

  /// A complete frame's kind and payload; nil when more bytes are needed.
  private func nextFrame(_ position: inout Int) throws(SnapshotDamage)
    -> (kind: UInt8, range: Range<Int>)?
  {
    guard !isComplete || pending.count == position else {
      throw SnapshotDamage("bytes after the snapshot's end")
    }
    guard pending.count - position >= SnapshotFormat.frameHeaderBytes else { return nil }
    let (kind, length, sum) = pending.withUnsafeBytes { raw in
      (
        raw[position],
        Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: position + 1, as: UInt32.self))),
        UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: position + 5, as: UInt64.self))
      )
    }
    guard length <= SnapshotFormat.payloadBytesMax else {
      throw SnapshotDamage(
        "a frame of \(length) bytes; the longest is \(SnapshotFormat.payloadBytesMax)")
    }
    let start = position + SnapshotFormat.frameHeaderBytes
    guard pending.count - start >= length else { return nil }
    let range = start..<(start + length)
    let actual = pending.withUnsafeBytes {
      SnapshotFormat.checksum(kind: kind, UnsafeRawBufferPointer(rebasing: $0[range]))
    }
    guard actual == sum else { throw SnapshotDamage("a frame's checksum does not match its bytes") }
    position = range.upperBound
    return (kind, range)
  }

  private mutating func read(
    kind: UInt8, _ range: Range<Int>, _ body: (Item) throws(SnapshotDamage) -> Void
  ) throws(SnapshotDamage) {
    switch (SnapshotFormat.Kind(rawValue: kind), header) {
    case (.header, nil):
      guard let decoded = SnapshotFormat.decodeHeader(Array(pending[range])) else {
        throw SnapshotDamage("the header does not read")
      }
      header = decoded
      try body(.header(decoded))
    case (.pages, let header?):
      try readPages(range, header, body)
    case (.end, let header?):
      var position = range.lowerBound
      guard Varint.read(pending, &position) == pages, Varint.read(pending, &position) == bytes,
        position == range.upperBound
      else {
        throw SnapshotDamage("pages are missing")
      }
      // Every page once, so as many pages and bytes as the header speaks of are all of them.
      guard pages == header.pageCount, bytes == UInt64(header.stateBytes) else {
        throw SnapshotDamage(
          "it holds \(bytes) bytes of state, its header speaks of \(header.stateBytes)")
      }
      isComplete = true
    default:
      throw SnapshotDamage("a frame of kind \(kind) where none belongs")
    }
  }

  private mutating func isNew(region: Int, page: Int) -> Bool {
    let key = UInt64(region) << 32 | UInt64(page >> 6)
    let bit: UInt64 = 1 << UInt64(page & 63)
    guard seen[key, default: 0] & bit == 0 else { return false }
    seen[key, default: 0] |= bit
    return true
  }

  private mutating func readPages(
    _ range: Range<Int>, _ header: SnapshotHeader, _ body: (Item) throws(SnapshotDamage) -> Void
  ) throws(SnapshotDamage) {
    var position = range.lowerBound
    while position < range.upperBound {
      guard range.upperBound - position >= SnapshotFormat.pageHeaderBytes else {
        throw SnapshotDamage("a page that ends in its header")
      }
      let (region, page, count) = pending.withUnsafeBytes { raw in
        (
          Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: position, as: Int32.self))),
          Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: position + 4, as: Int32.self))),
          Int(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: position + 8, as: Int32.self)))
        )
      }
      position += SnapshotFormat.pageHeaderBytes
      guard region >= 0, region < header.regions.count, page >= 0, count >= 0,
        range.upperBound - position >= count
      else { throw SnapshotDamage("a page of a region that does not exist") }
      let entry = header.regions[region]
      let rowsPerPage = Region.rowsPerPage(stride: entry.stride)
      let first = page * rowsPerPage
      guard first < entry.rows, count == min(rowsPerPage, entry.rows - first) * entry.stride else {
        throw SnapshotDamage("a page of \(entry.section)/\(entry.name) has the wrong size")
      }
      guard isNew(region: region, page: page) else {
        throw SnapshotDamage("a page of \(entry.section)/\(entry.name) comes twice")
      }
      pages += 1
      bytes += UInt64(count)
      let rows = position..<(position + count)
      // `withUnsafeBytes` cannot carry a typed error; hand it out as a value.
      let result: Result<Void, SnapshotDamage> = pending.withUnsafeBytes { raw in
        do throws(SnapshotDamage) {
          try body(.page(region: region, page: page, UnsafeRawBufferPointer(rebasing: raw[rows])))
          return .success(())
        } catch { return .failure(error) }
      }
      try result.get()
      position += count
    }
  }
}

extension StateStore {
  /// Fills the regions from a snapshot.
  ///
  /// - Parameter strict: The same topology wrote it: every region must be there, in the same
  ///   layout. Otherwise (a changed epoch) regions that the snapshot does not have stay as they
  ///   are, and those that nobody has any more are left out.
  struct Restoring {
    let store: StateStore
    let strict: Bool
    /// Region of the store per region of the snapshot.
    private var targets: [UnsafeMutablePointer<Region>?] = []

    init(_ store: StateStore, strict: Bool) {
      self.store = store
      self.strict = strict
    }

    mutating func prepare(_ header: SnapshotHeader) throws(SnapshotDamage) {
      for region in header.regions {
        guard
          let entry = store.entries.first(where: {
            $0.section == region.section && $0.name == region.name
          })
        else {
          guard !strict else {
            throw SnapshotDamage("\(region.section)/\(region.name) is unknown to this topology")
          }
          targets.append(nil)
          continue
        }
        guard !targets.contains(entry.region) else {
          throw SnapshotDamage("\(region.section)/\(region.name) is in it twice")
        }
        guard entry.version == region.version, entry.region.pointee.stride == region.stride else {
          throw SnapshotDamage(
            "\(region.section)/\(region.name) has layout \(region.version) of \(region.stride) "
              + "bytes a row; this build reads \(entry.version) of \(entry.region.pointee.stride)")
        }
        guard entry.region.pointee.makeRoom(forRestored: region.rows) else {
          throw SnapshotDamage(
            "no memory for \(region.rows) rows of \(region.section)/\(region.name)")
        }
        targets.append(entry.region)
      }
      guard !strict || header.regions.count == store.entries.count else {
        throw SnapshotDamage("it lacks tables of this topology")
      }
    }

    func fill(region: Int, page: Int, _ rows: UnsafeRawBufferPointer) {
      guard let target = targets[region] else { return }
      let stride = target.pointee.stride
      let start = page * Region.rowsPerPage(stride: stride) * stride
      (target.pointee.base + start).copyMemory(
        from: rows.baseAddress ?? UnsafeRawPointer(target.pointee.base), byteCount: rows.count)
    }
  }
}

extension Region {
  /// Replaces the rows by `rows` zeroed ones; false when there is no memory for them.
  mutating func makeRoom(forRestored rows: Int) -> Bool {
    let (bytes, overflow) = max(rows, 1).multipliedReportingOverflow(by: stride)
    guard !overflow else { return false }
    // With room to grow, or the first new row would move all of them.
    if bytes >= StateMemory.lazyBytes, bytes <= Int.max / 2,
      let memory = StateMemory(trying: max(bytes * 2, Region.reservedBytes))
    {
      replaceMemory(memory, capacity: max(bytes * 2, Region.reservedBytes) / stride)
    } else if let memory = StateMemory(trying: bytes) {
      replaceMemory(memory, capacity: max(rows, 1))
    } else {
      return false
    }
    count = rows
    return true
  }
}

/// Loads a snapshot's header only.
public func readSnapshotHeader(_ bytes: UnsafeRawBufferPointer) throws(SnapshotDamage)
  -> SnapshotHeader
{
  var parser = SnapshotParser()
  var header: SnapshotHeader?
  try parser.feed(bytes) { (item) throws(SnapshotDamage) in
    if case .header(let found) = item { header = found }
  }
  guard let header else { throw SnapshotDamage("it ends in its header") }
  return header
}
