import Bidding
import Events
import Testing

@Suite struct JourneyStateTests {
  @Test func aJourneyMovesOn() {
    var state = JourneyState.unaware
    for (step, expected) in [
      (.view, .aware), (.view, .aware), (.click(isReturn: true), .interested),
      (.view, .interested), (.click(isReturn: false), .interested),
      (.click(isReturn: true), .considering), (.click(isReturn: false), .considering),
      (.conversion, .converted), (.view, .converted), (.click(isReturn: true), .converted),
      (.dealStage, .converted),
    ] as [(JourneyState.Step, JourneyState)] {
      state = state.after(step)
      #expect(state == expected, "after \(step)")
    }
  }

  @Test func lapsedComesBack() {
    #expect(JourneyState.lapsed.after(.view) == .aware)
    #expect(JourneyState.lapsed.after(.click(isReturn: true)) == .interested)
    #expect(JourneyState.lapsed.after(.dealStage) == .considering)
    #expect(JourneyState.lapsed.after(.conversion) == .converted)
  }

  @Test func limitsAreInclusive() {
    let limits = SupernodeLimits(devices: 20, users: 5)
    #expect(!limits.areExceeded(devices: 20, users: 5))
    #expect(limits.areExceeded(devices: 21, users: 0) && limits.areExceeded(devices: 0, users: 6))
  }
}
