import Events

/// The streams of an operator while the graph is being built: what feeds it, and what it declares
/// to give.
package final class GraphPorts {
  /// One stream, whatever its record type: enough to empty it and to ask whether it is empty.
  package struct AnyStream {
    package var type: StreamType
    package var count: UnsafeMutablePointer<Int>
    package var total: UnsafeMutablePointer<Int>
    /// `Stream<Record>`, for the operators that read it.
    package var typed: Any
    package var makeSink: (Int32, SinkTarget) -> GraphNode
    package var deallocate: () -> Void
  }

  let feeds: [AnyStream]
  let declared: [StreamType]
  private(set) var made: [AnyStream] = []

  init(feeds: [AnyStream], declared: [StreamType]) {
    self.feeds = feeds
    self.declared = declared
  }

  func inputs<Record: StreamRecord>(_ type: Record.Type) -> [Stream<Record>] {
    feeds.compactMap { $0.typed as? Stream<Record> }
  }

  func events() -> [Stream<EventReference>] {
    feeds.compactMap { $0.typed as? Stream<EventReference> }
  }

  func output<Record: StreamRecord>(_ type: Record.Type) -> Stream<Record> {
    precondition(
      declared.contains(Record.stream), "an operator gives \(Record.stream) and does not declare it"
    )
    let stream = Stream<Record>()
    made.append(
      AnyStream(
        type: Record.stream, count: stream.countPointer, total: stream.totalPointer, typed: stream,
        makeSink: { RecordSink(stream, sink: $0, target: $1) },
        deallocate: { stream.deallocate() }))
    return stream
  }

  func eventOutput() -> Stream<EventReference> {
    precondition(declared.contains(.events), "an operator gives events and does not declare it")
    let stream = Stream<EventReference>()
    made.append(GraphPorts.events(stream))
    return stream
  }

  static func events(_ stream: Stream<EventReference>) -> AnyStream {
    AnyStream(
      type: .events, count: stream.countPointer, total: stream.totalPointer, typed: stream,
      makeSink: { EventSink(stream, sink: $0, target: $1) },
      deallocate: { stream.deallocate() })
  }
}

extension Stream {
  var countPointer: UnsafeMutablePointer<Int> {
    pointer(to: \.count)
  }

  var totalPointer: UnsafeMutablePointer<Int> {
    pointer(to: \.total)
  }

  private func pointer(to field: PartialKeyPath<Header>) -> UnsafeMutablePointer<Int> {
    guard let offset = MemoryLayout<Header>.offset(of: field) else {
      preconditionFailure("a stored field of a struct has an offset")
    }
    return (UnsafeMutableRawPointer(header) + offset).assumingMemoryBound(to: Int.self)
  }
}
