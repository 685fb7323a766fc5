// The fields that only types with details have.
extension RecordReader {
  mutating func detail(
    _ field: Field, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) {
    switch type {
    case .dealStage: pipeline = try text("pipeline", value)
    case .campaign: try campaignField(field, value, &scratch)
    case .control: try controlField(field, value, &scratch)
    case .adjustment: try adjustmentField(field, value, &scratch)
    case .lease:
      leaseAction = try word(
        "action", value, &scratch, ["request": .request, "return": .return])
    case .actuals: try actualsField(field, value, &scratch)
    case .prior:
      if field == .kind {
        priorKind = try text("kind", value)
      } else {
        payload = JSONString.identifier(bytes(value))
      }
    case .impression, .click, .conversion, .auction, .erasure, .heartbeat: break
    }
  }

  private mutating func campaignField(
    _ field: Field, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) {
    switch field {
    case .status:
      campaign.status = try word(
        "status", value, &scratch, ["active": .active, "paused": .paused, "ended": .ended])
    case .timezone: campaign.timezone = try requiredText("timezone", value)
    case .mode:
      campaign.mode = try word(
        "mode", value, &scratch, ["direct": .direct, "pipeline": .pipeline])
    case .auction:
      campaign.auction = try word(
        "auction", value, &scratch,
        ["first_price": .firstPrice, "second_price": .secondPrice])
    default: break
    }
  }

  private mutating func controlField(
    _ field: Field, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) {
    switch field {
    case .action:
      controlAction = try word(
        "action", value, &scratch,
        [
          "pause": .pause, "resume": .resume, "kill": .kill, "set_max_bid": .setMaxBid,
          "set_multiplier": .setMultiplier, "release": .release,
        ])
    case .value: controlValue = try money("value", value, &scratch).micros
    case .until: until = try time("until", value, &scratch)
    case .by: by = try text("by", value)
    case .reason: reason = try text("reason", value)
    default: break
    }
  }

  private mutating func adjustmentField(
    _ field: Field, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) {
    if field == .kind {
      adjustmentKind = try word(
        "kind", value, &scratch,
        ["refund": .refund, "restate": .restate, "invalid_traffic": .invalidTraffic])
      return
    }
    let word = try text("target_type", value, expected: "an event type's name")
    guard let type = EventType(word: word.bytes) else {
      throw .invalid("target_type", base, value, expected: "one of \(EventType.words)")
    }
    targetType = type
  }

  private mutating func actualsField(
    _ field: Field, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) {
    switch field {
    case .from: from = try time("from", value, &scratch)
    case .to:
      to = try time("to", value, &scratch)
      endOffset = value.start
    case .impressions: actuals.impressions = try count("impressions", value)
    case .clicks: actuals.clicks = try count("clicks", value)
    case .conversions: actuals.conversions = try count("conversions", value)
    case .spend: actuals.spend = try money("spend", value, &scratch)
    case .revenue: actuals.revenue = try signedMoney("revenue", value, &scratch)
    default: break
    }
    guard field == .from || field == .to, let from, let to else { return }
    actuals.from = from
    actuals.to = to
    try requireOrder(from, to, "to")
  }

  /// The relation of two times shows once both are read, and is the end's fault.
  private func requireOrder(
    _ start: EventTime, _ end: EventTime, _ path: String
  ) throws(Rejection) {
    guard end < start else { return }
    throw Rejection(
      reason: .outOfRange, field: path,
      detail: "\(path) is \(end), before the start of its period at \(start)",
      byteOffset: endOffset)
  }

  // The members of nested objects: each takes one and says whether it knows it.

  static func signal(
    _ path: FieldPath, _ value: JSONValue, _ reader: inout RecordReader,
    _ scratch: inout TextArena
  ) throws(Rejection) -> Bool {
    let slot: WritableKeyPath<EventDetails.Signals, Identifier>
    if path.isKey("ip") {
      slot = \.ip
    } else if path.isKey("user_agent") {
      slot = \.userAgent
    } else if path.isKey("language") {
      slot = \.language
    } else if path.isKey("timezone") {
      slot = \.timezone
    } else if path.isKey("postal") {
      slot = \.postal
    } else {
      return false
    }
    if value.kind == .null { return true }
    let text = try reader.text(path.string, value)
    reader.signals?[keyPath: slot] = text
    return true
  }

  static func budget(
    _ path: FieldPath, _ value: JSONValue, _ reader: inout RecordReader,
    _ scratch: inout TextArena
  ) throws(Rejection) -> Bool {
    if path.isKey("daily") {
      reader.campaign.dailyBudget = try reader.optionalMoney(path, value, &scratch)
    } else if path.isKey("total") {
      reader.campaign.totalBudget = try reader.optionalMoney(path, value, &scratch)
    } else {
      return false
    }
    return true
  }

  static func schedule(
    _ path: FieldPath, _ value: JSONValue, _ reader: inout RecordReader,
    _ scratch: inout TextArena
  ) throws(Rejection) -> Bool {
    let isEnd = path.isKey("end")
    guard isEnd || path.isKey("start") else { return false }
    if value.kind == .null { return true }
    let time = try reader.time(path.string, value, &scratch)
    if isEnd {
      reader.campaign.end = time
      reader.endOffset = value.start
    } else {
      reader.campaign.start = time
    }
    if let start = reader.campaign.start, let end = reader.campaign.end {
      try reader.requireOrder(start, end, "schedule.end")
    }
    return true
  }

  static func goal(
    _ path: FieldPath, _ value: JSONValue, _ reader: inout RecordReader,
    _ scratch: inout TextArena
  ) throws(Rejection) -> Bool {
    if path.isKey("kind") {
      if value.kind == .null { return true }
      reader.campaign.goal = try reader.word(
        path.string, value, &scratch, ["max_value": .maxValue, "cpa": .cpa, "roas": .roas])
    } else if path.isKey("target") {
      reader.campaign.goalTarget = try reader.optionalMoney(path, value, &scratch)
    } else {
      return false
    }
    return true
  }

  static func campaignBid(
    _ path: FieldPath, _ value: JSONValue, _ reader: inout RecordReader,
    _ scratch: inout TextArena
  ) throws(Rejection) -> Bool {
    if path.isKey("default") {
      reader.campaign.defaultBid = try reader.optionalMoney(path, value, &scratch)
    } else if path.isKey("max") {
      reader.campaign.maxBid = try reader.optionalMoney(path, value, &scratch)
    } else if path.isKey("ceiling") {
      reader.campaign.ceilingMicros =
        try reader.optionalMoney(path, value, &scratch)?.micros
    } else {
      return false
    }
    return true
  }

  private func optionalMoney(
    _ path: FieldPath, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) -> Money? {
    value.kind == .null ? nil : try money(path.string, value, &scratch)
  }
}
