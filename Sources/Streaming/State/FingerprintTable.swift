/// Fingerprints with the time of their first sighting: open addressing in groups of eight slots.
///
/// 17 bytes a slot. Beside the slots stands one tag byte for each, so that a search for what is
/// not here (nearly every event) reads eight tags and no slot. Insert-only; what is old goes by
/// emptying a whole generation (`removeAll`). Split into shards that grow one by one, each at
/// another fill, so that growth does not stop the stream for the time of a whole rehash.
@frozen
public struct FingerprintTable {
  @frozen
  @usableFromInline
  struct Slot: BitwiseCopyable {
    @usableFromInline var fingerprint: UInt64
    @usableFromInline var time: Int64
    @inlinable init(fingerprint: UInt64, time: Int64) {
      self.fingerprint = fingerprint
      self.time = time
    }
  }

  @usableFromInline
  struct Shard {
    /// Its slots; the region's `count` is all of them, used or not. An unused slot's fingerprint
    /// is 0.
    @usableFromInline var region: UnsafeMutablePointer<Region>
    /// A byte per slot: 0 is free, else the fingerprint's middle bits with the top bit set. Rebuilt
    /// on restore, never stored.
    @usableFromInline var tags: UnsafeMutableRawPointer
    var tagMemory: StateMemory
    /// Groups - 1.
    @usableFromInline var mask: Int
    @usableFromInline var used: Int
    /// It grows when more are used.
    @usableFromInline let usedMax: Int
  }

  /// At 1 GiB a shard has 16 MiB: clearing and filling twice that takes some ms.
  @usableFromInline static let shardBits = 6
  @usableFromInline static let groupSize = 8
  static let smallestShard = 16
  @usableFromInline static let ones: UInt64 = 0x0101_0101_0101_0101
  @usableFromInline static let tops: UInt64 = 0x8080_8080_8080_8080

  @usableFromInline let shards: UnsafeMutablePointer<Shard>

  public init(_ name: String, in store: StateStore) {
    let shardCount = 1 << FingerprintTable.shardBits
    shards = .allocate(capacity: shardCount)
    for i in 0..<shardCount {
      let region = store.makeRegion(
        "\(name).\(i)", stride: MemoryLayout<Slot>.stride, version: 1,
        capacity: FingerprintTable.smallestShard)
      region.pointee.count = FingerprintTable.smallestShard
      (shards + i).initialize(
        to: FingerprintTable.emptyShard(i, region, slots: FingerprintTable.smallestShard))
    }
    let table = self
    store.afterRestore { table.rebuildTags() }
  }

  /// Frees the handle's own memory; the slots are the store's.
  public func deallocate() {
    for i in 0..<(1 << FingerprintTable.shardBits) { shards[i].tagMemory.deallocate() }
    shards.deallocate()
  }

  /// The fill at which a shard grows lies between 3/4 and 7/8. Fingerprints spread so evenly that
  /// with one for all, all shards would grow within a few steps of the stream.
  private static func emptyShard(
    _ index: Int, _ region: UnsafeMutablePointer<Region>, slots: Int
  ) -> Shard {
    let tags = StateMemory(byteCount: slots)
    let shardCount = 1 << shardBits
    return Shard(
      region: region, tags: tags.base, tagMemory: tags, mask: slots / groupSize - 1, used: 0,
      usedMax: slots / 8 * 6 + slots * index / (8 * shardCount))
  }

  /// Fingerprints held.
  public var count: Int {
    (0..<(1 << FingerprintTable.shardBits)).reduce(0) { $0 + shards[$1].used }
  }

  private func rebuildTags() {
    for i in 0..<(1 << FingerprintTable.shardBits) {
      let region = shards[i].region
      shards[i].tagMemory.deallocate()
      shards[i] = FingerprintTable.emptyShard(i, region, slots: region.pointee.count)
      let slots = FingerprintTable.slots(region)
      let tags = shards[i].tags.assumingMemoryBound(to: UInt8.self)
      for k in 0..<region.pointee.count where slots[k].fingerprint != 0 {
        tags[k] = FingerprintTable.tag(slots[k].fingerprint)
        shards[i].used += 1
      }
    }
  }

  @inlinable @inline(__always)
  static func slots(_ region: UnsafeMutablePointer<Region>) -> UnsafeMutablePointer<Slot> {
    region.pointee.base.assumingMemoryBound(to: Slot.self)
  }

  @inlinable @inline(__always)
  static func tag(_ fingerprint: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: fingerprint &>> 48) | 0x80
  }

  @inlinable @inline(__always)
  func shard(_ fingerprint: UInt64) -> UnsafeMutablePointer<Shard> {
    shards + Int(fingerprint &>> UInt64(64 - FingerprintTable.shardBits))
  }

  /// The slot of a fingerprint, or -1 - the free slot where it would go. O(1).
  @inlinable @inline(__always)
  func find(_ fingerprint: UInt64, in shard: UnsafeMutablePointer<Shard>) -> Int {
    let slots = FingerprintTable.slots(shard.pointee.region)
    let tags = shard.pointee.tags
    let wanted = UInt64(FingerprintTable.tag(fingerprint)) &* FingerprintTable.ones
    var group = Int(truncatingIfNeeded: fingerprint) & shard.pointee.mask
    while true {
      let word = UInt64(
        littleEndian: tags.load(
          fromByteOffset: group &* FingerprintTable.groupSize, as: UInt64.self))
      // Bytes that equal the tag become zero; a borrow can flag a stranger, which the comparison
      // of fingerprints then rejects.
      let difference = word ^ wanted
      var matches = (difference &- FingerprintTable.ones) & ~difference & FingerprintTable.tops
      while matches != 0 {
        let slot = group &* FingerprintTable.groupSize &+ matches.trailingZeroBitCount &>> 3
        if slots[slot].fingerprint == fingerprint { return slot }
        matches &= matches &- 1
      }
      let free = ~word & FingerprintTable.tops
      if free != 0 {
        return -1 &- (group &* FingerprintTable.groupSize &+ free.trailingZeroBitCount &>> 3)
      }
      group = (group &+ 1) & shard.pointee.mask
    }
  }

  /// The time kept for a fingerprint; nil when it is not here. O(1).
  @inlinable @inline(__always)
  public func time(of fingerprint: UInt64) -> Int64? {
    let shard = shard(fingerprint)
    let slot = find(fingerprint, in: shard)
    return slot >= 0 ? FingerprintTable.slots(shard.pointee.region)[slot].time : nil
  }

  /// Loads what a search for the fingerprint begins with; returns something of it.
  @inlinable @inline(__always)
  public func touch(_ fingerprint: UInt64) -> UInt64 {
    let shard = shard(fingerprint)
    let group = Int(truncatingIfNeeded: fingerprint) & shard.pointee.mask
    return shard.pointee.tags.load(
      fromByteOffset: group &* FingerprintTable.groupSize, as: UInt64.self)
  }

  /// Loads a slot near the one that the fingerprint would go to; returns something of it.
  @inlinable @inline(__always)
  public func touchSlot(_ fingerprint: UInt64) -> UInt64 {
    let shard = shard(fingerprint)
    let group = Int(truncatingIfNeeded: fingerprint) & shard.pointee.mask
    return FingerprintTable.slots(shard.pointee.region)[
      group &* FingerprintTable.groupSize &+ FingerprintTable.groupSize / 2
    ].fingerprint
  }

  /// Keeps `time` for a fingerprint, new or not. Amortised O(1).
  ///
  /// - Precondition: `fingerprint != 0`.
  @inlinable @inline(__always)
  public func set(_ fingerprint: UInt64, time: Int64) {
    let shard = shard(fingerprint)
    var slot = find(fingerprint, in: shard)
    if slot < 0 {
      slot = -1 &- slot
      shard.pointee.used &+= 1
      shard.pointee.tags.storeBytes(
        of: FingerprintTable.tag(fingerprint), toByteOffset: slot, as: UInt8.self)
    }
    Region.willChange(shard.pointee.region, slot)
    FingerprintTable.slots(shard.pointee.region)[slot] = Slot(fingerprint: fingerprint, time: time)
    if shard.pointee.used > shard.pointee.usedMax { grow(shard) }
  }

  @usableFromInline @inline(never)
  func grow(_ shard: UnsafeMutablePointer<Shard>) {
    let region = shard.pointee.region
    let old = FingerprintTable.slots(region)
    let oldCount = region.pointee.count
    let memory = StateMemory(byteCount: oldCount * 2 * MemoryLayout<Slot>.stride)
    let slots = memory.base.assumingMemoryBound(to: Slot.self)
    let used = shard.pointee.used
    shard.pointee.tagMemory.deallocate()
    shard.pointee = FingerprintTable.emptyShard(
      UnsafePointer(shard) - UnsafePointer(shards), region, slots: oldCount * 2)
    shard.pointee.used = used
    for k in 0..<oldCount where old[k].fingerprint != 0 {
      let slot = place(old[k].fingerprint, in: shard)
      slots[slot] = old[k]
    }
    region.pointee.replaceMemory(memory, capacity: oldCount * 2)
    region.pointee.count = oldCount * 2
  }

  /// Takes the first free slot for a fingerprint that is known to be new.
  private func place(_ fingerprint: UInt64, in shard: UnsafeMutablePointer<Shard>) -> Int {
    var group = Int(truncatingIfNeeded: fingerprint) & shard.pointee.mask
    while true {
      let offset = group * FingerprintTable.groupSize
      let word = UInt64(
        littleEndian: shard.pointee.tags.load(fromByteOffset: offset, as: UInt64.self))
      let free = ~word & FingerprintTable.tops
      if free != 0 {
        let slot = offset + free.trailingZeroBitCount >> 3
        shard.pointee.tags.storeBytes(
          of: FingerprintTable.tag(fingerprint), toByteOffset: slot, as: UInt8.self)
        return slot
      }
      group = (group + 1) & shard.pointee.mask
    }
  }

  /// Forgets everything, keeping room for about as many again.
  public func removeAll() {
    for i in 0..<(1 << FingerprintTable.shardBits) {
      var slots = FingerprintTable.smallestShard
      while slots * 7 < shards[i].used * 8 { slots *= 2 }
      let region = shards[i].region
      shards[i].tagMemory.deallocate()
      shards[i] = FingerprintTable.emptyShard(i, region, slots: slots)
      region.pointee.replaceMemory(
        StateMemory(byteCount: slots * MemoryLayout<Slot>.stride), capacity: slots)
      region.pointee.count = slots
    }
  }

  /// Calls `body` with every fingerprint and its time, in no particular order.
  public func visit(_ body: (_ fingerprint: UInt64, _ time: Int64) -> Void) {
    for i in 0..<(1 << FingerprintTable.shardBits) {
      let region = shards[i].region
      let slots = FingerprintTable.slots(region)
      for k in 0..<region.pointee.count where slots[k].fingerprint != 0 {
        body(slots[k].fingerprint, slots[k].time)
      }
    }
  }
}
