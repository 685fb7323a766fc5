#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Time as a load measures it.
protocol LoadClock: Sendable {
  /// Monotonic nanoseconds.
  func now() -> Int64

  /// Returns at the time or a little later.
  func sleep(until time: Int64)
}

struct SystemLoadClock: LoadClock {
  func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  func sleep(until time: Int64) {
    let left = time - now()
    guard left > 0 else { return }
    var wanted = timespec(
      tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
    nanosleep(&wanted, nil)
  }
}

extension LoadClock {
  func sleep(milliseconds: Int64) { sleep(until: now() + milliseconds * 1_000_000) }
}

/// What a process has used of the processors.
enum ProcessorTime {
  /// Seconds of another process so far; nil where the system does not tell.
  static func seconds(of process: pid_t) -> Double? {
    #if os(Linux)
      var clock = clockid_t()
      var time = timespec()
      guard clock_getcpuclockid(process, &clock) == 0, clock_gettime(clock, &time) == 0 else {
        return nil
      }
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    #else
      return nil
    #endif
  }

  /// Seconds of this process so far.
  static func ofThisProcess() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
