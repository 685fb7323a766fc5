public import Events

/// What a bidder is told about one ad.
public struct BidParameters: Sendable, Equatable {
  public enum Status: String, Sendable, CaseIterable {
    case learning, active, paused, exhausted, killed

    /// May bid.
    @inline(__always)
    var bids: Bool { self == .learning || self == .active }
  }

  /// Index among all campaigns of the world.
  public var campaign: Int
  /// Index among the campaign's ads.
  public var ad: Int
  /// Rises with each for the same ad.
  public var seq: Int64
  public var status: Status
  public var bid: Money
  public var maxBid: Money
  /// From here on they count no more, and the ad is not bid for.
  public var validUntil: EventTime
  /// Of the campaign's budget, 0…1.
  public var share: Double

  public init(
    campaign: Int, ad: Int, seq: Int64, status: Status, bid: Money, maxBid: Money,
    validUntil: EventTime, share: Double
  ) {
    self.campaign = campaign
    self.ad = ad
    self.seq = seq
    self.status = status
    self.bid = bid
    self.maxBid = maxBid
    self.validUntil = validUntil
    self.share = share
  }
}

/// A campaign's bidder: knows what it was told, and nothing of the truth.
struct Bidder {
  let defaultBid: Money
  let maxBid: Money
  private let choice: MarketWorld.Bidder.Choice
  private var known: ContiguousArray<BidParameters?>
  /// On their way, soonest first: latency is the same for all.
  private var arriving: [(time: EventTime, parameters: BidParameters)] = []
  private var arrived = 0
  private var nextArrival = EventTime.latest

  /// Ads that may be bid for, with the running sum of their weights.
  private var eligible: ContiguousArray<(ad: Int, bid: Int64, until: Double)> = []
  private var weight = 0.0
  /// The eligible ads are as they stand up to here.
  private var settledUntil = EventTime.earliest

  init(ads: Int, defaultBid: Money, maxBid: Money, choice: MarketWorld.Bidder.Choice) {
    self.defaultBid = defaultBid
    self.maxBid = maxBid
    self.choice = choice
    known = ContiguousArray(repeating: nil, count: ads)
  }

  mutating func receive(_ parameters: BidParameters, arriving time: EventTime) {
    // Whoever gives a shorter latency later does not overtake.
    let time = max(time, arriving.last?.time ?? time)
    arriving.append((time, parameters))
    nextArrival = min(nextArrival, time)
  }

  private mutating func take(at time: EventTime) {
    while arrived < arriving.count, arriving[arrived].time <= time {
      let parameters = arriving[arrived].parameters
      arrived += 1
      if let old = known[parameters.ad], old.seq >= parameters.seq { continue }
      known[parameters.ad] = parameters
    }
    if arrived == arriving.count {
      arriving.removeAll(keepingCapacity: true)
      arrived = 0
    }
    nextArrival = arrived < arriving.count ? arriving[arrived].time : .latest
  }

  /// The ad to put into an auction and what to bid; nil to stay away.
  ///
  /// - Parameter u: even chance in (0, 1), for the choice by share.
  @inline(__always)
  mutating func bid(at time: EventTime, _ u: Double) -> (ad: Int, bid: Int64)? {
    if time >= nextArrival || time >= settledUntil { settle(at: time) }
    guard !eligible.isEmpty else { return nil }
    switch choice {
    case .bid: return (eligible[0].ad, eligible[0].bid)
    case .share:
      let target = u * weight
      for entry in eligible where target < entry.until { return (entry.ad, entry.bid) }
      return nil
    }
  }

  /// Who may be bid for now, and until when that stands.
  @inline(never)
  private mutating func settle(at time: EventTime) {
    take(at: time)
    eligible.removeAll(keepingCapacity: true)
    weight = 0
    settledUntil = .latest
    let even = 1 / Double(known.count)
    for ad in known.indices {
      var amount = min(defaultBid, maxBid)
      var share = even
      if let parameters = known[ad] {
        guard parameters.status.bids, time < parameters.validUntil else { continue }
        settledUntil = min(settledUntil, parameters.validUntil)
        amount = min(parameters.bid, min(parameters.maxBid, maxBid))
        share = parameters.share
      }
      guard amount.micros > 0 else { continue }
      if choice == .bid {
        if let best = eligible.first, best.bid >= amount.micros { continue }
        eligible.removeAll(keepingCapacity: true)
      }
      // A share that is no number or below nothing is none.
      weight += share > 0 ? min(share, 1) : 0
      eligible.append((ad, amount.micros, weight))
    }
  }
}
