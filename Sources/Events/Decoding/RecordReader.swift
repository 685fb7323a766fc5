/// One record on the thorough way: the event as far as it is read, and how values are read.
///
/// Works on text that is known to be valid JSON.
struct RecordReader {
  let base: UnsafePointer<UInt8>
  let type: EventType
  let batch: EventBatch
  private let mark: TextArena.Mark

  var event: Event
  /// Bits of the fields that were given, not as null.
  var given: UInt64 = 0
  var unknownFields = 0

  // What the types with details gather.
  var signals: EventDetails.Signals?
  var pipeline = Identifier.absent
  var campaign = EventDetails.Campaign()
  /// The record has a goal that is not the empty object.
  var goalIsGiven = false
  var controlAction = EventDetails.Control.Action.pause
  var controlValue: Int64?
  var until: EventTime?
  var by = Identifier.absent
  var reason = Identifier.absent
  var adjustmentKind = EventDetails.Adjustment.Kind.refund
  var targetType = EventType.impression
  var leaseAction = EventDetails.LeaseAction.request
  var from: EventTime?
  var to: EventTime?
  /// Where `to` or `schedule.end` stands.
  var endOffset = 0
  var actuals = EventDetails.Actuals(from: .earliest, to: .earliest)
  var priorKind = Identifier.absent
  var payload = Identifier.absent

  init(base: UnsafePointer<UInt8>, type: EventType, batch: EventBatch) {
    self.base = base
    self.type = type
    self.batch = batch
    mark = batch.state.pointee.arena.mark
    event = Event(type: type, time: .earliest)
    batch.reserveFeatures()
    event.featuresStart = Int32(truncatingIfNeeded: batch.state.pointee.featuresCount)
  }

  var featuresCount: Int { Int(event.featuresCount) }

  /// Puts the finished event into the batch.
  mutating func append(defaults: Defaults) {
    if unknownFields > 0 { event.flags.insert(.hasUnknownFields) }
    if type == .conversion, event.action.isAbsent { event.action = defaults.conversion }
    if type == .control, controlAction == .setMaxBid, let controlValue {
      event.value = Money(micros: controlValue)
      event.flags.insert(.hasValue)
    }
    if let details = details(defaults: defaults) {
      event.detail = Int32(truncatingIfNeeded: batch.state.pointee.details.count)
      batch.state.pointee.details.append(details)
    }
    batch.events[batch.state.pointee.count] = event
    batch.state.pointee.count &+= 1
    batch.state.pointee.featuresCount &+= featuresCount
  }

  /// Gives back what a refused record took of the batch.
  func abandon() { batch.state.pointee.arena.rewind(to: mark) }

  private func details(defaults: Defaults) -> EventDetails? {
    switch type {
    case .impression, .click, .auction, .erasure, .heartbeat:
      return nil
    case .conversion:
      return signals.map { .conversion(signals: $0) }
    case .dealStage:
      let name = pipeline.isAbsent ? defaults.pipeline : pipeline
      return .dealStage(EventDetails.DealStage(pipeline: name, signals: signals))
    case .campaign:
      return .campaign(campaign)
    case .control:
      var control = EventDetails.Control(action: controlAction)
      control.valueMicros = controlValue
      control.until = until
      control.by = by
      control.reason = reason
      return .control(control)
    case .adjustment:
      return .adjustment(
        EventDetails.Adjustment(kind: adjustmentKind, targetType: targetType))
    case .lease:
      return .lease(leaseAction)
    case .actuals:
      return .actuals(actuals)
    case .prior:
      return .prior(kind: priorKind, payload: payload)
    }
  }
}

// Values into the event's fixed fields.
extension RecordReader {
  mutating func store(_ identifier: Identifier, at plan: FieldPlan) {
    withUnsafeMutableBytes(of: &event) {
      $0.storeBytes(of: identifier, toByteOffset: Int(plan.slot), as: Identifier.self)
    }
  }

  mutating func storeOptional(_ identifier: Identifier, at plan: FieldPlan) {
    if !identifier.isAbsent { store(identifier, at: plan) }
  }

  mutating func store(_ money: Money, at plan: FieldPlan) {
    withUnsafeMutableBytes(of: &event) {
      $0.storeBytes(of: money, toByteOffset: Int(plan.slot), as: Money.self)
    }
    event.flags.insert(Event.Flags(rawValue: plan.flag))
  }

  mutating func store(_ isSet: Bool, at plan: FieldPlan) {
    if isSet {
      event.flags.insert(Event.Flags(rawValue: plan.flag))
    } else {
      event.flags.remove(Event.Flags(rawValue: plan.flag))
    }
  }
}

// One value of one form.
extension RecordReader {
  func bytes(_ value: JSONValue) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: base + value.start, count: value.end - value.start)
  }

  /// A string that may be empty.
  func text(
    _ path: @autoclosure () -> String, _ value: JSONValue,
    expected: @autoclosure () -> String = "a string"
  ) throws(Rejection) -> Identifier {
    guard value.kind == .string else {
      throw .invalid(path(), base, value, expected: expected())
    }
    return JSONString.text(
      base, from: value.start, to: value.end, arena: &batch.state.pointee.arena)
  }

  func requiredText(
    _ path: @autoclosure () -> String, _ value: JSONValue
  ) throws(Rejection) -> Identifier {
    let identifier = try text(path(), value, expected: "a string of at least one character")
    guard !identifier.isAbsent else {
      throw .invalid(path(), base, value, expected: "a string of at least one character")
    }
    return identifier
  }

  /// `id` and `account`.
  func key(
    _ path: @autoclosure () -> String, _ value: JSONValue
  ) throws(Rejection) -> Identifier {
    let identifier = try text(
      path(), value, expected: "a string of 1…\(Limits.identifierBytes) bytes")
    guard (1...Limits.identifierBytes).contains(Int(identifier.length)) else {
      throw Rejection(
        reason: .invalidField, field: path(),
        detail: "a string of \(identifier.length) bytes; expected 1…"
          + "\(Limits.identifierBytes)",
        byteOffset: value.start)
    }
    return identifier
  }

  func flag(
    _ path: @autoclosure () -> String, _ value: JSONValue
  ) throws(Rejection) -> Bool {
    switch value.kind {
    case .true: return true
    case .false: return false
    default: throw .invalid(path(), base, value, expected: "true or false")
    }
  }

  func money(
    _ path: @autoclosure () -> String, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) -> Money {
    let amount = try signedMoney(path(), value, &scratch)
    guard amount >= .zero else {
      throw .outOfRange(path(), base, value, expected: "an amount of at least 0")
    }
    return amount
  }

  func signedMoney(
    _ path: @autoclosure () -> String, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) -> Money {
    let expected = "a decimal number with at most 6 decimals (as a number or in quotes)"
    var digits = bytes(value)
    if value.kind == .string {
      digits =
        JSONString.text(base, from: value.start, to: value.end, arena: &scratch).bytes
    } else if value.kind != .number {
      throw .invalid(path(), base, value, expected: expected)
    }
    guard let number = DecimalNumber(digits) else {
      throw .invalid(path(), base, value, expected: expected)
    }
    switch number.scaled(6) {
    case .value(let micros): return Money(micros: micros)
    case .fractional: throw .invalid(path(), base, value, expected: expected)
    case .tooLarge:
      throw .outOfRange(
        path(), base, value, expected: "an amount within ±9223372036854.775807")
    }
  }

  /// A count: a whole number of at least 0.
  func count(
    _ path: @autoclosure () -> String, _ value: JSONValue
  ) throws(Rejection) -> Int64 {
    guard value.kind == .number, let number = DecimalNumber(bytes(value)) else {
      throw .invalid(path(), base, value, expected: "a whole number")
    }
    switch number.scaled(0) {
    case .value(let count) where count >= 0: return count
    case .fractional: throw .invalid(path(), base, value, expected: "a whole number")
    case .value, .tooLarge:
      throw .outOfRange(path(), base, value, expected: "a number within 0…\(Int64.max)")
    }
  }

  func time(
    _ path: @autoclosure () -> String, _ value: JSONValue, _ scratch: inout TextArena
  ) throws(Rejection) -> EventTime {
    let parsed: EventTime.Parsed
    switch value.kind {
    case .number: parsed = Self.time(milliseconds: bytes(value))
    case .string:
      let text = JSONString.text(base, from: value.start, to: value.end, arena: &scratch)
      parsed = EventTime.parse(rfc3339: text.bytes)
    default: parsed = .invalid
    }
    switch parsed {
    case .time(let time): return time
    case .outOfRange:
      throw .outOfRange(
        path(), base, value,
        expected: "a time within \(EventTime.earliest)…\(EventTime.latest)")
    case .invalid:
      throw .invalid(
        path(), base, value,
        expected: "whole milliseconds since 1970 or RFC 3339 like \"2026-01-31T23:59:59Z\"")
    }
  }

  static func time(milliseconds text: UnsafeBufferPointer<UInt8>) -> EventTime.Parsed {
    switch DecimalNumber(text)?.scaled(0) {
    case .value(let milliseconds):
      let time = EventTime(milliseconds: milliseconds)
      return time < .earliest || time > .latest ? .outOfRange : .time(time)
    case .tooLarge: return .outOfRange
    case .fractional, nil: return .invalid
    }
  }

  /// One of a few words.
  func word<Word>(
    _ path: @autoclosure () -> String, _ value: JSONValue, _ scratch: inout TextArena,
    _ words: KeyValuePairs<StaticString, Word>
  ) throws(Rejection) -> Word {
    if value.kind == .string {
      let text = JSONString.text(base, from: value.start, to: value.end, arena: &scratch)
      for (word, meaning) in words where Text.equal(text.bytes, word) { return meaning }
    }
    let allowed = words.map { $0.key.description }.joined(separator: ", ")
    throw .invalid(path(), base, value, expected: "one of \(allowed)")
  }

  mutating func feature(
    _ member: JSONMember, _ scratch: inout TextArena
  ) throws(Rejection) {
    let name = Hash.murmur3(member.key.bytes)
    let value = member.value
    let feature: Feature
    switch value.kind {
    case .string:
      let text = JSONString.text(base, from: value.start, to: value.end, arena: &scratch)
      feature = Feature(name: name, hash: Hash.murmur3(text.bytes, seed: name), value: 1)
    case .true, .false:
      feature = Feature(name: name, hash: Hash.murmur3(bytes(value), seed: name), value: 1)
    case .number:
      guard let number = DecimalNumber(bytes(value))?.double(), number.isFinite else {
        throw .outOfRange(
          "features." + member.key.string, base, value, expected: "a finite number")
      }
      feature = Feature(name: name, hash: name, value: number)
    case .null, .object, .array:
      throw .invalid(
        "features." + member.key.string, base, value,
        expected: "a string, a number or a boolean")
    }
    let place = batch.state.pointee.featuresCount &+ featuresCount
    batch.state.pointee.features[place] = feature
    event.featuresCount &+= 1
  }
}

// What stands in a rejection.
extension Rejection {
  static func missing(_ path: String, _ why: String) -> Rejection {
    Rejection(
      reason: .missingField, field: path, detail: "\(path) is not given; \(why)", byteOffset: 0)
  }

  static func repeated(_ path: String, at offset: Int) -> Rejection {
    Rejection(
      reason: .invalidField, field: path,
      detail: "\(path) is given twice; expected it once at most", byteOffset: offset)
  }

  static func invalid(
    _ path: String, _ base: UnsafePointer<UInt8>, _ value: JSONValue, expected: String
  ) -> Rejection {
    Rejection(
      reason: .invalidField, field: path,
      detail: "expected \(expected), found \(describe(base, value))", byteOffset: value.start)
  }

  static func outOfRange(
    _ path: String, _ base: UnsafePointer<UInt8>, _ value: JSONValue, expected: String
  ) -> Rejection {
    Rejection(
      reason: .outOfRange, field: path,
      detail: "expected \(expected), found \(describe(base, value))", byteOffset: value.start)
  }

  static func describe(_ base: UnsafePointer<UInt8>, _ value: JSONValue) -> String {
    switch value.kind {
    case .string: "the string " + excerpt(base, from: value.start, to: value.end)
    case .number: "the number " + excerpt(base, from: value.start, to: value.end)
    case .true: "true"
    case .false: "false"
    case .null: "null"
    case .object: "an object"
    case .array: "an array"
    }
  }
}
