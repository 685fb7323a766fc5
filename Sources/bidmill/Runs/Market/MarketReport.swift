import Events
import Simulation
import Streaming

/// What came of bidding in a market, beside what was hidden from the bidder and beside a constant
/// bid in the same market.
struct MarketReport {
  struct Ad {
    var name: String
    var truth: AdTruth
    /// Nil where nothing was ever published about it.
    var belief: PublishedBids.Belief?
  }

  struct Campaign {
    var account: String
    var name: String
    var zone: String
    var defaultBid: Money
    var total: AdTruth
    var ads: [Ad]
    var days: [DayTruth]
    /// With a constant bid.
    var baseline: AdTruth
  }

  var world: MarketWorld
  var campaigns: [Campaign]
  var events: Int64
  /// Bid parameters that were published.
  var parameters: Int
  /// Sent a second time; sent and not to be accepted.
  var duplicates: Int64
  var badRecords: Int64
  var outcome: ClosedLoop.Outcome?
  var seconds: Double

  init(_ loop: ClosedLoop, baseline: [AdTruth], seconds: Double) {
    world = loop.market.world
    events = loop.events
    parameters = loop.bids.count
    duplicates = loop.market.duplicates
    badRecords = loop.market.badRecords
    outcome = loop.outcome
    self.seconds = seconds
    campaigns = (0..<loop.market.campaignCount).map { index in
      let settings = loop.market.settings(index)
      return Campaign(
        account: loop.market.accountName(index), name: settings.name, zone: settings.zone.name,
        defaultBid: loop.market.defaultBid(index), total: loop.market.total(index),
        ads: (0..<loop.market.adCount(index)).map { ad in
          Ad(
            name: loop.market.adName(index, ad), truth: loop.market.truth(index, ad),
            belief: loop.bids.belief(index, ad))
        },
        days: loop.market.days(index), baseline: baseline[index])
    }
  }

  var total: AdTruth { MarketReport.sum(campaigns.map(\.total)) }
  var baseline: AdTruth { MarketReport.sum(campaigns.map(\.baseline)) }

  /// The ad with the most impressions, as `account/campaign/ad`.
  var mostShown: String {
    var most: (name: String, impressions: Int64) = ("", -1)
    for campaign in campaigns {
      for ad in campaign.ads where ad.truth.impressions > most.impressions {
        most = ("\(campaign.account)/\(campaign.name)/\(ad.name)", ad.truth.impressions)
      }
    }
    return most.name
  }

  private static func sum(_ parts: [AdTruth]) -> AdTruth {
    parts.reduce(into: AdTruth()) { total, part in
      total.impressions += part.impressions
      total.clicks += part.clicks
      total.causedConversions += part.causedConversions
      total.spend.add(micros: part.spend.micros)
      total.causedValue.add(micros: part.causedValue.micros)
    }
  }
}

extension AdTruth {
  /// Value of the conversions that it has caused, those under way too, by what it has cost; 0
  /// without spend.
  var roas: Double {
    spend.micros > 0 ? Double(causedValue.micros) / Double(spend.micros) : 0
  }

  /// Clicks that were likely, per impression.
  var effectiveClickRate: Double {
    impressions > 0 ? expectedClicks / Double(impressions) : clickRate
  }

  /// Conversions that were likely, per click.
  var effectiveConversionRate: Double {
    clicks > 0 ? expectedConversions / Double(clicks) : conversionRate
  }
}

extension DayTruth {
  /// Spend beside the budget: 0 is the budget to the last micro, -1 nothing spent.
  var deviation: Double {
    Double(spend.micros - budget.micros) / Double(max(budget.micros, 1))
  }

  /// Whether the market had enough to sell: with a margin, and at no more than the default bid.
  var supplyAllows: Bool { Double(reachable.micros) >= 1.05 * Double(budget.micros) }

  var overspend: Int64 { max(0, spend.micros - budget.micros) }
}

extension MarketReport.Campaign {
  /// Whole days of which the budget could be spent.
  var countedDays: [DayTruth] { days.filter { $0.isWhole && $0.supplyAllows } }

  /// The day furthest from its budget.
  var worstDay: DayTruth? { countedDays.max { abs($0.deviation) < abs($1.deviation) } }

  /// ROAS by that of the constant bid; nil where either has none.
  var gain: Double? {
    baseline.roas > 0 && total.roas > 0 ? total.roas / baseline.roas : nil
  }
}

extension MarketReport {
  /// What the topology has counted otherwise than it happened: to the last event and the last
  /// micro. Empty when all is well.
  var miscounts: [String] {
    guard let outcome else { return [] }
    var found: [String] = []
    func compare(_ what: String, _ counted: Int64, _ happened: Int64) {
      if counted != happened { found.append("\(what): counted \(counted), happened \(happened)") }
    }
    compare("duplicates", outcome.duplicates, duplicates)
    compare("dead letters", outcome.deadLetters, badRecords)
    for ad in campaigns.flatMap(\.ads) {
      guard let belief = ad.belief else {
        if ad.truth.impressions > 0 { found.append("\(ad.name): nothing was published about it") }
        continue
      }
      compare("impressions of \(ad.name)", belief.impressions, ad.truth.impressions)
      compare("clicks of \(ad.name)", belief.clicks, ad.truth.clicks)
      compare("spend of \(ad.name), in micros", belief.spend.micros, ad.truth.spend.micros)
    }
    return found
  }
}

// MARK: - For people

extension MarketReport {
  var text: String {
    let ads = campaigns.reduce(0) { $0 + $1.ads.count }
    var text =
      "\(Text.plural(world.days, "day")) from \(Text.time(world.start)), seed \(world.seed): "
      + "\(Text.plural(campaigns.count, "campaign")), \(Text.plural(ads, "ad"))\n"
    text += "\(Text.plural(events, "event"))"
    if outcome != nil { text += ", \(Text.plural(parameters, "bid parameter"))" }
    text +=
      " in \(Text.seconds(seconds)): \(Text.count(Int64(Double(events) / max(seconds, 0.001)))) "
      + "events/s\n\n"
    text += campaignTable + "\n" + adTable
    if outcome != nil { text += "\n" + exactness }
    return text
  }

  /// How close the loop came to what was hidden and to what was allowed.
  private var exactness: String {
    let ads = campaigns.flatMap(\.ads)
    let clicks = MarketReport.error(
      ads, weight: \.impressions, \.effectiveClickRate, \.clickRate)
    let conversions = MarketReport.error(
      ads, weight: \.clicks, \.effectiveConversionRate, \.conversionRate)
    let days = campaigns.flatMap(\.days)
    let over = days.filter { $0.overspend > 0 }
    let most = Double(over.map(\.overspend).max() ?? 0) / 1e6
    let beyond = over.count { $0.overspend > $0.busiest.micros }
    let bound = beyond == 0 ? "never more" : "on \(beyond) of them more"
    return """
      Estimates are off by \(MarketReport.percent(clicks)) of the click rate (mean over \
      impressions) and by \(MarketReport.percent(conversions)) of the
      conversion rate (mean over clicks). Budgets were exceeded on \(over.count) of \
      \(Text.plural(days.count, "campaign day")), by at most \(Text.decimal(most, places: 4)),
      \(bound) than what is bought until a bidder can know \
      (\(world.bidder.step.text) and \(world.bidder.latency.text)).

      """
  }

  /// The mean relative error of what was estimated.
  private static func error(
    _ ads: [Ad], weight: KeyPath<AdTruth, Int64>, _ truth: KeyPath<AdTruth, Double>,
    _ estimate: KeyPath<PublishedBids.Belief, Double>
  ) -> Double {
    var (sum, weights) = (0.0, 0.0)
    for ad in ads {
      guard let belief = ad.belief, ad.truth[keyPath: truth] > 0 else { continue }
      let part = Double(ad.truth[keyPath: weight])
      sum += part * abs(belief[keyPath: estimate] / ad.truth[keyPath: truth] - 1)
      weights += part
    }
    return weights > 0 ? sum / weights : 0
  }

  private var campaignTable: String {
    var rows = [
      [
        "campaign", "budget/day", "spent/day", "worst day", "conversions", "value", "ROAS",
        "fixed bid", "gain",
      ]
    ]
    for campaign in campaigns {
      let days = campaign.days.filter(\.isWhole)
      rows.append([
        "\(campaign.account)/\(campaign.name)", MarketReport.perDay(days, \.budget),
        MarketReport.perDay(days, \.spend),
        campaign.worstDay.map { MarketReport.signedPercent($0.deviation) } ?? "no supply",
        Text.count(campaign.total.causedConversions),
        Text.money(micros: campaign.total.causedValue.micros),
        Text.decimal(campaign.total.roas, places: 2),
        Text.decimal(campaign.baseline.roas, places: 2),
        campaign.gain.map { Text.decimal($0, places: 2) + "x" } ?? "",
      ])
    }
    rows.append([
      "all", "", Text.money(micros: total.spend.micros / Int64(max(world.days, 1))), "",
      Text.count(total.causedConversions), Text.money(micros: total.causedValue.micros),
      Text.decimal(total.roas, places: 2), Text.decimal(baseline.roas, places: 2),
      baseline.roas > 0 ? Text.decimal(total.roas / baseline.roas, places: 2) + "x" : "",
    ])
    let alignments: [Text.Alignment] = [.left] + Array(repeating: .right, count: 8)
    return Text.table(rows, alignments) + """
      Worst day: spend beside the budget on the whole local day that was furthest from it. ROAS: \
      value of the
      conversions that impressions caused, by spend; the fixed bid buys the same traffic at the \
      default bid,
      every ad in turn, until the day's budget is spent.

      """
  }

  private var adTable: String {
    var rows = [
      [
        "ad", "status", "bid", "share", "impressions", "spend", "click rate", "hidden",
        "conv. rate", "hidden", "ROAS",
      ]
    ]
    for campaign in campaigns {
      for ad in campaign.ads {
        let belief = ad.belief
        rows.append([
          ad.name, belief?.status ?? "unknown",
          Text.decimal(
            Double((belief?.bid ?? campaign.defaultBid).micros) / 1e6, places: 4),
          belief.map { Text.decimal($0.share * 100, places: 0) + " %" } ?? "",
          Text.count(ad.truth.impressions), Text.money(micros: ad.truth.spend.micros),
          belief.map { MarketReport.percent($0.clickRate) } ?? "",
          MarketReport.percent(ad.truth.effectiveClickRate),
          belief.map { MarketReport.percent($0.conversionRate) } ?? "",
          MarketReport.percent(ad.truth.effectiveConversionRate),
          Text.decimal(ad.truth.roas, places: 2),
        ])
      }
    }
    let alignments: [Text.Alignment] = [.left, .left] + Array(repeating: .right, count: 9)
    return Text.table(rows, alignments) + """
      Rates: as estimated from events, beside what the market knows (over the people who were \
      shown the ad).

      """
  }

  private static func perDay(_ days: [DayTruth], _ path: KeyPath<DayTruth, Money>) -> String {
    guard !days.isEmpty else { return "" }
    var sum = Money.zero
    for day in days { sum.add(micros: day[keyPath: path].micros) }
    return Text.money(micros: sum.micros / Int64(days.count))
  }

  static func percent(_ rate: Double) -> String { Text.decimal(rate * 100, places: 2) + " %" }

  static func signedPercent(_ part: Double) -> String {
    (part < 0 ? "" : "+") + Text.decimal(part * 100, places: 2) + " %"
  }
}

// MARK: - For programs

extension MarketReport {
  /// `summary.json`: what came of it.
  var json: JSONText {
    var members: [(String, JSONText)] = [
      ("seed", .integer(Int64(clamping: world.seed))),
      ("start", .time(world.start)),
      ("days", .count(world.days)),
      ("events", .count(events)),
      ("seconds", .number((seconds * 1000).rounded() / 1000)),
      ("events_per_second", .count(Int64(Double(events) / max(seconds, 0.001)))),
    ]
    if let outcome {
      members += [
        ("bid_parameters", .count(parameters)),
        ("duplicates", .count(outcome.duplicates)),
        ("dead_letters", .count(outcome.deadLetters)),
        ("digest", .string("\(outcome.digest)")),
        ("streams", .object(outcome.streams.map { ($0.name, .count($0.records)) })),
      ]
    }
    members += [
      ("spend", MarketReport.money(total.spend)),
      ("value", MarketReport.money(total.causedValue)),
      ("roas", .number(total.roas)),
      ("fixed_bid_roas", .number(baseline.roas)),
      ("campaigns", .array(campaigns.map(\.json))),
    ]
    return .object(members)
  }

  /// `truth.json`: what was hidden.
  var truth: JSONText {
    .object([
      ("seed", .integer(Int64(clamping: world.seed))),
      (
        "campaigns",
        .array(
          campaigns.map { campaign in
            .object([
              ("account", .string(campaign.account)),
              ("campaign", .string(campaign.name)),
              ("timezone", .string(campaign.zone)),
              ("default_bid", MarketReport.money(campaign.defaultBid)),
              ("ads", .array(campaign.ads.map(\.truthJSON))),
              ("days", .array(campaign.days.map(\.json))),
            ])
          })
      ),
    ])
  }

  fileprivate static func money(_ money: Money) -> JSONText {
    .number(Double(money.micros) / 1_000_000)
  }
}

extension MarketReport.Campaign {
  fileprivate var json: JSONText {
    .object([
      ("account", .string(account)),
      ("campaign", .string(name)),
      ("spend", MarketReport.money(total.spend)),
      ("impressions", .count(total.impressions)),
      ("clicks", .count(total.clicks)),
      ("conversions", .count(total.causedConversions)),
      ("value", MarketReport.money(total.causedValue)),
      ("roas", .number(total.roas)),
      ("fixed_bid_roas", .number(baseline.roas)),
      ("fixed_bid_spend", MarketReport.money(baseline.spend)),
      ("worst_day", worstDay.map { .number($0.deviation) } ?? .null),
      ("ads", .array(ads.map(\.json))),
    ])
  }
}

extension MarketReport.Ad {
  fileprivate var json: JSONText {
    var members: [(String, JSONText)] = [("ad", .string(name))]
    if let belief {
      members += [
        ("status", .string(belief.status)),
        ("bid", MarketReport.money(belief.bid)),
        ("share", .number(belief.share)),
        ("ctr", .number(belief.clickRate)),
        ("cvr", .number(belief.conversionRate)),
      ]
    }
    members += [
      ("hidden_ctr", .number(truth.effectiveClickRate)),
      ("hidden_cvr", .number(truth.effectiveConversionRate)),
      ("impressions", .count(truth.impressions)),
      ("spend", MarketReport.money(truth.spend)),
      ("roas", .number(truth.roas)),
    ]
    return .object(members)
  }

  fileprivate var truthJSON: JSONText {
    .object([
      ("ad", .string(name)),
      ("click_rate", .number(truth.clickRate)),
      ("conversion_rate", .number(truth.conversionRate)),
      ("impressions", .count(truth.impressions)),
      ("clicks", .count(truth.clicks)),
      ("conversions", .count(truth.conversions)),
      ("spend", MarketReport.money(truth.spend)),
      ("value", MarketReport.money(truth.value)),
      ("lost_auctions", .count(truth.auctionsLost)),
      ("caused_conversions", .count(truth.causedConversions)),
      ("caused_value", MarketReport.money(truth.causedValue)),
      ("expected_clicks", .number(truth.expectedClicks)),
      ("expected_conversions", .number(truth.expectedConversions)),
    ])
  }
}

extension DayTruth {
  fileprivate var json: JSONText {
    .object([
      ("start", .time(start)),
      ("end", .time(end)),
      ("whole", .bool(isWhole)),
      ("budget", MarketReport.money(budget)),
      ("spend", MarketReport.money(spend)),
      ("reachable", MarketReport.money(reachable)),
      ("in_flight_bound", MarketReport.money(busiest)),
      ("exhausted_at", .time(exhaustedAt)),
      ("opportunities", .count(opportunities)),
      ("impressions", .count(impressions)),
    ])
  }
}
