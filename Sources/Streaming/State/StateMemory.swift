#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A block of zeroed memory for rows.
///
/// Blocks begin with a cache line, so that a row of half or a quarter of one never stands on two,
/// and rows may hold vectors. Large blocks come straight from the kernel: lazily, so that growing
/// does not stop the stream to clear them, and in huge pages where there are any, because rows are
/// found by hash and each would otherwise cost a miss in the page tables besides the one in the
/// caches. Blocks of medium size share huge pages (`HugePagePool`); small ones are the C library's.
package struct StateMemory {
  static let hugePageBytes = 2 << 20
  private static let alignment = 64
  /// Blocks of at least this size take memory only where they are used.
  static let lazyBytes = hugePageBytes

  package let base: UnsafeMutableRawPointer
  private let byteCount: Int

  /// - Precondition: There is memory.
  package init(byteCount: Int) {
    guard let memory = StateMemory(trying: byteCount) else {
      preconditionFailure("out of memory: \(byteCount) bytes of operator state")
    }
    self = memory
  }

  /// nil when there is no memory for it.
  package init?(trying byteCount: Int) {
    self.byteCount = max(byteCount, 1)
    let memory =
      if self.byteCount < HugePagePool.smallestBlock {
        StateMemory.small(self.byteCount)
      } else if self.byteCount <= HugePagePool.largestBlock {
        HugePagePool.shared.take(self.byteCount)
      } else {
        StateMemory.map(self.byteCount)
      }
    guard let memory else { return nil }
    base = memory
  }

  private static func small(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, alignment, byteCount) == 0, let memory else { return nil }
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    return memory
  }

  package func deallocate() {
    if byteCount < HugePagePool.smallestBlock {
      free(base)
    } else if byteCount <= HugePagePool.largestBlock {
      HugePagePool.shared.giveBack(base, byteCount)
    } else {
      StateMemory.unmap(base, byteCount)
    }
  }

  /// Whole huge pages.
  private static func mappedBytes(_ byteCount: Int) -> Int {
    (byteCount + hugePageBytes - 1) / hugePageBytes * hugePageBytes
  }

  static func unmap(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
    munmap(base, mappedBytes(byteCount))
  }

  /// Zeroed memory from the kernel that begins at a multiple of a huge page.
  static func map(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard byteCount <= Int.max - 2 * hugePageBytes else { return nil }
    let wanted = mappedBytes(byteCount)
    // Nothing is reserved: most of a block may never be used.
    #if canImport(Darwin)
      let flags = MAP_PRIVATE | MAP_ANON
    #else
      let flags = MAP_PRIVATE | Int32(MAP_ANONYMOUS) | Int32(MAP_NORESERVE)
    #endif
    // One huge page more than needed, to begin at a multiple of its size.
    guard
      let raw = mmap(nil, wanted + hugePageBytes, PROT_READ | PROT_WRITE, flags, -1, 0),
      raw != MAP_FAILED
    else { return nil }
    let misfit = Int(bitPattern: raw) & (hugePageBytes - 1)
    let lead = misfit == 0 ? 0 : hugePageBytes - misfit
    let base = raw + lead
    if lead > 0 { munmap(raw, lead) }
    if hugePageBytes > lead { munmap(base + wanted, hugePageBytes - lead) }
    #if !canImport(Darwin)
      madvise(base, wanted, MADV_HUGEPAGE)
    #endif
    return base
  }
}
