import Events

/// The meaning of a record's members, by the contract.
struct ReferenceReading {
  typealias Refusal = ReferenceDecoder.Refusal

  let type: EventType
  /// What the event says, by names of the contract; what it does not say is not there.
  var facts: [String: String] = [:]
  var unknownFields = 0
  private var given: Set<String> = []
  private var goalIsEmpty = true
  private var endOffset = 0

  init(type: EventType) {
    self.type = type
    facts["type"] = "\(type.name)"
  }

  enum Form {
    case type, time, key, text, requiredText
    case word([String])
    case money, signedMoney, count, flag
    case features, raw, signals, budget, schedule, goal, bids
  }

  /// What each type knows beside type, id, time and account.
  private static let person: [String: Form] = [
    "user": .text, "device": .text, "click_id": .text, "consent": .flag,
  ]
  private static let known: [EventType: [String: Form]] = [
    .impression: [
      "campaign": .requiredText, "ad": .requiredText, "price": .money, "advertiser": .text,
      "placement": .text, "bid": .money, "viewable": .flag, "shard": .text,
      "features": .features,
    ].merging(person) { a, _ in a },
    .click: [
      "campaign": .requiredText, "ad": .requiredText, "impression": .text, "price": .money,
      "features": .features,
    ].merging(person) { a, _ in a },
    .conversion: [
      "action": .text, "order": .text, "value": .signedMoney, "signals": .signals,
    ].merging(person) { a, _ in a },
    .dealStage: [
      "deal": .requiredText, "stage": .requiredText, "pipeline": .text, "amount": .signedMoney,
      "signals": .signals,
    ].merging(person) { a, _ in a },
    .campaign: [
      "campaign": .requiredText, "advertiser": .text,
      "status": .word(["active", "paused", "ended"]), "budget": .budget, "schedule": .schedule,
      "timezone": .requiredText, "goal": .goal, "bid": .bids,
      "mode": .word(["direct", "pipeline"]), "auction": .word(["first_price", "second_price"]),
    ],
    .control: [
      "action": .word(["pause", "resume", "kill", "set_max_bid", "set_multiplier", "release"]),
      "campaign": .text, "ad": .text, "value": .money, "until": .time, "by": .text,
      "reason": .text,
    ],
    .auction: [
      "campaign": .requiredText, "ad": .requiredText, "bid": .money, "won": .flag,
      "price": .money,
    ],
    .lease: [
      "campaign": .requiredText, "shard": .requiredText, "action": .word(["request", "return"]),
      "amount": .money,
    ],
    .actuals: [
      "campaign": .requiredText, "ad": .text, "from": .time, "to": .time, "impressions": .count,
      "clicks": .count, "conversions": .count, "spend": .money, "revenue": .signedMoney,
    ],
    .adjustment: [
      "target": .requiredText, "target_type": .word(EventType.allCases.map { "\($0.name)" }),
      "kind": .word(["refund", "restate", "invalid_traffic"]), "value": .signedMoney,
    ],
    .erasure: ["user": .text, "device": .text],
    .prior: ["kind": .text, "payload": .raw],
    .heartbeat: [:],
  ]
  private static let required: [EventType: [String]] = [
    .impression: ["campaign", "ad", "price"], .click: ["campaign", "ad"],
    .dealStage: ["deal", "stage"], .campaign: ["campaign"], .control: ["action"],
    .auction: ["campaign", "ad", "bid", "won"], .lease: ["campaign", "shard", "action"],
    .actuals: ["campaign", "from", "to"], .adjustment: ["target", "target_type", "kind"],
  ]

  private func form(_ name: String) -> Form? {
    switch name {
    case "type": .type
    case "time": .time
    case "id", "account": .key
    default: Self.known[type]?[name]
    }
  }

  mutating func members(_ members: [ReferenceMember]) throws(Refusal) {
    var names: Set<[UInt8]> = []
    for member in members {
      guard names.insert(member.key).inserted else {
        throw Refusal(reason: .invalidField, field: member.name, offset: member.offset)
      }
      guard let form = form(member.name) else {
        unknownFields += 1
        continue
      }
      if member.node.value == .null { continue }
      given.insert(member.name)
      try read(member.name, form, member.node)
    }
  }

  mutating func requireFields() throws(Refusal) {
    var needed = ["id", "time", "account"]
    if type == .prior { needed = ["id", "time"] }
    if type == .heartbeat { needed = ["time"] }
    for name in needed + (Self.required[type] ?? []) where !given.contains(name) {
      throw Refusal(reason: .missingField, field: name, offset: 0)
    }
    func missing(_ name: String) -> Refusal {
      Refusal(reason: .missingField, field: name, offset: 0)
    }
    if type == .erasure, facts["user"] == nil, facts["device"] == nil { throw missing("user") }
    if type == .control, facts["value"] == nil,
      ["set_max_bid", "set_multiplier"].contains(facts["action"])
    {
      throw missing("value")
    }
    if type == .campaign, given.contains("goal"), !goalIsEmpty {
      guard let kind = facts["goal.kind"] else { throw missing("goal.kind") }
      if kind != "max_value", facts["goal.target"] == nil { throw missing("goal.target") }
    }
  }

  mutating func fillDefaults() {
    if type == .conversion, facts["action"] == nil { facts["action"] = "conversion" }
    if type == .dealStage, facts["pipeline"] == nil { facts["pipeline"] = "default" }
    if type == .impression, facts["viewable"] == nil { facts["viewable"] = "true" }
    if facts["consent"] == nil { facts["consent"] = "true" }
  }

  private mutating func read(
    _ path: String, _ form: Form, _ node: ReferenceNode
  ) throws(Refusal) {
    let invalid = Refusal(reason: .invalidField, field: path, offset: node.offset)
    let outOfRange = Refusal(reason: .outOfRange, field: path, offset: node.offset)
    switch form {
    case .type: break
    case .raw: facts[path] = String(decoding: node.raw, as: UTF8.self)
    case .flag:
      guard case .bool(let flag) = node.value else { throw invalid }
      facts[path] = "\(flag)"
    case .key, .text, .requiredText, .word:
      guard case .string(let text) = node.value else { throw invalid }
      try readText(path, form, text, invalid)
    case .money, .signedMoney:
      let number: String
      switch node.value {
      case .number(let digits): number = digits
      case .string(let text) where ReferenceParser.isNumber(text):
        number = String(decoding: text, as: UTF8.self)
      default: throw invalid
      }
      guard let decimal = ReferenceDecimal(number).whole(times: 6) else { throw invalid }
      guard let micros = Int64(decimal), micros != .min else { throw outOfRange }
      if case .money = form, micros < 0 { throw outOfRange }
      facts[path] = "\(micros)"
    case .count:
      guard case .number(let number) = node.value,
        let decimal = ReferenceDecimal(number).whole(times: 0)
      else { throw invalid }
      guard let count = Int64(decimal), count >= 0 else { throw outOfRange }
      facts[path] = "\(count)"
    case .time: try readTime(path, node, invalid, outOfRange)
    case .features, .signals, .budget, .schedule, .goal, .bids:
      guard case .object(let members) = node.value else { throw invalid }
      try readObject(path, form, members)
    }
  }

  private mutating func readText(
    _ path: String, _ form: Form, _ text: [UInt8], _ invalid: Refusal
  ) throws(Refusal) {
    let string = String(decoding: text, as: UTF8.self)
    switch form {
    case .key where text.isEmpty || text.count > 128: throw invalid
    case .requiredText where text.isEmpty: throw invalid
    case .word(let words) where !words.contains(where: { Array($0.utf8) == text }): throw invalid
    default: if !text.isEmpty { facts[path] = string }
    }
  }

  private mutating func readTime(
    _ path: String, _ node: ReferenceNode, _ invalid: Refusal, _ outOfRange: Refusal
  ) throws(Refusal) {
    let milliseconds: Int64
    switch node.value {
    case .number(let number):
      guard let decimal = ReferenceDecimal(number).whole(times: 0) else { throw invalid }
      guard let value = Int64(decimal) else { throw outOfRange }
      milliseconds = value
    case .string(let text):
      guard let value = ReferenceTime.milliseconds(text) else { throw invalid }
      milliseconds = value
    default: throw invalid
    }
    guard (0...253_402_300_799_999).contains(milliseconds) else { throw outOfRange }
    facts[path] = "\(milliseconds)"
    if path == "to" || path == "schedule.end" { endOffset = node.offset }
    for (start, end) in [("from", "to"), ("schedule.start", "schedule.end")]
    where path == start || path == end {
      if let first = facts[start], let last = facts[end], Int64(last)! < Int64(first)! {
        throw Refusal(reason: .outOfRange, field: end, offset: endOffset)
      }
    }
  }

  private mutating func readObject(
    _ path: String, _ form: Form, _ members: [ReferenceMember]
  ) throws(Refusal) {
    if case .signals = form { facts[path] = "given" }
    if case .goal = form { goalIsEmpty = members.isEmpty }
    var names: Set<[UInt8]> = []
    var features: [String] = []
    for member in members {
      let inner = path + "." + member.name
      if case .features = form, member.key.isEmpty || member.key.count > 128 {
        throw Refusal(reason: .invalidField, field: "features", offset: member.offset)
      }
      guard names.insert(member.key).inserted else {
        throw Refusal(reason: .invalidField, field: inner, offset: member.offset)
      }
      if case .features = form {
        if member.node.value == .null { continue }
        if features.count == 64 {
          throw Refusal(reason: .tooManyFeatures, field: "features", offset: member.offset)
        }
        features.append(try feature(member, inner))
        continue
      }
      let innerForm: Form? =
        switch (form, member.name) {
        case (.signals, "ip"), (.signals, "user_agent"), (.signals, "language"),
          (.signals, "timezone"), (.signals, "postal"):
          .text
        case (.budget, "daily"), (.budget, "total"), (.goal, "target"), (.bids, "default"),
          (.bids, "max"), (.bids, "ceiling"):
          .money
        case (.schedule, "start"), (.schedule, "end"): .time
        case (.goal, "kind"): .word(["max_value", "cpa", "roas"])
        default: nil
        }
      guard let innerForm else {
        unknownFields += 1
        continue
      }
      if member.node.value != .null { try read(inner, innerForm, member.node) }
    }
    if case .features = form { facts["features"] = features.joined(separator: ";") }
  }

  private func feature(_ member: ReferenceMember, _ path: String) throws(Refusal) -> String {
    let name = ReferenceHash.murmur3(member.key, seed: 0)
    switch member.node.value {
    case .string(let text): return "\(name):\(ReferenceHash.murmur3(text, seed: name)):1.0"
    case .bool(let flag):
      return "\(name):\(ReferenceHash.murmur3(Array("\(flag)".utf8), seed: name)):1.0"
    case .number(let digits):
      guard let value = Double(digits), value.isFinite else {
        throw Refusal(reason: .outOfRange, field: path, offset: member.node.offset)
      }
      return "\(name):\(name):\(value)"
    case .null, .array, .object:
      throw Refusal(reason: .invalidField, field: path, offset: member.node.offset)
    }
  }
}

/// A JSON number as digits and an exponent, worked on as text.
struct ReferenceDecimal {
  private var isNegative = false
  private var digits: [Character] = []
  private var exponent = 0

  init(_ text: String) {
    var rest = Substring(text)
    if rest.first == "-" {
      isNegative = true
      rest.removeFirst()
    }
    if let mark = rest.firstIndex(where: { $0 == "e" || $0 == "E" }) {
      let power = rest[rest.index(after: mark)...]
      // Longer than any record's digits can make up for.
      exponent = Int(power) ?? (power.first == "-" ? -(1 << 40) : 1 << 40)
      exponent = min(max(exponent, -(1 << 40)), 1 << 40)
      rest = rest[..<mark]
    }
    if let point = rest.firstIndex(of: ".") {
      exponent -= rest.distance(from: point, to: rest.endIndex) - 1
    }
    digits = rest.filter { $0 != "." }.drop { $0 == "0" }.map { $0 }
    while digits.last == "0" {
      digits.removeLast()
      exponent += 1
    }
  }

  /// This × 10^power as digits, if it is whole; a million digits stand for all that are too many.
  func whole(times power: Int) -> String? {
    if digits.isEmpty { return "0" }
    let zeros = exponent + power
    if zeros < 0 { return nil }
    return (isNegative ? "-" : "") + String(digits)
      + String(repeating: "0", count: min(zeros, 100))
  }
}

enum ReferenceTime {
  /// RFC 3339 by counting the days from 0000 on, year by year and month by month.
  static func milliseconds(_ text: [UInt8]) -> Int64? {
    let characters = text.map { Character(Unicode.Scalar($0)) }
    func number(_ range: Range<Int>) -> Int? {
      guard range.upperBound <= characters.count else { return nil }
      let part = characters[range]
      guard part.allSatisfy({ ("0"..."9").contains($0) }) else { return nil }
      return Int(String(part))
    }
    guard characters.count >= 20, characters[4] == "-", characters[7] == "-",
      ["T", "t", " "].contains(characters[10]), characters[13] == ":", characters[16] == ":",
      let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
      let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
      (1...12).contains(month), (1...days(month, year)).contains(day), hour < 24, minute < 60,
      second <= 60
    else { return nil }
    var position = 19
    var fraction = ""
    if characters[position] == "." {
      position += 1
      while position < characters.count, ("0"..."9").contains(characters[position]) {
        fraction.append(characters[position])
        position += 1
      }
      if fraction.isEmpty { return nil }
    }
    guard position < characters.count else { return nil }
    var offset = 0
    if ["Z", "z"].contains(characters[position]) {
      position += 1
    } else {
      guard ["+", "-"].contains(characters[position]),
        let hours = number((position + 1)..<(position + 3)), position + 3 < characters.count,
        characters[position + 3] == ":", let minutes = number((position + 4)..<(position + 6)),
        hours < 24, minutes < 60
      else { return nil }
      offset = (hours * 60 + minutes) * (characters[position] == "-" ? -1 : 1)
      position += 6
    }
    guard position == characters.count else { return nil }
    var count = -719_528
    for earlier in 0..<year { count += days(2, earlier) == 29 ? 366 : 365 }
    for earlier in 1..<month { count += days(earlier, year) }
    let seconds = (count + day - 1) * 86_400 + hour * 3_600 + (minute - offset) * 60 + second
    return Int64(seconds * 1_000) + Int64((fraction + "000").prefix(3))!
  }

  private static func days(_ month: Int, _ year: Int) -> Int {
    let isLeap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
    return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
  }
}

enum ReferenceHash {
  static func murmur3(_ bytes: [UInt8], seed: UInt32) -> UInt32 {
    func scramble(_ block: ArraySlice<UInt8>) -> UInt32 {
      var k: UInt32 = 0
      for byte in block.reversed() { k = k << 8 | UInt32(byte) }
      k = k &* 0xcc9e_2d51
      k = k << 15 | k >> 17
      return k &* 0x1b87_3593
    }
    var h = seed
    var rest = bytes[...]
    while rest.count >= 4 {
      h ^= scramble(rest.prefix(4))
      h = h << 13 | h >> 19
      h = h &* 5 &+ 0xe654_6b64
      rest = rest.dropFirst(4)
    }
    h ^= scramble(rest)
    h ^= UInt32(bytes.count)
    h ^= h >> 16
    h = h &* 0x85eb_ca6b
    h ^= h >> 13
    h = h &* 0xc2b2_ae35
    return h ^ h >> 16
  }

  /// `Hash.text` from its definition.
  static func text(_ bytes: [UInt8]) -> UInt64 {
    func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
      let (high, low) = a.multipliedFullWidth(by: b)
      return high ^ low
    }
    func word(_ slice: ArraySlice<UInt8>) -> UInt64 {
      slice.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    if bytes.isEmpty { return 0 }
    var state: UInt64 = 0x243F_6A88_85A3_08D3
    var rest = bytes[...]
    while rest.count >= 8 {
      state = fold(state ^ word(rest.prefix(8)), 0x9E37_79B9_7F4A_7C15)
      rest = rest.dropFirst(8)
    }
    state = fold(state ^ word(rest), 0x9E37_79B9_7F4A_7C15)
    let hash = fold(state ^ UInt64(bytes.count), 0xA409_3822_299F_31D1)
    return hash == 0 ? 1 : hash
  }
}
