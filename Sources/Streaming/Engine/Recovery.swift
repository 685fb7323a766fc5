/// Processing the past again, along the journal, up to the committed point.
struct Recovery {
  struct Record {
    var number: Int64
    var bytes: [UInt8]
  }

  let journal: [Record]
  let committed: CommitPoint?
  private var next = 0
  private var reader: JournalReader?
  private var entry: JournalEntry?

  /// The commit from which on outputs are made again (`PartitionLog.repeatsLastCommit`).
  let repeats: Int64?

  init(journal: [Record], committed: CommitPoint?, repeating repeats: Int64? = nil) {
    self.journal = journal
    self.committed = committed
    self.repeats = repeats
  }

  /// Part of the journal that is done; 1 where there is none.
  var donePart: Double { journal.isEmpty ? 1 : Double(next) / Double(journal.count) }

  var isDone: Bool { next == journal.count && reader == nil }

  /// Follows some entries. The caller learns of epochs on the way.
  mutating func step(
    sequencer: Sequencer, limit: Int, now: Int64, onEpoch: (Epoch) throws(LogError) -> Void
  ) throws(LogError) -> Sequencer.Progress {
    var entries = 0
    while entries < limit {
      if let entry {
        let before = sequencer.recordsTaken
        guard try sequencer.follow(entry, limit: limit, now: now) else {
          return try stalled(sequencer, took: sequencer.recordsTaken - before)
        }
        if case .epoch(let epoch) = entry { try onEpoch(epoch) }
        self.entry = nil
        entries += max(Int(sequencer.recordsTaken - before), 1)
      }
      guard try readEntry(sequencer) else { return .advanced }
    }
    return .advanced
  }

  /// A run that stops before its end: more steps, or records that the log no longer has.
  private func stalled(_ sequencer: Sequencer, took: Int64) throws(LogError) -> Sequencer.Progress {
    if took > 0 { return .advanced }
    guard case .run(let input, let nextOffset) = entry, sequencer.isAtEnd(input: input) else {
      return .waiting
    }
    throw LogError(
      .badData,
      "the journal goes on to offset \(nextOffset) of input \(input), but the log ends at "
        + "\(sequencer.nextOffsets[input]): records that were processed are missing")
  }

  /// Finds the next entry; false when the journal is done.
  private mutating func readEntry(_ sequencer: Sequencer) throws(LogError) -> Bool {
    do throws(JournalReader.Damage) {
      while true {
        if reader != nil {
          if let found = try reader?.next() {
            entry = found
            return true
          }
          reader = nil
          next += 1
        }
        guard next < journal.count else { return false }
        let opened = try open(journal[next])
        try check(opened, sequencer, isFirst: journal[next].number == 1)
        reader = opened
        if let repeats, journal[next].number >= repeats { sequencer.core.outputsEnabled = true }
        // Nothing of the past is written to a journal again.
        sequencer.journal.begin(tick: opened.startTick, nextOffsets: opened.offsets)
      }
    } catch {
      throw LogError(
        .badData, "journal record \(journal[next].number): \(error.description)")
    }
  }

  private func open(_ record: Record) throws(JournalReader.Damage) -> JournalReader {
    let result: Result<JournalReader, JournalReader.Damage> = record.bytes.withUnsafeBytes { raw in
      do throws(JournalReader.Damage) { return .success(try JournalReader(raw)) } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// Each transaction's journal begins where the one before it ended.
  private func check(
    _ reader: JournalReader, _ sequencer: Sequencer, isFirst: Bool
  ) throws(JournalReader.Damage) {
    guard reader.offsets == sequencer.nextOffsets, reader.startTick == sequencer.tick else {
      let history =
        isFirst && reader.startTick >= 0
        ? ": what came before was learned from a history, and is in snapshot 0 alone" : ""
      throw JournalReader.Damage(
        description: "it begins at offsets \(reader.offsets) and tick \(reader.startTick), state "
          + "stands at \(sequencer.nextOffsets) and \(sequencer.tick)\(history)")
    }
  }
}
