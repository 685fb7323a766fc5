public import Events

// A market for ads: what a bidder meets when it bids, with the truth that no bidder sees.
//
// What lives here decides what happens (who comes, what rivals bid, who clicks and buys), writes
// it down as events, and obeys bid parameters as a real bidder would. What must not: how events
// become parameters. The market knows no topology, and a constant bid can take a topology's place.
//
// Every draw is made by counter, from (seed, campaign, number of the opportunity): two markets of
// one world meet the same people and the same rivals at the same moments, whoever bids in them.

/// A market, from one moment to the next.
///
/// ```swift
/// var market = Market(world)
/// var records = MarketRecords()
/// while market.now < market.end {
///   records.removeAll()
///   market.step(until: market.now + .seconds(5), into: &records)
///   … // give the records to whoever bids
///   market.apply(parameters, arriving: market.now + world.latency)
/// }
/// ```
///
/// A step costs time in proportion to its opportunities; memory grows with the people of the
/// world, with what is under way between click and conversion, and with campaign days.
public struct Market: ~Copyable {
  /// Who decides on bids.
  public enum Policy: Sendable {
    /// Bid parameters, as they arrive.
    case parameters
    /// Each campaign's default bid on every ad in turn, and nothing more on a day whose budget is
    /// spent: what a person sets up by hand.
    case fixed
  }

  public let world: MarketWorld
  public let policy: Policy
  /// Everything before it has happened.
  public private(set) var now: EventTime
  public let end: EventTime

  var campaigns: ContiguousArray<CampaignState>
  var queue = MarketQueue()
  var writer = RecordWriter()
  /// Records that were sent a second time.
  public internal(set) var duplicates: Int64 = 0
  /// Records that were sent and break the contract.
  public internal(set) var badRecords: Int64 = 0
  let isRecording: Bool
  let opportunityChance: Chance
  let personChance: Chance
  let truthChance: Chance
  /// Bytes of records that come a second time, while they wait.
  var resends: [[UInt8]] = []
  var freeResends: [Int] = []
  private var nextHeartbeat: EventTime

  /// - Parameter isRecording: whether events are written; a baseline needs none.
  public init(_ world: MarketWorld, policy: Policy = .parameters, isRecording: Bool = true) {
    precondition(world.fault == nil, world.fault ?? "")
    self.world = world
    self.policy = policy
    self.isRecording = isRecording
    now = world.start
    end = world.end
    nextHeartbeat = world.start
    opportunityChance = Chance(seed: Chance.mixed(world.seed ^ 0x6f70_706f))
    personChance = Chance(seed: Chance.mixed(world.seed ^ 0x7065_6f70))
    truthChance = Chance(seed: Chance.mixed(world.seed ^ 0x7472_7574))
    campaigns = []
    for (account, settings) in world.accounts.enumerated() {
      for campaign in settings.campaigns {
        let index = campaigns.count
        campaigns.append(
          CampaignState(
            index: index, account: account, campaign, of: settings, in: world,
            draws: truthChance.entity(UInt64(index)), opportunities: opportunityChance))
      }
    }
    announceCampaigns()
  }

  private mutating func announceCampaigns() {
    for index in campaigns.indices {
      let settings = campaigns[index].settings
      queue.push(
        Pending(time: world.start, kind: .campaign, campaign: index, value: settings.budget.micros))
      for change in settings.budgetChanges where world.start + change.after < end {
        queue.push(
          Pending(
            time: world.start + change.after, kind: .campaign, campaign: index,
            value: change.budget.micros))
      }
    }
  }

  // MARK: Time

  /// Lets everything before `until` happen; `until` beyond the world's end is its end.
  ///
  /// How time is cut into steps makes no difference, but for what parameters arrive in between.
  ///
  /// - Parameter records: gets what happened, in the order in which it was sent: by event time,
  ///   but for duplicates, which keep the time of their original.
  public mutating func step(until: EventTime, into records: inout MarketRecords) {
    let limit = min(until, end)
    while true {
      var next = min(queue.first?.time ?? .latest, nextHeartbeat)
      var chosen = -1
      for index in campaigns.indices where campaigns[index].arrivals.next < next {
        next = campaigns[index].arrivals.next
        chosen = index
      }
      guard next < limit else { break }
      if chosen >= 0 {
        offer(campaign: chosen, at: next, into: &records)
      } else if let pending = queue.first, pending.time <= nextHeartbeat {
        queue.removeFirst()
        happen(pending, into: &records)
      } else {
        heartbeat(into: &records)
      }
    }
    now = max(now, limit)
  }

  private mutating func heartbeat(into records: inout MarketRecords) {
    if isRecording {
      writer.clear()
      writer.writeHeartbeat(nextHeartbeat)
      records.append(writer.bytes, time: nextHeartbeat, account: -1)
    }
    nextHeartbeat = nextHeartbeat + world.heartbeat
  }

  /// New parameters for the bidder. It obeys them from `arriving` on, or from `now` where that is
  /// later; of parameters for the same ad the one with the highest `seq` counts.
  public mutating func apply(_ parameters: BidParameters, arriving: EventTime) {
    precondition(
      campaigns.indices.contains(parameters.campaign)
        && campaigns[parameters.campaign].ads.indices.contains(parameters.ad),
      "parameters are for an ad of the world")
    campaigns[parameters.campaign].bidder.receive(parameters, arriving: max(arriving, now))
  }

  // MARK: Names

  public var campaignCount: Int { campaigns.count }

  public func accountName(_ campaign: Int) -> String {
    world.accounts[campaigns[campaign].account].name
  }

  public func campaignName(_ campaign: Int) -> String { campaigns[campaign].settings.name }

  public func adName(_ campaign: Int, _ ad: Int) -> String {
    String(decoding: campaigns[campaign].ads[ad].name, as: UTF8.self)
  }

  public func settings(_ campaign: Int) -> MarketWorld.Campaign { campaigns[campaign].settings }

  /// The bid of a campaign of which nothing is known.
  public func defaultBid(_ campaign: Int) -> Money { campaigns[campaign].bidder.defaultBid }

  public func maxBid(_ campaign: Int) -> Money { campaigns[campaign].bidder.maxBid }

  // MARK: Truth

  /// What an ad is and what it has brought.
  public func truth(_ campaign: Int, _ ad: Int) -> AdTruth { campaigns[campaign].ads[ad].truth }

  public func adCount(_ campaign: Int) -> Int { campaigns[campaign].ads.count }

  /// The days of a campaign so far, in its own time zone; the last one is under way.
  public func days(_ campaign: Int) -> [DayTruth] { campaigns[campaign].days }

  /// What a campaign has brought: the sum of its ads.
  public func total(_ campaign: Int) -> AdTruth {
    var total = AdTruth()
    for ad in campaigns[campaign].ads { total.add(ad.truth) }
    return total
  }
}
