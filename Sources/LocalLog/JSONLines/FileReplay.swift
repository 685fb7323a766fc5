public import Streaming

/// A replay of history into files: inputs that end, one `<sink>.jsonl` per stream.
///
/// The streams are written under other names and get theirs in `finish`, so that a replay that
/// was broken off never looks complete. There are as many logs as partitions; give each to its
/// engine, then call `finish` once.
public final class FileReplay: Sendable {
  public let partitions: [FileReplayLog]
  private let directory: String
  private let suffix: String
  private let sinks: [String]
  private let faults: WriteFaults?
  private let router: LineRouter?

  /// Where a replay writes.
  public struct Destination: Sendable {
    /// Created where it does not exist.
    public var directory: String
    /// Whether streams of an earlier replay may be replaced. They are removed at once.
    public var overwrite: Bool
    /// `<sink>.jsonl.zst` instead of `<sink>.jsonl`.
    public var compress: Bool
    package var faults: WriteFaults?

    public init(directory: String, overwrite: Bool = false, compress: Bool = false) {
      self.directory = directory
      self.overwrite = overwrite
      self.compress = compress
    }
  }

  /// A route's answer for a line that every partition gets.
  public static let everyPartition = -1

  /// Replays files, each an input of its own, in the order given.
  ///
  /// - Parameters:
  ///   - files: their paths as topics: plain or zstd-compressed JSON Lines; `-` is standard input.
  ///   - partitions: above 1, one thread reads and `route` says which partition gets a line.
  ///   - route: maps a line to 0 ..< partitions, or to `everyPartition`; called on the reading
  ///     thread.
  public static func open(
    files inputs: [LogInput], outputs: [LogOutput], to destination: Destination,
    partitions: Int = 1,
    route: (@Sendable (UnsafeRawBufferPointer) -> Int)? = nil
  ) throws(LogError) -> FileReplay {
    precondition(partitions > 0, "a replay has at least one partition")
    guard !inputs.isEmpty else {
      throw LogError(.configuration, "there is no file to replay")
    }
    var opened: [FileInput] = []
    for input in inputs { opened.append(try FileInput(path: input.topic)) }
    let writing = try prepare(outputs, destination, inputs: inputs.map(\.topic))
    if partitions == 1 {
      return try FileReplay(writing, destination, [(inputs: inputs, readers: opened)])
    }
    guard let route else {
      preconditionFailure("more than one partition needs a route for each line")
    }
    let router = LineRouter(opened, partitions: partitions, route: route)
    let sources = (0..<partitions).map { partition in
      (
        inputs: inputs,
        readers: inputs.indices.map { file -> any ReplayInput in
          RoutedInput(router, partition: partition, file: file)
        }
      )
    }
    return try FileReplay(writing, destination, sources, router: router)
  }

  /// Replays files that all stand in for one source, as `open(files:outputs:to:)` does.
  ///
  /// - Parameter source: the topology's name of the source; empty for all of them.
  public static func open(
    files: [String], source: String, outputs: [LogOutput], to destination: Destination,
    partitions: Int = 1,
    route: (@Sendable (UnsafeRawBufferPointer) -> Int)? = nil
  ) throws(LogError) -> FileReplay {
    try open(
      files: files.map { LogInput(source: source, topic: $0, isFile: true) }, outputs: outputs,
      to: destination, partitions: partitions, route: route)
  }

  /// Replays topics of a local log; there are as many partitions as the topics have.
  ///
  /// - Parameter group: whose journal to follow (`RunnerOptions.Mode.audit`); nil for none.
  public static func open(
    log store: LocalLogStore, inputs: [LogInput], outputs: [LogOutput],
    to destination: Destination, following group: String? = nil
  ) throws(LogError) -> FileReplay {
    let count = try store.partitionCount(inputs)
    var sources: [(inputs: [LogInput], readers: [any ReplayInput])] = []
    for partition in 0..<Int32(count) {
      var readers: [any ReplayInput] = []
      var named: [LogInput] = []
      for input in inputs {
        readers.append(try store.reader(input.topic, partition: partition))
        var input = input
        input.partition = partition
        named.append(input)
      }
      sources.append((inputs: named, readers: readers))
    }
    var journals: [GroupJournal?] = []
    for partition in 0..<Int32(count) {
      guard let group else { break }
      journals.append(
        try GroupJournal(try store.groupDirectory(group, partition), inputs: inputs))
    }
    let writing = try prepare(outputs, destination, inputs: [])
    return try FileReplay(writing, destination, sources, journals)
  }

  /// Replays inputs of any kind, each partition with its own.
  public static func open(
    partitions sources: [(inputs: [LogInput], readers: [any ReplayInput])],
    outputs: [LogOutput], to destination: Destination
  ) throws(LogError) -> FileReplay {
    precondition(!sources.isEmpty, "a replay has at least one partition")
    return try FileReplay(try prepare(outputs, destination, inputs: []), destination, sources)
  }

  /// The files' names, once it is sure that nothing of value stands there.
  private static func prepare(
    _ outputs: [LogOutput], _ destination: Destination, inputs: [String]
  ) throws(LogError) -> [String] {
    let directory = destination.directory
    try FileSystem.makeDirectory(directory, faults: destination.faults)
    var sinks: [String] = []
    for output in outputs {
      let name = try FileName.encode(output.sink)
      guard !sinks.contains(name) else {
        throw LogError(.configuration, "two sinks are named \(output.sink)")
      }
      sinks.append(name)
    }
    let known = try FileSystem.list(directory).filter { name in
      sinks.contains { isStream(name, of: $0) }
    }
    let sources = inputs.compactMap { FileSystem.identity($0) }
    for name in known {
      let path = "\(directory)/\(name)"
      if let identity = FileSystem.identity(path), sources.contains(where: { $0 == identity }) {
        throw LogError(
          .configuration, "\(path) is an input of this replay; write to another directory")
      }
      guard destination.overwrite || name.contains(".part-") else {
        throw LogError(
          .configuration,
          "\(directory) holds \(name) of an earlier replay; name another directory, or allow"
            + " overwriting")
      }
    }
    for name in known { try FileSystem.remove("\(directory)/\(name)", faults: destination.faults) }
    return sinks
  }

  /// Whether a replay has made a file of this name, whole or not: no other may be removed.
  private static func isStream(_ name: String, of sink: String) -> Bool {
    ["\(sink).jsonl", "\(sink).jsonl.zst"].contains { stream in
      name == stream || name.hasPrefix("\(stream).part-")
    }
  }

  private init(
    _ sinks: [String], _ destination: Destination,
    _ sources: [(inputs: [LogInput], readers: [any ReplayInput])],
    _ journals: [GroupJournal?] = [], router: LineRouter? = nil
  ) throws(LogError) {
    self.router = router
    directory = destination.directory
    suffix = destination.compress ? ".jsonl.zst" : ".jsonl"
    self.sinks = sinks
    faults = destination.faults
    var partitions: [FileReplayLog] = []
    for (number, source) in sources.enumerated() {
      var files: [FileOutput] = []
      for sink in sinks {
        files.append(
          try FileOutput(
            "\(directory)/\(sink)\(suffix).part-\(number)", compressing: destination.compress,
            faults: destination.faults))
      }
      partitions.append(
        FileReplayLog(
          source.inputs, source.readers, files,
          journals.indices.contains(number) ? journals[number] : nil))
    }
    self.partitions = partitions
  }

  /// How many of the records that partitions committed were further copies of a line that every
  /// partition got. Read it when no partition commits any more.
  public var copies: Int64 {
    guard let router else { return 0 }
    var count: Int64 = 0
    for partition in partitions.dropFirst() {
      for (file, end) in partition.nextOffsets.enumerated() {
        count += router.copies(file: file, before: end)
      }
    }
    return count
  }

  /// Removes what was written of a replay that failed.
  public func abandon() {
    for partition in partitions {
      for output in partition.outputs { try? FileSystem.remove(output.path) }
    }
  }

  /// Completes the streams: partition after partition, under their own names.
  ///
  /// Call it when no partition commits any more; after an error with `.retry` call it again.
  public func finish() throws(LogError) {
    for partition in partitions { try partition.finishOutputs() }
    for (place, sink) in sinks.enumerated() {
      let whole = partitions[0].outputs[place]
      if whole.isTaken { continue }
      for partition in partitions.dropFirst() {
        let part = partition.outputs[place]
        if !part.isTaken { try whole.take(part) }
        try FileSystem.remove(part.path, faults: faults)
      }
      try whole.finish()
      try FileSystem.rename(whole.path, to: "\(directory)/\(sink)\(suffix)", faults: faults)
      whole.isTaken = true
    }
    try FileSystem.syncDirectory(directory, faults: faults)
  }
}

/// One partition of a replay into files.
///
/// Has no committed state: a replay that is broken off begins again.
public final class FileReplayLog: PartitionLog, @unchecked Sendable {
  // Inputs belong to the partition's worker, outputs to its committer.
  public let inputs: [LogInput]
  private let readers: [any ReplayInput]
  fileprivate let outputs: [FileOutput]
  private var lastNumber: Int64 = 0
  /// Per input, after the last commit.
  fileprivate private(set) var nextOffsets: [Int64] = []
  /// The transaction whose outputs are taken but perhaps not all written.
  private var takenNumber: Int64 = 0

  /// The journal of an audit.
  private let followed: GroupJournal?

  fileprivate init(
    _ inputs: [LogInput], _ readers: [any ReplayInput], _ outputs: [FileOutput],
    _ followed: GroupJournal?
  ) {
    self.followed = followed
    self.inputs = inputs
    self.readers = readers
    self.outputs = outputs
  }

  public func fetch(
    _ input: Int, into chunk: RecordChunk, maxRecords: Int
  ) throws(LogError) -> FetchStatus {
    try readers[input].fetch(into: chunk, maxRecords: maxRecords)
  }

  public func seek(_ input: Int, to offset: Int64) throws(LogError) {
    try readers[input].seek(to: offset)
  }

  public func firstOffsets() throws(LogError) -> [Int64] {
    var offsets: [Int64] = []
    for reader in readers { offsets.append(try reader.firstOffset()) }
    return offsets
  }

  /// Where the journal that is followed ends; nil without one.
  public func committed() throws(LogError) -> CommitPoint? { followed?.committed }

  public func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    try followed?.journal(after: number, body)
  }

  /// Appends the outputs' values, a line each. They are on the disk after `FileReplay.finish`.
  ///
  /// Numbers rise by one from whatever the first is, so that a replay may begin at a snapshot.
  public func commit(_ transaction: Transaction) throws(LogError) {
    if transaction.number == lastNumber, lastNumber > 0 { return }
    precondition(
      lastNumber == 0 || transaction.number == lastNumber + 1,
      "transactions are committed in order, without gaps: \(transaction.number) after \(lastNumber)"
    )
    if takenNumber != transaction.number {
      take(transaction.outputs)
      takenNumber = transaction.number
    }
    for output in outputs { try output.drain() }
    lastNumber = transaction.number
    nextOffsets = transaction.nextOffsets
  }

  private func take(_ buffer: OutputBuffer) {
    for record in buffer.records { outputs[Int(record.sink)].add(buffer.value(of: record)) }
  }

  fileprivate func finishOutputs() throws(LogError) {
    for output in outputs { try output.finish() }
  }

  public func close() {
    for reader in readers { (reader as? RoutedInput)?.close() }
  }
}
