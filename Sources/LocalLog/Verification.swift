public import Streaming

/// Something in a log that is not as it should be.
public struct LogProblem: Sendable, Equatable, CustomStringConvertible {
  public enum Kind: String, Sendable {
    /// Records or commits cannot be read.
    case damage
    /// What a write that was never finished left behind; the next writer cuts it.
    case tornTail
    /// An index does not agree with its segment; it is computed again when it is needed.
    case index
    /// Offsets or numbers are missing between files.
    case gap
    /// A file that belongs to nothing.
    case stray
    /// Settings that cannot be read.
    case settings
  }

  public var kind: Kind
  public var path: String
  public var position: Int64?
  public var message: String

  public var description: String {
    let place = position.map { " at byte \($0)" } ?? ""
    return "\(path)\(place): \(message)"
  }

  /// Whether something is lost or unreadable, and not only untidy.
  public var isSerious: Bool { kind == .damage || kind == .gap || kind == .settings }
}

/// What a walk over a whole log found.
public struct LogVerification: Sendable, Equatable {
  public var topics = 0
  public var partitions = 0
  public var segments = 0
  public var blocks = 0
  public var records: Int64 = 0
  /// Of segments, as stored.
  public var bytes: Int64 = 0
  /// Of blocks, decompressed.
  public var rawBytes: Int64 = 0
  public var commits: Int64 = 0
  public var problems: [LogProblem] = []

  public var isIntact: Bool { !problems.contains(where: \.isSerious) }
}

extension LocalLogStore {
  /// Reads everything and checks it: checksums, contents, offsets, indexes, commits against the
  /// outputs they speak of.
  ///
  /// Changes nothing. Beside a running writer its unfinished writes may show as torn tails.
  /// - Parameter topic: only this one, and no groups; nil for everything.
  public func verify(topic: String? = nil) throws(LogError) -> LogVerification {
    var walk = Verifier(store: self)
    for name in try FileSystem.list(root + "/topics") {
      try walk.topic(at: "\(root)/topics/\(name)", only: topic)
    }
    if topic == nil {
      for group in try FileSystem.list(root + "/groups") {
        for partition in try FileSystem.list("\(root)/groups/\(group)") {
          try walk.group("\(root)/groups/\(group)/\(partition)", group, partition)
        }
      }
    }
    return walk.found
  }
}

private struct Verifier: ~Copyable {
  let store: LocalLogStore
  var found = LogVerification()
  let decoder = BlockDecoder()
  var raw = RecordChunk()

  init(store: LocalLogStore) { self.store = store }

  mutating func report(
    _ kind: LogProblem.Kind, _ path: String, _ position: Int64? = nil, _ message: String
  ) {
    found.problems.append(
      LogProblem(kind: kind, path: path, position: position, message: message))
  }

  // MARK: Topics

  mutating func topic(at path: String, only: String?) throws(LogError) {
    guard FileSystem.isDirectory(path) else {
      report(.stray, path, nil, "is no directory of a topic")
      return
    }
    guard FileSystem.exists(path + "/topic.json") else {
      report(.stray, path, nil, "has no topic.json: it was never finished")
      return
    }
    let info: TopicInfo
    do throws(LogError) {
      guard let known = try store.info(at: path) else { return }
      info = known
    } catch {
      report(.settings, path + "/topic.json", nil, error.message)
      return
    }
    if let only, info.name != only { return }
    found.topics += 1
    for partition in 0..<Int32(info.partitions) {
      let directory = PartitionDirectory(
        topic: info.name, partition: partition, path: "\(path)/\(partition)")
      guard FileSystem.isDirectory(directory.path) else {
        report(.gap, directory.path, nil, "the partition's directory is gone")
        continue
      }
      found.partitions += 1
      try partitionFiles(directory, info)
    }
  }

  mutating func partitionFiles(
    _ directory: PartitionDirectory, _ info: TopicInfo
  ) throws(LogError) {
    let bases = try directory.bases()
    for name in try FileSystem.list(directory.path) {
      let isIndex = FileName.number(name, suffix: ".index").map { bases.contains($0) } ?? false
      if isIndex || name == "lock" || FileName.number(name, suffix: ".log") != nil { continue }
      report(.stray, "\(directory.path)/\(name)", nil, "belongs to no segment")
    }
    var end: LogEnd?
    if let group = info.group { end = try committedEnd(group, directory) }
    var expected: Int64?
    for (index, base) in bases.enumerated() {
      if let expected, expected != base {
        report(
          .gap, directory.log(base), nil,
          "begins with offset \(base), the segment before it ends with \(expected - 1)")
      }
      expected = try segment(directory, base, isLast: index == bases.count - 1, end, info)
    }
    if let end, end.offset > 0, !bases.contains(end.segment) {
      report(
        .gap, directory.log(end.segment), nil,
        "is gone, but commits reach to offset \(end.offset) in it")
    }
  }

  mutating func committedEnd(
    _ group: String, _ directory: PartitionDirectory
  ) throws(LogError) -> LogEnd {
    let tail = CommitTail(
      try store.groupDirectory(group, directory.partition), topic: directory.topic)
    // Damage in the commits is reported where the groups are walked.
    try? tail.refresh()
    return tail.end
  }

  /// Returns the offset after the segment; nil where it is not known.
  mutating func segment(
    _ directory: PartitionDirectory, _ base: Int64, isLast: Bool, _ end: LogEnd?,
    _ info: TopicInfo
  ) throws(LogError) -> Int64? {
    found.segments += 1
    let path = directory.log(base)
    let cursor = try SegmentCursor(path, base: base, readAhead: 1 << 20)
    found.bytes += try cursor.size()
    var places: [Int64: Int64] = [:]
    var index = SegmentIndex(base: base)
    while true {
      let position = cursor.position
      switch try cursor.peek() {
      case .block(let header):
        guard let payload = try cursor.payload(header) else {
          return try stop(cursor, directory, isLast, end, "the file ends within the block")
        }
        if let reason = contents(header, payload) {
          return try stop(cursor, directory, isLast, end, reason)
        }
        if header.isTransactional != (info.group != nil) {
          report(
            .damage, path, position,
            header.isTransactional
              ? "the block belongs to a transaction, the topic to no group"
              : "the block belongs to no transaction, the topic to the group \(info.group ?? "")")
        }
        found.blocks += 1
        found.records += Int64(header.recordCount)
        found.rawBytes += Int64(header.rawLength)
        places[position] = header.baseOffset
        _ = index.add(header, at: position)
        cursor.advance(header)
        if let end, end.segment == base, position < end.position, cursor.position > end.position {
          report(
            .damage, path, position, "commits end at byte \(end.position), inside of this block")
        }
      case .seal(let header):
        if try cursor.size() > position + Int64(BlockHeader.length) {
          report(.damage, path, position, "there are bytes after the segment's last word")
        }
        if header.times.appendMax != index.times.appendMax
          || header.times.eventMax != index.times.eventMax
        {
          if !Verifier.isWider(header.times, than: index.times) {
            report(.damage, path, position, "the segment's times are not those of its blocks")
          }
        }
        try checkIndex(directory, base, places, index)
        return header.baseOffset
      case .end(let isTorn):
        try checkIndex(directory, base, places, index)
        if isTorn { return try stop(cursor, directory, isLast, end, "the file ends in a header") }
        if !isLast {
          report(.gap, path, position, "the segment was never closed, but another one follows")
        }
        uncommitted(cursor, end)
        return cursor.nextOffset
      case .damaged(let reason):
        return try stop(cursor, directory, isLast, end, reason)
      }
    }
  }

  static func isWider(_ times: BlockTimes, than other: BlockTimes) -> Bool {
    // Once cut, a segment's times may say too much, never too little.
    (times.appendMin == BlockHeader.unknownTime || times.appendMax >= other.appendMax)
      && (times.eventMin == BlockHeader.unknownTime || times.eventMax >= other.eventMax)
  }

  mutating func contents(_ header: BlockHeader, _ payload: UnsafeRawBufferPointer) -> String? {
    raw.reserve(header.rawLength)
    let bytes = UnsafeMutableRawBufferPointer(rebasing: raw.storage[..<header.rawLength])
    if let reason = decoder.decompress(header, payload, into: bytes) { return reason }
    var records = ContiguousArray<LogRecord>()
    let isWhole = BlockDecoder.records(
      header, UnsafeRawBufferPointer(bytes), from: 0, count: header.recordCount, into: &records)
    return isWhole ? nil : "its lengths do not add up"
  }

  /// The walk of a segment cannot go on: is it damage, or what an unfinished write left?
  mutating func stop(
    _ cursor: SegmentCursor, _ directory: PartitionDirectory, _ isLast: Bool, _ end: LogEnd?,
    _ reason: String
  ) throws(LogError) -> Int64? {
    let position = cursor.position
    let next = cursor.nextOffset
    let hasLater = try cursor.hasLaterBlock()
    let isCommitted =
      end.map { $0.segment > cursor.base || ($0.segment == cursor.base && $0.position > position) }
      ?? false
    if isLast, !hasLater, !isCommitted {
      report(
        .tornTail, cursor.path, position,
        "an unfinished write follows offset \(next - 1) (\(reason)); the next writer cuts it")
      return next
    }
    report(
      .damage, cursor.path, position,
      "offset \(next) and after cannot be read: \(reason); a copy of the file from a backup"
        + " repairs it")
    return nil
  }

  mutating func uncommitted(_ cursor: SegmentCursor, _ end: LogEnd?) {
    guard let end else { return }
    if end.segment == cursor.base, end.position > cursor.position {
      report(
        .damage, cursor.path, cursor.position,
        "the file ends here, but commits reach to byte \(end.position)")
    } else if end.segment < cursor.base || end.position < cursor.position,
      end.segment <= cursor.base
    {
      report(
        .tornTail, cursor.path, end.segment == cursor.base ? end.position : 0,
        "a transaction that was not committed follows offset \(end.offset - 1); the next writer"
          + " cuts it")
    }
  }

  mutating func checkIndex(
    _ directory: PartitionDirectory, _ base: Int64, _ places: [Int64: Int64],
    _ expected: SegmentIndex
  ) throws(LogError) {
    let path = directory.index(base)
    guard FileSystem.exists(path) else { return }
    let bytes = try FileSystem.read(path)
    guard let index = SegmentIndex(base: base, decoding: bytes) else {
      report(.index, path, 0, "is no index; it is computed again when it is needed")
      return
    }
    let length = SegmentIndex.headerLength + index.entries.count * SegmentIndex.entryLength
    if length != bytes.count {
      report(
        .index, path, Int64(length),
        "entry \(index.entries.count) and after are not valid; they are computed again")
    }
    for (number, entry) in index.entries.enumerated() where places[entry.position] != entry.offset {
      report(
        .index, path, Int64(SegmentIndex.headerLength + number * SegmentIndex.entryLength),
        "entry \(number) says that offset \(entry.offset) is at byte \(entry.position): it is not")
    }
  }

  // MARK: Groups

  mutating func group(
    _ path: String, _ group: String, _ partition: String
  ) throws(LogError) {
    guard let number = Int32(partition), FileSystem.isDirectory(path) else {
      report(.stray, path, nil, "is no partition of a group")
      return
    }
    let directory = GroupDirectory(group: group, partition: number, path: path)
    let segments = try directory.segments()
    for name in try FileSystem.list(path)
    where name != "lock" && FileName.number(name, suffix: ".commits") == nil {
      report(.stray, "\(path)/\(name)", nil, "belongs to no segment of commits")
    }
    var expected: Int64?
    for (index, first) in segments.enumerated() {
      if let expected, expected != first {
        report(
          .gap, directory.commits(first), nil,
          "begins with commit \(first), the segment before it ends with \(expected - 1)")
      }
      expected = try commits(directory, first, isLast: index == segments.count - 1)
    }
  }

  mutating func commits(
    _ directory: GroupDirectory, _ first: Int64, isLast: Bool
  ) throws(LogError) -> Int64? {
    let cursor: CommitCursor
    do throws(LogError) {
      cursor = try CommitCursor(directory, first)
    } catch {
      guard error.kind == .badData else { throw error }
      report(.damage, directory.commits(first), 0, error.message)
      return nil
    }
    while true {
      let position = cursor.position
      let next = cursor.nextNumber
      switch try cursor.next() {
      case .commit(let header):
        found.commits += 1
        cursor.advance(header)
      case .seal:
        return next
      case .end(let isTorn):
        if isTorn, isLast {
          report(.tornTail, cursor.path, position, "an unfinished commit \(next) is here")
        } else if isTorn || !isLast {
          report(.damage, cursor.path, position, "commit \(next) and after are missing")
        }
        return next
      case .damaged(let reason):
        if isLast, !(try cursor.hasLaterCommit()) {
          report(
            .tornTail, cursor.path, position, "an unfinished commit \(next) is here (\(reason))")
          return next
        }
        report(
          .damage, cursor.path, position, "commit \(next) and after cannot be read: \(reason)")
        return nil
      }
    }
  }
}
