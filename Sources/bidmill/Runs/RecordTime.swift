import Events
import Streaming

/// Finds the event time of records of any stream: of events as the engine reads it, of outputs
/// from their `time`.
struct RecordTimeReader: ~Copyable {
  private var decoder = EventDecoder()

  /// Nil where the record has no time that can be read.
  mutating func time(of record: UnsafeRawBufferPointer) -> EventTime? {
    if let routing = decoder.routing(of: record) { return routing.time }
    for member in JSONMembers(record) where member.isNamed("time") {
      if let milliseconds = member.integer { return EventTime(milliseconds: milliseconds) }
      return EventTime(rfc3339: member.text)
    }
    return nil
  }

  /// Whether it is in every partition: a heartbeat, or a prior of no account.
  mutating func isBroadcast(_ record: UnsafeRawBufferPointer) -> Bool {
    guard let routing = decoder.routing(of: record) else { return false }
    return routing.type == .heartbeat
      || (routing.type == .prior && routing.account.isAbsent)
  }
}
