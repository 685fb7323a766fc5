import Events
import Foundation
import Operators
import Streaming
import Synchronization
import TestKit
import Testing

/// Nothing of one account's raw features can be read from what another is given, and no text of
/// anybody's features from a snapshot.
///
/// Two accounts send the same kind of events. Everything that they name themselves begins with a
/// word for what it is, with letters that base64 does not have, and holds a word for whose it is:
/// both are searched for in every byte.
@Suite struct AccountPrivacyTests {
  /// What a name stands for. Its words stand for nothing else in topology or records.
  private enum Kind: String, CaseIterable {
    case featureName = "fn_mark_"
    case featureText = "fv_mark_"
    case placement = "pl_mark_"
    case user = "us_mark_"
    case device = "dv_mark_"
    case clickID = "ck_mark_"
    case advertiser = "av_mark_"
    case campaign = "cp_mark_"
    case ad = "ad_mark_"
    case eventID = "id_mark_"
    case account = "ac_mark_"
  }

  private static let owners = ["Zebra", "Quokka"]

  private func name(_ kind: Kind, _ owner: String, _ number: Int) -> String {
    "\(kind.rawValue)\(owner)\(number)"
  }

  /// A number that nobody else sends, in text and as bits.
  private func number(_ owner: Int) -> Double { owner == 0 ? 73164.1875 : 58213.3125 }

  // MARK: The run

  /// Everything that is on cannot be on at once: weights are for bidders that know of no maps.
  private static let settings = [
    """
    champion: { a: {} }
        models: { publish: true, every: 1m, whole: 2m, exact: true }
        calibration: none
        drift: { respond: false }
        features: [bias, campaign, ad, advertiser, placement, hour, weekday, "features.*", \
    "journey.*", "campaign*placement"]
    """,
    """
    champion: { a: {} }
        challengers: { b: { algorithm: bayes }, c: { algorithm: fm }, d: { algorithm: invariant } }
        delay: dfm
        calibration: isotonic
        features: [bias, campaign, ad, advertiser, placement, hour, weekday, "features.*", \
    "journey.*", "campaign*placement"]
    """,
  ]

  private struct Run {
    var sinks: [String]
    var outputs: [SimulatedBroker.Committed]
    var snapshot: [UInt8]
    var said: String
    var answers: [(owner: Int, json: String)]
  }

  private let start: Int64 = 1_800_000_000_000

  private func records() -> [[UInt8]] {
    var records: [[UInt8]] = []
    func event(_ type: String, _ owner: Int, _ i: Int, at time: Int64, _ rest: String) {
      let whose = Self.owners[owner]
      let identity =
        #""user":"\#(name(.user, whose, i % 40))","device":"\#(name(.device, whose, i % 40))""#
      records.append(
        Array(
          (#"{"type":"\#(type)","id":"\#(name(.eventID, whose, i))\#(type)","#
            + #""time":\#(start + time),"account":"\#(name(.account, whose, 0))",\#(identity)"#
            + "\(rest)}").utf8))
    }
    for i in 0..<1_200 {
      let owner = i % 2
      let whose = Self.owners[owner]
      let time = Int64(i) * 9_000
      let place =
        #","campaign":"\#(name(.campaign, whose, i % 3))","ad":"\#(name(.ad, whose, i % 5))""#
      let features =
        #""\#(name(.featureName, whose, 1))":"\#(name(.featureText, whose, i % 7))","#
        + #""\#(name(.featureName, whose, 2))":\#(number(owner)),"#
        + #""\#(name(.featureName, whose, 3))":true,"shared":"\#(name(.featureText, whose, 8))""#
      event(
        "impression", owner, i, at: time,
        place
          + #","price":0.001,"viewable":true,"placement":"\#(name(.placement, whose, i % 4))","#
          + #""advertiser":"\#(name(.advertiser, whose, 0))","#
          + #""click_id":"\#(name(.clickID, whose, i))","features":{\#(features)}"#)
      guard i % 6 < 2 else { continue }
      event(
        "click", owner, i, at: time + 1_000,
        place + #","impression":"\#(name(.eventID, whose, i))impression""#)
      if i % 12 < 2 { event("conversion", owner, i, at: time + 2_000, #","value":12.5"#) }
    }
    return records
  }

  private func run(_ settings: String) throws -> Run {
    let topology = try Learning.topology(settings)
    let broker = SimulatedBroker(inputs: [LogInput(source: "", topic: "events")])
    let all = records()
    for record in all { broker.append(record) }
    let said = Mutex("")
    var options = RunnerOptions(mode: .live, commitEvery: 1)
    options.idleClock = false
    options.notify = { notice in said.withLock { $0 += notice.description + "\n" } }
    let runner = try PartitionRunner(
      topology: topology, registry: OperatorRegistry.all, log: broker.open(),
      snapshots: SimulatedSnapshots(broker), commitQueue: ImmediateQueue(),
      snapshotQueue: ImmediateQueue(), options: options)
    try runner.start(now: 0)
    var now: Int64 = 0
    while runner.core.recordsTaken < Int64(all.count) {
      now += 5
      _ = try runner.step(now: now)
    }
    while try !runner.drain(now: now, snapshot: true) { now += 5 }
    for counter in runner.core.counters {
      said.withLock { $0 += "\(counter.name) \(counter.value)\n" }
    }
    var answers: [(owner: Int, json: String)] = []
    for (owner, whose) in Self.owners.enumerated() {
      let question = Question(
        account: name(.account, whose, 0), campaign: name(.campaign, whose, 0))
      if case .known(let json) = runner.core.answer(question, partition: 0) {
        answers.append((owner, String(decoding: json, as: UTF8.self)))
      }
    }
    var snapshot: [UInt8] = []
    let number = try #require(broker.snapshotNumbers.first)
    try SimulatedSnapshots(broker).read(number) { snapshot += Array($0) }
    return Run(
      sinks: topology.sinks.map(\.name), outputs: broker.outputs, snapshot: snapshot,
      said: said.withLock { $0 }, answers: answers)
  }

  private func holds(_ bytes: [UInt8], _ text: String) -> Bool {
    Data(bytes).range(of: Data(text.utf8)) != nil
  }

  // MARK: What is found

  @Test(arguments: settings) func anAccountIsGivenNothingOfAnother(_ settings: String) throws {
    let run = try run(settings)
    var counts: [String: Int] = [:]
    for output in run.outputs {
      let sink = run.sinks[Int(output.sink)]
      let key = String(decoding: output.key, as: UTF8.self)
      let owner = try #require(Self.owners.firstIndex { key.contains($0) }, "\(sink): \(key)")
      counts["\(sink) \(owner)", default: 0] += 1
      let text = String(decoding: output.value, as: UTF8.self)
      #expect(!text.contains(Self.owners[1 - owner]), "\(sink): \(text)")
      #expect(!text.contains("\(number(1 - owner))"), "\(sink): \(text)")
      // Nor is a feature told to whom it belongs: what is published of features is numbers.
      for kind in [Kind.featureName, .featureText] {
        #expect(!text.contains(kind.rawValue), "\(sink): \(text)")
      }
    }
    // Of every stream both had something, or nothing was shown.
    var streams = ["predictions", "interactions", "attributions"]
    streams += settings.contains("publish") ? ["models"] : ["scores"]
    for stream in streams {
      #expect(counts["\(stream) 0", default: 0] > 0 && counts["\(stream) 1", default: 0] > 0)
    }
    #expect(run.answers.count == 2)
    for (owner, json) in run.answers { #expect(!json.contains(Self.owners[1 - owner])) }
    for whose in Self.owners { #expect(!run.said.contains(whose), "\(run.said)") }
    #expect(run.said.contains("learner.impressions 1200"))
  }

  /// What is kept as text: names of accounts, campaigns and ads, and the ids of impressions and
  /// clicks that wait for what comes of them. All else is hashes and numbers.
  @Test(arguments: settings) func aSnapshotHoldsNoTextOfFeatures(_ settings: String) throws {
    let run = try run(settings)
    let kept: Set<Kind> = [.account, .campaign, .ad, .eventID]
    for kind in Kind.allCases {
      #expect(holds(run.snapshot, kind.rawValue) == kept.contains(kind), "\(kind)")
    }
    // Numbers wait with their impressions as they are, to be learned from as they were; not as text.
    for owner in 0..<2 { #expect(!holds(run.snapshot, "\(number(owner))")) }
  }
}
