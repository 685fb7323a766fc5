import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where a replay leaves its results: streams, and their summary once they are complete.
struct ResultDirectory {
  static let summaryName = "summary.json"

  var path: String

  func file(_ name: String) -> String {
    var root = path
    while root.utf8.count > 1, root.hasSuffix("/") { root.removeLast() }
    return root == "/" ? "/\(name)" : "\(root)/\(name)"
  }

  /// Makes sure that no summary of an earlier replay stands beside unfinished streams.
  func prepare(overwrite: Bool) throws(Failure) {
    if PathKind(path) == .file {
      throw Failure(.configuration, "error: \(path) is a file; --out names a directory")
    }
    let summary = file(ResultDirectory.summaryName)
    guard PathKind(summary) != .missing else { return }
    guard overwrite else {
      throw Failure(
        .configuration,
        "error: \(path) holds the results of an earlier replay; name another directory, or allow "
          + "it with --overwrite")
    }
    guard unlink(summary) == 0 else {
      throw Failure(
        .unavailable, "error: cannot replace \(summary): \(String(cString: strerror(errno)))")
    }
  }

  func write(_ summary: Summary) throws(Failure) {
    try TextFile.replace(file(ResultDirectory.summaryName), with: summary.json.pretty)
  }
}

/// Small files as a whole.
enum TextFile {
  /// Writes a file under another name first, so that it is never half there.
  static func replace(_ path: String, with text: String) throws(Failure) {
    let unfinished = path + ".part"
    let descriptor = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure(path, errno) }
    let bytes = Array(text.utf8)
    let code = bytes.withUnsafeBytes { Terminal.writeAll($0, to: descriptor) }
    let closed = close(descriptor)
    if let code { throw failure(path, code) }
    guard closed == 0, rename(unfinished, path) == 0 else { throw failure(path, errno) }
  }

  private static func failure(_ path: String, _ code: Int32) -> Failure {
    Failure(.unavailable, "error: cannot write \(path): \(String(cString: strerror(code)))")
  }
}
