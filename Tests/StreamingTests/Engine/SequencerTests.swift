import Events
import TestKit
import Testing

@testable import Streaming

/// How inputs become one sequence: `a3` is record 3 of the first input, `|7` time moving to tick 7.
@Suite struct SequencerTests {
  typealias Record = ScriptedInputs.Record

  private func trace(_ sequence: Sequence) throws -> String { try sequence.trace }

  @Test func recordsComeByTimeThenRankThenOffset() throws {
    var sequence = try Sequence([
      [.records([Record(0, at: 1_000), Record(1, at: 2_500), Record(2, at: 2_500)])],
      [.records([Record(0, at: 2_500), Record(1, at: 900), Record(2, at: 9_000)])],
      [.records([Record(0, at: 0), Record(1, at: 2_500)])],
    ])
    #expect(try sequence.run() == .end)
    // b1 is late: it stands behind b0 and goes as soon as it can.
    #expect(try trace(sequence) == "|0 c0 |1 a0 |2 a1 a2 b0 b1 c1 |9 b2")
  }

  @Test func timeMovesBeforeTheFirstRecordAtOrAfterIt() throws {
    var sequence = try Sequence([
      [
        .records(
          [5_999, 6_000, 6_001, 6_999, 7_000, 3_600_500].enumerated().map {
            Record(Int64($0), at: $1)
          })
      ]
    ])
    #expect(try sequence.run() == .end)
    #expect(try trace(sequence) == "|5 a0 |6 a1 a2 a3 |7 a4 |3600 a5")
  }

  @Test func tickLengthDecidesWhereTimeMoves() throws {
    var sequence = try Sequence(
      [[.records([Record(0, at: 995), Record(1, at: 1_005), Record(2, at: 1_010)])]],
      time: "{ tick: 10ms }")
    #expect(try sequence.run() == .end)
    #expect(try trace(sequence) == "|99 a0 |100 a1 |101 a2")
  }

  @Test func refusedRecordsHaveNoTime() throws {
    var sequence = try Sequence([
      [.records([.bad(0), Record(1, at: 5_000), .bad(2), .bad(3), Record(4, at: 6_000)])],
      [.records([Record(0, at: 4_000), .bad(1), Record(2, at: 7_000)])],
    ])
    #expect(try sequence.run() == .end)
    #expect(try trace(sequence) == "a0 |4 b0 b1 |5 a1 a2 a3 |6 a4 |7 b2")
    #expect(sequence.engine.records == 8 && sequence.engine.rejected == 4)
    #expect(sequence.deadLetters.count == 4)
    // They carry the sequence's time, 0 before the first event.
    let times = sequence.deadLetters.map { $0.contains(#""time":0,"#) }
    #expect(times == [true, false, false, false])
  }

  @Test func nothingGoesWhileAnInputIsNotAtItsEnd() throws {
    var sequence = try Sequence([
      [.records([Record(0, at: 1_000)])],
      [.waiting, .waiting, .records([Record(0, at: 500)])],
    ])
    #expect(try sequence.run() == .waiting)
    #expect(try sequence.run() == .waiting)
    #expect(try trace(sequence) == "")
    #expect(try sequence.run() == .end)
    #expect(try trace(sequence) == "|0 b0 |1 a0")
  }

  @Test func liveAnEndedInputIsWaitedForAWhile() throws {
    var sequence = try Sequence(
      [[.records([Record(0, at: 1_000), Record(1, at: 3_000)])], [.end]],
      mode: .live, time: "{ merge_wait: 20ms }")
    #expect(try sequence.run() == .waiting)
    sequence.now += 19
    #expect(try sequence.run() == .waiting)
    #expect(try trace(sequence) == "")
    sequence.log.add([.records([Record(0, at: 2_000)])], to: 1)
    #expect(try sequence.run() == .waiting)
    #expect(try trace(sequence) == "|1 a0 |2 b0")
    sequence.now += 20
    #expect(try sequence.run() == .end)
    #expect(try trace(sequence) == "|1 a0 |2 b0 |3 a1")
  }

  @Test func liveAnInputThatIsNotAtItsEndIsWaitedForWithoutBound() throws {
    var sequence = try Sequence(
      [[.records([Record(0, at: 1_000)])], []], mode: .live, last: .waiting)
    for _ in 0..<5 {
      sequence.now += 1_000_000
      #expect(try sequence.run() == .waiting)
    }
    #expect(try trace(sequence) == "")
  }

  @Test func liveRefusedRecordsAreNotHeldUp() throws {
    var sequence = try Sequence(
      [[.records([.bad(0), Record(1, at: 1_000), .bad(2)])], []], mode: .live, last: .waiting)
    #expect(try sequence.run() == .waiting)
    #expect(try trace(sequence) == "a0")
  }

  @Test func liveUrgentRecordsGoOnArrival() throws {
    var sequence = try Sequence(
      [
        [.records([Record(0, at: 5_000), Record(1, at: 6_000)])],
        [.records([Record(0, at: 9_000)]), .waiting],
        [.waiting],
      ],
      mode: .live, urgent: [1], last: .waiting)
    #expect(try sequence.run() == .waiting)
    // It moves time; what comes by the merge is older then.
    #expect(try trace(sequence) == "|9 b0")
    sequence.log.add([.records([Record(0, at: 5_500)])], to: 2)
    #expect(try sequence.run() == .waiting)
    #expect(try trace(sequence) == "|9 b0 a0 c0")
  }

  @Test func anUrgentInputIsNotWaitedForWhenLive() throws {
    var sequence = try Sequence(
      [[.records([Record(0, at: 5_000)])], []], mode: .live, urgent: [1], last: .waiting)
    #expect(try sequence.run() == .waiting)
    #expect(try trace(sequence) == "|5 a0")
  }

  @Test func aReplayMergesUrgentInputsByTimeToo() throws {
    var sequence = try Sequence(
      [
        [.records([Record(0, at: 5_000), Record(1, at: 6_000)])],
        [.waiting, .records([Record(0, at: 5_500)])],
      ], urgent: [1])
    #expect(try sequence.run() == .waiting)
    #expect(try trace(sequence) == "")
    #expect(try sequence.run() == .end)
    #expect(try trace(sequence) == "|5 a0 b0 |6 a1")
  }

  @Test func untilEndsBeforeTheFirstEventAtOrAfterIt() throws {
    for inputs in 1...2 {
      var scripts: [[ScriptedInputs.Fetch]] = [
        [.records([Record(0, at: 1_000), .bad(1), Record(2, at: 2_000), Record(3, at: 1_500)])]
      ]
      if inputs == 2 { scripts.append([.records([Record(0, at: 1_999), Record(1, at: 2_001)])]) }
      var sequence = try Sequence(scripts, until: EventTime(milliseconds: 2_000))
      #expect(try sequence.run() == .end)
      #expect(try trace(sequence) == (inputs == 1 ? "|1 a0 a1" : "|1 a0 a1 b0"))
    }
  }

  @Test func untilDoesNotEndBeforeEveryInputIsThere() throws {
    var sequence = try Sequence(
      [[.records([Record(0, at: 3_000)])], [.waiting, .records([Record(0, at: 1_000)])]],
      until: EventTime(milliseconds: 2_000))
    #expect(try sequence.run() == .waiting)
    #expect(try sequence.run() == .end)
    #expect(try trace(sequence) == "|1 b0")
  }

  /// Steps as a partition does that is told its speed.
  private static func run(_ sequence: Sequence, speed: Double) throws -> Sequencer.Progress {
    while true {
      sequence.sequencer.pace(speed, startedAt: 10_000, now: sequence.now)
      let progress = try sequence.sequencer.step(limit: 100, now: sequence.now)
      if progress != .advanced { return progress }
    }
  }

  @Test func aPacedReplayWaitsForItsTime() throws {
    for inputs in 1...2 {
      var scripts: [[ScriptedInputs.Fetch]] = [
        [.records((0..<5).map { Record(Int64($0), at: 10_000 + Int64($0) * 1_000) })]
      ]
      if inputs == 2 { scripts.append([]) }
      var sequence = try Sequence(scripts)
      func step() throws -> Sequencer.Progress { try SequencerTests.run(sequence, speed: 2) }
      #expect(try step() == .waiting)
      #expect(try trace(sequence) == "|10 a0")
      sequence.now += 1_000
      #expect(try step() == .waiting)
      #expect(try trace(sequence) == "|10 a0 |11 a1 |12 a2")
      sequence.now += 100_000
      #expect(try step() == .end)
    }
  }

  @Test func aPaceThatIsNoNumberStandsStill() throws {
    var sequence = try Sequence([[.records([Record(0, at: 1_000), Record(1, at: 2_000)])]])
    for speed in [Double.nan, -1, 0, -Double.infinity] {
      #expect(try SequencerTests.run(sequence, speed: speed) == .waiting)
      sequence.now += 1_000_000
    }
    #expect(try SequencerTests.run(sequence, speed: .infinity) == .end)
  }

  @Test func anEmptyFetchIsNoRecord() throws {
    for inputs in 1...2 {
      var scripts: [[ScriptedInputs.Fetch]] = [
        [.nothing, .records([Record(0, at: 1_000)]), .nothing, .records([Record(1, at: 2_000)])]
      ]
      if inputs == 2 { scripts.append([.nothing]) }
      var sequence = try Sequence(scripts)
      while try sequence.run() != .end {}
      #expect(try trace(sequence) == "|1 a0 |2 a1")
    }
  }

  /// Random inputs, cut in random places, with waits between: the sequence is that of sorting.
  @Test func randomMergesAreAPrioritySearch() throws {
    for seed in 1...120 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let times = (0..<choice.inside(1...3)).map { _ in
        (0..<choice.below(60)).map { _ -> Int64? in
          choice.once(in: 8) ? nil : Int64(choice.below(40)) * 250
        }
      }
      let scripts = times.map { times -> [ScriptedInputs.Fetch] in
        var script: [ScriptedInputs.Fetch] = []
        var rest = times.enumerated().map { offset, time in
          time.map { Record(Int64(offset), at: $0) } ?? .bad(Int64(offset))
        }[...]
        while !rest.isEmpty {
          if choice.once(in: 4) { script.append(.waiting) }
          let count = choice.inside(1...20)
          script.append(.records(Array(rest.prefix(count))))
          rest = rest.dropFirst(count)
        }
        return script
      }
      var sequence = try Sequence(scripts)
      while try sequence.run(limit: choice.inside(1...30)) != .end {}
      guard try trace(sequence) == SequencerTests.expected(times) else {
        Issue.record("seed \(seed): \(try trace(sequence))")
        return
      }
    }
  }

  /// The sequence of inputs that are all there from the beginning.
  private static func expected(_ times: [[Int64?]]) -> String {
    var places = times.map { _ in 0 }
    var tick: Int64 = -1
    var texts: [String] = []
    while true {
      let heads = times.indices.filter { places[$0] < times[$0].count }
      func time(_ input: Int) -> Int64 { times[input][places[input]] ?? Int64.min }
      guard let best = heads.min(by: { (time($0), $0) < (time($1), $1) }) else { break }
      if let time = times[best][places[best]], time / 1_000 > tick {
        tick = time / 1_000
        texts.append("|\(tick)")
      }
      texts.append("\(UnicodeScalar(UInt8(ascii: "a") + UInt8(best)))\(places[best])")
      places[best] += 1
    }
    return texts.joined(separator: " ")
  }
}
