/// Finds the rows of features by their hashes: open addressing with linear probing.
///
/// 8 bytes a slot; grows by a third at 7/8, so it takes 9 to 12 bytes a feature. Holds no state of
/// its own: whoever owns the rows knows their features and can fill it again. Two features differ
/// in their hashes, so a found slot needs no second look.
@frozen
public struct FeatureIndex {
  @usableFromInline
  struct Slot: BitwiseCopyable {
    @usableFromInline var feature: UInt32
    /// Row + 1; 0 is free.
    @usableFromInline var row: Int32
    @inlinable
    init(feature: UInt32, row: Int32) {
      self.feature = feature
      self.row = row
    }
  }

  @usableFromInline var slots: UnsafeMutablePointer<Slot>
  @usableFromInline var capacity: Int
  public private(set) var count: Int

  public init() {
    (slots, capacity, count) = (FeatureIndex.memory(8), 8, 0)
  }

  public func deallocate() { slots.deallocate() }

  private static func memory(_ capacity: Int) -> UnsafeMutablePointer<Slot> {
    let slots = UnsafeMutablePointer<Slot>.allocate(capacity: capacity)
    slots.initialize(repeating: Slot(feature: 0, row: 0), count: capacity)
    return slots
  }

  /// Spread over the table by a multiplication, because a mask makes all high bits 0.
  @inlinable @inline(__always)
  func home(_ feature: UInt32) -> Int {
    let spread = feature &* 0x9E37_79B1
    return Int(truncatingIfNeeded: (UInt64(spread) &* UInt64(capacity)) &>> 32)
  }

  /// The row of a feature; -1 when there is none. Amortised O(1).
  @inlinable @inline(__always)
  public func row(of feature: UInt32) -> Int32 {
    var i = home(feature)
    while true {
      let slot = slots[i]
      if slot.row == 0 { return -1 }
      if slot.feature == feature { return slot.row &- 1 }
      i &+= 1
      if i == capacity { i = 0 }
    }
  }

  /// Loads the slot at which a search begins; returns something of it.
  @inlinable @inline(__always)
  public func touch(_ feature: UInt32) -> Int32 { slots[home(feature)].row }

  /// Adds a feature that is not there. Amortised O(1).
  public mutating func insert(_ feature: UInt32, row: Int32) {
    if count >= capacity - capacity / 8 - 1 { grow() }
    place(Slot(feature: feature, row: row + 1))
    count += 1
  }

  public mutating func removeAll() {
    slots.deallocate()
    self = FeatureIndex()
  }

  private func place(_ slot: Slot) {
    var i = home(slot.feature)
    while slots[i].row != 0 {
      i += 1
      if i == capacity { i = 0 }
    }
    slots[i] = slot
  }

  private mutating func grow() {
    let (old, oldCapacity) = (slots, capacity)
    capacity = max(16, capacity + capacity / 3)
    slots = FeatureIndex.memory(capacity)
    for i in 0..<oldCapacity where old[i].row != 0 { place(old[i]) }
    old.deallocate()
  }

  /// Bytes that the slots take.
  public var byteCount: Int { capacity * MemoryLayout<Slot>.stride }
}
