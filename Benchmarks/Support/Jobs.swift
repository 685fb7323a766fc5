public import Events
public import LocalLog
import Operators
public import Simulation
public import Streaming

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What is measured, each as one call.
public enum Jobs {
  public static func tally() throws -> CheckedTopology { try shipped("tally") }

  public static func attribution() throws -> CheckedTopology { try shipped("attribution") }

  public static func live() throws -> CheckedTopology { try shipped("live") }

  public static func lean() throws -> CheckedTopology { try shipped("live-lean") }

  /// A shipped topology, from the checkout that this was built from.
  private static func shipped(_ name: String) throws -> CheckedTopology {
    let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    return try CheckedTopology.load(
      path: root + "/Topologies/\(name).yaml", registry: OperatorRegistry.all.map(\.description))
  }

  /// How far a part of `attribution.yaml` goes.
  public enum AttributionPart: Int {
    case unique, people, journeys, credits
  }

  /// The beginning of `attribution.yaml`, which publishes nothing: what its operators cost alone.
  public static func attribution(upTo part: AttributionPart) throws -> CheckedTopology {
    let operators = [
      "unique: { operator: deduplicate, from: events }",
      "people: { operator: identity, from: unique }",
      "journeys: { operator: journeys, from: people }",
      "credits: { operator: attribution, from: journeys, models: [last_touch, time_decay] }",
    ]
    let text = """
      topology: part
      sources: { events: { log: { directory: data, topics: [events] } } }
      operators:
        \(operators[...part.rawValue].joined(separator: "\n  "))
      sinks: { dead_letters: { log: { topic: dead-letters } } }
      """
    return try CheckedTopology.parse(
      text: text, file: "part.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  /// What `learner` is measured beside.
  public enum LearnerPart: CaseIterable, CustomStringConvertible {
    case none, mature, dfm

    public var description: String {
      switch self {
      case .none: "what the learner needs"
      case .mature: "learner, ftrl, two heads"
      case .dfm: "learner, ftrl, delay: dfm"
      }
    }
  }

  /// Like `learning.yaml` with one model of 12 features, and nothing published.
  public static func learning(_ part: LearnerPart) throws -> CheckedTopology {
    let learner = """
        learner:
          operator: learner
          from: [journeys, credits]
          features: [bias, campaign, ad, placement, hour, weekday, "features.*"]
          hash_bits: 20
          click_window: 5m
          conversion_window: 12h
          delay: \(part == .dfm ? "dfm" : "mature")
      """
    return try CheckedTopology.parse(
      text: """
        topology: part
        sources: { events: { log: { directory: data, topics: [events] } } }
        operators:
          unique: { operator: deduplicate, from: events }
          people: { operator: identity, from: unique }
          journeys: { operator: journeys, from: people }
          credits: { operator: attribution, from: journeys }
        \(part == .none ? "" : learner)
        sinks: { dead_letters: { log: { topic: dead-letters } } }
        """, file: "part.yaml", registry: OperatorRegistry.all.map(\.description))
  }

  /// Decodes records with full validation; returns how many were refused.
  @inline(never)
  public static func decode(
    _ block: RecordBlock, _ decoder: inout EventDecoder, _ batch: EventBatch
  )
    -> Int
  {
    var refused = 0
    for index in 0..<block.count {
      if batch.isFull { batch.removeAll() }
      if decoder.decode(block[index], into: batch) != nil { refused += 1 }
    }
    batch.removeAll()
    return refused
  }

  /// Looks for the ends of lines in the same bytes, as the fastest reading there is.
  @inline(never)
  public static func findLineEnds(_ block: RecordBlock) -> Int {
    guard let start = block.bytes.baseAddress else { return 0 }
    var found = 0
    var place = 0
    while place < block.byteCount, let end = memchr(start + place, 10, block.byteCount - place) {
      found += 1
      place = UnsafeRawPointer(end) - UnsafeRawPointer(start) + 1
    }
    return found
  }

  /// Sums the bytes, a word at a time: what memory alone allows.
  @inline(never)
  public static func readPlainly(_ block: RecordBlock) -> UInt64 {
    guard let start = block.bytes.baseAddress else { return 0 }
    var sum: UInt64 = 0
    for word in 0..<block.byteCount / 8 {
      sum &+= start.load(fromByteOffset: word * 8, as: UInt64.self)
    }
    return sum
  }

  public struct ReplayResult {
    public var records: Int64
    public var cost: System.Cost
    public var digest: String
  }

  /// Replays a file or a local log's topic; the cost is that of the engine alone.
  public static func replay(
    _ topology: CheckedTopology, _ replay: FileReplay, workers: Int = 1
  ) throws -> ReplayResult {
    let engine = try Engine(
      topology: topology, registry: OperatorRegistry.all,
      partitions: replay.partitions.enumerated().map { number, log in
        .init(
          log: log,
          options: RunnerOptions(
            mode: .replay, partition: number, partitionCount: replay.partitions.count))
      }, workers: workers)
    let cost = try System.cost { try engine.run() }
    try replay.finish()
    let values = engine.statuses.map(\.current)
    return ReplayResult(
      records: values.reduce(0) { $0 + $1.records }, cost: cost,
      digest: values.map { $0.digest.map { "\($0)" } ?? "" }.joined(separator: " "))
  }

  public static func outputs(_ topology: CheckedTopology) -> [LogOutput] {
    topology.sinks.map { LogOutput(sink: $0.name, topic: $0.name, compacted: false) }
  }

  public static func replay(
    _ topology: CheckedTopology, file: String, to directory: String
  ) throws -> ReplayResult {
    try replay(
      topology,
      FileReplay.open(
        files: [file], source: "", outputs: outputs(topology),
        to: .init(directory: directory, overwrite: true)))
  }

  public static func replay(
    _ topology: CheckedTopology, log: String, to directory: String, workers: Int
  ) throws -> ReplayResult {
    try replay(
      topology,
      FileReplay.open(
        log: LocalLogStore.open(log), inputs: [LogInput(source: "events", topic: "events")],
        outputs: outputs(topology), to: .init(directory: directory, overwrite: true)),
      workers: workers)
  }

  /// A log with a history's records, unless it is there. Accounts go to partitions by the
  /// Thue–Morse sequence of their rank, which gives each about as many records.
  public static func fill(
    log path: String, _ settings: HistorySettings, partitions: Int
  ) throws {
    guard access(path + "/bidmill-log.json", F_OK) != 0 else { return }
    let store = try LocalLogStore.open(
      path, creating: true, options: LocalLogOptions(fsync: .never))
    try store.createTopic("events", partitions: partitions)
    var appenders: [TopicAppender] = []
    for partition in 0..<partitions {
      appenders.append(try store.appender("events", partition: Int32(partition)))
    }
    try Histories.forEach(settings) { line, record in
      let partition = partitions == 1 ? 0 : record.account.nonzeroBitCount % partitions
      try append(copy line, at: record.time.milliseconds, to: appenders[partition])
    }
    for appender in appenders { try appender.close() }
  }

  /// Appends records to a new log, with its own compression and without a sync for each flush.
  public static func append(_ block: RecordBlock, toNewLog path: String) throws {
    let store = try LocalLogStore.open(
      path, creating: true, options: LocalLogOptions(fsync: .never))
    try store.createTopic("events", partitions: 1)
    let appender = try store.appender("events", partition: 0)
    for index in 0..<block.count {
      try appender.append(
        key: UnsafeRawBufferPointer(start: nil, count: 0), value: block[index],
        appendTime: Int64(index), eventTime: Int64(index))
    }
    try appender.close()
  }

  /// Reads a log's topic to its end; returns the bytes.
  public static func read(log path: String) throws -> Int {
    let reader = try LocalLogStore.open(path).reader("events", partition: 0)
    let chunk = RecordChunk()
    var bytes = 0
    while try reader.fetch(into: chunk, maxRecords: 4096) == .records {
      for record in chunk.records { bytes += record.value.count }
    }
    return bytes
  }

  private static func append(
    _ line: [UInt8], at time: Int64, to appender: TopicAppender
  ) throws(LogError) {
    let result: Result<Void, LogError> = line.withUnsafeBytes { bytes in
      do throws(LogError) {
        try appender.append(
          key: UnsafeRawBufferPointer(start: nil, count: 0), value: bytes,
          appendTime: LogRecord.noAppendTime, eventTime: time)
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
  }
}
