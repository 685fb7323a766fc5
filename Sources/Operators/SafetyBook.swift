import Bidding
import Events
import Streaming

/// What `safety` keeps: of every ad the newest proposal and what was published, of every scope the
/// orders that stand.
struct SafetyBook {
  /// What an order may be for.
  enum Scope: Int64 {
    case account = 0
    case campaign = 1
    case ad = 2
  }

  /// The orders of a scope, and the timer that ends the first of them.
  struct Orders: BitwiseCopyable, Equatable {
    var standing = StandingOrders()
    /// In ms of event time; 0 where there is none.
    var timerAt: Int64 = 0
  }

  /// A `publishedCapMicros` that no decision has: something else is to be said.
  static let notSaid: Int64 = -2

  struct Ad: BitwiseCopyable {
    var proposal = ProposalRecord(
      estimate: EstimateRecord(ad: -1, isRefreshed: false), isRefreshed: false, isLearning: true,
      usesDefault: false, pace: .running, pacing: 1, worthMicros: 0, valueMicros: 0, bidMicros: 0)
    var orders = Orders()
    /// Of the newest record; 0 before the first.
    var sequence: Int64 = 0
    /// The clock's time of the newest record, in ms.
    var publishedAt: Int64 = 0
    var publishedBidMicros: Int64 = 0
    var publishedCapMicros: Int64 = -1
    /// The evidence of the newest record.
    var published = Evidence()
    /// The newest published bid above 0; 0 before the first.
    var lastBidMicros: Int64 = 0
    /// The clock's time when an event of the ad came last, in ms.
    var heardAt: Int64 = 0
    var publishedReasons: BidReasons = []
    var publishedStatus = BidStatus.paused
    /// A timer waits to refresh it.
    var isRefreshSet = false
    /// There is something to say, a second after the newest record at the earliest.
    var isHeldBack = false

    var isProposed: Bool { proposal.ad >= 0 }
  }

  struct Campaign: BitwiseCopyable {
    var orders = Orders()
    /// Micros; below 0: none.
    var maxBidMicros: Int64 = -1
    /// Millionths of the value; below 0: none.
    var ceilingMillionths: Int64 = -1
    var status = EventDetails.Campaign.Status.active
    /// Time of the newest catalogue entry, in ms.
    var describedAt = Int64.min
  }

  struct Account: BitwiseCopyable {
    var orders = Orders()
  }

  private let directory: Directory
  let ads: Table<Ad>
  private let campaigns: Table<Campaign>
  private let accounts: Table<Account>
  let adsOfCampaign: ChildLists
  private let campaignsOfAccount: ChildLists

  init(in store: StateStore, _ directory: Directory) {
    self.directory = directory
    ads = store.table("ads", of: Ad.self, version: 2)
    campaigns = store.table("campaigns", of: Campaign.self)
    accounts = store.table("accounts", of: Account.self)
    adsOfCampaign = ChildLists("campaigns.ads", in: store)
    campaignsOfAccount = ChildLists("accounts.campaigns", in: store)
  }

  var adCount: Int { ads.count }

  /// Rows are made as they are asked for; valid until the next one is made.
  @inline(__always)
  func ad(_ row: Int32) -> UnsafeMutablePointer<Ad> {
    if Int(row) >= ads.count { ads.fill(to: Int(row) + 1, with: Ad()) }
    return ads.update(row)
  }

  @inline(__always)
  func campaign(_ row: Int32) -> UnsafeMutablePointer<Campaign> {
    if Int(row) >= campaigns.count { campaigns.fill(to: Int(row) + 1, with: Campaign()) }
    return campaigns.update(row)
  }

  func account(_ row: Int32) -> UnsafeMutablePointer<Account> {
    if Int(row) >= accounts.count { accounts.fill(to: Int(row) + 1, with: Account()) }
    return accounts.update(row)
  }

  /// An ad as it is, without making it.
  func knownAd(_ row: Int32) -> Ad? { Int(row) < ads.count ? ads[row] : nil }

  /// Lists an ad below its campaign and account. O(1).
  func list(_ ad: Int32) {
    let campaign = directory.ads.parent(ad)
    adsOfCampaign.add(ad, below: campaign)
    campaignsOfAccount.add(campaign, below: directory.campaigns.parent(campaign))
  }

  func orders(_ scope: Scope, _ row: Int32) -> UnsafeMutablePointer<Orders> {
    switch scope {
    case .account: pointer(to: \.orders, of: account(row))
    case .campaign: pointer(to: \.orders, of: campaign(row))
    case .ad: pointer(to: \.orders, of: ad(row))
    }
  }

  private func pointer<Row>(
    to field: WritableKeyPath<Row, Orders>, of row: UnsafeMutablePointer<Row>
  ) -> UnsafeMutablePointer<Orders> {
    guard let pointer = row.pointer(to: field) else {
      preconditionFailure("orders are stored in their row")
    }
    return pointer
  }

  func forEachAd(ofAccount row: Int32, _ body: (Int32) -> Void) {
    var campaign = campaignsOfAccount.first(of: row)
    while campaign != ChildLists.end {
      var ad = adsOfCampaign.first(of: campaign)
      while ad != ChildLists.end {
        body(ad)
        ad = adsOfCampaign.next(after: ad)
      }
      campaign = campaignsOfAccount.next(after: campaign)
    }
  }

  // MARK: Digest

  func digest(into digest: inout StateDigest) {
    for row in 0..<Int32(ads.count) { add(row, to: &digest) }
    for row in 0..<Int32(campaigns.count) {
      let campaign = campaigns[row]
      let owner = directory.campaigns.hash(row)
      add(campaign.orders, of: owner, to: &digest)
      if campaign.describedAt != Int64.min {
        digest.add(
          owner: owner, campaign.maxBidMicros, campaign.ceilingMillionths,
          Int64(campaign.status.rawValue), campaign.describedAt)
      }
    }
    for row in 0..<Int32(accounts.count) {
      add(accounts[row].orders, of: directory.accounts.hash(row), to: &digest)
    }
  }

  private func add(_ row: Int32, to digest: inout StateDigest) {
    let ad = ads[row]
    let owner = directory.ads.hash(row)
    add(ad.orders, of: owner, to: &digest)
    guard ad.isProposed else { return }
    let evidence = ad.proposal.estimate.evidence
    digest.add(
      owner: owner, ad.sequence, ad.publishedAt, ad.publishedBidMicros, ad.publishedCapMicros,
      ad.lastBidMicros, ad.heardAt, Int64(ad.publishedReasons.rawValue),
      Int64(ad.publishedStatus.rawValue), ad.isRefreshSet ? 1 : 0, ad.isHeldBack ? 1 : 0,
      Int64(bitPattern: ad.proposal.bidMicros.bitPattern), Int64(ad.proposal.pace.rawValue),
      Int64(bitPattern: ad.proposal.pacing.bitPattern), ad.proposal.isLearning ? 1 : 0,
      ad.proposal.usesDefault ? 1 : 0, evidence.impressions, evidence.clicks,
      evidence.conversionsMillionths, evidence.value.micros, evidence.spend.micros)
  }

  private func add(_ orders: Orders, of owner: UInt64, to digest: inout StateDigest) {
    guard orders != Orders() else { return }
    let (words, times) = (orders.standing.words, orders.standing.times)
    digest.add(owner: owner, words.0, words.1, words.2, words.3, words.4, words.5)
    digest.add(owner: owner, times.0, times.1, times.2, times.3, orders.timerAt)
  }
}

/// What a timer of `safety` is for, as the number that stands in the wheel.
enum SafetyTimer {
  case orderEnd(SafetyBook.Scope, Int32)
  case refresh(Int32)
  case heldBack(Int32)

  private static let refreshKind: Int64 = 3
  private static let heldBackKind: Int64 = 4

  var key: Int64 {
    switch self {
    case .orderEnd(let scope, let row): scope.rawValue << 32 | Int64(row)
    case .refresh(let ad): SafetyTimer.refreshKind << 32 | Int64(ad)
    case .heldBack(let ad): SafetyTimer.heldBackKind << 32 | Int64(ad)
    }
  }

  init(key: Int64) {
    let row = Int32(truncatingIfNeeded: key)
    let kind = key >> 32
    switch kind {
    case SafetyTimer.refreshKind: self = .refresh(row)
    case SafetyTimer.heldBackKind: self = .heldBack(row)
    default:
      guard let scope = SafetyBook.Scope(rawValue: kind) else {
        preconditionFailure("safety set a timer of kind \(kind), which there is not")
      }
      self = .orderEnd(scope, row)
    }
  }
}
