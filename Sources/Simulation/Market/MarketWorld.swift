public import Events

/// What a market is like. Every field has a default; the default of the whole is one account with
/// one campaign.
public struct MarketWorld: Sendable, Equatable {
  /// Everything that is left to chance follows from it.
  public var seed: UInt64 = 1
  public var start = EventTime(milliseconds: 1_772_409_600_000)
  /// 1…366.
  public var days = 5
  public var accounts = [Account()]
  public var bidder = Bidder()
  public var log = Log()

  public init() {}

  public var end: EventTime { start + .days(Int64(days)) }
  var heartbeat: TimeSpan { log.heartbeat }

  /// How bids are made and how soon a bidder knows better.
  public struct Bidder: Sendable, Equatable {
    /// Which of a campaign's ads is put into an auction.
    public enum Choice: String, Sendable, CaseIterable {
      /// One drawn by `share`.
      case share
      /// The one with the highest bid.
      case bid
    }

    public var choice = Choice.share
    /// Event time that a closed loop lets pass before it processes what happened.
    public var step = TimeSpan.seconds(5)
    /// From the publication of parameters until the bidder obeys them.
    public var latency = TimeSpan.seconds(1)

    public init() {}
  }

  /// What is written down, beside what happened.
  public struct Log: Sendable, Equatable {
    /// Lost auctions that are told, in a million.
    public var lostPerMillion = 20_000
    /// Records that come a second time, in a million.
    public var duplicatesPerMillion = 2_000
    /// Records that break the contract, in a million impressions.
    public var badPerMillion = 200
    /// A heartbeat comes at every multiple of this.
    public var heartbeat = TimeSpan.seconds(10)

    public init() {}
  }

  /// An advertiser's account and the people whom its campaigns reach.
  public struct Account: Sendable, Equatable {
    /// Letters, digits, `.`, `_` and `-`, at most 64.
    public var name = "account"
    /// People who come again and again, 1…1,000,000.
    public var users = 20_000
    /// The part of opportunities that somebody brings who never came before.
    public var newcomers = 0.2
    public var campaigns = [Campaign()]

    public init() {}
  }

  public struct Campaign: Sendable, Equatable {
    /// Letters, digits, `.`, `_` and `-`, at most 64.
    public var name = "campaign"
    /// Where its day begins and ends, and by whose clock its people live.
    public var zone = MarketZone.utc
    /// Per day.
    public var budget = Money(micros: 100_000_000)
    public var budgetChanges: [BudgetChange] = []
    /// Nil: what an impression of an average ad is worth.
    public var defaultBid: Money?
    /// Nil: five times the default bid.
    public var maxBid: Money?
    /// 1…999.
    public var ads = 6
    /// On average over a day.
    public var opportunitiesPerSecond = 2.0
    /// Traffic by hour of the day, relative to their mean; 24 positive numbers.
    public var hours = MarketWorld.usualHours
    /// Clicks per impression.
    public var clickRate = Rate(mean: 0.015, spread: 5)
    /// Conversions per click.
    public var conversionRate = Rate(mean: 0.06, spread: 5)
    /// Of a conversion.
    public var value = Amount(mean: Money(micros: 10_000_000), sigma: 0.5)
    public var rivals = Rivals()
    public var delay = Delay()
    public var people = People()
    /// What follows a conversion in a CRM; nil for nothing.
    public var deals: Deals?

    public init() {}
  }

  /// The daily budget from a moment on.
  public struct BudgetChange: Sendable, Equatable {
    /// Since the world's start.
    public var after: TimeSpan
    public var budget: Money

    public init(after: TimeSpan, budget: Money) {
      self.after = after
      self.budget = budget
    }
  }

  /// A rate that differs between the ads of a campaign.
  public struct Rate: Sendable, Equatable {
    /// Over the ads; above 0 and at most 0.5.
    public var mean: Double
    /// The best ad's rate over the worst one's, 1…100.
    public var spread: Double

    public init(mean: Double, spread: Double) {
      self.mean = mean
      self.spread = spread
    }
  }

  /// A log-normal amount.
  public struct Amount: Sendable, Equatable {
    public var mean: Money
    /// Of its logarithm, 0…3.
    public var sigma: Double

    public init(mean: Money, sigma: Double) {
      self.mean = mean
      self.sigma = sigma
    }
  }

  /// The highest of the other bids: log-normal around a level that drifts from hour to hour.
  public struct Rivals: Sendable, Equatable {
    public var median = Money(micros: 8_000)
    /// Of the bid's logarithm, 0…3.
    public var sigma = 0.6
    /// Of the level's logarithm, 0…2.
    public var drift = 0.15
    /// Nothing is sold for less.
    public var floor = Money(micros: 500)

    public init() {}
  }

  /// From click to conversion: soon after, or a truncated Weibull delay.
  public struct Delay: Sendable, Equatable {
    /// The part of conversions within half an hour.
    public var soon = 0.45
    public var shape = 0.75
    public var scale = TimeSpan.hours(10)
    public var longest = TimeSpan.days(2)

    public init() {}
  }

  /// How people change rates.
  public struct People: Sendable, Equatable {
    /// How much they differ in their inclination, as sigma of its logarithm, 0…1.
    public var affinity = 0.3
    /// How much interest, gained by clicks and lost over days, raises both rates.
    public var interest = 0.8
    /// What is left of an ad's draw on somebody who has seen the campaign all too often, 0…1.
    public var worn = 0.6

    public init() {}
  }

  /// Stages that a conversion may go on through until it is won or lost.
  public struct Deals: Sendable, Equatable {
    public var pipeline = "default"
    public var stages = [
      Stage(name: "qualified", chance: 0.6, after: .hours(6)),
      Stage(name: "proposal", chance: 0.6, after: .hours(12)),
      Stage(name: "won", chance: 0.5, after: .hours(18)),
    ]

    public init() {}

    public struct Stage: Sendable, Equatable {
      public var name: String
      /// That a deal comes here from the stage before; else it is lost.
      public var chance: Double
      /// On average.
      public var after: TimeSpan

      public init(name: String, chance: Double, after: TimeSpan) {
        self.name = name
        self.chance = chance
        self.after = after
      }
    }
  }

  /// Quiet nights, busy evenings.
  public static let usualHours: [Double] = [
    0.45, 0.35, 0.30, 0.28, 0.30, 0.40, 0.60, 0.85, 1.05, 1.15, 1.20, 1.20,
    1.25, 1.20, 1.15, 1.15, 1.20, 1.30, 1.45, 1.60, 1.65, 1.50, 1.10, 0.70,
  ]

  /// Names that need no escape in JSON and no quotes in a shell.
  public static func isName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
          UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }
}

extension MarketWorld {
  /// What is beyond the limits of a market; nil where it is fine. Files are checked with places
  /// before; this holds for worlds that code made.
  public var fault: String? {
    guard (1...366).contains(days) else { return "a market has 1…366 days" }
    guard start >= .earliest, start + .days(366) < .latest else {
      return "a market lies between 1970 and 9998"
    }
    guard log.heartbeat.milliseconds > 0, bidder.step.milliseconds > 0 else {
      return "heartbeats and steps are longer than nothing"
    }
    guard !accounts.isEmpty, Set(accounts.map(\.name)).count == accounts.count else {
      return "a market has at least one account, and no two of one name"
    }
    for account in accounts {
      if let fault = account.fault { return "\(account.name): \(fault)" }
    }
    return nil
  }
}

extension MarketWorld.Account {
  fileprivate var fault: String? {
    guard MarketWorld.isName(name) else { return "not a name" }
    guard (1...1_000_000).contains(users), (0...1).contains(newcomers) else {
      return "1…1,000,000 users and 0…1 newcomers"
    }
    guard !campaigns.isEmpty, Set(campaigns.map(\.name)).count == campaigns.count else {
      return "an account has at least one campaign, and no two of one name"
    }
    for campaign in campaigns {
      if let fault = campaign.fault { return "\(campaign.name): \(fault)" }
    }
    return nil
  }
}

extension MarketWorld.Campaign {
  fileprivate var fault: String? {
    guard MarketWorld.isName(name) else { return "not a name" }
    guard (1...999).contains(ads) else { return "1…999 ads" }
    guard hours.count == 24, hours.allSatisfy({ $0 > 0 && $0 <= 1000 }) else {
      return "24 positive hours"
    }
    guard opportunitiesPerSecond > 0, opportunitiesPerSecond <= 10_000 else {
      return "up to 10,000 opportunities per second"
    }
    for rate in [clickRate, conversionRate] {
      guard rate.mean > 0, rate.mean <= 0.5, (1...100).contains(rate.spread) else {
        return "rates above 0 and up to 0.5, that spread by 1…100"
      }
    }
    let amounts =
      [budget, value.mean, rivals.median, rivals.floor] + [defaultBid, maxBid].compactMap { $0 }
      + budgetChanges.map(\.budget)
    guard amounts.allSatisfy({ (1...1_000_000_000_000_000).contains($0.micros) }) else {
      return "amounts above 0 and up to a thousand million"
    }
    guard (0...3).contains(value.sigma), (0...3).contains(rivals.sigma),
      (0...2).contains(rivals.drift), (0...1).contains(people.affinity),
      (0...10).contains(people.interest), (0...1).contains(people.worn),
      (0...1).contains(delay.soon), (0.1...10).contains(delay.shape),
      delay.scale.milliseconds > 0, delay.longest >= .hours(1), delay.longest <= .days(60)
    else { return "a spread or a delay is out of bounds" }
    let stages = deals?.stages ?? []
    guard stages.allSatisfy({ MarketWorld.isName($0.name) && (0...1).contains($0.chance) }),
      deals.map({ MarketWorld.isName($0.pipeline) }) ?? true
    else { return "deal stages have names and chances of 0…1" }
    return nil
  }
}
