import Events
import Operators
import Scoring
import Streaming
import TestKit
import Testing

/// A bidder scores what the learner scores, whatever the learner is made of.
@Suite struct ScoringReplayTests {
  private static let often = "operators.learner.models={publish: true, every: 1s, exact: true}"
  /// Chunks and sweeps of a few publications each.
  private static let small =
    "operators.learner.models={publish: true, every: 30s, whole: 20m, chunk: 4096, exact: true}"

  @Test(
    arguments: [
      (1, []),
      (
        2,
        [
          #"operators.learner.features=[bias, ad, "ad*placement", "features.*", "#
            + #""features.os*features.recency", hour, "journey.state*ad", weekday]"#,
          "operators.learner.numeric={features.recency: log1p}", "operators.learner.hash_bits=10",
          "operators.learner.champion={main: {l1: 0.02, l2: 0.1}}",
        ]
      ),
      (
        3,
        [
          "operators.learner.champion={main: {algorithm: invariant}}",
          "operators.learner.numeric={features.recency: bucket}",
          "operators.learner.value.family=gamma", "operators.learner.prior={ctr: 0.5, cvr: 0.5}",
          "operators.learner.delay=mature", "operators.learner.calibration=none",
        ]
      ),
      (7, ["operators.learner.delay=es_dfm", "operators.learner.wait=7m"]),
      (8, ["operators.learner.delay=fnw", "operators.learner.calibration=none"]),
      (9, ["operators.learner.delay=mature"]),
      (10, ["operators.learner.calibration=beta"]),
      (11, ["operators.learner.calibration=temperature", "operators.learner.delay=fnw"]),
      (12, ["operators.learner.calibration=isotonic", "operators.learner.delay=mature"]),
      (
        13,
        [
          "operators.learner.champion={main: {algorithm: bayes, memory: 0.99, prior: 3}}",
          "operators.learner.delay=mature", "operators.learner.features=[bias, ad, \"features.*\"]",
        ]
      ),
      (14, ["operators.learner.champion={main: {algorithm: bayes}}"]),
      (
        15,
        [
          "operators.learner.champion={main: {algorithm: ad_predictor}}",
          "operators.learner.delay=mature", "operators.learner.calibration=none",
        ]
      ),
      (
        16,
        [
          "operators.learner.champion={main: {algorithm: ad_predictor}}",
          "operators.learner.delay=fnw", "operators.learner.calibration=beta",
        ]
      ),
    ] as [(UInt64, [String])])
  func aBidderScoresWhatTheLearnerScores(_ seed: UInt64, _ settings: [String]) throws {
    let scene = try ScoringScene.replay(
      ScoringScene.history(4_000, seed: seed), settings + [Self.often])
    let counts = try scene.compare("seed \(seed)")
    print("seed \(seed): \(counts)")
    #expect(counts.compared > 1_000 && counts.valued > 100 && counts.lapsed == 0)
  }

  /// Drift is found where there is none, and challengers take over and go back, within minutes.
  private static let onEdge = [
    "operators.learner.champion={a: {alpha: 0.000001}}", "operators.learner.prior={ctr: 0.5}",
    "operators.learner.challengers={b: {alpha: 0.5}, c: {algorithm: invariant}, "
      + "d: {algorithm: bayes}}",
    "operators.learner.evaluation={half_life: 1h}",
    "operators.learner.drift={warmup: 10, delta: 0.4, check_every: 1, escalation: 3h}",
    "operators.learner.promotion={trial: 0s, positives: 1, cooldown: 1m, probation: 10m, "
      + "alpha: 0.5, calibration_low: 0, calibration_high: 100}",
  ]

  @Test(
    arguments: [
      (21, "dfm", "platt", often, true), (22, "es_dfm", "beta", often, false),
      (23, "fnw", "isotonic", often, false), (24, "mature", "temperature", often, true),
      (25, "mature", "platt", small, true), (26, "dfm", "isotonic", small, true),
      (27, "mature", "none", often, true),
    ] as [(UInt64, String, String, String, Bool)])
  func aBidderFollowsDriftAndPromotions(
    _ seed: UInt64, _ delay: String, _ calibration: String, _ publication: String,
    _ isForgetting: Bool
  ) throws {
    let scene = try ScoringScene.replay(
      ScoringScene.history(4_000, seed: seed, isTurning: true),
      Self.onEdge + [
        "operators.learner.delay=\(delay)", "operators.learner.calibration=\(calibration)",
        "operators.learner.wait=7m", publication,
      ])
    let counts = try scene.compare("seed \(seed)")
    let names = Dictionary(grouping: scene.updates, by: \.account).values.map { updates in
      zip(updates, updates.dropFirst()).filter { $0.name != $1.name }.count
    }
    let forgets = scene.alerts.filter { $0.hasPrefix("the model forgets") }.count
    print("seed \(seed): \(counts), changes of champions \(names), \(forgets) forgot")
    #expect(counts.compared > 500 && counts.valued > 10)
    // Until the new champion is there the bidder scores by the old one.
    #expect(counts.lapsed == 0)
    #expect(names.reduce(0, +) > 2)
    #expect(forgets > 0 || !isForgetting)
    // Where a part of it is missing, the bidder says nothing rather than something else.
    let holed = try scene.compare(lost: { $0.sequence % 37 == 5 }, "seed \(seed)")
    #expect(holed.compared > 0 && holed.lapsed > 0)
  }

  /// Impressions of one account, a second apart, of which most are clicked and most clicks convert.
  private static func market(_ count: Int, seed: UInt64) -> [[UInt8]] {
    var random = SplitMix64(seed: seed)
    func isHit(_ rate: Double) -> Bool { Double(random.next() >> 11) * 0x1p-53 < rate }
    var records: [String] = []
    for i in 0..<count {
      let (time, ad) = (1_800_000_000_000 + i * 1_000, Int(random.next() % 6))
      let place = #""account":"acme","campaign":"c\#(ad % 2)","ad":"a\#(ad)""#
      records.append(
        #"{"type":"impression","id":"i\#(i)","time":\#(time),\#(place),"price":0.001}"#)
      guard isHit(0.3 + 0.1 * Double(ad)) else { continue }
      records.append(
        #"{"type":"click","id":"c\#(i)","time":\#(time + 10),\#(place),"impression":"i\#(i)","#
          + #""click_id":"k\#(i)"}"#)
      guard isHit(0.9 - 0.1 * Double(ad)) else { continue }
      records.append(
        #"{"type":"conversion","id":"v\#(i)","time":\#(time + 20),"account":"acme","#
          + #""click_id":"k\#(i)","value":2}"#)
    }
    return records.map { Array($0.utf8) }
  }

  /// With outcomes enough for a curve in place of a line, of both heads.
  @Test(arguments: ["mature", "dfm"])
  func aBidderFollowsACurve(_ delay: String) throws {
    let scene = try ScoringScene.replay(
      Self.market(6_000, seed: 31),
      [
        "operators.learner.calibration=isotonic", "operators.learner.delay=\(delay)",
        "operators.learner.features=[bias, ad]", "operators.learner.conversion_window=10m",
        Self.often,
      ])
    let counts = try scene.compare("seed 31")
    print("\(counts), the largest maps are \(scene.mapDigitsMax) digits")
    // Two lines are 88.
    #expect(scene.mapDigitsMax > 200)
    #expect(counts.compared > 3_000 && counts.lapsed == 0)
  }

  @Test(arguments: [4, 5] as [UInt64])
  func aReaderMayBeginAnywhere(_ seed: UInt64) throws {
    let scene = try ScoringScene.replay(ScoringScene.history(4_000, seed: seed), [Self.small])
    let updates = scene.updates
    #expect(updates.contains { $0.chunks > 1 })
    let sweeps = updates.filter { $0.begins && $0.chunk == 1 }
    #expect(updates.filter(\.ends).count >= sweeps.count - Set(updates.map(\.account)).count)
    let whole = try scene.compare("seed \(seed)")
    for start in [1, 7, 20] {
      let late = try scene.compare(from: start, "seed \(seed)")
      print("seed \(seed), from \(start): \(late), all: \(whole)")
      #expect(late.compared > 50 && late.compared < whole.compared)
      #expect(late.unready > whole.unready)
    }
  }

  @Test func aGapIsNoticedAndMended() throws {
    let scene = try ScoringScene.replay(ScoringScene.history(4_000, seed: 6), [Self.small])
    let whole = try scene.compare("seed 6")
    let holed = try scene.compare(lost: { $0.sequence % 23 == 9 }, "seed 6")
    print("\(holed), all: \(whole)")
    #expect(holed.compared > 50 && holed.compared < whole.compared)
    #expect(holed.unready > whole.unready)
    // What comes twice changes nothing.
    let account = try #require(scene.updates.first?.account)
    let updates = scene.updates.filter { $0.account == account }
    let model = ScoringModel()
    for (i, update) in updates.enumerated() {
      try model.apply(update)
      let state = model.state
      try model.apply(updates[i / 2])
      #expect(model.state == state)
    }
    #expect(model.account == account && model.count > 10)
  }

  /// Stopped and gone on with, under settings that change what is published: readers get all of the
  /// new form, and never score by a mixture.
  @Test(
    arguments: [
      (41, ["models={publish: false}"], [often]),
      (42, [often], ["features=[bias, ad, hour]", often]),
      (43, [often], ["calibration=beta", often]),
      (44, ["calibration=temperature", small], ["hash_bits=9", small]),
      (45, [often], [often]),
      // Other models, and another kind of delay: nothing that was kept of the old ones is read.
      (46, [often], ["challengers={careful: {algorithm: invariant}}", often]),
      (47, ["challengers={careful: {algorithm: invariant}}", "delay=dfm", often], [often]),
    ] as [(UInt64, [String], [String])])
  func aBidderFollowsChangedSettings(
    _ seed: UInt64, _ old: [String], _ new: [String]
  ) throws {
    func topology(_ settings: [String]) throws -> CheckedTopology {
      try ScoringScene.topology(
        settings.map { $0.hasPrefix("operators") ? $0 : "operators.learner." + $0 })
    }
    let records = ScoringScene.history(4_000, seed: seed)
    var scene = ScoringScene()
    try scene.run(Array(records[..<2_000]), topology(old))
    let before = try scene.compare("seed \(seed)")
    try scene.run(Array(records[2_000...]), topology(new))
    let counts = try scene.compare("seed \(seed)")
    print("seed \(seed): \(before), then \(counts)")
    #expect(counts.compared > before.compared + 300 && counts.lapsed == 0)
  }

  /// State that is made anew: what was published before is forgotten, what comes is exact.
  @Test(arguments: [51, 52] as [UInt64])
  func aBidderFollowsARebuild(_ seed: UInt64) throws {
    let records = ScoringScene.history(4_000, seed: seed)
    var scene = ScoringScene()
    try scene.run(Array(records[..<2_000]), ScoringScene.topology([Self.small]))
    let before = try scene.compare("seed \(seed)")
    try scene.run(
      Array(records[2_000...]),
      ScoringScene.topology([
        "operators.learner.delay=fnw", "operators.learner.calibration=beta", Self.small,
      ]), rebuilds: true)
    let counts = try scene.compare("seed \(seed)")
    print("seed \(seed): \(before), then \(counts)")
    #expect(counts.compared > before.compared + 100)
    let accounts = Set(scene.updates.map(\.account)).count
    #expect(scene.updates.filter { $0.after == 0 }.count == 2 * accounts)
  }

  /// Records stay below the size that was set, and the sum of all is what there is.
  @Test func chunksKeepTheirSize() throws {
    let driver = try TopologyDriver(
      ScoringScene.topology([Self.small]), registry: OperatorRegistry.all)
    for i in 0..<400 {
      try driver.send(
        #"{"type":"impression","id":"i\#(i)","time":\#(1_800_000_000_000 + i * 1_000),"#
          + #""account":"acme","campaign":"c","ad":"a","price":0.001,"#
          + #""features":{"x":"\#(i)","y":"\#(i % 50)"}}"#)
    }
    try driver.finish()
    let records = driver.outputs(of: "models")
    #expect(records.count > 3 && records.allSatisfy { $0.utf8.count <= 4_096 })
    let model = ScoringModel()
    for record in records { try model.apply(ModelUpdate(json: record)) }
    #expect(model.count > 450)
    guard case .ready = model.state else {
      Issue.record("\(model.state)")
      return
    }
  }
}
