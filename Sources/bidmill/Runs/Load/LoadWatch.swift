import Streaming

/// What a run has made of a load's events. Used by one thread.
protocol LoadObservation: AnyObject {
  /// Gives the values of records that have come into the sink since the last call.
  ///
  /// - Returns: how many there were.
  func arrivals(_ body: (UnsafeRawBufferPointer) -> Void) throws(LogError) -> Int

  /// Of each place, the next offset after the last commit; nil while that is not known. May be a
  /// question to a broker.
  func committed() throws(LogError) -> [Int64]?
}

/// Sees what is published and committed, and when.
struct LoadWatch<Clock: LoadClock> {
  /// Records of the sink, by what they come from.
  struct Counts: Equatable {
    /// Events that a record was published because of.
    var matched = 0
    /// More records because of the same events.
    var more = 0
    /// Because time went on.
    var clock = 0
    /// Because of records that are not this load's, or from its warm-up's before.
    var foreign = 0
    /// Records of the sink in all.
    var all = 0
  }

  /// At a moment of the load.
  struct Sample: Equatable {
    /// Since the first event.
    var seconds: Double
    var emitted: Int
    /// Records of all places that are emitted but not committed.
    var lag: Int64
  }

  private let clock: Clock
  private let schedule: LoadSchedule
  private let firstMeasured: Int
  private let emissions: Emissions
  private let source: SourceReader
  private let observation: any LoadObservation
  /// Arrivals whose event is not known yet: a producer learns offsets after the fact.
  private var waiting: [(offset: Int64, place: Int, at: Int64)] = []

  private(set) var counts = Counts()
  /// From an event's time to the first record that it caused.
  private(set) var published = Latencies()
  /// From an event's time to its commit, of every event.
  private(set) var committed = Latencies()
  /// Records of the load that are committed, by place together.
  private(set) var processed = 0
  private(set) var samples: [Sample] = []
  private(set) var lag: Int64 = 0

  /// Between two samples: no divisor of usual commit intervals.
  private static var sampleEvery: Int64 { 37_000_000 }
  /// When committed offsets were looked up last.
  private var lookedAt: Int64?
  private let lookEvery: Int64

  /// - Parameters:
  ///   - first: of each place, where the load begins.
  ///   - lookEvery: ns between two looks at committed offsets; 0 for every turn.
  init(
    clock: Clock, schedule: LoadSchedule, firstMeasured: Int, emissions: Emissions,
    source: SourceReader, observation: any LoadObservation, lookEvery: Int64
  ) {
    self.clock = clock
    self.schedule = schedule
    self.firstMeasured = firstMeasured
    self.emissions = emissions
    self.source = source
    self.observation = observation
    self.lookEvery = lookEvery
  }

  /// Takes in what has happened since the last turn.
  ///
  /// - Returns: whether anything had.
  mutating func turn(emitted: Int) throws(LogError) -> Bool {
    let before = processed
    let arrived = try takeArrivals()
    if lookedAt.map({ clock.now() - $0 >= lookEvery }) ?? true { try look(emitted) }
    return arrived > 0 || processed > before
  }

  private mutating func takeArrivals() throws(LogError) -> Int {
    var found: [SourceReader.Source] = []
    let count = try observation.arrivals { found.append(source.read($0)) }
    // Read after the records were at hand: the end of their way.
    let now = clock.now()
    counts.all += count
    for source in found {
      switch source {
      case .clock: counts.clock += 1
      case .foreign: counts.foreign += 1
      case .record(let place, let offset): waiting.append((offset, place, now))
      }
    }
    let arrivals = waiting
    waiting.removeAll(keepingCapacity: true)
    for arrival in arrivals {
      switch emissions.ask(arrival.offset, in: arrival.place) {
      case .event(let number):
        counts.matched += 1
        if number >= firstMeasured {
          published.record(nanoseconds: arrival.at - schedule.intended(number))
        }
      case .again: counts.more += 1
      case .foreign: counts.foreign += 1
      case .unknown: waiting.append(arrival)
      }
    }
    return count
  }

  private mutating func look(_ emitted: Int) throws(LogError) {
    lookedAt = clock.now()
    let ends = emissions.ends
    guard let offsets = try observation.committed() else { return }
    let now = clock.now()
    var left: Int64 = 0
    for place in offsets.indices {
      processed += emissions.advance(to: offsets[place], in: place) { number in
        if number >= firstMeasured {
          committed.record(nanoseconds: now - schedule.intended(number))
        }
      }
      left += max(0, ends[place] - offsets[place])
    }
    lag = left
    let seconds = Double(now - schedule.start) / 1e9
    if seconds >= 0, seconds - (samples.last?.seconds ?? -1) >= Double(Self.sampleEvery) / 1e9 {
      samples.append(Sample(seconds: seconds, emitted: emitted, lag: left))
    }
  }
}

/// Reads what a published record comes from: its `source`.
struct SourceReader: Sendable {
  enum Source: Equatable {
    case record(place: Int, offset: Int64)
    case clock
    /// A topic that is not the load's, or no source at all.
    case foreign
  }

  private let topics: [String]
  private let partitions: Int

  /// Places are numbered by topic, then by partition.
  init(topics: [String], partitions: Int) {
    self.topics = topics
    self.partitions = partitions
  }

  func read(_ value: UnsafeRawBufferPointer) -> Source {
    for member in JSONMembers(value) where member.isNamed("source") {
      var (topic, partition, offset): (Int?, Int?, Int64?)
      for part in JSONMembers(member.value) {
        if part.isNamed("clock") { return .clock }
        if part.isNamed("topic") { topic = topics.firstIndex(of: part.text) }
        if part.isNamed("partition") { partition = part.integer.flatMap { Int(exactly: $0) } }
        if part.isNamed("offset") { offset = part.integer }
      }
      guard let topic, let partition, let offset, (0..<partitions).contains(partition) else {
        return .foreign
      }
      return .record(place: topic * partitions + partition, offset: offset)
    }
    return .foreign
  }
}
