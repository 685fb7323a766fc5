import Events
import Foundation
import Scoring
import Testing

@Suite struct ModelUpdateTests {
  private static let hashing =
    #""hashing":{"function":"murmur3_x86_32","bits":22,"features":["bias","ad"],"numeric":{}}"#
  private static let base =
    #""base":{"click":"c015293ab0cb0f1b","conversion":"c00f22a0a2b4c1d1"}"#

  /// A record; the weights are those of no feature.
  private static func record(
    _ seq: Int, after: Int, _ chunk: String = "1,\"chunks\":1", version: Int = 1,
    begins: Bool = false, ends: Bool = false
  ) -> String {
    #"{"account":"acme","model":"m","version":\#(version),"seq":\#(seq),"after":\#(after),"#
      + #""chunk":\#(chunk),"# + (begins ? "\"begins\":true,\(hashing)," : "") + base
      + (ends ? ",\"ends\":true" : "") + #","weights":""}"#
  }

  @Test func saysWhatItKnows() throws {
    let model = ScoringModel()
    #expect(model.state == .waiting)
    try model.apply(ModelUpdate(json: Self.record(7, after: 6)))
    #expect(model.state == .waiting)
    try model.apply(ModelUpdate(json: Self.record(8, after: 7, begins: true)))
    #expect(model.state == .collecting && model.score(ImpressionFeatures()) == nil)
    try model.apply(ModelUpdate(json: Self.record(9, after: 8, version: 5, ends: true)))
    #expect(model.state == .ready(version: 5) && model.account == "acme" && model.name == "m")
    let score = try #require(model.score(ImpressionFeatures()))
    #expect(score.click > 0.004 && score.click < 0.006 && score.valueMicros == 0)
    // Two chunks count together or not at all.
    try model.apply(
      ModelUpdate(json: Self.record(10, after: 9, "1,\"chunks\":2", version: 6)))
    #expect(model.state == .ready(version: 5))
    try model.apply(ModelUpdate(json: Self.record(11, after: 10, "2,\"chunks\":2", version: 6)))
    #expect(model.state == .ready(version: 6))
    try model.apply(ModelUpdate(json: Self.record(13, after: 12, version: 8)))
    #expect(model.state == .gap(expected: 11, found: 12))
    #expect(model.score(ImpressionFeatures()) == nil)
    try model.apply(
      ModelUpdate(json: Self.record(14, after: 13, version: 9, begins: true, ends: true)))
    #expect(model.state == .ready(version: 9))
    // The learner's state was made anew.
    try model.apply(
      ModelUpdate(json: Self.record(30, after: 0, version: 2, begins: true)))
    #expect(model.state == .collecting && model.count == 0)
    try model.apply(ModelUpdate(json: Self.record(31, after: 30, version: 3, ends: true)))
    #expect(model.state == .ready(version: 3))
    // What is older than that was read before.
    try model.apply(ModelUpdate(json: Self.record(1, after: 0, version: 1, begins: true)))
    #expect(model.state == .ready(version: 3))
  }

  @Test(arguments: [
    ("", "byte 0"), ("[]", "`{`"), ("{}", "no record"), ("{\"seq\":1", "`}`"),
    (record(1, after: 1), "seq 1 after 1"),
    (record(1, after: 0).replacing("\"weights\":\"\"", with: "\"weights\":\"AAAA\""), "28"),
    (record(1, after: 0).replacing("\"weights\":\"\"", with: "\"weights\":\"A?AA\""), "base64"),
    (record(1, after: 0).replacing("c015293ab0cb0f1b", with: "7ff0000000000000"), "finite"),
    (record(1, after: 0).replacing("c015293ab0cb0f1b", with: "x"), "hexadecimal"),
    (record(1, after: 0, begins: true).replacing("murmur3_x86_32", with: "md5"), "md5"),
    (record(1, after: 0) + "x", "the end"),
    (
      record(1, after: 0).replacing("\"weights\"", with: "\"calibration\":\"new\",\"weights\""),
      "`new`"
    ),
    (
      record(1, after: 0).replacing(
        "\"weights\"", with: "\"rates\":{\"click\":\"cauchit\"},\"weights\""), "`cauchit`"
    ),
    (String(repeating: "{\"a\":", count: 100), "32 levels"),
    ("{\"a\":\"\\u12\"}", "hexadecimal"), ("{\"a\":\"b", "closing quote"),
  ])
  func refusesWhatIsNoRecord(_ text: String, _ reason: String) {
    let problem = #expect(throws: ModelProblem.self) { try ModelUpdate(json: text) }
    #expect(problem?.description.contains(reason) == true, "\(problem?.description ?? "")")
  }

  @Test(arguments: ["newer", "ad*features.*", "features.", "a*b*c"])
  func refusesFeaturesItDoesNotKnow(_ name: String) throws {
    let model = ScoringModel()
    let record = Self.record(1, after: 0, begins: true, ends: true)
      .replacing("\"bias\"", with: "\"\(name)\"")
    #expect(throws: ModelProblem.self) { try model.apply(ModelUpdate(json: record)) }
    #expect(model.state == .waiting)
  }

  /// A record of a form of its own that begins a sweep and ends it.
  private static func formed(
    _ seq: Int, after: Int, _ calibration: String, maps: [UInt8] = [], weights: [UInt8] = [],
    rates: String = "logistic"
  ) -> String {
    record(seq, after: after, version: seq, begins: true, ends: true)
      .replacing(#""base":{"#, with: #""base":{"noise":"3ff0000000000000","#)
      .replacing(
        #""weights":"""#,
        with: #""calibration":"\#(calibration)","rates":{"click":"\#(rates)"},"#
          + #""maps":"\#(Data(maps).base64EncodedString())","#
          + #""weights":"\#(Data(weights).base64EncodedString())""#)
  }

  private static func bytes(_ head: UInt32, _ corners: UInt32, _ numbers: [Double]) -> [UInt8] {
    func bytes(_ word: UInt64) -> [UInt8] {
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
    return bytes(UInt64(corners) << 32 | UInt64(head))
      + numbers.flatMap { bytes($0.bitPattern) }
  }

  /// What shows only with a publication's last chunk makes a model wait for the next sweep.
  @Test(
    arguments: [
      ("none", bytes(0, 0, [1, 1, 0]), [], "nothing is calibrated"),
      ("platt", bytes(7, 7, [1, 0, 1]), [], "40"),
      ("platt", bytes(7, 7, [1, 0, .infinity, 0]), [], "finite"),
      ("beta", bytes(2, 0, [1, 1, 0]), [], "head 2"),
      ("beta", bytes(0, 0, [1, 1]), [], "the end"),
      ("beta", bytes(0, 0, [1, 1, .nan]), [], "finite"),
      ("beta", [1, 2, 3], [], "the end"),
      ("isotonic", bytes(1, 2, [0.1, 0.2, 0.1, 0.3]), [], "rise"),
      ("isotonic", bytes(1, 999, []), [], "999 corners"),
      ("isotonic", bytes(1, 2, [0.1, 0.2]), [], "the end"),
      ("none", [], [UInt8](repeating: 0, count: 44), "28"),
    ] as [(String, [UInt8], [UInt8], String)])
  func refusesMapsThatAreNone(
    _ calibration: String, _ maps: [UInt8], _ weights: [UInt8], _ reason: String
  ) throws {
    let model = ScoringModel()
    try model.apply(ModelUpdate(json: Self.formed(1, after: 0, "none")))
    let update = try ModelUpdate(
      json: Self.formed(2, after: 1, calibration, maps: maps, weights: weights))
    let problem = #expect(throws: ModelProblem.self) { try model.apply(update) }
    #expect(problem?.description.contains(reason) == true, "\(problem?.description ?? "")")
    #expect(model.state == .waiting && model.score(ImpressionFeatures()) == nil)
    try model.apply(ModelUpdate(json: Self.formed(3, after: 2, "beta")))
    #expect(model.state == .ready(version: 3))
  }

  /// Records that were damaged on their way make an error or another model, never a crash or a score
  /// that is no number.
  @Test(arguments: ["logistic", "bayes", "probit"])
  func damagedRecordsDoNoHarm(_ rates: String) {
    var random = SplitMix64(seed: 71)
    let kinds = ["none", "platt", "isotonic", "beta", "temperature"]
    var impression = ImpressionFeatures()
    for i in 0..<64 { impression.add(FeatureName("f\(i)"), number: Double(i) * 1e5 - 1e6) }
    var (scores, problems) = (0, 0)
    for round in 0..<3_000 {
      let kind = kinds[round % kinds.count]
      let numbers = (0..<8).map { _ in Double(Int64(bitPattern: random.next())) * 1e-18 }
      let maps: [UInt8] =
        switch kind {
        case "none": []
        case "platt": Self.bytes(1, 2, Array(numbers[..<4]))
        default: Self.bytes(0, 0, Array(numbers[..<3])) + Self.bytes(1, 0, Array(numbers[3..<6]))
        }
      let size = rates == "logistic" ? 28 : 44
      var weights = [UInt8](repeating: 1, count: 2 * size)
      for i in weights.indices where random.next() % 8 == 0 {
        weights[i] = UInt8(truncatingIfNeeded: random.next())
      }
      var text = Array(
        Self.formed(1, after: 0, kind, maps: maps, weights: weights, rates: rates).utf8)
      for _ in 0..<random.next() % 4 {
        text[Int(random.next() % UInt64(text.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      let model = ScoringModel()
      do {
        try model.apply(try ModelUpdate(json: String(decoding: text, as: UTF8.self)))
        guard let score = model.score(impression) else { continue }
        scores += 1
        let isSane =
          score.click > 0 && score.click < 1 && score.conversion > 0 && score.conversion < 1
          && score.valueMicros.isFinite
        #expect(isSane, "seed 71, round \(round): \(score)")
      } catch { problems += 1 }
    }
    print("\(scores) scores, \(problems) problems")
    #expect(scores > 300 && problems > 300)
  }

  /// A model goes on until everything of the next one is there.
  @Test func anotherChampionTakesOverAsAWhole() throws {
    let model = ScoringModel()
    let weight = [7, 0, 0, 0] + [UInt8](repeating: 0, count: 24)
    try model.apply(ModelUpdate(json: Self.formed(1, after: 0, "none", weights: weight)))
    let before = model.score(ImpressionFeatures())
    #expect(model.count == 1 && before != nil)
    let next = Self.formed(2, after: 1, "beta", maps: Self.bytes(0, 0, [2, 2, 0]))
      .replacing(#""model":"m""#, with: #""model":"n""#)
    let cut = next.replacing(#""chunks":1"#, with: #""chunks":2"#)
      .replacing(#","ends":true"#, with: "")
    try model.apply(ModelUpdate(json: cut))
    #expect(model.state == .ready(version: 1) && model.name == "m")
    #expect(model.score(ImpressionFeatures()) == before && model.count == 1)
    let last = #"{"account":"acme","model":"n","version":2,"seq":3,"after":2,"chunk":2,"chunks":2,"#
    try model.apply(ModelUpdate(json: last + #""ends":true,"weights":""}"#))
    #expect(model.state == .ready(version: 2) && model.name == "n" && model.count == 0)
    let score = try #require(model.score(ImpressionFeatures()))
    // Twice the log-odds of clicks; conversions have no map.
    #expect(score.click < 1e-4 && score.conversion == before?.conversion)
    // The first part of a sweep of another one, without the rest, is no model.
    let part = Self.formed(4, after: 3, "none").replacing(#","ends":true"#, with: "")
    try model.apply(ModelUpdate(json: part))
    #expect(model.state == .collecting && model.score(ImpressionFeatures()) == nil)
  }

  @Test func escapesAreRead() throws {
    let record = Self.record(1, after: 0).replacing("acme", with: #"a\u00e9\ud83d\ude00\n\"b\\"#)
    #expect(try ModelUpdate(json: record).account == "aé😀\n\"b\\")
  }
}
