import Events
import Foundation
import Operators
import Scoring
import Simulation
import Streaming
import TestKit
import Testing

/// A bidder scores what the learner scores: `Topologies/scoring.yaml` over random histories.
@Suite struct ScoringReplayTests {
  /// What a replay left: records by stream, and the impressions' events.
  struct Replay {
    /// Kinds of alerts, and what became of them.
    var alerts: [String] = []
    var models: [String: [ModelUpdate]] = [:]
    var predictions: [[String: Any]] = []
    var interactions: [String: [String: Any]] = [:]
    var events: [String: [UInt8]] = [:]
  }

  static func key(_ record: [String: Any]) -> String {
    "\(record["account"] ?? "")/\(record["id"] ?? "")"
  }

  static func object(_ json: String) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] ?? [:]
  }

  /// The shipped file with windows of minutes, exact predictions, and journeys to look at.
  static func topology(_ settings: [String]) throws -> CheckedTopology {
    let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    let text = try String(contentsOfFile: root + "/Topologies/scoring.yaml", encoding: .utf8)
      .replacing(
        "\nsinks:\n",
        with: "\nsinks:\n  interactions: { from: journeys, log: { topic: interactions } }\n")
    return try CheckedTopology.parse(
      text: text, file: "scoring.yaml", environment: ["IDENTITY_KEY": "key"],
      overrides: [
        "operators.learner.click_window=5m", "operators.learner.conversion_window=40m",
        "operators.credits.windows={click: 40m, view: 10m}",
      ] + settings, registry: OperatorRegistry.all.map(\.description))
  }

  static func replay(
    _ count: Int, seed: UInt64, _ settings: [String],
    change: (inout HistorySettings) -> Void = { _ in }
  ) throws -> Replay {
    let driver = try TopologyDriver(topology(settings), registry: OperatorRegistry.all)
    var history = HistorySettings()
    history.seed = seed
    history.records = count
    history.accounts = 3
    history.campaignsPerAccount = 2
    history.adsPerCampaign = 3
    history.usersPerAccount = 8
    history.duration = .hours(3)
    history.duplicatesPerMillion = 30_000
    history.badPerMillion = 10_000
    history.shares.click = 2_000
    history.shares.conversion = 1_000
    change(&history)
    var generator = HistoryGenerator(history)
    var replay = Replay()
    var line: [UInt8] = []
    while generator.next(into: &line) != nil {
      if line.last == 0x0A { line.removeLast() }
      if let event = try? object(String(decoding: line, as: UTF8.self)),
        event["type"] as? String == "impression"
      {
        replay.events[key(event)] = line
      }
      try driver.send(line)
    }
    try driver.finish()
    replay.predictions = try driver.outputs(of: "predictions").map { try object($0) }
      .filter { $0["click"] == nil }
    for record in try driver.outputs(of: "interactions").map({ try object($0) })
    where record["type"] as? String == "impression" {
      replay.interactions[key(record)] = record
    }
    replay.alerts = try driver.outputs(of: "alerts").map {
      try object($0)["message"] as? String ?? ""
    }
    for record in driver.outputs(of: "models") {
      let update = try ModelUpdate(json: record)
      replay.models[update.account, default: []].append(update)
    }
    return replay
  }

  static func journey(_ record: [String: Any]) -> ImpressionFeatures.Journey {
    func number(_ name: String) -> Int { record[name] as? Int ?? 0 }
    var journey = ImpressionFeatures.Journey()
    for state in ImpressionFeatures.Journey.State.allCases
    where "\(state)" == record["state"] as? String {
      journey.state = state
    }
    journey.session = Int32(number("session"))
    journey.sinceTouchMilliseconds =
      record["since_touch"] == nil ? -1 : Int64(number("since_touch"))
    journey.campaignViewsDay = Int32(number("campaign_views_1d"))
    journey.campaignViewsWeek = Int32(number("campaign_views_7d"))
    journey.adViewsDay = Int32(number("ad_views_1d"))
    journey.adViewsWeek = Int32(number("ad_views_7d"))
    return journey
  }

  static func bits(_ prediction: [String: Any]) -> [String] {
    let bits = prediction["bits"] as? [String: Any] ?? [:]
    return ["pctr", "pcvr", "pctcvr", "value"].map { bits[$0] as? String ?? "" }
  }

  static func bits(_ score: Score?) -> [String] {
    guard let score else { return [] }
    return [score.click, score.conversion, score.clickAndConversion, score.valueMicros].map {
      let digits = String($0.bitPattern, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
  }

  /// How many predictions of a model's version were scored; each must be equal. `lost` says which
  /// records of `models` do not arrive.
  private func compare(
    _ replay: Replay, from start: Int = 0, seed: UInt64,
    lost: (ModelUpdate) -> Bool = { _ in false }
  ) throws -> (compared: Int, unready: Int, valued: Int) {
    var models: [String: (model: ScoringModel, next: Int)] = [:]
    for account in replay.models.keys { models[account] = (ScoringModel(), start) }
    var (compared, unready, valued) = (0, 0, 0)
    var impression = ImpressionFeatures()
    for prediction in replay.predictions {
      let account = prediction["account"] as? String ?? ""
      let version = Int64(prediction["version"] as? Int ?? -1)
      guard let (model, first) = models[account] else { continue }
      var next = first
      while let updates = replay.models[account], next < updates.count,
        updates[next].version <= version
      {
        if !lost(updates[next]) { try model.apply(updates[next]) }
        next += 1
      }
      models[account]?.next = next
      guard let event = replay.events[Self.key(prediction)],
        let interaction = replay.interactions[Self.key(prediction)]
      else { continue }
      impression.removeAll()
      try event.withUnsafeBufferPointer { try impression.read(event: $0) }
      impression.timeMilliseconds = Int64(prediction["shown"] as? Int ?? 0)
      impression.journey = Self.journey(interaction)
      let score = model.score(impression)
      guard model.state == .ready(version: version), prediction["model"] as? String == model.name
      else {
        if case .ready = model.state {
        } else {
          #expect(score == nil)
          unready += 1
        }
        continue
      }
      #expect(Self.bits(score) == Self.bits(prediction), "seed \(seed)")
      compared += 1
      if let score, score.valueMicros > 0 { valued += 1 }
    }
    return (compared, unready, valued)
  }

  private static let often = "operators.learner.models={publish: true, every: 1s, exact: true}"
  /// Chunks and sweeps of a few publications each.
  private static let small =
    "operators.learner.models={publish: true, every: 2m, whole: 20m, chunk: 4096, exact: true}"

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
    let replay = try Self.replay(4_000, seed: seed, settings + [Self.often])
    let counts = try compare(replay, seed: seed)
    print("seed \(seed): \(counts) of \(replay.predictions.count)")
    #expect(counts.compared > 1_000 && counts.valued > 100)
  }

  /// Drift is found where there is none, and challengers take over and go back, within minutes.
  private static let onEdge = [
    "operators.learner.champion={a: {alpha: 0.000001}}",
    "operators.learner.challengers={b: {alpha: 0.5}, c: {algorithm: invariant}, "
      + "d: {algorithm: bayes}}",
    "operators.learner.evaluation={half_life: 1h}",
    "operators.learner.drift={warmup: 10, delta: 0.4, check_every: 1, escalation: 1h}",
    "operators.learner.promotion={trial: 0s, positives: 1, cooldown: 1m, probation: 10m, "
      + "alpha: 0.5, calibration_low: 0, calibration_high: 100}",
  ]

  @Test(
    arguments: [
      (21, "dfm", "platt", often), (22, "es_dfm", "beta", often), (23, "fnw", "isotonic", often),
      (24, "mature", "temperature", often), (25, "mature", "platt", small),
      (26, "dfm", "isotonic", small),
    ] as [(UInt64, String, String, String)])
  func aBidderFollowsDriftAndPromotions(
    _ seed: UInt64, _ delay: String, _ calibration: String, _ publication: String
  ) throws {
    let replay = try Self.replay(
      4_000, seed: seed,
      Self.onEdge + [
        "operators.learner.delay=\(delay)", "operators.learner.calibration=\(calibration)",
        "operators.learner.wait=7m", publication,
      ])
    let counts = try compare(replay, seed: seed)
    func alerts(_ part: String) -> Int { replay.alerts.filter { $0.contains(part) }.count }
    let names = replay.models.values.map { updates in
      zip(updates, updates.dropFirst()).filter { $0.name != $1.name }.count
    }
    print(
      "seed \(seed): \(counts), champions changed \(names), \(Set(replay.alerts)), "
        + "\(alerts("forget")) forgot")
    #expect(counts.compared > 50 && counts.valued > 10)
    #expect(names.reduce(0, +) > 0)
  }

  @Test(arguments: [4, 5] as [UInt64])
  func aReaderMayBeginAnywhere(_ seed: UInt64) throws {
    let replay = try Self.replay(4_000, seed: seed, [Self.small])
    let publications = replay.models.values.joined()
    #expect(publications.contains { $0.chunks > 1 })
    let sweeps = publications.filter { $0.begins && $0.chunk == 1 }
    #expect(publications.filter(\.ends).count >= sweeps.count - replay.models.count)
    let whole = try compare(replay, seed: seed)
    for start in [1, 7, 20] {
      let late = try compare(replay, from: start, seed: seed)
      print("seed \(seed), from \(start): \(late), all: \(whole)")
      #expect(late.compared > 50 && late.compared < whole.compared)
      #expect(late.unready > whole.unready)
    }
  }

  @Test func aGapIsNoticedAndMended() throws {
    let replay = try Self.replay(4_000, seed: 6, [Self.small])
    let whole = try compare(replay, seed: 6)
    let holed = try compare(replay, seed: 6) { $0.sequence % 23 == 9 }
    print("\(holed), all: \(whole)")
    #expect(holed.compared > 50 && holed.compared < whole.compared)
    #expect(holed.unready > whole.unready)
    // What comes twice changes nothing.
    let (account, updates) = try #require(replay.models.min { $0.key < $1.key })
    let model = ScoringModel()
    for (i, update) in updates.enumerated() {
      try model.apply(update)
      let state = model.state
      try model.apply(updates[i / 2])
      #expect(model.state == state)
    }
    #expect(model.account == account && model.count > 10)
  }

  /// Records stay below the size that was set, and the sum of all is what there is.
  @Test func chunksKeepTheirSize() throws {
    let driver = try TopologyDriver(
      Self.topology([Self.small]), registry: OperatorRegistry.all)
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
