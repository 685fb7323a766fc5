import Streaming

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A directory that a command fills as a whole, and may replace the next time.
struct MadeDirectory {
  /// Says that the directory is made by a command, so that it may be removed.
  private static let marker = ".bidmill-made"

  let path: String

  /// Makes it, empty. What another hand has put there is never removed.
  ///
  /// - Parameters:
  ///   - command: what makes it, for people who find it.
  ///   - option: which option names it.
  ///   - mayReplace: whether what the command made before may go.
  init(_ path: String, command: String, option: String, mayReplace: Bool) throws(Failure) {
    self.path = path
    let manager = FileManager.default
    switch PathKind(path) {
    case .file:
      throw Failure(.configuration, "error: \(path) is a file; name a directory with \(option)")
    case .directory:
      let names = (try? manager.contentsOfDirectory(atPath: path)) ?? []
      guard names.isEmpty || names.contains(MadeDirectory.marker) else {
        throw Failure(
          .configuration,
          "error: \(path) holds files that `bidmill \(command)` has not made (\(names.sorted()[0]));"
            + " name another directory with \(option)")
      }
      guard names.isEmpty || mayReplace else {
        throw Failure(
          .configuration,
          "error: \(path) holds what an earlier command has made; name another directory with "
            + "\(option), or allow it with --overwrite")
      }
    case .missing: break
    }
    do {
      if PathKind(path) == .directory {
        for name in try manager.contentsOfDirectory(atPath: path) where name != MadeDirectory.marker
        {
          try manager.removeItem(atPath: "\(path)/\(name)")
        }
      } else {
        try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
      }
    } catch {
      throw Failure(.unavailable, "error: cannot make the directory \(path) ready: \(error)")
    }
    try TextFile.replace(
      file(MadeDirectory.marker),
      with: "Made by `bidmill \(command)`, which may replace this directory.\n")
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }
}
