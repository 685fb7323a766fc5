public import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a topic's `topic.json` says.
public struct TopicInfo: Sendable, Equatable {
  public var name: String
  /// Fixed when the topic is created.
  public var partitions: Int
  /// zstd's, 1 to 19.
  public var compressionLevel: Int32
  /// The group whose commits alone write it; nil for a topic of plain appends.
  public var group: String?
}

/// A directory of topics: the durable log on this machine.
///
/// A value without open files; readers, appenders and partition logs made from it own theirs.
public struct LocalLogStore: Sendable {
  public static let defaultCompressionLevel: Int32 = 3
  static let manifestName = "bidmill-log.json"
  static let formatVersion: Int64 = 1

  public let root: String
  public let options: LocalLogOptions

  /// Opens a log's directory.
  ///
  /// - Parameter creating: make an empty log where there is no directory or an empty one.
  /// - Throws: `.missing` where there is no log, `.configuration` where the directory is something
  ///   else or of a newer format.
  public static func open(
    _ root: String, creating: Bool = false, options: LocalLogOptions = LocalLogOptions()
  ) throws(LogError) -> LocalLogStore {
    var root = root
    while root.utf8.count > 1, root.hasSuffix("/") { root.removeLast() }
    let path = root + "/" + manifestName
    if !FileSystem.exists(path) {
      guard creating else {
        throw LogError(
          .missing,
          "there is no local log at \(root) (no \(manifestName)); check the path, or fill one with"
            + " `bidmill log import`")
      }
      let names = FileSystem.exists(root) ? try FileSystem.list(root) : []
      guard names.allSatisfy({ $0.hasPrefix(manifestName) }) else {
        throw LogError(
          .configuration,
          "\(root) holds other files (\(names.prefix(3).joined(separator: ", "))) and no"
            + " \(manifestName); name an empty directory for a new log")
      }
      try FileSystem.makeDirectory(root, faults: options.faults)
      var manifest = Manifest()
      manifest.set("format", "bidmill-log")
      manifest.set("version", formatVersion)
      try FileSystem.replace(
        path, with: manifest.bytes, durable: options.fsync == .always, faults: options.faults)
    }
    let manifest = Manifest(parsing: try FileSystem.read(path))
    guard let manifest, manifest.string("format") == "bidmill-log",
      let version = manifest.integer("version")
    else { throw LogError(.badData, "\(path) is not the manifest of a log; restore it") }
    guard version == formatVersion else {
      throw LogError(
        .configuration,
        "\(root) is of the log format \(version), this program knows \(formatVersion); use the"
          + " program that wrote it")
    }
    return LocalLogStore(root: root, options: options)
  }

  // MARK: Topics

  func topicPath(_ name: String) throws(LogError) -> String {
    "\(root)/topics/\(try FileName.encode(name))"
  }

  func directory(_ topic: String, _ partition: Int32) throws(LogError) -> PartitionDirectory {
    PartitionDirectory(
      topic: topic, partition: partition, path: "\(try topicPath(topic))/\(partition)")
  }

  func groupDirectory(_ group: String, _ partition: Int32) throws(LogError) -> GroupDirectory {
    GroupDirectory(
      group: group, partition: partition,
      path: "\(root)/groups/\(try FileName.encode(group))/\(partition)")
  }

  /// Creates a topic of plain appends; one that exists with as many partitions is fine.
  @discardableResult
  public func createTopic(
    _ name: String, partitions: Int,
    compressionLevel: Int32 = LocalLogStore.defaultCompressionLevel
  ) throws(LogError) -> TopicInfo {
    try createTopic(name, partitions: partitions, level: compressionLevel, group: nil)
  }

  func createTopic(
    _ name: String, partitions: Int, level: Int32, group: String?
  ) throws(LogError) -> TopicInfo {
    guard partitions > 0, partitions <= 4096 else {
      throw LogError(
        .configuration,
        "the topic \(name) would have \(partitions) partitions: 1 to 4096 are allowed")
    }
    guard (1...19).contains(level) else {
      throw LogError(
        .configuration,
        "the topic \(name) would have compression level \(level): 1 to 19 are allowed")
    }
    let path = try topicPath(name)
    try FileSystem.makeDirectory(path, faults: options.faults)
    // Two that create the same topic at once take turns.
    let lock = try FileDescriptor(open: path + "/lock", O_RDWR | O_CREAT)
    try lock.lock()
    if let known = try info(name) {
      guard known.partitions == partitions else {
        throw LogError(
          .configuration,
          "the topic \(name) has \(known.partitions) partitions, not \(partitions); the number is"
            + " fixed when a topic is created")
      }
      guard known.group == group else {
        throw LogError(
          .configuration,
          "the topic \(name) is written by \(known.group.map { "the group \($0)" } ?? "appends"),"
            + " not by \(group.map { "the group \($0)" } ?? "appends"); use another topic")
      }
      return known
    }
    for partition in 0..<partitions {
      try FileSystem.makeDirectory("\(path)/\(partition)", faults: options.faults)
    }
    var manifest = Manifest()
    manifest.set("format", "bidmill-topic")
    manifest.set("version", LocalLogStore.formatVersion)
    manifest.set("name", name)
    manifest.set("partitions", Int64(partitions))
    manifest.set("compression_level", Int64(level))
    manifest.set("group", group ?? "")
    try FileSystem.replace(
      path + "/topic.json", with: manifest.bytes, durable: options.fsync == .always,
      faults: options.faults)
    if options.fsync == .always {
      try FileSystem.syncDirectory("\(root)/topics", faults: options.faults)
      try FileSystem.syncDirectory(root, faults: options.faults)
    }
    return TopicInfo(
      name: name, partitions: partitions, compressionLevel: level, group: group)
  }

  /// A topic's settings; nil when there is no such topic.
  public func info(_ topic: String) throws(LogError) -> TopicInfo? {
    try info(at: try topicPath(topic))
  }

  func info(at path: String) throws(LogError) -> TopicInfo? {
    let file = path + "/topic.json"
    guard FileSystem.exists(file) else { return nil }
    guard let manifest = Manifest(parsing: try FileSystem.read(file)),
      manifest.string("format") == "bidmill-topic", let name = manifest.string("name"),
      let partitions = manifest.integer("partitions"), (1...4096).contains(partitions),
      let level = manifest.integer("compression_level"), (1...19).contains(level),
      let group = manifest.string("group")
    else {
      throw LogError(.badData, "\(file) does not describe a topic; restore it from a backup")
    }
    guard manifest.integer("version") == LocalLogStore.formatVersion else {
      throw LogError(
        .configuration, "\(file) is of a newer format; use the program that wrote it")
    }
    return TopicInfo(
      name: name, partitions: Int(partitions), compressionLevel: Int32(level),
      group: group.isEmpty ? nil : group)
  }

  /// All topics, by name.
  public func topics() throws(LogError) -> [TopicInfo] {
    var found: [TopicInfo] = []
    for name in try FileSystem.list(root + "/topics") {
      if let info = try info(at: "\(root)/topics/\(name)") { found.append(info) }
    }
    return found.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// - Throws: `.missing` that names the topics there are, `.configuration` for a partition that
  ///   the topic does not have.
  func require(_ topic: String, _ partition: Int32) throws(LogError) -> TopicInfo {
    guard let info = try info(topic) else {
      let names = try topics().map(\.name)
      throw LogError(
        .missing,
        "there is no topic \(topic) in \(root); "
          + (names.isEmpty
            ? "it holds none yet" : "it holds \(names.prefix(20).joined(separator: ", "))"))
    }
    guard partition >= 0, Int(partition) < info.partitions else {
      throw LogError(
        .configuration,
        "the topic \(topic) has no partition \(partition): it has 0 to \(info.partitions - 1)")
    }
    return info
  }

  // MARK: Reading and appending

  /// Opens a partition of a plain topic for appending.
  /// - Throws: `.unavailable` where another one appends, `.badData` where the log is damaged.
  public func appender(_ topic: String, partition: Int32) throws(LogError) -> TopicAppender {
    let info = try require(topic, partition)
    if let group = info.group {
      throw LogError(
        .configuration,
        "the topic \(topic) is written by the group \(group) alone; append to another topic")
    }
    return try TopicAppender(info, try directory(topic, partition), options)
  }

  /// Opens a partition of a topic for reading, at its first offset.
  public func reader(_ topic: String, partition: Int32) throws(LogError) -> LocalLogReader {
    let info = try require(topic, partition)
    var tail: CommitTail?
    if let group = info.group {
      tail = CommitTail(try groupDirectory(group, partition), topic: topic)
    }
    return LocalLogReader(try directory(topic, partition), tail: tail)
  }
}
