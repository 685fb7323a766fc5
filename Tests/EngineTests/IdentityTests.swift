import Events
import Operators
import Streaming
import TestKit
import Testing

/// The same history gives the same bytes, whatever else is different.
@Suite struct IdentityTests {
  private let replaying: Replaying

  init() throws {
    replaying = Replaying(topology: try Tallying.topology(), registry: OperatorRegistry.all)
  }

  @Test func aReplayCountsEveryRecord() throws {
    let records = History.records(3_000, seed: 5)
    let outcome = try replaying.run(records, publishAtEnd: true)
    #expect(outcome.records == 3_000)
    #expect(outcome.outputs.count > 100)
  }

  @Test func twiceIsTheSame() throws {
    let records = History.records(3_000, seed: 5)
    #expect(try replaying.run(records) == replaying.run(records))
  }

  @Test(arguments: [1, 7, 256, 257, 4096])
  func batchesDoNotMatter(fetchLimit: Int) throws {
    let records = History.records(3_000, seed: 6)
    let whole = try replaying.run(records, fetchLimit: 4096)
    #expect(try replaying.run(records, fetchLimit: fetchLimit) == whole)
  }

  @Test(arguments: [1, 13, 1000])
  func commitsDoNotMatter(commitEvents: Int) throws {
    let records = History.records(2_000, seed: 7)
    let whole = try replaying.run(records)
    #expect(try replaying.run(records, commitEvents: commitEvents) == whole)
  }

  @Test func anotherHistoryIsAnother() throws {
    let one = try replaying.run(History.records(500, seed: 8))
    let other = try replaying.run(History.records(500, seed: 9))
    #expect(one.digest != other.digest)
  }
}
