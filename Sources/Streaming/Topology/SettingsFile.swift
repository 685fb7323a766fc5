import Events

/// A YAML file that is nothing but settings, read by their description as a topology's are: the
/// same YAML, the same words about what is wrong, with line and column.
package struct SettingsFile: Sendable {
  /// Every described setting: what the file gives, else the default.
  package let settings: Settings
  private let file: String
  private let places: [String: Place]

  /// - Throws: everything that is wrong, each with its place.
  package static func load(
    path: String, as description: [SettingDescription]
  ) throws(TopologyError) -> SettingsFile {
    let bytes = try TopologyFile.read(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let place = TopologyFile.firstInvalid(bytes, file: path)
      throw TopologyError([
        TopologyProblem(
          file: path, line: place.line, column: place.column,
          message: "not UTF-8; save the file as UTF-8")
      ])
    }
    return try parse(text, file: path, as: description)
  }

  /// The same for a text; `file` is what its problems are reported under.
  package static func parse(
    _ text: String, file: String, as description: [SettingDescription]
  ) throws(TopologyError) -> SettingsFile {
    var problems = ProblemList()
    guard let tree = TopologyTree.read(text, file: file, problems: &problems) else {
      throw TopologyError(problems.sorted)
    }
    var reader = ValueReader()
    reader.problems = problems
    let value = reader.value(tree, as: .structure(description), path: "")
    guard case .mapping(let entries)? = value, reader.problems.isEmpty else {
      throw TopologyError(reader.problems.sorted)
    }
    return SettingsFile(
      settings: Settings(Dictionary(entries.map { ($0.name, $0.value) }) { $1 }), file: file,
      places: tree.places())
  }

  /// What is wrong with settings that fit their kinds but not each other or the world.
  ///
  /// - Parameter path: of the setting: `accounts[0].name`; where the file leaves it out, the
  ///   place of what it would stand in.
  package func problem(at path: String, _ message: String) -> TopologyProblem {
    var known = path
    while places[known] == nil, let cut = known.lastIndex(where: { $0 == "." || $0 == "[" }) {
      known = String(known[..<cut])
    }
    let place = places[known] ?? places[""] ?? Place(file)
    return TopologyProblem(
      file: file, line: place.line, column: place.column, message: "`\(path)`: \(message)")
  }
}

extension SettingValue {
  /// The settings of each entry of a list of structures.
  package var structures: [Settings] {
    guard case .list(let items) = self else {
      preconditionFailure("a list of structures is read from a setting of another kind")
    }
    return items.map { item in
      guard case .mapping(let entries) = item else {
        preconditionFailure("a list of structures holds something else")
      }
      return Settings(Dictionary(entries.map { ($0.name, $0.value) }) { $1 })
    }
  }
}
