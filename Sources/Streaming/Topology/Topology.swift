public import Events

// What a topology file says, as a value: read, checked, compared and described before any log is
// opened. What lives here knows YAML, names and stream types; it must not know how an operator
// computes, how a log is reached, or what a worker is.
//
// The way of a file: `TopologyText` (which YAML is accepted) → `TopologyTree` (nodes with places)
// → overrides and environment → `TopologyReader` (typed values) → `GraphChecker` (streams) →
// `CheckedTopology` (what an engine builds from).

/// A topology with every default filled in: sources, operators, sinks and guarantees.
public struct Topology: Sendable, Equatable {
  /// Names consumer groups and transactions: letters, digits, `.`, `_`, `-`, at most 64.
  public var name: String
  /// What events are partitioned by.
  public var key: Key
  /// Every random draw is a function of it.
  public var seed: UInt64
  public var time: Time
  /// In rank order, which is the file's: at equal event time the earlier one goes first.
  public var sources: [Source]
  /// In the file's order; `CheckedTopology.operators` is in the order in which they run.
  public var operators: [Operator]
  /// In the file's order. One of them takes `dead_letters`, named in the file or not.
  public var sinks: [Sink]
  public var delivery: Delivery
  public var snapshots: Snapshots
  public var commit: Commit

  public init(
    name: String, key: Key = .account, seed: UInt64 = 1, time: Time = Time(), sources: [Source],
    operators: [Operator], sinks: [Sink], delivery: Delivery = .exactlyOnce,
    snapshots: Snapshots, commit: Commit = Commit()
  ) {
    self.name = name
    self.key = key
    self.seed = seed
    self.time = time
    self.sources = sources
    self.operators = operators
    self.sinks = sinks
    self.delivery = delivery
    self.snapshots = snapshots
    self.commit = commit
  }

  public enum Key: String, Sendable, CaseIterable {
    case account
  }

  /// How event time moves.
  public struct Time: Sendable, Equatable {
    /// The watermark stands this far behind the last clock entry. 0 to 1 d.
    public var outOfOrderness: TimeSpan
    /// A clock entry stands at every multiple of it. 10 ms to 1 h.
    public var tick: TimeSpan
    /// An event later than its record's append time by more than this is `out_of_range`.
    public var maxAhead: TimeSpan
    /// The same against the newest event, where there is no append time.
    public var maxGap: TimeSpan
    /// How long, live, a source that is at its end is waited for before others go on.
    public var mergeWait: TimeSpan

    public init(
      outOfOrderness: TimeSpan = .seconds(5), tick: TimeSpan = .seconds(1),
      maxAhead: TimeSpan = .hours(1), maxGap: TimeSpan = .days(31),
      mergeWait: TimeSpan = .milliseconds(20)
    ) {
      self.outOfOrderness = outOfOrderness
      self.tick = tick
      self.maxAhead = maxAhead
      self.maxGap = maxGap
      self.mergeWait = mergeWait
    }
  }

  /// Where events come from.
  public struct Source: Sendable, Equatable {
    public var name: String
    public var transport: SourceTransport
    /// Taken on arrival when live, before the merge.
    public var urgent: Bool
    /// May carry `prior` events.
    public var trusted: Bool

    public init(
      name: String, transport: SourceTransport, urgent: Bool = false, trusted: Bool = false
    ) {
      self.name = name
      self.transport = transport
      self.urgent = urgent
      self.trusted = trusted
    }
  }

  public enum SourceTransport: Sendable, Equatable {
    case kafka(KafkaSource)
    case log(LogSource)
    /// JSON Lines files, plain or `.zst`; for replays only.
    case files(paths: [String])
  }

  public struct KafkaSource: Sendable, Equatable {
    /// `host:port[,host:port…]`
    public var brokers: String
    public var topics: [String]
    public var group: String
    public var partitioner: Partitioner
    /// Passed to the client as they are, sorted by name.
    public var properties: [Property]

    public init(
      brokers: String, topics: [String], group: String, partitioner: Partitioner = .murmur2,
      properties: [Property] = []
    ) {
      self.brokers = brokers
      self.topics = topics
      self.group = group
      self.partitioner = partitioner
      self.properties = properties
    }
  }

  /// Which hash of the key the producers of a topic choose partitions by.
  public enum Partitioner: String, Sendable, CaseIterable {
    /// The Java client's default.
    case murmur2
    /// librdkafka's default.
    case crc32
    /// Something else than the account: nothing is checked. For sources that are keyed anew.
    case any

    /// The hash that it stands for; nil where there is none to check.
    public var hash: Keying.Hash? {
      switch self {
      case .murmur2: .murmur2
      case .crc32: .crc32
      case .any: nil
      }
    }
  }

  public struct LogSource: Sendable, Equatable {
    public var directory: String
    public var topics: [String]
    public var group: String

    public init(directory: String, topics: [String], group: String) {
      self.directory = directory
      self.topics = topics
      self.group = group
    }
  }

  /// A setting of the Kafka client; secret ones are never printed.
  public struct Property: Sendable, Equatable, CustomStringConvertible,
    CustomDebugStringConvertible
  {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }

    /// Its name says that its value is nobody's business.
    public var isSecret: Bool { Secret.isNamed(name) }

    public var description: String { "\(name)=\(isSecret ? Secret.mask : value)" }
    public var debugDescription: String { description }
  }

  /// One operator and what it reads.
  public struct Operator: Sendable, Equatable {
    public var name: String
    /// `operator:` in the file, the name of an `OperatorDescription`.
    public var kind: String
    /// Sources and operators, in the file's order, in which inputs arrive.
    public var from: [String]
    /// Every described setting has a value.
    public var settings: Settings

    public init(name: String, kind: String, from: [String], settings: Settings) {
      self.name = name
      self.kind = kind
      self.from = from
      self.settings = settings
    }
  }

  /// Where a stream goes.
  public struct Sink: Sendable, Equatable {
    public var name: String
    /// Sources and operators that give the stream; none for `dead_letters`, the engine's own.
    public var from: [String]
    /// The stream's name.
    public var stream: String
    public var transport: SinkTransport

    public init(name: String, from: [String], stream: String, transport: SinkTransport) {
      self.name = name
      self.from = from
      self.stream = stream
      self.transport = transport
    }
  }

  public enum SinkTransport: Sendable, Equatable {
    case kafka(KafkaSink)
    case log(LogSink)
    /// A JSON Lines file, plain or `.zst`; for replays only.
    case files(path: String)
  }

  public struct KafkaSink: Sendable, Equatable {
    public var brokers: String
    public var topic: String
    public var properties: [Property]
    /// Records go to the partition that their key belongs to; nil for the one they come from.
    public var partitioner: Partitioner?

    public init(
      brokers: String, topic: String, properties: [Property] = [], partitioner: Partitioner? = nil
    ) {
      self.brokers = brokers
      self.topic = topic
      self.properties = properties
      self.partitioner = partitioner
    }
  }

  public struct LogSink: Sendable, Equatable {
    public var directory: String
    public var topic: String

    public init(directory: String, topic: String) {
      self.directory = directory
      self.topic = topic
    }
  }

  public enum Delivery: String, Sendable, CaseIterable {
    /// Outputs and offsets commit together; needs one cluster or one local log.
    case exactlyOnce = "exactly_once"
    /// The lowest latency; after a crash an output may come twice, and is then the same output.
    case atLeastOnce = "at_least_once"
  }

  public struct Snapshots: Sendable, Equatable {
    public var store: SnapshotTransport
    /// 1 s to 7 d.
    public var every: TimeSpan
    /// How many of the newest are kept, 1 to 100.
    public var keep: Int

    public init(store: SnapshotTransport, every: TimeSpan = .minutes(10), keep: Int = 2) {
      self.store = store
      self.every = every
      self.keep = keep
    }
  }

  public enum SnapshotTransport: Sendable, Equatable {
    case directory(String)
    /// A compacted topic.
    case kafka(KafkaSink)
  }

  /// When outputs and offsets are committed: at the first of the two bounds.
  public struct Commit: Sendable, Equatable {
    /// 1 ms to 1 min.
    public var every: TimeSpan
    /// 1 to 10,000,000.
    public var events: Int
    /// For local logs; Kafka's brokers decide for themselves.
    public var fsync: Fsync

    public init(
      every: TimeSpan = .milliseconds(100), events: Int = 65_536, fsync: Fsync = .always
    ) {
      self.every = every
      self.events = events
      self.fsync = fsync
    }
  }

  /// When a local log asks the disk to have written.
  public enum Fsync: Sendable, Equatable {
    /// At every commit: survives a power cut.
    case always
    /// Left to the operating system: survives a crash of the process.
    case never
    /// At the first commit after this long. 1 ms to 1 h.
    case every(TimeSpan)
  }
}

/// What must not be printed.
enum Secret {
  static let mask = "***"

  static func isNamed(_ name: String) -> Bool {
    let name = name.lowercased()
    return ["password", "secret", "key", "token"].contains { name.contains($0) }
  }
}
