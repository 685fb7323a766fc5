#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Standard output and standard error.
enum Terminal {
  /// A reader that goes away (`| head`) is found out by the write that fails, not by a signal that
  /// ends a run without its last commit.
  static func ignoreClosedPipes() { signal(SIGPIPE, SIG_IGN) }

  static let errorIsTerminal = isatty(STDERR_FILENO) != 0

  /// Columns of the terminal behind standard error.
  static var width: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
    return Int(size.ws_col)
  }

  /// A line on standard error. What stands in a progress line is wiped first.
  static func error(_ text: String) {
    ProgressLine.interrupt {
      let line = Array((text + "\n").utf8)
      line.withUnsafeBytes { _ = writeAll($0, to: STDERR_FILENO) }
    }
  }

  /// Text on standard output, as it is.
  ///
  /// When nobody reads any more the process ends: all that is left to do is to write.
  static func output(_ text: String) throws(Failure) {
    let bytes = Array(text.utf8)
    var failure: Failure?
    bytes.withUnsafeBytes { bytes in
      do throws(Failure) { try output(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  static func output(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard let code = writeAll(bytes, to: STDOUT_FILENO) else { return }
    if code == EPIPE { Failure(.done).exit() }
    throw Failure(
      .unavailable, "error: cannot write to standard output: \(String(cString: strerror(code)))")
  }

  /// Nil, or what the system has against it.
  static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32? {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN {
          var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          _ = poll(&waiting, 1, -1)
          continue
        }
        return errno
      }
      rest = rest.dropFirst(count)
    }
    return nil
  }
}
