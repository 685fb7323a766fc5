public import Streaming

/// Follows how far a group has come in one partition, beside whoever runs it, in any process.
///
/// Cheap to ask again: one look at the size of a file when nothing was committed. Used by one
/// thread at a time.
public final class GroupFollower: @unchecked Sendable {
  // Handed between threads at most, never used by two at once.
  private let tail: CommitTail

  init(_ directory: GroupDirectory) { tail = CommitTail(directory, topic: nil) }

  /// The offset after the last record of an input that is processed and committed; nil before the
  /// group's first commit, and where it does not read that topic.
  public func nextOffset(of topic: String) throws(LogError) -> Int64? {
    try tail.refresh()
    guard let state = tail.state, let place = tail.inputs.firstIndex(of: topic) else { return nil }
    return state.nextOffsets[place]
  }
}

extension LocalLogStore {
  /// A group that has not begun yet may be followed too.
  public func follower(
    ofGroup group: String, partition: Int32
  ) throws(LogError) -> GroupFollower {
    GroupFollower(try groupDirectory(group, partition))
  }
}
