/// What caused an output record; `source` in every output.
public enum RecordSource: Sendable, Equatable {
  case topic(String, partition: Int32, offset: Int64)
  /// A line of a file, counted from 1.
  case file(String, line: Int64)
  /// Time alone: the clock entry.
  case clock(EventTime)

  /// Writes the value of `source`.
  public func write(to json: inout JSONWriter) {
    json.beginObject()
    switch self {
    case .topic(let topic, let partition, let offset):
      json.member("topic", text: topic)
      json.member("partition", Int64(partition))
      json.member("offset", offset)
    case .file(let path, let line):
      json.member("file", text: path)
      json.member("partition", 0 as Int64)
      json.member("line", line)
    case .clock(let time):
      json.member("clock", time)
    }
    json.endObject()
  }
}
