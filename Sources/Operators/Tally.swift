public import Events
public import Streaming

/// Exact running totals per account, campaign and ad, published for what changed at every
/// multiple of `every` and at the end of a replay.
///
/// 48 bytes an ad. Spend is the price of impressions and of clicks; lost and won auctions are
/// counted but cost nothing. A total that reaches 2⁶³ micros stays there.
public struct Tally: Operator {
  public static let description = OperatorDescription(
    name: "tally", version: 1,
    summary: "Exact totals of impressions, clicks, spend and auctions per ad.",
    inputs: [.init(.events)],
    outputs: [.tallies],
    settings: [
      SettingDescription(
        "every", .duration(.seconds(1)...(.days(1))), default: "1m",
        meaning: "How often changed totals are published: at every multiple of it, in event time.")
    ])

  /// One ad's totals.
  struct Totals: BitwiseCopyable {
    var impressions: Int64 = 0
    var clicks: Int64 = 0
    var spendMicros: Int64 = 0
    var auctions: Int64 = 0
    var wins: Int64 = 0
    /// 1 while it stands in `changed`.
    var isChanged: Int64 = 0
  }

  /// Money that came in against money that is kept: the two must agree (law 5).
  struct Ledger: BitwiseCopyable {
    var spendSeenMicros: Int64 = 0
    /// What totals at their limit could not take.
    var spendBeyondLimitMicros: Int64 = 0
    /// 1 while a timer for the next publication is set.
    var isScheduled: Int64 = 0
  }

  private let events: EventInput
  private let output: Stream<TallyRecord>
  private let every: Int64
  private let timers: Timers
  private let directory: Directory
  /// By the directory's row of the ad.
  private let totals: Table<Totals>
  /// Ads to publish, in the order in which they changed.
  private let changed: Table<Int32>
  private let ledger: Table<Ledger>

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    events = setup.events()
    output = setup.output(TallyRecord.self)
    every = setup.settings.duration("every").milliseconds
    timers = setup.timers
    directory = setup.directory
    totals = setup.store.table("totals", of: Totals.self)
    changed = setup.store.table("changed", of: Int32.self)
    ledger = setup.store.table("ledger", of: Ledger.self, capacity: 1)
    ledger.append(Ledger())
  }

  public func deallocate() { events.deallocate() }

  public mutating func process(_ entry: borrowing Entry) {
    guard let event = events.current?.pointer else { return }
    let ad = event.pointee.ad.row
    switch event.pointee.type {
    case .impression:
      let row = change(ad, entry)
      row.pointee.impressions &+= 1
      spend(event.pointee.price, row)
    case .click:
      let row = change(ad, entry)
      row.pointee.clicks &+= 1
      spend(event.pointee.price, row)
    case .auction:
      let row = change(ad, entry)
      row.pointee.auctions &+= 1
      if event.pointee.flags.contains(.won) { row.pointee.wins &+= 1 }
    default: break
    }
  }

  public func query(
    _ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter
  ) -> Bool {
    guard query.ad >= 0, Int(query.ad) < totals.count else { return false }
    let total = totals[query.ad]
    json.member("impressions", total.impressions)
    json.member("clicks", total.clicks)
    json.member("spend", Money(micros: total.spendMicros))
    json.member("auctions", total.auctions)
    json.member("wins", total.wins)
    return true
  }

  /// The totals of an ad, to be changed and published.
  @inline(__always)
  private func change(_ ad: Int32, _ entry: borrowing Entry) -> UnsafeMutablePointer<Totals> {
    if Int(ad) >= totals.count { totals.fill(to: Int(ad) + 1, with: Totals()) }
    let row = totals.update(ad)
    if row.pointee.isChanged == 0 {
      row.pointee.isChanged = 1
      changed.append(ad)
      if ledger[0].isScheduled == 0 { schedule(entry) }
    }
    return row
  }

  private func schedule(_ entry: borrowing Entry) {
    ledger.update(0).pointee.isScheduled = 1
    let next = (entry.clock.milliseconds / every + 1) * every
    timers.add(at: EventTime(milliseconds: next))
  }

  @inline(__always)
  private func spend(_ price: Money, _ row: UnsafeMutablePointer<Totals>) {
    let books = ledger.update(0)
    books.pointee.spendSeenMicros &+= price.micros
    let sum = row.pointee.spendMicros.addingReportingOverflow(price.micros)
    if sum.overflow {
      let taken = Int64.max &- row.pointee.spendMicros
      books.pointee.spendBeyondLimitMicros &+= price.micros &- taken
      row.pointee.spendMicros = Int64.max
    } else {
      row.pointee.spendMicros = sum.partialValue
    }
  }

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    ledger.update(0).pointee.isScheduled = 0
    publish()
  }

  public mutating func finish(_ entry: borrowing Entry) {
    publish()
    checkLedger()
  }

  /// All totals are published again, at the next multiple of `every`.
  public mutating func rebuilt(_ entry: borrowing Entry) {
    for ad in 0..<Int32(totals.count) {
      let total = totals[ad]
      guard total.isChanged == 0, total.impressions | total.clicks | total.auctions != 0 else {
        continue
      }
      _ = change(ad, entry)
    }
  }

  private func publish() {
    for i in 0..<Int32(changed.count) {
      let ad = changed[i]
      let row = totals.update(ad)
      row.pointee.isChanged = 0
      output.append(
        TallyRecord(
          ad: ad, impressions: row.pointee.impressions, clicks: row.pointee.clicks,
          spend: Money(micros: row.pointee.spendMicros), auctions: row.pointee.auctions,
          wins: row.pointee.wins))
    }
    changed.removeAll()
  }

  /// Spend in = spend kept, to the micro (modulo 2⁶⁴, as both sides are summed).
  private func checkLedger() {
    var kept: Int64 = 0
    for row in 0..<Int32(totals.count) { kept &+= totals[row].spendMicros }
    precondition(
      kept &+ ledger[0].spendBeyondLimitMicros == ledger[0].spendSeenMicros,
      "tally: the sum of all ads' spend differs from the spend that came in")
  }

  /// The totals themselves; which of them wait for publication depends on where time stands.
  public func digest(into digest: inout StateDigest) {
    for row in 0..<Int32(totals.count) {
      let total = totals[row]
      guard total.impressions | total.clicks | total.auctions != 0 else { continue }
      digest.add(
        owner: directory.ads.hash(row), total.impressions, total.clicks, total.spendMicros,
        total.auctions, total.wins)
    }
  }
}

/// A `tallies` record: one ad's totals so far.
public struct TallyRecord: StreamRecord {
  public static var stream: StreamType { .tallies }

  /// The directory's row of the ad; account and campaign stand above it.
  public var ad: Int32
  public var impressions: Int64
  public var clicks: Int64
  public var spend: Money
  public var auctions: Int64
  public var wins: Int64

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let directory = context.directory
    let campaignRow = directory.ads.parent(ad)
    let account = directory.accounts.name(directory.campaigns.parent(campaignRow))
    let campaign = directory.campaigns.name(campaignRow)
    let name = directory.ads.name(ad)
    let keyLength = json.writeKey(account, campaign, name)
    Events.Tally(
      account: account, campaign: campaign, ad: name, time: context.time, source: context.source,
      impressions: impressions, clicks: clicks, spend: spend, auctions: auctions, wins: wins
    ).write(to: &json)
    return keyLength
  }
}
