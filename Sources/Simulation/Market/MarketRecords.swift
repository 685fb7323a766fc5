public import Events

/// Records as they were sent, back to back.
public struct MarketRecords: Sendable {
  public struct Record: Sendable {
    public var time: EventTime
    /// Index of its account; -1 for what belongs to none.
    public var account: Int
    public var start: Int
    public var count: Int
  }

  public private(set) var records: ContiguousArray<Record> = []
  public private(set) var bytes: ContiguousArray<UInt8> = []

  public init() {}

  public var isEmpty: Bool { records.isEmpty }

  /// Forgets the records; keeps the memory.
  public mutating func removeAll() {
    records.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
  }

  mutating func append(_ record: UnsafeBufferPointer<UInt8>, time: EventTime, account: Int) {
    records.append(Record(time: time, account: account, start: bytes.count, count: record.count))
    bytes.append(contentsOf: record)
  }
}

private let placements: [StaticString] = ["feed", "story", "news-top", "search", "video-pre"]
private let systems: [StaticString] = ["android", "ios", "windows", "macos"]

extension RecordWriter {
  mutating func writeHeartbeat(_ time: EventTime) {
    text("{\"type\":\"heartbeat\",\"time\":")
    decimal(UInt64(time.milliseconds))
    text("}")
  }
}

// The JSON of what happens in a market. Identifiers are a bijection of (campaign, opportunity), so
// no two are equal.
extension Market {
  private func identifier(_ campaign: Int, _ number: UInt64) -> UInt64 {
    Chance.mixed(Chance.mixed(UInt64(campaign) << 48 | number) ^ world.seed)
  }

  private mutating func begin(
    _ type: StaticString, _ letter: Unicode.Scalar, _ id: UInt64, _ time: EventTime, _ index: Int
  ) {
    writer.clear()
    writer.text("{\"type\":\"")
    writer.text(type)
    writer.text("\",\"id\":\"")
    writer.byte(UInt8(ascii: letter))
    writer.hexadecimal(id, digits: 16)
    writer.text("\",\"time\":")
    writer.decimal(UInt64(time.milliseconds))
    writer.text(",\"account\":\"")
    writer.plain(campaigns[index].accountName)
    writer.text("\"")
  }

  private mutating func place(_ index: Int, _ ad: Int) {
    writer.text(",\"campaign\":\"")
    writer.plain(campaigns[index].name)
    writer.text("\",\"ad\":\"")
    writer.plain(campaigns[index].ads[ad].name)
    writer.text("\"")
  }

  private mutating func money(_ micros: Int64) { writer.millionths(micros) }

  /// Somebody who comes again is known by a device, and where they are logged in by their name;
  /// one of three has a second device.
  private mutating func person(_ user: Int, _ index: Int, _ id: UInt64, _ form: UInt64) {
    guard user >= 0 else {
      writer.text(",\"device\":\"n-")
      writer.hexadecimal(id, digits: 12)
      writer.text("\"")
      return
    }
    let key = personChance.entity(UInt64(campaigns[index].account) << 32 | UInt64(user))
      .bits(.identifier)
    if form & 7 < 5 {
      writer.text(",\"user\":\"u-")
      writer.hexadecimal(key, digits: 12)
      writer.text("\"")
    }
    let hasSecond = key >> 60 < 5
    writer.text(",\"device\":\"d-")
    writer.hexadecimal(key ^ (hasSecond && form & 24 == 0 ? 1 : 0), digits: 12)
    writer.text("\"")
  }

  /// Hands the record over, and now and then plans to send it once more.
  private mutating func end(
    _ time: EventTime, _ index: Int, into records: inout MarketRecords, again draws: Chance.Draws?,
    _ counter: UInt64 = 0
  ) {
    writer.text("}")
    let account = campaigns[index].account
    records.append(writer.bytes, time: time, account: account)
    guard let draws else { return }
    let bits = draws.bits(.duplicate, counter)
    guard Chance.below(1_000_000, bits) < world.log.duplicatesPerMillion else { return }
    var resend = Pending(
      time: time + .milliseconds(50 + Int64(bits & 0xfff)), kind: .resend, campaign: index)
    let bytes = Array(writer.bytes)
    if let free = freeResends.popLast() {
      resends[free] = bytes
      resend.step = Int32(truncatingIfNeeded: free)
    } else {
      resend.step = Int32(truncatingIfNeeded: resends.count)
      resends.append(bytes)
    }
    resend.value = time.milliseconds
    queue.push(resend)
  }

  mutating func resend(_ pending: Pending, into records: inout MarketRecords) {
    let place = Int(pending.step)
    resends[place].withUnsafeBufferPointer {
      records.append(
        $0, time: EventTime(milliseconds: pending.value),
        account: campaigns[Int(pending.campaign)].account)
    }
    duplicates += 1
    resends[place] = []
    freeResends.append(place)
  }

  // MARK: Records

  mutating func write(
    impressionOf ad: Int, of index: Int, at time: EventTime, number: UInt64, user: Int,
    bid: Int64, price: Int64, _ draws: Chance.Draws, into records: inout MarketRecords
  ) {
    let id = identifier(index, number)
    let form = draws.bits(.features)
    begin("impression", "i", id, time, index)
    place(index, ad)
    writer.text(",\"price\":")
    money(price)
    writer.text(",\"bid\":")
    money(bid)
    person(user, index, id, form)
    writer.text(",\"placement\":\"")
    writer.text(placements[Chance.below(placements.count, form)])
    writer.text("\",\"features\":{\"os\":\"")
    writer.text(systems[Chance.below(systems.count, form << 16)])
    writer.text("\"}")
    end(time, index, into: &records, again: draws)
    if draws.happens(world.log.badPerMillion, .bad) {
      write(badAt: time, of: index, id, form, into: &records)
    }
  }

  mutating func write(
    lost ad: Int, of index: Int, at time: EventTime, number: UInt64, bid: Int64, price: Int64,
    into records: inout MarketRecords
  ) {
    begin("auction", "a", identifier(index, number), time, index)
    place(index, ad)
    writer.text(",\"bid\":")
    money(bid)
    writer.text(",\"won\":false,\"price\":")
    money(price)
    end(time, index, into: &records, again: nil)
  }

  mutating func write(click pending: Pending, into records: inout MarketRecords) {
    let index = Int(pending.campaign)
    let id = identifier(index, pending.number)
    let draws = opportunityDraws(pending)
    begin("click", "c", id, pending.time, index)
    place(index, Int(pending.ad))
    writer.text(",\"impression\":\"i")
    writer.hexadecimal(id, digits: 16)
    writer.text("\"")
    clickID(id)
    person(Int(pending.user), index, id, draws.bits(.features))
    end(pending.time, index, into: &records, again: draws, 1)
  }

  private mutating func clickID(_ id: UInt64) {
    writer.text(",\"click_id\":\"k")
    writer.hexadecimal(id ^ 0x5bd1_e995, digits: 16)
    writer.text("\"")
  }

  /// Most conversions know their click; the others are found by who they are.
  private mutating func origin(_ pending: Pending, _ draws: Chance.Draws) {
    let index = Int(pending.campaign)
    let id = identifier(index, pending.number)
    let form = draws.bits(.reference)
    if pending.user < 0 || form >> 32 & 3 != 0 { clickID(id) }
    person(Int(pending.user), index, id, form)
  }

  mutating func write(conversion pending: Pending, into records: inout MarketRecords) {
    let index = Int(pending.campaign)
    let id = identifier(index, pending.number)
    let draws = opportunityDraws(pending)
    begin("conversion", "v", id, pending.time, index)
    writer.text(",\"action\":\"")
    writer.text(campaigns[index].settings.deals == nil ? "purchase" : "lead")
    writer.text("\",\"order\":\"o-")
    writer.hexadecimal(id, digits: 12)
    writer.text("\",\"value\":")
    money(pending.value)
    origin(pending, draws)
    end(pending.time, index, into: &records, again: draws, 2)
  }

  mutating func write(
    dealStage pending: Pending, _ deals: MarketWorld.Deals, into records: inout MarketRecords
  ) {
    let index = Int(pending.campaign)
    let id = identifier(index, pending.number)
    let draws = opportunityDraws(pending)
    begin("deal_stage", "s", id &+ UInt64(pending.step) &+ 1, pending.time, index)
    writer.text(",\"deal\":\"")
    writer.hexadecimal(id, digits: 12)
    writer.text("\",\"pipeline\":\"")
    writer.plain(Array(deals.pipeline.utf8))
    writer.text("\",\"stage\":\"")
    if pending.step % 2 == 0 {
      writer.plain(Array(deals.stages[Int(pending.step) / 2].name.utf8))
    } else {
      writer.text("lost")
    }
    writer.text("\",\"amount\":")
    money(pending.value)
    origin(pending, draws)
    end(pending.time, index, into: &records, again: draws, 3 + UInt64(pending.step))
  }

  mutating func write(campaign pending: Pending, into records: inout MarketRecords) {
    let index = Int(pending.campaign)
    let settings = campaigns[index].settings
    let id = Chance.mixed(campaigns[index].salt &+ UInt64(pending.time.milliseconds))
    begin("campaign", "p", id, pending.time, index)
    writer.text(",\"campaign\":\"")
    writer.plain(campaigns[index].name)
    writer.text("\",\"advertiser\":\"")
    writer.plain(campaigns[index].accountName)
    writer.text("\",\"status\":\"active\",\"budget\":{\"daily\":")
    money(pending.value)
    writer.text("},\"timezone\":\"")
    writer.plain(Array(settings.zone.name.utf8))
    writer.text("\",\"goal\":{\"kind\":\"max_value\"},\"bid\":{\"default\":")
    money(campaigns[index].bidder.defaultBid.micros)
    writer.text(",\"max\":")
    money(campaigns[index].bidder.maxBid.micros)
    writer.text("},\"mode\":\"direct\",\"auction\":\"second_price\"")
    end(pending.time, index, into: &records, again: nil)
  }

  /// A record that breaks the contract, as a broken sender might send it.
  private mutating func write(
    badAt time: EventTime, of index: Int, _ id: UInt64, _ form: UInt64,
    into records: inout MarketRecords
  ) {
    begin("impression", "x", id, time, index)
    place(index, 0)
    switch form % 3 {
    case 0:  // A price is missing.
      writer.text("}")
    case 1:
      writer.text(",\"price\":\"about 2\"}")
    default:  // Cut off on its way.
      writer.text(",\"price\":0.0")
    }
    badRecords += 1
    records.append(writer.bytes, time: time, account: campaigns[index].account)
  }
}
