import Events
import Operators
import Streaming
import TestKit
import Testing

/// The tally topology by hand, event by event.
@Suite struct TopologyDriverTests {
  private func driver() throws -> TopologyDriver {
    try TopologyDriver(try Tallying.topology(), registry: OperatorRegistry.all)
  }

  private func impression(_ id: String, at time: Int64, price: String = "0.5") -> String {
    #"{"type":"impression","id":"\#(id)","time":\#(time),"account":"acme","campaign":"c","#
      + #""ad":"a","price":\#(price)}"#
  }

  @Test func totalsComeAtTheNextMultipleOfEvery() throws {
    let driver = try driver()
    try driver.send(impression("1", at: 30_000))
    try driver.send(impression("2", at: 31_000, price: "0.000001"))
    #expect(driver.outputs(of: "tallies").isEmpty)
    try driver.advance(to: EventTime(milliseconds: 59_999))
    #expect(driver.outputs(of: "tallies").isEmpty)
    try driver.advance(to: EventTime(milliseconds: 60_000))
    #expect(
      driver.outputs(of: "tallies") == [
        #"{"account":"acme","campaign":"c","ad":"a","time":60000,"source":{"clock":60000},"#
          + #""impressions":2,"clicks":0,"spend":0.500001,"auctions":0,"wins":0}"#
      ])
  }

  @Test func aRepeatedEventCountsOnceAndIsCounted() throws {
    let driver = try driver()
    try driver.send(impression("1", at: 30_000))
    try driver.send(impression("1", at: 30_000))
    try driver.finish()
    #expect(driver.outputs(of: "tallies").first?.contains(#""impressions":1,"#) == true)
    #expect(driver.counter("unique.duplicates") == 1)
  }

  @Test func aBadRecordGoesWholeToTheDeadLetters() throws {
    let driver = try driver()
    try driver.send(#"{"type":"click""#)
    #expect(
      driver.outputs(of: "dead_letters").first?.contains(
        #""reason":"malformed_json""#) == true)
    #expect(
      driver.outputs(of: "dead_letters").isEmpty, "outputs are those since the last call")
  }

  @Test func anEventAfterAQuietStretchFindsTimeWhereItBelongs() throws {
    let driver = try driver()
    try driver.send(impression("1", at: 30_000))
    try driver.send(impression("2", at: 7_230_000))
    #expect(driver.outputs(of: "tallies").first?.contains(#""source":{"clock":60000}"#) == true)
    #expect(driver.clock == EventTime(milliseconds: 7_230_000))
  }
}
