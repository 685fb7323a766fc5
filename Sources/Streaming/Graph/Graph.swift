import Events

/// The operators and sinks of one partition, wired: walks one entry at a time.
package final class Graph {
  package let target: SinkTarget
  /// The sink that takes refused records.
  package let deadLetterSink: Int32
  package let sinkNames: [String]
  package let operatorNames: [String]
  /// What events enter through: one stream per source of the topology.
  private let sources: UnsafeMutableBufferPointer<Stream<EventReference>>
  /// Operators in topological order, then sinks in the file's order.
  private let nodes: [GraphNode]
  /// The same nodes for the walk, without a reference count per visit.
  private let steps: UnsafeMutableBufferPointer<Step>
  private let streams: [GraphPorts.AnyStream]

  /// A node and the counts of the streams around it.
  private struct Step {
    var node: Unmanaged<GraphNode>
    var inputs: UnsafeMutableBufferPointer<UnsafeMutablePointer<Int>>
    var outputs:
      UnsafeMutableBufferPointer<
        (count: UnsafeMutablePointer<Int>, total: UnsafeMutablePointer<Int>)
      >
  }

  init(
    topology: CheckedTopology, registry: [OperatorType], store: StateStore, directory: Directory,
    wheel: TimingWheel, outputs: OutputBuffer
  ) throws(TopologyError) {
    var builder = GraphBuilder(
      topology: topology, registry: registry, store: store, directory: directory, wheel: wheel)
    sources = .allocate(capacity: topology.topology.sources.count)
    for i in 0..<sources.count { sources.initializeElement(at: i, to: Stream()) }
    let sourceStreams = sources.map { GraphPorts.events($0) }
    try builder.makeOperators(sources: sourceStreams)
    let plans = topology.sinks + topology.watchers
    let target = SinkTarget(outputs: outputs, directory: directory, sinkCount: plans.count)
    let sinks = builder.makeSinks(sources: sourceStreams, target: target)
    self.target = target
    nodes = builder.nodes + sinks
    operatorNames = topology.operators.map(\.name)
    sinkNames = plans.map(\.name)
    deadLetterSink = Int32(topology.deadLetterSink)
    streams = builder.streams + sourceStreams
    steps = .allocate(capacity: nodes.count)
    for (i, node) in nodes.enumerated() {
      let inputs = UnsafeMutableBufferPointer<UnsafeMutablePointer<Int>>.allocate(
        capacity: node.inputs.count)
      _ = inputs.initialize(from: node.inputs.map(\.count))
      let outputs = UnsafeMutableBufferPointer<
        (count: UnsafeMutablePointer<Int>, total: UnsafeMutablePointer<Int>)
      >.allocate(capacity: node.outputs.count)
      _ = outputs.initialize(from: node.outputs.map { ($0.count, $0.total) })
      (steps.baseAddress! + i).initialize(
        to: Step(node: Unmanaged.passUnretained(node), inputs: inputs, outputs: outputs))
    }
  }

  deinit {
    for step in steps {
      step.inputs.deallocate()
      step.outputs.deallocate()
    }
    steps.deallocate()
    sources.deallocate()
    for stream in streams { stream.deallocate() }
  }

  /// One event through the graph, entering by `source`, or by every source when that is nil (a
  /// replay's files stand in for all of them).
  @inline(__always)
  func walk(_ event: UnsafeMutablePointer<Event>, source: Int?, _ entry: borrowing Entry) {
    for i in sources.indices {
      sources[i].removeAll()
      if source == nil || source == i { sources[i].append(EventReference(event)) }
    }
    for step in steps {
      Graph.empty(step.outputs)
      if Graph.hasInput(step.inputs) {
        step.node._withUnsafeGuaranteedRef { $0.process(entry) }
      }
    }
    for stream in sources { stream.removeAll() }
  }

  /// A clock entry through the graph: due timers in topological order, each operator's outputs
  /// read by those after it.
  func walk(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    var next = 0
    for i in steps.indices {
      let step = steps[i]
      Graph.empty(step.outputs)
      let first = next
      while next < due.count, due[next].owner == Int32(i) { next += 1 }
      if next > first {
        step.node._withUnsafeGuaranteedRef {
          $0.timers(UnsafeBufferPointer(rebasing: due[first..<next]), entry)
        }
      }
      if Graph.hasInput(step.inputs) {
        step.node._withUnsafeGuaranteedRef { $0.process(entry) }
      }
    }
  }

  /// The end of a replay through the graph.
  func finish(_ entry: borrowing Entry) {
    for step in steps {
      Graph.empty(step.outputs)
      step.node._withUnsafeGuaranteedRef {
        $0.finish(entry)
        if Graph.hasInput(step.inputs) { $0.process(entry) }
      }
    }
  }

  /// State was made anew: see `Operator.rebuilt`.
  func rebuilt(_ entry: borrowing Entry) {
    for step in steps { step.node._withUnsafeGuaranteedRef { $0.rebuilt(entry) } }
  }

  @inline(__always)
  private static func empty(
    _ outputs: UnsafeMutableBufferPointer<
      (count: UnsafeMutablePointer<Int>, total: UnsafeMutablePointer<Int>)
    >
  ) {
    for output in outputs where output.count.pointee != 0 {
      output.total.pointee &+= output.count.pointee
      output.count.pointee = 0
    }
  }

  @inline(__always)
  private static func hasInput(_ inputs: UnsafeMutableBufferPointer<UnsafeMutablePointer<Int>>)
    -> Bool
  {
    for input in inputs where input.pointee != 0 { return true }
    return false
  }

  /// What each operator has to say, under its name, as members of an object that is open.
  func query(_ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter) {
    var answer = JSONWriter()
    for (name, node) in zip(operatorNames, nodes) {
      answer.removeAll()
      answer.beginObject()
      guard node.query(query, entry, to: &answer) else { continue }
      answer.endObject()
      json.key(text: name)
      json.raw(answer.bytes)
    }
  }

  func prefetch(_ batch: EventBatch) {
    for node in nodes { node.prefetch(batch) }
  }

  func digest() -> StateDigest {
    var digest = StateDigest()
    for (name, node) in zip(operatorNames, nodes) {
      digest.section = GraphBuilder.sectionHash(name)
      node.digest(into: &digest)
    }
    return digest
  }
}

/// Makes the nodes of a graph in topological order, each wired to the streams of those before it.
struct GraphBuilder {
  let topology: CheckedTopology
  let registry: [OperatorType]
  let store: StateStore
  let directory: Directory
  let wheel: TimingWheel
  private(set) var nodes: [GraphNode] = []
  private(set) var streams: [GraphPorts.AnyStream] = []

  init(
    topology: CheckedTopology, registry: [OperatorType], store: StateStore, directory: Directory,
    wheel: TimingWheel
  ) {
    self.topology = topology
    self.registry = registry
    self.store = store
    self.directory = directory
    self.wheel = wheel
  }

  static func sectionHash(_ name: String) -> UInt64 {
    Array(name.utf8).withUnsafeBufferPointer { Hash.text($0) }
  }

  mutating func makeOperators(sources: [GraphPorts.AnyStream]) throws(TopologyError) {
    for (index, plan) in topology.operators.enumerated() {
      guard let type = registry.first(where: { $0.description.name == plan.description.name })
      else {
        preconditionFailure(
          "a checked topology uses only operators of the registry: \(plan.description.name)")
      }
      let feeds = plan.inputs.map { resolve($0.upstream, stream: $0.stream, sources: sources) }
      let ports = GraphPorts(feeds: feeds, declared: type.description.outputs)
      store.section = plan.name
      let setup = OperatorSetup(
        name: plan.name, settings: plan.settings, time: topology.topology.time,
        seed: topology.topology.seed, store: store, directory: directory,
        timers: Timers(wheel: wheel, owner: Int32(index)), ports: ports)
      let node: GraphNode
      do { node = try type.make(setup) } catch {
        throw TopologyError([topology.problem(error, of: plan.name)])
      }
      node.inputs = feeds
      node.outputs = ports.made
      streams += ports.made
      nodes.append(node)
    }
    store.section = "engine"
  }

  func makeSinks(sources: [GraphPorts.AnyStream], target: SinkTarget) -> [GraphNode] {
    (topology.sinks + topology.watchers).enumerated().map { index, plan in
      guard index != topology.deadLetterSink else { return GraphNode() }
      let feeds = plan.upstreams.map { resolve($0, stream: plan.stream, sources: sources) }
      let sinks = feeds.map { feed in
        let node = feed.makeSink(Int32(index), target)
        node.inputs = [feed]
        return node
      }
      return sinks.count == 1 ? sinks[0] : SinkGroup(sinks)
    }
  }

  private func resolve(
    _ upstream: CheckedTopology.Upstream, stream: StreamType, sources: [GraphPorts.AnyStream]
  ) -> GraphPorts.AnyStream {
    switch upstream {
    case .source(let index): return sources[index]
    case .operator(let index):
      guard let given = nodes[index].outputs.first(where: { $0.type == stream }) else {
        preconditionFailure(
          "operator \(topology.operators[index].name) declares \(stream) and does not give it")
      }
      return given
    case .engine: preconditionFailure("only dead letters come from the engine")
    }
  }
}

/// A sink that several operators feed.
private final class SinkGroup: GraphNode {
  private let members: [GraphNode]

  init(_ members: [GraphNode]) {
    self.members = members
    super.init()
    inputs = members.flatMap(\.inputs)
  }

  override func process(_ entry: borrowing Entry) {
    for member in members where member.inputs[0].count.pointee != 0 { member.process(entry) }
  }
}
