public import Streaming

extension LocalLogStore {
  /// Calls `body` with the records of a topic, partition after partition, each in offset order.
  ///
  /// - Parameters:
  ///   - partition: only this one; nil for all.
  ///   - offsets: only records of these offsets.
  ///   - times: only records appended in this time, in ms since the epoch; records of unknown
  ///     append time are in none.
  ///   - body: returns whether to go on. A record's bytes are valid during the call.
  public func scan(
    _ topic: String, partition: Int32? = nil, offsets: Range<Int64>? = nil,
    times: Range<Int64>? = nil,
    _ body: (_ partition: Int32, _ record: LogRecord) throws(LogError) -> Bool
  ) throws(LogError) {
    let info = try require(topic, partition ?? 0)
    let chunk = RecordChunk()
    let partitions = partition.map { $0...$0 } ?? 0...Int32(info.partitions - 1)
    for partition in partitions {
      let reader = try reader(topic, partition: partition)
      var from = max(0, offsets?.lowerBound ?? 0)
      if let times { from = max(from, try reader.offset(ofTime: times.lowerBound, by: .append)) }
      try reader.seek(to: from)
      read: while try reader.fetch(into: chunk, maxRecords: 4096) == .records {
        for record in chunk.records {
          if let offsets, record.offset >= offsets.upperBound { break read }
          if let times, !times.contains(record.appendTime) { continue }
          guard try body(partition, record) else { return }
        }
      }
    }
  }
}
