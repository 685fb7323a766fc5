import Foundation

// The source tree as data, and rules over it.
//
// `SourceFile` and `Violation` are values, so each rule is a pure function that the tests also
// run on sources planted in memory. Only `SourceTree` touches the disk.

/// A Swift file, by its path from the package's root.
struct SourceFile {
  var path: String
  /// Without comments; as many lines as the file.
  var code: [Substring]
  /// As it stands in the file.
  var lines: [Substring]

  init(path: String, text: String) {
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    code = withoutComments(text).split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// The target of a path `Sources/TARGET/…`; nil for any other path.
  var target: String? {
    let parts = path.split(separator: "/")
    guard parts.count >= 3, parts[0] == "Sources" else { return nil }
    return String(parts[1])
  }
}

/// A broken rule and where.
struct Violation: Equatable, CustomStringConvertible {
  var path: String
  /// 0 where the whole file is meant.
  var line: Int
  var message: String

  var description: String { line == 0 ? "\(path): \(message)" : "\(path):\(line): \(message)" }
}

/// The checkout that this test was compiled from.
struct SourceTree {
  var root: URL

  static let checkout = SourceTree(
    root: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent())

  func text(of path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// Every Swift file below a folder, by path; what was built below it is passed over.
  func swiftFiles(below folder: String) throws -> [SourceFile] {
    let start = root.appending(path: folder)
    let found =
      FileManager.default.enumerator(atPath: start.path)?.compactMap { $0 as? String } ?? []
    let sources = found.filter { path in
      path.hasSuffix(".swift") && !path.split(separator: "/").contains { $0.hasPrefix(".") }
    }
    return try sources.sorted().map {
      let path = "\(folder)/\($0)"
      return SourceFile(path: path, text: try text(of: path))
    }
  }

  /// The names of the folders directly below a folder.
  func folders(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(
      at: root.appending(path: folder), includingPropertiesForKeys: [.isDirectoryKey]
    )
    .filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true }
    .map(\.lastPathComponent).filter { !$0.hasPrefix(".") }.sorted()
  }

  /// The top-level names that git tracks; without git, those that stand there and are not hidden.
  func topLevelEntries() throws -> [String] {
    let git = Process()
    git.executableURL = URL(filePath: "/usr/bin/env")
    git.arguments = ["git", "-C", root.path, "ls-files", "-z"]
    let output = Pipe()
    git.standardOutput = output
    git.standardError = FileHandle.nullDevice
    git.standardInput = FileHandle.nullDevice
    try git.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    git.waitUntilExit()
    if git.terminationStatus == 0, !data.isEmpty {
      let paths = String(decoding: data, as: UTF8.self).split(separator: "\0")
      return Set(paths.compactMap { $0.split(separator: "/").first.map(String.init) }).sorted()
    }
    return try FileManager.default.contentsOfDirectory(atPath: root.path)
      .filter { !$0.hasPrefix(".") && $0 != "Package.resolved" }.sorted()
  }
}

/// The text with its comments blanked and its line breaks kept. What stands in string literals
/// stays: an interpolation is code.
func withoutComments(_ text: String) -> String {
  enum Place: Equatable {
    case code
    case lineComment
    case blockComment(depth: Int)
    /// `quotes` that end it (1 or 3), behind as many `#` as began it.
    case string(quotes: Int, pounds: Int)
  }
  let source = Array(text.utf8)
  var result: [UInt8] = []
  result.reserveCapacity(source.count)
  var place = Place.code
  var i = 0

  func stands(_ word: String, at start: Int) -> Bool {
    source[min(start, source.count)...].starts(with: word.utf8)
  }

  while i < source.count {
    let byte = source[i]
    switch place {
    case .code:
      if stands("//", at: i) {
        place = .lineComment
        i += 2
        continue
      }
      if stands("/*", at: i) {
        place = .blockComment(depth: 1)
        i += 2
        continue
      }
      if byte == UInt8(ascii: "\"") {
        var pounds = 0
        while i - 1 - pounds >= 0, source[i - 1 - pounds] == UInt8(ascii: "#") { pounds += 1 }
        let quotes = stands("\"\"\"", at: i) ? 3 : 1
        place = .string(quotes: quotes, pounds: pounds)
        result.append(contentsOf: source[i..<i + quotes])
        i += quotes
        continue
      }
      result.append(byte)
      i += 1
    case .lineComment:
      if byte == UInt8(ascii: "\n") {
        place = .code
        result.append(byte)
      }
      i += 1
    case .blockComment(let depth):
      if stands("*/", at: i) {
        place = depth == 1 ? .code : .blockComment(depth: depth - 1)
        i += 2
      } else if stands("/*", at: i) {
        place = .blockComment(depth: depth + 1)
        i += 2
      } else {
        if byte == UInt8(ascii: "\n") { result.append(byte) }
        i += 1
      }
    case .string(let quotes, let pounds):
      let end = String(repeating: "\"", count: quotes) + String(repeating: "#", count: pounds)
      if pounds == 0, byte == UInt8(ascii: "\\"), i + 1 < source.count {
        result.append(contentsOf: source[i...i + 1])
        i += 2
      } else if stands(end, at: i) {
        result.append(contentsOf: end.utf8)
        place = .code
        i += end.utf8.count
      } else {
        result.append(byte)
        i += 1
      }
    }
  }
  return String(decoding: result, as: UTF8.self)
}
