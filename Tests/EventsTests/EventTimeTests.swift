import Events
import Testing

@Suite struct EventTimeTests {
  @Test func arithmeticIsInMilliseconds() {
    #expect(EventTime(milliseconds: 1_500) + .seconds(2) == EventTime(milliseconds: 3_500))
    #expect(EventTime(milliseconds: 3_500) - EventTime(milliseconds: 1_500) == .seconds(2))
  }
}
