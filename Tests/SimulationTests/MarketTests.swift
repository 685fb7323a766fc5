import Events
import Foundation
import Simulation
import Testing

// The market without a topology: what it writes is what it says that happened, whoever bids and
// however time is cut.

/// A small world: two accounts, three campaigns in as many time zones, one with deals.
func smallWorld(seed: UInt64) -> MarketWorld {
  var world = MarketWorld()
  world.seed = seed
  world.days = 2
  world.log.lostPerMillion = 50_000
  world.log.duplicatesPerMillion = 20_000
  world.log.badPerMillion = 5_000
  func campaign(_ name: String, _ zone: MarketZone) -> MarketWorld.Campaign {
    var campaign = MarketWorld.Campaign()
    campaign.name = name
    campaign.zone = zone
    campaign.ads = 4
    campaign.opportunitiesPerSecond = 0.4
    campaign.budget = Money(micros: 20_000_000)
    campaign.clickRate = .init(mean: 0.05, spread: 5)
    campaign.conversionRate = .init(mean: 0.2, spread: 3)
    campaign.value = .init(mean: Money(micros: 1_000_000), sigma: 0.5)
    return campaign
  }
  world.accounts = [
    MarketWorld.Account(), MarketWorld.Account(),
  ]
  world.accounts[0].name = "north"
  world.accounts[0].users = 500
  world.accounts[0].campaigns = [campaign("boots", .utc), campaign("tents", newYork)]
  world.accounts[0].campaigns[0].budgetChanges = [
    .init(after: .hours(30), budget: Money(micros: 35_000_000))
  ]
  world.accounts[1].name = "south"
  world.accounts[1].users = 800
  world.accounts[1].campaigns = [campaign("leads", .utc)]
  world.accounts[1].campaigns[0].deals = .init()
  return world
}

/// Its clocks go forward on 2026-03-08.
let newYork = MarketZone(
  name: "America/New_York",
  changes: [
    .init(from: EventTime(milliseconds: 1_762_063_200_000), offsetSeconds: -18_000),
    .init(from: EventTime(milliseconds: 1_772_953_200_000), offsetSeconds: -14_400),
  ])

/// A market that has come to its end, and all that it has sent.
struct Played: ~Copyable {
  var market: Market
  var records = MarketRecords()

  /// - Parameter feedback: called after every step, and may apply parameters.
  init(
    _ world: MarketWorld, step: TimeSpan = .minutes(1), policy: Market.Policy = .parameters,
    _ feedback: (inout Market) -> Void = { _ in }
  ) {
    market = Market(world, policy: policy)
    while market.now < market.end {
      market.step(until: market.now + step, into: &records)
      feedback(&market)
    }
  }

  /// Each record as JSON; nil for what is none.
  var objects: [[String: Any]?] {
    records.records.map { record in
      let bytes = records.bytes[record.start..<record.start + record.count]
      return try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
    }
  }

  /// What a reader makes of it: refused records and second ones are left out.
  var accepted: [[String: Any]] {
    var seen: Set<String> = []
    return objects.compactMap { $0 }.filter { event in
      guard let type = event["type"] as? String, type != "heartbeat" else { return false }
      if type == "impression", !(event["price"] is NSNumber) { return false }
      return seen.insert("\(type) \(event["account"] ?? "") \(event["id"] ?? "")").inserted
    }
  }
}

private func micros(_ value: Any?) -> Int64 {
  Int64((((value as? NSNumber)?.doubleValue ?? 0) * 1e6).rounded())
}

/// Tells the bidder something new about some ad after every step, as the seed has it.
private func scripted(_ seed: UInt64) -> (inout Market) -> Void {
  var random = SplitMix64(seed: seed)
  var seq: Int64 = 0
  return { market in
    let campaign = Int(random.next() % UInt64(market.campaignCount))
    seq += 1
    market.apply(
      BidParameters(
        campaign: campaign, ad: Int(random.next() % UInt64(market.adCount(campaign))), seq: seq,
        status: BidParameters.Status.allCases[Int(random.next() % 5)],
        bid: Money(micros: Int64(random.next() % 30_000)), maxBid: Money(micros: 25_000),
        validUntil: market.now + .minutes(Int64(random.next() % 60)), share: random.nextUnit()),
      arriving: market.now + .milliseconds(Int64(random.next() % 3_000)))
  }
}

@Suite struct MarketTests {
  @Test func aSeedGivesTheSameBytes() {
    let one = Played(smallWorld(seed: 11))
    let two = Played(smallWorld(seed: 11))
    let other = Played(smallWorld(seed: 12))
    #expect(one.records.records.count > 20_000)
    #expect(one.records.bytes == two.records.bytes)
    #expect(one.records.bytes != other.records.bytes)
  }

  @Test func stepsMakeNoDifferenceToAConstantBidder() {
    let world = smallWorld(seed: 21)
    let reference = Played(world, step: .seconds(5))
    for step in [TimeSpan.milliseconds(700), .minutes(7), .days(3)] {
      let played = Played(world, step: step)
      #expect(played.records.bytes == reference.records.bytes, "steps of \(step.milliseconds) ms")
      for campaign in 0..<3 {
        #expect(played.market.total(campaign) == reference.market.total(campaign))
        #expect(played.market.days(campaign) == reference.market.days(campaign))
      }
    }
  }

  @Test(arguments: [UInt64(31), 32, 33])
  func truthIsWhatTheEventsSay(seed: UInt64) throws {
    print("seed \(seed)")
    let world = smallWorld(seed: seed)
    let played = Played(world, step: .minutes(1), scripted(seed))
    var counted: [String: AdTruth] = [:]
    var origins: [String: String] = [:]
    for event in played.accepted {
      let key = event["ad"] as? String
      switch event["type"] as? String {
      case "impression":
        counted[try #require(key), default: AdTruth()].impressions += 1
        counted[try #require(key), default: AdTruth()].spend.rawValue += micros(event["price"])
        #expect(micros(event["price"]) <= micros(event["bid"]))
      case "click":
        counted[try #require(key), default: AdTruth()].clicks += 1
        // A conversion's order is made from the identifier that its click has too.
        let id = try #require(event["id"] as? String)
        origins["o-" + id.suffix(12)] = key
      case "conversion":
        let order = try #require(event["order"] as? String)
        let ad = try #require(origins[order])
        counted[ad, default: AdTruth()].conversions += 1
        counted[ad, default: AdTruth()].value.rawValue += micros(event["value"])
      default: break
      }
    }
    for campaign in 0..<played.market.campaignCount {
      for ad in 0..<played.market.adCount(campaign) {
        let truth = played.market.truth(campaign, ad)
        let name = played.market.adName(campaign, ad)
        let found = counted[name] ?? AdTruth()
        #expect(found.impressions == truth.impressions, "\(name)")
        #expect(found.spend == truth.spend, "\(name)")
        #expect(found.clicks == truth.clicks, "\(name)")
        #expect(found.conversions == truth.conversions, "\(name)")
        #expect(found.value == truth.value, "\(name)")
        #expect(truth.causedConversions >= truth.conversions)
      }
      let total = played.market.total(campaign)
      let days = played.market.days(campaign)
      #expect(total.conversions > 0)
      #expect(days.reduce(0) { $0 + $1.spend.micros } == total.spend.micros)
      #expect(days.reduce(0) { $0 + $1.impressions } == total.impressions)
    }
  }

  @Test func recordsComeInTheOrderOfTime() {
    let played = Played(smallWorld(seed: 41), scripted(41))
    var newest = EventTime.earliest
    var late = 0
    for record in played.records.records {
      // Only what is sent again is older than what was sent before.
      if record.time < newest { late += 1 }
      newest = max(newest, record.time)
      #expect((newest - record.time).milliseconds < 5_000)
    }
    let duplicates = played.objects.compactMap { $0 }.count - played.accepted.count
    #expect(late > 0)
    #expect(late < duplicates)
  }

  @Test func timeAlwaysGoesOn() {
    let played = Played(smallWorld(seed: 42))
    let beats = played.objects.compactMap { $0 }.filter { $0["type"] as? String == "heartbeat" }
    #expect(beats.count == 2 * 8640)
    #expect(played.market.now == played.market.end)
  }

  @Test func whoeverBidsMeetsTheSameWorld() {
    let world = smallWorld(seed: 51)
    let constant = Played(world, policy: .fixed)
    let busy = Played(world, scripted(51))
    for campaign in 0..<3 {
      let pair = zip(constant.market.days(campaign), busy.market.days(campaign))
      for (one, other) in pair {
        #expect(one.opportunities == other.opportunities)
        #expect(one.reachable == other.reachable)
        #expect(one.spend != other.spend)
      }
    }
  }

  @Test func aConstantBidStopsAtItsBudget() {
    let world = smallWorld(seed: 52)
    let played = Played(world, policy: .fixed)
    var exhausted = 0
    for campaign in 0..<3 {
      let bid = played.market.defaultBid(campaign)
      for day in played.market.days(campaign) {
        #expect(day.spend.micros < day.budget.micros + bid.micros)
        if day.spend >= day.budget { exhausted += 1 }
        #expect(day.reachable >= day.spend)
      }
      // Every ad in turn: none is shown twice as often as another.
      let shown = (0..<4).map { played.market.truth(campaign, $0).impressions }.sorted()
      #expect(shown[3] < shown[0] * 2)
    }
    #expect(exhausted > 0)
  }

  @Test func daysAreTheCampaignsOwn() {
    var world = smallWorld(seed: 53)
    world.start = EventTime(milliseconds: 1_772_841_600_000)  // 2026-03-07T00:00:00Z
    world.days = 3
    let played = Played(world)
    let utc = played.market.days(0)
    #expect(utc.count == 3)
    #expect(utc.allSatisfy { $0.isWhole && ($0.end - $0.start) == .hours(24) })
    // The budget was changed after thirty hours, on the second day.
    #expect(utc.map(\.budget.micros) == [20_000_000, 35_000_000, 35_000_000])
    let west = played.market.days(1)
    #expect(west.map { ($0.end - $0.start).milliseconds / 3_600_000 } == [24, 24, 23, 24])
    #expect(west.map(\.isWhole) == [false, true, true, false])
    #expect(west[2].start == EventTime(rfc3339: "2026-03-08T05:00:00Z"))
  }

  @Test func adsDifferAsTheyWereAskedTo() {
    let played = Played(smallWorld(seed: 61))
    for campaign in 0..<3 {
      let truths = (0..<4).map { played.market.truth(campaign, $0) }
      let clicks = truths.map(\.clickRate).sorted()
      #expect(abs(clicks[3] / clicks[0] - 5) < 1e-9)
      #expect(abs(clicks.reduce(0, +) / 4 - 0.05) < 1e-12)
      let conversions = truths.map(\.conversionRate).sorted()
      #expect(abs(conversions[3] / conversions[0] - 3) < 1e-9)
      // What happened is what was likely, within five standard deviations.
      let total = played.market.total(campaign)
      #expect(
        abs(Double(total.clicks) - total.expectedClicks) < 5 * total.expectedClicks.squareRoot())
      #expect(
        abs(Double(total.causedConversions) - total.expectedConversions)
          < 5 * total.expectedConversions.squareRoot())
    }
  }

  /// A day at the highest prices that a world may have is worth more than 2⁶³ − 1 micros.
  @Test(arguments: [Market.Policy.parameters, .fixed])
  func theHighestPricesDoNotOverflow(policy: Market.Policy) {
    var world = MarketWorld()
    world.days = 1
    var campaign = world.accounts[0].campaigns[0]
    let highest = Money(micros: 1_000_000_000_000_000)
    campaign.ads = 2
    campaign.opportunitiesPerSecond = 1
    campaign.budget = highest
    campaign.defaultBid = highest
    campaign.maxBid = highest
    campaign.rivals.median = Money(micros: 900_000_000_000_000)
    campaign.rivals.sigma = 0
    campaign.rivals.drift = 0
    campaign.clickRate = .init(mean: 0.5, spread: 1)
    campaign.conversionRate = .init(mean: 0.5, spread: 1)
    campaign.value = .init(mean: highest, sigma: 3)
    world.accounts[0].campaigns = [campaign]
    var market = Market(world, policy: policy)
    var records = MarketRecords()
    market.step(until: market.end, into: &records)
    let day = market.days(0)[0]
    #expect(day.reachable == Money(micros: Int64.max))
    #expect(day.spend > .zero && day.busiest > .zero && day.busiest <= day.spend)
    let total = market.total(0)
    if policy == .parameters {
      #expect(day.spend == Money(micros: Int64.max) && total.spend == day.spend)
    } else {
      #expect(total.spend == day.spend)
    }
  }
}

@Suite struct BidderTests {
  /// One campaign with two ads; a bid of a unit of currency wins everything.
  private func world() -> MarketWorld {
    var world = MarketWorld()
    world.days = 1
    world.accounts[0].campaigns[0].ads = 2
    world.accounts[0].campaigns[0].maxBid = Money(micros: 2_000_000)
    world.accounts[0].campaigns[0].defaultBid = Money(micros: 1)
    return world
  }

  private func parameters(
    _ ad: Int, seq: Int64, bid: Int64 = 1_000_000, until: EventTime = .latest,
    status: BidParameters.Status = .active, share: Double = 0.5, maxBid: Int64 = 5_000_000
  ) -> BidParameters {
    BidParameters(
      campaign: 0, ad: ad, seq: seq, status: status, bid: Money(micros: bid),
      maxBid: Money(micros: maxBid), validUntil: until, share: share)
  }

  /// Impressions of each ad in the next ten minutes.
  private func shown(_ market: inout Market) -> [Int64] {
    let before = (0..<2).map { market.truth(0, $0).impressions }
    var records = MarketRecords()
    market.step(until: market.now + .minutes(10), into: &records)
    return (0..<2).map { market.truth(0, $0).impressions - before[$0] }
  }

  @Test func anAdOfWhichNothingIsKnownGetsTheDefaultBid() {
    var world = world()
    var market = Market(world)
    #expect(shown(&market) == [0, 0])
    world.accounts[0].campaigns[0].defaultBid = Money(micros: 1_000_000)
    var generous = Market(world)
    #expect(shown(&generous).allSatisfy { $0 > 100 })
  }

  @Test func theHighestSequenceNumberCounts() {
    var market = Market(world())
    market.apply(parameters(0, seq: 2), arriving: market.now)
    market.apply(parameters(0, seq: 1, status: .paused), arriving: market.now)
    market.apply(parameters(0, seq: 2, status: .paused), arriving: market.now)
    #expect(shown(&market)[0] > 100)
    market.apply(parameters(0, seq: 3, status: .paused), arriving: market.now)
    #expect(shown(&market) == [0, 0])
  }

  @Test(arguments: BidParameters.Status.allCases)
  func onlySomeStatusesBid(status: BidParameters.Status) {
    var market = Market(world())
    market.apply(parameters(1, seq: 1, status: status), arriving: market.now)
    let expected = status == .learning || status == .active
    #expect((shown(&market)[1] > 0) == expected)
  }

  @Test func parametersLapse() {
    var market = Market(world())
    market.apply(
      parameters(0, seq: 1, until: market.now + .minutes(10)), arriving: market.now)
    #expect(shown(&market)[0] > 100)
    #expect(shown(&market) == [0, 0])
    market.apply(parameters(0, seq: 2), arriving: market.now)
    #expect(shown(&market)[0] > 100)
  }

  @Test func parametersAreUnderWayForAWhile() {
    var market = Market(world())
    market.apply(parameters(0, seq: 1), arriving: market.now + .minutes(10))
    #expect(shown(&market) == [0, 0])
    #expect(shown(&market)[0] > 100)
  }

  @Test func noBidIsAboveItsLimits() {
    var market = Market(world())
    market.apply(parameters(0, seq: 1, maxBid: 3), arriving: market.now)
    #expect(shown(&market) == [0, 0])
    market.apply(parameters(0, seq: 2, bid: .max, maxBid: .max), arriving: market.now)
    var records = MarketRecords()
    market.step(until: market.now + .minutes(1), into: &records)
    let text = String(decoding: records.bytes, as: UTF8.self)
    #expect(text.contains("\"bid\":2,"))
  }

  @Test func sharesDecideHowOftenAnAdIsShown() {
    var market = Market(world())
    market.apply(parameters(0, seq: 1, share: 0.9), arriving: market.now)
    market.apply(parameters(1, seq: 1, share: 0.1), arriving: market.now)
    let counts = shown(&market)
    #expect(counts[0] > 4 * counts[1])
    #expect(counts[1] > 0)
    // Without a share there is nothing to choose.
    market.apply(parameters(0, seq: 2, share: 0), arriving: market.now)
    market.apply(parameters(1, seq: 2, share: .nan), arriving: market.now)
    #expect(shown(&market) == [0, 0])
  }

  @Test func theHighestBidIsChosenWhereThatIsAskedFor() {
    var world = world()
    world.bidder.choice = .bid
    var market = Market(world)
    market.apply(parameters(0, seq: 1, bid: 900_000, share: 0.9), arriving: market.now)
    market.apply(parameters(1, seq: 1, bid: 1_000_000, share: 0.1), arriving: market.now)
    let counts = shown(&market)
    #expect(counts[0] == 0)
    #expect(counts[1] > 100)
  }
}
