// What a topology can be used for depends on where it reads and writes: a replay brings its own
// sources and sinks, a live run must be able to keep its promise.

extension CheckedTopology {
  public enum Use: Sendable {
    /// The live service.
    case run
    /// A replay or backtest: `--from` stands in for every source and `--out` for every sink.
    case replay
  }

  /// What stands in the way of a use; empty when nothing does.
  public func check(for use: Use) -> [TopologyProblem] {
    guard use == .run else { return [] }
    var problems = ProblemList()
    checkFiles(&problems)
    checkGroups(&problems)
    checkPartitioners(&problems)
    if topology.delivery == .exactlyOnce { checkOneHome(&problems) }
    return problems.sorted
  }

  private func place(_ path: String, _ fallback: String) -> Place {
    places[path] ?? places[fallback] ?? places[""] ?? Place(topology.name)
  }

  private func checkFiles(_ problems: inout ProblemList) {
    let advice = "files can be replayed, not run; expected `kafka` or `log`"
    for source in topology.sources {
      if case .files = source.transport {
        let path = "sources.\(source.name)"
        problems.add(place("\(path).files", path), "\(quoted(path)) is of files; \(advice)")
      }
    }
    for sink in topology.sinks {
      if case .files = sink.transport {
        let path = "sinks.\(sink.name)"
        guard places[path] != nil else { continue }
        problems.add(place("\(path).files", path), "\(quoted(path)) is a file; \(advice)")
      }
    }
  }

  /// Only an event's key is its account alone: other streams stay with the account they are about.
  /// Updates and priors are events.
  private func checkPartitioners(_ problems: inout ProblemList) {
    for (sink, plan) in zip(topology.sinks, sinks) {
      guard case .kafka(let kafka) = sink.transport, kafka.partitioner != nil,
        ![.events, .updates, .priors].contains(plan.stream)
      else { continue }
      let path = "sinks.\(sink.name)"
      problems.add(
        place("\(path).kafka.partitioner", path),
        "\(quoted(path)) is of \(plan.stream), which stay in the partition of their account; only "
          + "a sink of `events`, `updates` or `priors` has a `partitioner`")
    }
  }

  /// A worker is one member of one group on each cluster or log.
  private func checkGroups(_ problems: inout ProblemList) {
    var groups: [Home: (group: String, source: String)] = [:]
    for source in topology.sources {
      guard let home = Home(source.transport), let group = source.transport.group else { continue }
      guard let first = groups[home] else {
        groups[home] = (group, source.name)
        continue
      }
      if first.group != group {
        let path = "sources.\(source.name)"
        let block = if case .kafka = source.transport { "kafka" } else { "log" }
        problems.add(
          place("\(path).\(block).group", path),
          "\(quoted(path)) is read as group \(quoted(group)), "
            + "\(quoted("sources.\(first.source)")) as \(quoted(first.group)); expected one group")
      }
    }
  }

  /// Where a transaction can reach.
  private enum Home: Hashable {
    case kafka([String])
    case log(String)

    init?(_ transport: Topology.SourceTransport) {
      switch transport {
      case .kafka(let kafka): self = .kafka(TopologyReader.cluster(kafka.brokers))
      case .log(let log): self = .log(TopologyReader.directory(log.directory))
      case .files: return nil
      }
    }

    init?(_ transport: Topology.SinkTransport) {
      switch transport {
      case .kafka(let kafka): self = .kafka(TopologyReader.cluster(kafka.brokers))
      case .log(let log): self = .log(TopologyReader.directory(log.directory))
      case .files: return nil
      }
    }

    var block: String { if case .kafka = self { "kafka" } else { "log" } }

    var text: String {
      switch self {
      case .kafka(let brokers): "the Kafka cluster \(brokers.joined(separator: ","))"
      case .log(let directory): "the log \(directory)"
      }
    }
  }

  /// Offsets, outputs and journal commit in one transaction, so they must be in one place.
  private func checkOneHome(_ problems: inout ProblemList) {
    let all =
      topology.sources.map { ("sources.\($0.name)", Home($0.transport)) }
      + topology.sinks.map { ("sinks.\($0.name)", Home($0.transport)) }
    let homes = all.compactMap { path, home in home.map { (path: path, home: $0) } }
    guard let first = homes.first else { return }
    for other in homes where other.home != first.home {
      problems.add(
        place("\(other.path).\(other.home.block)", other.path),
        "\(quoted(other.path)) is in \(other.home.text), \(quoted(first.path)) in "
          + "\(first.home.text); `delivery: exactly_once` needs one place, expected that or "
          + "`delivery: at_least_once`")
    }
  }
}

extension Topology.SourceTransport {
  var group: String? {
    switch self {
    case .kafka(let kafka): kafka.group
    case .log(let log): log.group
    case .files: nil
    }
  }

  var partitioner: Topology.Partitioner? {
    if case .kafka(let kafka) = self { kafka.partitioner } else { nil }
  }
}
