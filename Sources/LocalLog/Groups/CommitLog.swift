import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Appends commits to the last segment of a group's partition. Used by one thread.
final class CommitLog {
  let directory: GroupDirectory
  private let options: LocalLogOptions
  private(set) var table: GroupTable
  private(set) var state: GroupState
  private var first: Int64
  private var position: Int64
  private var file: FileDescriptor
  private var scratch: [UInt8] = []
  private var needsSync = false
  private var syncedAt = clockMilliseconds(CLOCK_MONOTONIC)

  /// Opens the commits, cuts a torn end, and begins a new segment where other topics are named
  /// than before. Topics that are no longer named keep their committed ends.
  init(
    _ directory: GroupDirectory, inputs: [String], outputs: [String], _ options: LocalLogOptions
  ) throws(LogError) {
    self.directory = directory
    self.options = options
    guard let newest = try directory.segments().last else {
      table = GroupTable(inputs: inputs, outputs: outputs)
      state = GroupState(
        number: 0, nextOffsets: inputs.map { _ in 0 },
        ends: outputs.map { _ in LogEnd(segment: 0, position: 0, offset: 0) })
      first = 1
      position = try CommitLog.create(table, state, directory, options)
      file = try FileDescriptor(open: directory.commits(1), O_RDWR, faults: options.faults)
      return
    }
    let cursor = try CommitCursor(directory, newest)
    let found = try CommitLog.last(cursor, directory)
    var merged = cursor.header.table
    state = found
    for name in inputs where !merged.inputs.contains(name) {
      merged.inputs.append(name)
      state.nextOffsets.append(0)
    }
    for name in outputs where !merged.outputs.contains(name) {
      merged.outputs.append(name)
      state.ends.append(LogEnd(segment: 0, position: 0, offset: 0))
    }
    table = merged
    first = newest
    position = cursor.position
    file = try FileDescriptor(open: cursor.path, O_RDWR, faults: options.faults)
    // Also takes away a seal whose next segment was never made.
    if try file.size() > position { try file.truncate(to: position) }
    if merged != cursor.header.table { try roll() }
  }

  /// The state after the segment's last whole commit; leaves the cursor behind it.
  private static func last(
    _ cursor: CommitCursor, _ directory: GroupDirectory
  ) throws(LogError) -> GroupState {
    var state = cursor.header.state
    while true {
      switch try cursor.next() {
      case .commit(let header):
        state = cursor.state(header)
        cursor.advance(header)
      case .seal, .end: return state
      case .damaged(let reason):
        let position = cursor.position
        if try cursor.hasLaterCommit() {
          throw directory.damage(
            cursor.path, position: position, number: cursor.nextNumber, reason)
        }
        return state
      }
    }
  }

  /// Makes the file of the next segment; returns where its first commit goes.
  private static func create(
    _ table: GroupTable, _ state: GroupState, _ directory: GroupDirectory,
    _ options: LocalLogOptions
  ) throws(LogError) -> Int64 {
    let bytes = CommitSegmentHeader(table: table, state: state).encoded()
    let path = directory.commits(state.number + 1)
    try FileSystem.replace(
      path, with: bytes, durable: options.fsync == .always, faults: options.faults)
    return Int64(bytes.count)
  }

  /// Begins a new segment with the state as it is.
  private func roll() throws(LogError) {
    if first != state.number + 1 {
      try file.write(CommitHeader.seal(after: state.number), at: position)
      if options.fsync != .never { try file.sync() }
    }
    let begin = try CommitLog.create(table, state, directory, options)
    file = try FileDescriptor(
      open: directory.commits(state.number + 1), O_RDWR, faults: options.faults)
    position = begin
    first = state.number + 1
  }

  enum Outcome {
    case committed
    /// Nothing of it stands in the file.
    case refused(LogError)
    /// It may or may not be found by the next one who opens the log.
    case unknown(LogError)
  }

  /// Appends and syncs a commit: the atomic point.
  ///
  /// - Parameter syncing: forces it to the disk; decided by `isSyncDue` before the outputs are.
  func append(_ next: GroupState, journal: [UInt8], syncing: Bool) -> Outcome {
    precondition(
      next.number == state.number + 1, "transactions are committed in order, without gaps")
    CommitHeader.encode(next, time: options.now(), journal: journal, into: &scratch)
    do throws(LogError) {
      if position + Int64(scratch.count) > options.commitSegmentBytes, first != next.number {
        try roll()
      }
      try file.write(scratch, at: position)
    } catch {
      do throws(LogError) {
        if try file.size() > position { try file.truncate(to: position) }
      } catch {
        return .unknown(error)
      }
      return .refused(error)
    }
    do throws(LogError) {
      needsSync = true
      if syncing { try sync() }
    } catch {
      return .unknown(error)
    }
    position += Int64(scratch.count)
    state = next
    return .committed
  }

  /// Whether the next append forces the file to the disk: what it speaks of must be there before.
  var isSyncDue: Bool {
    switch options.fsync {
    case .never: false
    case .always: true
    case .interval(let milliseconds):
      clockMilliseconds(CLOCK_MONOTONIC) - syncedAt >= milliseconds
    }
  }

  func sync() throws(LogError) {
    guard needsSync, options.fsync != .never else { return }
    try file.sync()
    needsSync = false
    syncedAt = clockMilliseconds(CLOCK_MONOTONIC)
  }

  /// Removes segments all of whose commits are numbered at or below `number`; never the last one.
  /// - Returns: the number of segments removed.
  static func remove(
    through number: Int64, _ directory: GroupDirectory, _ options: LocalLogOptions
  ) throws(LogError) -> Int {
    let segments = try directory.segments()
    var removed = 0
    for (segment, next) in zip(segments, segments.dropFirst()) where next <= number + 1 {
      try FileSystem.remove(directory.commits(segment), faults: options.faults)
      removed += 1
    }
    return removed
  }
}
