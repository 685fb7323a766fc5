public import Streaming

/// How far a group has come in one partition, as its last commit says.
public struct GroupInfo: Sendable, Equatable {
  public var name: String
  public var partition: Int32
  /// The number of the last commit; 0 where there is none yet.
  public var number: Int64
  /// Per input topic, the next offset to process.
  public var nextOffsets: [(topic: String, offset: Int64)]

  public static func == (a: GroupInfo, b: GroupInfo) -> Bool {
    a.name == b.name && a.partition == b.partition && a.number == b.number
      && a.nextOffsets.elementsEqual(b.nextOffsets) { $0 == $1 }
  }
}

extension LocalLogStore {
  /// All groups by name and partition, as they stand now; beside a running writer too.
  ///
  /// - Throws: `.badData` where a group's newest commits cannot be read.
  public func groups() throws(LogError) -> [GroupInfo] {
    var found: [GroupInfo] = []
    for name in try FileSystem.list(root + "/groups").sorted() {
      let path = "\(root)/groups/\(name)"
      guard FileSystem.isDirectory(path) else { continue }
      let group = decoded(name)
      for partition in try FileSystem.list(path).compactMap({ Int32($0) }).sorted() {
        let directory = GroupDirectory(
          group: group, partition: partition, path: "\(path)/\(partition)")
        if let info = try info(of: directory) { found.append(info) }
      }
    }
    return found
  }

  /// Undoes `FileName.encode`.
  private func decoded(_ name: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(name.utf8)[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(2)
      if byte == UInt8(ascii: "%"), digits.count == 2,
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
      {
        bytes.append(value)
        rest.removeFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func info(of directory: GroupDirectory) throws(LogError) -> GroupInfo? {
    guard let newest = try directory.segments().last else { return nil }
    let cursor = try CommitCursor(directory, newest)
    var state = cursor.header.state
    while case .commit(let header) = try cursor.next() {
      state = cursor.state(header)
      cursor.advance(header)
    }
    return GroupInfo(
      name: directory.group, partition: directory.partition, number: state.number,
      nextOffsets: zip(cursor.header.table.inputs, state.nextOffsets).map { ($0, $1) })
  }

  /// Bytes that a topic's partition takes on the disk, indexes left out.
  public func storedBytes(_ topic: String, partition: Int32) throws(LogError) -> Int64 {
    _ = try require(topic, partition)
    let directory = try directory(topic, partition)
    var bytes: Int64 = 0
    for base in try directory.bases() { bytes += try FileSystem.size(directory.log(base)) }
    return bytes
  }
}
