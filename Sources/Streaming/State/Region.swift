// State: the memory that operators keep between entries.
//
// Everything that must survive a crash stands in regions: flat, growable blocks of fixed-size
// rows without pointers, so that a snapshot is a copy of bytes. The typed faces are `Table`
// (rows by number), `NameTable` (interned names) and `FingerprintTable` (a set with times); the
// index structures beside them are rebuilt on restore and never stored. Nothing here knows about
// operators or logs.

/// A flat, growable block of fixed-size rows, with copy-on-write pages while a snapshot is taken.
///
/// A snapshot must show one moment of the sequence although copying takes longer than the stream
/// may stand still. So `freeze` only marks the pages; whoever changes a marked page first hands
/// its bytes to the snapshot (`preserve`), and the rest are copied in slices between batches.
///
/// Owned by a `StateStore`; used by one partition only.
@usableFromInline
package struct Region {
  /// Bytes per copied page, unless a row is longer: small, because the first change to each page
  /// during a snapshot pays for copying it, and rows found by hash are each on a page of their own.
  package static let pageBytes = 4 * 1024
  /// The longest row.
  package static let rowBytesMax = 16 * 1024
  /// Room for rows that a large block is given at once. Large blocks take memory only where they
  /// are used; with so much room rows are hardly ever copied, and held twice while they are.
  static let reservedBytes = 1 << 30

  /// Where the rows stand; `memory.base`.
  @usableFromInline var base: UnsafeMutableRawPointer
  private var memory: StateMemory
  /// Rows in use.
  @usableFromInline var count: Int
  @usableFromInline var capacity: Int
  @usableFromInline let stride: Int
  /// Pages of the frozen moment that are not copied yet; nil when no snapshot is under way.
  @usableFromInline var frozen: UnsafeMutablePointer<FrozenRegion>?

  package init(stride: Int, capacity: Int) {
    precondition(stride > 0 && stride <= Region.rowBytesMax, "a row is at most 16 KiB")
    self.stride = stride
    self.capacity = max(capacity, 1)
    self.count = 0
    memory = StateMemory(byteCount: self.capacity * stride)
    base = memory.base
    frozen = nil
  }

  package mutating func deallocate() {
    if let frozen {
      frozen.pointee.release()
      frozen.deinitialize(count: 1)
      frozen.deallocate()
      self.frozen = nil
    }
    memory.deallocate()
  }

  /// Rows per page, so that no row crosses a page.
  package var rowsPerPage: Int { Region.rowsPerPage(stride: stride) }

  package static func rowsPerPage(stride: Int) -> Int { max(pageBytes / stride, 1) }

  /// Room for at least `rows` rows; existing rows keep their values.
  @usableFromInline package mutating func grow(to rows: Int) {
    guard rows > capacity else { return }
    var wanted = max(rows, capacity * 8, Region.reservedBytes / stride)
    let larger =
      capacity * stride < StateMemory.lazyBytes ? nil : StateMemory(trying: wanted * stride)
    if larger == nil { wanted = max(rows, capacity * 2) }
    let memory = larger ?? StateMemory(byteCount: wanted * stride)
    memory.base.copyMemory(from: base, byteCount: count * stride)
    replaceMemory(memory, capacity: wanted)
  }

  /// Exchanges the memory under the rows (growth, rehash, reset). A snapshot under way keeps the
  /// old memory, which nobody changes any more, until it has copied it.
  package mutating func replaceMemory(_ replacement: StateMemory, capacity: Int) {
    if let frozen, frozen.pointee.ownedMemory == nil, frozen.pointee.pagesLeft > 0 {
      frozen.pointee.ownedMemory = memory
    } else {
      memory.deallocate()
    }
    memory = replacement
    base = replacement.base
    self.capacity = capacity
  }

  /// Must be called before the row is changed.
  ///
  /// Takes the region by its address: as a method it would be copied to the stack every time, only to
  /// look at one of its fields.
  @inlinable @inline(__always)
  static func willChange(_ region: UnsafeMutablePointer<Region>, _ row: Int) {
    if region.pointee.frozen != nil { preservePage(region, of: row) }
  }

  /// The same for rows that stand one after the other.
  @inlinable @inline(__always)
  static func willChange(_ region: UnsafeMutablePointer<Region>, _ rows: Range<Int>) {
    if region.pointee.frozen != nil { preservePages(region, of: rows) }
  }

  @usableFromInline @inline(never)
  static func preservePages(_ region: UnsafeMutablePointer<Region>, of rows: Range<Int>) {
    guard !rows.isEmpty else { return }
    let each = region.pointee.rowsPerPage
    for page in rows.lowerBound / each...(rows.upperBound - 1) / each {
      preservePage(region, of: page * each)
    }
  }

  @usableFromInline @inline(never)
  static func preservePage(_ region: UnsafeMutablePointer<Region>, of row: Int) {
    guard let frozen = region.pointee.frozen, frozen.pointee.ownedMemory == nil,
      !frozen.pointee.isTorn
    else { return }
    frozen.pointee.preserve(
      page: row / region.pointee.rowsPerPage, from: region.pointee.base)
  }

  /// Begins a snapshot of the rows as they are now.
  package mutating func freeze(
    id: Int32, isTorn: Bool = false,
    into sink: @escaping (_ id: Int32, _ page: Int, UnsafeRawBufferPointer) -> Void
  ) {
    precondition(frozen == nil, "a region is frozen for one snapshot at a time")
    let pointer = UnsafeMutablePointer<FrozenRegion>.allocate(capacity: 1)
    pointer.initialize(
      to: FrozenRegion(
        id: id, isTorn: isTorn, rows: count, rowsPerPage: rowsPerPage, stride: stride, sink: sink))
    frozen = pointer
  }

  /// Copies up to `pages` pages; true when none is left and the region is thawed.
  package mutating func copySlice(pages: Int) -> Bool {
    guard let frozen else { return true }
    frozen.pointee.copyNext(pages, from: base)
    guard frozen.pointee.pagesLeft == 0 else { return false }
    frozen.pointee.release()
    frozen.deinitialize(count: 1)
    frozen.deallocate()
    self.frozen = nil
    return true
  }

  /// Gives up a snapshot under way.
  package mutating func thaw() {
    guard let frozen else { return }
    frozen.pointee.release()
    frozen.deinitialize(count: 1)
    frozen.deallocate()
    self.frozen = nil
  }
}

/// The pages of a region at the moment a snapshot began.
@usableFromInline
package struct FrozenRegion {
  let id: Int32
  /// Tests only (`Mutant.tornSnapshot`): changes are not preserved.
  let isTorn: Bool
  let rows: Int
  let rowsPerPage: Int
  let stride: Int
  let sink: (_ id: Int32, _ page: Int, UnsafeRawBufferPointer) -> Void
  /// Which pages are copied.
  var copied: [Bool]
  var next = 0
  var pagesLeft: Int
  /// The memory of the frozen moment, once the region has moved on to other memory.
  var ownedMemory: StateMemory?

  init(
    id: Int32, isTorn: Bool, rows: Int, rowsPerPage: Int, stride: Int,
    sink: @escaping (_ id: Int32, _ page: Int, UnsafeRawBufferPointer) -> Void
  ) {
    self.id = id
    self.isTorn = isTorn
    self.rows = rows
    self.rowsPerPage = rowsPerPage
    self.stride = stride
    self.sink = sink
    pagesLeft = (rows + rowsPerPage - 1) / rowsPerPage
    copied = Array(repeating: false, count: pagesLeft)
  }

  mutating func release() {
    ownedMemory?.deallocate()
    ownedMemory = nil
  }

  mutating func preserve(page: Int, from base: UnsafeMutableRawPointer) {
    // Rows appended after the freeze stand on pages that the snapshot does not have.
    guard page < copied.count, !copied[page] else { return }
    let first = page * rowsPerPage
    let rowCount = min(rowsPerPage, rows - first)
    copied[page] = true
    pagesLeft -= 1
    sink(
      id, page,
      UnsafeRawBufferPointer(start: base + first * stride, count: rowCount * stride))
  }

  mutating func copyNext(_ pages: Int, from base: UnsafeMutableRawPointer) {
    let source = ownedMemory?.base ?? base
    var budget = pages
    while budget > 0, next < copied.count {
      if !copied[next] {
        preserve(page: next, from: source)
        budget -= 1
      }
      next += 1
    }
  }
}
