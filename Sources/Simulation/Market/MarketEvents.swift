import Events
import Learning

// What happens: opportunities and what they lead to.

extension Market {
  // MARK: An opportunity

  /// Somebody can be shown an ad. Everything about the moment follows from the opportunity's
  /// number; only what is bid, and what people have lived through, depends on who bids.
  @inline(__always)
  mutating func offer(campaign index: Int, at time: EventTime, into records: inout MarketRecords) {
    let draws = campaigns[index].arrivals.draws
    let number = campaigns[index].arrivals.number
    let rival = campaigns[index].rivals.highest(
      draws.bits(.rival), level: campaigns[index].arrivals.level)
    campaigns[index].arrivals.advance()

    var day = campaigns[index].days.count - 1
    if time >= campaigns[index].days[day].end {
      campaigns[index].beginDay(at: time)
      day += 1
    }
    let price = max(rival, campaigns[index].floor)
    campaigns[index].days[day].opportunities += 1
    if campaigns[index].fixedBid > rival, campaigns[index].fixedBid >= campaigns[index].floor {
      campaigns[index].days[day].reachable.add(micros: price)
    }

    guard let offer = decide(index, at: time, number: number, day: day, draws) else { return }
    guard offer.bid > rival, offer.bid >= campaigns[index].floor else {
      campaigns[index].ads[offer.ad].truth.auctionsLost += 1
      if isRecording, draws.happens(world.log.lostPerMillion, .form) {
        write(
          lost: offer.ad, of: index, at: time, number: number, bid: offer.bid, price: price,
          into: &records)
      }
      return
    }
    show(
      offer.ad, of: index, at: time, number: number, bid: offer.bid, price: price, day: day, draws,
      into: &records)
  }

  @inline(__always)
  private mutating func decide(
    _ index: Int, at time: EventTime, number: UInt64, day: Int, _ draws: Chance.Draws
  ) -> (ad: Int, bid: Int64)? {
    switch policy {
    case .parameters:
      return campaigns[index].bidder.bid(at: time, draws.unit(.ad))
    case .fixed:
      let today = campaigns[index].days[day]
      guard today.spend < today.budget else { return nil }
      let count = UInt64(campaigns[index].ads.count)
      return (Int(number % count), campaigns[index].fixedBid)
    }
  }

  /// An auction is won: the ad is shown, and perhaps clicked.
  private mutating func show(
    _ ad: Int, of index: Int, at time: EventTime, number: UInt64, bid: Int64, price: Int64,
    day: Int, _ draws: Chance.Draws, into records: inout MarketRecords
  ) {
    let user = person(draws, of: index)
    let affinity = inclination(of: user, in: index, draws)
    let appeal = campaigns[index].appeal(to: user, at: time, affinity: affinity)
    let chance = min(0.9, campaigns[index].ads[ad].truth.clickRate * appeal)
    campaigns[index].remember(impressionBy: user, at: time)
    campaigns[index].ads[ad].truth.impressions += 1
    campaigns[index].ads[ad].truth.spend.add(micros: price)
    campaigns[index].ads[ad].truth.expectedClicks += chance
    campaigns[index].spend(price, at: time, day: day)
    if isRecording {
      write(
        impressionOf: ad, of: index, at: time, number: number, user: user, bid: bid, price: price,
        draws, into: &records)
    }
    guard draws.unit(.click) < chance else { return }
    var click = Pending(
      time: time + .milliseconds(800 + Int64(40_000 * squared(draws.unit(.delay)))),
      kind: .click, campaign: index)
    click.ad = Int32(truncatingIfNeeded: ad)
    click.user = Int32(truncatingIfNeeded: user)
    click.number = number
    queue.push(click)
  }

  private func squared(_ x: Double) -> Double { x * x }

  /// Who it is; -1 for somebody who never came before. Some come far more often than others.
  @inline(__always)
  private func person(_ draws: Chance.Draws, of index: Int) -> Int {
    guard draws.unit(.newcomer) >= campaigns[index].newcomers else { return -1 }
    let u = draws.unit(.user)
    return min(Int(Double(campaigns[index].users) * u * u.squareRoot()), campaigns[index].users - 1)
  }

  /// How a person stands to campaigns of this kind, for good.
  @inline(__always)
  private func inclination(of user: Int, in index: Int, _ draws: Chance.Draws) -> Double {
    let sigma = campaigns[index].settings.people.affinity
    guard sigma > 0 else { return 1 }
    let u =
      user < 0
      ? draws.unit(.affinity)
      : personChance.entity(UInt64(index) << 32 | UInt64(user)).unit(.affinity)
    return Elementary.factor(sigma: sigma, u)
  }

  // MARK: What follows

  mutating func happen(_ pending: Pending, into records: inout MarketRecords) {
    let index = Int(pending.campaign)
    switch pending.kind {
    case .campaign:
      campaigns[index].setBudget(Money(micros: pending.value))
      if isRecording { write(campaign: pending, into: &records) }
    case .click: click(pending, into: &records)
    case .conversion: convert(pending, into: &records)
    case .dealStage: moveDeal(pending, into: &records)
    case .resend: resend(pending, into: &records)
    }
  }

  private mutating func click(_ pending: Pending, into records: inout MarketRecords) {
    let index = Int(pending.campaign)
    let ad = Int(pending.ad)
    let user = Int(pending.user)
    let draws = opportunityDraws(pending)
    let affinity = inclination(of: user, in: index, draws)
    let chance = min(
      0.9,
      campaigns[index].ads[ad].truth.conversionRate
        * campaigns[index].resolve(of: user, at: pending.time, affinity: affinity))
    campaigns[index].remember(clickBy: user, at: pending.time)
    campaigns[index].ads[ad].truth.clicks += 1
    campaigns[index].ads[ad].truth.expectedConversions += chance
    if isRecording { write(click: pending, into: &records) }

    guard draws.unit(.conversion) < chance else { return }
    let settings = campaigns[index].settings
    let factor = Elementary.factor(sigma: settings.value.sigma, draws.unit(.money))
    var conversion = pending
    conversion.kind = .conversion
    conversion.time = pending.time + delay(settings.delay, draws)
    conversion.value = max(1, cents(Double(settings.value.mean.micros) * factor))
    campaigns[index].ads[ad].truth.causedConversions += 1
    campaigns[index].ads[ad].truth.causedValue.add(micros: conversion.value)
    queue.push(conversion)
  }

  /// Prices have two decimals, where they are not smaller than that.
  private func cents(_ micros: Double) -> Int64 {
    let bounded = min(micros, 1e15)
    return bounded < 10_000 ? Int64(bounded) : Int64((bounded / 10_000).rounded()) * 10_000
  }

  private func delay(_ settings: MarketWorld.Delay, _ draws: Chance.Draws) -> TimeSpan {
    let u = draws.unit(.delay, 1)
    if draws.unit(.delay, 2) < settings.soon {
      return .milliseconds(90_000 + Int64(1_700_000 * u * u))
    }
    let scale = Double(settings.scale.milliseconds)
    let longest = Double(settings.longest.milliseconds)
    // Truncated: u only reaches as far as the longest delay lies in the distribution.
    let reach = 1 - Elementary.exp(-Elementary.positivePower(longest / scale, settings.shape))
    let mass = -Elementary.log(1 - u * reach)
    let milliseconds = scale * Elementary.positivePower(max(mass, 1e-12), 1 / settings.shape)
    return .milliseconds(60_000 + Int64(min(milliseconds, longest)))
  }

  private mutating func convert(_ pending: Pending, into records: inout MarketRecords) {
    let index = Int(pending.campaign)
    let ad = Int(pending.ad)
    campaigns[index].ads[ad].truth.conversions += 1
    campaigns[index].ads[ad].truth.value.add(micros: pending.value)
    if isRecording { write(conversion: pending, into: &records) }
    guard let deals = campaigns[index].settings.deals, !deals.stages.isEmpty else { return }
    // A lead's value is what its deal is worth on average.
    let chance = deals.stages.reduce(1) { $0 * max($1.chance, 0.001) }
    var stage = pending
    stage.kind = .dealStage
    stage.step = 0
    stage.value = cents(Double(pending.value) / chance)
    plan(stage, deals, after: pending.time)
  }

  /// Step 2k: the deal comes to stage k. Step 2k + 1: it is lost instead.
  private mutating func plan(_ stage: Pending, _ deals: MarketWorld.Deals, after time: EventTime) {
    let place = Int(stage.step)
    let draws = opportunityDraws(stage)
    let counter = UInt64(place) * 2
    var stage = stage
    stage.step = Int32(
      place * 2 + (draws.unit(.stage, counter) < deals.stages[place].chance ? 0 : 1))
    let mean = Double(deals.stages[place].after.milliseconds)
    let wait = min(-mean * Elementary.log(draws.unit(.stage, counter + 1)), 1e12)
    stage.time = time + .milliseconds(60_000 + Int64(wait))
    queue.push(stage)
  }

  private mutating func moveDeal(_ pending: Pending, into records: inout MarketRecords) {
    guard let deals = campaigns[Int(pending.campaign)].settings.deals else { return }
    if isRecording { write(dealStage: pending, deals, into: &records) }
    let next = pending.step / 2 + 1
    guard pending.step % 2 == 0, Int(next) < deals.stages.count else { return }
    var stage = pending
    stage.step = next
    plan(stage, deals, after: pending.time)
  }

  @inline(__always)
  func opportunityDraws(_ pending: Pending) -> Chance.Draws {
    opportunityChance.entity(UInt64(pending.campaign) << 48 | pending.number)
  }
}
