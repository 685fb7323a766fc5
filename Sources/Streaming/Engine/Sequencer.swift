import Events

/// Merges a partition's inputs into one sequence and walks it.
///
/// Of the records that stand next it takes the one with the smallest (event time, rank of its
/// input, offset), and moves time with clock entries before it. An input that is not at its end is
/// waited for; one that is at its end only `mergeWait`, and in a replay not at all.
package final class Sequencer {
  package enum Progress: Equatable {
    /// Entries were taken.
    case advanced
    /// Nothing to take now.
    case waiting
    /// Every input is at its end.
    case end
  }

  let core: PartitionCore
  private let inputs: [InputBuffer]
  private let isLive: Bool
  private let mutant: Mutant?
  /// Events at or after this time are not taken any more.
  private let until: Int64
  /// Events after this time are not taken yet (a paced replay).
  private var paceLimit = Int64.max
  private var isPaced = false
  private let mergeWait: Int64
  package var journal = JournalWriter()
  /// Monotonic time at which the newest event was taken, for the idle clock; nil while that was
  /// before this process.
  private var newestTakenAt: Int64?
  /// Where the idle clock goes on, and since when, while no newer event has come.
  private var resumed: (time: Int64, at: Int64)?

  package init(core: PartitionCore, log: any InputLog, options: RunnerOptions) {
    self.core = core
    isLive = options.mode == .live
    mutant = options.mutant
    until = options.until?.milliseconds ?? Int64.max
    mergeWait = core.topology.topology.time.mergeWait.milliseconds
    let hotAccounts = options.mode == .live ? core.hotAccounts : nil
    inputs = log.inputs.indices.map {
      InputBuffer(
        index: $0, log: log, topology: core.topology.topology,
        prefetch: { core.prefetch($0) },
        taken: hotAccounts.map { hot in { hot.observe($0, now: $1) } })
    }
  }

  func inputReports(now: Int64) -> [PartitionReport.Input] {
    zip(inputs, 0..<Int32(core.inputStates.count)).map { input, row in
      let state = core.inputStates[row]
      return PartitionReport.Input(
        source: input.description.source, topic: input.description.topic,
        partition: input.description.partition, nextOffset: state.nextOffset,
        newestTime: state.newestTime == Int64.min
          ? nil : EventTime(milliseconds: state.newestTime),
        waitingMilliseconds: input.waitingSince.map { max(0, now - $0) } ?? 0)
    }
  }

  package var nextOffsets: [Int64] {
    (0..<Int32(core.inputStates.count)).map { core.inputStates[$0].nextOffset }
  }

  /// Positions the inputs: at the beginning, or where restored state stands.
  package func start(at offsets: [Int64]?) throws(LogError) {
    if let offsets {
      precondition(core.inputStates.count == 0, "a fresh partition has no input state")
      for offset in offsets { core.inputStates.append(InputState(nextOffset: offset)) }
    }
    for input in inputs {
      let state = core.inputStates[Int32(input.index)]
      try input.seek(to: state.nextOffset, newest: state.newestTime)
    }
  }

  package var tick: Int64 { core.tick }

  /// `Mutant.skippedOverlap`: takes up the log elsewhere than state stands.
  func jump(to offsets: [Int64]) throws(LogError) {
    for (i, offset) in offsets.enumerated() {
      core.inputStates.update(Int32(i)).pointee.nextOffset = offset
      try inputs[i].seek(to: offset, newest: core.inputStates[Int32(i)].newestTime)
    }
  }

  /// Records taken since the beginning.
  package var recordsTaken: Int64 { core.state[0].records }

  /// Lets a replay go on to the event time that `speed` has reached by now.
  package func pace(_ speed: Double, startedAt: Int64, now: Int64) {
    isPaced = true
    let first = core.state[0].oldestTime
    guard first != Int64.min else { return }
    // In this order a speed that is not a number stands still.
    let passed = max(0, min(Double(now - startedAt) * speed, 9e15))
    paceLimit = first &+ Int64(passed)
  }

  /// Whether the record that stands next may be taken: false ends or delays its input.
  @inline(__always)
  private func mayTake(_ time: Int64) -> Bool { time < until && time <= paceLimit }

  /// Takes up to `limit` records.
  package func step(limit: Int, now: Int64) throws(LogError) -> Progress {
    // A paced replay counts from its first event, whose time nobody knows before it is taken.
    let limit = isPaced && core.newestTime == Int64.min ? 1 : limit
    if inputs.count == 1 { return try stepSingle(limit: limit, now: now) }
    var taken = 0
    while taken < limit {
      switch try choose(now: now) {
      case .input(let index):
        take(inputs[index], now: now)
        taken += 1
      case .none(let atEnd):
        if taken > 0 { return .advanced }
        return atEnd ? .end : .waiting
      }
    }
    return .advanced
  }

  /// The common case without the merge: the input's order is the sequence.
  private func stepSingle(limit: Int, now: Int64) throws(LogError) -> Progress {
    let input = inputs[0]
    var taken = 0
    while taken < limit {
      let status = try input.fill(now: now)
      guard status == .records else {
        if taken > 0 { return .advanced }
        return status == .end ? .end : .waiting
      }
      for _ in 0..<min(input.waiting, limit - taken) {
        guard mayTake(input.head.pointee.time) else {
          if taken > 0 { return .advanced }
          return isPastEnd(input) ? .end : .waiting
        }
        take(input, now: now)
        taken += 1
      }
    }
    return .advanced
  }

  private enum Choice {
    case input(Int)
    case none(atEnd: Bool)
  }

  private func choose(now: Int64) throws(LogError) -> Choice {
    var best = -1
    var bestTime = Int64.max
    var isComplete = true
    var isAtEnd = true
    for input in inputs {
      switch try input.fill(now: now) {
      case .records:
        isAtEnd = false
        // A rejected record has no time of its own: it goes as soon as it stands next.
        let time = input.head.pointee.time
        if isLive, input.description.urgent || time == InputBuffer.rejectedTime {
          return .input(input.index)
        }
        if best < 0 || time < bestTime {
          best = input.index
          bestTime = time
        }
      case .waiting:
        isAtEnd = false
        if !(isLive && input.description.urgent) { isComplete = false }
      case .end:
        break
      }
    }
    guard best >= 0 else { return .none(atEnd: isAtEnd) }
    // Whoever is not there yet may have something older.
    guard isComplete else { return .none(atEnd: false) }
    guard mayTake(bestTime) else { return .none(atEnd: isPastEnd(inputs[best])) }
    if isLive, someInputEnded, now - inputs[best].arrivedAt < mergeWait {
      return .none(atEnd: false)
    }
    return .input(best)
  }

  /// The record that stands next lies at or after `until`.
  private func isPastEnd(_ input: InputBuffer) -> Bool {
    input.head.pointee.time >= until
  }

  private var someInputEnded: Bool {
    inputs.contains { !$0.hasHead && $0.isAtEnd && !$0.description.urgent }
  }

  /// Takes the record that stands next in `input`, after moving time to it.
  @inline(__always)
  private func take(_ input: InputBuffer, now: Int64) {
    let time = input.head.pointee.time
    if mutant == .batchBoundaryClock, input.standsAtChunkStart, core.tick >= 0 {
      moveClock(toTick: core.tick + 1)
    }
    if time != InputBuffer.rejectedTime {
      if time >= core.nextTickTime { moveClock(to: time, now: now) }
      if time > core.newestTime { newestTakenAt = now }
    }
    takeRecord(input)
  }

  @inline(never)
  private func moveClock(to time: Int64, now: Int64) {
    let tick = core.tick(of: time)
    if mutant == .countedClock, core.tick >= 0, core.recordsTaken % 4 != 0 { return }
    if mutant == .wallClock, core.tick >= 0 {
      journal.clock(tick: tick)
      core.advance(toTick: tick + now % 2)
    } else {
      moveClock(toTick: tick)
    }
  }

  @inline(__always)
  private func takeRecord(_ input: InputBuffer) {
    let slot = input.head
    // Where the log has a gap after the record makes no difference: what is noted must not depend
    // on where a fetch ended.
    let nextOffset = slot.pointee.offset &+ 1
    if mutant != .rejectedNotCounted || slot.pointee.outcome >= 0 {
      journal.took(input: input.index, nextOffset: nextOffset)
    }
    let state = core.inputStates.update(Int32(truncatingIfNeeded: input.index))
    state.pointee.nextOffset = nextOffset
    if let event = input.event {
      if slot.pointee.time > state.pointee.newestTime {
        state.pointee.newestTime = slot.pointee.time
      }
      core.process(event, from: input)
    } else {
      core.reject(from: input)
    }
    input.take()
  }

  private func moveClock(toTick tick: Int64) {
    journal.clock(tick: tick)
    core.advance(toTick: tick)
  }

  /// With every input at its end, time goes on from the newest event by the monotonic time since
  /// it was taken; after a restart, from where time stood. Returns whether a clock entry was made.
  package func advanceIdleClock(now: Int64) -> Bool {
    let newest = core.state[0].newestTime
    guard newest != Int64.min else { return false }
    let (from, since): (Int64, Int64)
    if let newestTakenAt {
      (from, since) = (newest, newestTakenAt)
    } else {
      let start = resumed ?? (max(newest, core.clock.milliseconds), now)
      resumed = start
      (from, since) = start
    }
    let tick = core.tick(of: from &+ max(now - since, 0))
    guard tick > core.tick else { return false }
    if mutant == .unjournaledIdleClock {
      core.advance(toTick: tick)
    } else {
      moveClock(toTick: tick)
    }
    return true
  }

  /// When something can be taken, or time goes on, though no record comes, in monotonic ms.
  func wakesAt(now: Int64, idles: Bool) -> Int64 {
    // What waits for another input waits some milliseconds only.
    guard inputs.allSatisfy({ !$0.hasHead }) else { return now }
    let newest = core.state[0].newestTime
    guard idles, newest != Int64.min, inputs.allSatisfy(\.isAtEnd) else { return Int64.max }
    let start = newestTakenAt.map { (newest, $0) } ?? resumed ?? (newest, now)
    return start.1 &+ (core.nextTickTime &- start.0)
  }

  /// Time goes on to another partition's last time (the end of a replay).
  package func advance(toTick tick: Int64) {
    if core.tick >= 0, tick > core.tick { moveClock(toTick: tick) }
  }

  /// Takes the entries that a journal names. Returns whether the entry is done; false when the
  /// log has not got all of its records yet.
  package func follow(_ entry: JournalEntry, limit: Int, now: Int64) throws(LogError) -> Bool {
    switch entry {
    case .clock(let tick):
      guard tick > core.tick else {
        throw LogError(.badData, "the journal moves time backwards, to tick \(tick)")
      }
      guard tick <= core.lastTick else {
        throw LogError(.badData, "the journal moves time beyond all time, to tick \(tick)")
      }
      moveClock(toTick: tick)
      return true
    case .run(let index, let nextOffset):
      guard inputs.indices.contains(index) else {
        throw LogError(.badData, "the journal names input \(index), which does not exist")
      }
      return try followRun(inputs[index], to: nextOffset, limit: limit, now: now)
    case .epoch:
      return true
    }
  }

  private func followRun(_ input: InputBuffer, to nextOffset: Int64, limit: Int, now: Int64)
    throws(LogError) -> Bool
  {
    var taken = 0
    while core.inputStates[Int32(input.index)].nextOffset < nextOffset {
      guard taken < limit, try input.fill(now: now) == .records else { return false }
      guard core.tick >= 0 || input.event == nil else {
        throw LogError(
          .badData, "the journal takes an event of \(input.description.topic) before time begins")
      }
      takeRecord(input)
      taken += 1
    }
    guard core.inputStates[Int32(input.index)].nextOffset == nextOffset else {
      throw LogError(
        .badData,
        "the journal ends a run of \(input.description.topic) at offset \(nextOffset), but its "
          + "records go on at \(core.inputStates[Int32(input.index)].nextOffset): the log is not "
          + "the one that the journal was written for")
    }
    return true
  }

  /// An input is at its end with nothing left to take.
  package func isAtEnd(input: Int) -> Bool { !inputs[input].hasHead && inputs[input].isAtEnd }
}
