import Streaming

/// How far a group has come in one partition, and up to where it has committed one output topic,
/// seen by a reader in any process.
///
/// Cheap to ask again: one look at the file's size when nothing happened.
final class CommitTail {
  private let directory: GroupDirectory
  private let topic: String?
  private var cursor: CommitCursor?
  private var seenSize: Int64 = -1
  private var place: Int?
  /// The topics that `state.nextOffsets` are of.
  private(set) var inputs: [String] = []
  private(set) var end = LogEnd(segment: 0, position: 0, offset: 0)
  /// The last commit; nil before the first.
  private(set) var state: GroupState?

  /// - Parameter topic: nil where only the state is wanted.
  init(_ directory: GroupDirectory, topic: String?) {
    self.directory = directory
    self.topic = topic
  }

  /// Reads what was committed since the last call.
  func refresh() throws(LogError) {
    if cursor == nil { try openNewest() }
    while let cursor {
      let status = try cursor.status()
      if status.isUnlinked {
        try openNewest()
        continue
      }
      if status.size == seenSize { return }
      switch try cursor.next() {
      case .commit(let header):
        let state = cursor.state(header)
        if let place { end = state.ends[place] }
        self.state = state
        cursor.advance(header)
      case .seal:
        // The writer begins the next segment after this word; it may not be there yet.
        if let newest = try directory.segments().last, newest > cursor.first {
          try openNewest()
        } else {
          return
        }
      case .end(let isTorn):
        if !isTorn { seenSize = status.size }
        return
      case .damaged(let reason):
        let position = cursor.position
        if try cursor.hasLaterCommit() {
          throw directory.damage(
            cursor.path, position: position, number: cursor.nextNumber, reason)
        }
        return
      }
    }
  }

  private func openNewest() throws(LogError) {
    guard let newest = try directory.segments().last else {
      cursor = nil
      return
    }
    let opened: CommitCursor
    do {
      opened = try CommitCursor(directory, newest)
    } catch {
      // Removed between the listing and the opening: there is a newer one to be found next time.
      if error.kind == .missing { return }
      throw error
    }
    cursor = opened
    seenSize = -1
    inputs = opened.header.table.inputs
    place = topic.flatMap { opened.header.table.outputs.firstIndex(of: $0) }
    if let place { end = opened.header.state.ends[place] }
    if opened.header.state.number > 0 { state = opened.header.state }
  }
}
