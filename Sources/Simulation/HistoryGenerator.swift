import Events

/// A history of events as JSON Lines, with the exact truth about it.
///
/// Records are sent in the order they are generated, evenly over the history's duration, so the
/// events of an account stand in time order but for late records and duplicates. Clicks follow
/// real impressions of the same user, conversions and deals follow clicks.
///
/// ```swift
/// var history = HistoryGenerator(settings)
/// var bytes: [UInt8] = []
/// while let record = history.next(into: &bytes) { … }
/// ```
///
/// The same settings give the same bytes on every machine. Not a market: bids do not change what
/// happens, so it says nothing about whether bidding well pays.
public struct HistoryGenerator: ~Copyable {
  public let settings: HistorySettings
  /// What has been generated so far.
  public private(set) var counts = HistoryCounts()

  var writer = RecordWriter()
  let chance: Chance
  let campaignPopularity: Popularity
  let adPopularity: Popularity
  let accountPopularity: Popularity
  let userPopularity: Popularity

  private var adTotals: [AdTotals]
  private let typeTable: TypeTable
  private let catalogueCount: Int
  private var slot = 0
  private var impressions = RecentTouches(capacity: 1024)
  private var clicks = RecentTouches(capacity: 4096)
  private var targets = RecentTouches(capacity: 1024)
  private var deals = OpenDeals(capacity: 64)
  private var resends = Resends()

  public init(_ settings: HistorySettings = HistorySettings()) {
    precondition((1...9_999).contains(settings.accounts), "a history has 1…9,999 accounts")
    precondition(
      (1...99).contains(settings.campaignsPerAccount), "an account has 1…99 campaigns")
    precondition(
      (1...100_000_000).contains(settings.budgetFactor),
      "budgets are 1…100,000,000 times as large")
    precondition((1...999).contains(settings.adsPerCampaign), "a campaign has 1…999 ads")
    precondition(
      settings.start >= .earliest && settings.duration.milliseconds >= 0
        && settings.start + settings.duration <= .latest,
      "a history lies between 1970 and 9999")
    self.settings = settings
    chance = Chance(seed: settings.seed)
    accountPopularity = Popularity(count: settings.accounts)
    campaignPopularity = Popularity(count: settings.campaignsPerAccount)
    adPopularity = Popularity(count: settings.adsPerCampaign)
    userPopularity = Popularity(count: settings.usersPerAccount)
    typeTable = TypeTable(settings.shares)
    catalogueCount = settings.accounts * settings.campaignsPerAccount
    adTotals = Array(
      repeating: AdTotals(), count: catalogueCount * settings.adsPerCampaign)
  }

  /// Writes the next record, without a line break.
  ///
  /// - Parameter bytes: replaced by the record; its memory is reused.
  /// - Returns: the truth about the record; nil after the last one.
  public mutating func next(into bytes: inout [UInt8]) -> HistoryRecord? {
    let index = counts.records
    guard index < settings.records else { return nil }
    let sent = sendingTime(of: index)
    var record: HistoryRecord
    if let resend = resends.take(dueAt: index) {
      record = resend.record
      record.index = index
      record.sent = sent
      record.isDuplicate = true
      bytes.removeAll(keepingCapacity: true)
      bytes.append(contentsOf: resend.bytes)
    } else {
      writer.clear()
      record = writeSlot(index: index, sent: sent)
      bytes.removeAll(keepingCapacity: true)
      bytes.append(contentsOf: writer.bytes)
      planResend(of: record)
    }
    counts.count(record)
    return record
  }

  /// The totals of one ad, all by index.
  public func totals(account: Int, campaign: Int, ad: Int) -> AdTotals {
    adTotals[adRow(account: account, campaign: campaign, ad: ad)]
  }

  /// The account's name as it stands in records; also the key of its records in a log.
  public func accountName(_ account: Int) -> String {
    name { $0.writeAccountName(account) }
  }

  public func campaignName(account: Int, campaign: Int) -> String {
    name { $0.writeCampaignName(account, campaign) }
  }

  public func adName(account: Int, campaign: Int, ad: Int) -> String {
    name { $0.writeAdName(account, campaign, ad) }
  }

  private func name(_ write: (inout RecordWriter) -> Void) -> String {
    var writer = RecordWriter()
    write(&writer)
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  // MARK: One slot: a record that is not a duplicate

  private func sendingTime(of index: Int) -> EventTime {
    let last = max(settings.records - 1, 1)
    // Both factors are positive; their product may be beyond 64 bits.
    let product = settings.duration.milliseconds.magnitude.multipliedFullWidth(
      by: UInt64(index))
    let (offset, _) = UInt64(last).dividingFullWidth(product)
    return settings.start + .milliseconds(Int64(offset))
  }

  private mutating func writeSlot(index: Int, sent: EventTime) -> HistoryRecord {
    let number = slot
    slot += 1
    let draws = chance.entity(UInt64(number))
    var record = HistoryRecord(
      index: index, sent: sent, time: sent, account: 0, type: .campaign, isDuplicate: false,
      rejection: nil)
    guard number >= catalogueCount else {
      record.account = number / settings.campaignsPerAccount
      writeCampaign(
        id: number, time: sent, account: record.account,
        campaign: number % settings.campaignsPerAccount)
      return record
    }
    if draws.happens(settings.latePerMillion, .late) {
      let span = Int(clamping: settings.latenessMax.milliseconds)
      let lateness = Int64(Chance.below(span + 1, draws.bits(.late, 1)))
      record.time = max(settings.start, sent - .milliseconds(lateness))
    }
    if draws.happens(settings.badPerMillion, .bad) {
      record.account = accountPopularity.entry(draws.bits(.account))
      record.type = .impression
      record.rejection = writeBad(
        id: number, time: record.time, account: record.account, draws: draws)
      return record
    }
    record.type = typeTable.type(draws.bits(.type))
    writeGood(&record, number: number, draws: draws)
    return record
  }

  /// Writes a record of its type, or an impression where the type needs an earlier event that
  /// has not happened yet.
  private mutating func writeGood(_ record: inout HistoryRecord, number: Int, draws: Chance.Draws) {
    switch record.type {
    case .click:
      if let shown = clicked(draws) {
        record.account = Int(shown.account)
        // A click is never before its impression, however late it is sent.
        record.time = max(record.time, shown.time)
        writeClick(number, record.time, shown: shown, draws: draws)
        return
      }
    case .conversion:
      if let click = clicks.any(draws.bits(.reference)) {
        record.account = Int(click.account)
        record.time = max(record.time, click.time)
        writeConversion(id: number, time: record.time, click: click, draws: draws)
        targets.append(click.followed(by: number, at: record.time))
        return
      }
    case .dealStage:
      if let click = clicks.any(draws.bits(.reference)) {
        let step = deals.step(draws, startedBy: click, number: number)
        record.account = Int(step.click.account)
        record.time = max(record.time, step.earliest)
        writeDealStage(id: number, time: record.time, step: step)
        deals.stepped(step, at: record.time)
        return
      }
    case .adjustment:
      if let target = targets.any(draws.bits(.reference)) {
        record.account = Int(target.account)
        record.time = max(record.time, target.time)
        writeAdjustment(id: number, time: record.time, target: target, draws: draws)
        return
      }
    case .auction:
      record.account = accountPopularity.entry(draws.bits(.account))
      writeLostOrWonAuction(number, record, draws: draws)
      return
    case .heartbeat:
      record.account = accountPopularity.entry(draws.bits(.account))
      writeHeartbeat(time: record.time)
      return
    case .control:
      record.account = accountPopularity.entry(draws.bits(.account))
      writeControl(id: number, time: record.time, account: record.account, draws: draws)
      return
    case .impression, .campaign, .lease, .actuals, .erasure, .prior:
      break
    }
    record.type = .impression
    record.account = accountPopularity.entry(draws.bits(.account))
    writeShownImpression(number, record, draws: draws)
  }

  private mutating func writeShownImpression(
    _ number: Int, _ record: HistoryRecord, draws: Chance.Draws
  ) {
    let campaign = campaignPopularity.entry(draws.bits(.campaign))
    let ad = adPopularity.entry(draws.bits(.ad))
    let touch = RecentTouches.Touch(
      slot: UInt64(number), time: record.time, account: UInt32(record.account),
      campaign: UInt32(campaign), ad: UInt32(ad),
      user: UInt32(userPopularity.entry(draws.bits(.user))),
      appeal: appeal(account: record.account, campaign: campaign, ad: ad))
    let priceMicros = writeImpression(touch, draws: draws)
    impressions.append(touch)
    let row = adRow(account: record.account, campaign: campaign, ad: ad)
    adTotals[row].impressions += 1
    adTotals[row].spendMicros += priceMicros
  }

  private mutating func writeClick(
    _ number: Int, _ time: EventTime, shown: RecentTouches.Touch, draws: Chance.Draws
  ) {
    let priceMicros = writeClick(id: number, time: time, shown: shown, draws: draws)
    clicks.append(shown.followed(by: number, at: time))
    let row = adRow(
      account: Int(shown.account), campaign: Int(shown.campaign), ad: Int(shown.ad))
    adTotals[row].clicks += 1
    adTotals[row].spendMicros += priceMicros
  }

  private mutating func writeLostOrWonAuction(
    _ number: Int, _ record: HistoryRecord, draws: Chance.Draws
  ) {
    let campaign = campaignPopularity.entry(draws.bits(.campaign))
    let ad = adPopularity.entry(draws.bits(.ad))
    let won = draws.happens(20_000, .form)
    writeAuction(
      id: number, time: record.time, account: record.account, campaign: campaign, ad: ad,
      won: won, draws: draws)
    let row = adRow(account: record.account, campaign: campaign, ad: ad)
    adTotals[row].auctions += 1
    if won { adTotals[row].wins += 1 }
  }

  /// An earlier impression to click on. Ads differ in appeal: of a few impressions, one that
  /// appeals is taken, so some ads are clicked several times as often as others.
  private func clicked(_ draws: Chance.Draws) -> RecentTouches.Touch? {
    var chosen: RecentTouches.Touch?
    for attempt in 0..<4 {
      let bits = draws.bits(.reference, UInt64(attempt))
      chosen = impressions.any(bits)
      if let appeal = chosen?.appeal, UInt32(truncatingIfNeeded: bits & 0xff) < appeal { break }
    }
    return chosen
  }

  /// How an ad draws clicks, in 1/256: fixed for the whole history.
  private func appeal(account: Int, campaign: Int, ad: Int) -> UInt32 {
    let row = UInt64(adRow(account: account, campaign: campaign, ad: ad))
    return 16 + UInt32(Chance.below(200, chance.entity(row).bits(.quality)))
  }

  private func adRow(account: Int, campaign: Int, ad: Int) -> Int {
    (account * settings.campaignsPerAccount + campaign) * settings.adsPerCampaign + ad
  }

  // MARK: Duplicates

  private mutating func planResend(of record: HistoryRecord) {
    // A heartbeat has no id, so a second one is no duplicate; a bad record is refused again.
    guard record.type != .heartbeat, record.rejection == nil else { return }
    let draws = chance.entity(UInt64(slot - 1))
    guard draws.happens(settings.duplicatesPerMillion, .duplicate) else { return }
    let spacing = max(
      1, settings.duration.milliseconds / Int64(max(settings.records - 1, 1)))
    let recordsMax = min(1024, settings.duplicateDelayMax.milliseconds / spacing)
    let delay = 1 + Chance.below(Int(max(recordsMax, 1)), draws.bits(.duplicate, 1))
    resends.plan(record, bytes: writer.bytes, dueAt: record.index + delay)
  }
}
