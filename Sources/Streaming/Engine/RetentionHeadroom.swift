/// How far a source's retention is from taking what a restart would need.
///
/// A restart goes on from a kept snapshot, in the worst case the oldest. Once the log's first
/// offset has passed that snapshot's, it cannot be used any more.
public struct RetentionHeadroom: Sendable, Equatable {
  public var topic: String
  public var partition: Int32
  /// The first offset that the source still has.
  public var firstOffset: Int64
  /// Where the oldest kept snapshot goes on.
  public var neededOffset: Int64
  /// Where processing stands.
  public var currentOffset: Int64

  public init(
    topic: String, partition: Int32, firstOffset: Int64, neededOffset: Int64, currentOffset: Int64
  ) {
    self.topic = topic
    self.partition = partition
    self.firstOffset = firstOffset
    self.neededOffset = neededOffset
    self.currentOffset = currentOffset
  }

  /// Records that retention may still remove; negative where it has gone too far.
  public var records: Int64 { neededOffset - firstOffset }

  /// Retention has begun to remove records, and less than a tenth of what it leaves lies before
  /// the snapshot.
  public var isSmall: Bool {
    firstOffset > 0 && records < (currentOffset - firstOffset) / 10
  }

  /// For each input of a partition.
  ///
  /// - Parameters:
  ///   - snapshot: The oldest one that is kept.
  ///   - inputs: As the log names them, with the first offset and the next one to be processed.
  public static func all(
    of snapshot: SnapshotHeader, inputs: [(input: LogInput, first: Int64, next: Int64)]
  ) -> [RetentionHeadroom] {
    inputs.compactMap { input, first, next in
      let known = snapshot.inputs.first {
        $0.topic == input.topic && $0.partition == input.partition
      }
      return known.map {
        RetentionHeadroom(
          topic: input.topic, partition: input.partition, firstOffset: first,
          neededOffset: $0.nextOffset, currentOffset: max(next, $0.nextOffset))
      }
    }
  }
}
