import Bidding
import Events
import Learning
public import Streaming

/// Proposes what to bid for an average impression of each ad; publishes nothing.
///
/// Worth is what an impression brings by the campaign's goal; the proposal is worth × pacing. As
/// long as the posterior of the ad's value is wider than `explore.deviation` the ad is `learning`,
/// and worth at least the campaign's default bid (where it has one); it becomes so again only when
/// the posterior is twice as wide, so that an ad does not flutter between the two.
///
/// Where a learner's predictions are among the inputs, each ad's click rate and conversion rate are
/// those of its posterior together with what the champion expects of its recent traffic, each
/// counting by how sure it is (`RateBlend`). What a conversion brings is the posterior's. A proposal takes
/// the average that stands when the ad is estimated anew; predictions alone propose nothing.
///
/// About 320 bytes an ad. O(1) an estimate or a prediction, O(ads of the campaign) a change of its
/// pace.
public struct Bids: Operator {
  public static let description = OperatorDescription(
    name: "bids", version: 1,
    summary: "Proposes a bid for every ad: its worth by the campaign's goal, times its pacing.",
    inputs: [
      .init(.events), .init(.estimates), .init(.paces, required: false),
      .init(.predictions, required: false),
    ],
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
        meaning: "Until when an ad counts as not known well enough to bid by."),
      SettingDescription(
        "predictions",
        .structure([
          SettingDescription(
            "impressions", .number(1...1e9), default: "1000",
            meaning: "An ad's average is over about so many of its last impressions."),
          SettingDescription(
            "labels", .number(1...1e9), default: "100000",
            meaning: """
              Whether the model is right in a campaign is judged by about so many of its last \
              labels.
              """),
          SettingDescription(
            "click_error", .number(0.001...1000), default: "0.2",
            meaning: """
              Standard deviation, by its mean, that the model's click rate of an ad is taken to \
              have where the model is right on average: 0.2 makes it count as much as the \
              impressions in which 25 clicks are expected.
              """),
          SettingDescription(
            "conversion_error", .number(0.001...1000), default: "1",
            meaning: """
              The same of its conversion rate. Labels of conversions are few and late: at 1 it \
              counts as much as the clicks of one conversion.
              """),
        ]), default: "{}",
        meaning: "How what a learner predicts counts beside posteriors."),
    ])

  /// One ad as it was estimated last.
  struct Ad: BitwiseCopyable {
    var estimate = EstimateRecord(ad: -1, isRefreshed: false)
    /// It has left the learning phase; see `explore.deviation`.
    var isKnown = false
    var traffic = Traffic()
    /// As of the last estimate, and what it multiplies the ad's value by.
    var view = ModelView()
    var factor = 1.0
  }

  /// What the champion expects of an ad's impressions: averages of which the older ones fade.
  struct Traffic: BitwiseCopyable, Equatable {
    /// Up to the number over which is averaged.
    var count = 0.0
    var click = 0.0
    /// Of a click that converts.
    var clickAndConversion = 0.0
    /// Of the last prediction.
    var version: Int64 = 0
  }

  struct Campaign: BitwiseCopyable {
    var goal = BidGoal()
    /// Micros; below 0: none.
    var defaultBidMicros: Int64 = -1
    /// Time of the newest catalogue entry, in ms.
    var describedAt = Int64.min
    var pace = PaceState.running
    var pacing: Double = 1
    /// Of predicted rates with what came.
    var clicks = RateAgreement()
    var conversions = RateAgreement()
  }

  private let events: EventInput
  private let estimates: Stream<EstimateRecord>
  private let paces: Stream<PaceRecord>?
  private let predictions: Stream<PredictionRecord>?
  private let output: Stream<ProposalRecord>
  private let directory: Directory
  private let deviation: Double
  private let trafficMax: Double
  private let keep: Double
  private let clickError: Double
  private let conversionError: Double
  private let ads: Table<Ad>
  private let campaigns: Table<Campaign>
  private let adsOfCampaign: ChildLists

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    events = setup.events()
    estimates = setup.input(EstimateRecord.self)
    paces = setup.inputs(PaceRecord.self).first
    predictions = setup.inputs(PredictionRecord.self).first
    output = setup.output(ProposalRecord.self)
    directory = setup.directory
    deviation = setup.settings.structure("explore").number("deviation")
    let weighing = setup.settings.structure("predictions")
    trafficMax = weighing.number("impressions")
    keep = 1 - 1 / weighing.number("labels")
    clickError = weighing.number("click_error")
    conversionError = weighing.number("conversion_error")
    ads = setup.store.table("ads", of: Ad.self, version: 2)
    campaigns = setup.store.table("campaigns", of: Campaign.self, version: 2)
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
    if let predictions {
      for i in 0..<predictions.count where predictions.address(i).pointee.isChampion {
        predict(predictions.address(i))
      }
    }
    for i in 0..<estimates.count { estimate(estimates.address(i)) }
  }

  // MARK: Predictions

  @inline(__always)
  private func predict(_ record: UnsafePointer<PredictionRecord>) {
    let ad = record.pointee.ad
    let campaign = directory.ads.parent(ad)
    if Int(ad) >= ads.count { ads.fill(to: Int(ad) + 1, with: Ad()) }
    if Int(campaign) >= campaigns.count { campaigns.fill(to: Int(campaign) + 1, with: Campaign()) }
    switch record.pointee.stage {
    case .shown: show(record, &ads.update(ad).pointee.traffic)
    case .clickKnown:
      campaigns.update(campaign).pointee.clicks.add(
        rate: record.pointee.click, outcome: record.pointee.isClicked ? 1 : 0, keep: keep)
    case .conversionKnown:
      campaigns.update(campaign).pointee.conversions.add(
        rate: record.pointee.conversion,
        outcome: Double(record.pointee.creditMillionths) / Double(Attribution.whole), keep: keep)
    }
  }

  @inline(__always)
  private func show(_ record: UnsafePointer<PredictionRecord>, _ traffic: inout Traffic) {
    traffic.count = min(traffic.count + 1, trafficMax)
    let part = 1 / traffic.count
    traffic.click += (record.pointee.click - traffic.click) * part
    traffic.clickAndConversion +=
      (record.pointee.clickAndConversion - traffic.clickAndConversion) * part
    traffic.version = record.pointee.version
  }

  /// Sees what the model adds to what is believed of an ad.
  private func look(_ ad: UnsafeMutablePointer<Ad>, _ campaign: UnsafePointer<Campaign>) {
    let (traffic, estimate) = (ad.pointee.traffic, ad.pointee.estimate)
    guard traffic.count > 0, traffic.version > 0 else { return }
    var view = ModelView()
    view.version = traffic.version
    view.click = RateBlend(
      BetaDistribution(alpha: estimate.ctr.alpha, beta: estimate.ctr.beta),
      predicted: traffic.click,
      errorSquared: campaign.pointee.clicks.errorSquared(atBest: clickError))
    view.conversion = RateBlend(
      BetaDistribution(alpha: estimate.cvr.alpha, beta: estimate.cvr.beta),
      predicted: traffic.clickAndConversion / traffic.click,
      errorSquared: campaign.pointee.conversions.errorSquared(atBest: conversionError))
    ad.pointee.view = view
    ad.pointee.factor =
      view.click.factor(of: estimate.ctr.mean) * view.conversion.factor(of: estimate.cvr.mean)
  }

  // MARK: Proposals

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
      if predictions != nil { look(row, campaigns.address(campaign)) }
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
    let factor = ad.pointee.factor
    let value = estimate.valuePerImpressionMicros * factor
    let known = campaign.pointee.goal.worthMicros(
      valueMicros: value, conversions: estimate.ctr.mean * estimate.cvr.mean * factor)
    let start = Double(campaign.pointee.defaultBidMicros)
    let usesDefault = !ad.pointee.isKnown && start >= 0 && start >= known
    let worth = usesDefault ? start : known
    output.append(
      ProposalRecord(
        estimate: estimate, isRefreshed: isRefreshed, isLearning: !ad.pointee.isKnown,
        usesDefault: usesDefault, pace: campaign.pointee.pace, pacing: campaign.pointee.pacing,
        worthMicros: worth,
        valueMicros: campaign.pointee.goal.isByConversions ? known : value,
        bidMicros: worth * campaign.pointee.pacing, view: ad.pointee.view))
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
    for row in 0..<Int32(ads.count) where ads[row].traffic.count > 0 {
      let (traffic, view) = (ads[row].traffic, ads[row].view)
      digest.add(
        owner: directory.ads.hash(row), bits(traffic.count), bits(traffic.click),
        bits(traffic.clickAndConversion), traffic.version)
      digest.add(
        owner: directory.ads.hash(row), view.version, bits(view.click.predicted),
        bits(view.click.weight), bits(view.conversion.predicted), bits(view.conversion.weight))
    }
    for row in 0..<Int32(campaigns.count) where campaigns[row] != Campaign() {
      let campaign = campaigns[row]
      digest.add(
        owner: directory.campaigns.hash(row), Int64(campaign.goal.kind.rawValue),
        campaign.goal.targetMicros, campaign.defaultBidMicros, Int64(campaign.pace.rawValue),
        Int64(bitPattern: campaign.pacing.bitPattern), campaign.describedAt)
      guard campaign.clicks != RateAgreement() else { continue }
      digest.add(
        owner: directory.campaigns.hash(row), bits(campaign.clicks.expected),
        bits(campaign.clicks.observed), bits(campaign.conversions.expected),
        bits(campaign.conversions.observed))
    }
  }
}

extension Bids.Campaign: Equatable {}
