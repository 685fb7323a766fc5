import Events
import Operators
import Simulation
import TestKit
import Testing

@testable import Streaming

/// What people and their touches cost in memory, in rows and text (index slots aside).
@Suite struct MemoryTests {
  private func regions(_ records: [[UInt8]]) throws -> [String: Int] {
    let broker = SimulatedBroker(inputs: [LogInput(source: "", topic: "events")])
    for record in records { broker.append(record) }
    let topology = try Attributing.topology(
      people: "device_ttl: 30d, ttl: 90d, supernode: { devices: 1000, users: 1000 }",
      journeys: "max_touches: 1024", credits: "views: always")
    let runner = try PartitionRunner(
      topology: topology, registry: OperatorRegistry.all, log: broker.open(), snapshots: nil,
      commitQueue: ImmediateQueue(), snapshotQueue: ImmediateQueue(),
      options: RunnerOptions(mode: .replay))
    try runner.start(now: 0)
    while try runner.step(now: 0) != .end {}
    while try !runner.drain(now: 0, snapshot: false) {}
    return Dictionary(
      uniqueKeysWithValues: runner.core.store.entries.map {
        ("\($0.section).\($0.name)", $0.region.pointee.count * $0.region.pointee.stride)
      })
  }

  @Test(arguments: [1, 2, 3, 5, 9, 33, 129])
  func aTouchTakesAtMost64Bytes(touchesPerPerson: Int) throws {
    let persons = 200
    var records: [[UInt8]] = []
    for i in 0..<(persons * touchesPerPerson) {
      let event = TestEvent(
        id: "0123456789abcdef\(i)", time: 1_800_000_000_000 + Int64(i), user: "u\(i % persons)")
      records.append(event.json)
    }
    let bytes = try regions(records)
    let touches = Double(records.count)
    let perTouch =
      Double((bytes["journeys.touches"] ?? 0) + (bytes["journeys.touches.marks"] ?? 0)) / touches
    let perID = Double(bytes["journeys.touches.ids"] ?? 0) / touches
    print("\(touchesPerPerson) touches a person: \(perTouch) bytes each, \(perID) of id")
    #expect(perTouch >= 24 && perTouch <= 64)
    #expect(perID == 24)
    #expect((bytes["people.identifiers"] ?? 0) / persons == 64)
    #expect((bytes["people.persons"] ?? 0) / persons == 32)
    #expect((bytes["journeys.journeys"] ?? 0) / persons == 40)
  }

  @Test func aSkewedPopulationTakesLess() throws {
    let records = Attributing.history(8_000, seed: 3, duration: .hours(20), accounts: 2) {
      $0.usersPerAccount = 400
      $0.badPerMillion = 0
      $0.duplicatesPerMillion = 0
    }
    let bytes = try regions(records)
    let touches = records.count {
      let text = String(decoding: $0.prefix(24), as: UTF8.self)
      return text.contains("impression") || text.contains("click")
    }
    let perTouch = Double(bytes["journeys.touches"] ?? 0) / Double(touches)
    print("\(touches) touches of a skewed population: \(perTouch) bytes each")
    #expect(perTouch <= 40)
  }
}
