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

  @Test func escapesAreRead() throws {
    let record = Self.record(1, after: 0).replacing("acme", with: #"a\u00e9\ud83d\ude00\n\"b\\"#)
    #expect(try ModelUpdate(json: record).account == "aé😀\n\"b\\")
  }
}
