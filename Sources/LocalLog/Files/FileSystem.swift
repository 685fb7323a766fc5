import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Calls on paths, with the errors of this target.
enum FileSystem {
  static func makeDirectory(_ path: String, faults: WriteFaults? = nil) throws(LogError) {
    if isDirectory(path) { return }
    if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
      let parent = String(path[..<slash])
      if !isDirectory(parent) { try makeDirectory(parent, faults: faults) }
    }
    if let faults { try faults.spend(1, "create", path) }
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
      throw .system("create the directory", path, errno)
    }
    guard isDirectory(path) else { throw .system("create the directory", path, ENOTDIR) }
  }

  static func isDirectory(_ path: String) -> Bool {
    var found = stat()
    return stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
  }

  static func exists(_ path: String) -> Bool {
    var found = stat()
    return stat(path, &found) == 0
  }

  /// Device and inode: whether two paths are one file.
  static func identity(_ path: String) -> (UInt64, UInt64)? {
    var found = stat()
    guard stat(path, &found) == 0 else { return nil }
    return (UInt64(truncatingIfNeeded: found.st_dev), UInt64(truncatingIfNeeded: found.st_ino))
  }

  /// Names in a directory, sorted; empty where there is no such directory.
  static func list(_ path: String) throws(LogError) -> [String] {
    guard let directory = opendir(path) else {
      if errno == ENOENT { return [] }
      throw .system("list", path, errno)
    }
    defer { closedir(directory) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else {
        if errno != 0 { throw .system("list", path, errno) }
        break
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  static func rename(
    _ from: String, to: String, faults: WriteFaults? = nil
  ) throws(LogError) {
    if let faults { try faults.spend(1, "rename", from) }
    #if canImport(Glibc)
      let result = Glibc.rename(from, to)
    #elseif canImport(Musl)
      let result = Musl.rename(from, to)
    #else
      let result = Darwin.rename(from, to)
    #endif
    guard result == 0 else { throw .system("rename", from, errno) }
  }

  /// Removes a file; one that is not there is fine.
  static func remove(_ path: String, faults: WriteFaults? = nil) throws(LogError) {
    if let faults { try faults.spend(1, "remove", path) }
    guard unlink(path) == 0 || errno == ENOENT else { throw .system("remove", path, errno) }
  }

  /// Makes the names in a directory durable.
  static func syncDirectory(_ path: String, faults: WriteFaults? = nil) throws(LogError) {
    let directory = try FileDescriptor(open: path, O_RDONLY | O_DIRECTORY)
    if let faults { try faults.spend(1, "sync", path) }
    // Some file systems cannot sync a directory and say EINVAL: there is nothing more to do.
    guard fsync(directory.raw) == 0 || errno == EINVAL else { throw .system("sync", path, errno) }
  }

  /// A whole small file.
  static func read(_ path: String) throws(LogError) -> [UInt8] {
    let file = try FileDescriptor(open: path, O_RDONLY)
    let size = try file.size()
    guard size <= 64 << 20 else {
      throw LogError(.badData, "\(path) is \(size) bytes: too large to be what it should be")
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(size), alignment: 16)
    defer { buffer.deallocate() }
    let count = try file.read(at: 0, into: buffer)
    return [UInt8](buffer[..<count])
  }

  /// Replaces or creates a file so that a crash leaves the old one or the new one, whole.
  static func replace(
    _ path: String, with bytes: [UInt8], durable: Bool, faults: WriteFaults? = nil
  ) throws(LogError) {
    let temporary = path + ".tmp"
    do {
      let file = try FileDescriptor(open: temporary, O_WRONLY | O_CREAT | O_TRUNC, faults: faults)
      try file.write(bytes, at: 0)
      if durable { try file.sync() }
    }
    try rename(temporary, to: path, faults: faults)
    if durable, let slash = path.lastIndex(of: "/") {
      try syncDirectory(String(path[..<slash]), faults: faults)
    }
  }
}

extension FileDescriptor {
  func write(_ bytes: [UInt8], at position: Int64) throws(LogError) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try write(UnsafeRawBufferPointer(copy), at: position)
  }
}

extension FileSystem {
  static func size(_ path: String) throws(LogError) -> Int64 {
    try FileDescriptor(open: path, O_RDONLY).size()
  }
}
