// What the benchmarks share: clocks, histories, logs in memory, and the measured jobs themselves.
// Nothing here prints or compares; that is the suite's and the tools' business.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Time and the machine.
public enum System {
  /// Nanoseconds of the monotonic clock.
  @inline(__always)
  public static func nanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }

  /// Runs a job and returns its seconds.
  public static func seconds(_ job: () throws -> Void) rethrows -> Double {
    let start = nanoseconds()
    try job()
    return Double(nanoseconds() - start) / 1e9
  }

  /// Lets this process, the threads it makes from now on and its children use the first `count`
  /// cores only; false where the system cannot.
  @discardableResult
  public static func useCores(_ count: Int) -> Bool {
    #if canImport(Glibc)
      var set = cpu_set_t()
      withUnsafeMutableBytes(of: &set) {
        for core in 0..<count { $0[core / 8] |= 1 << UInt8(core % 8) }
      }
      return sched_setaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0
    #else
      return false
    #endif
  }

  public static var coreCount: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

  /// The middle one of some values; nan of none.
  public static func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    return sorted.count % 2 == 1
      ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
  }

  public static func fileBytes(_ path: String) -> Int {
    var found = stat()
    return stat(path, &found) == 0 ? Int(found.st_size) : 0
  }

  /// Takes a file's pages out of the system's cache, so that the next reading is from the disk.
  public static func dropFromCache(_ path: String) {
    #if canImport(Glibc)
      let file = open(path, O_RDONLY)
      guard file >= 0 else { return }
      fdatasync(file)
      _ = posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
      close(file)
    #endif
  }

  /// Runs a command of the shell and returns its exit status.
  @discardableResult
  public static func shell(_ command: String) -> Int32 { system(command) }

  public static func makeDirectory(_ path: String) {
    var made = ""
    for part in path.split(separator: "/") {
      made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
      mkdir(made, 0o755)
    }
  }
}
