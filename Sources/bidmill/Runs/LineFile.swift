import LocalLog
import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Lines on their way to a file, to a pipe, or to standard output.
///
/// A file gets its name when it is whole; one that ends in `.zst` is compressed.
final class LineFile {
  private enum Target {
    case standardOutput
    case stream(Int32)
    case file(FileOutput)
  }

  private static let bufferBytes = 1 << 18

  let path: String
  private let target: Target
  private var pending: [UInt8] = []

  /// - Parameter path: `-` is standard output.
  init(_ path: String, overwrite: Bool) throws {
    self.path = path
    pending.reserveCapacity(LineFile.bufferBytes * 2)
    if path == "-" {
      target = .standardOutput
      return
    }
    switch PathKind(path) {
    case .directory:
      throw Failure(.configuration, "error: \(path) is a directory; name a file in it")
    case .file where !PathKind.isRegular(path):
      let descriptor = open(path, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw LineFile.failure(path, errno) }
      target = .stream(descriptor)
    case .file where !overwrite:
      throw Failure(
        .configuration,
        "error: \(path) exists; name another file, or allow it with --overwrite")
    default:
      target = .file(
        try FileOutput(path + ".part", compressing: path.hasSuffix(".zst"), faults: nil))
    }
  }

  /// Adds a line; the line break is not part of `line`.
  func add(_ line: UnsafeRawBufferPointer) throws {
    if case .file(let output) = target {
      output.add(line)
      return try output.drain()
    }
    pending.append(contentsOf: line)
    pending.append(0x0A)
    if pending.count >= LineFile.bufferBytes { try flush() }
  }

  private func flush() throws {
    defer { pending.removeAll(keepingCapacity: true) }
    switch target {
    case .standardOutput: try pending.withUnsafeBytes { try Terminal.output($0) }
    case .stream(let descriptor):
      let code = pending.withUnsafeBytes { Terminal.writeAll($0, to: descriptor) }
      if let code { throw LineFile.failure(path, code) }
    case .file: break
    }
  }

  /// Writes the rest and gives the file its name.
  func finish() throws {
    try flush()
    guard case .file(let output) = target else { return }
    try output.finish()
    guard rename(output.path, path) == 0 else { throw LineFile.failure(path, errno) }
  }

  /// Leaves nothing behind.
  func abandon() {
    if case .file(let output) = target { _ = unlink(output.path) }
  }

  private static func failure(_ path: String, _ code: Int32) -> Failure {
    Failure(.unavailable, "error: cannot write \(path): \(String(cString: strerror(code)))")
  }
}
