/// All state of one partition: named regions, in the order in which they were made.
///
/// Regions of an operator are named `operator/table`; a snapshot stores them under these names.
/// Making the same regions in the same order is part of building a partition, so a store built
/// from the same topology can always be filled from its snapshot.
public final class StateStore {
  package struct Entry {
    package var section: String
    package var name: String
    /// Layout version of the rows; a snapshot with another one is migrated or refused.
    package var version: Int
    package var region: UnsafeMutablePointer<Region>
    /// Called after the rows were restored: rebuilds what is not stored.
    package var didRestore: (() -> Void)?
  }

  package private(set) var entries: [Entry] = []
  /// The operator (or `engine`) that regions are being made for.
  package var section = "engine"

  public init() {}

  deinit {
    for entry in entries {
      entry.region.pointee.deallocate()
      entry.region.deinitialize(count: 1)
      entry.region.deallocate()
    }
  }

  /// A new, empty table.
  ///
  /// - Parameters:
  ///   - name: Unique within the operator.
  ///   - version: Rises when the row's layout or meaning changes.
  ///   - didRestore: Called after a snapshot filled the table.
  public func table<Row: BitwiseCopyable>(
    _ name: String, of row: Row.Type, version: Int = 1, capacity: Int = 64,
    didRestore: (() -> Void)? = nil
  ) -> Table<Row> {
    Table(
      region: makeRegion(
        name, stride: MemoryLayout<Row>.stride, version: version,
        capacity: capacity, didRestore: didRestore))
  }

  package func makeRegion(
    _ name: String, stride: Int, version: Int, capacity: Int, didRestore: (() -> Void)? = nil
  ) -> UnsafeMutablePointer<Region> {
    precondition(
      !entries.contains { $0.section == section && $0.name == name },
      "\(section) makes two tables named \(name)")
    let region = UnsafeMutablePointer<Region>.allocate(capacity: 1)
    region.initialize(to: Region(stride: stride, capacity: capacity))
    entries.append(
      Entry(section: section, name: name, version: version, region: region, didRestore: didRestore))
    return region
  }

  /// Calls `action` after every restore, once all regions are filled.
  package func afterRestore(_ action: @escaping () -> Void) { restoreActions.append(action) }
  private var restoreActions: [() -> Void] = []

  package func didRestore() {
    for entry in entries { entry.didRestore?() }
    for action in restoreActions { action() }
  }

  /// Values of the counters, as `operator.name`.
  package var counters: [(name: String, value: Int64)] {
    counterTables.map { ($0.name, $0.table[0]) }
  }
  package var counterTables: [(name: String, table: Table<Int64>)] = []

  /// Bytes of all rows in use, by section, in the order of the sections.
  public var byteCounts: [(section: String, bytes: Int)] {
    var counts: [(section: String, bytes: Int)] = []
    for entry in entries {
      let bytes = entry.region.pointee.count * entry.region.pointee.stride
      if let last = counts.indices.last, counts[last].section == entry.section {
        counts[last].bytes += bytes
      } else {
        counts.append((entry.section, bytes))
      }
    }
    return counts
  }
}
