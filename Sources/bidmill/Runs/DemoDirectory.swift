import Streaming

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The directory that a demo fills, and replaces the next time.
struct DemoDirectory {
  /// Says that the directory is a demo's, so that it may be removed.
  private static let marker = ".bidmill-demo"

  let path: String

  /// Makes it, empty. What another hand has put there is never removed.
  init(_ path: String) throws(Failure) {
    self.path = path
    let manager = FileManager.default
    switch PathKind(path) {
    case .file:
      throw Failure(.configuration, "error: \(path) is a file; name a directory with --dir")
    case .directory:
      let names = (try? manager.contentsOfDirectory(atPath: path)) ?? []
      guard names.isEmpty || names.contains(DemoDirectory.marker) else {
        throw Failure(
          .configuration,
          "error: \(path) holds files that no demo has made (\(names.sorted()[0])); name another "
            + "directory with --dir")
      }
    case .missing: break
    }
    do {
      if PathKind(path) == .directory {
        for name in try manager.contentsOfDirectory(atPath: path) where name != DemoDirectory.marker
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
      file(DemoDirectory.marker), with: "Made by `bidmill demo`, which replaces this directory.\n")
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }
}
