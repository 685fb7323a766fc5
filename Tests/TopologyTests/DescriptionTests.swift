import Events
import Foundation
import Operators
import Streaming
import Testing

/// Descriptions as committed in `Goldens`; `UPDATE_GOLDENS=1` writes them anew.
@Suite struct DescriptionTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
    path: "Goldens")

  private func expect(_ text: String, golden name: String) throws {
    let file = Self.folder.appending(path: name)
    if ProcessInfo.processInfo.environment["UPDATE_GOLDENS"] == "1" {
      try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let golden = try String(contentsOf: file, encoding: .utf8)
    #expect(text == golden, "Goldens/\(name) differs; UPDATE_GOLDENS=1 writes it anew")
  }

  private func tally() throws -> CheckedTopology {
    try CheckedTopology.load(path: LoadTests.root + "/Topologies/tally.yaml", registry: registry)
  }

  @Test(arguments: CheckedTopology.DescriptionForm.allCases)
  func tallyIsDescribed(_ form: CheckedTopology.DescriptionForm) throws {
    try expect(tally().describe(form), golden: "tally.\(form)")
  }

  /// The shipped topology with the shipped operators.
  private func attribution(key: String = "") throws -> CheckedTopology {
    try CheckedTopology.load(
      path: LoadTests.root + "/Topologies/attribution.yaml",
      environment: ["IDENTITY_KEY": key], registry: OperatorRegistry.all.map(\.description))
  }

  @Test(arguments: CheckedTopology.DescriptionForm.allCases)
  func attributionIsDescribed(_ form: CheckedTopology.DescriptionForm) throws {
    try expect(attribution().describe(form), golden: "attribution.\(form)")
  }

  private func shipped(_ name: String) throws -> CheckedTopology {
    try CheckedTopology.load(
      path: LoadTests.root + "/Topologies/\(name).yaml",
      registry: OperatorRegistry.all.map(\.description))
  }

  @Test(
    arguments: ["rekey", "pacing", "learning", "scoring", "live-lean", "federate"],
    CheckedTopology.DescriptionForm.allCases)
  func shippedTopologiesAreDescribed(
    _ name: String, _ form: CheckedTopology.DescriptionForm
  ) throws {
    try expect(shipped(name).describe(form), golden: "\(name).\(form)")
  }

  @Test(arguments: CheckedTopology.DescriptionForm.allCases)
  func theLoopIsDescribed(_ form: CheckedTopology.DescriptionForm) throws {
    try expect(shipped("live").describe(form), golden: "loop.\(form)")
  }

  /// On Kafka the same happens: the two files differ in where events come from and results go.
  @Test func theLoopOnKafkaIsTheSameLoop() throws {
    let kafka = try CheckedTopology.load(
      path: LoadTests.root + "/Topologies/live-kafka.yaml",
      registry: OperatorRegistry.all.map(\.description))
    #expect(try kafka.canonicalText == shipped("live").canonicalText)
    #expect(kafka.check(for: .run) == [])
    #expect(kafka.warnings == [])
  }

  /// Another release of the time zones moves days and begins another epoch.
  @Test func compiledInDataChangesTheHash() throws {
    #expect(try shipped("pacing").canonicalText.contains(#"  data "tz 20"#))
    func hash(_ data: [String]) throws -> UInt64 {
      let descriptions = OperatorRegistry.all.map {
        var description = $0.description
        if description.name == "pacing" { description.data = data }
        return description
      }
      return try CheckedTopology.load(
        path: LoadTests.root + "/Topologies/pacing.yaml", registry: descriptions
      ).hash
    }
    let hashes = try [hash([]), hash(["tz 2026a"]), hash(["tz 2026b"])]
    #expect(Set(hashes).count == 3)
    #expect(try !tally().canonicalText.contains("  data "))
  }

  @Test func secretSettingsChangeTheHashAndAreNotShown() throws {
    let (open, keyed) = (try attribution(), try attribution(key: "hunter2"))
    #expect(open.hash != keyed.hash)
    #expect(keyed.canonicalText.contains(#"setting "key" secret "#))
    for printed in [
      keyed.canonicalText, keyed.describe(), String(reflecting: keyed), keyed.settingsReference,
    ] {
      #expect(!printed.contains("hunter2"))
    }
    #expect(keyed.describe().contains("key: ***"))
  }

  @Test(arguments: CheckedTopology.DescriptionForm.allCases)
  func liveIsDescribed(_ form: CheckedTopology.DescriptionForm) throws {
    try expect(parse(liveFile).describe(form), golden: "live.\(form)")
  }

  @Test func settingsAreDescribed() throws {
    try expect(tally().settingsReference, golden: "tally.settings")
    try expect(attribution().settingsReference, golden: "attribution.settings")
    try expect(shipped("pacing").settingsReference, golden: "pacing.settings")
    try expect(shipped("learning").settingsReference, golden: "learning.settings")
    try expect(shipped("live").settingsReference, golden: "loop.settings")
    try expect(shipped("federate").settingsReference, golden: "federate.settings")
    try expect(SettingsReference.text(for: registry), golden: "all.settings")
  }

  @Test func secretsAreNeverPrinted() throws {
    let text = baseFile.replacing(
      "log: { directory: data }",
      with: """
        kafka:
              brokers: a
              topics: [x]
              properties:
                sasl.password: ${PASSWORD}
                ssl.key.pem: hunter2
                sasl.oauthbearer.client.SECRET: hunter2
                some.token: hunter2
                linger.ms: 5
        """
    ).replacing("log: { topic: tallies }", with: "kafka: {}")
    let checked = try parse(text, environment: ["PASSWORD": "hunter2"])
    guard case .kafka(let kafka) = checked.topology.sources[0].transport else {
      Issue.record("not a Kafka source")
      return
    }
    #expect(kafka.properties.filter { $0.value == "hunter2" }.count == 4)
    let description = checked.describe()
    #expect(description.contains("sasl.password=***"))
    #expect(description.contains("linger.ms=5"))
    for printed in CheckedTopology.DescriptionForm.allCases.map({ checked.describe($0) })
      + [checked.canonicalText, "\(checked.topology)", String(reflecting: checked.topology)]
    {
      #expect(!printed.contains("hunter2"))
    }
  }

  @Test func settingsAreWrittenAsFilesWriteThem() {
    let value = SettingValue.mapping([
      ("a", .list([.duration(.minutes(90)), .integer(-1), .number(2), .number(0.5)])),
      ("b c", .text("x: y")), ("c", .mapping([])), ("d", .boolean(true)),
    ])
    #expect(value.text == #"{ a: [90m, -1, 2, 0.5], "b c": "x: y", c: {}, d: true }"#)
  }
}
