// Whether sources, operators and sinks fit together, and in which order operators run. Works on
// drafts, so that a file with a wrong setting still hears about its cycle.

struct GraphChecker {
  typealias Upstream = CheckedTopology.Upstream

  let draft: TopologyDraft
  let places: [String: Place]
  var problems: ProblemList
  private var warnings = ProblemList()

  /// Per operator, in file order: what each `from` entry names; `.operator` by file index.
  private var upstreams: [[Upstream?]] = []
  private var inputs: [[CheckedTopology.Input]] = []
  /// File indices in the order of the run; shorter than the operators where there is a cycle.
  private var order: [Int] = []
  private var sinkUpstreams: [[Upstream]] = []
  private var sinkStreams: [StreamType?] = []

  init(draft: TopologyDraft, places: [String: Place], problems: ProblemList) {
    self.draft = draft
    self.places = places
    self.problems = problems
  }

  mutating func check() {
    checkNames()
    upstreams = draft.operators.indices.map { resolve(operator: $0) }
    inputs = draft.operators.indices.map { connect(operator: $0) }
    sort()
    for sink in draft.sinks { connect(sink) }
    checkDeadLetters()
    checkTopics()
    warnUnread()
  }

  private func place(_ path: String) -> Place {
    var path = Substring(path)
    while true {
      if let place = places[String(path)] { return place }
      guard let cut = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { break }
      path = path[..<cut]
    }
    return places[""] ?? Place("topology")
  }

  // MARK: - Names

  private mutating func checkNames() {
    let sources = draft.sources.map(\.name)
    for operation in draft.operators where sources.contains(operation.name) {
      problems.add(
        place("operators.\(operation.name)"),
        "\(quoted(operation.name)) is the name of a source; expected a name of its own")
    }
  }

  private mutating func resolve(operator index: Int) -> [Upstream?] {
    let operation = draft.operators[index]
    return (operation.from ?? []).enumerated().map { position, name in
      find(name, for: "operators.\(operation.name).from[\(position)]", asking: operation.name)
    }
  }

  /// Sources go before operators of the same name, which is a problem of its own.
  private mutating func find(_ name: String, for path: String, asking: String?) -> Upstream? {
    if let source = draft.sources.firstIndex(where: { $0.name == name }) { return .source(source) }
    if let operation = draft.operators.firstIndex(where: { $0.name == name }) {
      return .operator(operation)
    }
    let givers = draft.operators.filter { operation in
      operation.name != asking
        && operation.description?.outputs.contains { $0.name == name } ?? false
    }
    var hint = ""
    if !givers.isEmpty {
      hint = "; the stream of that name is given by \(alternatives(givers.map(\.name), "and"))"
    } else {
      let known = (draft.sources.map(\.name) + draft.operators.map(\.name)).filter { $0 != asking }
      hint = suggestion(for: name, among: known, expecting: "the name of a source or operator")
    }
    problems.add(place(path), "there is no source or operator \(quoted(name))\(hint)")
    return nil
  }

  // MARK: - Streams

  /// What an upstream gives; nil where its operator is not known.
  private func outputs(of upstream: Upstream) -> [StreamType]? {
    switch upstream {
    case .source: [.events]
    case .engine: [.deadLetters]
    case .operator(let index):
      draft.operators[index].description.map(Self.outputs)
    }
  }

  private static func outputs(of description: OperatorDescription) -> [StreamType] {
    description.outputs.contains(.alerts) ? description.outputs : description.outputs + [.alerts]
  }

  private func name(of upstream: Upstream) -> String {
    switch upstream {
    case .source(let index): draft.sources[index].name
    case .operator(let index): draft.operators[index].name
    case .engine: "engine"
    }
  }

  /// Matches what upstreams give to the ports that read it.
  private mutating func connect(operator index: Int) -> [CheckedTopology.Input] {
    let operation = draft.operators[index]
    guard let description = operation.description, operation.from != nil else { return [] }
    var result: [CheckedTopology.Input] = []
    var isUncertain = false
    for (position, upstream) in upstreams[index].enumerated() {
      // An unknown upstream, and an operator that reads itself, have been or will be reported.
      guard let upstream, upstream != .operator(index), let streams = outputs(of: upstream) else {
        isUncertain = true
        continue
      }
      let fed = description.inputs.enumerated().filter { streams.contains($0.element.stream) }
      for (port, input) in fed {
        result.append(
          CheckedTopology.Input(upstream: upstream, stream: input.stream, port: port))
      }
      if fed.isEmpty {
        refuse(upstream, at: position, of: operation, description)
        isUncertain = true
      }
    }
    if !isUncertain { checkPorts(description, fed: Set(result.map(\.port)), operation.name) }
    return result
  }

  private mutating func refuse(
    _ upstream: Upstream, at position: Int, of operation: TopologyDraft.Operator,
    _ description: OperatorDescription
  ) {
    let read = description.inputs.map { input in
      let givers = givers(of: input.stream).filter { $0 != operation.name }
      let from = givers.isEmpty ? "" : " (from \(alternatives(givers)))"
      return quoted(input.stream.name) + from
    }
    problems.add(
      place("operators.\(operation.name).from[\(position)]"),
      "\(gives(upstream)); \(quoted(operation.name)) (\(description.name)) reads "
        + (read.isEmpty ? "nothing" : read.joined(separator: ", ")))
  }

  /// `totals` gives `tallies`
  private func gives(_ upstream: Upstream) -> String {
    let names = described(upstream).map(\.name)
    let list = names.isEmpty ? "nothing but `alerts`" : alternatives(names, "and")
    return "\(quoted(name(of: upstream))) gives \(list)"
  }

  /// The described streams, without the alerts that any operator may raise.
  private func described(_ upstream: Upstream) -> [StreamType] {
    if case .operator(let index) = upstream {
      return draft.operators[index].description?.outputs ?? []
    }
    return outputs(of: upstream) ?? []
  }

  private mutating func checkPorts(
    _ description: OperatorDescription, fed: Set<Int>, _ name: String
  ) {
    for (port, input) in description.inputs.enumerated() where input.required {
      if fed.contains(port) { continue }
      let givers = givers(of: input.stream).filter { $0 != name }
      let hint =
        givers.isEmpty
        ? "nothing in this topology gives it" : "it is given by \(alternatives(givers, "and"))"
      problems.add(
        place("operators.\(name).from"),
        "\(quoted(name)) (\(description.name)) lacks its input "
          + "\(quoted(input.stream.name)); \(hint)"
      )
    }
  }

  private func givers(of stream: StreamType) -> [String] {
    let sources = stream == .events ? draft.sources.map(\.name) : []
    return sources
      + draft.operators.filter { $0.description?.outputs.contains(stream) ?? false }.map(\.name)
  }

  // MARK: - Order

  /// Kahn's algorithm, always taking the ready operator that stands first in the file.
  private mutating func sort() {
    var waiting = Set(draft.operators.indices)
    while true {
      while let next = draft.operators.indices.first(where: { index in
        waiting.contains(index) && predecessors(of: index).allSatisfy { !waiting.contains($0) }
      }) {
        waiting.remove(next)
        order.append(next)
      }
      guard let start = waiting.min() else { return }
      let cycle = findCycle(from: start, in: waiting)
      reportCycle(cycle)
      waiting.subtract(cycle)
    }
  }

  private func predecessors(of index: Int) -> [Int] {
    upstreams[index].compactMap {
      if case .operator(let other)? = $0 { other } else { nil }
    }
  }

  /// Every operator that waits has a predecessor that waits; following them must come around.
  private func findCycle(from start: Int, in waiting: Set<Int>) -> [Int] {
    var path = [start]
    while true {
      let before = predecessors(of: path[path.count - 1]).first { waiting.contains($0) }
      guard let before else { preconditionFailure("an operator waits for nothing") }
      if let seen = path.firstIndex(of: before) { return Array(path[seen...]) }
      path.append(before)
    }
  }

  /// In the direction of the streams, beginning with the operator that stands first in the file.
  private mutating func reportCycle(_ cycle: [Int]) {
    let forward = Array(cycle.reversed())
    let first = forward.indices.min { forward[$0] < forward[$1] } ?? 0
    let names = (forward[first...] + forward[..<first]).map { draft.operators[$0].name }
    problems.add(
      place("operators.\(names[0]).from"),
      "a cycle: \((names + [names[0]]).joined(separator: " → ")); streams go forward only")
  }

  // MARK: - Sinks

  private mutating func connect(_ sink: TopologyDraft.Sink) {
    var found: [Upstream] = []
    var stream: StreamType?
    defer {
      sinkUpstreams.append(found)
      sinkStreams.append(stream)
    }
    if sink.stream == StreamType.deadLetters.name {
      found = [.engine]
      stream = .deadLetters
      return
    }
    for (position, name) in (sink.from ?? []).enumerated() {
      let path = "sinks.\(sink.name).from[\(position)]"
      guard let upstream = find(name, for: path, asking: nil) else { continue }
      guard let streams = outputs(of: upstream) else { continue }
      guard let given = pick(sink, stream, upstream, streams, path) else { continue }
      stream = stream ?? given
      found.append(upstream)
    }
  }

  /// The sink's stream among those of one upstream, or a problem.
  private mutating func pick(
    _ sink: TopologyDraft.Sink, _ earlier: StreamType?, _ upstream: Upstream,
    _ streams: [StreamType], _ path: String
  ) -> StreamType? {
    let described = described(upstream)
    let giver = gives(upstream)
    if let wanted = sink.stream {
      if let stream = streams.first(where: { $0.name == wanted }) { return stream }
      let guess = nearest(to: wanted, among: streams.map(\.name))
      problems.add(
        place(places["sinks.\(sink.name).stream"] == nil ? path : "sinks.\(sink.name).stream"),
        "\(giver), not \(quoted(wanted))" + (guess.map { "; did you mean \(quoted($0))?" } ?? ""))
      return nil
    }
    if let earlier {
      if streams.contains(earlier) { return earlier }
      problems.add(place(path), "\(giver), not \(quoted(earlier.name)) like the one before it")
      return nil
    }
    if let stream = streams.first(where: { $0.name == sink.name }) { return stream }
    if described.isEmpty { return .alerts }
    if described.count == 1 { return described[0] }
    problems.add(
      place(path),
      "\(giver); expected `stream:` to say which one \(quoted("sinks.\(sink.name)")) takes")
    return nil
  }

  private mutating func checkDeadLetters() {
    let sinks = draft.sinks.filter { $0.stream == StreamType.deadLetters.name }
    for extra in sinks.dropFirst() {
      problems.add(
        place("sinks.\(extra.name)"),
        "\(quoted(sinks[0].name)) takes `dead_letters` already; expected one sink for them")
    }
  }

  // MARK: - Topics

  /// One place that records are read from or written to.
  private enum Channel: Hashable {
    case kafka(cluster: [String], topic: String)
    case log(directory: String, topic: String)
    case file(String)

    var text: String {
      switch self {
      case .kafka(_, let topic), .log(_, let topic): "the topic \(quoted(topic))"
      case .file(let path): "the file \(quoted(path))"
      }
    }
  }

  /// A topic is read once and written by one sink, and nothing reads what it writes.
  private mutating func checkTopics() {
    var readers: [Channel: String] = [:]
    for source in draft.sources {
      for (channel, path) in Self.channels(of: source) {
        if let reader = readers[channel] {
          problems.add(
            place(path), "\(quoted(reader)) reads \(channel.text) already; once is enough")
        } else {
          readers[channel] = "sources.\(source.name)"
        }
      }
    }
    var writers: [Channel: String] = [:]
    for sink in draft.sinks {
      guard let (channel, path) = Self.channel(of: sink) else { continue }
      if let reader = readers[channel] {
        problems.add(
          place(path),
          "\(quoted("sinks.\(sink.name)")) writes \(channel.text), which \(quoted(reader)) reads; "
            + "expected a topic of its own")
      } else if let writer = writers[channel] {
        problems.add(
          place(path),
          "\(quoted(writer)) writes \(channel.text) already; expected a topic of its own, or one "
            + "sink with both in `from`")
      } else {
        writers[channel] = "sinks.\(sink.name)"
      }
    }
  }

  private static func channels(of source: TopologyDraft.Source) -> [(Channel, String)] {
    let path = "sources.\(source.name)"
    switch source.transport {
    case .kafka(let kafka):
      let cluster = TopologyReader.cluster(kafka.brokers)
      return kafka.topics.enumerated().map {
        (.kafka(cluster: cluster, topic: $1), "\(path).kafka.topics[\($0)]")
      }
    case .log(let log):
      let directory = TopologyReader.directory(log.directory)
      return log.topics.enumerated().map {
        (.log(directory: directory, topic: $1), "\(path).log.topics[\($0)]")
      }
    case .files(let paths):
      return paths.enumerated().map {
        (.file(TopologyReader.directory($1)), "\(path).files.paths[\($0)]")
      }
    case nil: return []
    }
  }

  private static func channel(of sink: TopologyDraft.Sink) -> (Channel, String)? {
    let path = "sinks.\(sink.name)"
    switch sink.transport {
    case .kafka(let kafka):
      let cluster = TopologyReader.cluster(kafka.brokers)
      return (.kafka(cluster: cluster, topic: kafka.topic), "\(path).kafka.topic")
    case .log(let log):
      let directory = TopologyReader.directory(log.directory)
      return (.log(directory: directory, topic: log.topic), "\(path).log.topic")
    case .files(let file):
      return (.file(TopologyReader.directory(file)), "\(path).files.path")
    case nil: return nil
    }
  }

  // MARK: - Warnings

  private mutating func warnUnread() {
    let read = Set(upstreams.joined().compactMap { $0 } + sinkUpstreams.joined())
    for (index, source) in draft.sources.enumerated() where !read.contains(.source(index)) {
      warnings.add(
        place("sources.\(source.name)"), "nothing reads \(quoted(source.name))",
        severity: .warning)
    }
    for (index, operation) in draft.operators.enumerated()
    where !read.contains(.operator(index)) {
      warnings.add(
        place("operators.\(operation.name)"), "nothing reads \(quoted(operation.name))",
        severity: .warning)
    }
  }

  // MARK: - Result

  /// The plan; nil while anything is missing, which has then been reported.
  func result() -> CheckedTopology? {
    guard let topology = topology() else { return nil }
    var runIndex: [Int: Int] = [:]
    for (position, index) in order.enumerated() { runIndex[index] = position }
    func run(_ upstream: Upstream) -> Upstream {
      if case .operator(let index) = upstream {
        .operator(runIndex[index] ?? index)
      } else {
        upstream
      }
    }
    let operators = order.compactMap { index -> CheckedTopology.Operator? in
      guard let description = draft.operators[index].description else { return nil }
      return CheckedTopology.Operator(
        name: draft.operators[index].name, description: description,
        settings: topology.operators[index].settings,
        inputs: inputs[index].map {
          CheckedTopology.Input(upstream: run($0.upstream), stream: $0.stream, port: $0.port)
        },
        outputs: Self.outputs(of: description), fileIndex: index)
    }
    let sinks = topology.sinks.indices.compactMap { index -> CheckedTopology.Sink? in
      guard let stream = sinkStreams[index] else { return nil }
      return CheckedTopology.Sink(
        name: topology.sinks[index].name, stream: stream,
        upstreams: sinkUpstreams[index].map(run), transport: topology.sinks[index].transport)
    }
    guard operators.count == topology.operators.count, sinks.count == topology.sinks.count,
      let deadLetters = sinks.firstIndex(where: { $0.stream == .deadLetters })
    else { return nil }
    return CheckedTopology(
      topology: topology, operators: operators, sinks: sinks, deadLetterSink: deadLetters,
      warnings: warnings.sorted, places: places)
  }

  private func topology() -> Topology? {
    let sources = draft.sources.compactMap { source in
      source.transport.map {
        Topology.Source(
          name: source.name, transport: $0, urgent: source.urgent, trusted: source.trusted)
      }
    }
    let operators = draft.operators.compactMap { operation -> Topology.Operator? in
      guard let description = operation.description, let from = operation.from,
        let settings = operation.settings
      else { return nil }
      return Topology.Operator(
        name: operation.name, kind: description.name, from: from, settings: settings)
    }
    let sinks = draft.sinks.enumerated().compactMap { index, sink -> Topology.Sink? in
      guard let from = sink.from, let transport = sink.transport, let stream = sinkStreams[index]
      else { return nil }
      return Topology.Sink(name: sink.name, from: from, stream: stream.name, transport: transport)
    }
    guard sources.count == draft.sources.count, operators.count == draft.operators.count,
      sinks.count == draft.sinks.count, let snapshots = draft.snapshots
    else { return nil }
    return Topology(
      name: draft.name, seed: draft.seed, time: draft.time, sources: sources,
      operators: operators, sinks: sinks, delivery: draft.delivery, snapshots: snapshots,
      commit: draft.commit)
  }
}
