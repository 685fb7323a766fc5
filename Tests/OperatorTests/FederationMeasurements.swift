import Events
import Learning
import Streaming
import TestKit
import Testing

@testable import Operators

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Accounts whose clicks follow the same effects, around rates of their own.
struct FederatedPopulation {
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

/// What new accounts gain by what others learned, from events to predictions: the table of
/// `LearningAcrossAccounts.md`.
///
/// `MEASURE=1 swift test -c release --filter FederationMeasurements` prints it; without it two of its
/// lines are checked.
@Suite struct FederationMeasurements {
  static let isFull = getenv("MEASURE") != nil

  struct Case: Sendable {
    var accounts: Int
    var impressions = 300
    var noise = 0.0
    var delay = "mature"
  }

  static let cases =
    [Case(accounts: 25, impressions: 900), Case(accounts: 50, noise: 0.5, delay: "dfm")]
    + (isFull
      ? [
        Case(accounts: 50), Case(accounts: 50, noise: 1), Case(accounts: 200),
        Case(accounts: 200, noise: 1), Case(accounts: 200, noise: 4), Case(accounts: 500),
        Case(accounts: 500, noise: 4), Case(accounts: 100, impressions: 2_000),
        Case(accounts: 100, impressions: 2_000, noise: 1),
      ] : [])

  private let hour = Federation.hour

  private func run(
    _ records: [[UInt8]], _ delay: String, of stream: String
  ) throws -> [String] {
    let topology = try Federation.learning(
      "enabled: true", every: "1d", learner: "prior: { ctr: 0.05 }\n    delay: \(delay)")
    let sink = try #require(topology.sinks.firstIndex { $0.name == stream })
    let driver = try PartitionDriver(topology, registry: OperatorRegistry.all)
    try driver.send(records)
    return try driver.outputs.filter { $0.hasPrefix("\(sink) ") }.map {
      String($0[($0.firstIndex(of: "{") ?? $0.startIndex)...])
    }
  }

  /// The prior that accounts' first day gives.
  private func prior(_ example: Case, _ population: inout FederatedPopulation) throws -> String {
    let day = population.history(
      "old", accounts: example.accounts, impressions: example.impressions, from: 0,
      to: 24 * hour - 600_000)
    let end = #"{"type":"heartbeat","time":"# + "\(25 * hour)}"
    let updates = try run(day + [Array(end.utf8)], example.delay, of: "updates")
    #expect(updates.count == example.accounts)
    for update in updates {
      for word in ["secret", "feed", "video", "old", "hour", "format"] {
        #expect(!update.contains(word), "\(update)")
      }
    }
    let driver = try TopologyDriver(
      Federation.topology(
        "accounts_min: 12\n    noise: \(example.noise)\n    epsilon: 1000000", every: "1d"),
      registry: OperatorRegistry.all)
    for update in updates { try driver.send(update) }
    try driver.finish()
    let priors = driver.outputs(of: "priors")
    try #require(priors.count == 1)
    #expect(!priors[0].contains("secret") && !priors[0].contains("old"))
    return priors[0]
  }

  /// Mean log-loss of each account's first clicks' predictions.
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

  @Test(arguments: cases) func newAccountsBeginBetter(_ example: Case) throws {
    let seed: UInt64 = 700
    var population = FederatedPopulation(random: SplitMix64(seed: seed))
    let prior = try prior(example, &population)
    if example.noise == 0, example.impressions >= 900 {
      #expect(prior.contains(#"{"feature":"placement=side","clicks":"fewer"}"#), "\(prior)")
    }
    // The same ones for every case.
    var others = FederatedPopulation(random: SplitMix64(seed: seed + 1))
    let new = others.history(
      "new", accounts: Self.isFull ? 40 : 15, impressions: 500, from: 49 * hour, to: 71 * hour)
    let with = try run([Array(prior.utf8)] + new, example.delay, of: "predictions")
    let without = try run(new, example.delay, of: "predictions")
    var line = "| \(example.accounts) × \(example.impressions) | \(example.noise) |"
    for first in [25, 100, 500] {
      let (better, worse) = (try loss(with, first: first), try loss(without, first: first))
      line += " \(better) / \(worse) = \((1000 * (better / worse - 1)).rounded() / 10) % |"
      if first > 25 { #expect(better < worse * (first == 100 ? 0.985 : 0.995)) }
    }
    print("seed \(seed): \(line)")
  }
}
