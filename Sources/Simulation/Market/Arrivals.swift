import Events
import Learning

/// When opportunities come, and how high rivals stand then: one campaign's traffic.
///
/// A Poisson process whose rate follows the hour of the day. The unit-rate process is stretched by
/// the inverse of the rate, piece by piece, so no draw is ever thrown away.
struct Arrivals {
  /// When the next opportunity comes; `EventTime.latest` after the world's end.
  private(set) var next: EventTime
  /// Its number, from 0.
  private(set) var number: UInt64 = 0
  /// The level of rivals' bids now, relative to their median.
  private(set) var level = 1.0

  private static let pieceMilliseconds = 900_000.0

  private let chance: Chance
  private let campaign: UInt64
  private let start: EventTime
  private let endAt: Double
  private let zone: MarketZone
  /// Relative traffic by hour, with mean 1.
  private let hours: [Double]
  private let perMillisecond: Double
  private let drift: Double
  /// Milliseconds since the start; a fraction is kept between opportunities.
  private var at = 0.0
  private var pieceEnd = 0.0
  private var factor = 1.0
  private var hour: UInt64 = 0
  private var wandering = 0.0

  init(campaign: Int, _ settings: MarketWorld.Campaign, in world: MarketWorld, chance: Chance) {
    self.campaign = UInt64(campaign)
    self.chance = chance
    start = world.start
    endAt = Double((world.end - world.start).milliseconds)
    zone = settings.zone
    let mean = settings.hours.reduce(0, +) / 24
    hours = settings.hours.map { $0 / mean }
    perMillisecond = settings.opportunitiesPerSecond / 1000
    drift = settings.rivals.drift
    next = world.start
    wandering = Arrivals.step(chance, UInt64(campaign), 0)
    beginPiece()
    findNext()
  }

  /// The draws of the next opportunity.
  @inline(__always)
  var draws: Chance.Draws { chance.entity(campaign << 48 | number) }

  /// Moves on to the opportunity after the next.
  @inline(__always)
  mutating func advance() {
    number += 1
    findNext()
  }

  @inline(__always)
  private mutating func findNext() {
    var mass = -Elementary.log(draws.unit(.arrival)) / perMillisecond
    while true {
      let room = (pieceEnd - at) * factor
      if mass < room {
        at += mass / factor
        next = start + .milliseconds(Int64(at))
        return
      }
      mass -= room
      at = pieceEnd
      if at >= endAt {
        next = .latest
        return
      }
      beginPiece()
    }
  }

  /// Traffic is even for a quarter of an hour; the level of rivals for an hour.
  @inline(never)
  private mutating func beginPiece() {
    pieceEnd = at + Arrivals.pieceMilliseconds
    let local = zone.timeOfDay(at: start + .milliseconds(Int64(at)))
    let position = Double(local) / 3_600_000
    let whole = Int(position)
    let part = position - Double(whole)
    factor = hours[whole % 24] * (1 - part) + hours[(whole + 1) % 24] * part
    let now = UInt64(at / 3_600_000)
    while hour < now {
      hour += 1
      // Keeps its variance of 1: what lasts is 0.9, what is new the root of 1 - 0.81.
      wandering = 0.9 * wandering + 0.43588989435406736 * Arrivals.step(chance, campaign, hour)
    }
    level = Elementary.exp(drift * wandering - drift * drift / 2)
  }

  private static func step(_ chance: Chance, _ campaign: UInt64, _ hour: UInt64) -> Double {
    Elementary.normalQuantile(chance.entity(campaign << 48 | 0xffff_ffff_ffff).unit(.drift, hour))
  }
}

/// The highest rival bid at level 1: log-normal, from a table of its quantiles.
struct RivalBids {
  private static let bits = 12
  private let quantiles: ContiguousArray<Double>

  init(_ rivals: MarketWorld.Rivals) {
    let count = 1 << RivalBids.bits
    let median = Double(rivals.median.micros)
    quantiles = ContiguousArray(
      (0...count).map { place in
        // The ends of the table are the middles of its first and last cells.
        let u = min(max(Double(place), 0.5), Double(count) - 0.5) / Double(count)
        return median * Elementary.exp(rivals.sigma * Elementary.normalQuantile(u))
      })
  }

  /// In micros.
  @inline(__always)
  func highest(_ bits: UInt64, level: Double) -> Int64 {
    let place = Int(truncatingIfNeeded: bits >> (64 - UInt64(RivalBids.bits)))
    let part = Double((bits << UInt64(RivalBids.bits)) >> 11) * 0x1p-53
    let bid = quantiles[place] + (quantiles[place + 1] - quantiles[place]) * part
    return Int64(min(bid * level, 1e18))
  }
}
