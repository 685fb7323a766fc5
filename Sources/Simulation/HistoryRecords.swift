import Events

// The JSON of each kind of record. Field order and number forms vary where the contract lets
// them, as they do in what real systems send.

private let placements: [StaticString] = [
  "news-top", "news-side", "feed", "story", "search", "video-pre", "newsletter", "forum",
]
private let systems: [StaticString] = ["android", "ios", "windows", "macos", "linux"]
private let browsers: [StaticString] = [
  "chrome", "safari", "firefox", "edge", "samsung", "webview",
]
private let countries: [StaticString] = [
  "de", "fr", "gb", "us", "es", "it", "nl", "pl", "se", "br", "in", "jp",
]
private let sizes: [StaticString] = [
  "300x250", "728x90", "160x600", "320x50", "970x250", "1080x1080",
]
/// Names beyond ASCII, some of them written with escapes.
private let cities: [StaticString] = [
  "Berlin", "Z\u{fc}rich", #"M\u00fcnchen"#, "Lyon", "S\u{e3}o Paulo", "\u{6771}\u{4eac}",
  #"\ud83d\ude00 Town"#, #"L\/A"#,
]
private let actions: [StaticString] = ["purchase", "signup", "lead", "download"]

extension RecordWriter {
  mutating func writeAccountName(_ account: Int) {
    text("acct-")
    decimal(UInt64(account), width: 4)
  }

  mutating func writeCampaignName(_ account: Int, _ campaign: Int) {
    text("camp-")
    decimal(UInt64(account), width: 4)
    byte(UInt8(ascii: "-"))
    decimal(UInt64(campaign), width: 2)
  }

  mutating func writeAdName(_ account: Int, _ campaign: Int, _ ad: Int) {
    text("ad-")
    decimal(UInt64(account), width: 4)
    byte(UInt8(ascii: "-"))
    decimal(UInt64(campaign), width: 2)
    byte(UInt8(ascii: "-"))
    decimal(UInt64(ad), width: 3)
  }
}

extension HistoryGenerator {
  // MARK: Parts

  /// The identifier of the record of a slot. Slots are mixed by a bijection, so no two are equal.
  private func identifier(_ slot: UInt64) -> UInt64 {
    Chance.mixed(slot &+ settings.seed &+ settings.numbersFrom)
  }

  /// `{"type":T,"id":…,"time":…,"account":…` and no end.
  private mutating func begin(
    _ type: EventType, id slot: UInt64, time: EventTime, account: Int, draws: Chance.Draws?
  ) {
    writer.text("{\"type\":\"")
    writer.text(type.name)
    writer.text("\",\"id\":\"")
    writer.byte(type.name.utf8Start.pointee)
    writer.hexadecimal(identifier(slot), digits: 16)
    writer.text("\",\"time\":")
    if let draws, draws.happens(20_000, .form) {
      writer.text("\"")
      writer.timestamp(time.milliseconds)
      writer.text("\"")
    } else {
      writer.decimal(UInt64(time.milliseconds))
    }
    writer.text(",\"account\":\"")
    writer.writeAccountName(account)
    writer.text("\"")
  }

  private mutating func place(account: Int, campaign: Int, ad: Int) {
    writer.text(",\"campaign\":\"")
    writer.writeCampaignName(account, campaign)
    writer.text("\",\"ad\":\"")
    writer.writeAdName(account, campaign, ad)
    writer.text("\"")
  }

  private mutating func person(account: UInt32, user: UInt32, device: UInt64) {
    let key = chance.entity(UInt64(account) << 32 | UInt64(user)).bits(.identifier)
    writer.text(",\"user\":\"u-")
    writer.hexadecimal(key, digits: 10)
    writer.text("\",\"device\":\"d-")
    writer.hexadecimal(key &+ device, digits: 10)
    writer.text("\"")
  }

  /// An amount as a number, or now and then as a string.
  private mutating func amount(_ micros: Int64, asText: Bool) {
    if asText { writer.text("\"") }
    writer.millionths(micros)
    if asText { writer.text("\"") }
  }

  // MARK: Good records

  /// - Returns: the price, in micros.
  mutating func writeImpression(_ touch: RecentTouches.Touch, draws: Chance.Draws) -> Int64 {
    let money = draws.bits(.money)
    let form = draws.bits(.form, 1)
    let bidMicros = 800 + Int64(Chance.below(6_000, money))
    let priceMicros = bidMicros - Int64(Chance.below(700, money << 32))
    begin(
      .impression, id: touch.slot, time: touch.time, account: Int(touch.account), draws: draws)
    place(account: Int(touch.account), campaign: Int(touch.campaign), ad: Int(touch.ad))
    writer.text(",\"price\":")
    amount(priceMicros, asText: form & 31 == 0)
    if form >> 14 & 1 == 0 {
      writer.text(",\"bid\":")
      amount(bidMicros, asText: false)
    }
    person(account: touch.account, user: touch.user, device: form >> 5 & 1)
    if form >> 6 & 63 == 0 { writer.text(",\"consent\":false") }
    writer.text(",\"placement\":\"")
    writer.text(placements[Chance.below(placements.count, form)])
    writer.text("\"")
    if form >> 12 & 3 == 0 { writer.text(",\"viewable\":false") }
    features(draws)
    writer.text("}")
    return priceMicros
  }

  /// Five or six features: words, numbers, a bool.
  private mutating func features(_ draws: Chance.Draws) {
    let words = draws.bits(.features)
    let numbers = draws.bits(.features, 1)
    writer.text(",\"features\":{\"os\":\"")
    writer.text(systems[Chance.below(systems.count, words)])
    writer.text("\",\"browser\":\"")
    writer.text(browsers[Chance.below(browsers.count, words << 8)])
    writer.text("\",\"country\":\"")
    writer.text(countries[Chance.below(countries.count, words << 16)])
    writer.text("\",\"size\":\"")
    writer.text(sizes[Chance.below(sizes.count, words << 24)])
    writer.text("\",\"recency\":")
    writer.millionths(Int64(Chance.below(1000, numbers)) * 1000)
    switch numbers & 7 {
    case 0, 1, 2:
      writer.text(",\"depth\":")
      writer.decimal(numbers >> 8 & 63)
    case 3:
      writer.text(",\"returning\":true")
    case 4:
      writer.text(",\"city\":\"")
      writer.text(cities[Chance.below(cities.count, numbers << 16)])
      writer.text("\"")
    default:
      break
    }
    writer.text("}")
  }

  /// - Returns: the price, in micros: 0 but for the few that are paid by click.
  mutating func writeClick(
    id: Int, time: EventTime, shown: RecentTouches.Touch, draws: Chance.Draws
  ) -> Int64 {
    let form = draws.bits(.form, 1)
    let isPaid = form & 7 == 0
    let priceMicros = isPaid ? 100_000 + Int64(Chance.below(900_000, draws.bits(.money))) : 0
    begin(.click, id: UInt64(id), time: time, account: Int(shown.account), draws: draws)
    place(account: Int(shown.account), campaign: Int(shown.campaign), ad: Int(shown.ad))
    writer.text(",\"impression\":\"i")
    writer.hexadecimal(identifier(shown.slot), digits: 16)
    writer.text("\"")
    clickID(UInt64(id))
    if isPaid {
      writer.text(",\"price\":")
      amount(priceMicros, asText: form & 8 == 0)
    }
    person(account: shown.account, user: shown.user, device: form >> 5 & 1)
    writer.text("}")
    return priceMicros
  }

  private mutating func clickID(_ click: UInt64) {
    writer.text(",\"click_id\":\"k")
    writer.hexadecimal(identifier(click) ^ 0x5bd1_e995, digits: 16)
    writer.text("\"")
  }

  mutating func writeConversion(
    id: Int, time: EventTime, click: RecentTouches.Touch, draws: Chance.Draws
  ) {
    let form = draws.bits(.form, 1)
    begin(.conversion, id: UInt64(id), time: time, account: Int(click.account), draws: draws)
    writer.text(",\"action\":\"")
    writer.text(actions[Chance.below(actions.count, form)])
    writer.text("\",\"order\":\"o-")
    writer.decimal(UInt64(id) &+ settings.numbersFrom)
    writer.text("\",\"value\":")
    amount(Int64(1 + Chance.below(25_000, draws.bits(.money))) * 10_000, asText: form & 1 == 0)
    if form & 14 != 0 { clickID(click.slot) }
    if form & 48 != 0 {
      person(account: click.account, user: click.user, device: form >> 8 & 1)
    }
    if form & 192 == 0 {
      writer.text(",\"signals\":{\"ip\":\"198.51.100.")
      writer.decimal(form >> 10 & 255)
      writer.text("\",\"language\":\"de-DE\",\"timezone\":\"Europe/Berlin\"}")
    }
    writer.text("}")
  }

  mutating func writeDealStage(id: Int, time: EventTime, step: OpenDeals.Step) {
    begin(
      .dealStage, id: UInt64(id), time: time, account: Int(step.click.account), draws: nil)
    writer.text(",\"deal\":\"deal-")
    writer.decimal(step.deal &+ settings.numbersFrom)
    writer.text("\",\"stage\":\"")
    if step.stage < OpenDeals.stages.count {
      writer.text(OpenDeals.stages[step.stage])
    } else {
      writer.text(step.isWon ? "won" : "lost")
    }
    writer.text("\",\"amount\":")
    let draws = chance.entity(step.deal)
    amount(Int64(1 + Chance.below(400, draws.bits(.money, 1))) * 100_000_000, asText: false)
    clickID(step.click.slot)
    person(account: step.click.account, user: step.click.user, device: 0)
    writer.text("}")
  }

  mutating func writeAuction(
    id: Int, time: EventTime, account: Int, campaign: Int, ad: Int, won: Bool,
    draws: Chance.Draws
  ) {
    let bidMicros = 500 + Int64(Chance.below(5_000, draws.bits(.money)))
    begin(.auction, id: UInt64(id), time: time, account: account, draws: nil)
    place(account: account, campaign: campaign, ad: ad)
    writer.text(",\"bid\":")
    amount(bidMicros, asText: false)
    writer.text(won ? ",\"won\":true" : ",\"won\":false")
    if draws.bits(.form, 1) & 3 != 0 {
      let change = Int64(Chance.below(500, draws.bits(.money, 1)))
      writer.text(",\"price\":")
      amount(won ? bidMicros - change : bidMicros + change, asText: false)
    }
    writer.text("}")
  }

  mutating func writeAdjustment(
    id: Int, time: EventTime, target: RecentTouches.Touch, draws: Chance.Draws
  ) {
    let form = Chance.below(4, draws.bits(.form, 1))
    begin(.adjustment, id: UInt64(id), time: time, account: Int(target.account), draws: nil)
    writer.text(",\"target\":\"c")
    writer.hexadecimal(identifier(target.slot), digits: 16)
    writer.text("\",\"target_type\":\"conversion\",\"kind\":\"")
    writer.text(form == 0 ? "restate" : "refund")
    writer.text("\"")
    if form == 0 {
      writer.text(",\"value\":")
      amount(Int64(Chance.below(250, draws.bits(.money))) * 1_000_000, asText: true)
    }
    writer.text("}")
  }

  mutating func writeControl(id: Int, time: EventTime, account: Int, draws: Chance.Draws) {
    let campaign = Chance.below(settings.campaignsPerAccount, draws.bits(.campaign))
    begin(.control, id: UInt64(id), time: time, account: account, draws: nil)
    writer.text(",\"campaign\":\"")
    writer.writeCampaignName(account, campaign)
    switch Chance.below(4, draws.bits(.form, 1)) {
    case 0: writer.text("\",\"action\":\"pause\",\"reason\":\"creative under review\"")
    case 1, 2: writer.text("\",\"action\":\"resume\"")
    default:
      writer.text("\",\"action\":\"set_max_bid\",\"value\":")
      amount(2_000 + Int64(Chance.below(8_000, draws.bits(.money))), asText: false)
    }
    writer.text(",\"by\":\"operations\"}")
  }

  mutating func writeHeartbeat(time: EventTime) {
    writer.text("{\"type\":\"heartbeat\",\"time\":")
    writer.decimal(UInt64(time.milliseconds))
    writer.text("}")
  }

  mutating func writeCampaign(id: Int, time: EventTime, account: Int, campaign: Int) {
    let draws = chance.entity(UInt64(id))
    begin(.campaign, id: UInt64(id), time: time, account: account, draws: nil)
    writer.text(",\"campaign\":\"")
    writer.writeCampaignName(account, campaign)
    writer.text("\",\"advertiser\":\"adv-")
    writer.decimal(UInt64(account), width: 4)
    writer.text("\",\"status\":\"active\",\"budget\":{\"daily\":")
    let dailyMicros =
      Int64(1 + Chance.below(50, draws.bits(.money))) * 10_000_000 * settings.budgetFactor
    amount(dailyMicros, asText: false)
    writer.text(",\"total\":")
    amount(dailyMicros * 30, asText: true)
    writer.text("},\"timezone\":\"Europe/Berlin\",\"goal\":{\"kind\":\"max_value\"}")
    writer.text(",\"bid\":{\"default\":0.002,\"max\":0.008},\"mode\":\"")
    writer.text(draws.bits(.form) & 3 == 0 ? "pipeline" : "direct")
    writer.text("\",\"auction\":\"second_price\"}")
  }

  // MARK: Bad records

  /// A record that breaks the contract in one of many ways.
  ///
  /// - Returns: the reason that it must be refused for.
  mutating func writeBad(
    id: Int, time: EventTime, account: Int, draws: Chance.Draws
  ) -> RejectionReason {
    let touch = RecentTouches.Touch(
      slot: UInt64(id), time: time, account: UInt32(account), campaign: 0, ad: 0, user: 0,
      appeal: 0)
    let form = draws.bits(.bad, 1)
    switch Chance.below(10, form) {
    case 0:
      _ = writeImpression(touch, draws: draws)
      writer.truncate(to: 1 + Int(form & 127))
      return .malformedJSON
    case 1:
      badEnd(touch, ",\"note\":\"it's \\x41\"}")
      return .malformedJSON
    case 2:
      badEnd(touch, ",\"note\":\"")
      writer.byte(form & 1 == 0 ? 0xff : 0xc0)
      writer.text("\"}")
      return .invalidUTF8
    case 3:
      writer.text("{\"type\":\"impression\",\"id\":\"x")
      writer.decimal(UInt64(id))
      writer.text("\",\"time\":")
      writer.decimal(UInt64(time.milliseconds))
      writer.text(",\"campaign\":\"camp\",\"ad\":\"ad\",\"price\":0.1}")
      return .missingField
    case 4:
      badEnd(touch, ",\"price\":\"about 2\"}")
      return .invalidField
    case 5:
      badEnd(touch, ",\"price\":0.001,\"user\":17}")
      return .invalidField
    case 6:
      writer.text("{\"type\":\"impresion\",\"id\":\"x")
      writer.decimal(UInt64(id))
      writer.text("\"}")
      return .unknownType
    case 7:
      badEnd(touch, ",\"price\":0.001,\"trace\":[[[[[[[[1]]]]]]]]}")
      return .tooDeep
    case 8:
      badEnd(touch, form & 1 == 0 ? ",\"price\":-0.001}" : ",\"price\":9300000000000}")
      return .outOfRange
    default:
      badEnd(touch, ",\"price\":0.001,\"features\":{\"f0\":0")
      for i in 1..<UInt64(65) {
        writer.text(",\"f")
        writer.decimal(i)
        writer.text("\":1")
      }
      writer.text("}}")
      return .tooManyFeatures
    }
  }

  /// An impression without a price that goes on as told.
  private mutating func badEnd(_ touch: RecentTouches.Touch, _ end: StaticString) {
    begin(.impression, id: touch.slot, time: touch.time, account: Int(touch.account), draws: nil)
    place(account: Int(touch.account), campaign: 0, ad: 0)
    writer.text(end)
  }
}
