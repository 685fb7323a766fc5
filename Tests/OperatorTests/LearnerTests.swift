import Events
import Operators
import Streaming
import TestKit
import Testing

@Suite struct LearnerTests {
  /// A driver and events of one account.
  private struct Scene {
    let driver: TopologyDriver
    /// A full hour.
    let start: Int64 = 1_800_000_000_000

    init(_ settings: String = "") throws {
      driver = try Attributing.driver(Learning.topology(settings))
    }

    func send(_ type: String, _ id: String, at time: Int64, _ rest: String = "") throws {
      let place = type == "conversion" ? "" : #","campaign":"c","ad":"a""#
      let price = type == "impression" ? #","price":0.001"# : ""
      try driver.send(
        #"{"type":"\#(type)","id":"\#(id)","time":\#(start + time),"account":"acme"\#(place)"#
          + price + (rest.isEmpty ? "" : ",") + rest + "}")
    }

    func advance(_ time: Int64) throws {
      try driver.advance(to: EventTime(milliseconds: start + time))
    }

    func predictions() throws -> [[String: Any]] {
      try driver.outputs(of: "predictions").map { try Attributing.object($0) }
    }
  }

  private let second: Int64 = 1_000
  private let minute: Int64 = 60_000

  @Test func saysWhatItExpectsBeforeItLearns() throws {
    let scene = try Scene("prior: { ctr: 0.5, cvr: 0.5 }")
    try scene.send("impression", "i1", at: 0)
    try scene.send("impression", "i2", at: second)
    let said = try scene.predictions()
    #expect(said.count == 2)
    for prediction in said {
      #expect(prediction["model"] as? String == "ftrl")
      #expect(Estimating.number(prediction, "pctr") == 0.5)
      #expect(Estimating.number(prediction, "pctcvr") == 0.25)
      #expect(prediction["click"] == nil && prediction["conversion"] == nil)
    }
    // The window, what may be late, and the end of the slot of one second.
    try scene.advance(5 * minute + 5 * second)
    #expect(try scene.predictions().isEmpty)
    try scene.advance(5 * minute + 6 * second)
    var known = try scene.predictions()
    #expect(known.map { $0["id"] as? String } == ["i1"])
    try scene.advance(5 * minute + 7 * second)
    known += try scene.predictions()
    #expect(known.map { $0["id"] as? String } == ["i1", "i2"])
    #expect(known.allSatisfy { $0["click"] as? Bool == false })
    #expect(known.allSatisfy { Estimating.number($0, "pctr") == 0.5 })
    #expect(
      known.allSatisfy { $0["conversion"] != nil && Estimating.number($0, "conversion") == 0 })
    try scene.send("impression", "i3", at: 7 * minute)
    let later = try #require(try scene.predictions().last)
    #expect(Estimating.number(later, "pctr") < 0.4 && Estimating.number(later, "pcvr") == 0.5)
    #expect(Estimating.number(later, "version") == 4)
  }

  @Test func aClickIsItsImpressionsByNameOrByClickID() throws {
    let scene = try Scene()
    for i in 1...5 { try scene.send("impression", "i\(i)", at: 0, #""click_id":"k\#(i)""#) }
    try scene.send("click", "c1", at: second, #""impression":"i1""#)
    try scene.send("click", "c2", at: second, #""click_id":"k2""#)
    // A second click, one of nobody, and one that comes too late.
    try scene.send("click", "c3", at: 2 * second, #""impression":"i1""#)
    try scene.send("click", "c4", at: 2 * second)
    try scene.send("click", "c5", at: 5 * minute, #""impression":"i5""#)
    try scene.advance(7 * minute)
    let known = try scene.predictions().filter { $0["click"] != nil }
    let clicked = known.filter { $0["click"] as? Bool == true }.map { $0["id"] as? String }
    #expect(known.count == 5 && clicked == ["i1", "i2"])
    #expect(scene.driver.counter("learner.clicks") == 5)
    #expect(scene.driver.counter("learner.clicks_unmatched") == 3)
  }

  @Test func creditIsTheConversionsLabel() throws {
    let scene = try Scene()
    try scene.send("impression", "i1", at: 0, #""user":"u1""#)
    try scene.send("click", "c1", at: second, #""impression":"i1","user":"u1""#)
    try scene.send("impression", "i2", at: 0, #""user":"u2""#)
    try scene.send("click", "c2", at: second, #""impression":"i2","user":"u2""#)
    try scene.send("conversion", "v1", at: 20 * minute, #""user":"u1","value":12.5"#)
    // Behind the hour of the click, its window and what may be late.
    try scene.advance(100 * minute + 4 * second)
    let early = try scene.predictions().filter { $0["click"] != nil }
    #expect(early.count == 2 && early.allSatisfy { $0["conversion"] == nil })
    try scene.advance(100 * minute + 5 * second)
    let known = try scene.predictions()
    #expect(known.map { $0["id"] as? String } == ["i1", "i2"])
    #expect(known.map { Estimating.number($0, "conversion") } == [1, 0])
    #expect(scene.driver.counter("learner.credits") == 1)
    #expect(scene.driver.counter("learner.pctcvr.ftrl.labels") == 2)
    // The value is known since the conversion.
    try scene.send("impression", "i3", at: 101 * minute)
    let value = Estimating.number(try #require(try scene.predictions().last), "value")
    #expect(value > 12 && value < 25)
  }

  /// Two segments with other rates are told apart by a feature of any kind.
  @Test(arguments: [
    (#""features":{"os":"ios"}"#, #""features":{"os":"android"}"#, ""),
    (#""features":{"size":3}"#, #""features":{"size":-2}"#, ""),
    (#""features":{"new":true}"#, #""features":{"new":false}"#, ""),
    (#""features":{"size":300}"#, #""features":{"size":20}"#, "numeric: { features.size: bucket }"),
    (#""placement":"top""#, #""placement":"side""#, ""),
  ])
  func learnsFromFeatures(_ segments: (String, String, String)) throws {
    // To the probit model a feature is there or not.
    let isNumber = segments.1.contains("-2")
    for model in ["ftrl", "invariant", "bayes", "fm"] + (isNumber ? [] : ["ad_predictor"]) {
      let scene = try Scene(
        "prior: { ctr: 0.5, cvr: 0.5 }\n    champion: { main: { algorithm: \(model) } }"
          + (segments.2.isEmpty ? "" : "\n    " + segments.2))
      for i in 0..<600 {
        let isFirst = i % 2 == 0
        let time = Int64(i) * 100
        try scene.send("impression", "i\(i)", at: time, isFirst ? segments.0 : segments.1)
        if i % 20 < (isFirst ? 10 : 1), i % 2 == (isFirst ? 0 : 1) {
          try scene.send("click", "c\(i)", at: time + 10, #""impression":"i\#(i)""#)
        }
      }
      try scene.advance(10 * minute)
      _ = try scene.predictions()
      try scene.send("impression", "x1", at: 10 * minute, segments.0)
      try scene.send("impression", "x2", at: 10 * minute, segments.1)
      let rates = try scene.predictions().map { Estimating.number($0, "pctr") }
      #expect(rates.count == 2 && rates[0] > 0.3 && rates[1] < 0.2, "\(model): \(rates)")
    }
  }

  @Test func challengersPredictBeside() throws {
    let scene = try Scene(
      "champion: { a: {} }\n    challengers: { b: { algorithm: bayes }, c: { alpha: 0.5 } }")
    for i in 0..<50 { try scene.send("impression", "i\(i)", at: Int64(i) * second) }
    try scene.advance(10 * minute)
    _ = try scene.predictions()
    try scene.send("impression", "x", at: 11 * minute)
    let said = try scene.predictions()
    #expect(said.map { $0["model"] as? String } == ["a", "b", "c"])
    #expect(Set(said.map { Estimating.number($0, "pctr") }).count == 3)
  }

  @Test(arguments: [
    ("features: [bias, nonsense]", "nonsense"),
    ("features: []", "names 0 features"),
    ("features: [ad, ad]", "twice"),
    (#"features: ["ad*campaign*hour"]"#, "ad*campaign*hour"),
    (#"features: ["ad*features.*"]"#, "features.*"),
    ("numeric: { size: value }", "features.NAME"),
    ("champion: {}", "exactly one"),
    ("champion: { a: {}, b: {} }", "exactly one"),
    ("challengers: { ftrl: {} }", "which is the champion"),
    ("models: { every: 1h, whole: 90m }", "`whole` is 90m"),
    ("champion: { a: { algorithm: fm } }\n    models: { publish: true }", "`a` is `fm`"),
    (
      "challengers: { b: { algorithm: fm } }\n    models: { publish: true }",
      "`b` is `fm` and may be promoted"
    ),
  ])
  func settingsAreChecked(_ settings: (String, String)) throws {
    let problem = #expect(throws: (any Error).self) { try Scene(settings.0) }
    #expect("\(try #require(problem))".contains(settings.1))
  }

  /// What is never promoted need not be published.
  @Test func anyChallengerMayRunBesideWhatIsPublished() throws {
    let scene = try Scene(
      """
      challengers: { b: { algorithm: fm } }
          promotion: { enabled: false }
          models: { publish: true, every: 1s }
      """)
    try scene.send("impression", "i", at: 0)
    try scene.advance(10 * minute)
    let models = scene.driver.outputs(of: "models")
    #expect(models.count == 1 && models.allSatisfy { $0.contains(#""model":"ftrl""#) })
  }

  /// What counts for one account counts for no other.
  @Test func accountsAreStrangers() throws {
    let scene = try Scene()
    for i in 0..<100 { try scene.send("impression", "i\(i)", at: Int64(i)) }
    try scene.advance(10 * minute)
    _ = try scene.predictions()
    try scene.driver.send(
      #"{"type":"impression","id":"x","time":\#(scene.start + 11 * minute),"account":"other","#
        + #""campaign":"c","ad":"a","price":0.001}"#)
    #expect(Estimating.number(try #require(try scene.predictions().last), "pctr") == 0.005)
  }

  /// A report falls due with labels whose slot an account shares with another: it has them, whoever's
  /// impression opened the slot.
  @Test(arguments: [false, true])
  func whatFallsDueTogetherDoesNotDependOnOthers(_ hasNeighbour: Bool) throws {
    let scene = try Scene("evaluation: { report_every: 10m }")
    try scene.send("impression", "i1", at: 584 * second)
    if hasNeighbour {
      try scene.driver.send(
        #"{"type":"impression","id":"n","time":\#(scene.start + 894_500),"account":"other","#
          + #""campaign":"c","ad":"a","price":0.001}"#)
    }
    // The label of i1 becomes known, and a report is due at 1200 s.
    try scene.driver.send(#"{"type":"heartbeat","time":\#(scene.start + 895_000)}"#)
    // A little late; its label becomes known at 1200 s.
    try scene.send("impression", "i2", at: 894_900)
    try scene.advance(1_200 * second)
    let scores = try scene.driver.outputs(of: "scores").map { try Attributing.object($0) }
    let own = try #require(
      scores.first {
        $0["account"] as? String == "acme" && $0["campaign"] == nil
          && $0["head"] as? String == "pctr"
      })
    #expect(Estimating.number(own["all"] as? [String: Any] ?? own, "labels") == 2)
  }
}
