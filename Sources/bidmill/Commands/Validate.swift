import ArgumentParser
import Events
import LocalLog
import Streaming

struct Validate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check topologies, worlds or event files; print every problem with its place.",
    discussion: """
      Files that end in .yaml or .yml are topologies, or worlds of `bidmill simulate` where they \
      have the key `world`; all others are events, one JSON object a line, plain or .zst; `-` is standard input. Problems are printed as file:line:column, so that \
      an editor can jump to them, and counted at the end. Writes nothing.

        bidmill validate Topologies/*.yaml
        bidmill validate events.jsonl day2.jsonl.zst
        zcat old.gz | bidmill validate --limit 10 -

      Ends with 65 when events are bad, 78 when a topology is, 66 when a file is missing; of \
      several, the first of these in the order 66, 78, 65.
      """)

  @Argument(
    help: "Topologies and worlds (.yaml, .yml) or event files; `-` is standard input.",
    completion: .file())
  var files: [String]

  @Option(help: ArgumentHelp("Problems to print; all are counted.", valueName: "n"))
  var limit = 50

  @OptionGroup var report: ReportOptions

  func validate() throws {
    if limit < 0 { throw ValidationError("--limit is 0 or more.") }
    if files.filter({ $0 == "-" }).count > 1 {
      throw ValidationError("Standard input (`-`) can be read once.")
    }
  }

  func run() throws {
    var validation = Validation(limit: limit, isPrinting: !report.json, isQuiet: report.quiet)
    for file in files {
      if file.hasSuffix(".yaml") || file.hasSuffix(".yml") {
        try validation.topology(file)
      } else {
        try validation.events(file)
      }
    }
    try Terminal.output(report.json ? validation.json.pretty : validation.summary)
    if let status = validation.status { throw Failure(status) }
  }
}

/// Problems as they are found.
private struct Validation {
  struct FileResult {
    var path: String
    var kind: String
    var events: Int64 = 0
    var problems: Int64 = 0
    var warnings: Int64 = 0
    var reasons: [(name: String, count: Int64)] = []
  }

  let limit: Int
  let isPrinting: Bool
  let isQuiet: Bool
  private(set) var results: [FileResult] = []
  private var shown: [JSONText] = []
  private var printed = 0
  private var statuses: [ExitStatus] = []

  init(limit: Int, isPrinting: Bool, isQuiet: Bool) {
    self.limit = limit
    self.isPrinting = isPrinting
    self.isQuiet = isQuiet
  }

  var status: ExitStatus? {
    [.missing, .configuration, .badData].first { statuses.contains($0) } ?? statuses.first
  }

  private mutating func show(_ text: String, _ members: [(String, JSONText)]) throws {
    guard printed < limit else { return }
    printed += 1
    if isPrinting {
      ProgressLine.interrupt {}
      try Terminal.output(text + "\n")
    } else {
      shown.append(.object(members))
    }
  }

  // MARK: Topologies

  mutating func topology(_ path: String) throws {
    let isWorld = WorldFile.isWorld(path)
    var result = FileResult(path: path, kind: isWorld ? "world" : "topology")
    do {
      if isWorld {
        _ = try WorldFile.load(path)
      } else {
        let checked = try TopologyOptions.load(path, overrides: [])
        for warning in checked.warnings { try add(warning, to: &result) }
      }
    } catch let error as TopologyError {
      for problem in error.problems { try add(problem, to: &result) }
      statuses.append(error.isMissingFile ? .missing : .configuration)
    }
    results.append(result)
  }

  private mutating func add(_ problem: TopologyProblem, to result: inout FileResult) throws {
    if problem.severity == .error { result.problems += 1 } else { result.warnings += 1 }
    try show(
      problem.description,
      [
        ("file", .string(problem.file)),
        ("line", .count(problem.line)),
        ("column", .count(problem.column)),
        ("severity", .string(problem.severity.rawValue)),
        ("message", .string(problem.message)),
      ])
  }

  // MARK: Events

  mutating func events(_ path: String) throws {
    var result = FileResult(path: path, kind: "events")
    do {
      try readEvents(path, &result)
    } catch let error as LogError {
      // What is wrong with a file must not hide what is wrong with the next.
      result.problems += 1
      statuses.append(Failure(error).status)
      try show(
        "\(path): error: \(error.message)",
        [
          ("file", .string(path)), ("severity", .string("error")),
          ("message", .string(error.message)),
        ])
    }
    results.append(result)
  }

  private mutating func readEvents(_ path: String, _ result: inout FileResult) throws {
    let input = try FileInput(path: path)
    let chunk = RecordChunk()
    let batch = EventBatch(capacity: 1)
    var decoder = EventDecoder()
    var reasons = [Int64](repeating: 0, count: RejectionReason.allCases.count)
    let progress = ProgressLine(isQuiet: isQuiet)
    defer {
      result.reasons = RejectionReason.allCases.compactMap { reason in
        let count = reasons[Int(reason.rawValue)]
        return count > 0 ? ("\(reason.code)", count) : nil
      }
      progress.end()
    }
    while try input.fetch(into: chunk, maxRecords: 4096) == .records {
      var lengths = chunk.truncated.makeIterator()
      var nextLength = lengths.next()
      for record in chunk.records {
        result.events += 1
        batch.removeAll()
        var rejection = decoder.decode(record.value, into: batch)
        if let known = nextLength, known.offset == record.offset {
          rejection?.detail += " (the line has \(Text.count(known.length)) bytes)"
          nextLength = lengths.next()
        }
        guard let rejection else { continue }
        reasons[Int(rejection.reason.rawValue)] += 1
        try add(rejection, path, line: record.offset, to: &result)
      }
      progress.show { "\(path): \(Text.plural(result.events, "event"))" }
    }
  }

  private mutating func add(
    _ rejection: Rejection, _ path: String, line: Int64, to result: inout FileResult
  ) throws {
    result.problems += 1
    if result.problems == 1 { statuses.append(.badData) }
    guard printed < limit else { return }
    let field = rejection.field.map { " (\($0))" } ?? ""
    try show(
      "\(path):\(line): \(rejection.reason.code)\(field): \(rejection.detail)",
      [
        ("file", .string(path)),
        ("line", .count(line)),
        ("severity", .string("error")),
        ("reason", .string("\(rejection.reason.code)")),
        ("field", rejection.field.map { .string($0) } ?? .null),
        ("message", .string(rejection.detail)),
      ])
  }

  // MARK: The end

  var summary: String {
    let problems = results.reduce(0) { $0 + $1.problems + $1.warnings }
    var text = ""
    if problems > Int64(printed) {
      text += "… and \(Text.plural(problems - Int64(printed), "problem")) more (see --limit)\n"
    }
    if problems > 0, printed > 0 { text += "\n" }
    for result in results { text += "\(result.path): \(Self.line(result))\n" }
    if results.count > 1 {
      text += "\(Text.plural(results.count, "file")), \(Text.plural(problems, "problem"))\n"
    }
    return text
  }

  private static func line(_ result: FileResult) -> String {
    var parts: [String] = []
    if result.kind == "events" { parts.append(Text.plural(result.events, "event")) }
    if result.problems + result.warnings == 0 { parts.append("ok") }
    if result.problems > 0 {
      let reasons = result.reasons.map { "\($0.name) \(Text.count($0.count))" }
      parts.append(
        Text.plural(result.problems, result.kind == "events" ? "problem" : "error")
          + (reasons.isEmpty ? "" : " (\(reasons.joined(separator: ", ")))"))
    }
    if result.warnings > 0 { parts.append(Text.plural(result.warnings, "warning")) }
    return parts.joined(separator: ", ")
  }

  var json: JSONText {
    .object([
      (
        "files",
        .array(
          results.map { result in
            var members: [(String, JSONText)] = [
              ("file", .string(result.path)), ("kind", .string(result.kind)),
            ]
            if result.kind == "events" { members.append(("events", .count(result.events))) }
            members.append(("problems", .count(result.problems)))
            members.append(("warnings", .count(result.warnings)))
            if result.kind == "events" {
              members.append(
                ("reasons", .object(result.reasons.map { ($0.name, .count($0.count)) })))
            }
            return .object(members)
          })
      ),
      ("problems", .array(shown)),
    ])
  }
}
