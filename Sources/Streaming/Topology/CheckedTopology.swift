/// A topology that fits together: every name resolved, every port fed by its stream type, and
/// the operators in the order in which they run. What an engine builds its nodes from.
public struct CheckedTopology: Sendable {
  /// What gives a stream: by index, in `topology.sources` or in `operators`.
  public enum Upstream: Sendable, Hashable {
    case source(Int)
    case `operator`(Int)
    /// The engine itself, which gives `dead_letters`.
    case engine
  }

  /// One stream that arrives at an operator.
  public struct Input: Sendable, Hashable {
    public var upstream: Upstream
    public var stream: StreamType
    /// Index in the description's `inputs`.
    public var port: Int

    public init(upstream: Upstream, stream: StreamType, port: Int) {
      self.upstream = upstream
      self.stream = stream
      self.port = port
    }
  }

  /// An operator in its place of the run.
  public struct Operator: Sendable {
    public var name: String
    public var description: OperatorDescription
    public var settings: Settings
    /// In the order in which they arrive, which is that of `from`. Several may feed one port; an
    /// upstream that gives two of the streams that are read stands here twice.
    public var inputs: [Input]
    /// What it may give: the described streams, and `alerts`, which any operator may raise.
    public var outputs: [StreamType]
    /// Index in `topology.operators`.
    public var fileIndex: Int

    public func inputs(ofPort port: Int) -> [Input] { inputs.filter { $0.port == port } }
  }

  /// A sink, with what it takes.
  public struct Sink: Sendable {
    public var name: String
    public var stream: StreamType
    /// In the order of `from`; `[.engine]` for `dead_letters`.
    public var upstreams: [Upstream]
    public var transport: Topology.SinkTransport
  }

  public let topology: Topology
  /// In the order in which they run for each entry: after their upstreams, ties in file order.
  public let operators: [Operator]
  /// As in `topology.sinks`.
  public let sinks: [Sink]
  /// Index in `sinks`.
  public let deadLetterSink: Int
  /// Further sinks that look on: their numbers follow those of `sinks`. They are no part of what
  /// the topology means, so neither its hash nor what comes of it depends on them.
  public private(set) var watchers: [Sink] = []
  /// What is allowed and probably not meant.
  public let warnings: [TopologyProblem]
  /// Where things stand in the file, by path: `operators.totals.every`.
  let places: [String: Place]

  /// Reads, completes and checks the file at `path`.
  ///
  /// - Parameters:
  ///   - environment: what `${NAME}` stands for; nothing is read from the process. Where it has
  ///     no NAME but a NAME_FILE, the text of that file.
  ///   - overrides: `--set` options, `path=value`, in their order.
  ///   - registry: the operators that exist.
  /// - Throws: everything that is wrong, each with its place.
  public static func load(
    path: String, environment: [String: String] = [:], overrides: [String] = [],
    registry: [OperatorDescription]
  ) throws(TopologyError) -> CheckedTopology {
    let bytes = try TopologyFile.read(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let place = TopologyFile.firstInvalid(bytes, file: path)
      throw TopologyError([
        TopologyProblem(
          file: path, line: place.line, column: place.column,
          message: "not UTF-8; save the file as UTF-8")
      ])
    }
    return try parse(
      text: text, file: path, environment: environment, overrides: overrides, registry: registry)
  }

  /// Reads, completes and checks a text; `file` is what its problems are reported under.
  public static func parse(
    text: String, file: String, environment: [String: String] = [:], overrides: [String] = [],
    registry: [OperatorDescription]
  ) throws(TopologyError) -> CheckedTopology {
    var problems = ProblemList()
    let text =
      text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    guard var tree = TopologyTree.read(text, file: file, problems: &problems) else {
      throw TopologyError(problems.sorted)
    }
    tree = tree.applying(overrides: overrides, &problems)
    tree = tree.replacingVariables(from: environment, &problems)
    var reader = TopologyReader(registry: registry)
    reader.values.problems = problems
    reader.read(tree)
    problems = reader.values.problems

    var checker = GraphChecker(draft: reader.draft, places: tree.places(), problems: problems)
    checker.check()
    guard checker.problems.isEmpty, let checked = checker.result() else {
      precondition(!checker.problems.isEmpty, "a topology without problems must have a plan")
      throw TopologyError(checker.problems.sorted)
    }
    return checked
  }

  /// The same topology with a watcher for each of the streams, fed by all that give it.
  ///
  /// - Returns: Also, for each stream, its watcher's number among sinks; nil where nothing gives it.
  public func watching(_ streams: [StreamType]) -> (topology: CheckedTopology, sinks: [Int32?]) {
    var topology = self
    let numbers = streams.map { stream -> Int32? in
      let upstreams = operators.indices.filter {
        operators[$0].description.outputs.contains(stream)
      }
      .map { Upstream.operator($0) }
      guard !upstreams.isEmpty else { return nil }
      topology.watchers.append(
        Sink(
          name: "watched \(stream.name)", stream: stream, upstreams: upstreams,
          transport: .files(path: "")))
      return Int32(sinks.count + topology.watchers.count - 1)
    }
    return (topology, numbers)
  }

  /// Where a problem stands that an operator has with its settings together.
  public func problem(_ problem: SettingProblem, of operatorName: String) -> TopologyProblem {
    var path = "operators.\(operatorName).\(problem.setting)"
    while places[path] == nil, let dot = path.lastIndex(of: ".") { path = String(path[..<dot]) }
    let place = places[path] ?? Place(topology.name)
    return TopologyProblem(
      file: place.file, line: place.line, column: place.column,
      message: "`operators.\(operatorName).\(problem.setting)`: \(problem.message)")
  }
}

/// A topology file as bytes.
enum TopologyFile {
  static func read(_ path: String) throws(TopologyError) -> [UInt8] {
    do throws(SmallFile.Fault) {
      return try SmallFile.read(path, bytesMax: TopologyText.sizeLimit)
    } catch {
      let isMissing = if case .unreadable = error { true } else { false }
      throw TopologyError(
        [TopologyProblem(file: path, message: error.text(expected: "a topology"))],
        isMissingFile: isMissing)
    }
  }

  /// Where the bytes stop being UTF-8.
  static func firstInvalid(_ bytes: [UInt8], file: String) -> Place {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var place = Place(file, 1, 1)
    while case .scalarValue(let scalar) = decoder.decode(&iterator) {
      if scalar == "\n" {
        place.line += 1
        place.column = 1
      } else {
        place.column += 1
      }
    }
    return place
  }
}
