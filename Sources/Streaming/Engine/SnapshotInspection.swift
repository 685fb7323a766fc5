/// Looks into a snapshot without restoring it.
///
/// For people (`bidmill inspect`), and for whoever must know whether a snapshot is whole: every
/// checksum, every page and its place are checked as a restore would, but nothing is kept.
public enum SnapshotInspection {
  public struct Summary: Sendable, Equatable {
    public var header: SnapshotHeader
    /// Copied pages, of about 4 KiB each.
    public var pages: Int
    /// Bytes of all rows: what the state takes in memory, without its indexes.
    public var stateBytes: Int
    /// Bytes of the snapshot as the store gave them (not compressed).
    public var snapshotBytes: Int
  }

  /// - Throws: `.missing` where the store has no such snapshot, `.badData` where it does not read.
  public static func inspect(
    _ number: Int64, in store: any SnapshotStore
  ) throws(LogError) -> Summary {
    var reading = Reading()
    try store.read(number) { (piece) throws(LogError) in
      do throws(SnapshotDamage) { try reading.take(piece) } catch {
        throw LogError(.badData, "snapshot \(number): \(error.description)")
      }
    }
    do throws(SnapshotDamage) { return try reading.summary() } catch {
      throw LogError(.badData, "snapshot \(number): \(error.description)")
    }
  }

  /// A snapshot's header, without the rest of it.
  ///
  /// - Throws: `.missing` where the store has no such snapshot, `.badData` where its beginning does
  ///   not read.
  public static func header(
    of number: Int64, in store: any SnapshotStore
  ) throws(LogError) -> SnapshotHeader {
    var parser = SnapshotParser()
    var found: SnapshotHeader?
    do throws(LogError) {
      try store.read(number) { (piece) throws(LogError) in
        do throws(SnapshotDamage) {
          try parser.feed(piece) { (item) in
            if case .header(let header) = item, found == nil { found = header }
          }
        } catch { throw LogError(.badData, "snapshot \(number): \(error.description)") }
        // Nothing more is wanted; a thrown error is how a reader says so.
        if found != nil { throw LogError(.ours, "the header is read") }
      }
    } catch {
      if let found { return found }
      throw error
    }
    throw LogError(.badData, "snapshot \(number): it ends in its header")
  }

  /// Inspects a whole snapshot that stands in memory.
  public static func inspect(
    _ bytes: UnsafeRawBufferPointer
  ) throws(SnapshotDamage) -> Summary {
    var reading = Reading()
    try reading.take(bytes)
    return try reading.summary()
  }

  private struct Reading {
    var parser = SnapshotParser()
    var header: SnapshotHeader?
    var pages = 0
    var stateBytes = 0
    var snapshotBytes = 0

    mutating func take(_ piece: UnsafeRawBufferPointer) throws(SnapshotDamage) {
      snapshotBytes += piece.count
      var (header, pages, stateBytes) = (header, pages, stateBytes)
      try parser.feed(piece) { (item) throws(SnapshotDamage) in
        switch item {
        case .header(let found): header = found
        case .page(_, _, let rows):
          pages += 1
          stateBytes += rows.count
        }
      }
      (self.header, self.pages, self.stateBytes) = (header, pages, stateBytes)
    }

    func summary() throws(SnapshotDamage) -> Summary {
      guard let header, parser.isComplete else {
        throw SnapshotDamage("it ends too early: it was cut")
      }
      return Summary(
        header: header, pages: pages, stateBytes: stateBytes, snapshotBytes: snapshotBytes)
    }
  }
}
