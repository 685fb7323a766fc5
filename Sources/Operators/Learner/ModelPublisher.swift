import Events
import Learning
import Streaming

/// Publishes the champion's weights, so that a bidder scores as the learner does: what changed since
/// the last publication, and everything again from time to time.
///
/// What is published is what the learner says: the weights of the champion of each account, where
/// conversions are learned at once those of the head that does it, and the maps that correct rates.
///
/// A publication is of one account and one version: its chunks stand together in the stream, and
/// every record names the one before it. Now and then a sweep begins: this and the next publications
/// have, beside what changed, a part of all weights each, until all were there. Whoever has read
/// from a sweep's beginning to its end without a gap has every weight, and keeps it by reading on.
/// Where another model became the champion, or the settings another form, a single publication has
/// everything: until its last chunk is there readers go on with what they have.
///
/// 16 bytes for 32 features, as many for a campaign with a line of its own, 88 an account; nothing
/// while it is off. O(1) a feature that is learned, O(weights published) a publication.
struct ModelPublisher {
  static let settings: [SettingDescription] = [
    SettingDescription(
      "publish", .boolean, default: "false",
      meaning: """
        Gives `models`: what bidders need to score as predictions do, whatever `delay`, \
        `calibration`, `drift` and `promotion` are. Rates must follow from one weight a feature: no \
        model that counts or may be promoted can be `fm`.
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
    /// Whose weights readers have; -1 before the first publication.
    var champion: Int32 = -1
    /// Readers get everything again: what they have is of other settings.
    var isOutdated = false
    /// A hash of the maps that were published last; 0 before.
    var maps: UInt64 = 0
    /// Campaigns with lines, in order of their first labels, and those that have changed.
    var firstLine: Int32 = -1
    var lastLine: Int32 = -1
    var firstChangedLine: Int32 = -1
    var lastChangedLine: Int32 = -1
  }

  /// A campaign's.
  private struct Line: BitwiseCopyable {
    /// The account's next one, and its next one that has changed.
    var next: Int32 = -1
    var nextChanged: Int32 = -1
    var isKnown = false
    /// It is in the list of those that have changed.
    var isListed = false
    var isChanged = false
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
  private let bytesPerChunk: Int
  private let timers: Timers
  private let output: Stream<ModelRecord>
  private let directory: Directory
  private let rows: FeatureRows
  private let models: UnsafeMutableBufferPointer<AnyRateModel>
  private let delayed: UnsafeMutableBufferPointer<DelayedConversions>
  private let value: ValueModel
  private let watch: ModelWatch
  /// Log-odds before any evidence.
  private let base: Heads
  /// The settings' hash under which records were published: one row.
  private let published: Table<Int64>
  private let settingsHash: Int64
  private let accounts: Table<Account>
  private let blocks: Table<Block>
  /// By campaign.
  private let lines: Table<Line>
  private let shared: UnsafeMutablePointer<ModelRecord.Shared>
  /// Accounts to publish before the clock entry at hand ends.
  private let due: UnsafeMutablePointer<[Int32]>

  init(
    _ setup: OperatorSetup, _ kinds: [(name: String, settings: Settings)],
    models: UnsafeMutableBufferPointer<AnyRateModel>,
    delayed: UnsafeMutableBufferPointer<DelayedConversions>, value: ValueModel, watch: ModelWatch,
    rows: FeatureRows
  ) throws(SettingProblem) {
    let settings = setup.settings.structure("models")
    isOn = settings.boolean("publish")
    isExact = settings.boolean("exact")
    every = settings.duration("every").milliseconds
    whole = settings.duration("whole").milliseconds
    if isOn { try ModelPublisher.check(setup.settings, kinds) }
    guard whole >= 2 * every else {
      throw SettingProblem(
        setting: "models.whole",
        message: "`whole` is \(settings["whole"].text); expected at least twice `every`")
    }
    let prior = setup.settings.structure("prior")
    base = Heads(Rate.logit(prior.number("ctr")), Rate.logit(prior.number("cvr")))
    let forms = ModelPublisher.forms(setup.settings, kinds, isDelayed: !delayed.isEmpty)
    let beside = forms.map { ModelRecord.bytesBeside($0) }.max() ?? 0
    let room = Int(settings.integer("chunk")) - beside
    // Base64 makes four bytes of three; maps are words.
    bytesPerChunk = room / 4 * 3 & ~7
    guard !isOn || bytesPerChunk >= 16 * ModelRecord.Form.weightByteCountMin else {
      throw SettingProblem(
        setting: "models.chunk",
        message: "`chunk` has no room for weights beside the names of the features")
    }
    timers = setup.timers
    output = setup.output(ModelRecord.self)
    directory = setup.directory
    self.rows = rows
    self.models = models
    self.delayed = delayed
    self.value = value
    self.watch = watch
    published = setup.store.table("publication.settings", of: Int64.self, capacity: 1)
    accounts = setup.store.table("publication.accounts", of: Account.self, version: 2)
    blocks = setup.store.table("publication.blocks", of: Block.self)
    lines = setup.store.table("publication.lines", of: Line.self)
    shared = .allocate(capacity: 1)
    shared.initialize(to: ModelRecord.Shared(forms: forms))
    settingsHash = Int64(bitPattern: forms.reduce(0) { Hash.combine($0, $1.hash) })
    published.append(settingsHash)
    due = .allocate(capacity: 1)
    due.initialize(to: [])
  }

  /// Whether all models that may count for an account can be published.
  private static func check(
    _ settings: Settings, _ kinds: [(name: String, settings: Settings)]
  ) throws(SettingProblem) {
    let isPromoting = settings.structure("promotion").boolean("enabled")
    for (i, kind) in kinds.enumerated() where i == 0 || isPromoting {
      guard ModelRecord.Link(kind.settings.text("algorithm")) == nil else { continue }
      throw SettingProblem(
        setting: "models.publish",
        message: "`models` publishes one weight a feature, and rates of `fm` need more: the "
          + (i == 0
            ? "champion `\(kind.name)` is `fm`"
            : "challenger `\(kind.name)` is `fm` and may be promoted"))
    }
  }

  private static func forms(
    _ settings: Settings, _ kinds: [(name: String, settings: Settings)], isDelayed: Bool
  ) -> [ModelRecord.Form] {
    kinds.map { kind in
      // What never counts has a form too, which is never looked at.
      let link = ModelRecord.Link(kind.settings.text("algorithm")) ?? .logistic
      return ModelRecord.Form(
        name: kind.name, hashing: ModelRecord.Hashing(settings), click: link,
        conversion: isDelayed ? .logistic : link, calibration: settings.text("calibration"))
    }
  }

  func deallocate() {
    shared.pointee.content.deallocate()
    shared.deinitialize(count: 1)
    shared.deallocate()
    due.deinitialize(count: 1)
    due.deallocate()
  }

  /// State was restored, of this topology or of one with other settings.
  ///
  /// - Parameter outdate: Gives an account's models another version: with other settings the same
  ///   weights make other predictions.
  func restored(outdate: (Int32) -> Void) {
    guard isOn else {
      // What was published is soon out of date.
      accounts.removeAll()
      blocks.removeAll()
      lines.removeAll()
      return
    }
    if accounts.count == 0 { beginWithState() }
    guard published[0] != settingsHash else { return }
    published.update(0).pointee = settingsHash
    for account in 0..<Int32(accounts.count) where accounts[account].sequence > 0 {
      accounts.update(account).pointee.isOutdated = true
      outdate(account)
    }
  }

  /// The state is of a topology that published nothing.
  private func beginWithState() {
    rows.visit { account, _, row in
      meet(account)
      add(row, of: account)
    }
    watch.calibration.forEachCampaign { campaign in
      changeLine(campaign, directory.campaigns.parent(campaign))
    }
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

  /// Labels of an impression were learned and judged: what follows from them has changed too.
  @inline(__always)
  func judged(_ example: ExampleFeatures, ad: Int32, of account: Int32, at clock: EventTime) {
    guard isOn else { return }
    change(example, of: account, at: clock, isDue: true)
    if !watch.rewritten.pointee.isEmpty { takeRewritten(account) }
    if watch.calibration.method == .platt { changeLine(directory.ads.parent(ad), account) }
  }

  @inline(never)
  private func takeRewritten(_ account: Int32) {
    let owner = accounts.update(account)
    for row in watch.rewritten.pointee { change(row, owner) }
    watch.rewritten.pointee.removeAll()
  }

  /// The line of a campaign has changed.
  private func changeLine(_ campaign: Int32, _ account: Int32) {
    lines.fill(to: Int(campaign) + 1, with: Line())
    let line = lines.update(campaign)
    line.pointee.isChanged = true
    guard !line.pointee.isListed else { return }
    line.pointee.isListed = true
    line.pointee.nextChanged = -1
    let owner = accounts.update(account)
    if owner.pointee.lastChangedLine >= 0 {
      lines.update(owner.pointee.lastChangedLine).pointee.nextChanged = campaign
    } else {
      owner.pointee.firstChangedLine = campaign
    }
    owner.pointee.lastChangedLine = campaign
    guard !line.pointee.isKnown else { return }
    line.pointee.isKnown = true
    if owner.pointee.lastLine >= 0 {
      lines.update(owner.pointee.lastLine).pointee.next = campaign
    } else {
      owner.pointee.firstLine = campaign
    }
    owner.pointee.lastLine = campaign
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
    shared.pointee.content.removeAll()
    for account in due.pointee {
      publish(account, version(account), at: clock.milliseconds, toEnd: false)
    }
    due.pointee.removeAll(keepingCapacity: true)
  }

  /// Publishes whatever is held back.
  func finish(at clock: EventTime, version: (Int32) -> Int64) {
    guard isOn else { return }
    shared.pointee.content.removeAll()
    for account in 0..<Int32(accounts.count)
    where accounts[account].isChanged || accounts[account].isSweeping {
      publish(account, version(account), at: clock.milliseconds, toEnd: true)
    }
  }

  /// State was made anew: what readers hold is of another one. They forget it with the next
  /// publication.
  func rebuilt(at clock: EventTime) {
    guard isOn else { return }
    for account in 0..<Int32(accounts.count) where accounts[account].sequence > 0 {
      beginAnew(account, at: clock)
    }
  }

  private func beginAnew(_ account: Int32, at clock: EventTime) {
    let owner = accounts.update(account)
    owner.pointee.isNew = true
    owner.pointee.isSweeping = false
    owner.pointee.sweptAt = ModelPublisher.never
    owner.pointee.isChanged = true
    if !owner.pointee.isWaiting {
      wait(account, owner, at: clock.milliseconds, isDue: false)
    }
  }

  // MARK: Publication

  private func publish(_ account: Int32, _ version: Int64, at clock: Int64, toEnd: Bool) {
    let owner = accounts.update(account)
    let model = watch.champion(of: account)
    let start = shared.pointee.content.count
    var record = ModelRecord(
      account: account, model: model, base: base(of: account, model),
      shared: UnsafePointer(shared))
    // Readers hold something that does not go with this.
    let isAnother =
      owner.pointee.isOutdated
      || owner.pointee.champion != model && owner.pointee.champion >= 0
    owner.pointee.isOutdated = false
    owner.pointee.champion = Int32(truncatingIfNeeded: model)
    if isAnother { owner.pointee.isSweeping = false }
    if !owner.pointee.isSweeping, isAnother || isSweepDue(owner.pointee, clock) {
      beginSweep(account, owner, clock)
      record.beginsSweep = true
    }
    addMaps(account, owner, model, isWhole: record.beginsSweep)
    let middle = shared.pointee.content.count
    if owner.pointee.isSweeping {
      let isLast = toEnd || isAnother
      sweep(owner, model, blocks: isLast ? Int32.max : blocksPerPublication(owner.pointee))
      record.endsSweep = owner.pointee.sweep < 0
      owner.pointee.isSweeping = owner.pointee.sweep >= 0
    }
    takeChanges(owner, model)
    record.version = version
    record.maps = PublishedBytes.Part(start: start, end: middle)
    record.weights = PublishedBytes.Part(start: middle, end: shared.pointee.content.count)
    // Numbers rise also where state is made anew and does not know which ones were given.
    if owner.pointee.isNew { owner.pointee.sequence = max(owner.pointee.sequence, clock &* 1_000) }
    append(record, owner)
    owner.pointee.isNew = false
    owner.pointee.isChanged = false
    owner.pointee.isDue = false
    owner.pointee.publishedAt = clock
    owner.pointee.isWaiting = owner.pointee.isSweeping
    if owner.pointee.isSweeping { set(.publication, account, at: clock &+ every) }
  }

  private func beginSweep(_ account: Int32, _ owner: UnsafeMutablePointer<Account>, _ clock: Int64)
  {
    owner.pointee.isSweeping = true
    owner.pointee.sweep = owner.pointee.firstBlock
    owner.pointee.sweptAt = clock
    set(.sweep, account, at: clock &+ whole)
  }

  /// So many that a sweep ends well before the next one begins.
  private func blocksPerPublication(_ account: Account) -> Int32 {
    let inTime = 2 * Int64(account.rows) * every / whole
    let inChunk = Int64(bytesPerChunk / ModelRecord.Form.weightByteCountMin)
    return Int32(max(inTime, inChunk) / Int64(FeatureRows.blockRows)) + 1
  }

  private func sweep(_ owner: UnsafeMutablePointer<Account>, _ model: Int, blocks count: Int32) {
    var left = count
    while owner.pointee.sweep >= 0, left > 0 {
      let number = owner.pointee.sweep
      add(number, .max, model)
      let block = blocks.update(number)
      // It stays in the list of those that have changed, with nothing to publish.
      block.pointee.changed = 0
      owner.pointee.sweep = block.pointee.next
      left -= 1
    }
  }

  private func takeChanges(_ owner: UnsafeMutablePointer<Account>, _ model: Int) {
    var number = owner.pointee.firstChanged
    while number >= 0 {
      let block = blocks.update(number)
      add(number, block.pointee.changed, model)
      block.pointee.changed = 0
      number = block.pointee.nextChanged
    }
    owner.pointee.firstChanged = -1
    owner.pointee.lastChanged = -1
  }

  /// The weights of a block's rows, those with a bit that are in use.
  private func add(_ block: Int32, _ bits: UInt32, _ model: Int) {
    let used = blocks[block].used
    var bits = used == FeatureRows.blockRows ? bits : bits & (1 &<< UInt32(used) &- 1)
    let hasSpreads = shared.pointee.forms[model].hasSpreads
    while bits != 0 {
      let row = block * FeatureRows.blockRows + Int32(bits.trailingZeroBitCount)
      bits &= bits &- 1
      var weights = models[model].weights(of: row)
      if !delayed.isEmpty { weights.y = delayed[model].weight(of: row) }
      shared.pointee.content.append(rows.hash(row))
      shared.pointee.content.append(weights)
      shared.pointee.content.append(value.weight(of: row))
      if hasSpreads { shared.pointee.content.append(models[model].spreads(of: row)) }
    }
  }

  /// What stands before an account's features are added.
  private func base(of account: Int32, _ model: Int) -> ModelRecord.Base {
    var base = ModelRecord.Base(click: self.base.x, conversion: self.base.y)
    models[model].describe(&base, of: account)
    if !delayed.isEmpty { base.conversion = self.base.y }
    base.value = value.published(of: account)
    return base
  }

  // MARK: Maps

  /// What corrects the rates of an account: what has changed of it, or all.
  private func addMaps(
    _ account: Int32, _ owner: UnsafeMutablePointer<Account>, _ model: Int, isWhole: Bool
  ) {
    switch watch.calibration.method {
    case .none: return
    case .platt: addLines(owner, model, isWhole: isWhole)
    case .isotonic, .beta, .temperature:
      let start = shared.pointee.content.count
      for head in 0..<2 { addMap(account, model, head: head) }
      let added = PublishedBytes.Part(start: start, end: shared.pointee.content.count)
      let hash = shared.pointee.content.bytes(added).withMemoryRebound(to: UInt8.self) {
        Hash.text($0)
      }
      if !isWhole, hash == owner.pointee.maps { shared.pointee.content.removeAll(from: start) }
      owner.pointee.maps = hash
    }
  }

  private func addLines(
    _ owner: UnsafeMutablePointer<Account>, _ model: Int, isWhole: Bool
  ) {
    var campaign = isWhole ? owner.pointee.firstLine : owner.pointee.firstChangedLine
    while campaign >= 0 {
      let line = lines[campaign]
      if isWhole || line.isChanged { addLine(of: campaign, model) }
      campaign = isWhole ? line.next : line.nextChanged
    }
    campaign = owner.pointee.firstChangedLine
    while campaign >= 0 {
      let line = lines.update(campaign)
      line.pointee.isListed = false
      line.pointee.isChanged = false
      campaign = line.pointee.nextChanged
    }
    owner.pointee.firstChangedLine = -1
    owner.pointee.lastChangedLine = -1
  }

  /// The campaign's hash, then slope and intercept of both heads.
  private func addLine(of campaign: Int32, _ model: Int) {
    guard let lines = watch.calibration.lines(ofCampaign: campaign, model) else { return }
    shared.pointee.content.append(Hash.text(directory.campaigns.name(campaign).bytes))
    for line in [lines.click, lines.conversion] {
      shared.pointee.content.append(line.slope)
      shared.pointee.content.append(line.intercept)
    }
  }

  /// The head's number, then how many corners a curve has and what they are; none and three
  /// parameters for any other map.
  private func addMap(_ account: Int32, _ model: Int, head: Int) {
    guard let map = watch.calibration.map(of: account, model, head: head) else { return }
    shared.pointee.content.append(UInt32(truncatingIfNeeded: head))
    switch map {
    case .line(let line):
      shared.pointee.content.append(0 as UInt32)
      for number in [line.a, line.b, line.c] { shared.pointee.content.append(number) }
    case .curve(let curve):
      shared.pointee.content.append(UInt32(truncatingIfNeeded: curve.pointee.corners))
      for i in 0..<curve.pointee.corners {
        let corner = curve.pointee.corner(i)
        shared.pointee.content.append(corner.score)
        shared.pointee.content.append(corner.rate)
      }
    }
  }

  // MARK: Chunks

  /// Cuts what a publication has to say into parts that records have room for.
  private struct Cuts {
    var maps: PublishedBytes.Part
    var weights: PublishedBytes.Part
    let room: Int
    let weight: Int

    var isAtEnd: Bool { maps.isEmpty && weights.isEmpty }

    mutating func next() -> (maps: PublishedBytes.Part, weights: PublishedBytes.Part) {
      let maps = maps.takeFirst(room)
      return (maps, weights.takeFirst((room - maps.count) / weight * weight))
    }
  }

  private func append(_ record: ModelRecord, _ owner: UnsafeMutablePointer<Account>) {
    var record = record
    var cuts = Cuts(
      maps: record.maps, weights: record.weights, room: bytesPerChunk,
      weight: shared.pointee.forms[record.model].weightByteCount)
    var counted = cuts
    repeat {
      _ = counted.next()
      record.chunks += 1
    } while !counted.isAtEnd
    for chunk in 1...record.chunks {
      record.chunk = chunk
      (record.maps, record.weights) = cuts.next()
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
      digest.add(
        owner: owner, Int64(row.champion), row.isOutdated ? 1 : 0, Int64(bitPattern: row.maps), 1)
      var campaign = row.firstChangedLine
      while campaign >= 0 {
        let isChanged: Int64 = lines[campaign].isChanged ? 1 : 0
        digest.add(owner: directory.campaigns.hash(campaign), isChanged, 1)
        campaign = lines[campaign].nextChanged
      }
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
