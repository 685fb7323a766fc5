/// One pass over a record of a frequent type that has nothing unusual about it.
///
/// It accepts or it gives up; what a record it gave up on is worth, `ThoroughDecoding` says. So
/// the only law here is: whatever is accepted, the thorough way accepts with the same event.
extension EventDecoder {
  /// The types without details of their own.
  private static let types: UInt16 = [
    EventType.impression, .click, .conversion, .auction, .heartbeat,
  ].reduce(0) { $0 | 1 << UInt16($1.rawValue) }

  private static let gaveUp = -1
  /// Less a type's number: the record is of this other type.
  private static let isOfType = -2

  /// Returns the number of unknown fields, or -1 for a record that the thorough way has to decide
  /// on; the batch is then as before.
  func decodeFast(
    _ base: UnsafePointer<UInt8>, count: Int, into batch: EventBatch
  ) -> Int {
    guard let values = FastValues(base, count: count) else { return Self.gaveUp }
    var result = Self.gaveUp
    if count >= 16, base[0] == UInt8(ascii: "{"), Words.load(base + 1) == 0x223A_2265_7079_7422 {
      // {"type":"
      guard let (type, next) = typeWord(values, base + 8) else { return Self.gaveUp }
      result = read(values, from: next, as: type, seen: Field.type.bit, batch)
    } else {
      let start = values.significant(base)
      guard start.pointee == UInt8(ascii: "{") else { return Self.gaveUp }
      let first = values.significant(start + 1)
      result = read(values, from: first, as: predictions.lastType.pointee, seen: 0, batch)
      if result <= Self.isOfType, let type = EventType(rawValue: UInt8(Self.isOfType - result)) {
        predictions.lastType.pointee = type
        result = read(values, from: first, as: type, seen: 0, batch)
      }
    }
    return max(result, Self.gaveUp)
  }

  /// The type that the string at `p` names.
  @inline(__always)
  private func typeWord(
    _ values: FastValues, _ p: UnsafePointer<UInt8>
  ) -> (EventType, UnsafePointer<UInt8>)? {
    let first = values.word(p)
    let second = values.word(p + 8)
    let last = predictions.lastType.pointee
    let pattern = plans.typePatterns + Int(last.rawValue)
    if pattern.pointee.matches(first, second) { return (last, p + pattern.pointee.length) }
    return unpredictedTypeWord(first, second, p)
  }

  @inline(never)
  private func unpredictedTypeWord(
    _ first: UInt64, _ second: UInt64, _ p: UnsafePointer<UInt8>
  ) -> (EventType, UnsafePointer<UInt8>)? {
    for type in EventType.allCases {
      let pattern = plans.typePatterns + Int(type.rawValue)
      if pattern.pointee.matches(first, second) { return (type, p + pattern.pointee.length) }
    }
    return nil
  }

  /// With the type's bit in `seen`, `start` is the place after the
  /// type's value; else it is that of the first key.
  private func read(
    _ values: FastValues, from start: UnsafePointer<UInt8>, as type: EventType,
    seen alreadySeen: UInt64, _ batch: EventBatch
  ) -> Int {
    guard Self.types & (1 &<< UInt16(type.rawValue)) != 0 else { return Self.gaveUp }
    let mark = batch.state.pointee.arena.mark
    batch.reserveFeatures()
    let result = readMembers(values, from: start, as: type, seen: alreadySeen, batch)
    if result < 0 { batch.state.pointee.arena.rewind(to: mark) }
    return result
  }

  @inline(__always)
  private func readMembers(
    _ values: FastValues, from start: UnsafePointer<UInt8>, as type: EventType,
    seen alreadySeen: UInt64, _ batch: EventBatch
  ) -> Int {
    let typeRow = Int(type.rawValue) &* FieldPlans.stride
    let successors = predictions.successors + typeRow
    let typePlans = plans.plans + typeRow
    let event = batch.events + batch.state.pointee.count
    event.update(from: predictions.blanks + Int(type.rawValue), count: 1)
    event.pointee.featuresStart = Int32(truncatingIfNeeded: batch.state.pointee.featuresCount)

    var p = start
    var seen = alreadySeen
    var nulls: UInt64 = 0
    var unknownFields = 0
    // Those of them that no type knows: they have no bit in `seen`.
    var unknownKeys = 0
    var previous = Predictions.start
    if seen != 0 {
      previous = Int(Field.type.rawValue)
      guard let next = nextKey(values, p) else { return Self.gaveUp }
      p = next
    }
    // Once round for each member; `p` is at its key's opening quote.
    while p.pointee == UInt8(ascii: "\"") {
      var field = Int(successors[previous])
      if values.end - p >= 16, plans.patterns[field].matches(p) {
        p += plans.patterns[field].length
      } else {
        guard let (found, next) = unpredictedKey(values, p, unknownKeys) else {
          return Self.gaveUp
        }
        field = found
        p = next
        successors[previous] = UInt8(truncatingIfNeeded: field)
      }
      previous = field
      p = values.significant(p)
      let plan = typePlans[field]
      if plan.action == .unknown { unknownFields &+= 1 }
      if field == Predictions.unknown {
        unknownKeys &+= 1
      } else {
        let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: field)
        if seen & bit != 0 { return Self.gaveUp }
        seen |= bit
        if p.pointee == UInt8(ascii: "n"), values.isNull(p) {
          nulls |= bit
          guard let next = nextKey(values, p + 4) else { return Self.gaveUp }
          p = next
          continue
        }
      }

      if plan.action == .type {
        guard let (found, _) = typeWord(values, p) else { return Self.gaveUp }
        if found != type { return Self.isOfType &- Int(found.rawValue) }
      }
      guard
        let after = readValue(values, p, plan, event, batch), let next = nextKey(values, after)
      else { return Self.gaveUp }
      p = next
    }
    // `nextKey` came to the closing brace, or the record is an empty object.
    let required = plans.required[Int(type.rawValue)] | Field.type.bit
    guard
      p.pointee == UInt8(ascii: "}"), p + 1 == values.end,
      required & ~(seen & ~nulls) == 0
    else { return Self.gaveUp }
    if unknownFields > 0 { event.pointee.flags.insert(.hasUnknownFields) }
    batch.state.pointee.count &+= 1
    batch.state.pointee.featuresCount &+= Int(event.pointee.featuresCount)
    predictions.lastType.pointee = type
    return unknownFields
  }

  /// Reads the value at `p` to where its plan says; returns the place after it, or nil where the
  /// thorough way has to decide.
  @inline(__always)
  private func readValue(
    _ values: FastValues, _ p: UnsafePointer<UInt8>, _ plan: FieldPlan,
    _ event: UnsafeMutablePointer<Event>, _ batch: EventBatch
  ) -> UnsafePointer<UInt8>? {
    let slot = UnsafeMutableRawPointer(event) + Int(plan.slot)
    switch plan.action {
    case .key:
      var text = Identifier.absent
      guard
        let next = values.text(p, &text, batch),
        text.length &- 1 < UInt32(Limits.identifierBytes)
      else { return nil }
      slot.storeBytes(of: text, as: Identifier.self)
      return next
    case .text, .requiredText:
      var text = Identifier.absent
      guard let next = values.text(p, &text, batch) else { return nil }
      // The empty string is not given; where something must be, it is wrong.
      if text.isAbsent { return plan.action == .text ? next : nil }
      slot.storeBytes(of: text, as: Identifier.self)
      return next
    case .money, .signedMoney:
      var micros: Int64 = 0
      guard
        let next = values.money(p, &micros, batch), micros >= 0 || plan.action == .signedMoney
      else { return nil }
      slot.storeBytes(of: Money(micros: micros), as: Money.self)
      event.pointee.flags.rawValue |= plan.flag
      return next
    case .time:
      return values.time(p, &event.pointee.time, batch)
    case .flag:
      if values.isTrue(p) {
        event.pointee.flags.rawValue |= plan.flag
        return p + 4
      }
      event.pointee.flags.rawValue &= ~plan.flag
      return values.isFalse(p) ? p + 5 : nil
    case .features:
      return readFeatures(values, p, event, batch)
    case .unknown:
      return values.skipped(p)
    case .type:
      return values.skippedText(p)
    case .detail:
      return nil
    }
  }

  /// The place after a value: of the next key's quote, or of the brace that closes the object.
  @inline(__always)
  private func nextKey(
    _ values: FastValues, _ start: UnsafePointer<UInt8>
  ) -> UnsafePointer<UInt8>? {
    var p = values.significant(start)
    if p.pointee == UInt8(ascii: ",") {
      p = values.significant(p + 1)
      return p.pointee == UInt8(ascii: "\"") ? p : nil
    }
    return p.pointee == UInt8(ascii: "}") ? p : nil
  }

  /// Reads a key and its colon, whatever it is.
  @inline(never)
  private func unpredictedKey(
    _ values: FastValues, _ p: UnsafePointer<UInt8>, _ unknownKeys: Int
  ) -> (field: Int, next: UnsafePointer<UInt8>)? {
    var key = Identifier.absent
    guard let end = values.plainText(p, &key) else { return nil }
    let colon = values.significant(end)
    guard colon.pointee == UInt8(ascii: ":") else { return nil }
    if let field = plans.candidate(key.hash) {
      if values.end - p >= 16, plans.patterns[field].matches(p) { return (field, colon + 1) }
      // White space before the colon, or nearly the end.
      if plans.field(named: key.bytes, hash: key.hash) != nil { return (field, colon + 1) }
    }
    guard unknownKeys < Predictions.unknownKeysMax else { return nil }
    for index in 0..<unknownKeys where predictions.unknownKeys[index] == key.hash {
      return nil
    }
    predictions.unknownKeys[unknownKeys] = key.hash
    return (Predictions.unknown, colon + 1)
  }
}
