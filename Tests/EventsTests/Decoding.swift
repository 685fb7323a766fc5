import Events

/// What a decoder made of a record, in the reference's terms.
enum Decoding {
  static func outcome(
    _ record: [UInt8], _ decoder: inout EventDecoder, _ batch: EventBatch
  ) -> ReferenceDecoder.Outcome {
    // A copy of exactly the record's size: what lies behind it is nobody's.
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: record.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: record)
    return outcome(UnsafeRawBufferPointer(memory), &decoder, batch)
  }

  static func outcome(
    _ record: UnsafeRawBufferPointer, _ decoder: inout EventDecoder, _ batch: EventBatch
  ) -> ReferenceDecoder.Outcome {
    if batch.isFull { batch.removeAll() }
    let count = batch.count
    let unknown = decoder.unknownFieldsCount
    if let rejection = decoder.decode(record, into: batch) {
      precondition(batch.count == count, "a refused record leaves no event")
      precondition((0...record.count).contains(rejection.byteOffset), "the place is in the record")
      precondition(!rejection.detail.isEmpty, "a rejection says what is wrong")
      let isText = [.malformedJSON, .tooDeep, .invalidUTF8].contains(rejection.reason)
      return .rejected(
        rejection.reason, field: rejection.field, offset: isText ? nil : rejection.byteOffset)
    }
    precondition(batch.count == count + 1, "an accepted record is one event")
    let event = batch[count].pointee
    let unknownFields = Int(decoder.unknownFieldsCount - unknown)
    precondition(event.flags.contains(.hasUnknownFields) == (unknownFields > 0), "counted")
    return .accepted(facts(event, batch), unknownFields: unknownFields)
  }

  static func facts(_ event: Event, _ batch: EventBatch) -> [String: String] {
    var facts = Facts()
    facts.values["type"] = "\(event.type.name)"
    facts.values["time"] = "\(event.time.milliseconds)"
    facts.text("id", event.id)
    facts.text("account", event.account)
    facts.text("campaign", event.campaign)
    facts.text("ad", event.ad)
    facts.text("advertiser", event.advertiser)
    facts.text("user", event.user)
    facts.text("device", event.device)
    facts.text("click_id", event.clickID)
    facts.text("placement", event.placement)
    facts.text("shard", event.shard)
    facts.text(referenceName(event.type), event.reference)
    facts.text(event.type == .dealStage ? "stage" : "action", event.action)
    facts.money(event.type == .lease ? "amount" : "price", event.price, event, .hasPrice)
    facts.money("bid", event.bid, event, .hasBid)
    facts.money(event.type == .dealStage ? "amount" : "value", event.value, event, .hasValue)
    facts.values["consent"] = "\(event.flags.contains(.consent))"
    if event.type == .impression {
      facts.values["viewable"] = "\(event.flags.contains(.viewable))"
    }
    if event.type == .auction { facts.values["won"] = "\(event.flags.contains(.won))" }
    if event.flags.contains(.hasFeatures) {
      facts.values["features"] = batch.features(of: event).map {
        "\($0.name):\($0.hash):\($0.value)"
      }.joined(separator: ";")
    }
    if let details = batch.details(of: event) { facts.details(details) }
    return facts.values
  }

  private static func referenceName(_ type: EventType) -> String {
    switch type {
    case .click: "impression"
    case .conversion: "order"
    case .dealStage: "deal"
    case .adjustment: "target"
    default: "reference"
    }
  }
}

private struct Facts {
  var values: [String: String] = [:]

  mutating func text(_ name: String, _ identifier: Identifier) {
    precondition(identifier.row == -1, "no row is assigned yet")
    precondition(identifier.hash == ReferenceHash.text(Array(identifier.bytes)), "hash of text")
    if !identifier.isAbsent { values[name] = identifier.string }
  }

  mutating func money(_ name: String, _ money: Money, _ event: Event, _ flag: Event.Flags) {
    precondition(event.flags.contains(flag) || money == .zero, "what is not given is zero")
    if event.flags.contains(flag) { values[name] = "\(money.micros)" }
  }

  mutating func optional(_ name: String, _ value: Money?) {
    if let value { values[name] = "\(value.micros)" }
  }

  mutating func optional(_ name: String, _ value: Int64?) {
    if let value { values[name] = "\(value)" }
  }

  mutating func optional(_ name: String, _ value: EventTime?) {
    if let value { values[name] = "\(value.milliseconds)" }
  }

  /// The word of a case: its name in snake case.
  mutating func word(_ name: String, _ value: (some Any)?) {
    guard let value else { return }
    values[name] = "\(value)".reduce(into: "") { word, letter in
      if letter.isUppercase { word += "_" }
      word += letter.lowercased()
    }
  }

  mutating func details(_ details: EventDetails) {
    switch details {
    case .conversion(let signals): self.signals(signals)
    case .dealStage(let stage):
      text("pipeline", stage.pipeline)
      if let signals = stage.signals { self.signals(signals) }
    case .campaign(let campaign): self.campaign(campaign)
    case .control(let control):
      word("action", control.action)
      optional("value", control.valueMicros)
      optional("until", control.until)
      text("by", control.by)
      text("reason", control.reason)
    case .adjustment(let adjustment):
      word("kind", adjustment.kind)
      word("target_type", adjustment.targetType)
    case .lease(let action): word("action", action)
    case .actuals(let actuals):
      optional("from", actuals.from)
      optional("to", actuals.to)
      optional("impressions", actuals.impressions)
      optional("clicks", actuals.clicks)
      optional("conversions", actuals.conversions)
      optional("spend", actuals.spend)
      optional("revenue", actuals.revenue)
    case .prior(let kind, let payload):
      text("kind", kind)
      text("payload", payload)
    }
  }

  private mutating func signals(_ signals: EventDetails.Signals) {
    values["signals"] = "given"
    text("signals.ip", signals.ip)
    text("signals.user_agent", signals.userAgent)
    text("signals.language", signals.language)
    text("signals.timezone", signals.timezone)
    text("signals.postal", signals.postal)
  }

  private mutating func campaign(_ campaign: EventDetails.Campaign) {
    word("status", campaign.status)
    optional("budget.daily", campaign.dailyBudget)
    optional("budget.total", campaign.totalBudget)
    optional("schedule.start", campaign.start)
    optional("schedule.end", campaign.end)
    text("timezone", campaign.timezone)
    word("goal.kind", campaign.goal)
    optional("goal.target", campaign.goalTarget)
    optional("bid.default", campaign.defaultBid)
    optional("bid.max", campaign.maxBid)
    optional("bid.ceiling", campaign.ceilingMicros)
    word("mode", campaign.mode)
    word("auction", campaign.auction)
  }
}
