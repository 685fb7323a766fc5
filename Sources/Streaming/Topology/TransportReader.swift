internal import Events

// `kafka:`, `log:` and `files:` blocks, and the words that all sections are read with.

/// Where the sources are, if all of them are in one place.
enum TopologyHome: Equatable {
  case kafka(brokers: String, properties: [Topology.Property])
  case log(directory: String)
}

extension TopologyReader {
  /// The one place that a sink's transport is completed from.
  var home: TopologyHome? {
    let homes = draft.sources.map { source -> TopologyHome? in
      switch source.transport {
      case .kafka(let kafka): .kafka(brokers: kafka.brokers, properties: kafka.properties)
      case .log(let log): .log(directory: log.directory)
      case .files, nil: nil
      }
    }
    guard let first = homes.first ?? nil, homes.allSatisfy({ Self.isSame($0, first) }) else {
      return nil
    }
    return first
  }

  private static func isSame(_ a: TopologyHome?, _ b: TopologyHome) -> Bool {
    switch (a, b) {
    case (.kafka(let a, _), .kafka(let b, _)): cluster(a) == cluster(b)
    case (.log(let a), .log(let b)): directory(a) == directory(b)
    default: false
    }
  }

  /// Whether two lists of brokers are one cluster, as far as can be told from their text.
  static func cluster(_ brokers: String) -> [String] {
    brokers.split(separator: ",").map { $0.filter { $0 != " " }.lowercased() }.sorted()
  }

  /// A path without what does not change it.
  static func directory(_ path: String) -> String {
    let parts = path.split(separator: "/").filter { $0 != "." }
    return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
  }

  /// `bid_parameters` → `bid-parameters`
  static func topic(for name: String) -> String {
    String(name.map { $0 == "_" ? "-" : $0 })
  }

  /// The entry that says where a source or sink is; exactly one.
  mutating func transport(_ entry: TopologyTree.Entry, _ path: String) -> TopologyTree.Entry? {
    guard case .mapping(let entries) = entry.value.content else { return nil }
    let found = entries.filter { ["kafka", "log", "files"].contains($0.key) }
    if found.isEmpty {
      values.problems.add(
        entry.keyPlace, "\(quoted(path)) has no transport; expected `kafka`, `log` or `files`")
    }
    for extra in found.dropFirst() {
      values.problems.add(
        extra.keyPlace,
        "\(quoted(path)) has \(quoted(found[0].key)) and \(quoted(extra.key)); "
          + "expected one transport")
    }
    return found.first
  }

  // MARK: - Sources

  mutating func kafkaSource(_ tree: TopologyTree, _ path: String) -> Topology.KafkaSource? {
    let keys = ["brokers", "topics", "group", "partitioner", "properties"]
    guard
      values.fields(tree, path, keys: keys, expected: "a mapping with `brokers` and `topics`")
    else { return nil }
    let brokers = self.brokers(tree, path)
    if tree["brokers"] == nil {
      values.missing("brokers", in: path, at: tree.place, expected: Self.brokersExpected)
    }
    let topics = tree["topics"].flatMap { self.topics($0, "\(path).topics") }
    if tree["topics"] == nil {
      values.missing("topics", in: path, at: tree.place, expected: "a list of topics")
    }
    let group = self.group(tree, path)
    let partitioner = choice(Topology.Partitioner.self, tree, "\(path).partitioner")
    let properties = self.properties(tree, path)
    guard let brokers, let topics, let group, let properties else { return nil }
    return Topology.KafkaSource(
      brokers: brokers, topics: topics, group: group, partitioner: partitioner ?? .murmur2,
      properties: properties)
  }

  mutating func logSource(
    _ tree: TopologyTree, _ path: String, _ name: String
  ) -> Topology.LogSource? {
    let keys = ["directory", "topics", "group"]
    guard values.fields(tree, path, keys: keys, expected: "a mapping with `directory`") else {
      return nil
    }
    let directory = tree["directory"].flatMap {
      text($0, "\(path).directory", "a path") { !$0.isEmpty }
    }
    if tree["directory"] == nil {
      values.missing("directory", in: path, at: tree.place, expected: "a path")
    }
    let topics =
      tree["topics"].map { self.topics($0, "\(path).topics") } ?? [Self.topic(for: name)]
    let group = self.group(tree, path)
    guard let directory, let topics, let group else { return nil }
    return Topology.LogSource(directory: directory, topics: topics, group: group)
  }

  mutating func filesSource(_ tree: TopologyTree, _ path: String) -> Topology.SourceTransport? {
    guard values.fields(tree, path, keys: ["paths"], expected: "a mapping with `paths`") else {
      return nil
    }
    guard let paths = tree["paths"] else {
      values.missing("paths", in: path, at: tree.place, expected: "a list of paths")
      return nil
    }
    return texts(paths, "\(path).paths", "a list of paths", "a path", where: { !$0.isEmpty })
      .map { .files(paths: $0) }
  }

  // MARK: - Sinks

  /// What the block leaves out is the sources' cluster, with its client properties.
  mutating func kafkaSink(
    _ tree: TopologyTree, _ path: String, topic: String, isStream: Bool = true
  ) -> Topology.KafkaSink? {
    let keys = ["brokers", "topic", "properties"] + (isStream ? ["partitioner"] : [])
    guard values.fields(tree, path, keys: keys, expected: "a mapping with `topic`") else {
      return nil
    }
    var brokers = self.brokers(tree, path)
    guard var properties = self.properties(tree, path) else { return nil }
    if tree["brokers"] == nil {
      if case .kafka(let shared, let inherited)? = home {
        brokers = shared
        let own = Set(properties.map(\.name))
        properties += inherited.filter { !own.contains($0.name) }
        properties.sort { $0.name < $1.name }
      } else if draft.sources.allSatisfy({ $0.transport != nil }) {
        values.missing(
          "brokers", in: path, at: tree.place,
          expected: Self.brokersExpected + ", because the sources are not on one cluster")
      }
    }
    let topic = self.topic(tree, path, default: topic)
    let partitioner =
      isStream ? choice(Topology.Partitioner.self, tree, "\(path).partitioner") : nil
    guard let brokers, let topic else { return nil }
    return Topology.KafkaSink(
      brokers: brokers, topic: topic, properties: properties,
      partitioner: partitioner == .any ? nil : partitioner)
  }

  mutating func logSink(_ tree: TopologyTree, _ path: String, topic: String) -> Topology.LogSink? {
    guard
      values.fields(
        tree, path, keys: ["directory", "topic"],
        expected: "a mapping with `directory` and `topic`")
    else { return nil }
    var directory = tree["directory"].flatMap {
      text($0, "\(path).directory", "a path") { !$0.isEmpty }
    }
    if tree["directory"] == nil {
      if case .log(let shared)? = home {
        directory = shared
      } else if draft.sources.allSatisfy({ $0.transport != nil }) {
        values.missing(
          "directory", in: path, at: tree.place,
          expected: "a path, because the sources are not in one log")
      }
    }
    let topic = self.topic(tree, path, default: topic)
    guard let directory, let topic else { return nil }
    return Topology.LogSink(directory: directory, topic: topic)
  }

  mutating func filesSink(_ tree: TopologyTree, _ path: String) -> Topology.SinkTransport? {
    guard values.fields(tree, path, keys: ["path"], expected: "a mapping with `path`") else {
      return nil
    }
    guard let file = tree["path"] else {
      values.missing("path", in: path, at: tree.place, expected: "a path")
      return nil
    }
    return text(file, "\(path).path", "a path") { !$0.isEmpty }.map { .files(path: $0) }
  }

  // MARK: - Parts of transports

  private static var brokersExpected: String { "`host:port`, more of them after commas" }
  private static var topicExpected: String {
    "a topic of letters, digits, `.`, `_` and `-`, at most 249"
  }

  private mutating func brokers(_ tree: TopologyTree, _ path: String) -> String? {
    tree["brokers"].flatMap {
      text($0, "\(path).brokers", Self.brokersExpected, where: Self.isBrokerList)
    }
  }

  private static func isBrokerList(_ text: String) -> Bool {
    text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { broker in
      guard let colon = broker.lastIndex(of: ":") else {
        return !broker.isEmpty && !broker.contains(" ")
      }
      let port = broker[broker.index(after: colon)...]
      return colon != broker.startIndex && !broker.contains(" ") && UInt16(port) ?? 0 > 0
    }
  }

  private mutating func topics(_ tree: TopologyTree, _ path: String) -> [String]? {
    texts(
      tree, path, "a list of topics", Self.topicExpected,
      where: { Self.isName($0, lengthMax: 249) && $0 != "." && $0 != ".." })
  }

  private mutating func topic(
    _ tree: TopologyTree, _ path: String, default name: String
  ) -> String? {
    guard let topic = tree["topic"] else { return name }
    return text(
      topic, "\(path).topic", Self.topicExpected,
      where: { Self.isName($0, lengthMax: 249) && $0 != "." && $0 != ".." })
  }

  private mutating func group(_ tree: TopologyTree, _ path: String) -> String? {
    guard let group = tree["group"] else { return "bidmill-\(draft.name)" }
    return text(
      group, "\(path).group", "a group of letters, digits, `.`, `_` and `-`, at most 249",
      where: { Self.isName($0, lengthMax: 249) })
  }

  /// Settings of the Kafka client that the engine's guarantees rest on, and who sets them.
  static let ownedProperties: [(name: String, reason: String)] = [
    ("auto.offset.reset", "offsets are the engine's"),
    ("bootstrap.servers", "write `brokers`"),
    ("enable.auto.commit", "offsets are the engine's"),
    ("enable.auto.offset.store", "offsets are the engine's"),
    ("enable.idempotence", "write `delivery`"),
    ("enable.partition.eof", "the merge of sources needs it"),
    ("group.id", "write `group`"),
    ("group.instance.id", "each process has its own: `bidmill run --instance`"),
    ("isolation.level", "write `delivery`"),
    ("metadata.broker.list", "write `brokers`"),
    ("partition.assignment.strategy", "sources are assigned together"),
    ("transactional.id", "write `delivery`"),
  ]

  /// Sorted by name; nil where one is refused.
  private mutating func properties(
    _ tree: TopologyTree, _ path: String
  ) -> [Topology.Property]? {
    guard let block = tree["properties"] else { return [] }
    guard case .mapping(let entries) = block.content else {
      values.refuse(
        block, "a mapping of settings of the Kafka client", path: "\(path).properties")
      return nil
    }
    var result: [Topology.Property] = []
    for entry in entries {
      if let owned = Self.ownedProperties.first(where: { $0.name == entry.key }) {
        values.problems.add(
          entry.keyPlace, "\(quoted(entry.key)) is not yours to set; \(owned.reason)")
        continue
      }
      let inner = "\(path).properties.\(entry.key)"
      if let value = text(entry.value, inner, "text") {
        result.append(Topology.Property(name: entry.key, value: value))
      }
    }
    return result.count == entries.count ? result.sorted { $0.name < $1.name } : nil
  }

  // MARK: - Words

  static func isName(_ text: String, lengthMax: Int) -> Bool {
    (1...lengthMax).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
          UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  /// A name of a source, an operator or a sink.
  static func isIdentifier(_ text: String) -> Bool {
    guard let first = text.utf8.first, (0x61...0x7A).contains(first), text.utf8.count <= 64 else {
      return false
    }
    return text.utf8.allSatisfy {
      (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_")
    }
  }

  mutating func text(
    _ tree: TopologyTree, _ path: String, _ expected: String,
    where isValid: (String) -> Bool = { _ in true }
  ) -> String? {
    guard case .scalar(let text, _) = tree.content, isValid(text) else {
      values.refuse(tree, expected, path: path)
      return nil
    }
    return text
  }

  private mutating func texts(
    _ tree: TopologyTree, _ path: String, _ expected: String, _ element: String,
    where isValid: (String) -> Bool
  ) -> [String]? {
    guard case .list(let items) = tree.content, !items.isEmpty else {
      values.refuse(tree, expected, path: path)
      return nil
    }
    var result: [String] = []
    for (index, item) in items.enumerated() {
      if let value = text(item, "\(path)[\(index)]", element, where: isValid) {
        result.append(value)
      }
    }
    return result.count == items.count ? result : nil
  }

  mutating func choice<T: RawRepresentable & CaseIterable>(
    _: T.Type, _ tree: TopologyTree, _ path: String
  ) -> T? where T.RawValue == String {
    guard let given = tree[Self.lastKey(path)] else { return nil }
    let kind = SettingKind.choice(T.allCases.map(\.rawValue))
    guard case .text(let word)? = values.value(given, as: kind, path: path) else { return nil }
    return T(rawValue: word)
  }

  mutating func duration(
    _ tree: TopologyTree, _ path: String, _ range: ClosedRange<TimeSpan>, _ result: inout TimeSpan
  ) {
    guard let given = tree[Self.lastKey(path)] else { return }
    if case .duration(let span)? = values.value(given, as: .duration(range), path: path) {
      result = span
    }
  }

  mutating func integer(
    _ tree: TopologyTree, _ path: String, _ range: ClosedRange<Int64>, _ result: inout Int
  ) {
    guard let given = tree[Self.lastKey(path)] else { return }
    if case .integer(let number)? = values.value(given, as: .integer(range), path: path) {
      result = Int(number)
    }
  }

  mutating func boolean(_ tree: TopologyTree, _ path: String, _ result: inout Bool) {
    guard let given = tree[Self.lastKey(path)] else { return }
    if case .boolean(let value)? = values.value(given, as: .boolean, path: path) {
      result = value
    }
  }

  private static func lastKey(_ path: String) -> String {
    path.split(separator: ".").last.map(String.init) ?? path
  }
}
