internal import Events

// What of a topology decides state and outputs, as text and as a number. Two topologies with the
// same text give the same results from the same log; an epoch ends where the text changes.

extension CheckedTopology {
  /// One line for each thing that state or outputs depend on, with every default written out.
  ///
  /// In it: key, seed, the time settings that decide what an event does, names and trust of
  /// sources in their order, by which hash accounts must be in their partitions where that is
  /// checked, operators in the order in which they run with versions, releases of compiled-in data,
  /// inputs and settings, and the streams of sinks. Not in it: the topology's name, other things of
  /// transports, client properties, paths, delivery, snapshots, commits, and how long the merge
  /// waits, which shape the sequence or its home but not what comes of it.
  public var canonicalText: String {
    var lines = [
      "topology-format 1",
      "key \(topology.key.rawValue)",
      "seed \(topology.seed)",
      "time out_of_orderness \(Self.canonical(topology.time.outOfOrderness))",
      "time tick \(Self.canonical(topology.time.tick))",
      "time max_ahead \(Self.canonical(topology.time.maxAhead))",
      "time max_gap \(Self.canonical(topology.time.maxGap))",
    ]
    for source in topology.sources {
      lines.append(
        "source \(source.name)" + (source.urgent ? " urgent" : "")
          + (source.trusted ? " trusted" : "")
          + Self.canonical(source.transport.partitioner))
    }
    for operation in operators {
      let description = operation.description
      lines.append("operator \(operation.name) \(description.name) \(description.version)")
      for data in description.data { lines.append("  data \(Self.canonical(data))") }
      for input in operation.inputs {
        lines.append("  input \(input.stream.name) from \(name(of: input.upstream))")
      }
      for name in operation.settings.values.keys.sorted() {
        let value = Self.canonical(operation.settings[name])
        lines.append("  setting \(Self.canonical(name)) \(value)")
      }
    }
    for sink in sinks.sorted(by: { $0.name < $1.name }) {
      let upstreams = sink.upstreams.map(name).joined(separator: " ")
      lines.append("sink \(sink.name) \(sink.stream.name) from \(upstreams)")
    }
    return lines.map { $0 + "\n" }.joined()
  }

  /// FNV-1a of `canonicalText`: the topology hash of an epoch.
  public var hash: UInt64 { fnv1a64(canonicalText) }

  func name(of upstream: Upstream) -> String {
    switch upstream {
    case .source(let index): topology.sources[index].name
    case .operator(let index): operators[index].name
    case .engine: "engine"
    }
  }

  /// Nothing for the usual one: what is in its place then is what any transport gives.
  private static func canonical(_ partitioner: Topology.Partitioner?) -> String {
    switch partitioner {
    case .murmur2, nil: ""
    case .crc32: " keyed crc32"
    case .any: " keyed any"
    }
  }

  private static func canonical(_ span: TimeSpan) -> String { "\(span.milliseconds)ms" }

  private static func canonical(_ value: SettingValue) -> String {
    switch value {
    case .duration(let span): canonical(span)
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .boolean(let value): "\(value)"
    case .text(let text): canonical(text)
    case .secret(let secret): "secret \(hexadecimal(secret.id))"
    case .list(let items): "[" + items.map(canonical).joined(separator: ",") + "]"
    case .mapping(let entries):
      "{" + entries.map { "\(canonical($0.name)):\(canonical($0.value))" }.joined(separator: ",")
        + "}"
    }
  }

  /// Quoted, so that no text can be taken for anything else.
  private static func canonical(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      if scalar == "\"" || scalar == "\\" { result += "\\" }
      result.unicodeScalars.append(scalar)
    }
    return result + "\""
  }
}

/// Fowler–Noll–Vo, 64 bits, variant 1a, over the text's UTF-8.
func fnv1a64(_ text: String) -> UInt64 { fnv1a64(text.utf8) }

func fnv1a64(_ bytes: some Sequence<UInt8>) -> UInt64 {
  bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
}
