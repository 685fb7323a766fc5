import Events
import Learning
import Streaming
import TestKit
import Testing

@testable import Operators

/// What a learner tells of its accounts, and what new ones begin with.
@Suite struct LearnerFederationTests {
  private let hour = Federation.hour

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

  @Test func itIsOffByDefault() throws {
    var population = FederatedPopulation(random: SplitMix64(seed: 502))
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

  /// An update is never too long, and names nobody.
  @Test func updatesAreShort() throws {
    let seed: UInt64 = 503
    var population = FederatedPopulation(random: SplitMix64(seed: seed))
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

  /// The rate that an account tells is that of its labels: counted here.
  @Test func ratesAreThoseOfTheLabels() throws {
    let seed: UInt64 = 504
    var population = FederatedPopulation(random: SplitMix64(seed: seed))
    let records = population.history("a", accounts: 3, impressions: 900, from: 0, to: 2 * hour - 1)
    let end = #"{"type":"heartbeat","time":"# + "\(2 * hour)}"
    let all = records + [Array(end.utf8)]
    // Of an impression that was clicked there is another record, when its conversion is known.
    let labels = try run(all, "enabled: true", of: "predictions").filter {
      $0.contains(#""click":false"#)
        || ($0.contains(#""click":true"#) && !$0.contains(#""conversion":"#))
    }
    let updates = try run(all, "enabled: true", of: "updates")
    #expect(updates.count == 6)
    let group = Array("accounts".utf8).withUnsafeBufferPointer { Hash.text($0) }
    for account in ["a0", "a1", "a2"] {
      let name = Array(account.utf8).withUnsafeBufferPointer { Hash.text($0) }
      let contributor = KeyedHash(secret: "").hash(NameTable.mix(0, name), group, 0)
      let own = labels.filter { $0.hasPrefix(#"{"account":"\#(account)","#) }
      var counts = (clicks: 0.0, labels: 0.0)
      for round in 1...2 as ClosedRange<Int64> {
        for label in own {
          let time = try Estimating.number(Attributing.object(label), "time")
          // What becomes known at the time of a round is told in the next one.
          guard time < Double(round * hour), time >= Double((round - 1) * hour) else { continue }
          counts.labels += 1
          if label.contains(#""click":true"#) { counts.clicks += 1 }
        }
        let text = try #require(
          updates.first {
            $0.contains(String(contributor, radix: 16)) && $0.contains(#""time":\#(round * hour),"#)
          })
        let payload = try #require(try Attributing.object(text)["payload"] as? [String: Any])
        let vector = try #require(payload["vector"] as? [Int]).map { Double($0) / 0x1p30 }
        let logit = Elementary.log(
          (counts.clicks + 0.5) / (counts.labels - counts.clicks + 0.5))
        let distance = (logit - Rate.logit(0.01)) / 4
        let scale = (1.0 / 3).squareRoot()
        #expect((vector[0] - 0.4 * scale).magnitude < 1e-8)
        #expect((vector[1] - 0.6 * scale * distance).magnitude < 1e-8, "\(account), \(round)")
        #expect((vector[2] - 0.3 * scale * distance * distance).magnitude < 1e-8)
        // What was told counts half from then on.
        counts = (counts.clicks / 2, counts.labels / 2)
      }
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
    var population = FederatedPopulation(random: SplitMix64(seed: seed))
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
