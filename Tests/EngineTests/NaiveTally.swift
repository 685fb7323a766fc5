import Events

/// What a topology of `deduplicate` and `tally` should make of a log: recomputed from arrays, every
/// question answered by looking at everything again. Slow and plain on purpose.
struct NaiveTally {
  struct Settings {
    /// All in milliseconds.
    var within: [EventType: Int64] = [:]
    var withinDefault: Int64 = 86_400_000
    var withinOrder: Int64 = 30 * 86_400_000
    var tick: Int64 = 1_000
    var every: Int64 = 60_000
    var maxGap: Int64 = 31 * 86_400_000
  }

  /// An event as it stood in its record.
  private struct Fact {
    var type: EventType
    var time: Int64
    var account: String
    var id: String
    var ad: String
    var priceMicros: Int64
    var isWon: Bool
    /// A conversion's action and order; nil where it names none.
    var order: String?
  }

  struct Totals {
    var impressions = 0
    var clicks = 0
    var spendMicros: Int64 = 0
    var auctions = 0
    var wins = 0
  }

  private let settings: Settings
  private var facts: [Fact] = []
  private var changed: [String] = []
  private var clock: Int64?
  private var newest: Int64?

  /// `tallies` records as they should be published, in order: key and value.
  private(set) var tallies: [String] = []
  /// Totals by `account/campaign/ad`.
  private(set) var totals: [String: Totals] = [:]
  /// Offsets of the records that are refused, dropped, passed on, and of heartbeats.
  private(set) var refused: [Int] = []
  private(set) var dropped: [Int] = []
  private(set) var accepted: [Int] = []
  private(set) var heartbeats: [Int] = []

  init(_ records: [[UInt8]], _ settings: Settings) {
    self.settings = settings
    for (offset, record) in records.enumerated() {
      guard let fact = NaiveTally.decode(record),
        newest.map({ fact.time - $0 <= settings.maxGap }) ?? true
      else {
        refused.append(offset)
        continue
      }
      newest = max(newest ?? fact.time, fact.time)
      walk(to: fact.time)
      if fact.type == .heartbeat {
        heartbeats.append(offset)
      } else if isDuplicate(fact) {
        dropped.append(offset)
      } else {
        facts.append(fact)
        accepted.append(offset)
        count(fact)
      }
    }
    publish(at: clock ?? 0)
  }

  private static func decode(_ record: [UInt8]) -> Fact? {
    var decoder = EventDecoder()
    let batch = EventBatch(capacity: 1)
    return record.withUnsafeBytes { raw in
      guard decoder.decode(raw, into: batch) == nil else { return nil }
      let event = batch[0].pointee
      let path = [event.account, event.campaign, event.ad].map(\.string).joined(separator: "/")
      return Fact(
        type: event.type, time: event.time.milliseconds, account: event.account.string,
        id: event.id.string, ad: path, priceMicros: event.price.micros,
        isWon: event.flags.contains(.won),
        order: event.type != .conversion || event.reference.isAbsent
          ? nil : event.action.string + "\n" + event.reference.string)
    }
  }

  /// Another accepted event is the same and near in time.
  private func isDuplicate(_ fact: Fact) -> Bool {
    let within = settings.within[fact.type] ?? settings.withinDefault
    return facts.contains { other in
      guard other.account == fact.account, other.type == fact.type else { return false }
      let distance = abs(other.time - fact.time)
      return other.id == fact.id && distance <= within
        || other.order != nil && other.order == fact.order && distance <= settings.withinOrder
    }
  }

  private mutating func count(_ fact: Fact) {
    guard [.impression, .click, .auction].contains(fact.type) else { return }
    var sum = totals[fact.ad] ?? Totals()
    switch fact.type {
    case .impression: sum.impressions += 1
    case .click: sum.clicks += 1
    default:
      sum.auctions += 1
      if fact.isWon { sum.wins += 1 }
    }
    if fact.type != .auction { sum.spendMicros += fact.priceMicros }
    totals[fact.ad] = sum
    if !changed.contains(fact.ad) { changed.append(fact.ad) }
  }

  /// Time goes on tick by tick; it begins at the first event's.
  private mutating func walk(to time: Int64) {
    let target = time / settings.tick * settings.tick
    var now = clock ?? target
    while now < target {
      now += settings.tick
      // A multiple of `every` lies in the tick that has just ended.
      if now / settings.every > (now - settings.tick) / settings.every { publish(at: now) }
    }
    clock = max(now, clock ?? now)
  }

  private mutating func publish(at time: Int64) {
    for ad in changed {
      let sum = totals[ad] ?? Totals()
      let names = ad.split(separator: "/")
      tallies.append(
        #"\#(ad) {"account":"\#(names[0])","campaign":"\#(names[1])","ad":"\#(names[2])","#
          + #""time":\#(time),"source":{"clock":\#(time)},"impressions":\#(sum.impressions),"#
          + #""clicks":\#(sum.clicks),"spend":\#(NaiveTally.money(sum.spendMicros)),"#
          + #""auctions":\#(sum.auctions),"wins":\#(sum.wins)}"#)
    }
    changed.removeAll()
  }

  private static func money(_ micros: Int64) -> String {
    var digits = String(micros)
    while digits.count < 7 { digits = "0" + digits }
    let places = digits.suffix(6).reversed().drop { $0 == "0" }.reversed()
    return digits.dropLast(6) + (places.isEmpty ? "" : "." + String(places))
  }
}
