import LocalLog
import Streaming

/// A snapshot in a file, wherever it stands.
struct SnapshotFile: Sendable {
  var path: String
  var header: SnapshotHeader

  init(_ path: String) throws(Failure) {
    self.path = path
    var found: SnapshotHeader?
    var parser = SnapshotParser()
    do throws(LogError) {
      try SnapshotFile.read(path) { (piece) throws(LogError) in
        guard found == nil else { return }
        do throws(SnapshotDamage) {
          try parser.feed(piece) { (item) in
            if case .header(let header) = item, found == nil { found = header }
          }
        } catch { throw LogError(.badData, "\(path): \(error.description)") }
      }
    } catch {
      throw Failure(error)
    }
    guard let found else { throw Failure(.badData, "error: \(path): it ends in its header") }
    header = found
  }

  /// Calls `body` with the file's bytes in pieces, in order.
  static func read(
    _ path: String, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    if PathKind(path) == .directory {
      throw LogError(
        .missing, "\(path) is a directory; name a snapshot in it (<partition>/<number>.snapshot)")
    }
    try DirectorySnapshotStore.read(path: path, body)
  }
}

/// The snapshots of a replay: it begins at one that a file holds and writes its own elsewhere.
final class ReplaySnapshots: SnapshotStore {
  private let beginning: SnapshotFile?
  private let written: (any SnapshotStore)?

  init(beginning: SnapshotFile?, written: (any SnapshotStore)?) {
    self.beginning = beginning
    self.written = written
  }

  func list() throws(LogError) -> [Int64] { try written?.list() ?? [] }

  func create(_ number: Int64) throws(LogError) -> any SnapshotSink {
    guard let written else {
      preconditionFailure("a replay without a snapshot directory writes no snapshot")
    }
    return try written.create(number)
  }

  func read(
    _ number: Int64, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    if let beginning, beginning.header.number == number {
      return try SnapshotFile.read(beginning.path, body)
    }
    try written?.read(number, body)
  }

  func remove(_ number: Int64) throws(LogError) { try written?.remove(number) }
}
