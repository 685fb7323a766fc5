import Bidding
import Events
public import Streaming

/// Proposes what to bid for an average impression of each ad; publishes nothing.
///
/// Worth is what an impression brings by the campaign's goal; the proposal is worth × pacing. As
/// long as the posterior of the ad's value is wider than `explore.deviation` the ad is `learning`,
/// and worth at least the campaign's default bid (where it has one); it becomes so again only when
/// the posterior is twice as wide, so that an ad does not flutter between the two.
///
/// About 190 bytes an ad. O(1) an estimate, O(ads of the campaign) a change of its pace.
public struct Bids: Operator {
  public static let description = OperatorDescription(
    name: "bids", version: 1,
    summary: "Proposes a bid for every ad: its worth by the campaign's goal, times its pacing.",
    inputs: [.init(.events), .init(.estimates), .init(.paces, required: false)],
    outputs: [.proposals],
    settings: [
      SettingDescription(
        "explore",
        .structure([
          SettingDescription(
            "deviation", .number(0.01...100), default: "0.5",
            meaning: """
              Standard deviation of an ad's value per impression, by its mean, above which the \
              ad is worth at least the campaign's default bid.
              """)
        ]), default: "{}",
        meaning: "Until when an ad counts as not known well enough to bid by.")
    ])

  /// One ad as it was estimated last.
  struct Ad: BitwiseCopyable {
    var estimate = EstimateRecord(ad: -1, isRefreshed: false)
    /// It has left the learning phase; see `explore.deviation`.
    var isKnown = false
  }

  struct Campaign: BitwiseCopyable {
    var goal = BidGoal()
    /// Micros; below 0: none.
    var defaultBidMicros: Int64 = -1
    /// Time of the newest catalogue entry, in ms.
    var describedAt = Int64.min
    var pace = PaceState.running
    var pacing: Double = 1
  }

  private let events: EventInput
  private let estimates: Stream<EstimateRecord>
  private let paces: Stream<PaceRecord>?
  private let output: Stream<ProposalRecord>
  private let directory: Directory
  private let deviation: Double
  private let ads: Table<Ad>
  private let campaigns: Table<Campaign>
  private let adsOfCampaign: ChildLists

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    events = setup.events()
    estimates = setup.input(EstimateRecord.self)
    paces = setup.inputs(PaceRecord.self).first
    output = setup.output(ProposalRecord.self)
    directory = setup.directory
    deviation = setup.settings.structure("explore").number("deviation")
    ads = setup.store.table("ads", of: Ad.self)
    campaigns = setup.store.table("campaigns", of: Campaign.self)
    adsOfCampaign = ChildLists("campaigns.ads", in: setup.store)
  }

  public func deallocate() { events.deallocate() }

  public mutating func process(_ entry: borrowing Entry) {
    if let event = events.current?.pointer, event.pointee.type == .campaign {
      if case .campaign(let details)? = entry.details(of: event) {
        describe(event.pointee.campaign.row, details, at: event.pointee.time)
      }
    }
    if let paces {
      for i in 0..<paces.count { pace(paces[i]) }
    }
    for i in 0..<estimates.count { estimate(estimates.address(i)) }
  }

  /// The catalogue says something new; what it does not mention stays.
  private func describe(_ row: Int32, _ details: EventDetails.Campaign, at time: EventTime) {
    let campaign = campaign(row)
    guard time.milliseconds >= campaign.pointee.describedAt else { return }
    campaign.pointee.describedAt = time.milliseconds
    if let kind = details.goal {
      campaign.pointee.goal = BidGoal(kind: kind, targetMicros: details.goalTarget?.micros ?? 0)
    }
    if let bid = details.defaultBid { campaign.pointee.defaultBidMicros = bid.micros }
    proposeAll(of: row)
  }

  private func pace(_ record: PaceRecord) {
    let campaign = campaign(record.campaign)
    guard campaign.pointee.pace != record.state || campaign.pointee.pacing != record.multiplier
    else { return }
    campaign.pointee.pace = record.state
    campaign.pointee.pacing = record.multiplier
    proposeAll(of: record.campaign)
  }

  private func campaign(_ row: Int32) -> UnsafeMutablePointer<Campaign> {
    campaigns.fill(to: Int(row) + 1, with: Campaign())
    return campaigns.update(row)
  }

  private func proposeAll(of campaign: Int32) {
    var ad = adsOfCampaign.first(of: campaign)
    while ad != ChildLists.end {
      propose(ad, of: campaign, isRefreshed: true)
      ad = adsOfCampaign.next(after: ad)
    }
  }

  private func estimate(_ record: UnsafePointer<EstimateRecord>) {
    let ad = record.pointee.ad
    let campaign = directory.ads.parent(ad)
    if Int(ad) >= ads.count { ads.fill(to: Int(ad) + 1, with: Ad()) }
    if Int(campaign) >= campaigns.count { campaigns.fill(to: Int(campaign) + 1, with: Campaign()) }
    let row = ads.update(ad)
    let isNew = row.pointee.estimate.ad < 0
    if isNew || record.pointee.isRefreshed {
      if isNew { adsOfCampaign.add(ad, below: campaign) }
      row.pointee.estimate = record.pointee
      let bound = row.pointee.isKnown ? 2 * deviation : deviation
      row.pointee.isKnown =
        campaigns[campaign].goal.deviation(
          value: record.pointee.relativeDeviation, conversions: record.pointee.conversionDeviation)
        <= bound
      propose(ad, of: campaign, isRefreshed: true)
    } else {
      row.pointee.estimate.evidence = record.pointee.evidence
      propose(ad, of: campaign, isRefreshed: false)
    }
  }

  @inline(__always)
  private func propose(_ row: Int32, of campaignRow: Int32, isRefreshed: Bool) {
    let ad = ads.address(row)
    let campaign = campaigns.address(campaignRow)
    let estimate = ad.pointee.estimate
    let known = campaign.pointee.goal.worthMicros(
      valueMicros: estimate.valuePerImpressionMicros,
      conversions: estimate.ctr.mean * estimate.cvr.mean)
    let start = Double(campaign.pointee.defaultBidMicros)
    let usesDefault = !ad.pointee.isKnown && start >= 0 && start >= known
    let worth = usesDefault ? start : known
    output.append(
      ProposalRecord(
        estimate: estimate, isRefreshed: isRefreshed, isLearning: !ad.pointee.isKnown,
        usesDefault: usesDefault, pace: campaign.pointee.pace, pacing: campaign.pointee.pacing,
        worthMicros: worth,
        valueMicros: campaign.pointee.goal.isByConversions
          ? known : estimate.valuePerImpressionMicros,
        bidMicros: worth * campaign.pointee.pacing))
  }

  public func digest(into digest: inout StateDigest) {
    for row in 0..<Int32(ads.count) where ads[row].estimate.ad >= 0 {
      let ad = ads[row]
      digest.add(
        owner: directory.ads.hash(row), ad.isKnown ? 1 : 0,
        Int64(bitPattern: ad.estimate.relativeDeviation.bitPattern),
        Int64(bitPattern: ad.estimate.conversionDeviation.bitPattern),
        Int64(bitPattern: ad.estimate.valuePerImpressionMicros.bitPattern),
        Int64(bitPattern: ad.estimate.share.bitPattern), ad.estimate.evidence.impressions,
        ad.estimate.evidence.clicks, ad.estimate.evidence.conversionsMillionths,
        ad.estimate.evidence.spend.micros)
    }
    for row in 0..<Int32(campaigns.count) where campaigns[row] != Campaign() {
      let campaign = campaigns[row]
      digest.add(
        owner: directory.campaigns.hash(row), Int64(campaign.goal.kind.rawValue),
        campaign.goal.targetMicros, campaign.defaultBidMicros, Int64(campaign.pace.rawValue),
        Int64(bitPattern: campaign.pacing.bitPattern), campaign.describedAt)
    }
  }
}

extension Bids.Campaign: Equatable {}
