#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Time that only ever goes forward, for waiting and for the idle clock. Never part of state: what
/// it causes is written to the journal as clock entries.
public protocol MonotonicClock: Sendable {
  /// Milliseconds since some fixed moment.
  func now() -> Int64
}

/// The system's monotonic clock.
public struct SystemClock: MonotonicClock {
  public init() {}

  public func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
