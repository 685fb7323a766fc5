/// Fingerprints with the time of their first sighting: open addressing, 16 bytes a slot.
///
/// Insert-only; what is old goes by emptying a whole generation (`removeAll`). Split
/// into shards that grow one by one.
@frozen
public struct FingerprintTable {
  @frozen
  @usableFromInline
  struct Slot: BitwiseCopyable {
    /// 0 is free.
    @usableFromInline var fingerprint: UInt64
    @usableFromInline var time: Int64
    @inlinable init(fingerprint: UInt64, time: Int64) {
      self.fingerprint = fingerprint
      self.time = time
    }
  }

  @usableFromInline static let shardBits = 4
  static let smallestShard = 16

  /// Slots of each shard; a region's `count` is the shard's slots, used or not.
  @usableFromInline let shards: UnsafeMutablePointer<UnsafeMutablePointer<Region>>
  @usableFromInline let used: UnsafeMutablePointer<Int>

  public init(_ name: String, in store: StateStore) {
    let shardCount = 1 << FingerprintTable.shardBits
    shards = .allocate(capacity: shardCount)
    used = .allocate(capacity: shardCount)
    for i in 0..<shardCount {
      shards[i] = store.makeRegion(
        "\(name).\(i)", stride: MemoryLayout<Slot>.stride, version: 1,
        capacity: FingerprintTable.smallestShard)
      shards[i].pointee.count = FingerprintTable.smallestShard
      used[i] = 0
    }
    let table = self
    store.afterRestore { table.recount() }
  }

  /// Frees the handle's own memory; the slots are the store's.
  public func deallocate() {
    shards.deallocate()
    used.deallocate()
  }

  /// Fingerprints held.
  public var count: Int { (0..<(1 << FingerprintTable.shardBits)).reduce(0) { $0 + used[$1] } }

  private func recount() {
    for i in 0..<(1 << FingerprintTable.shardBits) {
      let slots = FingerprintTable.slots(shards[i])
      used[i] = (0..<shards[i].pointee.count).count { slots[$0].fingerprint != 0 }
    }
  }

  @inlinable @inline(__always)
  static func slots(_ region: UnsafeMutablePointer<Region>) -> UnsafeMutablePointer<Slot> {
    region.pointee.base.assumingMemoryBound(to: Slot.self)
  }

  /// The time kept for a fingerprint; nil when it is not here. O(1).
  @inlinable @inline(__always)
  public func time(of fingerprint: UInt64) -> Int64? {
    let region = shards[Int(fingerprint >> UInt64(64 - FingerprintTable.shardBits))]
    let slots = FingerprintTable.slots(region)
    let mask = region.pointee.count &- 1
    var i = Int(truncatingIfNeeded: fingerprint) & mask
    while true {
      let slot = slots[i]
      if slot.fingerprint == fingerprint { return slot.time }
      if slot.fingerprint == 0 { return nil }
      i = (i &+ 1) & mask
    }
  }

  /// Loads the slot where a search for the fingerprint begins; returns what stands there.
  @inlinable @inline(__always)
  public func touch(_ fingerprint: UInt64) -> UInt64 {
    let region = shards[Int(fingerprint >> UInt64(64 - FingerprintTable.shardBits))]
    return FingerprintTable.slots(region)[
      Int(truncatingIfNeeded: fingerprint) & (region.pointee.count &- 1)
    ].fingerprint
  }

  /// Keeps `time` for a fingerprint, new or not. Amortised O(1).
  ///
  /// - Precondition: `fingerprint != 0`.
  @inlinable @inline(__always)
  public func set(_ fingerprint: UInt64, time: Int64) {
    let shard = Int(fingerprint >> UInt64(64 - FingerprintTable.shardBits))
    let region = shards[shard]
    let slots = FingerprintTable.slots(region)
    let mask = region.pointee.count &- 1
    var i = Int(truncatingIfNeeded: fingerprint) & mask
    while slots[i].fingerprint != 0, slots[i].fingerprint != fingerprint { i = (i &+ 1) & mask }
    region.pointee.willChange(i)
    if slots[i].fingerprint == 0 { used[shard] &+= 1 }
    slots[i] = Slot(fingerprint: fingerprint, time: time)
    if used[shard] &* 4 > (mask &+ 1) &* 3 { grow(shard) }
  }

  @usableFromInline @inline(never)
  func grow(_ shard: Int) {
    let region = shards[shard]
    let old = FingerprintTable.slots(region)
    let oldCount = region.pointee.count
    let newCount = oldCount * 2
    let memory = StateMemory(byteCount: newCount * MemoryLayout<Slot>.stride)
    let slots = memory.base.assumingMemoryBound(to: Slot.self)
    for k in 0..<oldCount where old[k].fingerprint != 0 {
      var i = Int(truncatingIfNeeded: old[k].fingerprint) & (newCount - 1)
      while slots[i].fingerprint != 0 { i = (i + 1) & (newCount - 1) }
      slots[i] = old[k]
    }
    region.pointee.replaceMemory(memory, capacity: newCount)
    region.pointee.count = newCount
  }

  /// Forgets everything, keeping room for about as many again.
  public func removeAll() {
    for i in 0..<(1 << FingerprintTable.shardBits) {
      var slots = FingerprintTable.smallestShard
      while slots * 3 < used[i] * 4 { slots *= 2 }
      shards[i].pointee.replaceMemory(
        StateMemory(byteCount: slots * MemoryLayout<Slot>.stride), capacity: slots)
      shards[i].pointee.count = slots
      used[i] = 0
    }
  }

  /// Calls `body` with every fingerprint and its time, in no particular order.
  public func forEach(_ body: (_ fingerprint: UInt64, _ time: Int64) -> Void) {
    for i in 0..<(1 << FingerprintTable.shardBits) {
      let slots = FingerprintTable.slots(shards[i])
      for k in 0..<shards[i].pointee.count where slots[k].fingerprint != 0 {
        body(slots[k].fingerprint, slots[k].time)
      }
    }
  }
}
