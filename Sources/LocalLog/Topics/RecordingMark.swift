public import Streaming

/// How far a partition of a topic has been recorded from somewhere else, as it was noted last.
///
/// Records are appended before the mark moves: a process that dies between leaves records behind
/// the mark, which are as many records of the origin.
public struct RecordingMark: Sendable, Equatable {
  /// What was recorded: where another origin is written into the same topic, it shows.
  public var origin: String
  /// The next offset of the origin …
  public var originOffset: Int64
  /// … goes to this offset of the topic.
  public var offset: Int64

  public init(origin: String, originOffset: Int64, offset: Int64) {
    self.origin = origin
    self.originOffset = originOffset
    self.offset = offset
  }
}

extension LocalLogStore {
  private func recordingDirectory(_ topic: String) throws(LogError) -> String {
    "\(root)/recordings/\(try FileName.encode(topic))"
  }

  /// Nil where the partition was never recorded.
  public func recordingMark(
    _ topic: String, partition: Int32
  ) throws(LogError) -> RecordingMark? {
    let path = "\(try recordingDirectory(topic))/\(partition).json"
    guard FileSystem.exists(path) else { return nil }
    guard let manifest = Manifest(parsing: try FileSystem.read(path)),
      manifest.string("format") == "bidmill-recording",
      let origin = manifest.string("origin"),
      let originOffset = manifest.integer("origin_offset"), originOffset >= 0,
      let offset = manifest.integer("offset"), offset >= 0
    else {
      throw LogError(
        .badData, "\(path) does not say how far a recording is; record into another topic")
    }
    return RecordingMark(origin: origin, originOffset: originOffset, offset: offset)
  }

  /// Replaces the mark. What stands before `mark.offset` must be durable.
  public func keep(
    _ mark: RecordingMark, of topic: String, partition: Int32
  ) throws(LogError) {
    let directory = try recordingDirectory(topic)
    try FileSystem.makeDirectory(directory, faults: options.faults)
    var manifest = Manifest()
    manifest.set("format", "bidmill-recording")
    manifest.set("origin", mark.origin)
    manifest.set("origin_offset", mark.originOffset)
    manifest.set("offset", mark.offset)
    try FileSystem.replace(
      "\(directory)/\(partition).json", with: manifest.bytes, durable: options.fsync == .always,
      faults: options.faults)
  }
}
