import Events
import Simulation

/// Bid parameters as they are published, read back as a bidder reads them.
struct PublishedBids {
  private var places: [String: (campaign: Int, ad: Int)] = [:]
  /// The newest record of each ad, by campaign and ad; empty where there is none.
  private(set) var newest: [[[UInt8]]] = []
  private(set) var count = 0

  init(_ market: borrowing Market) {
    for campaign in 0..<market.campaignCount {
      let names = "\(market.accountName(campaign))/\(market.campaignName(campaign))"
      newest.append([[UInt8]](repeating: [], count: market.adCount(campaign)))
      for ad in 0..<market.adCount(campaign) {
        places["\(names)/\(market.adName(campaign, ad))"] = (campaign, ad)
      }
    }
  }

  /// Reads one record; nil where it is for no ad of the market.
  ///
  /// - Parameter key: `account/campaign/ad`.
  mutating func read(
    key: UnsafeRawBufferPointer, _ record: UnsafeRawBufferPointer
  ) -> BidParameters? {
    guard let place = places[String(decoding: key, as: UTF8.self)] else { return nil }
    var parameters = BidParameters(
      campaign: place.campaign, ad: place.ad, seq: 0, status: .paused, bid: .zero, maxBid: .zero,
      validUntil: .earliest, share: 0)
    for member in JSONMembers(record) {
      if member.isNamed("seq") {
        parameters.seq = member.integer ?? 0
      } else if member.isNamed("valid_until") {
        parameters.validUntil = EventTime(milliseconds: member.integer ?? 0)
      } else if member.isNamed("status") {
        // A status that this bidder does not know is none to bid by.
        parameters.status = BidParameters.Status(rawValue: member.text) ?? .paused
      } else if member.isNamed("bid") {
        parameters.bid = member.money ?? .zero
      } else if member.isNamed("max_bid") {
        parameters.maxBid = member.money ?? .zero
      } else if member.isNamed("share") {
        parameters.share = Double(member.text) ?? 0
      }
    }
    count += 1
    newest[place.campaign][place.ad].removeAll(keepingCapacity: true)
    newest[place.campaign][place.ad].append(contentsOf: record)
    return parameters
  }

  /// What was published last about an ad.
  func belief(_ campaign: Int, _ ad: Int) -> Belief? {
    guard !newest[campaign][ad].isEmpty else { return nil }
    let record = JSONRecord(newest[campaign][ad])
    return Belief(
      status: record["status"] ?? "",
      bid: record["bid"].flatMap { Money(decimal: $0) } ?? .zero,
      share: record.number("share") ?? 0, pacing: record.number("pacing") ?? 0,
      clickRate: record.number("ctr", "mean") ?? 0,
      conversionRate: record.number("cvr", "mean") ?? 0,
      impressions: record.integer("evidence", "impressions") ?? -1,
      clicks: record.integer("evidence", "clicks") ?? -1,
      spend: record["evidence", "spend"].flatMap { Money(decimal: $0) } ?? .zero)
  }

  /// What bidders were told about an ad, as far as people want to see it.
  struct Belief {
    var status: String
    var bid: Money
    var share: Double
    var pacing: Double
    var clickRate: Double
    var conversionRate: Double
    /// Evidence: what was counted.
    var impressions: Int64
    var clicks: Int64
    var spend: Money
  }
}
