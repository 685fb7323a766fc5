import Events
import Learning

/// A campaign in its market: the truth about its ads, its people, its rivals and its bidder.
struct CampaignState {
  struct Ad {
    let name: [UInt8]
    var truth = AdTruth()
  }

  /// What a person who comes again has lived through with this campaign.
  struct Memory {
    var at = EventTime.earliest
    /// 0…1.
    var interest: Float = 0
    /// Impressions, fading.
    var exposures: Float = 0
  }

  let index: Int
  let account: Int
  let settings: MarketWorld.Campaign
  let accountName: [UInt8]
  let name: [UInt8]
  /// What its identifiers are made from.
  let salt: UInt64
  let users: Int
  let newcomers: Double

  var ads: ContiguousArray<Ad>
  var memories: ContiguousArray<Memory>
  var arrivals: Arrivals
  let rivals: RivalBids
  let floor: Int64
  var bidder: Bidder
  let fixedBid: Int64

  var days: [DayTruth]
  var recent: RecentSpend
  var budget: Money
  private let worldStart: EventTime
  private let worldEnd: EventTime

  init(
    index: Int, account: Int, _ settings: MarketWorld.Campaign, of owner: MarketWorld.Account,
    in world: MarketWorld, draws: Chance.Draws, opportunities: Chance
  ) {
    self.index = index
    self.account = account
    self.settings = settings
    accountName = Array(owner.name.utf8)
    name = Array(settings.name.utf8)
    salt = draws.bits(.identifier)
    users = owner.users
    newcomers = owner.newcomers
    memories = ContiguousArray(repeating: Memory(), count: owner.users)
    arrivals = Arrivals(campaign: index, settings, in: world, chance: opportunities)
    rivals = RivalBids(settings.rivals)
    floor = settings.rivals.floor.micros
    budget = settings.budget
    recent = RecentSpend(
      span: .milliseconds(
        world.bidder.step.milliseconds + world.bidder.latency.milliseconds))
    worldStart = world.start
    worldEnd = world.end

    let clicks = CampaignState.rates(settings.clickRate, settings.ads, draws, .quality)
    let conversions = CampaignState.rates(
      settings.conversionRate, settings.ads, draws, .conversionQuality)
    ads = ContiguousArray(
      (0..<settings.ads).map { ad in
        var state = Ad(name: Array("\(settings.name)-\(ad + 1)".utf8))
        state.truth.clickRate = clicks[ad]
        state.truth.conversionRate = conversions[ad]
        return state
      })
    let worth =
      zip(clicks, conversions).reduce(0) { $0 + $1.0 * $1.1 } / Double(settings.ads)
      * Double(settings.value.mean.micros)
    let usual = settings.defaultBid ?? Money(micros: max(1, Int64(min(worth, 1e15).rounded())))
    let highest = settings.maxBid ?? Money(micros: usual.micros * 5)
    fixedBid = min(usual, highest).micros
    bidder = Bidder(
      ads: settings.ads, defaultBid: usual, maxBid: highest, choice: world.bidder.choice)
    days = []
    beginDay(at: world.start)
  }

  /// Rates of a campaign's ads: evenly spread on a logarithmic scale, in an order left to chance,
  /// with the mean that was asked for.
  private static func rates(
    _ rate: MarketWorld.Rate, _ count: Int, _ draws: Chance.Draws, _ purpose: Chance.Purpose
  ) -> [Double] {
    let order = (0..<count).map { (draws.bits(purpose, UInt64($0)), $0) }.sorted { $0 < $1 }
    var factors = [Double](repeating: 1, count: count)
    for (place, entry) in order.enumerated() where count > 1 {
      let position = Double(place) / Double(count - 1) - 0.5
      factors[entry.1] = Elementary.positivePower(rate.spread, position)
    }
    let mean = factors.reduce(0, +) / Double(count)
    return factors.map { min(0.9, rate.mean * $0 / mean) }
  }

  // MARK: Days

  mutating func beginDay(at time: EventTime) {
    let day = settings.zone.day(containing: time)
    days.append(
      DayTruth(
        start: day.start, end: day.end, isWhole: day.start >= worldStart && day.end <= worldEnd,
        budget: budget))
  }

  @inline(__always)
  mutating func spend(_ price: Int64, at time: EventTime, day: Int) {
    let stretch = recent.add(price, at: time)
    days[day].spend.add(micros: price)
    days[day].impressions += 1
    days[day].lastSpentAt = time
    days[day].busiest.rawValue = max(days[day].busiest.rawValue, stretch)
    if days[day].exhaustedAt == nil, days[day].spend >= days[day].budget {
      days[day].exhaustedAt = time
    }
  }

  mutating func setBudget(_ budget: Money) {
    self.budget = budget
    days[days.count - 1].budget = budget
    if days[days.count - 1].spend < budget { days[days.count - 1].exhaustedAt = nil }
  }

  // MARK: People

  /// How many times likelier than an average person this one is to click on an ad.
  @inline(__always)
  func appeal(to user: Int, at time: EventTime, affinity: Double) -> Double {
    guard user >= 0 else { return affinity }
    let memory = recalled(user, at: time)
    let worn = settings.people.worn
    let freshness = worn + (1 - worn) * 4 / (4 + Double(memory.exposures))
    return affinity * (1 + settings.people.interest * Double(memory.interest)) * freshness
  }

  /// How many times likelier to convert after a click.
  @inline(__always)
  func resolve(of user: Int, at time: EventTime, affinity: Double) -> Double {
    guard user >= 0 else { return affinity }
    return affinity
      * (1 + settings.people.interest * Double(recalled(user, at: time).interest))
  }

  /// A person's memory as it has faded until now: half of it in three days.
  @inline(__always)
  private func recalled(_ user: Int, at time: EventTime) -> Memory {
    var memory = memories[user]
    guard memory.exposures > 0 || memory.interest > 0 else {
      memory.at = time
      return memory
    }
    let halves = Float((time - memory.at).milliseconds) / 259_200_000
    // 2^-x for x ≥ 0 as 1 / (1 + x ln 2 + (x ln 2)² / 2): close enough for a memory, and cheap.
    let x = max(halves, 0) * 0.6931472
    let left = 1 / (1 + x + x * x / 2)
    memory.interest *= left
    memory.exposures *= left
    memory.at = max(time, memory.at)
    return memory
  }

  @inline(__always)
  mutating func remember(impressionBy user: Int, at time: EventTime) {
    guard user >= 0 else { return }
    var memory = recalled(user, at: time)
    memory.exposures += 1
    memories[user] = memory
  }

  mutating func remember(clickBy user: Int, at time: EventTime) {
    guard user >= 0 else { return }
    var memory = recalled(user, at: time)
    memory.interest += (1 - memory.interest) * 0.4
    memories[user] = memory
  }
}
