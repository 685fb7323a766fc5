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

  /// Nanoseconds in which the calling thread had a processor.
  @inline(__always)
  public static func threadNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }

  /// What a job took.
  public struct Cost: Sendable {
    public var seconds: Double
    /// Of all threads and, once they have ended, all children: what other processes do beside it
    /// hardly shows here.
    public var cpuSeconds: Double

    public init(seconds: Double = 0, cpuSeconds: Double = 0) {
      self.seconds = seconds
      self.cpuSeconds = cpuSeconds
    }
  }

  public static func cost(_ job: () throws -> Void) rethrows -> Cost {
    let (start, cpu) = (nanoseconds(), cpuSeconds())
    try job()
    return Cost(seconds: Double(nanoseconds() - start) / 1e9, cpuSeconds: cpuSeconds() - cpu)
  }

  /// Seconds of processor time of this process and its ended children.
  public static func cpuSeconds() -> Double {
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    var sum = 0.0
    for who in [System.this, System.children] {
      var usage = rusage()
      getrusage(who, &usage)
      sum += seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
    return sum
  }

  // RUSAGE_SELF and RUSAGE_CHILDREN, which each platform gives another type.
  private static let this: Int32 = 0
  private static let children: Int32 = -1

  /// Runs a job and returns its seconds.
  public static func seconds(_ job: () throws -> Void) rethrows -> Double {
    let start = nanoseconds()
    try job()
    return Double(nanoseconds() - start) / 1e9
  }

  /// Lets this thread, the threads it makes from now on and its children use the first `count`
  /// cores only; false where the system has no `taskset`.
  @discardableResult
  public static func useCores(_ count: Int) -> Bool {
    shell("taskset -cp 0-\(count - 1) \(getpid()) > /dev/null 2>&1") == 0
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
