import LocalLog
import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What `--from` names: JSON Lines files, or one local log.
enum InputPaths {
  case files([String])
  case log(LocalLogStore)

  static let suffixes = [".jsonl", ".jsonl.zst"]

  /// - Parameter paths: files, `-`, directories of files, or the directory of a local log.
  static func resolve(_ paths: [String]) throws -> InputPaths {
    var files: [String] = []
    for path in paths {
      if path == "kafka" || path.hasPrefix("kafka:") {
        throw Failure(
          .configuration,
          "error: \(path) is not read here; record it with `bidmill log record`, and use that")
      }
      guard path != "-" else {
        guard !files.contains("-") else {
          throw Failure(.usage, "error: standard input (`-`) can be read once")
        }
        files.append(path)
        continue
      }
      switch PathKind(path) {
      case .missing:
        throw Failure(.missing, "error: there is no \(path); check the path")
      case .file: files.append(path)
      case .directory where PathKind("\(path)/bidmill-log.json") == .file:
        guard paths.count == 1 else {
          throw Failure(
            .usage, "error: \(path) is a local log; replay one log, or files, but not both at once")
        }
        return .log(try LocalLogStore.open(path))
      case .directory: files += try filesIn(path)
      }
    }
    return .files(files)
  }

  private static func filesIn(_ directory: String) throws -> [String] {
    let names = try list(directory).filter { name in suffixes.contains { name.hasSuffix($0) } }
    guard !names.isEmpty else {
      throw Failure(
        .missing,
        "error: \(directory) holds no *.jsonl and no *.jsonl.zst file, and is no local log")
    }
    var root = directory
    while root.utf8.count > 1, root.hasSuffix("/") { root.removeLast() }
    return names.map { root == "/" ? "/\($0)" : "\(root)/\($0)" }
  }

  /// The names in a directory, sorted by their bytes.
  static func list(_ directory: String) throws -> [String] {
    guard let handle = opendir(directory) else {
      throw Failure(
        .missing,
        "error: cannot read the directory \(directory): \(String(cString: strerror(errno)))")
    }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}

/// What stands at a path.
enum PathKind {
  case missing
  /// A file, or a pipe, or whatever else is read and written like one.
  case file
  case directory

  init(_ path: String) {
    var found = stat()
    guard stat(path, &found) == 0 else {
      self = .missing
      return
    }
    self = found.st_mode & S_IFMT == S_IFDIR ? .directory : .file
  }

  /// Whether a file of bytes stands there, as opposed to a device or a pipe.
  static func isRegular(_ path: String) -> Bool {
    var found = stat()
    return stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFREG
  }

  /// Bytes of the file that stands there; 0 when none does.
  static func byteCount(_ path: String) -> Int64 {
    var found = stat()
    return stat(path, &found) == 0 ? Int64(found.st_size) : 0
  }
}
