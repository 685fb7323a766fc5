package import Events

/// A partition's state and what one entry of its sequence does to it.
///
/// Synchronous and deterministic: given the same entries it makes the same state and the same
/// outputs, however they were fetched, batched or cut. Where entries come from is the
/// `Sequencer`'s business.
package final class PartitionCore {
  package let topology: CheckedTopology
  package let store = StateStore()
  package let directory: Directory
  package let graph: Graph
  let state: Table<EngineState>
  let inputStates: Table<InputState>
  private let wheel: TimingWheel
  private let tickLength: Int64
  private let outOfOrderness: Int64
  private var dueTimers: ContiguousArray<Timer> = []
  private let clockPrefix: UnsafeMutableBufferPointer<UInt8>
  private let deadLetterSink: Int32
  /// Refused records by reason, without those of the past that is processed again.
  private let rejections: UnsafeMutablePointer<Int64>
  let hotAccounts = HotAccounts()
  private let mutant: Mutant?
  private let deadLetterForm: DeadLetterForm
  /// Of a longer refused record only a beginning is published: every log takes records of six
  /// times this size, which is what escaping can make of it.
  static let deadLetterPayloadBytesMax = 4 << 20

  package init(
    topology: CheckedTopology, registry: [OperatorType], inputCount: Int, outputs: OutputBuffer,
    deadLetterForm: DeadLetterForm = .json, mutant: Mutant? = nil
  ) throws(TopologyError) {
    self.deadLetterForm = deadLetterForm
    self.mutant = mutant
    self.topology = topology
    tickLength = topology.topology.time.tick.milliseconds
    outOfOrderness = topology.topology.time.outOfOrderness.milliseconds
    directory = Directory(in: store)
    state = store.table("engine", of: EngineState.self, capacity: 1)
    state.append(EngineState())
    inputStates = store.table("inputs", of: InputState.self, capacity: max(inputCount, 1))
    wheel = TimingWheel(tickLength: tickLength, in: store)
    graph = try Graph(
      topology: topology, registry: registry, store: store, directory: directory, wheel: wheel,
      outputs: outputs)
    deadLetterSink = graph.deadLetterSink
    rejections = .allocate(capacity: RejectionReason.allCases.count)
    rejections.initialize(repeating: 0, count: RejectionReason.allCases.count)
    let prefix = RecordSource.clockPrefix()
    clockPrefix = .allocate(capacity: prefix.count)
    _ = clockPrefix.initialize(from: prefix)
  }

  deinit {
    clockPrefix.deallocate()
    rejections.deallocate()
  }

  /// By `RejectionReason.rawValue`.
  var deadLetters: [Int64] { RejectionReason.allCases.indices.map { rejections[$0] } }

  /// Time as this partition knows it: the last clock entry. Before the first, the earliest time.
  package var clock: EventTime {
    EventTime(milliseconds: max(state[0].tick, 0) &* tickLength)
  }

  package var tick: Int64 { state[0].tick }

  /// Events at or after it have to wait for a clock entry.
  @inline(__always)
  var nextTickTime: Int64 {
    let tick = state[0].tick
    return tick < 0 ? Int64.min : (tick &+ 1) &* tickLength
  }

  @inline(__always)
  var newestTime: Int64 { state[0].newestTime }

  /// Lets operators look at a window of events before the first of them is walked.
  func prefetch(_ batch: EventBatch) { graph.prefetch(batch) }

  /// The tick at or before a moment.
  @inline(__always)
  package func tick(of time: Int64) -> Int64 { time / tickLength }

  /// Time never goes beyond it: a thousand years after the latest event that there can be.
  var lastTick: Int64 {
    tick(of: EventTime.latest.milliseconds + TimeSpan.days(365_000).milliseconds)
  }

  /// An event of the sequence. Time must already have moved to its tick.
  @inline(__always)
  func process(_ event: UnsafeMutablePointer<Event>, from input: InputBuffer) {
    let time = event.pointee.time.milliseconds
    let engine = state.update(0)
    let watermark = engine.pointee.tick &* tickLength &- outOfOrderness
    engine.pointee.records &+= 1
    if time < watermark { engine.pointee.late &+= 1 }
    if time > engine.pointee.newestTime { engine.pointee.newestTime = time }
    if time < engine.pointee.oldestTime || engine.pointee.oldestTime == Int64.min {
      engine.pointee.oldestTime = time
    }
    // A heartbeat has moved time; nobody else wants to see it.
    guard event.pointee.type != .heartbeat else { return }
    directory.intern(event)
    let slot = input.head
    let target = graph.target.state
    target.pointee.source = RecordSource(
      prefix: UnsafeBufferPointer(input.sourcePrefix), number: slot.pointee.offset)
    target.pointee.record = slot.pointee.value
    target.pointee.time = event.pointee.time
    graph.walk(
      event, source: input.source,
      Entry(
        clock: EventTime(milliseconds: engine.pointee.tick &* tickLength),
        watermark: EventTime(milliseconds: watermark), isClock: false,
        batch: Unmanaged.passUnretained(input.batch)))
  }

  /// A refused record of the sequence: it goes whole to `dead_letters`.
  func reject(from input: InputBuffer) {
    let refusal = input.refusal
    let engine = state.update(0)
    engine.pointee.records &+= 1
    engine.pointee.rejected &+= 1
    let target = graph.target
    target.counts[Int(deadLetterSink)] &+= 1
    guard target.state.pointee.enabled else { return }
    rejections[Int(refusal.rejection.reason.rawValue)] &+= 1
    let slot = input.head
    // A record without a time that can be believed takes the sequence's.
    let time = refusal.time ?? EventTime(milliseconds: max(engine.pointee.newestTime, 0))
    if deadLetterForm == .original {
      return target.state.pointee.outputs.append(
        sink: deadLetterSink, refused: slot.pointee.value, at: slot.pointee.offset,
        of: input.description, refusal, time)
    }
    target.state.pointee.outputs.append(sink: deadLetterSink, time: time) { json in
      json.unframed(refusal.account.bytes)
      DeadLetter(
        account: refusal.account, time: time,
        source: RecordSource(
          prefix: UnsafeBufferPointer(input.sourcePrefix), number: slot.pointee.offset),
        rejection: refusal.rejection, payload: slot.pointee.value, isTruncated: refusal.isTruncated
      ).write(to: &json, payloadBytesMax: PartitionCore.deadLetterPayloadBytesMax)
      return refusal.account.bytes.count
    }
  }

  /// Time moves on to `tick`: timers fire at every clock entry on the way, none skipped.
  func advance(toTick tick: Int64) {
    let engine = state.update(0)
    if engine.pointee.tick < 0 { wheel.start(atTick: tick - 1) }
    precondition(tick > engine.pointee.tick, "time never moves backwards")
    while let stop = wheel.advance(to: tick) {
      wheel.take(atTick: stop, into: &dueTimers)
      if mutant == .timerOrder { dueTimers.reverse() }
      if mutant == .skippedTick, stop < tick { continue }
      engine.pointee.tick = stop
      fire(atTick: stop)
    }
    engine.pointee.tick = tick
  }

  private func fire(atTick tick: Int64) {
    let time = tick &* tickLength
    let target = graph.target.state
    target.pointee.source = RecordSource(prefix: UnsafeBufferPointer(clockPrefix), number: time)
    target.pointee.time = EventTime(milliseconds: time)
    dueTimers.withUnsafeBufferPointer { due in
      graph.walk(due, clockEntry(atTick: tick))
    }
  }

  func clockEntry(atTick tick: Int64) -> Entry {
    let time = tick &* tickLength
    return Entry(
      clock: EventTime(milliseconds: time),
      watermark: EventTime(milliseconds: time &- outOfOrderness), isClock: true, batch: nil)
  }

  /// The end of a replay: what is held back is published.
  package func finish() {
    guard tick >= 0 else { return }
    let target = graph.target.state
    let time = tick &* tickLength
    target.pointee.source = RecordSource(prefix: UnsafeBufferPointer(clockPrefix), number: time)
    target.pointee.time = EventTime(milliseconds: time)
    graph.finish(clockEntry(atTick: tick))
  }

  /// Gives timers to the operators that own them now; those of nobody are dropped.
  func reassignTimers(_ newOwner: (Int32) -> Int32?) { wheel.reassign(newOwner) }

  /// Records of the sequence so far, refused ones included.
  package var recordsTaken: Int64 { state[0].records }

  package var counters: [(name: String, value: Int64)] { store.counters }

  package var digest: StateDigest { graph.digest() }

  /// Outputs go to this transaction's buffer from now on.
  package func write(to outputs: OutputBuffer) { graph.target.state.pointee.outputs = outputs }

  /// While the past is processed again its outputs are not made a second time.
  package var outputsEnabled: Bool {
    get { graph.target.state.pointee.enabled }
    set { graph.target.state.pointee.enabled = newValue }
  }
}
