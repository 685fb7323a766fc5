/// Learning from a history before a log's first record is taken.
///
/// The history's records are merged by event time, as in a replay, and nothing is published. Time
/// does not move on at its end: the log's next record stands where the history's would.
struct WarmStart {
  private let history: History
  private let core: PartitionCore
  private let sequencer: Sequencer

  /// - Parameter core: Without any state yet.
  init(_ history: History, core: PartitionCore, options: RunnerOptions) throws(LogError) {
    self.history = history
    self.core = core
    var options = options
    options.mode = .replay
    sequencer = Sequencer(core: core, log: history.log, options: options)
    try sequencer.start(at: try history.log.firstOffsets())
  }

  /// Part of the history that is done.
  var donePart: Double { Double(core.state[0].records) / Double(max(history.count, 1)) }

  /// Takes some records. True when the history is done: state then stands before the first record
  /// of the log.
  func step(now: Int64) throws(LogError) -> Bool {
    // Nobody follows it.
    sequencer.journal.begin(tick: core.tick, nextOffsets: sequencer.nextOffsets)
    guard try sequencer.step(limit: PartitionRunner.stepRecords, now: now) == .end else {
      return false
    }
    for (input, offset) in zip(Int32(0)..., history.nextOffsets) {
      core.inputStates.update(input).pointee.nextOffset = offset
    }
    return true
  }
}
