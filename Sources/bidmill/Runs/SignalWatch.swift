#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Turns the signals that ask a process to end into a call on a thread of its own.
///
/// Nothing runs inside a signal handler: the signals are blocked in every thread, and one thread
/// waits for them. A second signal ends the process at once.
enum SignalWatch {
  private static let signals = [SIGINT, SIGTERM, SIGHUP]

  private final class Start: Sendable {
    let body: @Sendable (Int32) -> Void
    init(_ body: @escaping @Sendable (Int32) -> Void) { self.body = body }
  }

  /// Call it before any other thread is made: threads inherit what is blocked.
  static func begin(_ body: @escaping @Sendable (Int32) -> Void) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    let start = Unmanaged.passRetained(Start(body)).toOpaque()
    #if canImport(Darwin)
      var thread: pthread_t?
      let status = pthread_create(&thread, nil, { SignalWatch.wait($0) }, start)
    #else
      var thread = pthread_t()
      let status = pthread_create(&thread, nil, { $0.flatMap { SignalWatch.wait($0) } }, start)
    #endif
    precondition(status == 0, "the system gives no thread to wait for signals: \(status)")
  }

  private static func wait(_ start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    let start = Unmanaged<Start>.fromOpaque(start).takeRetainedValue()
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    var received: Int32 = 0
    while sigwait(&set, &received) != 0 {}
    start.body(received)
    while sigwait(&set, &received) != 0 {}
    _exit(128 + received)
  }
}
