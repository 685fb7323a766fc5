import Events
import Streaming
import Testing

@Suite struct HugePagePoolTests {
  /// Blocks are apart, zeroed and aligned whatever was given back before, and nothing stays behind.
  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func blocksAreApartAndZeroed(seed: UInt64) throws {
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    let pool = HugePagePool()
    var blocks: [(base: UnsafeMutableRawPointer, bytes: Int)] = []
    for _ in 0..<400 {
      if blocks.count > 24 || (!blocks.isEmpty && random.next() % 5 < 2) {
        let block = blocks.remove(at: Int(random.next() % UInt64(blocks.count)))
        pool.giveBack(block.base, block.bytes)
      } else {
        let bytes = HugePagePool.smallestBlock << Int(random.next() % 5)
        let base = try #require(pool.take(bytes))
        #expect(Int(bitPattern: base) % bytes == 0)
        let words = UnsafeBufferPointer(
          start: base.assumingMemoryBound(to: UInt64.self), count: bytes / 8)
        #expect(words.allSatisfy { $0 == 0 })
        #expect(blocks.allSatisfy { base + bytes <= $0.base || $0.base + $0.bytes <= base })
        base.initializeMemory(as: UInt8.self, repeating: 0xA5, count: bytes)
        blocks.append((base, bytes))
      }
    }
    for block in blocks { pool.giveBack(block.base, block.bytes) }
    #expect(pool.pageCount == 0)
  }

  /// Halves that are free again serve as a whole: what grows in shards takes no more huge pages
  /// than it has bytes.
  @Test func freeHalvesAreJoined() throws {
    let pool = HugePagePool()
    let small = try (0..<32).map { _ in try #require(pool.take(HugePagePool.smallestBlock)) }
    #expect(pool.pageCount == 1)
    for block in small.dropLast(16) { pool.giveBack(block, HugePagePool.smallestBlock) }
    let large = try #require(pool.take(HugePagePool.largestBlock))
    #expect(pool.pageCount == 1)
    pool.giveBack(large, HugePagePool.largestBlock)
    for block in small.suffix(16) { pool.giveBack(block, HugePagePool.smallestBlock) }
    #expect(pool.pageCount == 0)
  }
}
