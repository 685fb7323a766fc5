import Events
import Learning
import Streaming

/// Publishes the champion's weights, so that a bidder scores as the learner does: what changed since
/// the last publication, and everything again from time to time.
///
/// A publication is of one account and one version: its chunks stand together in the stream, and
/// every record names the one before it. Now and then a sweep begins: this and the next publications
/// have, beside what changed, a part of all weights each, until all were there. Whoever has read
/// from a sweep's beginning to its end without a gap has every weight, and keeps it by reading on.
///
/// 16 bytes for 32 features, 56 an account; nothing while it is off. O(1) a feature that is learned,
/// O(weights published) a publication.
struct ModelPublisher {
  static let settings: [SettingDescription] = [
    SettingDescription(
      "publish", .boolean, default: "false",
      meaning: """
        Gives `models`. The champion must be `ftrl` or `invariant`, whose rates follow from a sum \
        of weights.
        """),
    SettingDescription(
      "every", .duration(.seconds(1)...(.days(1))), default: "1m",
      meaning: "An account's changed weights are published no more often than this."),
    SettingDescription(
      "whole", .duration(.minutes(1)...(.days(30))), default: "1h",
      meaning: """
        How often all weights of an account are published again; at least twice `every`. A topic \
        that keeps its records for three times as long always holds a whole model.
        """),
    SettingDescription(
      "chunk", .integer(4_096...900_000), default: "262144",
      meaning: "The most bytes of a record of `models`."),
    SettingDescription(
      "exact", .boolean, default: "false",
      meaning: """
        Predictions have their numbers' bits too, as `bits`, for comparing them with those of a \
        bidder.
        """),
  ]

  /// One account.
  private struct Account: BitwiseCopyable {
    /// Its blocks of rows, in order of their making; -1 before the first.
    var firstBlock: Int32 = -1
    var lastBlock: Int32 = -1
    /// Those with changed rows, in order of their first change.
    var firstChanged: Int32 = -1
    var lastChanged: Int32 = -1
    /// The next one of the sweep; -1 at its end.
    var sweep: Int32 = -1
    var rows: Int32 = 0
    var isSweeping = false
    /// Something was learned since the last publication.
    var isChanged = false
    /// Readers of what was published before must forget it.
    var isNew = true
    /// A timer is set for the next publication.
    var isWaiting = false
    /// It stands in `due`; never between two entries.
    var isDue = false
    /// Of the last record.
    var sequence: Int64 = 0
    /// Of the last publication, and of the last sweep's beginning; `never` before.
    var publishedAt = never
    var sweptAt = never
  }

  /// Rows that stand together.
  private struct Block: BitwiseCopyable {
    /// A bit for each row that has changed.
    var changed: UInt32 = 0
    /// Rows with features.
    var used: Int32 = 0
    /// The next one of the account that has changed.
    var nextChanged: Int32 = -1
    /// The next one of the account.
    var next: Int32 = -1
  }

  private static let never = Int64.min

  /// Of the timers: below 0, so that they are told from others.
  private enum TimerKind: Int64 {
    /// The next publication.
    case publication
    /// The next sweep.
    case sweep
  }

  let isOn: Bool
  let isExact: Bool
  private let every: Int64
  private let whole: Int64
  private let weightsPerChunk: Int
  private let timers: Timers
  private let output: Stream<ModelRecord>
  private let directory: Directory
  private let rows: FeatureRows
  private let model: AnyRateModel
  private let value: ValueModel
  private let accounts: Table<Account>
  private let blocks: Table<Block>
  private let shared: UnsafeMutablePointer<ModelRecord.Shared>
  /// Accounts to publish before the clock entry at hand ends.
  private let due: UnsafeMutablePointer<[Int32]>

  init(
    _ setup: OperatorSetup, champion: (name: String, settings: Settings), model: AnyRateModel,
    value: ValueModel, rows: FeatureRows
  ) throws(SettingProblem) {
    let settings = setup.settings.structure("models")
    isOn = settings.boolean("publish")
    isExact = settings.boolean("exact")
    every = settings.duration("every").milliseconds
    whole = settings.duration("whole").milliseconds
    guard !isOn || model.hasWeights else {
      throw SettingProblem(
        setting: "models.publish",
        message: "`models` publishes `ftrl` and `invariant`; the champion `\(champion.name)` is "
          + "`\(champion.settings.text("algorithm"))`")
    }
    guard whole >= 2 * every else {
      throw SettingProblem(
        setting: "models.whole",
        message: "`whole` is \(settings["whole"].text); expected at least twice `every`")
    }
    let hashing = ModelRecord.Hashing(setup.settings)
    let prior = setup.settings.structure("prior")
    let base = Heads(Rate.logit(prior.number("ctr")), Rate.logit(prior.number("cvr")))
    let room = Int(settings.integer("chunk")) - ModelRecord.bytesBeside(hashing, champion.name)
    // Base64 makes four bytes of three.
    weightsPerChunk = room / 4 * 3 / ModelRecord.weightByteCount
    guard !isOn || weightsPerChunk >= 16 else {
      throw SettingProblem(
        setting: "models.chunk",
        message: "`chunk` has no room for weights beside the names of the features")
    }
    timers = setup.timers
    output = setup.output(ModelRecord.self)
    directory = setup.directory
    self.rows = rows
    self.model = model
    self.value = value
    accounts = setup.store.table("publication.accounts", of: Account.self)
    blocks = setup.store.table("publication.blocks", of: Block.self)
    shared = .allocate(capacity: 1)
    shared.initialize(
      to: ModelRecord.Shared(name: champion.name, hashing: hashing, base: (base.x, base.y)))
    due = .allocate(capacity: 1)
    due.initialize(to: [])
  }

  func deallocate() {
    shared.pointee.weights.deallocate()
    shared.deinitialize(count: 1)
    shared.deallocate()
    due.deinitialize(count: 1)
    due.deallocate()
  }

  // MARK: What is learned

  func meet(_ account: Int32) {
    guard isOn else { return }
    accounts.fill(to: Int(account) + 1, with: Account())
  }

  /// A feature has come to an account that was met.
  func add(_ row: Int32, of account: Int32) {
    guard isOn else { return }
    let block = row / FeatureRows.blockRows
    let owner = accounts.update(account)
    owner.pointee.rows += 1
    defer { blocks.update(block).pointee.used += 1 }
    guard Int(block) >= blocks.count else { return }
    blocks.fill(to: Int(block) + 1, with: Block())
    if owner.pointee.lastBlock >= 0 {
      blocks.update(owner.pointee.lastBlock).pointee.next = block
    } else {
      owner.pointee.firstBlock = block
    }
    owner.pointee.lastBlock = block
  }

  /// An account's weights for an example have changed.
  ///
  /// - Parameter isDue: It happened while timers are seen to: what need not wait is published with
  ///   `publishDue`.
  @inline(__always)
  func change(_ example: ExampleFeatures, of account: Int32, at clock: EventTime, isDue: Bool) {
    guard isOn else { return }
    let owner = accounts.update(account)
    for i in 0..<example.count { change(example.rows[i], owner) }
    owner.pointee.isChanged = true
    if !owner.pointee.isWaiting { wait(account, owner, at: clock.milliseconds, isDue: isDue) }
  }

  @inline(__always)
  private func change(_ row: Int32, _ owner: UnsafeMutablePointer<Account>) {
    let number = row / FeatureRows.blockRows
    let block = blocks.update(number)
    if block.pointee.changed == 0 {
      block.pointee.nextChanged = -1
      if owner.pointee.lastChanged >= 0 {
        blocks.update(owner.pointee.lastChanged).pointee.nextChanged = number
      } else {
        owner.pointee.firstChanged = number
      }
      owner.pointee.lastChanged = number
    }
    block.pointee.changed |= 1 &<< UInt32(truncatingIfNeeded: row % FeatureRows.blockRows)
  }

  @inline(never)
  private func wait(
    _ account: Int32, _ owner: UnsafeMutablePointer<Account>, at clock: Int64, isDue: Bool
  ) {
    owner.pointee.isWaiting = true
    let published = owner.pointee.publishedAt
    let next = published == ModelPublisher.never ? clock : published &+ every
    if isDue, next <= clock {
      publishSoon(account)
    } else {
      set(.publication, account, at: next)
    }
  }

  // MARK: Time

  private func set(_ kind: TimerKind, _ account: Int32, at time: Int64) {
    timers.add(at: EventTime(milliseconds: time), key: -1 - (Int64(account) << 1 | kind.rawValue))
  }

  /// Whether a timer was set here.
  static func owns(_ timer: Timer) -> Bool { timer.key < 0 }

  /// Such a timer came due: its account is published with `publishDue`.
  func take(_ timer: Timer, at clock: EventTime) {
    let key = -1 - timer.key
    let account = Int32(truncatingIfNeeded: key >> 1)
    let (row, now) = (accounts[account], clock.milliseconds)
    switch TimerKind(rawValue: key & 1) {
    case .publication:
      // A sweep may have come before it, and have published everything.
      let isEarly = row.publishedAt != ModelPublisher.never && now < row.publishedAt &+ every
      if !isEarly, row.isChanged || row.isSweeping { publishSoon(account) }
    case .sweep:
      if row.isSweeping {
        set(.sweep, account, at: now &+ every)
      } else if isSweepDue(row, now) {
        publishSoon(account)
      }
    case nil: preconditionFailure("a timer of models is about a publication or a sweep")
    }
  }

  private func publishSoon(_ account: Int32) {
    guard !accounts[account].isDue else { return }
    accounts.update(account).pointee.isDue = true
    due.pointee.append(account)
  }

  private func isSweepDue(_ account: Account, _ clock: Int64) -> Bool {
    account.sweptAt == ModelPublisher.never || clock >= account.sweptAt &+ whole
  }

  /// Publishes what came due; behind everything that is learned in the same clock entry.
  ///
  /// - Parameter version: Of an account's models.
  func publishDue(at clock: EventTime, version: (Int32) -> Int64) {
    guard isOn, !due.pointee.isEmpty else { return }
    shared.pointee.weights.removeAll()
    for account in due.pointee {
      publish(account, version(account), at: clock.milliseconds, toEnd: false)
    }
    due.pointee.removeAll(keepingCapacity: true)
  }

  /// Publishes whatever is held back.
  func finish(at clock: EventTime, version: (Int32) -> Int64) {
    guard isOn else { return }
    shared.pointee.weights.removeAll()
    for account in 0..<Int32(accounts.count)
    where accounts[account].isChanged || accounts[account].isSweeping {
      publish(account, version(account), at: clock.milliseconds, toEnd: true)
    }
  }

  /// Weights have changed as a whole, or another model is the champion: readers begin anew, with the
  /// next publication. For accounts that were met.
  func beginAnew(_ account: Int32, at clock: EventTime) {
    guard isOn else { return }
    let owner = accounts.update(account)
    owner.pointee.isNew = true
    owner.pointee.isSweeping = false
    owner.pointee.sweptAt = ModelPublisher.never
    owner.pointee.isChanged = true
    if !owner.pointee.isWaiting {
      wait(account, owner, at: clock.milliseconds, isDue: false)
    }
  }

  /// State was made anew: what readers hold is of another one.
  func rebuilt(at clock: EventTime) {
    guard isOn else { return }
    for account in 0..<Int32(accounts.count) where accounts[account].sequence > 0 {
      beginAnew(account, at: clock)
    }
  }

  // MARK: Publication

  private func publish(_ account: Int32, _ version: Int64, at clock: Int64, toEnd: Bool) {
    let owner = accounts.update(account)
    var record = ModelRecord(account: account, shared: UnsafePointer(shared))
    if !owner.pointee.isSweeping, isSweepDue(owner.pointee, clock) {
      owner.pointee.isSweeping = true
      owner.pointee.sweep = owner.pointee.firstBlock
      owner.pointee.sweptAt = clock
      record.beginsSweep = true
      set(.sweep, account, at: clock &+ whole)
    }
    let start = shared.pointee.weights.count
    if owner.pointee.isSweeping {
      sweep(owner, blocks: toEnd ? Int32.max : blocksPerPublication(owner.pointee))
      record.endsSweep = owner.pointee.sweep < 0
      owner.pointee.isSweeping = owner.pointee.sweep >= 0
    }
    takeChanges(owner)
    record.value = value.published(of: account)
    record.version = version
    // Numbers rise also where state is made anew and does not know which ones were given.
    if owner.pointee.isNew { owner.pointee.sequence = max(owner.pointee.sequence, clock &* 1_000) }
    append(record, owner, start: start)
    owner.pointee.isNew = false
    owner.pointee.isChanged = false
    owner.pointee.isDue = false
    owner.pointee.publishedAt = clock
    owner.pointee.isWaiting = owner.pointee.isSweeping
    if owner.pointee.isSweeping { set(.publication, account, at: clock &+ every) }
  }

  /// So many that a sweep ends well before the next one begins.
  private func blocksPerPublication(_ account: Account) -> Int32 {
    let inTime = 2 * Int64(account.rows) * every / whole
    return Int32(max(inTime, Int64(weightsPerChunk)) / Int64(FeatureRows.blockRows)) + 1
  }

  private func sweep(_ owner: UnsafeMutablePointer<Account>, blocks count: Int32) {
    var left = count
    while owner.pointee.sweep >= 0, left > 0 {
      let number = owner.pointee.sweep
      add(number, .max)
      let block = blocks.update(number)
      // It stays in the list of those that have changed, with nothing to publish.
      block.pointee.changed = 0
      owner.pointee.sweep = block.pointee.next
      left -= 1
    }
  }

  private func takeChanges(_ owner: UnsafeMutablePointer<Account>) {
    var number = owner.pointee.firstChanged
    while number >= 0 {
      let block = blocks.update(number)
      add(number, block.pointee.changed)
      block.pointee.changed = 0
      number = block.pointee.nextChanged
    }
    owner.pointee.firstChanged = -1
    owner.pointee.lastChanged = -1
  }

  /// The weights of a block's rows, those with a bit that are in use.
  private func add(_ block: Int32, _ bits: UInt32) {
    let used = blocks[block].used
    var bits = used == FeatureRows.blockRows ? bits : bits & (1 &<< UInt32(used) &- 1)
    while bits != 0 {
      let row = block * FeatureRows.blockRows + Int32(bits.trailingZeroBitCount)
      bits &= bits &- 1
      let weights = model.weights(of: row)
      shared.pointee.weights.append(rows.hash(row), weights.x, weights.y, value.weight(of: row))
    }
  }

  private func append(_ record: ModelRecord, _ owner: UnsafeMutablePointer<Account>, start: Int) {
    let end = shared.pointee.weights.count
    var record = record
    record.chunks = Int32(max(1, (end - start + weightsPerChunk - 1) / weightsPerChunk))
    for chunk in 1...record.chunks {
      record.chunk = chunk
      record.weights = start + Int(chunk - 1) * weightsPerChunk
      record.weightCount = min(weightsPerChunk, end - record.weights)
      record.after = owner.pointee.isNew && chunk == 1 ? 0 : owner.pointee.sequence
      owner.pointee.sequence &+= 1
      record.sequence = owner.pointee.sequence
      output.append(record)
    }
  }

  // MARK: Digest

  func digest(into digest: inout StateDigest) {
    guard isOn else { return }
    for account in 0..<Int32(accounts.count) where accounts[account].rows > 0 {
      let row = accounts[account]
      let owner = directory.accounts.hash(account)
      digest.add(
        owner: owner, row.sequence, row.publishedAt, row.sweptAt, Int64(row.rows),
        (row.isChanged ? 1 : 0) | (row.isSweeping ? 2 : 0) | (row.isNew ? 4 : 0)
          | (row.isWaiting ? 8 : 0))
      var number = row.firstChanged
      while number >= 0 {
        var bits = blocks[number].changed
        while bits != 0 {
          let changed = number * FeatureRows.blockRows + Int32(bits.trailingZeroBitCount)
          bits &= bits &- 1
          digest.add(owner: owner, Int64(rows.hash(changed)), 1)
        }
        number = blocks[number].nextChanged
      }
    }
  }
}

extension AnyRateModel {
  /// Its rates follow from a sum of one weight a feature and head.
  var hasWeights: Bool {
    switch self {
    case .ftrl, .invariant: true
    default: false
    }
  }

  /// A feature's weights, of a model that has them.
  func weights(of row: Int32) -> Heads {
    switch self {
    case .ftrl(let model): model.learner.weights(model.coordinate(row))
    case .invariant(let model): model.coordinate(row).weights
    default: preconditionFailure("only models whose rates follow from weights are published")
    }
  }
}
