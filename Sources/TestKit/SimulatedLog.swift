public import Streaming
import Synchronization

/// The durable part of a simulated world: one partition's records, commits and snapshots.
///
/// It outlives the processes of a simulation. Many `SimulatedLog`s may be opened on it, but only
/// the newest may commit: opening one fences those before it.
public final class SimulatedBroker: Sendable {
  public struct Committed: Sendable, Equatable {
    public var sink: Int32
    public var key: [UInt8]
    public var value: [UInt8]
    /// Number of the transaction that it came with.
    public var transaction: Int64
  }

  struct State {
    var topics: [[(value: [UInt8], appendTime: Int64)]]
    /// First offset that is still held, per input.
    var firstOffsets: [Int64]
    var commitNumber: Int64 = 0
    var nextOffsets: [Int64] = []
    /// Of the last commit.
    var journalSum: UInt64?
    var journal: [(number: Int64, bytes: [UInt8])] = []
    var outputs: [Committed] = []
    var snapshots: [Int64: [UInt8]] = [:]
    /// Which opening may commit.
    var generation = 0
    /// The history is complete: its end is an end.
    var isClosed = false
    /// For an audit: where the journal ends, while nothing is committed here yet.
    var auditNumber: Int64?
    /// Commits that were sent again although they had been taken.
    var repeatedCommits = 0
  }

  let state: Mutex<State>
  public let inputs: [LogInput]

  public init(inputs: [LogInput]) {
    self.inputs = inputs
    state = Mutex(State(topics: inputs.map { _ in [] }, firstOffsets: inputs.map { _ in 0 }))
  }

  /// Adds a record to an input.
  public func append(
    _ value: [UInt8], to input: Int = 0, appendTime: Int64 = LogRecord.noAppendTime
  ) {
    state.withLock { $0.topics[input].append((value, appendTime)) }
  }

  /// Removes an input's records before an offset, as retention does.
  public func removeRecords(before offset: Int64, of input: Int = 0) {
    state.withLock { $0.firstOffsets[input] = max($0.firstOffsets[input], offset) }
  }

  /// No record will follow.
  public func closeInputs() { state.withLock { $0.isClosed = true } }

  /// All committed outputs, in their order.
  public var outputs: [Committed] { state.withLock { $0.outputs } }

  /// The committed journal records, oldest first.
  public var journal: [[UInt8]] { state.withLock { $0.journal.map(\.bytes) } }

  public var commitNumber: Int64 { state.withLock { $0.commitNumber } }

  public var snapshotNumbers: [Int64] { state.withLock { $0.snapshots.keys.sorted(by: >) } }

  public var recordCounts: [Int] { state.withLock { $0.topics.map(\.count) } }

  public var nextOffsets: [Int64] { state.withLock { $0.nextOffsets } }

  /// Cuts the newest snapshot short, as a crash of the disk would.
  public func tearNewestSnapshot(keeping bytes: (Int) -> Int) {
    state.withLock { state in
      guard let newest = state.snapshots.keys.max(), let whole = state.snapshots[newest] else {
        return
      }
      state.snapshots[newest] = Array(whole.prefix(bytes(whole.count)))
    }
  }

  /// Loses one record of the journal.
  public func forgetJournal(_ number: Int64) {
    state.withLock { state in state.journal.removeAll { $0.number == number } }
  }

  /// Opens the partition for one process; processes that opened it before are fenced.
  public func open(faults: SimulatedFaults = SimulatedFaults()) -> SimulatedLog {
    SimulatedLog(broker: self, generation: fence(), faults: faults)
  }

  /// Whoever had the partition may not commit any more.
  func fence() -> Int {
    state.withLock {
      $0.generation += 1
      return $0.generation
    }
  }
}

/// What goes wrong on the way to a simulated broker; drawn anew for every call.
public final class SimulatedFaults: Sendable {
  public enum Fault: Sendable {
    case none
    /// The call fails before it does anything.
    case refuse
    /// The call does its work, and the answer is lost.
    case loseAnswer
    /// The transaction is aborted.
    case abort
  }

  private let draw: @Sendable () -> Fault
  /// Records per fetch, at most.
  let fetchLimit: @Sendable () -> Int

  public init(
    fetchLimit: @escaping @Sendable () -> Int = { Int.max },
    draw: @escaping @Sendable () -> Fault = { .none }
  ) {
    self.draw = draw
    self.fetchLimit = fetchLimit
  }

  func next() -> Fault { draw() }
}

/// A process's view of a simulated partition.
public final class SimulatedLog: PartitionLog, @unchecked Sendable {
  // `positions` belongs to the partition's worker; everything shared is behind the broker's lock.
  private let broker: SimulatedBroker
  // Set by whoever asks what is committed, which is never at the same time as a commit.
  private var generation: Int
  private var isParked = false
  private let faults: SimulatedFaults
  private var positions: [Int64]
  public var inputs: [LogInput] { broker.inputs }

  init(broker: SimulatedBroker, generation: Int, faults: SimulatedFaults) {
    self.broker = broker
    self.generation = generation
    self.faults = faults
    positions = broker.inputs.map { _ in 0 }
  }

  public func fetch(_ input: Int, into chunk: RecordChunk, maxRecords: Int) throws(LogError)
    -> FetchStatus
  {
    chunk.removeAll()
    let limit = min(maxRecords, max(faults.fetchLimit(), 1))
    guard positions[input] >= broker.state.withLock({ $0.firstOffsets[input] }) else {
      throw LogError(.missing, "offset \(positions[input]) of input \(input) was removed")
    }
    return broker.state.withLock { state in
      let topic = state.topics[input]
      let start = Int(positions[input])
      let end = min(topic.count, start + limit)
      guard start < end else { return .end }
      let bytes = topic[start..<end].reduce(0) { $0 + $1.value.count }
      chunk.reserve(bytes)
      var place = 0
      for i in start..<end {
        let value = topic[i].value
        let target = UnsafeMutableRawBufferPointer(
          rebasing: chunk.storage[place..<(place + value.count)])
        target.copyBytes(from: value)
        place += value.count
        chunk.records.append(
          LogRecord(
            offset: Int64(i), appendTime: topic[i].appendTime,
            key: UnsafeRawBufferPointer(start: nil, count: 0), value: UnsafeRawBufferPointer(target)
          ))
      }
      positions[input] = Int64(end)
      chunk.nextOffset = Int64(end)
      return .records
    }
  }

  public func seek(_ input: Int, to offset: Int64) throws(LogError) { positions[input] = offset }

  public func firstOffsets() throws(LogError) -> [Int64] {
    broker.state.withLock { $0.firstOffsets }
  }

  public func committed() throws(LogError) -> CommitPoint? {
    if case .refuse = faults.next() { throw LogError(.unavailable, recovery: .rewind, "no answer") }
    if isParked {
      generation = broker.fence()
      isParked = false
    }
    return broker.state.withLock {
      let number = $0.auditNumber ?? $0.commitNumber
      guard number > 0 else { return nil }
      return CommitPoint(
        number: number, nextOffsets: $0.nextOffsets, journalSum: $0.journalSum)
    }
  }

  public func journal(
    after number: Int64,
    _ body: (_ number: Int64, _ bytes: UnsafeRawBufferPointer) throws(LogError) -> Void
  ) throws(LogError) {
    let records = broker.state.withLock { $0.journal.filter { $0.number > number } }
    for record in records {
      let result: Result<Void, LogError> = record.bytes.withUnsafeBytes { raw in
        do throws(LogError) { return .success(try body(record.number, raw)) } catch {
          return .failure(error)
        }
      }
      try result.get()
    }
  }

  public func commit(_ transaction: Transaction) throws(LogError) {
    let fault = faults.next()
    switch fault {
    case .refuse: throw LogError(.unavailable, recovery: .retry, "the broker does not answer")
    case .abort: throw LogError(.unavailable, recovery: .retry, "the transaction was aborted")
    case .loseAnswer, .none: break
    }
    let isFenced = broker.state.withLock { state in
      guard generation == state.generation else { return true }
      apply(transaction, to: &state)
      return false
    }
    if isFenced {
      throw LogError(
        .unavailable, recovery: .recreate, "another process has taken over the partition")
    }
    if case .loseAnswer = fault {
      throw LogError(.unavailable, recovery: .rewind, "the answer to a commit was lost")
    }
  }

  private func apply(_ transaction: Transaction, to state: inout SimulatedBroker.State) {
    guard transaction.number != state.commitNumber else {
      state.repeatedCommits += 1
      return
    }
    precondition(
      transaction.number == state.commitNumber + 1,
      "transaction \(transaction.number) follows \(state.commitNumber)")
    state.commitNumber = transaction.number
    if state.auditNumber == nil {
      state.nextOffsets = transaction.nextOffsets
      state.journalSum = transaction.journalSum
      state.journal.append((transaction.number, transaction.journal))
    }
    for record in transaction.outputs.records {
      state.outputs.append(
        SimulatedBroker.Committed(
          sink: record.sink, key: Array(transaction.outputs.key(of: record)),
          value: Array(transaction.outputs.value(of: record)), transaction: transaction.number))
    }
  }

  public func close() {}

  /// Whoever comes back fences those who came meanwhile.
  public func park() { isParked = true }
}

/// Snapshots in the memory of a simulated broker.
public final class SimulatedSnapshots: SnapshotStore {
  private let broker: SimulatedBroker

  public init(_ broker: SimulatedBroker) { self.broker = broker }

  public func list() throws(LogError) -> [Int64] { broker.snapshotNumbers }

  public func create(_ number: Int64) throws(LogError) -> any SnapshotSink {
    Sink(broker: broker, number: number)
  }

  public func read(_ number: Int64, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Void)
    throws(LogError)
  {
    guard let bytes = broker.state.withLock({ $0.snapshots[number] }) else {
      throw LogError(.missing, "no snapshot \(number)")
    }
    let result: Result<Void, LogError> = bytes.withUnsafeBytes { raw in
      do throws(LogError) { return .success(try body(raw)) } catch { return .failure(error) }
    }
    try result.get()
  }

  public func remove(_ number: Int64) throws(LogError) {
    broker.state.withLock { $0.snapshots[number] = nil }
  }

  private final class Sink: SnapshotSink {
    private let broker: SimulatedBroker
    private let number: Int64
    private let bytes = Mutex<[UInt8]>([])

    init(broker: SimulatedBroker, number: Int64) {
      self.broker = broker
      self.number = number
    }

    func write(_ piece: UnsafeRawBufferPointer) throws(LogError) {
      bytes.withLock { $0.append(contentsOf: piece) }
    }

    func finish() throws(LogError) {
      let whole = bytes.withLock { $0 }
      broker.state.withLock { $0.snapshots[number] = whole }
    }

    func abandon() {}
  }
}
