import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// `bidmill run` as a process of its own, for as long as a load lasts.
///
/// In a process group of its own: what is typed to stop the load must not stop the run before it.
final class ChildRun {
  let process: pid_t
  private var status: Int32?

  /// - Parameter arguments: those after `bidmill run`.
  init(_ arguments: [String]) throws(Failure) {
    var actions = ChildRun.fileActions()
    var attributes = ChildRun.attributes()
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    let path = try ChildRun.executable()
    var words = ([path, "run"] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var process: pid_t = 0
    let code = posix_spawn(&process, path, &actions, &attributes, &words, environ)
    guard code == 0 else {
      throw Failure(
        .unavailable, "error: cannot start `bidmill run`: \(String(cString: strerror(code)))")
    }
    self.process = process
  }

  deinit { if status == nil { kill(process, SIGTERM) } }

  private static func executable() throws(Failure) -> String {
    #if os(Linux)
      return "/proc/self/exe"
    #else
      return CommandLine.arguments[0]
    #endif
  }

  /// Its results go nowhere, its messages where ours go.
  private static func fileActions() -> posix_spawn_file_actions_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    return actions
  }

  /// Signals are blocked here, and must not be there.
  private static func attributes() -> posix_spawnattr_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETPGROUP))
    return attributes
  }

  /// - Throws: where it has ended; it has said why.
  func check() throws(Failure) {
    guard let status = ended(waiting: false) else { return }
    throw Failure(
      .unavailable, "error: the run has ended (\(ChildRun.describe(status))) before the load has")
  }

  var processorSeconds: Double? {
    status == nil ? ProcessorTime.seconds(of: process) : nil
  }

  /// Drains it.
  ///
  /// - Throws: where it ended in another way than it should.
  func end() throws(Failure) {
    if status == nil { kill(process, SIGTERM) }
    guard let status = ended(waiting: true), status != 0 else { return }
    throw Failure(.unavailable, "error: the run ended badly (\(ChildRun.describe(status)))")
  }

  private func ended(waiting: Bool) -> Int32? {
    if let status { return status }
    var status: Int32 = 0
    var result: pid_t
    repeat {
      result = waitpid(process, &status, waiting ? 0 : WNOHANG)
    } while result < 0 && errno == EINTR
    guard result != 0 else { return nil }
    self.status = status
    return status
  }

  private static func describe(_ status: Int32) -> String {
    let signal = status & 0x7f
    return signal == 0 ? "status \(status >> 8 & 0xff)" : "signal \(signal)"
  }
}
