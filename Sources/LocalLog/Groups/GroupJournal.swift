public import Streaming

extension GroupDirectory {
  /// Calls `body` with the journal of each commit after `number`, up to `last`, oldest first.
  ///
  /// - Throws: `.missing` where retention has removed the next number.
  func journal(
    after number: Int64, through last: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    guard last > number else { return }
    let segments = try segments()
    guard let begin = segments.last(where: { $0 <= number + 1 }) else {
      throw LogError(
        .missing, recovery: .stop,
        "the journal of the group \(group), partition \(partition), begins with number"
          + " \(segments.first ?? 0); \(number + 1) was removed: restore a newer snapshot, or"
          + " rebuild from the log's beginning")
    }
    for segment in segments where segment >= begin {
      let cursor = try CommitCursor(self, segment)
      while cursor.nextNumber <= last {
        guard case .commit(let header) = try cursor.next() else { break }
        if header.number > number { try body(header.number, cursor.journal(header)) }
        cursor.advance(header)
      }
      if cursor.nextNumber > last { return }
      if let following = segments.first(where: { $0 > segment }), following == cursor.nextNumber {
        continue
      }
      throw damage(
        cursor.path, position: cursor.position, number: cursor.nextNumber,
        "commits up to \(last) should follow")
    }
  }
}

/// The journal of a group's partition as it stands on disk, for audits: read without taking the
/// partition, so a live run may go on meanwhile.
final class GroupJournal: Sendable {
  /// The last commit when the journal was opened.
  let committed: CommitPoint
  private let directory: GroupDirectory

  /// nil when the group has committed nothing in this partition.
  ///
  /// - Throws: `.configuration` when its inputs are others than these.
  init?(_ directory: GroupDirectory, inputs: [LogInput]) throws(LogError) {
    self.directory = directory
    guard let newest = try directory.segments().last else { return nil }
    let cursor = try CommitCursor(directory, newest)
    var state = cursor.header.state
    while case .commit(let header) = try cursor.next() {
      state = cursor.state(header)
      cursor.advance(header)
    }
    guard state.number > 0 else { return nil }
    let topics = cursor.header.table.inputs
    guard topics == inputs.map(\.topic) else {
      throw LogError(
        .configuration,
        "the journal of the group \(directory.group) is one of the topics \(topics), and the"
          + " topology reads \(inputs.map(\.topic)): follow it with the topology that wrote it, or"
          + " replay without the journal")
    }
    committed = CommitPoint(number: state.number, nextOffsets: state.nextOffsets)
  }

  func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    try directory.journal(after: number, through: committed.number, body)
  }
}

extension LocalLogStore {
  /// Whether a group has a journal here: some partition of it was committed to.
  public func hasJournal(of group: String) throws(LogError) -> Bool {
    let path = try groupDirectory(group, 0).path
    guard FileSystem.identity(path) != nil else { return false }
    return try !groupDirectory(group, 0).segments().isEmpty
  }
}
