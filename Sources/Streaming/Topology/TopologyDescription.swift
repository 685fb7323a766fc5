internal import Events

// `describe`: a topology for people to read. Secrets are never in it.

extension CheckedTopology {
  public enum DescriptionForm: String, Sendable, CaseIterable {
    case text, mermaid, dot
  }

  /// The topology as text, or its graph for Mermaid or Graphviz; ends with a line break.
  public func describe(_ form: DescriptionForm = .text) -> String {
    switch form {
    case .text: textDescription
    case .mermaid: mermaidDescription
    case .dot: dotDescription
    }
  }

  private var textDescription: String {
    var lines: [String] = []
    lines += Self.table(headerRows)
    lines += ["", "sources"]
    lines += sourceLines
    lines += ["", "operators, in the order in which they run"]
    if operators.isEmpty { lines.append("  none") }
    lines += operatorLines
    lines += ["", "sinks"]
    lines += Self.table(
      sinks.map { sink in
        let upstreams = sink.upstreams.map(name).joined(separator: ", ")
        let compacted = sink.stream.compacted ? " (newest by key)" : ""
        return [
          "  " + sink.name, "\(sink.stream.name)\(compacted) ← \(upstreams)",
          Self.text(of: sink.transport),
        ]
      })
    return lines.map { $0 + "\n" }.joined()
  }

  // MARK: - Guarantees

  private var headerRows: [[String]] {
    let time = topology.time
    return [
      ["topology", topology.name],
      ["hash", hexadecimal(hash)],
      ["key", topology.key.rawValue],
      ["seed", "\(topology.seed)"],
      [
        "time",
        "tick \(time.tick.text), out of orderness \(time.outOfOrderness.text), "
          + "max ahead \(time.maxAhead.text), max gap \(time.maxGap.text), "
          + "merge wait \(time.mergeWait.text)",
      ],
      ["delivery", "\(topology.delivery.rawValue), \(commitText)"],
      ["snapshots", snapshotsText],
    ]
  }

  private var commitText: String {
    let commit = topology.commit
    let text = "commits every \(commit.every.text) or \(commit.events) events"
    guard usesLocalLog else { return text }
    switch commit.fsync {
    case .always: return text + ", fsync always"
    case .never: return text + ", fsync never"
    case .every(let span): return text + ", fsync every \(span.text)"
    }
  }

  private var usesLocalLog: Bool {
    topology.sources.contains { if case .log = $0.transport { true } else { false } }
      || topology.sinks.contains { if case .log = $0.transport { true } else { false } }
  }

  private var snapshotsText: String {
    let snapshots = topology.snapshots
    let kept = "every \(snapshots.every.text), newest \(snapshots.keep) kept"
    switch snapshots.store {
    case .directory(let path): return "directory \(path), \(kept)"
    case .kafka(let sink): return "\(Self.text(of: .kafka(sink))), \(kept)"
    }
  }

  // MARK: - Transports

  /// What a source is, and on lines below what it reads there.
  private var sourceLines: [String] {
    let rows = Self.table(topology.sources.map { ["  " + $0.name, Self.text(of: $0)] })
    return zip(topology.sources, rows).flatMap { source, row in
      switch source.transport {
      case .kafka(let kafka):
        [row, "    topics: \(kafka.topics.joined(separator: ", "))"]
          + kafka.properties.map { "    \($0)" }
      case .log(let log): [row, "    topics: \(log.topics.joined(separator: ", "))"]
      case .files(let paths): [row] + paths.map { "    \($0)" }
      }
    }
  }

  private static func text(of source: Topology.Source) -> String {
    var parts: [String] = []
    switch source.transport {
    case .kafka(let kafka):
      parts = [
        "kafka \(kafka.brokers)", "group \(kafka.group)",
        "partitioner \(kafka.partitioner.rawValue)",
      ]
    case .log(let log): parts = ["log \(log.directory)", "group \(log.group)"]
    case .files(let paths): parts = [paths.count == 1 ? "1 file" : "\(paths.count) files"]
    }
    if source.urgent { parts.append("urgent") }
    if source.trusted { parts.append("trusted") }
    return parts.joined(separator: ", ")
  }

  private static func text(of transport: Topology.SinkTransport) -> String {
    switch transport {
    case .kafka(let kafka):
      (["kafka \(kafka.brokers)", "topic \(kafka.topic)"]
        + (kafka.partitioner.map { ["partitioner \($0.rawValue)"] } ?? [])
        + kafka.properties.map(\.description))
        .joined(separator: ", ")
    case .log(let log): "log \(log.directory), topic \(log.topic)"
    case .files(let path): "file \(path)"
    }
  }

  // MARK: - Operators

  private var operatorLines: [String] {
    let rows = Self.table(
      operators.map { operation in
        let outputs = operation.description.outputs.map(\.name).joined(separator: ", ")
        return [
          "  " + operation.name, operation.description.name,
          "→ " + (outputs.isEmpty ? "alerts only" : outputs),
        ]
      })
    var lines: [String] = []
    for (operation, row) in zip(operators, rows) {
      lines.append(row)
      let inputs = operation.inputs.map { ($0.stream.name, name(of: $0.upstream)) }
      lines.append("    \(Self.grouped(inputs))")
      for setting in operation.description.settings {
        let value = operation.settings[setting.name]
        if value != setting.defaultValue { lines.append("    \(setting.name): \(value.text)") }
      }
    }
    return lines
  }

  /// `events ← a, b; credits ← c`, in the order of arrival.
  private static func grouped(_ inputs: [(stream: String, from: String)]) -> String {
    var groups: [(stream: String, from: [String])] = []
    for input in inputs {
      if let index = groups.firstIndex(where: { $0.stream == input.stream }) {
        groups[index].from.append(input.from)
      } else {
        groups.append((input.stream, [input.from]))
      }
    }
    return groups.map { "\($0.stream) ← \($0.from.joined(separator: ", "))" }
      .joined(separator: "; ")
  }

  /// Rows with columns of equal width; the last column is as long as it is.
  static func table(_ rows: [[String]]) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      row.enumerated().map { column, cell in
        column == row.count - 1
          ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
      }.joined(separator: "  ")
    }
  }
}

func hexadecimal(_ number: UInt64) -> String {
  let digits = String(number, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

extension SettingValue {
  /// As a topology file would write it, on one line.
  public var text: String {
    switch self {
    case .duration(let span): span.text
    case .integer(let number): "\(number)"
    case .number(let number): SettingKind.text(number)
    case .boolean(let value): "\(value)"
    case .text(let text): Self.needsQuotes(text) ? Self.quoted(text) : text
    case .secret(let secret): "\(secret)"
    case .list(let items): "[" + items.map(\.text).joined(separator: ", ") + "]"
    case .mapping(let entries):
      entries.isEmpty
        ? "{}"
        : "{ "
          + entries.map { "\(SettingValue.text($0.name).text): \($0.value.text)" }
          .joined(separator: ", ") + " }"
    }
  }

  private static func needsQuotes(_ text: String) -> Bool {
    let isPlain = text.unicodeScalars.allSatisfy {
      $0.properties.isAlphabetic || ("0"..."9").contains($0) || "._-/*".unicodeScalars.contains($0)
    }
    return !isPlain || text.isEmpty || "-*".contains(text.first ?? "-")
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.map { "\"\\".contains($0) ? "\\\($0)" : String($0) }.joined() + "\""
  }
}
