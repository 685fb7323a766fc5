// The operating system's files as this target uses them: descriptors that close themselves,
// errors that say what to do, and the one place where tests can make a write fail. Knows nothing
// of logs.

import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An open file; closed when it goes out of scope.
struct FileDescriptor: ~Copyable {
  let raw: Int32
  let path: String
  private let faults: WriteFaults?
  private let isOwned: Bool

  /// - Throws: `.missing` where there is no such file, else what `LogError.system` makes of it.
  init(
    open path: String, _ flags: Int32, faults: WriteFaults? = nil
  ) throws(LogError) {
    if flags & O_CREAT != 0, let faults { try faults.spend(1, "create", path) }
    var descriptor: Int32
    repeat {
      descriptor = open(path, flags | O_CLOEXEC, 0o644)
    } while descriptor < 0 && errno == EINTR
    guard descriptor >= 0 else { throw .system("open", path, errno) }
    self.raw = descriptor
    self.path = path
    self.faults = faults
    self.isOwned = true
  }

  /// A descriptor that someone else closes.
  init(borrowing raw: Int32, path: String) {
    self.raw = raw
    self.path = path
    self.faults = nil
    self.isOwned = false
  }

  deinit {
    if isOwned { _ = close(raw) }
  }

  struct Status {
    var size: Int64
    /// No name leads to the file any more.
    var isUnlinked: Bool
    var isDirectory: Bool
    var device: UInt64
    var inode: UInt64
  }

  func status() throws(LogError) -> Status {
    var found = stat()
    guard fstat(raw, &found) == 0 else { throw .system("look at", path, errno) }
    return Status(
      size: Int64(found.st_size), isUnlinked: found.st_nlink == 0,
      isDirectory: found.st_mode & S_IFMT == S_IFDIR,
      device: UInt64(truncatingIfNeeded: found.st_dev),
      inode: UInt64(truncatingIfNeeded: found.st_ino))
  }

  func size() throws(LogError) -> Int64 { try status().size }

  /// One read from where the file stands; 0 at its end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
    guard let start = buffer.baseAddress, buffer.count > 0 else { return 0 }
    while true {
      #if canImport(Glibc)
        let count = Glibc.read(raw, start, buffer.count)
      #elseif canImport(Musl)
        let count = Musl.read(raw, start, buffer.count)
      #else
        let count = Darwin.read(raw, start, buffer.count)
      #endif
      if count >= 0 { return count }
      if errno != EINTR { throw .system("read", path, errno) }
    }
  }

  /// Reads from `position` until the buffer is full or the file ends; returns the bytes read.
  func read(at position: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int
  {
    guard let start = buffer.baseAddress else { return 0 }
    var done = 0
    while done < buffer.count {
      let count = pread(raw, start + done, buffer.count - done, off_t(position) + off_t(done))
      if count == 0 { break }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw .system("read", path, errno)
      }
    }
    return done
  }

  /// Writes all bytes at `position`. After an error any part of them may stand there.
  func write(_ bytes: UnsafeRawBufferPointer, at position: Int64) throws(LogError) {
    guard let start = bytes.baseAddress else { return }
    var allowed = bytes.count
    if let faults { allowed = faults.allowance(bytes.count) }
    var done = 0
    while done < allowed {
      let count = pwrite(raw, start + done, allowed - done, off_t(position) + off_t(done))
      if count > 0 {
        done += count
      } else if count == 0 {
        throw .system("write", path, ENOSPC)
      } else if errno != EINTR {
        throw .system("write", path, errno)
      }
    }
    if allowed < bytes.count, let faults { throw .system("write", path, faults.errorNumber) }
  }

  func truncate(to size: Int64) throws(LogError) {
    if let faults { try faults.spend(1, "cut", path) }
    while ftruncate(raw, off_t(size)) != 0 {
      if errno != EINTR { throw .system("cut", path, errno) }
    }
  }

  /// Forces the file's bytes, and the size needed to read them back, to the disk.
  func sync() throws(LogError) {
    if let faults { try faults.spend(1, "sync", path) }
    #if canImport(Darwin)
      // Plain fsync does not reach the platter there.
      if fcntl(raw, F_FULLFSYNC) == 0 { return }
      guard fsync(raw) == 0 else { throw .system("sync", path, errno) }
    #else
      guard fdatasync(raw) == 0 else { throw .system("sync", path, errno) }
    #endif
  }

  /// Takes the exclusive lock of the file, or returns false where another one holds it.
  func tryLock() throws(LogError) -> Bool {
    while flock(raw, LOCK_EX | LOCK_NB) != 0 {
      if errno == EWOULDBLOCK { return false }
      if errno != EINTR { throw .system("lock", path, errno) }
    }
    return true
  }

  /// Gives the lock back, whoever else has a copy of this descriptor.
  func unlock() {
    while flock(raw, LOCK_UN) != 0, errno == EINTR {}
  }

  /// Waits for the exclusive lock of the file.
  func lock() throws(LogError) {
    while flock(raw, LOCK_EX) != 0 {
      if errno != EINTR { throw .system("lock", path, errno) }
    }
  }
}

extension LogError {
  /// What a file call's error number means for whoever runs the program.
  static func system(_ verb: String, _ path: String, _ number: Int32) -> LogError {
    let text = String(cString: strerror(number))
    let advice: String
    var kind = Kind.unavailable
    var recovery = Recovery.stop
    switch number {
    case ENOENT:
      kind = .missing
      advice = "check the path"
    case ENOSPC, EDQUOT:
      recovery = .retry
      advice = "free some space; nothing that was committed is lost"
    case EROFS, EACCES, EPERM:
      advice = "give this user the right to write there, or name another directory"
    case EMFILE, ENFILE:
      recovery = .retry
      advice = "allow more open files (ulimit -n)"
    case EIO:
      recovery = .retry
      advice = "the disk reports an error: check it (dmesg) and `bidmill log verify`"
    case EISDIR, ENOTDIR:
      kind = .configuration
      advice = "check whether the path should name a file or a directory"
    default:
      advice = "check the path and the disk"
    }
    return LogError(kind, recovery: recovery, "cannot \(verb) \(path): \(text); \(advice)")
  }
}

/// Milliseconds of one of the system's clocks.
func clockMilliseconds(_ clock: clockid_t) -> Int64 {
  var now = timespec()
  _ = clock_gettime(clock, &now)
  return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
}
