internal import Events

// From a tree to a topology: each section of the file in the order in which the reference has it.

/// What was read, complete only where nothing was wrong.
struct TopologyDraft {
  struct Source {
    var name: String
    var transport: Topology.SourceTransport?
    var urgent = false
    var trusted = false
  }

  struct Operator {
    var name: String
    /// Nil where the file names no operator that exists.
    var description: OperatorDescription?
    /// Nil where it could not be read.
    var from: [String]?
    var settings: Settings?
  }

  struct Sink {
    var name: String
    var from: [String]?
    /// Nil for the default, which depends on what the upstream gives.
    var stream: String?
    var transport: Topology.SinkTransport?
  }

  var name = ""
  var seed: UInt64 = 1
  var time = Topology.Time()
  var sources: [Source] = []
  var operators: [Operator] = []
  var sinks: [Sink] = []
  var delivery = Topology.Delivery.exactlyOnce
  var snapshots: Topology.Snapshots?
  var commit = Topology.Commit()
}

struct TopologyReader {
  static let keys = [
    "topology", "key", "seed", "time", "sources", "operators", "sinks", "delivery", "snapshots",
    "commit",
  ]

  /// More sources, operators, sinks, or names in a `from` than any topology has; keeps the work on
  /// a hostile file small.
  static let countLimit = 500

  let registry: [OperatorDescription]
  var values = ValueReader()
  var draft = TopologyDraft()

  init(registry: [OperatorDescription]) { self.registry = registry }

  mutating func read(_ tree: TopologyTree) {
    guard values.fields(tree, "", keys: Self.keys, expected: "a mapping with `topology`") else {
      return
    }
    readIdentity(tree)
    if let time = tree["time"] { readTime(time) }
    for (name, entry) in section("sources", of: tree, atLeast: 1) { readSource(name, entry) }
    for (name, entry) in section("operators", of: tree, atLeast: 0) { readOperator(name, entry) }
    for (name, entry) in section("sinks", of: tree, atLeast: 1) { readSink(name, entry) }
    addDeadLetters()
    if let delivery = choice(Topology.Delivery.self, tree, "delivery") { draft.delivery = delivery }
    readSnapshots(tree["snapshots"])
    if let commit = tree["commit"] { readCommit(commit) }
  }

  private mutating func readIdentity(_ tree: TopologyTree) {
    if let name = tree["topology"] {
      draft.name =
        text(
          name, "topology", "a name of letters, digits, `.`, `_` and `-`, at most 64",
          where: { Self.isName($0, lengthMax: 64) }) ?? ""
    } else {
      values.missing("topology", in: "", at: tree.place, expected: "the topology's name")
    }
    _ = choice(Topology.Key.self, tree, "key")
    if let seed = tree["seed"] {
      let written = text(seed, "seed", "an integer from 0 to \(UInt64.max)") {
        $0.first?.isNumber ?? false && UInt64($0) != nil
      }
      draft.seed = written.flatMap { UInt64($0) } ?? 1
    }
  }

  private mutating func readTime(_ tree: TopologyTree) {
    let keys = ["out_of_orderness", "tick", "max_ahead", "max_gap", "merge_wait"]
    guard
      values.fields(tree, "time", keys: keys, expected: "a mapping with \(alternatives(keys))")
    else { return }
    var time = Topology.Time()
    duration(tree, "time.out_of_orderness", .seconds(0) ... .days(1), &time.outOfOrderness)
    duration(tree, "time.tick", .milliseconds(10) ... .hours(1), &time.tick)
    duration(tree, "time.max_ahead", .seconds(0) ... .days(366), &time.maxAhead)
    duration(tree, "time.max_gap", .seconds(1) ... .days(3660), &time.maxGap)
    duration(tree, "time.merge_wait", .seconds(0) ... .minutes(1), &time.mergeWait)
    draft.time = time
  }

  private mutating func readCommit(_ tree: TopologyTree) {
    let keys = ["every", "events", "fsync"]
    guard
      values.fields(tree, "commit", keys: keys, expected: "a mapping with \(alternatives(keys))")
    else { return }
    var commit = Topology.Commit()
    duration(tree, "commit.every", .milliseconds(1) ... .minutes(1), &commit.every)
    integer(tree, "commit.events", 1...10_000_000, &commit.events)
    if let fsync = tree["fsync"] {
      let kind = SettingKind.either([
        .choice(["always", "never"]), .duration(.milliseconds(1) ... .hours(1)),
      ])
      switch values.value(fsync, as: kind, path: "commit.fsync") {
      case .duration(let span): commit.fsync = .every(span)
      case .text("never"): commit.fsync = .never
      default: commit.fsync = .always
      }
    }
    draft.commit = commit
  }

  private mutating func readSnapshots(_ tree: TopologyTree?) {
    var snapshots = Topology.Snapshots(store: defaultSnapshotStore)
    defer { draft.snapshots = snapshots }
    guard let tree else { return }
    let keys = ["directory", "kafka", "every", "keep"]
    guard
      values.fields(
        tree, "snapshots", keys: keys, expected: "a mapping with \(alternatives(keys))")
    else { return }
    if let directory = tree["directory"] {
      if let kafka = tree["kafka"] {
        values.problems.add(
          kafka.place, "`snapshots` has `directory` and `kafka`; expected one of them")
      }
      let path = text(directory, "snapshots.directory", "a path") { !$0.isEmpty }
      snapshots.store = .directory(path ?? "")
    } else if let kafka = tree["kafka"] {
      let topic = "bidmill-\(draft.name)-snapshots"
      if let sink = kafkaSink(kafka, "snapshots.kafka", topic: topic, isStream: false) {
        snapshots.store = .kafka(sink)
      }
    }
    duration(tree, "snapshots.every", .seconds(1) ... .days(7), &snapshots.every)
    integer(tree, "snapshots.keep", 1...100, &snapshots.keep)
  }

  /// A compacted topic where events come from one Kafka cluster, else a directory.
  private var defaultSnapshotStore: Topology.SnapshotTransport {
    guard case .kafka(let brokers, let properties)? = home else {
      return .directory("state/\(draft.name)")
    }
    return .kafka(
      Topology.KafkaSink(
        brokers: brokers, topic: "bidmill-\(draft.name)-snapshots", properties: properties))
  }

  // MARK: - Sources, operators, sinks

  /// A required section's entries with names that may be used.
  private mutating func section(
    _ key: String, of tree: TopologyTree, atLeast minimum: Int
  ) -> [(String, TopologyTree.Entry)] {
    guard let section = tree[key] else {
      values.missing(key, in: "", at: tree.place, expected: "a mapping from names to \(key)")
      return []
    }
    guard case .mapping(let entries) = section.content else {
      values.refuse(section, "a mapping from names to \(key)", path: key)
      return []
    }
    if entries.count < minimum {
      values.problems.add(section.place, "\(quoted(key)) is empty; expected at least one")
    }
    if entries.count > Self.countLimit {
      values.problems.add(
        section.place,
        "\(quoted(key)) has \(entries.count) entries; expected at most \(Self.countLimit)")
      return []
    }
    for entry in entries where !Self.isIdentifier(entry.key) {
      values.problems.add(
        entry.keyPlace,
        "\(quoted(entry.key)) is not a name; expected a lower-case letter, then at most 63 "
          + "lower-case letters, digits and `_`")
    }
    return entries.map { ($0.key, $0) }
  }

  private mutating func readSource(_ name: String, _ entry: TopologyTree.Entry) {
    let path = "sources.\(name)"
    var source = TopologyDraft.Source(name: name)
    defer { draft.sources.append(source) }
    let keys = ["kafka", "log", "files", "urgent", "trusted"]
    guard
      values.fields(
        entry.value, path, keys: keys, expected: "a mapping with `kafka`, `log` or `files`")
    else { return }
    if let transport = transport(entry, path) {
      switch transport.key {
      case "kafka":
        source.transport = kafkaSource(transport.value, "\(path).kafka").map { .kafka($0) }
      case "log":
        source.transport = logSource(transport.value, "\(path).log", name).map { .log($0) }
      default: source.transport = filesSource(transport.value, "\(path).files")
      }
    }
    boolean(entry.value, "\(path).urgent", &source.urgent)
    boolean(entry.value, "\(path).trusted", &source.trusted)
  }

  private mutating func readOperator(_ name: String, _ entry: TopologyTree.Entry) {
    let path = "operators.\(name)"
    var operation = TopologyDraft.Operator(name: name)
    defer { draft.operators.append(operation) }
    let tree = entry.value
    guard case .mapping = tree.content else {
      values.refuse(tree, "a mapping with `operator` and `from`", path: path)
      return
    }
    operation.description = description(of: entry, path)
    if let from = tree["from"] {
      operation.from = names(from, "\(path).from")
    } else {
      values.missing(
        "from", in: path, at: entry.keyPlace,
        expected: "the name of a source or operator, or a list of them")
    }
    guard let description = operation.description else { return }
    let keys = description.settings.map(\.name) + ["operator", "from"]
    guard values.fields(tree, path, keys: keys, expected: "a setting of \(description.name)")
    else { return }
    if let settings = values.structure(tree, description.settings, path) {
      operation.settings = Settings(
        Dictionary(uniqueKeysWithValues: settings.map { ($0.name, $0.value) }))
    }
  }

  private mutating func description(
    of entry: TopologyTree.Entry, _ path: String
  ) -> OperatorDescription? {
    let known = registry.map(\.name)
    guard let tree = entry.value["operator"] else {
      values.missing(
        "operator", in: path, at: entry.keyPlace, expected: "one of \(alternatives(known))")
      return nil
    }
    guard let kind = text(tree, "\(path).operator", "the name of an operator") else { return nil }
    if let description = registry.first(where: { $0.name == kind }) { return description }
    values.problems.add(
      tree.place,
      "there is no operator \(quoted(kind))"
        + suggestion(for: kind, among: known, expecting: "the name of an operator"))
    return nil
  }

  private mutating func readSink(_ name: String, _ entry: TopologyTree.Entry) {
    let path = "sinks.\(name)"
    var sink = TopologyDraft.Sink(name: name)
    defer { draft.sinks.append(sink) }
    let tree = entry.value
    let keys = ["from", "stream", "kafka", "log", "files"]
    guard
      values.fields(tree, path, keys: keys, expected: "a mapping with `from` and a transport")
    else { return }
    if let stream = tree["stream"] {
      sink.stream = text(stream, "\(path).stream", "the name of a stream") { !$0.isEmpty }
    } else if name == StreamType.deadLetters.name {
      sink.stream = name
    }
    if sink.stream == StreamType.deadLetters.name {
      sink.from = []
      if let from = tree["from"] {
        values.problems.add(
          from.place,
          "\(quoted("\(path).from")) is given; `dead_letters` come from the engine, "
            + "leave `from` out")
      }
    } else if let from = tree["from"] {
      sink.from = names(from, "\(path).from")
    } else {
      values.missing(
        "from", in: path, at: entry.keyPlace,
        expected: "the name of a source or operator, or a list of them")
    }
    guard let transport = transport(entry, path) else { return }
    let topic = Self.topic(for: name)
    switch transport.key {
    case "kafka":
      sink.transport = kafkaSink(transport.value, "\(path).kafka", topic: topic).map { .kafka($0) }
    case "log":
      sink.transport = logSink(transport.value, "\(path).log", topic: topic).map { .log($0) }
    default: sink.transport = filesSink(transport.value, "\(path).files")
    }
  }

  /// Refused records always have somewhere to go: where the sources are.
  private mutating func addDeadLetters() {
    let name = StreamType.deadLetters.name
    guard !draft.sinks.contains(where: { $0.stream == name }) else { return }
    var sink = TopologyDraft.Sink(name: name, from: [], stream: name)
    let topic = Self.topic(for: name)
    switch draft.sources.first?.transport {
    case .kafka(let source):
      sink.transport = .kafka(
        Topology.KafkaSink(brokers: source.brokers, topic: topic, properties: source.properties))
    case .log(let source):
      sink.transport = .log(Topology.LogSink(directory: source.directory, topic: topic))
    case .files, nil: sink.transport = .files(path: "\(name).jsonl")
    }
    draft.sinks.append(sink)
  }

  /// A name, or a list of at least one name, none of them twice.
  private mutating func names(_ tree: TopologyTree, _ path: String) -> [String]? {
    let expected = "the name of a source or operator, or a list of them"
    if case .scalar = tree.content {
      return text(tree, path, expected) { !$0.isEmpty }.map { [$0] }
    }
    guard case .list(let items) = tree.content, !items.isEmpty, items.count <= Self.countLimit
    else {
      values.refuse(tree, expected, path: path)
      return nil
    }
    var result: [String] = []
    for (index, item) in items.enumerated() {
      guard let name = text(item, "\(path)[\(index)]", "a name", where: { !$0.isEmpty }) else {
        continue
      }
      if result.contains(name) {
        values.problems.add(
          item.place, "\(quoted(name)) is given twice in \(quoted(path)); once is enough")
      } else {
        result.append(name)
      }
    }
    return result.isEmpty ? nil : result
  }
}
