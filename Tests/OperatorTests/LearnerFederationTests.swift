import Events
import Learning
import Streaming
import TestKit
import Testing

@testable import Operators

/// What a learner tells of its accounts, and what new ones begin with.
@Suite struct LearnerFederationTests {
  private let hour = Federation.hour

  // MARK: A population

  /// Accounts whose clicks follow the same effects, around rates of their own.
  private struct Population {
    var random: SplitMix64

    private mutating func unit() -> Double { Double(random.next() >> 11) * 0x1p-53 }

    /// An account's impressions and clicks, with their times.
    mutating func events(
      of account: String, impressions: Int, from start: Int64, to end: Int64
    ) -> [(time: Int64, json: String)] {
      let own = -2.9 + (unit() - 0.5)
      return (0..<impressions).flatMap { i -> [(time: Int64, json: String)] in
        let time = start + Int64(unit() * Double(end - start))
        let (isFeed, isVideo) = (unit() < 0.5, unit() < 0.5)
        let hour = Double(time / Federation.hour % 24)
        // Evening is best.
        let day = hour >= 16 ? 0.6 : hour >= 8 ? 0 : -0.6
        let logit = own + (isFeed ? 0.7 : -0.7) + (isVideo ? 0.4 : -0.4) + day
        let common =
          #""account":"\#(account)","campaign":"secret-campaign-\#(account)","#
          + #""ad":"secret-ad-\#(i % 3)","user":"secret-user-\#(i)""#
        let shown =
          #"{"type":"impression","id":"i\#(i)","time":\#(time),\#(common),"price":0.001,"#
          + #""placement":"\#(isFeed ? "feed" : "side")","#
          + #""features":{"format":"\#(isVideo ? "video" : "image")","client":"secret-text"}}"#
        let isClicked = unit() < Rate.sigmoid(logit)
        guard isClicked else { return [(time, shown)] }
        return [
          (time, shown),
          (
            time + 2_000,
            #"{"type":"click","id":"c\#(i)","time":\#(time + 2_000),\#(common),"#
              + #""impression":"i\#(i)"}"#
          ),
        ]
      }
    }

    mutating func history(
      _ name: String, accounts: Int, impressions: Int, from start: Int64, to end: Int64
    ) -> [[UInt8]] {
      (0..<accounts).flatMap {
        events(of: "\(name)\($0)", impressions: impressions, from: start, to: end)
      }
      .sorted { ($0.time, $0.json) < ($1.time, $1.json) }.map { Array($0.json.utf8) }
    }
  }

  private static let learner = "prior: { ctr: 0.05 }"

  private func run(
    _ records: [[UInt8]], _ federate: String, of stream: String, learner: String? = nil
  ) throws -> [String] {
    let topology = try Federation.learning(federate, learner: learner ?? Self.learner)
    let sink = try #require(topology.sinks.firstIndex { $0.name == stream })
    let driver = try PartitionDriver(topology, registry: OperatorRegistry.all)
    try driver.send(records)
    return try driver.outputs.filter { $0.hasPrefix("\(sink) ") }.map {
      String($0[($0.firstIndex(of: "{") ?? $0.startIndex)...])
    }
  }

  private func priors(_ updates: [String], _ settings: String) throws -> [String] {
    let driver = try TopologyDriver(
      Federation.topology(settings), registry: OperatorRegistry.all)
    for update in updates { try driver.send(update) }
    try driver.finish()
    return driver.outputs(of: "priors")
  }

  /// Mean log-loss of clicks, by prediction in each account's order.
  private func loss(_ predictions: [String], first: Int) throws -> Double {
    var (sum, count) = (0.0, 0)
    var seen: [String: Int] = [:]
    for text in predictions where text.contains(#""click":"#) {
      let record = try Attributing.object(text)
      let account = try #require(record["account"] as? String)
      seen[account, default: 0] += 1
      guard seen[account, default: 0] <= first else { continue }
      let isClicked = try #require(record["click"] as? Bool)
      sum += Rate.logLoss(isClicked ? 1 : 0, Estimating.number(record, "pctr"))
      count += 1
    }
    try #require(count > 100)
    return sum / Double(count)
  }

  // MARK: What others learned

  /// The whole way: learners contribute, `federate` averages, new accounts begin with it.
  @Test(arguments: [("mature", 0.0, 30), ("dfm", 0.5, 50)])
  func newAccountsBeginBetter(_ delay: String, _ noise: Double, _ accounts: Int) throws {
    let seed: UInt64 = 501
    let learner = Self.learner + "\n    delay: \(delay)"
    var population = Population(random: SplitMix64(seed: seed))
    let old = population.history(
      "old", accounts: accounts, impressions: 900, from: 0, to: 23 * hour)
    let updates = try run(old, "enabled: true", of: "updates", learner: learner)
    #expect(updates.count > accounts)
    for update in updates {
      for word in ["secret", "feed", "video", "old", "hour", "format"] {
        #expect(!update.contains(word), "\(update)")
      }
    }
    let priors = try priors(
      updates, "accounts_min: 12\n    noise: \(noise)\n    epsilon: 1000000")
    let prior = try #require(priors.last)
    #expect(!prior.contains("secret") && !prior.contains("old"))
    if noise == 0 {
      #expect(prior.contains(#"{"feature":"placement=side","clicks":"fewer"}"#))
    }
    let new = population.history(
      "new", accounts: 20, impressions: 400, from: 49 * hour, to: 71 * hour)
    let with = try run(
      [Array(prior.utf8)] + new, "enabled: true", of: "predictions", learner: learner)
    let without = try run(new, "enabled: true", of: "predictions", learner: learner)
    for first in [100, 400] {
      let (better, worse) = (try loss(with, first: first), try loss(without, first: first))
      print("seed \(seed), noise \(noise), first \(first): \(better) with, \(worse) without")
      #expect(better < worse * (first == 100 ? 0.98 : 1))
    }
  }

  @Test func itIsOffByDefault() throws {
    var population = Population(random: SplitMix64(seed: 502))
    let records = population.history("a", accounts: 2, impressions: 400, from: 0, to: 5 * hour)
    let prior = try self.prior(at: 1)
    #expect(try run([prior] + records, "enabled: false", of: "updates").isEmpty)
    func predictions(_ records: [[UInt8]]) throws -> [String] {
      try run(records, "enabled: false", of: "predictions").map(OperatorContract.withoutSource)
    }
    #expect(try predictions([prior] + records) == predictions(records))
  }

  // MARK: What an account tells

  /// A prior that expects a tenth, and ever so much of the feed.
  private func prior(
    at time: Int64, feed: Double = 1, mean: Double = 0.1, features: UInt64? = nil,
    group: String = "accounts"
  ) throws -> [UInt8] {
    let shared = try Federation.shared()
    let weights = shared.slots.map { $0.name == "placement=feed" ? "\(feed)" : "0" }
      .joined(separator: ",")
    let id = String(features ?? shared.id, radix: 16)
    let payload =
      #"{"group":"\#(group)","features":""#
      + String(repeating: "0", count: 16 - id.count) + id
      + #"","accounts":30,"ctr":{"mean":\#(mean)},"click_weights":[\#(weights)],"#
      + #""conversion_weights":[\#(weights)],"patterns":[]}"#
    return Array(
      Federation.event(kind: "prior", payload: payload, id: "p\(time)", nil, time).utf8)
  }

  private func impression(
    _ id: String, of account: String, at time: Int64, placement: String = "side"
  ) -> [UInt8] {
    let text =
      #"{"type":"impression","id":"\#(id)","time":\#(time),"account":"\#(account)","#
      + #""campaign":"c","ad":"a","price":0.001,"placement":"\#(placement)"}"#
    return Array(text.utf8)
  }

  private func rates(_ records: [[UInt8]]) throws -> [String: Double] {
    let predictions = try run(records, "enabled: true, strength: 8", of: "predictions")
    var rates: [String: Double] = [:]
    for text in predictions {
      let record = try Attributing.object(text)
      guard record["click"] == nil else { continue }
      rates[try #require(record["id"] as? String)] = Estimating.number(record, "pctr")
    }
    return rates
  }

  /// New accounts begin with the newest prior; those that were there go on as they were.
  @Test func newAccountsAlone() throws {
    let minute: Int64 = 60_000
    let rates = try rates([
      impression("old", of: "old", at: minute),
      prior(at: 2 * minute),
      impression("old again", of: "old", at: 3 * minute, placement: "feed"),
      impression("new", of: "new", at: 3 * minute),
      impression("new feed", of: "new", at: 3 * minute, placement: "feed"),
      // An older one, and such as are not for it, change nothing.
      prior(at: minute, mean: 0.9), prior(at: 4 * minute, mean: 0.9, features: 7),
      prior(at: 4 * minute, mean: 0.9, group: "others"),
      impression("newer", of: "newer", at: 5 * minute),
      prior(at: 6 * minute, feed: 0.5, mean: 0.2),
      impression("newest", of: "newest", at: 7 * minute, placement: "feed"),
    ])
    func expect(_ id: String, _ logit: Double) {
      let rate = rates[id] ?? 0
      #expect((rate - Rate.sigmoid(logit)).magnitude < 1e-9, "\(id): \(rate)")
    }
    expect("old", Rate.logit(0.05))
    expect("old again", Rate.logit(0.05))
    expect("new", Rate.logit(0.1))
    expect("new feed", Rate.logit(0.1) + 1)
    expect("newer", Rate.logit(0.1))
    expect("newest", Rate.logit(0.2) + 0.5)
  }

  /// What an update says can be recomputed from what was shown and clicked, and is never too long.
  @Test func updatesAreShort() throws {
    let seed: UInt64 = 503
    var population = Population(random: SplitMix64(seed: seed))
    let records = population.history("a", accounts: 3, impressions: 600, from: 0, to: 6 * hour)
    let updates = try run(records, "enabled: true, weight_limit: 0.2", of: "updates")
    #expect(updates.count >= 6)
    var contributors: Set<String> = []
    for text in updates {
      let payload = try #require(try Attributing.object(text)["payload"] as? [String: Any])
      contributors.insert(try #require(payload["contributor"] as? String))
      let vector = try #require(payload["vector"] as? [Int]).map { Double($0) / 0x1p30 }
      #expect(try vector.count == Federation.shared().layout.count)
      let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(length > 0.1 && length <= 1 + 1e-12, "seed \(seed)")
      // A click head that is known, and no conversions.
      #expect(vector[0] > 0.2 && vector[4] == 0)
    }
    #expect(contributors.count == 3)
    // Under another key they are others.
    let keyed = try run(records, "enabled: true, weight_limit: 0.2, key: k", of: "updates")
    #expect(keyed.count == updates.count)
    for text in keyed {
      for contributor in contributors { #expect(!text.contains(contributor)) }
    }
  }

  @Test(arguments: [
    ("champion: { a: { algorithm: bayes } }", "ftrl"),
    ("features: [campaign, hour]", "bias"),
    ("models: { publish: true }\n    drift: { respond: false }", "publish"),
  ])
  func settingsHaveToFit(_ setting: (String, String)) throws {
    do {
      _ = try PartitionDriver(
        Federation.learning("enabled: true", learner: setting.0), registry: OperatorRegistry.all)
      Issue.record("\(setting.0) is accepted")
    } catch {
      #expect("\(error)".contains(setting.1), "\(error)")
    }
  }

  // MARK: The contract

  private func history(_ seed: UInt64, _ accounts: Int = 3) throws -> [[UInt8]] {
    var population = Population(random: SplitMix64(seed: seed))
    var records = population.history(
      "a", accounts: accounts, impressions: 170, from: 0, to: 3 * hour)
    for (place, mean) in [(records.count / 3, 0.1), (records.count / 2, 0.2)] {
      var decoder = EventDecoder()
      let time = records[place].withUnsafeBytes { decoder.routing(of: $0)?.time.milliseconds }
      records.insert(try prior(at: time ?? 0, mean: mean), at: place)
    }
    // One that is new when there are priors.
    let late = population.history("z", accounts: 2, impressions: 40, from: 3 * hour, to: 4 * hour)
    return records + late
  }

  @Test(arguments: ["", "delay: dfm"])
  func keepsTheContract(_ delay: String) throws {
    var contract = OperatorContract(
      of: Learner.self, named: "learner",
      topology: try Federation.learning("enabled: true", learner: delay),
      registry: OperatorRegistry.all
    ) { (try? history($0)) ?? [] }
    contract.eventTypes = [.impression]
    #expect(try contract.violations(seeds: 1...2) == [])
  }

  @Test func survivesFaults() throws {
    try WholeHistories(topology: Federation.learning("enabled: true", learner: "delay: dfm"))
      .expectFaultsAreSurvived(seeds: 1...8, least: 4) { (try? history($0, 2)) ?? [] }
  }

  @Test func batchesMayBeCutAnywhere() throws {
    try WholeHistories(topology: Federation.learning("enabled: true"))
      .expectCutsMakeNoDifference(history(3), outputsMin: 500)
  }
}
