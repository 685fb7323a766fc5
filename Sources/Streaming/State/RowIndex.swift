/// Finds row numbers by a 64-bit hash: open addressing with linear probing.
///
/// Rows stay in a `Table`; the index holds 8 bytes a slot and is rebuilt on restore, never stored.
/// It is split into shards that grow one by one, so that growth does not stop the stream for the
/// time of a whole rehash. Two rows may share a hash; `find` asks the caller which one is meant.
@usableFromInline
package struct RowIndex {
  @usableFromInline static let shardBits = 4

  @usableFromInline
  struct Slot {
    /// The hash's middle bits: decides the position and filters most strangers.
    @usableFromInline var tag: UInt32
    /// Row + 1; 0 is free.
    @usableFromInline var row: Int32
    @inlinable init(tag: UInt32, row: Int32) {
      self.tag = tag
      self.row = row
    }
  }

  @usableFromInline
  struct Shard {
    @usableFromInline var slots: UnsafeMutablePointer<Slot>
    var memory: StateMemory
    @usableFromInline var mask: Int
    @usableFromInline var count: Int
  }

  @usableFromInline let shards: UnsafeMutablePointer<Shard>

  package init() {
    shards = .allocate(capacity: 1 << RowIndex.shardBits)
    for i in 0..<(1 << RowIndex.shardBits) {
      (shards + i).initialize(to: RowIndex.emptyShard(slots: 8))
    }
  }

  package func deallocate() {
    for i in 0..<(1 << RowIndex.shardBits) { shards[i].memory.deallocate() }
    shards.deallocate()
  }

  static func emptyShard(slots: Int) -> Shard {
    // Zeroed: every slot is free.
    let memory = StateMemory(byteCount: slots * MemoryLayout<Slot>.stride)
    return Shard(
      slots: memory.base.bindMemory(to: Slot.self, capacity: slots), memory: memory,
      mask: slots - 1, count: 0)
  }

  @inlinable @inline(__always)
  static func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 16) }

  @inlinable @inline(__always)
  func shard(_ hash: UInt64) -> UnsafeMutablePointer<Shard> {
    shards + Int(hash >> UInt64(64 - RowIndex.shardBits))
  }

  /// The row with this hash for which `matches` is true; nil when there is none.
  @inlinable @inline(__always)
  package func find(_ hash: UInt64, where matches: (Int32) -> Bool) -> Int32? {
    let shard = shard(hash)
    let slots = shard.pointee.slots
    let mask = shard.pointee.mask
    let tag = RowIndex.tag(hash)
    var i = Int(tag) & mask
    while true {
      let slot = slots[i]
      if slot.row == 0 { return nil }
      if slot.tag == tag, matches(slot.row &- 1) { return slot.row &- 1 }
      i = (i &+ 1) & mask
    }
  }

  /// Loads what a search for the hash begins with; returns something of it.
  @inlinable @inline(__always)
  package func touch(_ hash: UInt64) -> UInt32 {
    let shard = shard(hash)
    return shard.pointee.slots[Int(RowIndex.tag(hash)) & shard.pointee.mask].tag
  }

  /// Adds a row that `find` did not find.
  @usableFromInline
  package func insert(_ hash: UInt64, row: Int32) {
    let shard = shard(hash)
    if shard.pointee.count * 4 >= (shard.pointee.mask + 1) * 3 { grow(shard) }
    place(Slot(tag: RowIndex.tag(hash), row: row + 1), in: shard)
    shard.pointee.count += 1
  }

  /// Removes a row that `find` found under this hash.
  package func remove(_ hash: UInt64, row: Int32) {
    let shard = shard(hash)
    let slots = shard.pointee.slots
    let mask = shard.pointee.mask
    var gap = Int(RowIndex.tag(hash)) & mask
    while slots[gap].row != row + 1 { gap = (gap + 1) & mask }
    shard.pointee.count -= 1
    // Moves back whatever was pushed beyond the gap, so that no search ends too early.
    var i = gap
    while true {
      i = (i + 1) & mask
      guard slots[i].row != 0 else { break }
      let home = Int(slots[i].tag) & mask
      if (i - home) & mask >= (i - gap) & mask {
        slots[gap] = slots[i]
        gap = i
      }
    }
    slots[gap] = Slot(tag: 0, row: 0)
  }

  package func removeAll() {
    for i in 0..<(1 << RowIndex.shardBits) {
      shards[i].memory.deallocate()
      shards[i] = RowIndex.emptyShard(slots: 8)
    }
  }

  private func place(_ slot: Slot, in shard: UnsafeMutablePointer<Shard>) {
    var i = Int(slot.tag) & shard.pointee.mask
    while shard.pointee.slots[i].row != 0 { i = (i + 1) & shard.pointee.mask }
    shard.pointee.slots[i] = slot
  }

  private func grow(_ shard: UnsafeMutablePointer<Shard>) {
    let old = shard.pointee
    shard.pointee = RowIndex.emptyShard(slots: (old.mask + 1) * 2)
    shard.pointee.count = old.count
    for i in 0...old.mask where old.slots[i].row != 0 { place(old.slots[i], in: shard) }
    old.memory.deallocate()
  }
}
