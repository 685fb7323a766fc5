/// One thing that is wrong with a topology, and where.
public struct TopologyProblem: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Severity: String, Sendable {
    case error, warning
  }

  /// The file as the user named it, or the option: `--set #1`.
  public var file: String
  /// From 1; 0 where the place has no lines (an option, the file as a whole).
  public var line: Int
  /// From 1, counted in Unicode scalars; 0 where the place has no columns.
  public var column: Int
  public var severity: Severity
  /// What was found and what was expected.
  public var message: String

  public init(
    file: String, line: Int = 0, column: Int = 0, severity: Severity = .error, message: String
  ) {
    self.file = file
    self.line = line
    self.column = column
    self.severity = severity
    self.message = message
  }

  /// `file:12:5: error: …`
  public var description: String {
    line > 0
      ? "\(file):\(line):\(column): \(severity): \(message)"
      : "\(file): \(severity): \(message)"
  }
}

/// Why a topology was refused: every problem found, in the order of the file.
public struct TopologyError: Error, Sendable, CustomStringConvertible {
  public var problems: [TopologyProblem]
  /// The file could not be found or read, as opposed to what stands in it.
  public var isMissingFile: Bool

  public init(_ problems: [TopologyProblem], isMissingFile: Bool = false) {
    self.problems = problems
    self.isMissingFile = isMissingFile
  }

  /// One problem a line.
  public var description: String {
    problems.map(\.description).joined(separator: "\n")
  }
}

/// Where something stands: in a file or in a `--set` option.
struct Place: Hashable, Sendable {
  var file: String
  var line: Int
  var column: Int

  init(_ file: String, _ line: Int = 0, _ column: Int = 0) {
    self.file = file
    self.line = line
    self.column = column
  }
}

/// Problems as they are found. Bounded, so that a file of garbage does not fill a terminal.
struct ProblemList {
  static let limit = 200

  private(set) var problems: [TopologyProblem] = []

  var isEmpty: Bool { problems.isEmpty }

  mutating func add(
    _ place: Place, _ message: String, severity: TopologyProblem.Severity = .error
  ) {
    guard problems.count < Self.limit else { return }
    problems.append(
      TopologyProblem(
        file: place.file, line: place.line, column: place.column, severity: severity,
        message: message))
  }

  /// In the order of the file, options last, each once.
  var sorted: [TopologyProblem] {
    var seen: Set<TopologyProblem> = []
    let indexed = problems.filter { seen.insert($0).inserted }.enumerated()
    return indexed.sorted { a, b in
      let (p, q) = (a.element, b.element)
      if (p.line == 0) != (q.line == 0) { return p.line > 0 }
      return (p.line, p.column, a.offset) < (q.line, q.column, b.offset)
    }.map(\.element)
  }
}
