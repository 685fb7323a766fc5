import Foundation

/// What `bids` and `safety` should publish, said again from their description: dictionaries, and
/// every ad looked at after everything that happens.
struct NaiveSafety {
  struct Settings {
    var change = 0.01
    var everyMilliseconds: Int64 = 20_000
    var idleMilliseconds: Int64 = 60_000
    var validForMilliseconds: Int64 = 30_000
    var stepLimit = 1.25
  }

  struct Step {
    enum Kind {
      case estimate(micros: Int64, isVague: Bool, isRefreshed: Bool)
      case pace(state: String, multiplierMillionths: Int64)
      case control(action: String, valueMicros: Int64?, untilMilliseconds: Int64?)
      case catalogue(status: String?, defaultBid: Int64?, maxBid: Int64?, ceiling: Int64?)
    }
    var time: Int64
    var account: String
    /// Absent for orders of a wider scope.
    var campaign: String?
    var ad: String?
    var kind: Kind
  }

  struct Published: Equatable, CustomStringConvertible {
    var clock: Int64
    var seq: Int64
    var status: String
    var bidMicros: Int64
    var impressions: Int64
    var reasons: Set<String>
    var description: String {
      "\(clock): \(seq) \(status) \(bidMicros) \(impressions) \(reasons.sorted())"
    }
  }

  private struct Order {
    var value: Double
    var until: Int64
  }

  private struct Ad {
    var campaign: String
    var account: String
    var micros = 0.0
    var isKnown = false
    var impressions: Int64 = 0
    var proposedEvidence: Int64 = 0
    var heardAt: Int64 = 0
    var last: Published?
    var cap: Int64?
    var lastBid: Int64?
  }

  private struct Campaign {
    var state = "running"
    var multiplier = 1.0
    var status = "active"
    var defaultBid: Int64?
    var maxBid: Int64?
    var ceiling: Double?
    var describedAt = Int64.min
  }

  let settings: Settings
  private var clock = Int64.min
  private var ads: [String: Ad] = [:]
  private var campaigns: [String: Campaign] = [:]
  private var orders: [String: [String: Order]] = [:]
  /// When the newest word about each kind was given.
  private var orderTimes: [String: [String: Int64]] = [:]
  private(set) var published: [String: [Published]] = [:]
  private(set) var ignoredOrders = 0

  init(_ settings: Settings) { self.settings = settings }

  mutating func take(_ step: Step) {
    // Refused when it is decoded: it does not even move time.
    if case .control(let action, nil, _) = step.kind, action.hasPrefix("set") { return }
    advance(to: step.time)
    let campaign = step.campaign.map { "\(step.account)/\($0)" }
    let key = step.ad.flatMap { ad in campaign.map { "\($0)/\(ad)" } }
    switch step.kind {
    case .estimate(let micros, let isVague, let isRefreshed):
      guard let campaign, let key else { return }
      let isNew = ads[key] == nil
      var ad = ads[key] ?? Ad(campaign: campaign, account: step.account)
      ad.impressions += 1
      ad.heardAt = clock
      if isNew || isRefreshed {
        ad.micros = Double(micros)
        ad.isKnown = !isVague
      }
      ads[key] = ad
    case .pace(let state, let multiplier):
      guard let campaign else { return }
      campaigns[campaign, default: Campaign()].state = state
      campaigns[campaign, default: Campaign()].multiplier = Double(multiplier) / 1e6
    case .catalogue(let status, let defaultBid, let maxBid, let ceiling):
      guard let campaign else { return }
      var row = campaigns[campaign] ?? Campaign()
      guard step.time >= row.describedAt else { return }
      row.describedAt = step.time
      row.status = status ?? row.status
      row.defaultBid = defaultBid ?? row.defaultBid
      row.maxBid = maxBid ?? row.maxBid
      row.ceiling = ceiling.map { Double($0) / 1e6 } ?? row.ceiling
      campaigns[campaign] = row
    case .control(let action, let value, let until):
      order(key ?? campaign ?? step.account, action, value, until, step.time)
    }
    review()
  }

  private mutating func order(
    _ scope: String, _ action: String, _ value: Int64?, _ until: Int64?, _ time: Int64
  ) {
    if !["release", "resume"].contains(action), let until, until <= clock {
      ignoredOrders += 1
      return
    }
    let all = ["pause", "kill", "set_max_bid", "set_multiplier"]
    let kinds = action == "release" ? all : action == "resume" ? ["pause"] : [action]
    let fresh = kinds.filter { time >= orderTimes[scope]?[$0] ?? Int64.min }
    if fresh.isEmpty { ignoredOrders += 1 }
    for kind in fresh {
      orderTimes[scope, default: [:]][kind] = time
      orders[scope, default: [:]][kind] =
        kind == action ? Order(value: Double(value ?? 0), until: until ?? Int64.max) : nil
    }
  }

  mutating func advance(to time: Int64) {
    if clock == Int64.min { clock = time / 1_000 * 1_000 }
    while clock + 1_000 <= time {
      clock += 1_000
      review()
    }
  }

  mutating func finish() {
    for (key, ad) in ads {
      let (decision, cap) = decide(key, ad)
      if ad.last?.impressions != ad.impressions { publish(key, decision, cap) }
    }
  }

  private mutating func review() {
    for (key, ad) in ads {
      let (decision, cap) = decide(key, ad)
      let bids = decision.status == "learning" || decision.status == "active"
      if let last = ad.last {
        let since = clock - last.clock
        if !isWorthSaying(decision, cap, ad, last) {
          let isLive = clock - ad.heardAt < settings.idleMilliseconds
          guard bids, since >= settings.everyMilliseconds, isLive else { continue }
        }
        if bids, since < 1_000 { continue }
      }
      publish(key, decision, cap)
    }
  }

  private func isWorthSaying(_ decision: Published, _ cap: Int64?, _ ad: Ad, _ last: Published)
    -> Bool
  {
    if !["learning", "active"].contains(decision.status), decision.reasons != last.reasons {
      return true
    }
    return decision.status != last.status || cap != ad.cap
      || (decision.bidMicros != last.bidMicros
        && Double(abs(decision.bidMicros - last.bidMicros)) >= settings.change
          * Double(last.bidMicros))
  }

  private mutating func publish(_ key: String, _ decision: Published, _ cap: Int64?) {
    var record = decision
    record.seq = max((ads[key]?.last?.seq ?? 0) + 1, clock * 1_000)
    ads[key]?.last = record
    ads[key]?.cap = cap
    if record.bidMicros > 0 { ads[key]?.lastBid = record.bidMicros }
    published[key, default: []].append(record)
  }

  private func decide(_ key: String, _ ad: Ad) -> (Published, Int64?) {
    let campaign = campaigns[ad.campaign] ?? Campaign()
    let standing = [key, ad.campaign, ad.account].map {
      (orders[$0] ?? [:]).filter { $0.value.until > clock }
    }
    var record = Published(
      clock: clock, seq: 0, status: "", bidMicros: 0, impressions: ad.impressions, reasons: [])
    func stop(_ reason: String, _ status: String) {
      record.reasons.insert(reason)
      if record.status.isEmpty { record.status = status }
    }
    if standing.contains(where: { $0["kill"] != nil }) { stop("control_kill", "killed") }
    if standing.contains(where: { $0["pause"] != nil }) { stop("control_pause", "paused") }
    if campaign.status != "active" { stop("campaign_\(campaign.status)", "paused") }
    switch campaign.state {
    case "daily": stop("daily_budget", "exhausted")
    case "total": stop("total_budget", "exhausted")
    case "early": stop("schedule_not_started", "paused")
    case "over": stop("schedule_ended", "paused")
    default: break
    }
    guard record.status.isEmpty else { return (record, nil) }
    record.status = ad.isKnown ? "active" : "learning"
    var bid = ad.micros
    if !ad.isKnown, let defaultBid = campaign.defaultBid, Double(defaultBid) >= bid {
      bid = Double(defaultBid)
      record.reasons.insert("default_bid")
    }
    bid *= campaign.multiplier
    if campaign.multiplier < 1 { record.reasons.insert("pacing") }
    var factor = 1.0
    for scope in standing { factor *= (scope["set_multiplier"]?.value ?? 1e6) / 1e6 }
    if factor != 1 { record.reasons.insert("control_multiplier") }
    record.bidMicros = Int64((bid * factor).rounded())
    func lower(_ limit: Int64, _ reason: String) {
      guard record.bidMicros > limit else { return }
      record.bidMicros = limit
      record.reasons.insert(reason)
    }
    let ordered = standing.compactMap { $0["set_max_bid"].map { Int64($0.value) } }.min()
    if let maxBid = campaign.maxBid { lower(maxBid, "max_bid") }
    if let ordered { lower(ordered, "control_max_bid") }
    if let ceiling = campaign.ceiling, !record.reasons.contains("default_bid") {
      lower(Int64((ceiling * ad.micros).rounded()), "ceiling")
    }
    if let last = ad.lastBid {
      lower(
        max(Int64((Double(last) * settings.stepLimit).rounded(.down)), last + 1), "step_limit")
    }
    return (record, [campaign.maxBid, ordered].compactMap { $0 }.min())
  }
}
