import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A thread that looks on while the engine runs.
final class Watcher: @unchecked Sendable {
  private final class Job: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  // Made before anyone else sees it; joined once.
  private var handle: pthread_t?

  init(_ body: @escaping @Sendable () -> Void) {
    let job = Unmanaged.passRetained(Job(body)).toOpaque()
    #if canImport(Darwin)
      pthread_create(
        &handle, nil,
        { raw in
          Unmanaged<Job>.fromOpaque(raw).takeRetainedValue().body()
          return nil
        }, job)
    #else
      var created = pthread_t()
      let status = pthread_create(
        &created, nil,
        { raw in
          if let raw { Unmanaged<Job>.fromOpaque(raw).takeRetainedValue().body() }
          return nil
        }, job)
      precondition(status == 0, "the system gives a thread")
      handle = created
    #endif
  }

  func join() {
    if let handle { pthread_join(handle, nil) }
  }

  static func sleep(milliseconds: Int) { usleep(UInt32(milliseconds * 1000)) }
}
