import Bidding
import Events
import LocalLog
import Simulation
import Streaming

/// A market's world as a YAML file: every field may be left out, and what is wrong is said with its
/// place.
enum WorldFile {
  static func load(_ path: String) throws(TopologyError) -> MarketWorld {
    try world(try SettingsFile.load(path: path, as: settings))
  }

  /// Whether a YAML file means to be a world: it has the key `world`.
  static func isWorld(_ path: String) -> Bool {
    guard PathKind(path) == .file, let input = try? FileInput(path: path) else { return false }
    let chunk = RecordChunk()
    while (try? input.fetch(into: chunk, maxRecords: 4096)) == .records {
      if chunk.records.contains(where: { $0.value.starts(with: "world:".utf8) }) { return true }
    }
    return false
  }

  /// - Parameter name: what problems are reported under.
  static func parse(_ text: String, name: String) throws(TopologyError) -> MarketWorld {
    try world(try SettingsFile.parse(text, file: name, as: settings))
  }

  private static func world(_ file: SettingsFile) throws(TopologyError) -> MarketWorld {
    var reader = WorldReader(file: file)
    let world = reader.world()
    guard reader.problems.isEmpty else { throw TopologyError(reader.problems) }
    return world
  }

  // MARK: What a file may say

  static let settings: [SettingDescription] = [
    SettingDescription(
      "world", .text, default: "market", meaning: "A name, for people."),
    SettingDescription(
      "seed", .integer(0...Int64.max), default: "1",
      meaning: "Everything that is left to chance follows from it."),
    SettingDescription(
      "start", .text, default: "2026-03-02T00:00:00Z", meaning: "When it begins (RFC 3339)."),
    SettingDescription("days", .integer(1...366), default: "5", meaning: "How long it goes on."),
    SettingDescription(
      "bidder",
      .structure([
        SettingDescription(
          "choice", .choice(["share", "bid"]), default: "share",
          meaning: """
            Which ad of a campaign is put into an auction: one drawn by `share`, or the one with \
            the highest bid.
            """),
        SettingDescription(
          "step", .duration(.milliseconds(10) ... .hours(1)), default: "5s",
          meaning: "Event time that passes before what happened is processed."),
        SettingDescription(
          "latency", .duration(.seconds(0) ... .hours(1)), default: "1s",
          meaning: "From the publication of parameters until the bidder obeys them."),
      ]), default: "{}", meaning: "How bids are made."),
    SettingDescription(
      "log",
      .structure([
        SettingDescription(
          "lost_auctions", .number(0...1), default: "0.02",
          meaning: "The part of lost auctions that is written down."),
        SettingDescription(
          "duplicates", .number(0...1), default: "0.002",
          meaning: "The part of records that come twice."),
        SettingDescription(
          "bad_records", .number(0...1), default: "0.0002",
          meaning: "Records that break the contract, per impression."),
        SettingDescription(
          "heartbeat", .duration(.milliseconds(100) ... .hours(1)), default: "10s",
          meaning: "How often time is told where nothing happens."),
      ]), default: "{}", meaning: "What is written down, beside what happened."),
    SettingDescription(
      "accounts", .list(.structure(account)), default: "[{}]",
      meaning: "Advertisers, with the people whom they reach."),
  ]

  private static let account: [SettingDescription] = [
    SettingDescription("name", .text, default: "\"\"", meaning: "Default: `account-1` and so on."),
    SettingDescription(
      "users", .integer(1...1_000_000), default: "20000", meaning: "People who come again."),
    SettingDescription(
      "newcomers", .number(0...1), default: "0.2",
      meaning: "The part of opportunities that somebody brings who never came before."),
    SettingDescription(
      "campaigns", .list(.structure(campaign)), default: "[{}]", meaning: "At least one."),
  ]

  private static let amount = SettingKind.number(0.000001...1_000_000_000)
  private static let amountOrAuto = SettingKind.either([.choice(["auto"]), amount])

  private static let campaign: [SettingDescription] = [
    SettingDescription("name", .text, default: "\"\"", meaning: "Default: `campaign-1` and so on."),
    SettingDescription(
      "timezone", .text, default: "UTC", meaning: "Where its day begins (IANA name)."),
    SettingDescription("budget", amount, default: "100", meaning: "A day."),
    SettingDescription(
      "budget_changes",
      .list(
        .structure([
          SettingDescription(
            "after", .duration(.seconds(0) ... .days(366)), default: "1d",
            meaning: "Since the world's start."),
          SettingDescription("budget", amount, default: "100", meaning: "From then on."),
        ])), default: "[]", meaning: "Daily budgets that change on the way."),
    SettingDescription(
      "bid",
      .structure([
        SettingDescription(
          "default", amountOrAuto, default: "auto",
          meaning: "`auto`: what an impression of an average ad is worth."),
        SettingDescription(
          "max", amountOrAuto, default: "auto", meaning: "`auto`: five times the default."),
      ]), default: "{}", meaning: "For an impression."),
    SettingDescription("ads", .integer(1...999), default: "6", meaning: "How many."),
    SettingDescription(
      "opportunities", .number(0.001...10_000), default: "2",
      meaning: "A second, on average over a day."),
    SettingDescription(
      "hours", .list(.number(0.001...1000)),
      default: "[" + MarketWorld.usualHours.map { "\($0)" }.joined(separator: ", ") + "]",
      meaning: "Traffic by hour of the local day, relative to its mean; 24 numbers."),
    rate("click_rate", mean: "0.015", "Clicks per impression, over the ads."),
    rate("conversion_rate", mean: "0.06", "Conversions per click, over the ads."),
    SettingDescription(
      "value",
      .structure([
        SettingDescription("mean", amount, default: "10", meaning: "Of a conversion."),
        SettingDescription(
          "sigma", .number(0...3), default: "0.5", meaning: "Of its logarithm."),
      ]), default: "{}", meaning: "Of a conversion: log-normal."),
    SettingDescription(
      "rivals",
      .structure([
        SettingDescription("median", amount, default: "0.008", meaning: "Of the highest of them."),
        SettingDescription("sigma", .number(0...3), default: "0.6", meaning: "Of its logarithm."),
        SettingDescription(
          "drift", .number(0...2), default: "0.15",
          meaning: "How far the level's logarithm wanders over the hours."),
        SettingDescription("floor", amount, default: "0.0005", meaning: "The lowest price."),
      ]), default: "{}", meaning: "What others bid: log-normal."),
    SettingDescription(
      "delay",
      .structure([
        SettingDescription(
          "soon", .number(0...1), default: "0.45",
          meaning: "The part of conversions within half an hour of their click."),
        SettingDescription("shape", .number(0.1...10), default: "0.75", meaning: "Weibull's."),
        SettingDescription(
          "scale", .duration(.seconds(1) ... .days(60)), default: "10h", meaning: "Weibull's."),
        SettingDescription(
          "longest", .duration(.hours(1) ... .days(60)), default: "2d",
          meaning: "Nothing comes later."),
      ]), default: "{}", meaning: "From click to conversion."),
    SettingDescription(
      "people",
      .structure([
        SettingDescription(
          "affinity", .number(0...1), default: "0.3",
          meaning: "How much they differ, as sigma of their inclination's logarithm."),
        SettingDescription(
          "interest", .number(0...10), default: "0.8",
          meaning: "How much interest, gained by clicks and lost over days, raises rates."),
        SettingDescription(
          "worn", .number(0...1), default: "0.6",
          meaning: "What is left of an ad's draw on who has seen it all too often."),
      ]), default: "{}", meaning: "How people change rates."),
    SettingDescription(
      "deals",
      .either([
        .choice(["none"]),
        .structure([
          SettingDescription("pipeline", .text, default: "default", meaning: "Its name."),
          SettingDescription(
            "stages",
            .list(
              .structure([
                SettingDescription("name", .text, default: "won", meaning: "Of the stage."),
                SettingDescription(
                  "chance", .number(0...1), default: "0.5",
                  meaning: "To come here from the stage before; else the deal is lost."),
                SettingDescription(
                  "after", .duration(.seconds(0) ... .days(60)), default: "12h",
                  meaning: "On average."),
              ])),
            default: """
              [{ name: qualified, chance: 0.6, after: 6h }, { name: proposal, chance: 0.6 }, \
              { name: won, after: 18h }]
              """,
            meaning: "After the conversion."),
        ]),
      ]), default: "none", meaning: "What follows a conversion in a CRM."),
  ]

  private static func rate(_ name: String, mean: String, _ meaning: String) -> SettingDescription {
    SettingDescription(
      name,
      .structure([
        SettingDescription("mean", .number(0.000001...0.5), default: mean, meaning: "Of the ads."),
        SettingDescription(
          "spread", .number(1...100), default: "5", meaning: "The best ad's over the worst one's."),
      ]), default: "{}", meaning: meaning)
  }
}

/// Makes a world of settings, and finds what does not fit.
private struct WorldReader {
  let file: SettingsFile
  var problems: [TopologyProblem] = []

  mutating func world() -> MarketWorld {
    let settings = file.settings
    var world = MarketWorld()
    world.seed = UInt64(settings.integer("seed"))
    world.days = Int(settings.integer("days"))
    if let start = EventTime(rfc3339: settings.text("start")),
      start <= .latest - .days(400)
    {
      world.start = start
    } else {
      refuse(
        "start",
        "\"\(settings.text("start"))\" is no time; expected one like 2026-03-02T00:00:00Z")
    }
    let bidder = settings.structure("bidder")
    world.bidder.choice = bidder.text("choice") == "bid" ? .bid : .share
    world.bidder.step = bidder.duration("step")
    world.bidder.latency = bidder.duration("latency")
    let log = settings.structure("log")
    world.log.lostPerMillion = Int((log.number("lost_auctions") * 1e6).rounded())
    world.log.duplicatesPerMillion = Int((log.number("duplicates") * 1e6).rounded())
    world.log.badPerMillion = Int((log.number("bad_records") * 1e6).rounded())
    world.log.heartbeat = log.duration("heartbeat")
    let accounts = settings["accounts"].structures
    world.accounts = accounts.enumerated().map { account($1, $0, in: world) }
    if accounts.isEmpty { refuse("accounts", "an empty list; expected at least one account") }
    for (path, name) in repeated(world.accounts.map(\.name)) {
      refuse("accounts[\(path)].name", "another account is named \(name) too")
    }
    if problems.isEmpty, let fault = world.fault { refuse("accounts", fault) }
    return world
  }

  private mutating func refuse(_ path: String, _ message: String) {
    problems.append(file.problem(at: path, message))
  }

  private func repeated(_ names: [String]) -> [(Int, String)] {
    names.enumerated().filter { names[..<$0.offset].contains($0.element) }.map { ($0, $1) }
  }

  private mutating func name(_ settings: Settings, _ path: String, or fallback: String) -> String {
    let name = settings.text("name")
    if name.isEmpty { return fallback }
    if !MarketWorld.isName(name) {
      refuse("\(path).name", "expected letters, digits, `.`, `_` and `-`, at most 64")
    }
    return name
  }

  private mutating func account(
    _ settings: Settings, _ index: Int, in world: MarketWorld
  ) -> MarketWorld.Account {
    let path = "accounts[\(index)]"
    var account = MarketWorld.Account()
    account.name = name(settings, path, or: "account-\(index + 1)")
    account.users = Int(settings.integer("users"))
    account.newcomers = settings.number("newcomers")
    let campaigns = settings["campaigns"].structures
    if campaigns.isEmpty {
      refuse("\(path).campaigns", "an empty list; expected at least one campaign")
    }
    account.campaigns = campaigns.enumerated().map {
      campaign($1, "\(path).campaigns[\($0)]", number: $0 + 1, in: world)
    }
    for (place, name) in repeated(account.campaigns.map(\.name)) {
      refuse("\(path).campaigns[\(place)].name", "another campaign is named \(name) too")
    }
    return account
  }

  private mutating func campaign(
    _ settings: Settings, _ path: String, number: Int, in world: MarketWorld
  ) -> MarketWorld.Campaign {
    var campaign = MarketWorld.Campaign()
    campaign.name = name(settings, path, or: "campaign-\(number)")
    campaign.zone = zone(settings.text("timezone"), path, in: world)
    campaign.budget = money(settings.number("budget"))
    campaign.budgetChanges = settings["budget_changes"].structures.map {
      MarketWorld.BudgetChange(after: $0.duration("after"), budget: money($0.number("budget")))
    }
    let bid = settings.structure("bid")
    campaign.defaultBid = optionalMoney(bid["default"])
    campaign.maxBid = optionalMoney(bid["max"])
    campaign.ads = Int(settings.integer("ads"))
    campaign.opportunitiesPerSecond = settings.number("opportunities")
    campaign.hours = hours(settings, path)
    campaign.clickRate = rate(settings.structure("click_rate"))
    campaign.conversionRate = rate(settings.structure("conversion_rate"))
    let value = settings.structure("value")
    campaign.value = .init(mean: money(value.number("mean")), sigma: value.number("sigma"))
    let rivals = settings.structure("rivals")
    campaign.rivals.median = money(rivals.number("median"))
    campaign.rivals.sigma = rivals.number("sigma")
    campaign.rivals.drift = rivals.number("drift")
    campaign.rivals.floor = money(rivals.number("floor"))
    let delay = settings.structure("delay")
    campaign.delay.soon = delay.number("soon")
    campaign.delay.shape = delay.number("shape")
    campaign.delay.scale = delay.duration("scale")
    campaign.delay.longest = delay.duration("longest")
    let people = settings.structure("people")
    campaign.people.affinity = people.number("affinity")
    campaign.people.interest = people.number("interest")
    campaign.people.worn = people.number("worn")
    campaign.deals = deals(settings, path)
    return campaign
  }

  private func money(_ amount: Double) -> Money { Money(micros: Int64((amount * 1e6).rounded())) }

  private func optionalMoney(_ value: SettingValue) -> Money? {
    guard case .number(let amount) = value else { return nil }
    return money(amount)
  }

  private func rate(_ settings: Settings) -> MarketWorld.Rate {
    .init(mean: settings.number("mean"), spread: settings.number("spread"))
  }

  private mutating func hours(_ settings: Settings, _ path: String) -> [Double] {
    guard case .list(let items) = settings["hours"] else { return MarketWorld.usualHours }
    let hours = items.compactMap { item -> Double? in
      guard case .number(let value) = item else { return nil }
      return value
    }
    if hours.count == 24 { return hours }
    refuse("\(path).hours", "\(hours.count) numbers; expected 24, one for each hour of the day")
    return MarketWorld.usualHours
  }

  private mutating func deals(_ settings: Settings, _ path: String) -> MarketWorld.Deals? {
    guard case .mapping = settings["deals"] else { return nil }
    let settings = settings.structure("deals")
    var deals = MarketWorld.Deals()
    deals.pipeline = settings.text("pipeline")
    deals.stages = settings["stages"].structures.map {
      .init(name: $0.text("name"), chance: $0.number("chance"), after: $0.duration("after"))
    }
    if !MarketWorld.isName(deals.pipeline) {
      refuse("\(path).deals.pipeline", "expected letters, digits, `.`, `_` and `-`, at most 64")
    }
    for (place, stage) in deals.stages.enumerated() where !MarketWorld.isName(stage.name) {
      refuse(
        "\(path).deals.stages[\(place)].name",
        "expected letters, digits, `.`, `_` and `-`, at most 64")
    }
    return deals
  }

  /// The zone's changes while the world goes on.
  private mutating func zone(
    _ name: String, _ path: String, in world: MarketWorld
  ) -> MarketZone {
    guard let id = TimeZoneRules.find(name) else {
      refuse(
        "\(path).timezone", "\"\(name)\" is no time zone; expected an IANA name like Europe/Berlin")
      return .utc
    }
    let rules = TimeZoneRules(id)
    var time = world.start - .days(4)
    var changes = [MarketZone.Change(from: time, offsetSeconds: rules.offsetSeconds(at: time))]
    while time < world.end + .days(4) {
      time = time + .minutes(15)
      let offset = rules.offsetSeconds(at: time)
      if offset != changes.last?.offsetSeconds {
        changes.append(MarketZone.Change(from: time, offsetSeconds: offset))
      }
    }
    return MarketZone(name: name, changes: changes)
  }
}
