/// Rows by number: dense, append-only, 2³¹ at most.
///
/// A `Table` is a handle; copies share the rows. It belongs to the `StateStore` that made it and
/// must not outlive it.
@frozen
public struct Table<Row: BitwiseCopyable> {
  @usableFromInline let region: UnsafeMutablePointer<Region>

  package init(region: UnsafeMutablePointer<Region>) { self.region = region }

  /// Rows in use.
  @inlinable
  public var count: Int { region.pointee.count }

  /// A row as it is. O(1).
  @inlinable
  public subscript(row: Int32) -> Row {
    @inline(__always) get { address(row).pointee }
  }

  /// A row to change; valid until the next `append`. O(1).
  @inlinable @inline(__always)
  public func update(_ row: Int32) -> UnsafeMutablePointer<Row> {
    Region.willChange(region, Int(row))
    return address(row)
  }

  /// Rows to change that stand one after the other; valid until the next `append`. O(1), but for
  /// what a snapshot under way still has to copy.
  @inlinable @inline(__always)
  public func update(_ rows: Range<Int32>) -> UnsafeMutablePointer<Row> {
    Region.willChange(region, Int(rows.lowerBound)..<Int(rows.upperBound))
    return address(rows.lowerBound)
  }

  /// Lets rows be changed through their addresses until the next `append`: what `update` does for
  /// one. O(1), but for what a snapshot under way still has to copy.
  ///
  /// - Parameter rows: `count` rows, in any order.
  @inlinable @inline(__always)
  public func willChange(_ rows: UnsafePointer<Int32>, count: Int) {
    guard region.pointee.frozen != nil else { return }
    for i in 0..<count { Region.willChange(region, Int(rows[i])) }
  }

  /// Adds a row and returns its number. Amortised O(1).
  @inlinable @discardableResult
  public func append(_ row: Row) -> Int32 {
    let number = region.pointee.count
    precondition(number < Int(Int32.max), "a table holds at most 2^31 - 1 rows")
    if number == region.pointee.capacity { region.pointee.grow(to: number + 1) }
    region.pointee.count = number + 1
    // After `removeAll` the row may stand on a page that a snapshot still has to copy.
    Region.willChange(region, number)
    address(Int32(truncatingIfNeeded: number)).initialize(to: row)
    return Int32(truncatingIfNeeded: number)
  }

  /// Adds rows that stand one after the other and returns the first one's number. They hold zeros,
  /// or what stood there before a `removeAll`. Amortised O(1), but for what a snapshot under way
  /// still has to copy.
  @inlinable @discardableResult
  public func extend(by count: Int) -> Int32 {
    let first = region.pointee.count
    let end = first + count
    precondition(end <= Int(Int32.max), "a table holds at most 2^31 - 1 rows")
    if end > region.pointee.capacity { region.pointee.grow(to: end) }
    region.pointee.count = end
    Region.willChange(region, first..<end)
    return Int32(truncatingIfNeeded: first)
  }

  /// Forgets all rows; keeps the memory.
  @inlinable
  public func removeAll() { region.pointee.count = 0 }

  /// Adds copies of `row` until there are `count`. For tables with a row per interned name.
  @inlinable
  public func fill(to count: Int, with row: Row) {
    while region.pointee.count < count { append(row) }
  }

  /// Where a row stands, for reading; valid until the next `append`.
  @inlinable @inline(__always)
  public func address(_ row: Int32) -> UnsafeMutablePointer<Row> {
    assert(row >= 0 && Int(row) < region.pointee.count)
    return (region.pointee.base + Int(row) &* MemoryLayout<Row>.stride)
      .assumingMemoryBound(to: Row.self)
  }
}
