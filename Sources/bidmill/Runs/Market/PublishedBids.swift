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
  mutating func read(_ record: UnsafeRawBufferPointer) -> BidParameters? {
    var names = ["", "", ""]
    var parameters = BidParameters(
      campaign: 0, ad: 0, seq: 0, status: .paused, bid: .zero, maxBid: .zero,
      validUntil: .earliest, share: 0)
    for member in JSONMembers(record) {
      if member.isNamed("account") {
        names[0] = member.text
      } else if member.isNamed("campaign") {
        names[1] = member.text
      } else if member.isNamed("ad") {
        names[2] = member.text
      } else if member.isNamed("seq") {
        parameters.seq = member.integer ?? 0
      } else if member.isNamed("valid_until") {
        parameters.validUntil = EventTime(milliseconds: member.integer ?? 0)
      } else if member.isNamed("status") {
        // A status that this bidder does not know is none to bid by.
        parameters.status = BidParameters.Status(rawValue: member.text) ?? .paused
      } else if member.isNamed("bid") {
        parameters.bid = Money(micros: Results.micros(member.text) ?? 0)
      } else if member.isNamed("max_bid") {
        parameters.maxBid = Money(micros: Results.micros(member.text) ?? 0)
      } else if member.isNamed("share") {
        parameters.share = Double(member.text) ?? 0
      }
    }
    guard let place = places[names.joined(separator: "/")] else { return nil }
    count += 1
    parameters.campaign = place.campaign
    parameters.ad = place.ad
    newest[place.campaign][place.ad].removeAll(keepingCapacity: true)
    newest[place.campaign][place.ad].append(contentsOf: record)
    return parameters
  }

  /// What was published last about an ad.
  func belief(_ campaign: Int, _ ad: Int) -> Belief? {
    guard !newest[campaign][ad].isEmpty else { return nil }
    var belief = Belief()
    newest[campaign][ad].withUnsafeBytes { record in
      for member in JSONMembers(record) {
        if member.isNamed("status") {
          belief.status = member.text
        } else if member.isNamed("bid") {
          belief.bid = Money(micros: Results.micros(member.text) ?? 0)
        } else if member.isNamed("share") {
          belief.share = Double(member.text) ?? 0
        } else if member.isNamed("pacing") {
          belief.pacing = Double(member.text) ?? 0
        } else if member.isNamed("ctr") {
          belief.clickRate = Self.mean(member)
        } else if member.isNamed("cvr") {
          belief.conversionRate = Self.mean(member)
        }
      }
    }
    return belief
  }

  private static func mean(_ member: JSONMembers.Member) -> Double {
    for inner in JSONMembers(member.value) where inner.isNamed("mean") {
      return Double(inner.text) ?? 0
    }
    return 0
  }

  /// What bidders were told about an ad, as far as people want to see it.
  struct Belief {
    var status = ""
    var bid = Money.zero
    var share = 0.0
    var pacing = 0.0
    var clickRate = 0.0
    var conversionRate = 0.0
  }
}
