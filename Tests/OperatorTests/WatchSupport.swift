import Events
import Operators
import Streaming
import TestKit

/// A market of one account whose click rates are known: impressions of four ads in two campaigns,
/// with two features, a tenth of a second apart.
struct KnownMarket {
  /// What the world is like for an impression: how much is added to its log-odds, and how far the
  /// weights of `os` are turned round (0: not at all, 1: to the opposite).
  struct Shape {
    var shift = 0.0
    var turn = 0.0
    /// `slot` is nearly always the last one.
    var isOtherSlot = false
    /// Of a conversion given a click, where it is not the market's.
    var conversionRate: Double?
  }

  private(set) var random: SplitMix64
  /// Log-odds of the average impression.
  var base: Double
  /// Of a conversion given a click.
  var conversionRate = 0.2
  private(set) var count = 0
  private(set) var clicks = 0
  /// The true click rates of the impressions so far.
  private(set) var rates: [Double] = []
  let start: Int64 = 1_800_000_000_000
  let step: Int64

  init(seed: UInt64, base: Double = -1.5, step: Int64 = 100) {
    random = SplitMix64(seed: seed)
    self.base = base
    self.step = step
  }

  static let systems = [-0.8, 0, 0.8]
  static let slots = [-0.6, -0.2, 0, 0.3, 0.5]
  static let ads = [-0.3, 0.1, -0.1, 0.3]

  var now: Int64 { start + Int64(count) * step }

  private mutating func unit() -> Double { Double(random.next() >> 11) * 0x1p-53 }

  private mutating func choose(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }

  /// Appends an impression and, where it is clicked, its click, and where that converts, the
  /// conversion of its user.
  mutating func show(_ shape: Shape = Shape(), into records: inout [[UInt8]]) {
    let (system, ad) = (choose(3), choose(4))
    let slot = shape.isOtherSlot && choose(5) > 0 ? 4 : choose(5)
    let logit =
      base + shape.shift + KnownMarket.systems[system] * (1 - 2 * shape.turn)
      + KnownMarket.slots[slot] + KnownMarket.ads[ad]
    let rate = 1 / (1 + NaiveLearner.exp(-logit))
    let isClicked = unit() < rate
    rates.append(rate)
    let isConverted = unit() < shape.conversionRate ?? conversionRate && isClicked
    let place = #""account":"acme","campaign":"c\#(ad / 2)","ad":"a\#(ad)""#
    // Users only where someone converts: journeys cost more than what is tested here.
    let user = isConverted ? #","user":"u\#(count)""# : ""
    let time = now
    records.append(
      Array(
        (#"{"type":"impression","id":"i\#(count)","time":\#(time),\#(place),"price":0.001"#
          + #","features":{"os":"s\#(system)","slot":"p\#(slot)"}\#(user)}"#).utf8))
    if isClicked {
      records.append(
        Array(
          (#"{"type":"click","id":"c\#(count)","time":\#(time + 10),\#(place)"#
            + #","impression":"i\#(count)"\#(user)}"#).utf8))
      clicks += 1
    }
    if isConverted {
      records.append(
        Array(
          (#"{"type":"conversion","id":"v\#(count)","time":\#(time + 20),"account":"acme""#
            + #","user":"u\#(count)","value":2}"#).utf8))
    }
    count += 1
  }

  /// The learner behind no more than what it needs. Only streams in `sinks` are published.
  static func topology(
    _ settings: String, sinks: [String], clickWindow: String = "1m",
    features: String = #"bias, ad, "features.*""#
  ) throws -> CheckedTopology {
    let lines = sinks.map { "  \($0): { from: learner, log: { topic: \($0) } }" }
    return try CheckedTopology.parse(
      text: """
        topology: learning
        time: { out_of_orderness: 5s, max_gap: 3660d }
        sources:
          events: { log: { directory: data, topics: [events] } }
        operators:
          people: { operator: identity, from: events, key: secret, device_ttl: 1h, ttl: 2h }
          journeys: { operator: journeys, from: people, lookback: 1h, max_touches: 5 }
          credits: { operator: attribution, from: journeys, windows: { click: 1h, view: 1m } }
          learner:
            operator: learner
            from: [journeys, credits]
            click_window: \(clickWindow)
            conversion_window: 2m
            features: [\(features)]
            \(settings)
        sinks:
        \(lines.joined(separator: "\n"))
        """, file: "known.yaml", registry: OperatorRegistry.all.map(\.description))
  }
}

/// A partition under a `KnownMarket`.
final class WatchScene {
  let driver: PartitionDriver
  var market: KnownMarket
  private let sinks: [String]
  private var taken = 0

  init(
    _ settings: String, seed: UInt64, base: Double = -1.5, step: Int64 = 100,
    sinks: [String] = ["alerts", "scores"], clickWindow: String = "1m",
    features: String = #"bias, ad, "features.*""#
  ) throws {
    let topology = try KnownMarket.topology(
      settings, sinks: sinks, clickWindow: clickWindow, features: features)
    driver = try PartitionDriver(topology, registry: OperatorRegistry.all)
    market = KnownMarket(seed: seed, base: base, step: step)
    self.sinks = sinks
  }

  /// Shows so many impressions.
  ///
  /// - Parameter shape: By the number of the impression among them.
  func run(
    _ count: Int, shape: (Int) -> KnownMarket.Shape = { _ in KnownMarket.Shape() }
  ) throws {
    var records: [[UInt8]] = []
    for i in 0..<count {
      market.show(shape(i), into: &records)
      if records.count >= 2_000 || i == count - 1 {
        try driver.send(records)
        records.removeAll(keepingCapacity: true)
      }
    }
  }

  /// Records of a sink since the last call for any sink.
  func take() throws -> [String: [[String: Any]]] {
    try driver.commit()
    let all = driver.broker.outputs
    var found: [String: [[String: Any]]] = [:]
    for output in all[taken...] {
      let record = try Attributing.object(String(decoding: output.value, as: UTF8.self))
      found[sinks[Int(output.sink)], default: []].append(record)
    }
    taken = all.count
    return found
  }

  /// An impression's true click rate and what the only model said of it.
  struct Shown {
    var truth: Double
    var said: Double

    /// What the prediction costs beyond the truth, on average, in nats.
    var divergence: Double {
      truth * NaiveLearner.log(truth / said)
        + (1 - truth) * NaiveLearner.log((1 - truth) / (1 - said))
    }
  }

  /// Predictions since the last call, of impressions as they were shown. `predictions` is the only
  /// sink.
  func shown() throws -> [Shown] {
    try driver.commit()
    let all = driver.broker.outputs
    defer { taken = all.count }
    return all[taken...].compactMap { output in
      // The record is read by hand: there are millions.
      guard !WatchScene.contains(output.value, #""click":"#),
        let id = WatchScene.number(output.value, #""id":"i"#),
        let said = WatchScene.number(output.value, #""pctr":"#)
      else { return nil }
      return Shown(truth: market.rates[Int(id)], said: said)
    }
  }

  private static func place(_ bytes: [UInt8], _ text: StaticString) -> Int? {
    text.withUTF8Buffer { text in
      var start = 0
      while start + text.count <= bytes.count {
        var i = 0
        while i < text.count, bytes[start + i] == text[i] { i += 1 }
        if i == text.count { return start + i }
        start += 1
      }
      return nil
    }
  }

  private static func contains(_ bytes: [UInt8], _ text: StaticString) -> Bool {
    place(bytes, text) != nil
  }

  private static func number(_ bytes: [UInt8], _ text: StaticString) -> Double? {
    guard let start = place(bytes, text) else { return nil }
    let digits = bytes[start...].prefix { ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2E }
    return Double(String(decoding: digits, as: UTF8.self))
  }

  func alerts(_ kind: String) throws -> [[String: Any]] {
    try take()["alerts", default: []].filter { $0["kind"] as? String == kind }
  }
}
