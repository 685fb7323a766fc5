// The graph for Mermaid and Graphviz: sources to the left, sinks to the right, streams on arrows.

extension CheckedTopology {
  /// A node or an arrow of the picture. Identifiers have a prefix, so that a sink may have an
  /// operator's name and no name can be a keyword of the format.
  private struct Arrow: Hashable {
    var from: String
    var to: String
    var stream: String
  }

  private func identifier(of upstream: Upstream) -> String {
    switch upstream {
    case .source(let index): "source_\(topology.sources[index].name)"
    case .operator(let index): "operator_\(operators[index].name)"
    case .engine: "engine"
    }
  }

  private var arrows: [Arrow] {
    let inner = operators.flatMap { operation in
      operation.inputs.map {
        Arrow(
          from: identifier(of: $0.upstream), to: "operator_\(operation.name)",
          stream: $0.stream.name)
      }
    }
    let outer = sinks.flatMap { sink in
      sink.upstreams.map {
        Arrow(from: identifier(of: $0), to: "sink_\(sink.name)", stream: sink.stream.name)
      }
    }
    return inner + outer
  }

  private func label(_ operation: Operator) -> [String] {
    operation.name == operation.description.name
      ? [operation.name] : [operation.name, operation.description.name]
  }

  var mermaidDescription: String {
    var lines = ["flowchart LR"]
    lines += topology.sources.map { "  source_\($0.name)([\"\($0.name)\"])" }
    lines += operators.map {
      "  operator_\($0.name)[\"\(label($0).joined(separator: "<br>"))\"]"
    }
    lines.append("  engine[\"engine\"]")
    lines += sinks.map { "  sink_\($0.name)[/\"\($0.name)\"/]" }
    lines += arrows.map { "  \($0.from) -->|\($0.stream)| \($0.to)" }
    return lines.map { $0 + "\n" }.joined()
  }

  var dotDescription: String {
    var lines = [
      "digraph \"\(topology.name)\" {", "  rankdir=LR;",
      "  node [fontname=\"sans-serif\", fontsize=11, shape=box];",
      "  edge [fontname=\"sans-serif\", fontsize=9];",
    ]
    lines += topology.sources.map {
      "  source_\($0.name) [label=\"\($0.name)\", shape=oval];"
    }
    lines += operators.map {
      "  operator_\($0.name) [label=\"\(label($0).joined(separator: "\\n"))\"];"
    }
    lines.append("  engine [label=\"engine\", style=dashed];")
    lines += sinks.map { "  sink_\($0.name) [label=\"\($0.name)\", shape=cds];" }
    lines += arrows.map { "  \($0.from) -> \($0.to) [label=\"\($0.stream)\"];" }
    lines.append("}")
    return lines.map { $0 + "\n" }.joined()
  }
}
