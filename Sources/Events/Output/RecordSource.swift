/// What caused an output record: a place in the log, or the clock. `source` in every output.
///
/// All of the JSON object but its last number is encoded once per input (`prefix`), so writing the
/// source of a record is a copy and a number, and the value itself is a pointer and two words.
@frozen
public struct RecordSource: BitwiseCopyable, @unchecked Sendable {
  /// The JSON object up to its last number: `{"topic":"clicks","partition":3,"offset":`. Whoever
  /// makes a source keeps these bytes alive.
  public let prefix: UnsafeBufferPointer<UInt8>
  /// Offset, line, or clock time in ms.
  public let number: Int64

  @inlinable
  public init(prefix: UnsafeBufferPointer<UInt8>, number: Int64) {
    self.prefix = prefix
    self.number = number
  }

  /// `{"topic":…,"partition":…,"offset":`
  public static func topicPrefix(_ topic: String, partition: Int32) -> [UInt8] {
    prefix("topic", topic, partition, number: "offset")
  }

  /// `{"file":…,"partition":0,"line":` (lines are counted from 1).
  public static func filePrefix(_ path: String) -> [UInt8] {
    prefix("file", path, 0, number: "line")
  }

  /// `{"clock":`
  public static func clockPrefix() -> [UInt8] { Array(#"{"clock":"#.utf8) }

  private static func prefix(
    _ kind: StaticString, _ name: String, _ partition: Int32, number: String
  ) -> [UInt8] {
    var json = JSONWriter(capacity: 128)
    json.beginObject()
    json.member(kind, text: name)
    json.member("partition", Int64(partition))
    return Array(json.bytes) + Array(",\"\(number)\":".utf8)
  }
}
