import Events
import Foundation
import Operators
import Streaming
import TestKit
import Testing

@Suite struct IdentityTests {
  private static let start: Int64 = 1_800_000_000_000
  private static let open = "supernode: { devices: 1000, users: 1000 }"

  /// A partition, and events that need no more than what they are about.
  private final class People {
    let driver: TopologyDriver
    private var count = 0

    init(_ people: String = IdentityTests.open, key: String = "a secret") throws {
      driver = try Attributing.driver(Attributing.topology(people: people, key: key))
    }

    /// Sends an impression (or another event); returns the person and the method.
    @discardableResult
    func see(
      _ user: String? = nil, _ device: String? = nil, _ clickID: String? = nil,
      account: String = "acme", after seconds: Int64? = nil, type: String = "impression",
      consent: Bool = true
    ) throws -> (person: String, method: String?) {
      count += 1
      let event = TestEvent(
        type: type, id: "e\(count)",
        time: IdentityTests.start + (seconds.map { $0 * 1_000 } ?? Int64(count)),
        account: account, user: user, device: device, clickID: clickID, consent: consent)
      try driver.send(event.json)
      let record = try driver.outputs(of: "interactions").last.map { try Attributing.object($0) }
      return (record?["person"] as? String ?? "", record?["method"] as? String)
    }
  }

  @Test func theFirstKnownIdentifierDecides() throws {
    let people = try People()
    let anna = try people.see("anna", "phone", "k1")
    #expect(anna.method == "click_id")
    #expect(try people.see("anna").person == anna.person)
    #expect(try people.see("anna").method == "user")
    let byDevice = try people.see(nil, "phone")
    #expect(byDevice.person == anna.person && byDevice.method == "device")
    let known = try people.see("anna", nil, "new")
    #expect(known.person == anna.person && known.method == "user")
    #expect(try people.see(nil, nil, "new").person == anna.person)
    #expect(try people.see("bert").person != anna.person)
  }

  @Test func accountsAreApart() throws {
    let people = try People()
    #expect(try people.see("anna").person != people.see("anna", account: "other").person)
    // A user, a device and a click id of the same name are three identifiers.
    let names = try [
      people.see("x").person, people.see(nil, "x").person, people.see(nil, nil, "x").person,
    ]
    #expect(Set(names).count == 3)
  }

  @Test func withoutConsentOrIdentifiersEveryEventIsSomebodyElse() throws {
    let people = try People()
    let anna = try people.see("anna").person
    let strangers = try [
      people.see("anna", consent: false), people.see("anna", consent: false), people.see(),
    ]
    #expect(Set(strangers.map(\.person) + [anna]).count == 4)
    #expect(strangers.allSatisfy { $0.method == nil })
    #expect(people.driver.counter("people.strangers") == 3)
    try people.see("anna", "tablet", consent: false)
    #expect(try people.see(nil, "tablet").person != anna)
  }

  @Test func aDeviceSpeaksForItsOwnerForAWhile() throws {
    let people = try People("device_ttl: 5m, ttl: 30m")
    let anna = try people.see("anna", "phone", after: 0).person
    #expect(try people.see(nil, "phone", after: 300).person == anna)
    #expect(try people.see(nil, "phone", after: 600).person == anna, "seen in between")
    let stranger = try people.see(nil, "phone", after: 901).person
    #expect(stranger != anna)
    #expect(try people.see("anna", after: 902).person == anna)
    // The device now belongs to the stranger, who turns out to be Bert.
    let bert = try people.see("bert", "phone", after: 903).person
    #expect(try people.see(nil, "phone", after: 904).person == bert)
  }

  @Test func identifiersAreForgotten() throws {
    let people = try People("device_ttl: 5m, ttl: 10m")
    let anna = try people.see("anna", nil, "k", after: 0).person
    #expect(try people.see("anna", after: 599).person == anna)
    try people.see("zoe", after: 600)
    #expect(try people.see(nil, nil, "k", after: 601).person != anna)
    #expect(try people.see("anna", after: 1_198).person == anna)
    #expect(try people.see("anna", after: 1_799).person != anna)
  }

  @Test func aPersonIsErased() throws {
    for erased in ["anna", nil] {
      let people = try People()
      let anna = try people.see("anna", "phone", "k", type: "click").person
      let bert = try people.see("bert", "laptop").person
      try people.see(erased, erased == nil ? "phone" : nil, type: "erasure")
      // Nothing is left to credit.
      #expect(try people.see(nil, nil, "k", type: "conversion").person != anna)
      let credits = people.driver.outputs(of: "attributions")
      #expect(credits.count == 1 && credits[0].contains(#""touch":null"#))
      #expect(try people.see("anna").person != anna)
      #expect(try people.see(nil, "phone").person != anna)
      #expect(try people.see("bert").person == bert)
    }
  }

  @Test func aSupernodeIsFrozenAndReportedOnce() throws {
    let people = try People("supernode: { devices: 3, users: 5 }")
    let other = try people.see("other", "tv").person
    var shared = ""
    for i in 0..<8 { shared = try people.see("shared", "d\(i)").person }
    let alerts = people.driver.outputs(of: "alerts")
    #expect(alerts.count == 1)
    #expect(
      alerts[0].contains(#""kind":"identity_supernode""#)
        && alerts[0].contains(#""observed":4.0,"expected":3.0"#))
    // Frozen: no merge, no further device; click ids still find it.
    #expect(try people.see("shared", "tv").person == shared)
    #expect(try people.see(nil, "tv").person == other)
    #expect(try people.see(nil, "d7").person != shared)
    try people.see("shared", nil, "k")
    #expect(try people.see(nil, nil, "k").person == shared)
    #expect(people.driver.counter("people.refused_merges") == 1)
    #expect(people.driver.outputs(of: "alerts").isEmpty)
  }

  /// Persons are the connected components of what was seen together.
  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func personsAreComponents(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let count = 10 + Int(random.next() % 40)
    let people = try People()
    var component = Array(0..<(2 * count))
    func join(_ a: Int, _ b: Int) {
      let (old, new) = (component[b], component[a])
      for i in component.indices where component[i] == old { component[i] = new }
    }
    for _ in 0..<(count / 2 + Int(random.next() % 20)) {
      let user = Int(random.next() % UInt64(count))
      let device = Int(random.next() % UInt64(count))
      try people.see("\(user)", "\(device)")
      join(user, count + device)
    }
    var names: [Int: String] = [:]
    for i in component.indices {
      let name = String(i % count)
      let person = try i < count ? people.see(name).person : people.see(nil, name).person
      if let known = names[component[i]] {
        #expect(known == person, "seed \(seed)")
      } else {
        #expect(!names.values.contains(person), "seed \(seed)")
        names[component[i]] = person
      }
    }
  }

  /// 30 edges over 50 vertices, as a public library's connected components have them: 22, of sizes
  /// 9, 9, 4, 3, 3 and less.
  @Test func componentsOfTheOracle() throws {
    var random = SplitMix64(seed: 8)
    let people = try People()
    var edges: [(Int, Int)] = []
    for _ in 0..<30 {
      edges.append((Int(random.nextUnit() * 50), Int(random.nextUnit() * 50)))
    }
    #expect(edges[1] == (34, 26) && edges[4] == (4, 21))
    // An edge's ends are the user of one event and the click id of another that name one device.
    for (i, (a, b)) in edges.enumerated() {
      try people.see("\(a)", "edge\(i)")
      try people.see("\(b)", "edge\(i)")
    }
    var sizes: [String: Int] = [:]
    for vertex in 0..<50 { sizes[try people.see("\(vertex)").person, default: 0] += 1 }
    #expect(sizes.count == 22)
    #expect(sizes.values.sorted(by: >).prefix(5) == [9, 9, 4, 3, 3])
  }

  @Test func theKeyDecidesHashesAndIsNeverShown() throws {
    let (one, other) = (
      try Attributing.topology(key: "hunter2"), try Attributing.topology(key: "x")
    )
    #expect(one.hash != other.hash)
    #expect(one.hash == (try Attributing.topology(key: "hunter2").hash))
    for text in [
      one.canonicalText, one.describe(), "\(one.topology)", String(reflecting: one),
      one.settingsReference,
    ] {
      #expect(!text.contains("hunter2"))
    }
    #expect(one.describe().contains("key: ***"))
    let first = try People(key: "hunter2").see("anna").person
    #expect(try first == People(key: "hunter2").see("anna").person)
    #expect(try first != People(key: "x").see("anna").person)
  }

  @Test func settingsMustFit() throws {
    for (people, journeys, credits, message) in [
      ("device_ttl: 5m, ttl: 4m", "", "views: always", "`ttl` is at least `device_ttl`"),
      ("", "", "position: [0.5, 0.5]", "three shares that sum to 1"),
      ("", "", "position: [0.5, 0.5, 0.5]", "three shares that sum to 1"),
    ] {
      let topology = try Attributing.topology(people: people, journeys: journeys, credits: credits)
      #expect {
        _ = try Attributing.driver(topology)
      } throws: { "\($0)".contains(message) }
    }
  }
}
