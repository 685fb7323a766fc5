import Events
import Synchronization

/// One partition at work: recovers, takes the sequence in steps, commits, takes snapshots.
///
/// Single-threaded: every call comes from the partition's worker. What takes long or may block
/// (commits, snapshot files) runs on the work queues, one job of each kind at a time, and is asked
/// for its outcome at the next step. So the whole life of a partition is a function of the calls
/// and of what the queues and the log answer, and can be simulated.
package final class PartitionRunner {
  /// Records per step: short enough that commits and other partitions are not kept waiting.
  package static let stepRecords = 4096
  /// Output bytes after which a commit is due.
  static let commitBytes = 4 << 20
  /// While a commit is under way, this much more is taken in before the partition waits for it.
  static let backlogFactor = 4
  /// Records per step while a snapshot is taken: each may be the first to change a page, which is
  /// then copied.
  static let snapshotStepRecords = 1024
  /// Pages copied per step while a snapshot is taken: 1 MiB, a fraction of a millisecond.
  static let snapshotPagesPerStep = 256

  package let options: RunnerOptions
  private let topology: CheckedTopology
  private let registry: [OperatorType]
  private let log: any PartitionLog
  private let snapshots: (any SnapshotStore)?
  private let commitQueue: any WorkQueue
  private let snapshotQueue: any WorkQueue
  private let fromSnapshot: Int64?
  private let rebuilds: Bool

  package private(set) var core: PartitionCore
  package private(set) var sequencer: Sequencer
  private var commits: CommitPipeline
  private var recovery: Recovery?
  private var warmStart: WarmStart?
  /// State is given up, and where it begins anew has to be committed, whether anything comes or not.
  private var hasGivenUp = false
  /// State was made of what is past, and has to be kept before anything is published of it.
  private var isKeepingState = false
  /// The epoch and the number of the snapshot that state was loaded from.
  private var loadedFrom: (epoch: Epoch, number: Int64)?
  private var snapshot: SnapshotWriting?
  private var lastSnapshotAt: Int64 = 0
  private var lastSnapshotNumber: Int64 = -1
  private var wantsSnapshot = false
  /// Found damaged at the start.
  private var unusableSnapshots: [Int64] = []
  private var recordsAtSeal: Int64 = 0
  private var tickAtSeal: Int64 = -1
  private(set) var epoch: Epoch
  private var epochIsNew = true
  private var startedAt: Int64 = 0
  package let meter = PartitionMeter()

  package init(
    topology: CheckedTopology, registry: [OperatorType], log: any PartitionLog,
    snapshots: (any SnapshotStore)?, fromSnapshot: Int64? = nil, commitQueue: any WorkQueue,
    snapshotQueue: any WorkQueue, options: RunnerOptions
  ) throws(TopologyError) {
    self.fromSnapshot = fromSnapshot
    self.topology = topology
    self.registry = registry
    self.log = log
    self.snapshots = snapshots
    self.commitQueue = commitQueue
    self.snapshotQueue = snapshotQueue
    self.options = options
    rebuilds = options.rebuilds()
    commits = CommitPipeline(log: log, queue: commitQueue, options: options)
    core = try PartitionCore(
      topology: topology, registry: registry, inputCount: log.inputs.count,
      outputs: commits.current.outputs, deadLetterForm: log.deadLetterForm,
      mutant: options.mutant)
    sequencer = Sequencer(core: core, log: log, options: options)
    epoch = Epoch(
      number: 1, topologyHash: topology.hash, snapshot: 0,
      tickMilliseconds: topology.topology.time.tick.milliseconds, topology: topology.canonicalText)
  }

  // MARK: Start

  /// Loads the newest usable snapshot and finds out what has to be processed again.
  package func start(now: Int64) throws(LogError) {
    startedAt = now
    lastSnapshotAt = now
    let committed = options.mode == .replay ? nil : try log.committed()
    switch options.mode {
    case .replay:
      try begin(now: now)
    case .audit: try beginAudit(committed)
    case .live:
      try recover(committed, now: now)
    }
    meter.phase = .running
  }

  /// A replay's start: at the log's beginning, or at a given snapshot (`--from-snapshot`).
  private func begin(now: Int64) throws(LogError) {
    if let fromSnapshot, let snapshots {
      let header = try load(fromSnapshot, from: snapshots)
      try sequencer.start(at: nil)
      adoptEpoch(header.epoch, loaded: header.number)
    } else {
      try sequencer.start(at: try log.firstOffsets())
    }
    beginJournal()
  }

  /// An audit's start: at the journal's beginning, or at a snapshot. Where that snapshot is of the
  /// epoch before this topology's, the overlap up to the epoch's entry had been published by the
  /// old one, and stays unpublished here too.
  private func beginAudit(_ committed: CommitPoint?) throws(LogError) {
    var loaded: Int64 = 0
    if let fromSnapshot, let snapshots {
      let header = try load(fromSnapshot, from: snapshots)
      loaded = header.number
      loadedFrom = (header.epoch, header.number)
      try sequencer.start(at: nil)
      core.outputsEnabled = header.epoch.topologyHash == topology.hash
    } else {
      try sequencer.start(at: try log.firstOffsets())
    }
    recovery = Recovery(
      journal: try readJournal(after: loaded, upTo: committed), committed: committed)
  }

  /// An audit follows one epoch; where another one begins it has to end.
  private func auditEpoch(_ epoch: Epoch) throws(LogError) {
    if epoch.topologyHash == topology.hash {
      core.outputsEnabled = true
    } else if core.outputsEnabled {
      throw LogError(
        .configuration,
        "the journal goes on with epoch \(epoch.number), which another topology began (hash "
          + "\(String(epoch.topologyHash, radix: 16)), this one is "
          + "\(String(topology.hash, radix: 16))). Replay with that topology from snapshot "
          + "\(epoch.snapshot), or without the journal.")
    }
  }

  private func recover(_ committed: CommitPoint?, now: Int64) throws(LogError) {
    var loaded: SnapshotHeader?
    // Before the first commit there is the one of a warm start at most.
    if !rebuilds { loaded = try loadNewest(upTo: committed?.number ?? 0) }
    commits.start(at: committed)
    if let history = options.history {
      if loaded == nil, committed == nil { return try warm(history) }
      options.notify(
        Notice(
          .info, partition: options.partition,
          "the history is not read again: there is state that goes on"))
    } else if loaded != nil, committed == nil {
      options.notify(
        Notice(
          .info, partition: options.partition,
          "begins with what a history taught (snapshot 0), of which nothing is committed yet"))
    }
    if let loaded {
      lastSnapshotNumber = loaded.number
      try sequencer.start(at: nil)
      adoptEpoch(loaded.epoch, loaded: loaded.number)
      loadedFrom = (loaded.epoch, loaded.number)
      // The commit that was to say so may never have come.
      if loaded.epoch.isRebuild, epoch == loaded.epoch {
        epochIsNew = loaded.number == epoch.snapshot
      }
      if committed == nil { epochIsNew = true }
    }
    var journal: [Recovery.Record] = []
    if loaded == nil {
      guard let found = try startWithoutSnapshot(committed) else { return beginJournal() }
      journal = found
    } else {
      journal = try readJournal(after: loaded?.number ?? 0, upTo: committed)
    }
    if options.mutant == .skippedOverlap, loaded != nil, let committed {
      try sequencer.jump(to: committed.nextOffsets)
      journal = []
    }
    guard let committed, !journal.isEmpty else {
      if let committed { try check(committed) }
      // Of nothing there is nothing to be made anew.
      if rebuilds { options.didRebuild() }
      return beginJournal()
    }
    core.outputsEnabled = options.mutant == .outputsOnTooEarly
    if log.repeatsLastCommit {
      // Its outputs are made again and sent under the same number.
      commits.start(at: CommitPoint(number: committed.number - 1, nextOffsets: []))
      recovery = Recovery(journal: journal, committed: committed, repeating: committed.number)
    } else {
      recovery = Recovery(journal: journal, committed: committed)
    }
    options.notify(
      Notice(
        .info, partition: options.partition,
        "\(rebuilds ? "rebuilding" : "recovering") from commit \(loaded?.number ?? 0) to "
          + "\(committed.number)"))
  }

  /// Without a snapshot state is rebuilt from the log's first record, if that and the journal from
  /// its beginning are still there. Returns the journal that is to be followed; nil where state is
  /// given up.
  private func startWithoutSnapshot(
    _ committed: CommitPoint?
  ) throws(LogError) -> [Recovery.Record]? {
    let first = try log.firstOffsets()
    let lost = zip(log.inputs, first).filter { $0.1 > ($0.0.isFile ? 1 : 0) }
    if let (input, offset) = lost.first {
      guard !rebuilds else { throw cannotRebuild(input, offset) }
      guard options.acceptLoss else {
        throw LogError(
          .missing,
          "\(input.topic) partition \(input.partition) begins at offset \(offset): the records "
            + "before were removed, and no snapshot that can be used covers them. Bring back one, or "
            + "start with empty state with --accept-loss.")
      }
      return try giveUp("before offset \(offset) of \(input.topic)", committed, first)
    }
    var journal: [Recovery.Record] = []
    if let committed {
      do throws(LogError) { journal = try readJournal(after: 0, upTo: committed) } catch {
        guard options.acceptLoss, !rebuilds, error.kind == .missing else { throw error }
        return try giveUp("before commit \(committed.number)", committed, first)
      }
    }
    try sequencer.start(at: first)
    return journal
  }

  private func giveUp(
    _ what: String, _ committed: CommitPoint?, _ first: [Int64]
  ) throws(LogError) -> [Recovery.Record]? {
    options.notify(
      Notice(
        .warning, partition: options.partition, "state \(what) is given up (--accept-loss)"))
    // What comes next may be gone, too.
    let next = committed?.nextOffsets ?? first
    try sequencer.start(at: zip(next, first).map { max($0, $1) })
    hasGivenUp = true
    return nil
  }

  private func cannotRebuild(_ input: LogInput, _ offset: Int64) -> LogError {
    LogError(
      .missing,
      "\(input.topic) partition \(input.partition) begins at offset \(offset): the records before "
        + "were removed, and without them state cannot be rebuilt. Bring them back, or start without "
        + "--rebuild; nothing was changed.")
  }

  private func loadNewest(upTo number: Int64) throws(LogError) -> SnapshotHeader? {
    guard let snapshots else { return nil }
    let first = try log.firstOffsets()
    for candidate in try snapshots.list() where candidate <= number {
      do throws(LogError) {
        try checkHeld(SnapshotInspection.header(of: candidate, in: snapshots), first)
        return try load(candidate, from: snapshots)
      } catch {
        guard error.kind == .badData || error.kind == .missing else { throw error }
        unusableSnapshots.append(candidate)
        options.notify(
          Notice(
            .error, partition: options.partition,
            "snapshot \(candidate) is not usable, trying the one before it: \(error.message)"))
      }
    }
    return nil
  }

  /// What follows a snapshot must still be there: of the sequence nothing may be left out.
  private func checkHeld(_ header: SnapshotHeader, _ first: [Int64]) throws(LogError) {
    for (input, offset) in zip(log.inputs, first) {
      let known = header.inputs.first {
        $0.topic == input.topic && $0.partition == input.partition
      }
      guard let known, known.nextOffset < offset else { continue }
      throw LogError(
        .missing,
        "it goes on at offset \(known.nextOffset) of \(input.topic) partition "
          + "\(input.partition), which begins at \(offset)")
    }
  }

  /// Fills a fresh core from a snapshot.
  private func load(_ number: Int64, from store: any SnapshotStore) throws(LogError)
    -> SnapshotHeader
  {
    let core: PartitionCore
    do throws(TopologyError) {
      core = try PartitionCore(
        topology: topology, registry: registry, inputCount: log.inputs.count,
        outputs: commits.current.outputs, deadLetterForm: log.deadLetterForm,
        mutant: options.mutant)
    } catch { throw LogError(.configuration, error.description) }
    let header = try core.restore(
      number, from: store, inputs: log.inputs, partition: options.partition,
      partitionCount: options.partitionCount)
    self.core = core
    sequencer = Sequencer(core: core, log: log, options: options)
    return header
  }

  /// The journal behind a commit, to the last commit at least: a gap would be time or records
  /// that nobody walks again.
  private func readJournal(after first: Int64, upTo committed: CommitPoint?) throws(LogError)
    -> [Recovery.Record]
  {
    var records: [Recovery.Record] = []
    try log.journal(after: first) { (number, bytes) in
      records.append(Recovery.Record(number: number, bytes: Array(bytes)))
    }
    let last = first + Int64(records.count)
    guard records.map(\.number) == Array((first + 1)..<(last + 1)), last >= committed?.number ?? 0
    else {
      throw LogError(
        .missing,
        "the journal lacks records between commit \(first) and commit "
          + "\(committed?.number ?? last): bring them back, or a snapshot that is newer, or start with "
          + "empty state with --accept-loss.")
    }
    return records
  }

  private func adoptEpoch(_ last: Epoch, loaded: Int64) {
    if last.topologyHash == topology.hash {
      epoch = last
      epochIsNew = false
    } else {
      epoch = Epoch(
        number: last.number &+ 1, topologyHash: topology.hash, snapshot: max(loaded, 0),
        tickMilliseconds: topology.topology.time.tick.milliseconds,
        topology: topology.canonicalText)
      epochIsNew = true
    }
  }

  private func beginJournal() {
    sequencer.journal.begin(tick: core.tick, nextOffsets: sequencer.nextOffsets)
    if epochIsNew {
      sequencer.journal.epoch(epoch)
      epochIsNew = false
    }
    recordsAtSeal = core.state[0].records
    tickAtSeal = core.tick
  }

  // MARK: Steps

  package var isRecovering: Bool { recovery != nil || warmStart != nil }

  /// Part of the past that is processed again; 1 when none is left.
  var recoveredPart: Double { recovery?.donePart ?? warmStart?.donePart ?? 1 }

  /// When there may be something to do that no record and no answer announces, in monotonic ms.
  /// For a live partition that has nothing to do now.
  package func wakesAt(now: Int64) -> Int64 {
    var at = Int64.max
    if !isRecovering {
      if snapshot != nil || wantsSnapshot { return now }
      if snapshots != nil, let every = options.snapshotEvery { at = lastSnapshotAt + every }
      if !commits.isBusy, hasUncommitted { at = min(at, commits.sealedAt + options.commitEvery) }
      at = min(at, sequencer.wakesAt(now: now, idles: options.idleClock))
    }
    return min(at, commits.triesAgainAt ?? Int64.max)
  }

  /// Does some work and says whether there is more.
  package func step(now: Int64) throws(LogError) -> Sequencer.Progress {
    try pollCommits(now: now)
    tendReport(now: now)
    if recovery != nil { return try recoverStep(now: now) }
    if let warmStart { return try step(warmStart, now: now) }
    try tendSnapshot(now: now)
    if isKeepingState { return try awaitKeptState() }
    guard !isBackedUp else { return .waiting }
    if let speed = options.speed { sequencer.pace(speed, startedAt: startedAt, now: now) }
    let isCopying = snapshot.map { !$0.isCopied } ?? false
    var progress = try sequencer.step(
      limit: isCopying ? PartitionRunner.snapshotStepRecords : PartitionRunner.stepRecords,
      now: now)
    if options.mode == .live, progress == .end {
      progress =
        options.idleClock && sequencer.advanceIdleClock(now: now) ? .advanced : .waiting
    }
    commitIfDue(now: now)
    return progress
  }

  private func recoverStep(now: Int64) throws(LogError) -> Sequencer.Progress {
    guard var work = recovery else { return .advanced }
    let isAudit = options.mode == .audit
    if isAudit, isBackedUp { return .waiting }
    defer { if recovery != nil { recovery = work } }
    let progress = try work.step(
      sequencer: sequencer, limit: PartitionRunner.stepRecords, now: now
    ) { (epoch) throws(LogError) in
      try epoch.checkTick(topology)
      if isAudit {
        try auditEpoch(epoch)
      } else {
        adoptEpoch(epoch, loaded: lastSnapshotNumber)
      }
      if epoch.isRebuild { try passRebuild(epoch) }
    }
    if options.mode == .audit {
      commitIfDue(now: now)
      return work.isDone ? .end : progress
    }
    guard work.isDone else { return progress }
    if let committed = work.committed { try check(committed) }
    recovery = nil
    core.outputsEnabled = options.mutant != .outputsOffTooLong
    if work.repeats != nil { sealRepeated(now: now) }
    if rebuilds { return try finishRebuild(now: now) }
    beginJournal()
    options.notify(Notice(.info, partition: options.partition, "recovered; outputs are on"))
    return .advanced
  }

  // MARK: Rebuilding

  /// State stands at the last commit, made anew. It begins an epoch of its own, and is kept before
  /// that epoch's first commit: whoever starts after a crash goes on from it, and before it is kept
  /// nothing has changed.
  private func finishRebuild(now: Int64) throws(LogError) -> Sequencer.Progress {
    core.rebuilt()
    let number = epochIsNew ? epoch.number : epoch.number &+ 1
    epoch = Epoch(
      number: number, topologyHash: topology.hash, snapshot: commits.lastSealed,
      tickMilliseconds: topology.topology.time.tick.milliseconds, topology: topology.canonicalText)
    epoch.isRebuild = true
    epochIsNew = true
    beginJournal()
    if snapshots != nil { try keepState(now: now) }
    return .advanced
  }

  private func keepState(now: Int64) throws(LogError) {
    isKeepingState = true
    lastSnapshotNumber = -1
    try beginSnapshot(now: now)
  }

  /// Nothing else is done meanwhile: `tendSnapshot` writes it.
  private func awaitKeptState() throws(LogError) -> Sequencer.Progress {
    if snapshot != nil { return .waiting }
    let what = epoch.isRebuild ? "rebuilt state" : "state of the history"
    guard lastSnapshotNumber == epoch.snapshot else {
      throw LogError(
        .unavailable,
        "the \(what) could not be written as snapshot \(epoch.snapshot); nothing was changed: "
          + "make room where snapshots go, and start again as before")
    }
    isKeepingState = false
    if epoch.isRebuild { options.didRebuild() }
    options.notify(
      Notice(
        .info, partition: options.partition,
        epoch.isRebuild
          ? "rebuilt up to commit \(epoch.snapshot); what stands is published again"
          : "learned from \(core.state[0].records) records of history; the log goes on "
            + "at \(sequencer.nextOffsets)"))
    return .advanced
  }

  // MARK: Warm start

  private func warm(_ history: History) throws(LogError) {
    guard snapshots != nil else {
      throw LogError(
        .configuration,
        "a history is learned from once and kept as a snapshot, and the topology has no `snapshots`"
      )
    }
    for ((input, first), next) in zip(zip(log.inputs, try log.firstOffsets()), history.nextOffsets)
    where first > next {
      throw LogError(
        .missing,
        "the history of \(input.topic) partition \(input.partition) ends before offset \(next), and "
          + "the topic begins at \(first): what lies between is lost. Bring a longer history")
    }
    warmStart = try WarmStart(history, core: core, options: options)
    core.outputsEnabled = false
    options.notify(
      Notice(.info, partition: options.partition, "learning from history, with outputs off"))
  }

  /// State is kept as snapshot 0 before the first commit: until then nothing has changed, and from
  /// then on the history is not needed any more.
  private func step(_ warmStart: WarmStart, now: Int64) throws(LogError) -> Sequencer.Progress {
    guard try warmStart.step(now: now) else { return .advanced }
    self.warmStart = nil
    try sequencer.start(at: nil)
    core.outputsEnabled = true
    core.rebuilt()
    beginJournal()
    try keepState(now: now)
    return .advanced
  }

  /// The journal comes to where an earlier run has rebuilt state.
  ///
  /// State that was made under the same topology from the log's beginning is what that run had
  /// then. State of another one is not, and only the rebuild's own snapshot would do.
  private func passRebuild(_ rebuild: Epoch) throws(LogError) {
    if let loadedFrom {
      if loadedFrom.number >= rebuild.snapshot { return }
      guard loadedFrom.epoch.topologyHash == rebuild.topologyHash else {
        throw LogError(
          .missing,
          "state was rebuilt at commit \(rebuild.snapshot), and the snapshots from there on are not "
            + "readable: what came before is another state. Bring one back, or start with --rebuild."
        )
      }
    }
    if rebuild.topologyHash == topology.hash { core.rebuilt() }
  }

  /// Offsets that the journal leads to and offsets that were committed must be the same.
  private func check(_ committed: CommitPoint) throws(LogError) {
    guard sequencer.nextOffsets == committed.nextOffsets else {
      throw LogError(
        .badData,
        "committed offsets \(committed.nextOffsets) and those that the journal leads to "
          + "\(sequencer.nextOffsets) disagree at commit \(committed.number): the log, the journal "
          + "or the snapshot is not the one that was written. Refusing to start.")
    }
  }

  // MARK: Commits

  private func pollCommits(now: Int64) throws(LogError) {
    let (last, sealedAt) = (commits.lastCommitted, commits.sealedAt)
    try commits.poll(now: now)
    if commits.lastCommitted != last { meter.commitLatency.add(milliseconds: now - sealedAt) }
  }

  private var recordsSinceSeal: Int64 { core.state[0].records - recordsAtSeal }

  private var hasUncommitted: Bool {
    recordsSinceSeal > 0 || core.tick != tickAtSeal || !commits.current.outputs.isEmpty
      || hasGivenUp
  }

  private var isBackedUp: Bool {
    guard commits.isBusy else { return false }
    return recordsSinceSeal >= Int64(options.commitEvents * PartitionRunner.backlogFactor)
      || commits.current.outputs.bytes.count
        >= PartitionRunner.commitBytes * PartitionRunner.backlogFactor
  }

  private func commitIfDue(now: Int64) {
    guard hasUncommitted, !commits.isBusy else { return }
    let isFull =
      recordsSinceSeal >= Int64(options.commitEvents)
      || commits.current.outputs.bytes.count >= PartitionRunner.commitBytes
    let isTime = options.mode == .live && now - commits.sealedAt >= options.commitEvery
    if isFull || isTime || wantsSnapshot { seal(now: now) }
  }

  /// Hands what was done since the last commit to the committer.
  private func seal(now: Int64) {
    hasGivenUp = false
    sequencer.journal.finish()
    commits.seal(journal: sequencer.journal.bytes, nextOffsets: sequencer.nextOffsets, now: now)
    core.write(to: commits.current.outputs)
    if options.mode == .live { core.outputsEnabled = true }
    beginJournal()
  }

  /// Hands over the outputs of the last commit of the run before, even where there are none: the
  /// numbers that follow go on from its.
  private func sealRepeated(now: Int64) {
    commits.seal(journal: [], nextOffsets: sequencer.nextOffsets, now: now)
    core.write(to: commits.current.outputs)
  }

  // MARK: Snapshots

  /// A snapshot is taken at the next commit.
  package func requestSnapshot() { if snapshots != nil { wantsSnapshot = true } }

  package var isTakingSnapshot: Bool { snapshot != nil }

  /// The epoch of the snapshot that state was loaded from.
  package var snapshotEpoch: Epoch? { loadedFrom?.epoch }

  /// Number of the newest finished snapshot; -1 before the first.
  package var newestSnapshot: Int64 { lastSnapshotNumber }

  private func tendSnapshot(now: Int64) throws(LogError) {
    if let snapshot {
      try advance(snapshot, now: now)
    } else if snapshots != nil {
      if let every = options.snapshotEvery, now - lastSnapshotAt >= every { wantsSnapshot = true }
      // It must show exactly what a commit says: begin when nothing stands between.
      if wantsSnapshot, !hasUncommitted, commits.lastSealed > max(lastSnapshotNumber, 0) {
        try beginSnapshot(now: now)
      } else if wantsSnapshot, !hasUncommitted {
        // It would show what the last one shows: the next is due in its time.
        wantsSnapshot = false
        lastSnapshotAt = now
      } else if wantsSnapshot, !commits.isBusy {
        seal(now: now)
        if commits.lastSealed > lastSnapshotNumber { try beginSnapshot(now: now) }
      }
    }
  }

  private func beginSnapshot(now: Int64) throws(LogError) {
    guard let snapshots else { return }
    wantsSnapshot = false
    lastSnapshotAt = now
    do throws(LogError) {
      let sink = try snapshots.create(commits.lastSealed)
      snapshot = SnapshotWriting(
        header: header(number: commits.lastSealed), store: core.store, sink: sink,
        queue: snapshotQueue, mutant: options.mutant)
    } catch {
      options.notify(
        Notice(
          .error, partition: options.partition, "no snapshot could be written: \(error.message)"))
    }
  }

  private func advance(_ snapshot: SnapshotWriting, now: Int64) throws(LogError) {
    if !snapshot.isCopied { snapshot.copySlice(pages: PartitionRunner.snapshotPagesPerStep) }
    switch snapshot.outcome.state.withLock({ $0 }) {
    case .writing:
      if snapshot.isCopied,
        commits.lastCommitted >= snapshot.number || options.mutant == .snapshotBeforeCommit
      {
        snapshot.finish()
      }
    case .finished:
      lastSnapshotNumber = snapshot.number
      // One of this number that was damaged is replaced.
      unusableSnapshots.removeAll { $0 == snapshot.number }
      meter.snapshot = (snapshot.number, now, now - lastSnapshotAt, snapshot.stateBytes)
      self.snapshot = nil
      prune(upTo: snapshot.number)
    case .failed(let error):
      meter.snapshotsFailed += 1
      snapshot.abandon()
      self.snapshot = nil
      options.notify(
        Notice(
          .error, partition: options.partition,
          "snapshot \(snapshot.number) failed, the one before it stays: \(error.message)"))
    }
  }

  /// Removes snapshots beyond the newest few that can be read. Those above `number` are another
  /// process's, which has taken over.
  private func prune(upTo number: Int64) {
    guard let snapshots else { return }
    let (kept, partition, notify) = (options.snapshotsKept, options.partition, options.notify)
    let unusable = unusableSnapshots
    let log = log
    snapshotQueue.submit {
      do throws(LogError) {
        let mine = try snapshots.list().filter { $0 <= number }
        let usable = mine.filter { !unusable.contains($0) }.prefix(kept)
        for old in mine where !usable.contains(old) { try snapshots.remove(old) }
        // With fewer than are to be kept, the log's beginning may still be what is fallen back to.
        if usable.count == kept, let oldest = usable.last { try log.forgetJournal(through: oldest) }
      } catch {
        notify(
          Notice(
            .warning, partition: partition,
            "what no snapshot needs any more stays: \(error.message)"))
      }
    }
  }

  package func header(number: Int64) -> SnapshotHeader {
    SnapshotHeader(
      topology: topology.topology.name, partition: options.partition,
      partitionCount: options.partitionCount, number: number, epoch: epoch, tick: core.tick,
      inputs: zip(log.inputs, sequencer.nextOffsets).map {
        .init(topic: $0.topic, partition: $0.partition, nextOffset: $1)
      },
      operators: topology.operators.map {
        .init(name: $0.name, kind: $0.description.name, version: $0.description.version)
      },
      regions: core.store.entries.map {
        .init(
          section: $0.section, name: $0.name, version: $0.version,
          stride: $0.region.pointee.stride, rows: $0.region.pointee.count)
      })
  }

  // MARK: End

  /// Walks on to a replay's last time and publishes what is held back.
  package func finish(atTick tick: Int64) {
    walkToEnd(atTick: tick)
    publishHeldBack()
  }

  /// Walks on to a replay's last time. A snapshot of the end is taken here: what comes then is
  /// said because it is the end, and whoever goes on from here has not come to it.
  package func walkToEnd(atTick tick: Int64) {
    sequencer.advance(toTick: tick)
    finishedDigest = core.digest
  }

  package func publishHeldBack() { core.finish() }

  /// The state's digest, as it was before the end of a replay published what was held back.
  package var digest: StateDigest { finishedDigest ?? core.digest }
  private var finishedDigest: StateDigest?

  /// Commits what is left, and when `snapshot` is asked for takes a last one; without that, one
  /// that is under way is not waited for. Call until true.
  package func drain(now: Int64, snapshot wantsLast: Bool) throws(LogError) -> Bool {
    meter.phase = .draining
    try pollCommits(now: now)
    tendReport(now: now)
    // In recovery nothing new was made; what is committed stands.
    if isRecovering, options.mode == .live { return !commits.isBusy }
    if hasUncommitted {
      if !commits.isBusy { seal(now: now) }
      return false
    }
    if commits.isBusy { return false }
    guard wantsLast else { return true }
    if let snapshot {
      try advance(snapshot, now: now)
      return false
    }
    if snapshots != nil, max(lastSnapshotNumber, 0) < commits.lastCommitted {
      guard !triedLastSnapshot else { return true }
      triedLastSnapshot = true
      try beginSnapshot(now: now)
      return snapshot == nil
    }
    return true
  }
  private var triedLastSnapshot = false

  /// Gives the partition up for now. State, and what is not committed of it, stays for `resume`.
  /// From here until `resume` nothing else may be called but `close`.
  package func park() {
    snapshot?.abandon()
    snapshot = nil
    commitQueue.submit { [log] in log.park() }
  }

  /// Goes on after `park`, once its work on the commit queue is over. False where somebody else
  /// has committed meanwhile: then this state is out of date, and of no more use. Nor is there any
  /// to go on from where the partition was given up before it was opened, or before what was
  /// made of what is past was kept.
  package func resume(now: Int64) throws(LogError) -> Bool {
    let committed = try log.committed()
    guard core.inputStates.count == log.inputs.count, !isKeepingState, warmStart == nil,
      commits.resume(at: committed, now: now)
    else { return false }
    lastSnapshotAt = now
    try sequencer.start(at: nil)
    meter.phase = .running
    return true
  }

  /// Gives a parked partition up for good.
  package func close() { commitQueue.submit { [log] in log.close() } }

  /// Gives the partition up as it is; what is not committed is done again by whoever takes over.
  package func abandon() {
    meter.phase = .done
    snapshot?.abandon()
    snapshot = nil
    guard commits.isBusy else { return log.close() }
    // A commit may be under way on its queue; nothing may call the log after it is closed.
    commitQueue.submit { [log] in log.close() }
  }

  package var lastCommitted: Int64 { commits.lastCommitted }
}
