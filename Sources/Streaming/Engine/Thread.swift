#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An operating system thread: for what may block, which the cooperative pool must not.
package final class Thread: @unchecked Sendable {
  private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  // Written once before anyone else sees it; `join` is called once.
  private let handle: pthread_t

  package init(name: String, _ body: @escaping @Sendable () -> Void) {
    let start = Unmanaged.passRetained(Start(body)).toOpaque()
    #if canImport(Darwin)
      var created: pthread_t?
      let status = pthread_create(
        &created, nil,
        { raw in
          Unmanaged<Start>.fromOpaque(raw).takeRetainedValue().body()
          return nil
        }, start)
      guard status == 0, let created else {
        preconditionFailure("the system gives no thread for \(name): \(status)")
      }
      handle = created
    #else
      var created = pthread_t()
      let status = pthread_create(
        &created, nil,
        { raw in
          guard let raw else { return nil }
          Unmanaged<Start>.fromOpaque(raw).takeRetainedValue().body()
          return nil
        }, start)
      precondition(status == 0, "the system gives no thread for \(name): \(status)")
      handle = created
    #endif
  }

  package func join() { pthread_join(handle, nil) }

  /// The calling thread is served after others from now on.
  static func yieldToOthers() {
    #if canImport(Darwin)
      pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0)
    #else
      // On Linux this is about the thread alone; where it is refused, all stay equal. The number
      // is PRIO_PROCESS, which each C library gives another type.
      setpriority(0, 0, 10)
    #endif
  }

  /// Identifies the calling thread.
  static var current: pthread_t { pthread_self() }
}

/// Wakes one sleeping thread.
final class Signal: @unchecked Sendable {
  // The condition and its lock must stay at their addresses.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private let isSet: UnsafeMutablePointer<Bool>

  init() {
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
    condition = .allocate(capacity: 1)
    condition.initialize(to: pthread_cond_t())
    #if canImport(Darwin)
      pthread_cond_init(condition, nil)
    #else
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      pthread_cond_init(condition, &attributes)
      pthread_condattr_destroy(&attributes)
    #endif
    isSet = .allocate(capacity: 1)
    isSet.initialize(to: false)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
    isSet.deallocate()
  }

  func notify() {
    pthread_mutex_lock(mutex)
    isSet.pointee = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  /// Returns after a `notify` since the last return, or after the time.
  func wait(milliseconds: Int64?) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if let milliseconds {
      var deadline = timespec()
      #if canImport(Darwin)
        clock_gettime(CLOCK_REALTIME, &deadline)
      #else
        clock_gettime(CLOCK_MONOTONIC, &deadline)
      #endif
      let nanoseconds = Int64(deadline.tv_nsec) + milliseconds % 1000 * 1_000_000
      deadline.tv_sec += Int(milliseconds / 1000 + nanoseconds / 1_000_000_000)
      deadline.tv_nsec = Int(nanoseconds % 1_000_000_000)
      while !isSet.pointee {
        if pthread_cond_timedwait(condition, mutex, &deadline) != 0 { break }
      }
    } else {
      while !isSet.pointee { pthread_cond_wait(condition, mutex) }
    }
    isSet.pointee = false
  }
}
