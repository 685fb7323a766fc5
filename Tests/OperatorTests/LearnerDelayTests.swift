import Bidding
import Events
import Simulation
import Streaming
import TestKit
import Testing

@testable import Operators

/// Credit as a test wants it. A `conversion` credits the click that its `click_id` names, by its
/// `value` in millions; one with the action `back` takes that back.
struct ScriptedCredits: Operator {
  static let description = OperatorDescription(
    name: "scripted_credits", version: 1, summary: "Credits what it is told to.",
    inputs: [.init(.interactions)], outputs: [.attributions], settings: [])

  private let interactions: Stream<Interaction>
  private let output: Stream<AttributionRecord>

  init(_ setup: OperatorSetup) throws(SettingProblem) {
    interactions = try setup.onlyInput(Interaction.self)
    output = setup.output(AttributionRecord.self)
  }

  mutating func process(_ entry: borrowing Entry) {
    for i in 0..<interactions.count {
      let interaction = interactions[i]
      guard let event = interaction.event, event.pointee.type == .conversion else { continue }
      var record = AttributionRecord(
        event, interaction, model: .lastTouch, isPrimary: true,
        touch: TouchRecord(
          id: event.pointee.clickID, time: event.pointee.time, campaign: 0, ad: 0, isClick: true,
          isViewable: true), creditMillionths: event.pointee.value.micros, value: .zero)
      if event.pointee.action.string == "back" { record.kind = .retract }
      output.append(record)
    }
  }

  func digest(into digest: inout StateDigest) {}
}

/// Conversions that come late: what the fast head says before labels are final.
@Suite struct LearnerDelayTests {
  private static let minute: Int64 = 60_000
  private static let window: Int64 = 40

  /// A learner of one feature, whose conversions a test credits itself.
  private final class Scene {
    let driver: TopologyDriver
    let start: Int64 = 1_800_000_000_000
    private var count = 0

    init(_ delay: String, wait: String = "1m", alpha: Double = 1) throws {
      let registry = OperatorRegistry.all + [OperatorType(ScriptedCredits.self)]
      let topology = try CheckedTopology.parse(
        text: """
          topology: delays
          time: { out_of_orderness: 5s }
          sources: { events: { log: { directory: data, topics: [events] } } }
          operators:
            people: { operator: identity, from: events, key: secret }
            journeys: { operator: journeys, from: people }
            credits: { operator: scripted_credits, from: journeys }
            learner:
              operator: learner
              from: [journeys, credits]
              features: [bias]
              prior: { ctr: 0.5, cvr: 0.1 }
              click_window: 1m
              conversion_window: 40m
              delay: \(delay)
              wait: \(wait)
              champion: { main: { alpha: \(alpha) } }
          sinks:
            predictions: { from: learner, log: { topic: predictions } }
            attributions: { from: credits, log: { topic: attributions } }
          """.split(separator: "\n").filter { !$0.allSatisfy { $0 == " " } }
            .joined(separator: "\n"),
        file: "delays.yaml", registry: registry.map(\.description))
      driver = try TopologyDriver(topology, registry: registry)
    }

    func send(_ type: String, _ id: String, at time: Int64, _ rest: String) throws {
      try driver.send(
        #"{"type":"\#(type)","id":"\#(id)","time":\#(start + time),"account":"acme""# + rest + "}")
    }

    private let place = #","campaign":"c","ad":"a""#

    /// An impression, clicked a second later as `c` and its number.
    @discardableResult
    func click(at time: Int64) throws -> Int {
      count += 1
      try send("impression", "i\(count)", at: time, place + #","price":0.001"#)
      try send("click", "c\(count)", at: time + 1_000, place + #","impression":"i\#(count)""#)
      return count
    }

    func credit(_ number: Int, at time: Int64, _ part: String = "1", back: Bool = false) throws {
      try send(
        "conversion", "v\(number)-\(time)\(back)", at: time,
        #","click_id":"c\#(number)","value":\#(part)"# + (back ? #","action":"back""# : ""))
    }

    /// What is said of the next impression.
    func rate(at time: Int64) throws -> Double {
      _ = driver.outputs(of: "predictions")
      try send("impression", "r\(time)", at: time, place + #","price":0.001"#)
      let last = try #require(driver.outputs(of: "predictions").last)
      return Estimating.number(try Attributing.object(last), "pcvr")
    }

    func advance(_ time: Int64) throws {
      try driver.advance(to: EventTime(milliseconds: start + time))
    }
  }

  @Test(arguments: ["dfm", "es_dfm", "fnw"])
  func learnsConversionsAtOnce(_ delay: String) throws {
    let waiting = try Scene("mature")
    let fast = try Scene(delay)
    for scene in [waiting, fast] {
      for i in 0..<20 as Range<Int64> {
        let number = try scene.click(at: i * 10_000)
        try scene.credit(number, at: i * 10_000 + 5_000)
      }
      try scene.advance(8 * Self.minute)
    }
    #expect(try waiting.rate(at: 8 * Self.minute) == 0.1)
    #expect(try fast.rate(at: 8 * Self.minute) > 0.3)
  }

  /// A click whose conversion may still come is no negative, and becomes one by and by.
  @Test func aPendingClickIsHalfOne() throws {
    let scene = try Scene("dfm")
    for i in 0..<30 as Range<Int64> { try scene.click(at: i * 100) }
    try scene.advance(4 * Self.minute)
    let early = try scene.rate(at: 4 * Self.minute)
    try scene.advance(30 * Self.minute)
    let later = try scene.rate(at: 30 * Self.minute)
    try scene.advance(120 * Self.minute)
    let end = try scene.rate(at: 120 * Self.minute)
    #expect(early > later && later > end && end < 0.05, "\(early), \(later), \(end)")
  }

  @Test(arguments: ["dfm", "es_dfm", "fnw"])
  func whatIsTakenBackIsUnlearned(_ delay: String) throws {
    var rates: [Double] = []
    for variant in 0..<3 {
      let scene = try Scene(delay)
      for i in 0..<40 as Range<Int64> {
        let number = try scene.click(at: i * 1_000)
        if number % 4 == 0 { try scene.credit(number, at: i * 1_000 + 2_000) }
      }
      try scene.advance(4 * Self.minute)
      for number in 1...10 where variant > 0 {
        try scene.credit(number * 4 - 1, at: 4 * Self.minute + Int64(number))
      }
      for number in 1...10 where variant > 1 {
        try scene.credit(number * 4 - 1, at: 5 * Self.minute + Int64(number), back: true)
      }
      rates.append(try scene.rate(at: 6 * Self.minute))
      #expect(scene.driver.counter("learner.credits") == (variant > 0 ? 20 : 10))
      #expect(scene.driver.counter("learner.retractions") == (variant > 1 ? 10 : 0))
    }
    // Steps are smaller the more was learned, so the way back is not quite as long.
    #expect(rates[1] > rates[0] * 1.2, "\(rates)")
    #expect(rates[2] < rates[1] && rates[2] < rates[0] + 0.5 * (rates[1] - rates[0]), "\(rates)")
  }

  /// Once a click's label is final, what comes is counted and forgotten.
  @Test(arguments: ["mature", "dfm", "es_dfm", "fnw"])
  func maturityIsTheEnd(_ delay: String) throws {
    let scene = try Scene(delay)
    let number = try scene.click(at: 0)
    try scene.credit(number, at: 3_000)
    try scene.advance(102 * Self.minute)
    let digest = scene.driver.digest
    try scene.credit(number, at: 102 * Self.minute, back: true)
    #expect(scene.driver.counter("learner.retractions_unmatched") == 1)
    #expect(scene.driver.counter("learner.retractions") == 0)
    #expect(scene.driver.counter("learner.pctcvr.main.labels") == 1)
    #expect(scene.driver.digest != digest, "the people behind it still know the conversion")
  }

  /// A conversion before its click, by clocks that differ, came at once.
  @Test(arguments: ["dfm", "es_dfm", "fnw"])
  func aConversionBeforeItsClickCountsAsAtOnce(_ delay: String) throws {
    var rates: [Double] = []
    for skew in [0, 900] as [Int64] {
      let scene = try Scene(delay)
      let number = try scene.click(at: 10_000)
      try scene.credit(number, at: 11_000 - skew)
      try scene.advance(10 * Self.minute)
      rates.append(try scene.rate(at: 10 * Self.minute))
    }
    #expect(rates[0] == rates[1] && rates[0] > 0.1)
  }

  /// A third of the conversions are still to come when half a window has passed: their rate is known
  /// nearly by then, and in the end.
  @Test(arguments: [1, 2] as [UInt64])
  func findsTheRateBehindTheDelay(_ seed: UInt64) throws {
    let truth = 0.4
    var early: [String: Double] = [:]
    for delay in ["dfm", "es_dfm", "fnw"] {
      var random = SplitMix64(seed: seed)
      let scene = try Scene(delay, alpha: 0.3)
      var due: [(time: Int64, number: Int)] = []
      var sent = 0
      for i in 0..<3_000 as Range<Int64> {
        let now = i * 2_000
        while let next = due.first, next.time <= now {
          try scene.credit(next.number, at: next.time)
          due.removeFirst()
        }
        let number = try scene.click(at: now)
        if random.nextUnit() < truth {
          let lag = -NaiveLearner.log(1 - random.nextUnit()) * 12 * Double(Self.minute)
          let time = now + 1_000 + Int64(lag)
          if lag < Double(Self.window * Self.minute) {
            due.insert((time, number), at: due.firstIndex { $0.time > time } ?? due.endIndex)
          }
          sent += 1
        }
        if i == 700 { early[delay] = try scene.rate(at: now + 1_500) }
      }
      let rate = try scene.rate(at: 3_000 * 2_000)
      print("seed \(seed), \(delay): \(early[delay] ?? .nan) at 23 min, \(rate) at 100 min")
      #expect((rate - truth).magnitude < 0.12, "\(delay), seed \(seed), \(sent) conversions")
    }
    #expect((try #require(early["dfm"]) - truth).magnitude < 0.15, "seed \(seed)")
  }

  @Test func theWaitIsShorterThanTheWindow() throws {
    let problem = #expect(throws: (any Error).self) { try Scene("es_dfm", wait: "40m") }
    #expect("\(try #require(problem))".contains("not shorter than `conversion_window`"))
  }
}
