public import Events
public import Streaming

/// Whether a campaign may spend at all.
public enum PaceState: UInt8, Sendable, BitwiseCopyable {
  case running
  /// Until the campaign's own midnight.
  case dailyExhausted
  case totalExhausted
  /// The schedule begins later.
  case notStarted
  /// The schedule is over.
  case ended

  var name: StaticString {
    switch self {
    case .running: "running"
    case .dailyExhausted: "daily_exhausted"
    case .totalExhausted: "total_exhausted"
    case .notStarted: "not_started"
    case .ended: "ended"
    }
  }
}

/// A record of `paces`: how fast a campaign may spend from now on. One per change.
public struct PaceRecord: StreamRecord {
  public static var stream: StreamType { .paces }

  /// The directory's row of the campaign; the account stands above it.
  public var campaign: Int32
  public var state = PaceState.running
  /// What bids are multiplied by: 1 / (1 + mu), in (0, 1].
  public var multiplier: Double = 1
  /// The price of budget: 0 while there is more of it than can be spent.
  public var mu: Double = 0
  /// On the campaign's local day.
  public var spentToday = Money.zero
  /// Below 0: no daily budget.
  public var budgetToday = Money(micros: -1)
  public var spentTotal = Money.zero
  /// Below 0: no total budget.
  public var budgetTotal = Money(micros: -1)

  public init(campaign: Int32) { self.campaign = campaign }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let directory = context.directory
    let account = directory.accounts.name(directory.campaigns.parent(campaign))
    let name = directory.campaigns.name(campaign)
    let keyLength = json.writeKey(account, name)
    json.beginObject()
    json.member("account", account)
    json.member("campaign", name)
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("state", text: state.name)
    json.member("pacing", multiplier, places: 9)
    json.member("mu", mu, places: 9)
    json.member("spent_today", spentToday)
    if budgetToday.micros >= 0 { json.member("budget_today", budgetToday) }
    json.member("spent_total", spentTotal)
    if budgetTotal.micros >= 0 { json.member("budget_total", budgetTotal) }
    json.endObject()
    return keyLength
  }
}
