import Synchronization

/// Blocks of 64 KiB to 1 MiB, cut from huge pages that they share: tables that grow in shards
/// consist of many blocks of such a size, and each of them alone would get ordinary pages.
///
/// A buddy allocator: a block has a power of two of bytes and stands at a multiple of them; a free
/// one is split for smaller blocks and joined with its other half as soon as both are free. A huge
/// page without blocks goes back to the kernel. Shared by all partitions, behind a lock: tables
/// grow less and less often.
package final class HugePagePool: Sendable {
  static let shared = HugePagePool()
  package static let smallestBlock = 64 << 10
  package static let largestBlock = 1 << 20

  /// A huge page as a binary tree of blocks, the root at 1, the halves of `n` at `2n` and `2n + 1`.
  private struct Page {
    static let unitCount = StateMemory.hugePageBytes / smallestBlock
    let base: UInt
    /// The largest free block below each node, in units; 0 where there is none.
    var free: [Int]
    /// Units that were given out since the kernel cleared the page, a bit for each.
    var used: UInt32 = 0

    init(base: UInt) {
      self.base = base
      var free = [0]
      for node in 1..<2 * Page.unitCount { free.append(Page.size(node)) }
      self.free = free
    }

    /// Units of a node's block.
    static func size(_ node: Int) -> Int {
      unitCount >> (Int.bitWidth - 1 - node.leadingZeroBitCount)
    }

    var isEmpty: Bool { free[1] == Page.unitCount }

    /// The first unit of a free block, which is free no more. There must be one.
    mutating func take(_ units: Int) -> Int {
      var node = 1
      while Page.size(node) > units {
        node *= 2
        if free[node] < units { node += 1 }
      }
      free[node] = 0
      let first = node * units - Page.unitCount
      update(above: node)
      return first
    }

    mutating func giveBack(_ first: Int, _ units: Int) {
      let node = (first + Page.unitCount) / units
      free[node] = units
      update(above: node)
    }

    private mutating func update(above node: Int) {
      var node = node / 2
      while node > 0 {
        let (left, right) = (free[2 * node], free[2 * node + 1])
        let isWhole = left + right == Page.size(node)
        free[node] = isWhole ? left + right : max(left, right)
        node /= 2
      }
    }

    /// Marks units as used; true when some were used before.
    mutating func use(_ first: Int, _ units: Int) -> Bool {
      let mask = (UInt32.max >> UInt32(32 - units)) << UInt32(first)
      defer { used |= mask }
      return used & mask != 0
    }
  }

  private let pages = Mutex<[Page]>([])

  package init() {}

  /// Huge pages that are held.
  package var pageCount: Int { pages.withLock { $0.count } }

  private static func units(_ byteCount: Int) -> Int {
    var units = 1
    while units * smallestBlock < byteCount { units *= 2 }
    return units
  }

  /// A block of at least so many bytes, zeroed; nil when there is no memory.
  package func take(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    let units = HugePagePool.units(byteCount)
    let found: (base: UInt, isUsed: Bool)? = pages.withLock { pages in
      var number = pages.firstIndex { $0.free[1] >= units }
      if number == nil, let fresh = StateMemory.map(StateMemory.hugePageBytes) {
        pages.append(Page(base: UInt(bitPattern: fresh)))
        number = pages.count - 1
      }
      guard let number else { return nil }
      let first = pages[number].take(units)
      let isUsed = pages[number].use(first, units)
      return (pages[number].base + UInt(first * HugePagePool.smallestBlock), isUsed)
    }
    guard let found, let block = UnsafeMutableRawPointer(bitPattern: found.base) else { return nil }
    if found.isUsed {
      block.initializeMemory(
        as: UInt8.self, repeating: 0, count: units * HugePagePool.smallestBlock)
    }
    return block
  }

  package func giveBack(_ block: UnsafeMutableRawPointer, _ byteCount: Int) {
    let address = UInt(bitPattern: block)
    let offset = Int(address) & (StateMemory.hugePageBytes - 1)
    let base = address - UInt(offset)
    pages.withLock { pages in
      guard let number = pages.firstIndex(where: { $0.base == base }) else {
        preconditionFailure("a block goes back to the pool that it came from")
      }
      pages[number].giveBack(
        offset / HugePagePool.smallestBlock, HugePagePool.units(byteCount))
      guard pages[number].isEmpty else { return }
      pages.remove(at: number)
      if let empty = UnsafeMutableRawPointer(bitPattern: base) {
        StateMemory.unmap(empty, StateMemory.hugePageBytes)
      }
    }
  }
}
