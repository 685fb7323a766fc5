/// The complete way from a record to an event or to the one thing that is wrong with it.
///
/// First the text as a whole (UTF-8, then grammar and depth), then `type`, then the fields in the
/// order of their bytes, then what is missing.
extension EventDecoder {
  /// Returns the number of unknown fields.
  mutating func decodeThoroughly(
    _ base: UnsafePointer<UInt8>, count: Int, into batch: EventBatch
  ) throws(Rejection) -> Int {
    if let offset = UTF8Text.firstInvalid(base, in: 0..<count) {
      throw .invalidUTF8(base, at: offset, end: count)
    }
    do {
      try JSONGrammar(base: base, end: count).checkRecord()
    } catch {
      throw .malformed(error, base, end: count)
    }
    defer { forgetRecord() }
    members.collect(
      base, object: JSONGrammar(base: base, end: count).skipWhitespace(0), arena: &scratch)
    do throws(Rejection) {
      return try readRecord(base, into: batch)
    } catch {
      salvage(base, batch)
      throw error
    }
  }

  /// Returns the number of unknown fields.
  private mutating func readRecord(
    _ base: UnsafePointer<UInt8>, into batch: EventBatch
  ) throws(Rejection) -> Int {
    let type = try readType(base)
    var reader = RecordReader(base: base, type: type, batch: batch)
    do throws(Rejection) {
      try readFields(&reader)
      try requireFields(reader)
      reader.append(defaults: defaults)
    } catch {
      reader.abandon()
      throw error
    }
    return reader.unknownFields
  }

  /// Notes whose a refused record was, and when, where each is given once and is valid.
  private mutating func salvage(_ base: UnsafePointer<UInt8>, _ batch: EventBatch) {
    let reader = RecordReader(base: base, type: .heartbeat, batch: batch)
    var accounts = 0
    var times = 0
    for member in members {
      if Text.equal(member.key.bytes, Field.account.name) {
        accounts += 1
        refused.account = (try? reader.key("account", member.value)) ?? .absent
      } else if Text.equal(member.key.bytes, Field.time.name) {
        times += 1
        refused.time = try? reader.time("time", member.value, &scratch)
      }
    }
    if accounts > 1 { refused.account = .absent }
    if times > 1 { refused.time = nil }
  }

  private mutating func forgetRecord() {
    scratch.reset()
    members.forget()
    innerMembers.forget()
  }

  private mutating func readType(_ base: UnsafePointer<UInt8>) throws(Rejection) -> EventType {
    var found: JSONMember?
    for member in members where Text.equal(member.key.bytes, Field.type.name) {
      guard found == nil else { throw .repeated("type", at: member.keyStart) }
      found = member
    }
    guard let value = found?.value, value.kind != .null else {
      throw .missing("type", "every record needs one of \(EventType.words)")
    }
    guard value.kind == .string else {
      throw .invalid("type", base, value, expected: "a string, one of \(EventType.words)")
    }
    let word = JSONString.text(base, from: value.start, to: value.end, arena: &scratch)
    guard let type = EventType(word: word.bytes) else {
      throw Rejection(
        reason: .unknownType, field: "type",
        detail: "\(Rejection.describe(base, value)) is none of \(EventType.words)",
        byteOffset: value.start)
    }
    return type
  }

  private mutating func readFields(_ reader: inout RecordReader) throws(Rejection) {
    let repeated = members.firstRepeated()
    for index in members.indices {
      let member = members[index]
      if index == repeated { throw .repeated(member.key.string, at: member.keyStart) }
      guard
        let field = plans.field(named: member.key.bytes, hash: member.key.hash),
        case let plan = plans.plan(reader.type, field), plan.action != .unknown
      else {
        reader.unknownFields += 1
        continue
      }
      if member.value.kind == .null { continue }
      reader.given |= field.bit
      try read(field, plan, member.value, &reader)
    }
  }

  private mutating func read(
    _ field: Field, _ plan: FieldPlan, _ value: JSONValue, _ reader: inout RecordReader
  ) throws(Rejection) {
    let name = field.name
    switch plan.action {
    case .unknown, .type: break
    case .time: reader.event.time = try reader.time(name.description, value, &scratch)
    case .key: reader.store(try reader.key(name.description, value), at: plan)
    case .text: reader.storeOptional(try reader.text(name.description, value), at: plan)
    case .requiredText: reader.store(try reader.requiredText(name.description, value), at: plan)
    case .money: reader.store(try reader.money(name.description, value, &scratch), at: plan)
    case .signedMoney:
      reader.store(try reader.signedMoney(name.description, value, &scratch), at: plan)
    case .flag: reader.store(try reader.flag(name.description, value), at: plan)
    case .features: try readFeatures(value, &reader)
    case .detail: try readDetail(field, value, &reader)
    }
  }

  private func requireFields(_ reader: borrowing RecordReader) throws(Rejection) {
    for field in Field.required(by: reader.type) where reader.given & field.bit == 0 {
      throw .missing(field.name.description, "\(reader.type.name) needs it")
    }
    switch reader.type {
    case .erasure:
      if reader.event.user.isAbsent, reader.event.device.isAbsent {
        throw .missing("user", "erasure needs user or device")
      }
    case .control:
      let action = reader.controlAction
      if action == .setMaxBid || action == .setMultiplier, reader.controlValue == nil {
        throw .missing("value", "set_max_bid and set_multiplier need it")
      }
    case .campaign:
      if reader.goalIsGiven, reader.campaign.goal == nil {
        throw .missing("goal.kind", "a goal needs max_value, cpa or roas")
      }
      if reader.campaign.goal == .cpa || reader.campaign.goal == .roas,
        reader.campaign.goalTarget == nil
      {
        throw .missing("goal.target", "cpa and roas need it")
      }
    default: break
    }
  }

  private mutating func readFeatures(
    _ value: JSONValue, _ reader: inout RecordReader
  ) throws(Rejection) {
    let repeated = try openObject("features", value, reader)
    reader.event.flags.insert(.hasFeatures)
    for index in innerMembers.indices {
      let member = innerMembers[index]
      guard (1...Limits.identifierBytes).contains(Int(member.key.length)) else {
        throw Rejection(
          reason: .invalidField, field: "features",
          detail: "a feature's name has \(member.key.length) bytes; expected 1…"
            + "\(Limits.identifierBytes)",
          byteOffset: member.keyStart)
      }
      if index == repeated {
        throw .repeated("features." + member.key.string, at: member.keyStart)
      }
      if member.value.kind == .null { continue }
      if reader.featuresCount == Limits.features {
        throw Rejection(
          reason: .tooManyFeatures, field: "features",
          detail: "more than \(Limits.features) features", byteOffset: member.keyStart)
      }
      try reader.feature(member, &scratch)
    }
  }

  private mutating func openObject(
    _ path: StaticString, _ value: JSONValue, _ reader: RecordReader
  ) throws(Rejection) -> Int {
    guard value.kind == .object else {
      throw .invalid(path.description, reader.base, value, expected: "an object")
    }
    innerMembers.collect(reader.base, object: value.start, arena: &scratch)
    return innerMembers.firstRepeated()
  }

  /// Reads an object of named fields; `read` says whether it knows the one it is given.
  private mutating func readObject(
    _ object: StaticString, _ value: JSONValue, _ reader: inout RecordReader,
    read: (FieldPath, JSONValue, inout RecordReader, inout TextArena) throws(Rejection) -> Bool
  ) throws(Rejection) {
    let repeated = try openObject(object, value, reader)
    for index in innerMembers.indices {
      let member = innerMembers[index]
      let path = FieldPath(object: object, key: member.key)
      if index == repeated { throw .repeated(path.string, at: member.keyStart) }
      let isKnown = try read(path, member.value, &reader, &scratch)
      if !isKnown { reader.unknownFields += 1 }
    }
  }

  private mutating func readDetail(
    _ field: Field, _ value: JSONValue, _ reader: inout RecordReader
  ) throws(Rejection) {
    switch (reader.type, field) {
    case (_, .signals):
      reader.signals = EventDetails.Signals()
      try readObject("signals", value, &reader, read: RecordReader.signal)
    case (.campaign, .budget):
      try readObject("budget", value, &reader, read: RecordReader.budget)
    case (.campaign, .schedule):
      try readObject("schedule", value, &reader, read: RecordReader.schedule)
    case (.campaign, .goal):
      try readObject("goal", value, &reader, read: RecordReader.goal)
      reader.goalIsGiven = !innerMembers.isEmpty
    case (.campaign, .bid):
      try readObject("bid", value, &reader, read: RecordReader.campaignBid)
    default:
      try reader.detail(field, value, &scratch)
    }
  }
}

/// A field inside of an object; its text is needed only where something is wrong with it.
struct FieldPath {
  var object: StaticString
  var key: Identifier

  var string: String { "\(object).\(key.string)" }

  func isKey(_ name: StaticString) -> Bool { Text.equal(key.bytes, name) }
}

extension ContiguousArray<JSONMember> {
  /// Lists the members of the object whose brace is at `object`.
  fileprivate mutating func collect(
    _ base: UnsafePointer<UInt8>, object: Int, arena: inout TextArena
  ) {
    removeAll(keepingCapacity: true)
    var members = JSONMembers(base, object: object)
    while let member = members.next(arena: &arena) { append(member) }
  }

  /// Empties the list; keeps its memory unless one odd record made it huge.
  fileprivate mutating func forget() {
    removeAll(keepingCapacity: capacity <= 1_024)
  }
}
