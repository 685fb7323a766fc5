// What the fuzz targets share: a law that must hold, seeds, a scratch directory in memory.
//
// A target is two functions that libFuzzer calls by name: `LLVMFuzzerInitialize` writes what
// fuzzing begins with into the corpus directory, `LLVMFuzzerTestOneInput` takes one input. What
// a target finds becomes a test where the code is; nothing is left here but the looking.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Ends the process, which libFuzzer reports as a finding, where a law does not hold.
///
/// Not `precondition`: its words are left out of release builds.
@inline(__always)
public func require(_ holds: Bool, _ law: @autoclosure () -> String) {
  if !holds { found(law()) }
}

@inline(never)
public func found(_ what: String) -> Never {
  let line = Array("broken law: \(what)\n".utf8)
  _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  if let scratchPath { Files.end(String(cString: scratchPath)) }
  abort()
}

/// Files that fuzzing begins with.
public enum Seeds {
  /// Writes seeds into the last directory that the command line names, as libFuzzer's do.
  public static func write(_ seeds: [[UInt8]]) {
    guard let last = CommandLine.arguments.dropFirst().last(where: { !$0.hasPrefix("-") }) else {
      return
    }
    for (number, seed) in seeds.enumerated() { Files.write("\(last)/seed-\(number)", seed) }
  }

  /// The checkout, from the environment that `make fuzz` sets.
  public static var checkout: String { String(cString: getenv("BIDMILL_ROOT") ?? strdup(".")) }
}

public enum Files {
  public static func read(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&buffer, 1, buffer.count, file)
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  public static func write(_ path: String, _ bytes: [UInt8]) {
    guard let file = fopen(path, "wb") else { found("\(path) can be written") }
    defer { fclose(file) }
    require(fwrite(bytes, 1, bytes.count, file) == bytes.count, "\(path) can be written")
  }

  public static func write(_ path: String, _ bytes: UnsafeRawBufferPointer) {
    guard let file = fopen(path, "wb") else { found("\(path) can be written") }
    defer { fclose(file) }
    require(
      fwrite(bytes.baseAddress, 1, bytes.count, file) == bytes.count, "\(path) can be written")
  }

  public static func names(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  public static func isDirectory(_ path: String) -> Bool {
    var found = stat()
    return lstat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
  }

  /// Paths of all files below a directory, relative to it, sorted.
  public static func all(below path: String, _ prefix: String = "") -> [String] {
    names(path).flatMap { name -> [String] in
      let child = path + "/" + name
      return isDirectory(child) ? all(below: child, prefix + name + "/") : [prefix + name]
    }
  }

  public static func removeAll(below path: String) {
    for name in names(path) {
      let child = path + "/" + name
      if isDirectory(child) {
        removeAll(below: child)
        rmdir(child)
      } else {
        unlink(child)
      }
    }
  }

  public static func makeDirectories(_ path: String) {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/" + part
      mkdir(made, 0o755)
    }
  }

  /// A directory of this process's own, in memory where the system has such a place.
  public static func scratch() -> String {
    let base = isDirectory("/dev/shm") ? "/dev/shm" : "/tmp"
    let path = "\(base)/bidmill-fuzz-\(getpid())"
    makeDirectories(path)
    scratchPath = strdup(path)
    atexit { if let scratchPath { Files.end(String(cString: scratchPath)) } }
    return path
  }

  fileprivate static func end(_ path: String) {
    removeAll(below: path)
    rmdir(path)
  }
}

// Written once, read when the process ends.
nonisolated(unsafe) private var scratchPath: UnsafeMutablePointer<CChar>?

/// An input read as a sequence of decisions; zeros when it is used up.
public struct Decisions {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  public var isUsedUp: Bool { position >= bytes.count }

  public mutating func byte() -> UInt8 {
    guard position < bytes.count else { return 0 }
    defer { position += 1 }
    return bytes[position]
  }

  public mutating func number() -> Int {
    Int(byte()) | Int(byte()) << 8 | Int(byte()) << 16
  }

  public mutating func bytes(_ count: Int) -> [UInt8] {
    let end = min(bytes.count, position + max(count, 0))
    defer { position = end }
    return Array(bytes[position..<end])
  }

  public mutating func rest() -> [UInt8] { bytes(bytes.count) }
}
