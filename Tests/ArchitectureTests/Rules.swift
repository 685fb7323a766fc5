// The rules. Each takes sources and gives what is wrong with them.

// MARK: Arrows

/// The modules that a line of code imports.
func imports(in line: Substring) -> [String] {
  let kinds: Set<Substring> = [
    "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
  ]
  let levels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
  return line.split(separator: ";").compactMap { statement in
    var words = statement.split(whereSeparator: \.isWhitespace)[...]
    while let word = words.first, word.hasPrefix("@") || levels.contains(word) {
      words.removeFirst()
    }
    guard words.popFirst() == "import" else { return nil }
    if let word = words.first, kinds.contains(word) { words.removeFirst() }
    return words.first.flatMap { $0.split(separator: ".").first }.map(String.init)
  }
}

/// Imports that point upward, sideways or out of the package where they may not.
func wrongImports(in file: SourceFile, modules: [Module]) -> [Violation] {
  guard let target = file.target else { return [] }
  guard modules.contains(where: { $0.name == target }) else {
    return [
      Violation(path: file.path, line: 0, message: "\(target) is not in the table of modules")
    ]
  }
  let allowed = allowedImports(of: target, in: modules)
  return file.code.enumerated().flatMap { number, line in
    imports(in: line).filter { !allowed.contains($0) && $0 != "Swift" }.map {
      Violation(path: file.path, line: number + 1, message: "\(target) may not import \($0)")
    }
  }
}

/// A target as Package.swift declares it.
struct DeclaredTarget: Equatable {
  var name: String
  var dependencies: [String]
  var isTest: Bool
}

/// The targets of a manifest. Reads only the plain form that ours has: names and dependencies as
/// literals.
func declaredTargets(inManifest text: String) -> [DeclaredTarget] {
  let code = withoutComments(text)
  var result: [DeclaredTarget] = []
  for kind in [".target(", ".executableTarget(", ".systemLibrary(", ".testTarget("] {
    for piece in code.split(separator: kind).dropFirst() where code.contains(kind) {
      let body = balanced(piece, open: "(", close: ")")
      guard let name = literals(in: after("name:", in: body)).first else { continue }
      var list = balanced(after("[", in: after("dependencies:", in: body)), open: "[", close: "]")
      var dependencies: [String] = []
      while let product = list.firstRange(of: ".product(") {
        dependencies += literals(in: list[..<product.lowerBound])
        let rest = list[product.upperBound...]
        let inside = balanced(rest, open: "(", close: ")")
        dependencies += literals(in: after("name:", in: inside)).prefix(1)
        list = rest[inside.endIndex...]
      }
      dependencies += literals(in: list)
      result.append(
        DeclaredTarget(
          name: String(name), dependencies: dependencies.sorted(), isTest: kind == ".testTarget("))
    }
  }
  return result.sorted { $0.name < $1.name }
}

private func after(_ word: String, in text: Substring) -> Substring {
  guard let range = text.firstRange(of: word) else { return "" }
  return text[range.upperBound...]
}

/// The start of a text up to where its parenthesis, opened before it, closes.
private func balanced(_ text: Substring, open: Character, close: Character) -> Substring {
  var depth = 1
  for index in text.indices {
    if text[index] == open { depth += 1 }
    if text[index] == close { depth -= 1 }
    if depth == 0 { return text[..<index] }
  }
  return text
}

private func literals(in text: Substring) -> [String] {
  text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
    .filter { $0.offset % 2 == 1 }.map { String($0.element) }
}

/// Dependencies that the table of modules does not allow, and build settings that we do without.
func wrongManifest(_ text: String, modules: [Module]) -> [Violation] {
  func violation(_ message: String) -> Violation {
    Violation(path: "Package.swift", line: 0, message: message)
  }
  // A product by its package's name for it, where that is not the module's.
  let moduleOfProduct = ["HdrHistogram": "Histogram"]
  var result: [Violation] = []
  for target in declaredTargets(inManifest: text) where !target.isTest {
    guard modules.contains(where: { $0.name == target.name }) else {
      result.append(violation("\(target.name) is not in the table of modules"))
      continue
    }
    let allowed = allowedImports(of: target.name, in: modules)
    for dependency in target.dependencies
    where !allowed.contains(moduleOfProduct[dependency] ?? dependency) {
      result.append(violation("\(target.name) may not depend on \(dependency)"))
    }
  }
  for setting in ["unsafeFlags", "-Ounchecked"] where withoutComments(text).contains(setting) {
    result.append(violation("\(setting) is not for this package"))
  }
  return result
}

/// Imports of our own modules that the manifest does not declare: they build by luck.
func undeclaredImports(
  in files: [SourceFile], manifest: String, modules: [Module]
) -> [Violation] {
  let declared = declaredTargets(inManifest: manifest)
  let own = Set(modules.map(\.name))
  return files.flatMap { file in
    guard let target = declared.first(where: { $0.name == file.target }) else {
      return [Violation(path: file.path, line: 0, message: "Package.swift has no such target")]
    }
    return file.code.enumerated().flatMap { number, line in
      imports(in: line).filter { own.contains($0) && !target.dependencies.contains($0) }.map {
        Violation(
          path: file.path, line: number + 1,
          message: "Package.swift does not declare that \(target.name) depends on \($0)")
      }
    }
  }
}

// MARK: Determinism

/// A way out of determinism, where it is forbidden and why.
struct Forbidden {
  /// As it stands in code; a word at its start or end must begin or end there.
  var code: String
  var reason: String
  /// The modules where it is forbidden; nil for all.
  var modules: Set<String>?
}

/// Where the same log must give the same bytes: no clock and no chance but the log's.
let deterministicModules: Set<String> = [
  "Events", "Learning", "Bidding", "Streaming", "Operators", "Scoring", "Simulation",
  "TestKit",
]

let forbidden: [Forbidden] =
  [
    "Date(", "Date.now", "ContinuousClock", "SuspendingClock", "DispatchTime", "DispatchWallTime",
    "clock_gettime", "clock_gettime_nsec_np", "gettimeofday", "mach_absolute_time", "time(nil",
    "localtime_r",
  ].map {
    Forbidden(
      code: $0, reason: "time comes from the sequence alone", modules: deterministicModules)
  }
  + [
    "SystemRandomNumberGenerator", ".random(", ".randomElement(", ".shuffled(", ".shuffle(",
    "arc4random", "getrandom", "getentropy", "UUID(",
  ].map {
    Forbidden(
      code: $0, reason: "chance is a function of the seed and an entity's own counter",
      modules: deterministicModules)
  }
  + ["Hasher(", "hashValue"].map {
    Forbidden(code: $0, reason: "Swift's hashes differ between runs", modules: nil)
  }
  + [
    ("fatalError(", "say which rule was broken: precondition or preconditionFailure"),
    ("try!", "an error is handled or passed on"),
    ("as!", "a failed cast is a bug with a name, or bad input"),
  ].map { Forbidden(code: $0.0, reason: $0.1, modules: nil) }

/// What is allowed although it is forbidden, by file, each with its reason.
struct Exemption {
  var path: String
  var code: String
  var reason: String
}

func breachesOfDeterminism(
  in file: SourceFile, forbidden: [Forbidden], exemptions: [Exemption]
) -> [Violation] {
  guard let target = file.target else { return [] }
  let rules = forbidden.filter { rule in
    rule.modules?.contains(target) ?? true
      && !exemptions.contains { $0.path == file.path && $0.code == rule.code }
  }
  return file.code.enumerated().flatMap { number, line in
    rules.filter { contains(line, word: $0.code) }.map {
      Violation(path: file.path, line: number + 1, message: "\($0.code): \($0.reason)")
    }
  }
}

/// Whether code stands in a line on its own: `Date(` is not in `candidate(` nor in `UpDate(`.
private func contains(_ line: Substring, word: String) -> Bool {
  func isPartOfName(_ c: Character) -> Bool { c.isLetter || c.isNumber || c == "_" }
  // Almost every line has none of them; the search by character comes after one by byte.
  guard line.utf8.firstRange(of: word.utf8) != nil else { return false }
  var rest = line
  while let range = rest.firstRange(of: word) {
    let before = range.lowerBound == line.startIndex ? nil : line[..<range.lowerBound].last
    let after = line[range.upperBound...].first
    let startsClean =
      !isPartOfName(word.first ?? " ") || before.map { !isPartOfName($0) } ?? true
    let endsClean = !isPartOfName(word.last ?? " ") || after.map { !isPartOfName($0) } ?? true
    if startsClean, endsClean { return true }
    rest = line[range.upperBound...]
  }
  return false
}

// MARK: Leftovers

/// Notes to self, and tests that do not run. Comments count.
func leftovers(in file: SourceFile) -> [Violation] {
  // Put together here, so that this file does not hold them.
  let notes = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
  let skips = [".disabled" + "(", "withKnown" + "Issue", "XCT" + "Skip"]
  return file.lines.enumerated().flatMap { number, line in
    (notes + skips).filter { contains(line, word: $0) }.map {
      Violation(path: file.path, line: number + 1, message: "\($0): finish it or file it")
    }
  }
}

/// Files that have grown beyond one thing.
func tooLong(_ file: SourceFile, linesMax: Int) -> [Violation] {
  guard file.lines.count > linesMax else { return [] }
  return [
    Violation(
      path: file.path, line: 0,
      message: "\(file.lines.count) lines; split it by theme below \(linesMax)")
  ]
}

/// Entries of the top level that the architecture does not know.
func strayEntries(_ entries: [String], allowed: Set<String>) -> [Violation] {
  entries.filter { !allowed.contains($0) }.map {
    Violation(path: $0, line: 0, message: "not one of the documented top-level entries")
  }
}
