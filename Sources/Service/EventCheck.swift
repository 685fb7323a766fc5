import Events
import Streaming

/// Decides which events may come in over HTTP, and where each goes.
///
/// What the run would refuse is refused here, to the face of whoever sends it.
struct EventCheck: ~Copyable {
  struct Problem: Sendable {
    /// Which record of the body, from 0.
    var index: Int
    var rejection: Rejection
  }

  private let topics: [String]
  private let maxAhead: Int64
  private var decoder = EventDecoder()
  private let batch = EventBatch(capacity: 1)

  /// - Parameter topics: those of the sources that events may enter by.
  init(_ topology: Topology, topics: [String]) {
    self.topics = topics
    maxAhead = topology.time.maxAhead.milliseconds
  }

  /// The topics that events may come into: what is not marked as urgent or trusted comes first, for
  /// those are for whoever was meant.
  static func topics(_ topology: Topology) -> [String] {
    let plain = topology.sources.filter { !$0.trusted }
    return (plain.filter { !$0.urgent } + plain.filter(\.urgent)).flatMap {
      switch $0.transport {
      case .kafka(let kafka): kafka.topics
      case .log(let log): log.topics
      case .files: [String]()
      }
    }
  }

  /// - Parameters:
  ///   - topic: where all of them go; nil: the topic named after their type, or the first.
  ///   - now: ms since the Unix epoch.
  mutating func check(
    _ records: [[UInt8]], topic: String?, now: Int64
  ) -> (accepted: [IncomingRecord], problems: [Problem]) {
    var accepted: [IncomingRecord] = []
    var problems: [Problem] = []
    for (index, record) in records.enumerated() {
      switch check(record, topic: topic, now: now) {
      case .success(let incoming): accepted.append(incoming)
      case .failure(let rejection): problems.append(Problem(index: index, rejection: rejection))
      }
    }
    return (accepted, problems)
  }

  private mutating func check(
    _ record: [UInt8], topic: String?, now: Int64
  ) -> Result<IncomingRecord, Rejection> {
    // What is decoded points into the record's bytes.
    record.withUnsafeBytes { check($0, record, topic: topic, now: now) }
  }

  private mutating func check(
    _ bytes: UnsafeRawBufferPointer, _ record: [UInt8], topic: String?, now: Int64
  ) -> Result<IncomingRecord, Rejection> {
    batch.removeAll()
    if let rejection = decoder.decode(bytes, into: batch) { return .failure(rejection) }
    let event = batch[0]
    let time = event.pointee.time.milliseconds
    if time > now, time - now > maxAhead {
      return .failure(
        Rejection(
          reason: .outOfRange, field: "time",
          detail: "the event's time \(time) is more than \(maxAhead) ms ahead of the clock",
          byteOffset: 0))
    }
    if event.pointee.type == .prior {
      return .failure(
        Rejection(
          reason: .invalidField, field: "type", detail: "priors are not taken over HTTP",
          byteOffset: 0))
    }
    return .success(
      IncomingRecord(
        topic: topic ?? self.topic(of: event.pointee.type),
        key: Array(event.pointee.account.bytes), value: record,
        isForAll: event.pointee.type == .heartbeat, time: time, receivedAt: now))
  }

  /// `deal_stage` goes to `deal-stages`, where there is such a topic.
  private func topic(of type: EventType) -> String {
    let name = "\(type.name)"
    let dashed = String(name.map { $0 == "_" ? "-" : $0 })
    return topics.first { [name, name + "s", dashed, dashed + "s"].contains($0) } ?? topics[0]
  }
}
