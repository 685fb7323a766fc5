import Streaming
import Testing

@Suite struct RetentionHeadroomTests {
  private func headroom(_ first: Int64, _ needed: Int64, _ current: Int64) -> RetentionHeadroom {
    RetentionHeadroom(
      topic: "events", partition: 0, firstOffset: first, neededOffset: needed,
      currentOffset: current)
  }

  @Test func isSmallNearTheFirstOffset() {
    // Nothing was ever removed: nothing presses.
    #expect(!headroom(0, 0, 1_000).isSmall)
    #expect(!headroom(0, 5, 1_000).isSmall)
    #expect(headroom(100, 150, 1_100).isSmall)
    #expect(!headroom(100, 200, 1_100).isSmall)
    #expect(headroom(100, 200, 1_110).isSmall)
    #expect(headroom(100, 150, 1_100).records == 50)
    // Gone too far.
    #expect(headroom(200, 150, 1_100).isSmall)
    #expect(headroom(200, 150, 1_100).records == -50)
    #expect(!headroom(100, 100, 100).isSmall)
  }
}
