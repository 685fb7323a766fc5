/// Memory for text that is not in a record as it stands: what escapes mean.
///
/// Bytes never move until `reset`. Blocks are kept, so a steady stream allocates nothing.
struct TextArena: ~Copyable {
  private struct Block {
    var start: UnsafeMutablePointer<UInt8>
    var capacity: Int
  }

  /// A place to go back to.
  struct Mark {
    fileprivate var block: Int
    fileprivate var used: Int
  }

  private static let blockCapacity = 16_384
  /// Blocks kept over a reset; a rare huge record does not hold its memory for ever.
  private static let blocksKept = 8

  private var blocks: [Block] = []
  private var current = 0
  private var used = 0

  init() {}

  deinit {
    for block in blocks { block.start.deallocate() }
  }

  var mark: Mark { Mark(block: current, used: used) }

  /// Forgets what was taken since `mark`.
  mutating func rewind(to mark: Mark) {
    current = mark.block
    used = mark.used
  }

  /// Forgets everything.
  mutating func reset() {
    current = 0
    used = 0
    var index = 0
    while index < blocks.count {
      if index >= Self.blocksKept || blocks[index].capacity > Self.blockCapacity {
        blocks.remove(at: index).start.deallocate()
      } else {
        index += 1
      }
    }
  }

  /// Room for at least `count` bytes in one piece; `commit` says how many of them were used.
  mutating func reserve(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    while current < blocks.count {
      if blocks[current].capacity - used >= count { return blocks[current].start + used }
      current += 1
      used = 0
    }
    let capacity = max(count, Self.blockCapacity)
    blocks.append(Block(start: .allocate(capacity: capacity), capacity: capacity))
    return blocks[current].start
  }

  mutating func commit(_ count: Int) { used += count }
}
