package import Events

/// An operator or a sink in its place in the graph.
///
/// The one place where the graph pays for not knowing types: a virtual call per node and entry.
package class GraphNode {
  /// Emptied before the node runs.
  package final var outputs: [GraphPorts.AnyStream] = []
  /// Asked before the node runs: nothing to read means nothing to do.
  package final var inputs: [GraphPorts.AnyStream] = []

  package init() {}

  package func process(_ entry: borrowing Entry) {}
  package func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {}
  package func finish(_ entry: borrowing Entry) {}
  package func rebuilt(_ entry: borrowing Entry) {}
  package func prefetch(_ batch: EventBatch) {}
  package func digest(into digest: inout StateDigest) {}

  package func query(
    _ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter
  ) -> Bool { false }
}

package final class OperatorNode<O: Operator>: GraphNode {
  // Behind a pointer: a stored property of a class would be checked for exclusive access at every
  // call.
  private let op: UnsafeMutablePointer<O>

  package init(_ made: consuming O) {
    op = .allocate(capacity: 1)
    op.initialize(to: made)
    super.init()
  }

  deinit {
    op.pointee.deallocate()
    op.deinitialize(count: 1)
    op.deallocate()
  }

  package override func process(_ entry: borrowing Entry) { op.pointee.process(entry) }

  package override func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    op.pointee.timers(due, entry)
  }

  package override func finish(_ entry: borrowing Entry) { op.pointee.finish(entry) }

  package override func rebuilt(_ entry: borrowing Entry) { op.pointee.rebuilt(entry) }

  package override func prefetch(_ batch: EventBatch) { op.pointee.prefetch(batch) }

  package override func digest(into digest: inout StateDigest) { op.pointee.digest(into: &digest) }

  package override func query(
    _ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter
  ) -> Bool { op.pointee.query(query, entry, to: &json) }
}

/// Where sinks write: the transaction that is being filled, and what caused the current records.
package final class SinkTarget {
  package struct State {
    package var outputs: OutputBuffer
    package var source: RecordSource
    /// Off while the past is processed again: its outputs were committed before.
    package var enabled = true
    /// The current event's record as it stands in the log.
    package var record = UnsafeRawBufferPointer(start: nil, count: 0)
    package var time = EventTime.earliest
  }

  package let state: UnsafeMutablePointer<State>
  package let directory: Directory
  /// Records per sink, suppressed ones too.
  package let counts: UnsafeMutablePointer<Int>

  package init(outputs: OutputBuffer, directory: Directory, sinkCount: Int) {
    self.directory = directory
    state = .allocate(capacity: 1)
    state.initialize(
      to: State(
        outputs: outputs, source: RecordSource(prefix: .init(start: nil, count: 0), number: 0)))
    counts = .allocate(capacity: max(sinkCount, 1))
    counts.initialize(repeating: 0, count: max(sinkCount, 1))
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
    counts.deallocate()
  }
}

/// Encodes the records of a stream into the transaction.
package final class RecordSink<Record: StreamRecord>: GraphNode {
  private let stream: Stream<Record>
  private let sink: Int32
  private let target: SinkTarget

  init(_ stream: Stream<Record>, sink: Int32, target: SinkTarget) {
    self.stream = stream
    self.sink = sink
    self.target = target
  }

  package override func process(_ entry: borrowing Entry) {
    let state = target.state
    target.counts[Int(sink)] &+= stream.count
    guard state.pointee.enabled else { return }
    let context = EncodingContext(
      directory: target.directory, source: state.pointee.source, time: state.pointee.time)
    Record.encode(
      stream,
      to: SinkOutput(outputs: state.pointee.outputs, sink: sink, time: state.pointee.time), context)
  }
}

/// Publishes events as they came: the record's own bytes under its account.
package final class EventSink: GraphNode {
  private let stream: Stream<EventReference>
  private let sink: Int32
  private let target: SinkTarget

  init(_ stream: Stream<EventReference>, sink: Int32, target: SinkTarget) {
    self.stream = stream
    self.sink = sink
    self.target = target
  }

  package override func process(_ entry: borrowing Entry) {
    let state = target.state
    target.counts[Int(sink)] &+= stream.count
    guard state.pointee.enabled else { return }
    for i in 0..<stream.count {
      let account = stream[i].pointer.pointee.account
      state.pointee.outputs.append(sink: sink, time: state.pointee.time) {
        $0.unframed(account.bytes)
        $0.unframed(state.pointee.record.bindMemory(to: UInt8.self))
        return account.bytes.count
      }
    }
  }
}
