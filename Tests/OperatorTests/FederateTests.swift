import Events
import Learning
import Streaming
import TestKit
import Testing

@testable import Operators

/// `federate`: rounds of updates into priors.
@Suite struct FederateTests {
  private let hour = Federation.hour

  private func driver(_ settings: String = "", trusted: Bool = true) throws -> TopologyDriver {
    try TopologyDriver(
      Federation.topology(settings, trusted: trusted), registry: OperatorRegistry.all)
  }

  private func payload(_ record: String) throws -> [String: Any] {
    try #require(try Attributing.object(record)["payload"] as? [String: Any])
  }

  private func numbers(_ payload: [String: Any], _ name: String) throws -> [Double] {
    try #require(payload[name] as? [Double])
  }

  /// Over arrays, in floating point: what the operator does in whole numbers.
  @Test func aRoundIsTheMeanOfWhatIsNotTooLong() throws {
    let seed: UInt64 = 401
    var random = SplitMix64(seed: seed)
    let shared = try Federation.shared()
    let (layout, slots) = (shared.layout, shared.slots.count)
    let driver = try driver("accounts_min: 20\n    noise: 0")
    let one = (1.0 / 3).squareRoot() / Double(2 * slots).squareRoot()
    var sum = [Double](repeating: 0, count: layout.count)
    for account in 0..<40 as Range<UInt64> {
      // Every third says more than it may. The others know all features but a few.
      let isLong = account % 3 == 0
      var vector = try Federation.vector(&random, scale: isLong ? 1 : 0.02)
      for i in (8 + 2 * slots)..<layout.count where !isLong {
        let isKnown = (i - 8 - 2 * slots) % 3 == 0 && random.next() % 3 != 0
        vector[i] = UpdateLayout.fixed(isKnown ? one : 0)
      }
      try driver.send(Federation.update(vector, by: account, at: hour))
      // Said again, it counts once.
      try driver.send(Federation.update(vector, by: account, at: hour + Int64(account)))
      var own = vector.map { Double($0) / 0x1p30 }
      for i in (8 + 2 * slots)..<layout.count { own[i] = min(max(own[i], 0), one) }
      for part in [0..<8, 8..<(8 + 2 * slots), (8 + 2 * slots)..<layout.count] {
        let length = own[part].reduce(0) { $0 + $1 * $1 }.squareRoot()
        for i in part { own[i] *= min(1, (1.0 / 3).squareRoot() / length) }
      }
      for i in own.indices { sum[i] += own[i] }
    }
    #expect(
      driver.counter("common.updates") == 40 && driver.counter("common.updates_repeated") == 40)
    try driver.advance(to: EventTime(milliseconds: hour + 5 * 60_000 - 1))
    #expect(driver.outputs(of: "priors").isEmpty)
    try driver.advance(to: EventTime(milliseconds: hour + 5 * 60_000))
    let published = driver.outputs(of: "priors")
    try #require(published.count == 1)
    let payload = try payload(published[0])
    #expect(payload["accounts"] as? Int == 40 && payload["privacy"] == nil)
    var (few, enough) = (0, 0)
    for (head, name) in ["click_weights", "conversion_weights"].enumerated() {
      let weights = try numbers(payload, name)
      #expect(weights.count == slots)
      for slot in 0..<slots {
        let known = sum[8 + 2 * slots + 3 * (2 * slot + head)] / one
        guard (known - 20).magnitude > 0.01 else { continue }
        if known < 20 { few += 1 } else { enough += 1 }
        let mean = known < 20 ? 0 : sum[8 + 2 * slot + head] / 40 * 2 * 3.0.squareRoot()
        #expect((weights[slot] - mean).magnitude < 1e-6, "seed \(seed), slot \(slot)")
      }
    }
    #expect(few > 5 && enough > 5, "seed \(seed): \(few), \(enough)")
  }

  /// What comes out goes in: an event of everybody's, from a source that is trusted.
  @Test func priorsAreEvents() throws {
    var random = SplitMix64(seed: 402)
    let driver = try driver("accounts_min: 2\n    noise: 2")
    for account in 0..<3 as Range<UInt64> {
      try driver.send(Federation.update(Federation.vector(&random), by: account, at: hour))
    }
    try driver.finish()
    let published = driver.outputs(of: "priors")
    try #require(published.count == 1)
    try Array(published[0].utf8).withUnsafeBytes { record in
      var decoder = EventDecoder()
      let batch = EventBatch(capacity: 4)
      #expect(decoder.decode(record, into: batch) == nil)
      let event = try #require(batch.count == 1 ? batch[0] : nil)
      #expect(event.pointee.type == .prior && event.pointee.account.isAbsent)
      guard case .prior(let kind, let payload)? = batch.details(of: event.pointee) else {
        Issue.record("a prior has details")
        return
      }
      #expect(kind.string == "prior")
      let group = Payload(payload.bytes)["group"]?.text
      #expect(group.map { String(decoding: $0, as: UTF8.self) } == "accounts")
    }
    // dp-accounting: σ = 2, one round, δ = 10⁻⁵.
    let privacy = try #require(try payload(published[0])["privacy"] as? [String: Double])
    #expect(privacy["epsilon"] == 1.993091 && privacy["epsilon_round"] == 1.993091)
  }

  @Test func fewAccountsTellNothing() throws {
    var random = SplitMix64(seed: 403)
    let driver = try driver("accounts_min: 20\n    noise: 0")
    for account in 0..<19 as Range<UInt64> {
      try driver.send(Federation.update(Federation.vector(&random), by: account, at: hour))
    }
    try driver.advance(to: EventTime(milliseconds: 2 * hour))
    #expect(driver.outputs(of: "priors").isEmpty)
    let alerts = driver.outputs(of: "alerts")
    #expect(alerts.count == 1 && alerts[0].contains(#""kind":"federation","severity":"info""#))
    // Of the next round, those of the last are no part; an update of the last one is late.
    for account in 0..<20 as Range<UInt64> {
      try driver.send(Federation.update(Federation.vector(&random), by: account, at: 3 * hour))
    }
    try driver.send(Federation.update(Federation.vector(&random), by: 77, at: hour))
    try driver.advance(to: EventTime(milliseconds: 4 * hour))
    let published = driver.outputs(of: "priors")
    #expect(published.count == 1 && driver.counter("common.updates_late") == 1)
  }

  @Test func publishingEndsWithTheBudget() throws {
    var random = SplitMix64(seed: 404)
    // 1.993 after one round, 3.03 after two, 3.92 after three.
    let driver = try driver("accounts_min: 2\n    noise: 2\n    epsilon: 3.5")
    for round in 1...4 as ClosedRange<Int64> {
      for account in 0..<3 as Range<UInt64> {
        try driver.send(
          Federation.update(Federation.vector(&random), by: account, at: round * hour))
      }
    }
    try driver.advance(to: EventTime(milliseconds: 5 * hour))
    let published = driver.outputs(of: "priors")
    #expect(published.count == 2)
    let alerts = driver.outputs(of: "alerts")
    #expect(alerts.count == 2 && alerts.allSatisfy { $0.contains(#""expected":3.5"#) })
    #expect(driver.counter("common.rounds_over_budget") == 2)
  }

  /// Sums are of whole numbers, and noise is the round's, not the order's.
  @Test func orderDecidesNothing() throws {
    let seed: UInt64 = 405
    var random = SplitMix64(seed: seed)
    let updates = try (0..<30 as Range<UInt64>).map {
      try Federation.update(Federation.vector(&random, scale: 0.5), by: $0, at: hour)
    }
    var published: [String] = []
    for order in [updates, updates.reversed(), updates.shuffled(using: &random)] {
      let driver = try driver("accounts_min: 2\n    noise: 1")
      for update in order { try driver.send(update) }
      try driver.finish()
      published += driver.outputs(of: "priors")
    }
    #expect(published.count == 3 && Set(published).count == 1, "seed \(seed)")
    let other = try driver("accounts_min: 2\n    noise: 1\n    key: another")
    for update in updates { try other.send(update) }
    try other.finish()
    #expect(try #require(other.outputs(of: "priors").first) != published[0])
  }

  @Test func whatIsNoUpdateIsRefused() throws {
    var random = SplitMix64(seed: 406)
    let driver = try driver("accounts_min: 2\n    noise: 0")
    let vector = try Federation.vector(&random)
    let good = try Federation.update(vector, by: 1, at: hour)
    let bad = try [
      Federation.update(Array(vector.dropLast()), by: 2, at: hour),
      Federation.update(vector + [1], by: 3, at: hour),
      Federation.update(vector, by: 4, at: hour, features: 5),
      good.replacing("\"vector\":[", with: "\"vector\":[9999999999,"),
      good.replacing("\"vector\":[", with: "\"vector\":[1.5,"),
      good.replacing("\"vector\":[", with: "\"vector\":[[1],"),
      good.replacing("\"vector\"", with: "\"vectors\""),
      good.replacing("\"contributor\":\"0", with: "\"contributor\":\"x"),
      Federation.event(kind: "update", payload: "7", id: "a", "accounts", hour),
      Federation.event(kind: "update", payload: "{}", id: "b", "accounts", hour),
      Federation.event(kind: "update", payload: "null", id: "c", "accounts", hour),
    ]
    for record in bad { try driver.send(record) }
    #expect(driver.counter("common.updates_refused") == Int64(bad.count))
    // Of another kind, or nobody's: not for it.
    try driver.send(good.replacing(#""kind":"update""#, with: #""kind":"prior""#))
    try driver.send(good.replacing(#""account":"accounts","#, with: ""))
    #expect(driver.counter("common.updates") == 0)
    #expect(driver.counter("common.updates_refused") == Int64(bad.count))
    // The decoder's rules are those of all events.
    try driver.send(String(good.dropLast()))
    #expect(driver.outputs(of: "dead_letters").count == 1)
    let untrusted = try self.driver("accounts_min: 2", trusted: false)
    try untrusted.send(good)
    let refused = untrusted.outputs(of: "dead_letters")
    #expect(refused.count == 1 && refused[0].contains("trusted: true"))
  }

  /// Whatever bytes a payload has, it is read or refused.
  @Test func payloadsAreReadOrRefused() throws {
    let seed: UInt64 = 407
    var random = SplitMix64(seed: seed)
    let text = Array(
      #"{"contributor":"00000000000000aa","n":[1,-2 , 3.5e1],"o":{"mean":0.25,"x":[{}]},"t":"a"}"#
        .utf8)
    func read(_ bytes: [UInt8]) -> (UInt64?, [Double], Double?, String?) {
      bytes.withUnsafeBufferPointer { bytes in
        let payload = Payload(bytes)
        var numbers = [0.0, 0, 0]
        if payload["n"]?.numbers(3, { numbers[$0] = $1 }) != true { numbers = [] }
        return (
          payload["contributor"]?.hexadecimal, numbers, payload["o"]?["mean"]?.number,
          payload["t"]?.text.map { String(decoding: $0, as: UTF8.self) }
        )
      }
    }
    let whole = read(text)
    #expect(whole.0 == 0xAA && whole.1 == [1, -2, 35] && whole.2 == 0.25 && whole.3 == "a")
    var changed = 0
    for _ in 0..<5_000 {
      var bytes = text
      for _ in 0...Int(random.next() % 3) {
        let place = Int(random.next() % UInt64(bytes.count))
        switch random.next() % 3 {
        case 0: bytes.remove(at: place)
        case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        default: bytes.removeSubrange(place...)
        }
        if bytes.isEmpty { bytes = [0] }
      }
      if read(bytes) != whole { changed += 1 }
    }
    print("seed \(seed): \(changed) of 5000 read otherwise")
    #expect(changed > 3_000)
  }

  @Test(arguments: [
    ("features: [nothing]", "nothing"), ("features: [hour, \"hour=3\"]", "hour=3"),
    ("features: [\"placement=\"]", "placement="), ("features: []", "0 values"),
    ("features: [\"journey.*\", \"journey.state\"]", "twice"),
    ("features: [\"placement=feed\", hour]", "at least two"),
  ])
  func featuresAreAClosedList(_ setting: (String, String)) throws {
    let text = try Federation.topology().canonicalText
    #expect(text.contains("placement=feed"))
    do {
      let topology = try CheckedTopology.parse(
        text: """
          topology: federate
          sources: { updates: { log: { directory: data, topics: [updates] }, trusted: true } }
          operators: { common: { operator: federate, from: updates, \(setting.0) } }
          sinks: { priors: { from: common, log: { topic: priors } } }
          """, file: "federate.yaml", registry: OperatorRegistry.all.map(\.description))
      _ = try TopologyDriver(topology, registry: OperatorRegistry.all)
      Issue.record("\(setting.0) is accepted")
    } catch {
      #expect("\(error)".contains(setting.1), "\(error)")
    }
  }

  // MARK: The contract

  /// Groups with rounds of an hour: every contributor, now and then twice or too long, late, or what
  /// is no update.
  private func history(_ seed: UInt64, groups: Int = 3, rounds: Int64 = 4) throws -> [[UInt8]] {
    var random = SplitMix64(seed: seed)
    var records: [String] = []
    for round in 1...rounds {
      for group in 0..<groups {
        for contributor in 0..<(3 + random.next() % 4) where random.next() % 5 != 0 {
          let time = round * hour + Int64(random.next() % 1_000)
          records.append(
            try Federation.update(
              Federation.vector(&random, scale: random.next() % 4 == 0 ? 1 : 0.1),
              by: contributor, in: "group\(group)", at: time))
        }
      }
    }
    return records.map { Array($0.utf8) }
  }

  private static let small = "accounts_min: 3\n    noise: 1\n    epsilon: 14"

  @Test func keepsTheContract() throws {
    var contract = OperatorContract(
      of: Federate.self, named: "common", topology: try Federation.topology(Self.small),
      registry: OperatorRegistry.all
    ) { (try? history($0)) ?? [] }
    contract.eventTypes = [.prior]
    contract.holdsBack = true
    #expect(try contract.violations(seeds: 1...4) == [])
    #expect(try history(1).count > 30)
  }

  @Test func survivesFaults() throws {
    try WholeHistories(topology: Federation.topology(Self.small))
      .expectFaultsAreSurvived(seeds: 1...16, least: 5, outputsMin: 100) {
        (try? history($0, rounds: 15)) ?? []
      }
  }

  /// Each group's priors are its own.
  @Test func groupsDoNotMix() throws {
    let records = try history(9)
    func priors(_ records: [[UInt8]]) throws -> [String] {
      let driver = try PartitionDriver(
        Federation.topology(Self.small), registry: OperatorRegistry.all)
      try driver.send(records)
      driver.finish()
      return try driver.outputs.filter { $0.contains(#""group":"group1""#) }
    }
    let together = try priors(records)
    let alone = try priors(
      records.filter { String(decoding: $0, as: UTF8.self).contains(#""account":"group1""#) })
    #expect(together.count > 1 && together == alone)
  }
}
