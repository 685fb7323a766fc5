import Events
import Operators
import Streaming
import TestKit
import Testing

/// Cases at the edges of the windows, each by hand.
@Suite struct DeduplicateTests {
  private func driver(within: String, time: String = "{}") throws -> PartitionDriver {
    try PartitionDriver(
      CheckedTopology.parse(
        text: """
          topology: unique
          time: \(time)
          sources:
            events: { log: { directory: data, topics: [events] } }
          operators:
            unique: { operator: deduplicate, from: events, within: \(within) }
          sinks:
            accepted: { from: unique, log: { topic: accepted } }
          """,
        file: "unique.yaml", registry: OperatorRegistry.all.map(\.description)),
      registry: OperatorRegistry.all)
  }

  private func click(_ id: String, at time: Int64) -> String {
    #"{"type":"click","id":"\#(id)","time":\#(time),"account":"a","campaign":"c","ad":"d"}"#
  }

  private func conversion(_ id: String, order: String, at time: Int64) -> String {
    #"{"type":"conversion","id":"\#(id)","time":\#(time),"account":"a","order":"\#(order)"}"#
  }

  @Test func aLateEventHidesNoEarlierOneFromItsDuplicates() throws {
    let driver = try driver(within: "1m")
    // The second is another event of that id, ten minutes before; the third repeats the first.
    try driver.send(
      click("x", at: 10_000_000), click("x", at: 9_400_000), click("x", at: 10_000_500))
    #expect(driver.counter("unique.duplicates") == 1)
  }

  @Test func whatIsDroppedLeavesNoTrace() throws {
    let driver = try driver(within: "{ default: 1h, order: 1h }")
    // The second is dropped for its order, so its id is still free.
    try driver.send(
      conversion("1", order: "o", at: 1_000_000), conversion("2", order: "o", at: 1_001_000),
      conversion("2", order: "p", at: 1_002_000), conversion("3", order: "p", at: 1_003_000),
      conversion("3", order: "q", at: 1_004_000))
    #expect(driver.count(ofSink: "accepted") == 3)
  }

  @Test func aLongTickDoesNotOutrunAShortWindow() throws {
    // Within 3 s and half a generation of 8 s; the clock jumps by 10 s.
    let driver = try driver(within: "3s", time: "{ tick: 10s, out_of_orderness: 5s }")
    for round in 0..<50 as Range<Int64> {
      let edge = 1_000_000 + round * 10_000
      try driver.send(click("x\(round)", at: edge - 1), click("x\(round)", at: edge + 1_000))
    }
    #expect(driver.counter("unique.duplicates") == 50)
  }

  @Test func theWindowsEdgesBelongToIt() throws {
    for distance in [59_999, 60_000, 60_001] as [Int64] {
      let driver = try driver(within: "1m")
      try driver.send(click("x", at: 1_000_000), click("x", at: 1_000_000 + distance))
      #expect(driver.counter("unique.duplicates") == (distance <= 60_000 ? 1 : 0))
    }
  }
}
