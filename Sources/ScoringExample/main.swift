import Foundation
import Scoring

// A bidder in miniature: reads what a replay published, scores its impressions by itself, and
// compares with what the learner said of them. Everything that a bidder needs is `Scoring`'s; here
// are only files.
//
//   bidmill replay Topologies/scoring.yaml --from events.jsonl --out results \
//     --set operators.learner.models.exact=true --set operators.learner.models.every=1s
//   ScoringExample events.jsonl results
//
// Features of journeys are read from results/interactions.jsonl, where the topology has such a sink;
// without it the learner's `features` must do without `journey.*`.

struct Failure: Error, CustomStringConvertible {
  var description: String
  /// Exit status: 64 usage, 65 bad data, 66 input missing.
  var status: Int32 = 65
}

/// Calls `body` with each line of a file; what it throws is told with the line's place.
func forEachLine(_ path: String, _ body: (Substring) throws -> Void) throws {
  guard let data = FileManager.default.contents(atPath: path) else {
    throw Failure(description: "\(path) cannot be read", status: 66)
  }
  let lines = String(decoding: data, as: UTF8.self)
    .split(separator: "\n", omittingEmptySubsequences: false)
  for (place, line) in lines.enumerated() where !line.isEmpty {
    do { try body(line) } catch {
      throw Failure(description: "\(path):\(place + 1): \(error)")
    }
  }
}

func object(_ line: Substring) throws -> [String: Any] {
  guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
  else { throw Failure(description: "not a JSON object: \(line.prefix(80))") }
  return object
}

/// What an account's impression is found by.
func key(_ record: [String: Any]) -> String {
  "\(record["account"] as? String ?? "")\n\(record["id"] as? String ?? "")"
}

/// A number that a prediction has as its bits.
func bits(_ prediction: [String: Any], _ name: String) -> UInt64? {
  let bits = prediction["bits"] as? [String: Any]
  return (bits?[name] as? String).flatMap { UInt64($0, radix: 16) }
}

func number(_ record: [String: Any], _ name: String) -> Int64 {
  (record[name] as? NSNumber)?.int64Value ?? 0
}

/// Models as they become known, and impressions to score.
struct Bidder {
  /// Records of `models` by account, and how many of them were taken.
  private var updates: [String: (records: [ModelUpdate], taken: Int)] = [:]
  private var models: [String: ScoringModel] = [:]
  private var events: [String: [UInt8]] = [:]
  private var journeys: [String: [String: Any]] = [:]

  private(set) var compared = 0
  private(set) var different = 0
  private(set) var between = 0
  private(set) var scoring = Duration.zero

  init(events path: String, results: String) throws {
    try forEachLine(path) { line in
      // What the service refused was not predicted either.
      guard line.contains("\"impression\""), let event = try? object(line) else { return }
      if event["type"] as? String == "impression" { events[key(event)] = Array(line.utf8) }
    }
    try forEachLine(results + "/models.jsonl") { line in
      let update = try ModelUpdate(json: String(line))
      updates[update.account, default: ([], 0)].records.append(update)
    }
    let interactions = results + "/interactions.jsonl"
    if FileManager.default.fileExists(atPath: interactions) {
      try forEachLine(interactions) { line in
        let interaction = try object(line)
        if interaction["type"] as? String == "impression" {
          journeys[key(interaction)] = interaction
        }
      }
    }
  }

  /// Takes what was published of an account up to a version.
  private mutating func advance(_ account: String, to version: Int64) throws -> ScoringModel {
    let model = models[account] ?? ScoringModel()
    models[account] = model
    while let (records, taken) = updates[account], taken < records.count,
      records[taken].version <= version
    {
      try model.apply(records[taken])
      updates[account]?.taken = taken + 1
    }
    return model
  }

  private func journey(_ record: [String: Any]) -> ImpressionFeatures.Journey {
    var journey = ImpressionFeatures.Journey()
    let name = record["state"] as? String ?? ""
    journey.state =
      ImpressionFeatures.Journey.State.allCases.first { "\($0)" == name } ?? .unaware
    journey.session = Int32(clamping: number(record, "session"))
    journey.sinceTouchMilliseconds =
      record["since_touch"] == nil ? -1 : number(record, "since_touch")
    journey.campaignViewsDay = Int32(clamping: number(record, "campaign_views_1d"))
    journey.campaignViewsWeek = Int32(clamping: number(record, "campaign_views_7d"))
    journey.adViewsDay = Int32(clamping: number(record, "ad_views_1d"))
    journey.adViewsWeek = Int32(clamping: number(record, "ad_views_7d"))
    return journey
  }

  /// Scores a prediction's impression, where its version was published.
  mutating func compare(_ prediction: [String: Any]) throws {
    let version = number(prediction, "version")
    let model = try advance(prediction["account"] as? String ?? "", to: version)
    guard prediction["model"] as? String == model.name, model.state == .ready(version: version)
    else {
      between += 1
      return
    }
    guard let event = events[key(prediction)] else {
      throw Failure(description: "the events lack an impression that was predicted")
    }
    var impression = ImpressionFeatures()
    try event.withUnsafeBufferPointer { try impression.read(event: $0) }
    impression.timeMilliseconds = number(prediction, "shown")
    if let record = journeys[key(prediction)] { impression.journey = journey(record) }
    var score: Score?
    scoring += ContinuousClock().measure { score = model.score(impression) }
    guard let score, let click = bits(prediction, "pctr") else {
      throw Failure(
        description: "predictions have no bits: replay with operators.learner.models.exact=true")
    }
    compared += 1
    let isEqual =
      score.click.bitPattern == click
      && score.conversion.bitPattern == bits(prediction, "pcvr")
      && score.clickAndConversion.bitPattern == bits(prediction, "pctcvr")
      && score.valueMicros.bitPattern == bits(prediction, "value")
    if !isEqual { different += 1 }
  }
}

do {
  guard CommandLine.arguments.count == 3 else {
    throw Failure(description: "usage: ScoringExample EVENTS.jsonl RESULTS", status: 64)
  }
  let results = CommandLine.arguments[2]
  var bidder = try Bidder(events: CommandLine.arguments[1], results: results)
  try forEachLine(results + "/predictions.jsonl") { line in
    let prediction = try object(line)
    // The second record of an impression says what became of it.
    if prediction["click"] == nil { try bidder.compare(prediction) }
  }
  let nanoseconds = bidder.scoring / max(bidder.compared, 1) / .nanoseconds(1)
  print("\(bidder.compared) impressions scored, \(bidder.different) differ from the learner")
  print("\(bidder.between) predicted between two publications, or by challengers")
  print("\(Int(nanoseconds)) ns a score")
  if bidder.different > 0 || bidder.compared == 0 { exit(1) }
} catch {
  FileHandle.standardError.write(Data("error: \(error)\n".utf8))
  exit((error as? Failure)?.status ?? 65)
}
