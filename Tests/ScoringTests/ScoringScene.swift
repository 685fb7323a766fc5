import Events
import Foundation
import Operators
import Scoring
import Simulation
import Streaming
import TestKit
import Testing

/// `Topologies/scoring.yaml` over random histories, and a bidder that reads what it publishes.
struct ScoringScene {
  /// What the learner published, in its order.
  enum Step {
    case model(ModelUpdate)
    /// Of an impression when it was shown.
    case prediction([String: Any])
  }

  private(set) var steps: [Step] = []
  private(set) var alerts: [String] = []
  /// Digits of the largest maps in base64.
  private(set) var mapDigitsMax = 0
  private var interactions: [String: [String: Any]] = [:]
  private var events: [String: [UInt8]] = [:]
  private let broker = SimulatedBroker(inputs: [LogInput(source: "events", topic: "events")])
  private var taken = 0

  // MARK: The learner

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

  /// Three hours of a few accounts.
  ///
  /// - Parameter isTurning: Nearly nobody clicks in the first half of the world.
  static func history(
    _ count: Int, seed: UInt64, accounts: Int = 3, isTurning: Bool = false
  ) -> [[UInt8]] {
    var history = HistorySettings()
    history.seed = seed
    history.records = count
    history.accounts = accounts
    history.campaignsPerAccount = 2
    history.adsPerCampaign = 3
    history.usersPerAccount = 8
    history.duration = .hours(3)
    history.duplicatesPerMillion = 30_000
    history.badPerMillion = 10_000
    history.shares.click = 2_000
    history.shares.conversion = 1_000
    var generator = HistoryGenerator(history)
    var (records, line): ([[UInt8]], [UInt8]) = ([], [])
    while generator.next(into: &line) != nil {
      if line.last == 0x0A { line.removeLast() }
      records.append(line)
    }
    guard isTurning else { return records }
    return records.enumerated().filter { number, record in
      number >= count / 2 || number % 10 == 0
        || !String(decoding: record, as: UTF8.self).contains(#""type":"click""#)
    }.map(\.element)
  }

  static func object(_ json: String) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] ?? [:]
  }

  /// What an account's event is found by.
  static func key(_ record: [String: Any]) -> String {
    "\(record["account"] ?? "")/\(record["id"] ?? "")"
  }

  static func replay(
    _ records: [[UInt8]], _ settings: [String]
  ) throws -> ScoringScene {
    var scene = ScoringScene()
    try scene.run(records, topology(settings), mode: .replay)
    return scene
  }

  /// Goes on with more records, from the snapshot where there is one, and leaves another one.
  ///
  /// - Parameter rebuilds: Makes state anew before, from all records so far.
  mutating func run(
    _ records: [[UInt8]], _ topology: CheckedTopology, mode: RunnerOptions.Mode = .live,
    rebuilds: Bool = false
  ) throws {
    for record in records {
      if let event = try? Self.object(String(decoding: record, as: UTF8.self)),
        event["type"] as? String == "impression"
      {
        events[Self.key(event)] = record
      }
      broker.append(record)
    }
    var options = RunnerOptions(mode: mode, commitEvents: 200)
    options.rebuilds = { rebuilds }
    options.idleClock = false
    let runner = try PartitionRunner(
      topology: topology, registry: OperatorRegistry.all, log: broker.open(),
      snapshots: SimulatedSnapshots(broker), commitQueue: ImmediateQueue(),
      snapshotQueue: ImmediateQueue(), options: options)
    try runner.start(now: 0)
    // Keeping rebuilt state takes turns in which nothing is read.
    var idle = 0
    while idle < 50 { idle = try runner.step(now: 0) == .advanced ? 0 : idle + 1 }
    if mode == .replay { runner.finish(atTick: runner.core.tick) }
    while try !runner.drain(now: 0, snapshot: mode == .live) {}
    try take(topology.sinks.map(\.name))
  }

  private mutating func take(_ sinks: [String]) throws {
    let all = broker.outputs
    for output in all[taken...] {
      let json = String(decoding: output.value, as: UTF8.self)
      switch sinks[Int(output.sink)] {
      case "models":
        if let start = json.firstRange(of: #""maps":""#)?.upperBound {
          mapDigitsMax = max(mapDigitsMax, json[start...].prefix { $0 != "\"" }.count)
        }
        steps.append(.model(try ModelUpdate(json: json)))
      case "predictions":
        let record = try Self.object(json)
        if record["click"] == nil { steps.append(.prediction(record)) }
      case "interactions":
        let record = try Self.object(json)
        if record["type"] as? String == "impression" { interactions[Self.key(record)] = record }
      case "alerts": alerts.append(try Self.object(json)["message"] as? String ?? "")
      default: continue
      }
    }
    taken = all.count
  }

  /// Records of `models` in their order.
  var updates: [ModelUpdate] {
    steps.compactMap { if case .model(let update) = $0 { update } else { nil } }
  }

  // MARK: The bidder

  private static func journey(_ record: [String: Any]) -> ImpressionFeatures.Journey {
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

  private static func bits(_ prediction: [String: Any]) -> [String] {
    let bits = prediction["bits"] as? [String: Any] ?? [:]
    return ["pctr", "pcvr", "pctcvr", "value"].map { bits[$0] as? String ?? "" }
  }

  private static func bits(_ score: Score?) -> [String] {
    guard let score else { return [] }
    return [score.click, score.conversion, score.clickAndConversion, score.valueMicros].map {
      let digits = String($0.bitPattern, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
  }

  /// How many predictions were scored by what they came from. `unready`: no model was there;
  /// `lapsed`: none was there any more.
  struct Counts {
    var (compared, unready, lapsed, valued) = (0, 0, 0, 0)
  }

  private struct Reader {
    let model = ScoringModel()
    var updates = 0
    var wasReady = false
  }

  /// Lets a bidder read along and score each prediction's impression; where it has what the
  /// prediction came from, each bit must be the same.
  ///
  /// - Parameters:
  ///   - start: Of each account's records of `models` so many are not read.
  ///   - lost: Nor are these.
  func compare(
    from start: Int = 0, lost: (ModelUpdate) -> Bool = { _ in false }, _ comment: Comment
  ) throws -> Counts {
    var readers: [String: Reader] = [:]
    var counts = Counts()
    var impression = ImpressionFeatures()
    for step in steps {
      switch step {
      case .model(let update):
        var reader = readers[update.account] ?? Reader()
        reader.updates += 1
        if reader.updates > start, !lost(update) { try reader.model.apply(update) }
        if case .ready = reader.model.state { reader.wasReady = true }
        readers[update.account] = reader
      case .prediction(let prediction):
        guard let reader = readers[prediction["account"] as? String ?? ""] else { continue }
        let model = reader.model
        guard let event = events[Self.key(prediction)],
          let interaction = interactions[Self.key(prediction)]
        else { continue }
        impression.removeAll()
        try event.withUnsafeBufferPointer { try impression.read(event: $0) }
        impression.timeMilliseconds = Int64(prediction["shown"] as? Int ?? 0)
        impression.journey = Self.journey(interaction)
        let score = model.score(impression)
        guard case .ready(let version) = model.state else {
          #expect(score == nil)
          counts.unready += 1
          if reader.wasReady { counts.lapsed += 1 }
          continue
        }
        guard prediction["version"] as? Int == Int(version),
          prediction["model"] as? String == model.name
        else { continue }
        #expect(Self.bits(score) == Self.bits(prediction), comment)
        counts.compared += 1
        if let score, score.valueMicros > 0 { counts.valued += 1 }
      }
    }
    return counts
  }
}
