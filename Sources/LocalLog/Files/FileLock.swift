import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The right to write in a directory, held by one open handle on this machine at a time.
///
/// The kernel gives the lock back when the process ends, however it ends; the number in the file
/// only says whom to ask.
struct FileLock: ~Copyable {
  private let file: FileDescriptor

  /// - Parameter what: what is locked, for the message ("partition 3 of the group live").
  /// - Throws: `.unavailable` that names the process that holds it.
  init(_ path: String, what: String) throws(LogError) {
    let opened = try FileDescriptor(open: path, O_RDWR | O_CREAT)
    guard try opened.tryLock() else {
      var holder = "another process"
      if let bytes = try? FileSystem.read(path), !bytes.isEmpty {
        let digits = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        if let number = Int32(digits) {
          holder = number == getpid() ? "this process" : "process \(number)"
        }
      }
      throw LogError(
        .unavailable, recovery: .stop,
        "\(what) is held by \(holder) (\(path)); stop that one first, or write to another one")
    }
    try opened.truncate(to: 0)
    try opened.write([UInt8]("\(getpid())\n".utf8), at: 0)
    file = opened
  }

  deinit {
    // Said aloud: closing alone leaves the lock with a child process that was forked meanwhile,
    // for as long as it has not come to its own program.
    file.unlock()
  }
}
