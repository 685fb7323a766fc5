#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Pages of memory between two that may not be touched: a read outside of them ends the test.
final class GuardedMemory {
  private let mapping: UnsafeMutableRawPointer
  private let pageBytes: Int
  private let usableBytes: Int

  init(pages: Int) {
    pageBytes = Int(getpagesize())
    usableBytes = pages * pageBytes
    let total = usableBytes + 2 * pageBytes
    let flags = MAP_PRIVATE | MAP_ANONYMOUS
    guard let mapping = mmap(nil, total, PROT_NONE, flags, -1, 0), mapping != MAP_FAILED else {
      preconditionFailure("the machine has memory for a few pages")
    }
    self.mapping = mapping
    precondition(
      mprotect(mapping + pageBytes, usableBytes, PROT_READ | PROT_WRITE) == 0,
      "pages of one's own can be opened")
  }

  deinit { munmap(mapping, usableBytes + 2 * pageBytes) }

  /// The bytes, right before the closed page behind.
  func atEnd(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
    place(bytes, at: mapping + pageBytes + usableBytes - bytes.count)
  }

  /// The bytes, right after the closed page in front.
  func atStart(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
    place(bytes, at: mapping + pageBytes)
  }

  private func place(_ bytes: [UInt8], at start: UnsafeMutableRawPointer)
    -> UnsafeRawBufferPointer
  {
    precondition(bytes.count <= usableBytes, "the record fits the pages")
    let target = UnsafeMutableRawBufferPointer(start: start, count: bytes.count)
    target.copyBytes(from: bytes)
    return UnsafeRawBufferPointer(target)
  }
}
