public import Streaming

/// What a removal of old segments did.
public struct RetentionResult: Sendable, Equatable {
  public var segmentsRemoved: Int
  public var bytesRemoved: Int64
  /// The first offset that is still held.
  public var firstOffset: Int64
}

extension LocalLogStore {
  /// Removes a topic partition's oldest segments.
  ///
  /// Whole closed segments go, oldest first, as long as each is too old or the partition too
  /// large; never one with a record at or after `keepFrom`, and never the last one.
  ///
  /// - Parameters:
  ///   - keepFrom: the lowest offset that somebody still needs (what is committed, less what a
  ///     snapshot would need again).
  ///   - olderThan: segments all of whose records were appended before this time, in ms since the
  ///     epoch, may go. Records of unknown append time never are.
  ///   - maxBytes: the oldest segments of a partition above this size may go.
  @discardableResult
  public func retain(
    _ topic: String, partition: Int32, keepFrom: Int64, olderThan: Int64? = nil,
    maxBytes: Int64? = nil
  ) throws(LogError) -> RetentionResult {
    _ = try require(topic, partition)
    let directory = try directory(topic, partition)
    let visible = try reader(topic, partition: partition).endOffset()
    let keepFrom = min(keepFrom, visible)
    let bases = try directory.bases()
    var sizes: [Int64] = []
    for base in bases { sizes.append(try FileSystem.size(directory.log(base))) }
    var total = sizes.reduce(0, +)
    var result = RetentionResult(
      segmentsRemoved: 0, bytesRemoved: 0, firstOffset: bases.first ?? 0)
    for (index, base) in bases.dropLast().enumerated() where bases[index + 1] <= keepFrom {
      guard let seal = try directory.seal(base) else { break }
      let isOld = olderThan.map { !seal.times.mayReach($0, .append) } ?? false
      let isExcess = maxBytes.map { total > $0 } ?? false
      guard isOld || isExcess else { break }
      try directory.removeSegment(base, options)
      total -= sizes[index]
      result.segmentsRemoved += 1
      result.bytesRemoved += sizes[index]
      result.firstOffset = bases[index + 1]
    }
    return result
  }
}
