import Events

/// Random records: mostly right, with a wrong thing here and there, in every layout JSON allows.
struct RecordGenerator {
  var random: SplitMix64
  /// How many in a thousand values are drawn from the odd ones.
  var oddPerMille = 30

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  struct Layout {
    var spaced = false
    var shuffled = false
    var escaped = false
  }

  private static let interaction = ["user", "device", "click_id", "consent"]
  static let fields: [EventType: (required: [String], optional: [String])] = [
    .impression: (
      ["campaign", "ad", "price"],
      interaction + ["advertiser", "placement", "bid", "viewable", "shard", "features"]
    ),
    .click: (["campaign", "ad"], interaction + ["impression", "price", "features"]),
    .conversion: ([], interaction + ["action", "order", "value", "signals"]),
    .dealStage: (["deal", "stage"], interaction + ["pipeline", "amount", "signals"]),
    .campaign: (
      ["campaign"],
      ["advertiser", "status", "budget", "schedule", "timezone", "goal", "bid", "mode", "auction"]
    ),
    .control: (["action"], ["campaign", "ad", "value", "until", "by", "reason"]),
    .auction: (["campaign", "ad", "bid", "won"], ["price"]),
    .lease: (["campaign", "shard", "action"], ["amount"]),
    .actuals: (
      ["campaign", "from", "to"],
      ["ad", "impressions", "clicks", "conversions", "spend", "revenue"]
    ),
    .adjustment: (["target", "target_type", "kind"], ["value"]),
    .erasure: (["user"], ["device"]),
    .prior: ([], ["kind", "payload"]),
    .heartbeat: ([], []),
  ]

  mutating func chance(_ perMille: Int) -> Bool {
    Int.random(in: 0..<1_000, using: &random) < perMille
  }

  mutating func pick<T>(_ list: [T]) -> T { list[Int.random(in: 0..<list.count, using: &random)] }

  mutating func type() -> EventType {
    chance(600) ? pick([.impression, .click, .conversion, .auction]) : pick(EventType.allCases)
  }

  mutating func record() -> [UInt8] {
    var layout = Layout()
    layout.spaced = chance(300)
    layout.shuffled = chance(300)
    layout.escaped = chance(100)
    return record(type(), layout)
  }

  mutating func members(_ type: EventType) -> [(String, String)] {
    var members = [("type", chance(oddPerMille / 4) ? oddValue() : "\"\(type.name)\"")]
    let known = Self.fields[type] ?? ([], [])
    for name in ["id", "time", "account"] + known.required where !chance(oddPerMille / 3) {
      members.append((name, value(name, type)))
    }
    for name in known.optional where chance(500) { members.append((name, value(name, type))) }
    while chance(80) {
      let foreign = pick(["x", "ip", "trace", "campaign", "won", "deal", "ünknown", "a-long-key"])
      members.append((foreign, chance(500) ? oddValue() : "\"\(pick(["", "y", "zz"]))\""))
    }
    if chance(oddPerMille), let repeated = members.randomElement(using: &random) {
      members.append(repeated)
    }
    return members
  }

  mutating func record(_ type: EventType, _ layout: Layout) -> [UInt8] {
    layOut(members(type), layout)
  }

  mutating func layOut(_ members: [(String, String)], _ layout: Layout) -> [UInt8] {
    var members = members
    if layout.shuffled { members.shuffle(using: &random) }
    var text = blank(layout) + "{" + blank(layout)
    for (index, (name, value)) in members.enumerated() {
      if index > 0 { text += "," + blank(layout) }
      text += "\"\(layout.escaped ? escaped(name) : name)\"" + blank(layout) + ":"
      text += blank(layout) + value + blank(layout)
    }
    return Array((text + "}" + blank(layout)).utf8)
  }

  private mutating func blank(_ layout: Layout) -> String {
    guard layout.spaced, chance(500) else { return "" }
    return pick([" ", "  ", "\n", "\t", "\r\n", "          "])
  }

  private mutating func escaped(_ name: String) -> String {
    var text = ""
    for scalar in name.unicodeScalars {
      if scalar.isASCII, chance(200) {
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  mutating func value(_ name: String, _ type: EventType) -> String {
    if chance(oddPerMille) { return oddValue() }
    switch (type, name) {
    case (_, "time"), (_, "until"), (_, "from"), (_, "to"): return time()
    case (.campaign, "bid"): return object(["default", "max", "ceiling"], type)
    case (_, "price"), (_, "bid"), (_, "value"), (_, "amount"), (_, "spend"), (_, "revenue"):
      return money()
    case (_, "impressions"), (_, "clicks"), (_, "conversions"):
      return pick(["0", "12", "1e3", "9223372036854775807", "-1", "1.5", "7.0"])
    case (_, "viewable"), (_, "consent"), (_, "won"): return pick(["true", "false", "null"])
    case (_, "features"): return features()
    case (_, "signals"):
      return object(["ip", "user_agent", "language", "timezone", "postal"], type)
    case (_, "budget"): return object(["daily", "total"], type)
    case (_, "schedule"): return object(["start", "end"], type)
    case (_, "goal"): return object(["kind", "target"], type)
    case (_, "payload"): return pick(["{\"a\":[1,{\"b\":null}]}", "[1, 2]", "\"x\"", "7", "null"])
    case (.control, "action"):
      return word(["pause", "resume", "kill", "set_max_bid", "set_multiplier", "release"])
    case (.lease, "action"): return word(["request", "return"])
    case (_, "status"): return word(["active", "paused", "ended", "asleep"])
    case (_, "mode"): return word(["direct", "pipeline"])
    case (_, "auction"): return word(["first_price", "second_price", "third_price"])
    case (.adjustment, "kind"): return word(["refund", "restate", "invalid_traffic"])
    case (_, "target_type"): return word(EventType.allCases.map { "\($0.name)" })
    default: return text()
    }
  }

  private mutating func word(_ words: [String]) -> String { "\"\(escaped(pick(words)))\"" }

  private mutating func inner(_ name: String, _ type: EventType) -> String {
    switch name {
    case "start", "end": time()
    case "kind": word(["max_value", "cpa", "roas"])
    case "daily", "total", "default", "max", "ceiling", "target": money()
    default: text()
    }
  }

  private mutating func object(_ names: [String], _ type: EventType) -> String {
    var parts: [String] = []
    for name in names where chance(600) {
      parts.append("\"\(name)\":\(chance(100) ? "null" : inner(name, type))")
    }
    if chance(60) { parts.append("\"other\":\(oddValue())") }
    if chance(oddPerMille), let part = parts.randomElement(using: &random) { parts.append(part) }
    if chance(300) { parts.shuffle(using: &random) }
    return "{" + parts.joined(separator: pick([",", ", ", " ,"])) + "}"
  }

  mutating func features() -> String {
    var parts: [String] = []
    var names = [
      "hour", "country", "os", "size", "score", "app", "é", "a_name_that_is_too_long_for_two_words",
    ]
    if chance(200) { names.shuffle(using: &random) }
    for name in names where chance(700) {
      parts.append("\"\(chance(20) ? escaped(name) : name)\":\(featureValue())")
    }
    if chance(40) { for index in 0..<62 { parts.append("\"f\(index)\":\(featureValue())") } }
    if chance(oddPerMille), let part = parts.randomElement(using: &random) { parts.append(part) }
    return "{" + parts.joined(separator: chance(800) ? "," : " , ") + "}"
  }

  private mutating func featureValue() -> String {
    switch Int.random(in: 0..<10, using: &random) {
    case 0...3: return text()
    case 4: return pick(["true", "false"])
    case 5: return "\(Double(random.next() % 100_000) / 1_000)"
    case 6: return "\(Double.random(in: -1...1, using: &random))"
    case 7: return "\(Int64(bitPattern: random.next()) >> Int64.random(in: 0..<64, using: &random))"
    case 8:
      return pick([
        "0", "-0", "-0.0", "1e400", "1e-400", "1E5", "2.5e-3", "0.1", "123456.12345678",
        "1234567.1234567", "12345678.5", "9007199254740993", "0.3000000000000000444", "null",
        "1.7976931348623157e308", "1.7976931348623159e308", "4.9e-324", "2.4e-324", "[]",
      ])
    default: return oddPerMille > 0 ? oddValue() : "1"
    }
  }

  mutating func text() -> String {
    let length =
      chance(900) ? Int.random(in: 1..<24, using: &random) : Int.random(in: 0..<140, using: &random)
    var text = ""
    for _ in 0..<length {
      let draw = Int.random(in: 0..<200, using: &random)
      switch draw {
      case 0: text += pick(["\\\"", "\\\\", "\\/", "\\n", "\\u0041", "\\ud83d\\ude00", "\\u00e9"])
      case 1: text += pick(["é", "日", "😀", "\u{7f}", "\u{80}", "\u{7ff}", "\u{800}", "\u{ffff}"])
      default: text += String(Character(Unicode.Scalar(UInt8(97 + draw % 26))))
      }
    }
    return "\"" + text + "\""
  }

  mutating func money() -> String {
    let plain = pick([
      "0", "0.002315", "12", "12.5", "0.5", "1234567", "1234567.654321", "12345678", "100.000000",
    ])
    if chance(600) { return plain }
    if chance(300) { return "\"\(plain)\"" }
    return pick([
      "-1", "-0", "-0.0", "0.0000001", "1.0000000", "1e-6", "1.5e-6", "1e3", "1E+3", "5e-7",
      "9223372036854.775807", "9223372036854.775808", "-9223372036854.775807",
      "-9223372036854.775808", "1e300", "1e-300", "1e99999999999999999999",
      "0e99999999999999999999", "1e-99999999999999999999", "\"1e-3\"", "\" 1\"", "\"+1\"", "\"\"",
      "\"1.\"", "\"01\"", "\"1\\u0032\"", "\"0x10\"", "123456789012345678901234567890",
    ])
  }

  mutating func time() -> String {
    if chance(700) { return "\(1_767_225_600_000 + Int64(random.next() % 100_000_000))" }
    return pick([
      "0", "-0", "1", "999", "12345678", "123456789", "253402300799999", "253402300800000", "-1",
      "1.7e12", "1700000000000.0", "1700000000000.5", "1e300", "99999999999999999999",
      "\"2026-01-01T00:00:00Z\"", "\"2024-02-29t23:59:60.9999z\"", "\"2023-02-29T00:00:00Z\"",
      "\"2026-01-01 12:30:00.5+05:30\"", "\"1970-01-01T00:00:00+00:01\"",
      "\"1969-12-31T23:59:60Z\"", "\"9999-12-31T23:59:59.9999Z\"", "\"9999-12-31T23:59:60Z\"",
      "\"2026-01-01T24:00:00Z\"", "\"2026-01-01T00:60:00Z\"", "\"2026-01-01T00:00:61Z\"",
      "\"2026-13-01T00:00:00Z\"", "\"2026-00-01T00:00:00Z\"", "\"2026-01-00T00:00:00Z\"",
      "\"2026-01-01T00:00:00\"", "\"2026-01-01T00:00:00.Z\"", "\"2026-01-01\"",
      "\"2026-01-01T00:00:00-23:59\"", "\"2026-01-01T00:00:00+24:00\"",
      "\"2026-01-01T00:00:00+23:60\"", "\"0000-01-01T00:00:00Z\"", "\"\"",
      "\"2026-01-01T00:00:00Z \"", "\"2026-01-01T00:00:00.1234567890123456789Z\"",
    ])
  }

  mutating func oddValue() -> String {
    pick([
      "null", "true", "false", "0", "1", "-1", "1.5", "\"\"", "\"x\"", "[]", "{}", "[1,2,[3]]",
      "{\"a\":{\"b\":[]}}", "[[[[[[[]]]]]]]", "[[[[[[[[]]]]]]]]", "{\"a\":1,\"a\":2}", "1e5", "01",
      "nul", "tru", "+1", ".5", "NaN", "\"\\ud800\"", "\"\\u12\"", "\"\u{1}\"", "",
      "\"" + String(repeating: "k", count: 129) + "\"",
      "\"" + String(repeating: "é", count: 64) + "\"",
    ])
  }

  /// A record with a few bytes changed, lost, added or cut off.
  mutating func mutated(_ record: [UInt8]) -> [UInt8] {
    var record = record
    for _ in 0..<Int.random(in: 1...3, using: &random) where !record.isEmpty {
      let place = Int.random(in: 0..<record.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0: record[place] = UInt8(truncatingIfNeeded: random.next())
      case 1: record[place] ^= 1 << UInt8(random.next() % 8)
      case 2: record.remove(at: place)
      case 3: record.insert(pick(Array("{}[]\",:\\ \n0123456789.eE+-tfnu\u{0}é".utf8)), at: place)
      case 4: record.removeLast(record.count - place)
      default:
        let end = min(record.count, place + Int.random(in: 1...12, using: &random))
        record.insert(
          contentsOf: record[place..<end], at: Int.random(in: 0...record.count, using: &random))
      }
    }
    return record
  }
}
