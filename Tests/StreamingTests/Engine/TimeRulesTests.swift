import Events
import TestKit
import Testing

@testable import Streaming

/// What moves time, what is too late, and what is too far ahead.
@Suite struct TimeRulesTests {
  typealias Record = ScriptedInputs.Record

  @Test func withoutAppendTimesAGapIsMeasuredFromTheNewestEvent() throws {
    let day: Int64 = 86_400_000
    var sequence = try Sequence(
      [
        [
          .records([
            Record(0, at: day), Record(1, at: 3 * day), Record(2, at: 5 * day + 1),
            Record(3, at: 5 * day), Record(4, at: 253_402_300_799_999), Record(5, at: 7 * day),
          ])
        ]
      ], time: "{ max_gap: 2d }")
    #expect(try sequence.run() == .end)
    #expect(sequence.engine.records == 6 && sequence.engine.rejected == 2)
    #expect(sequence.engine.newestTime == 7 * day)
    #expect(sequence.deadLetters.allSatisfy { $0.contains(#""reason":"out_of_range""#) })
    #expect(sequence.deadLetters.allSatisfy { $0.contains(#""field":"time""#) })
  }

  @Test func withAppendTimesTheRecordsOwnCounts() throws {
    let hour: Int64 = 3_600_000
    var sequence = try Sequence([
      [
        .records([
          // The first has nothing before it and is refused all the same.
          Record(0, at: 100 * hour, appendTime: 98 * hour),
          Record(1, at: 10 * hour, appendTime: 9 * hour),
          Record(2, at: 10 * hour + 1, appendTime: 9 * hour),
          // Far ahead of the newest event, but not of its record.
          Record(3, at: 9_999 * hour, appendTime: 9_999 * hour),
          Record(4, at: 0, appendTime: Int64.max), Record(5, at: 0, appendTime: -1),
          Record(6, at: hour, appendTime: Int64.min + 1),
        ])
      ]
    ])
    #expect(try sequence.run() == .end)
    #expect(sequence.engine.rejected == 3)
    #expect(sequence.engine.newestTime == 9_999 * hour)
  }

  @Test func everyInputMeasuresItsOwnGap() throws {
    let day: Int64 = 86_400_000
    var sequence = try Sequence(
      [
        [.records([Record(0, at: day), Record(1, at: 20 * day)])],
        [.records([Record(0, at: 19 * day), Record(1, at: 20 * day)])],
      ], time: "{ max_gap: 2d }")
    #expect(try sequence.run() == .end)
    // a1 is 19 days after a0; that b was there already does not make it better.
    #expect(sequence.engine.rejected == 1)
  }

  @Test func lateIsOlderThanTheWatermark() throws {
    var sequence = try Sequence(
      [
        [
          .records(
            [10_999, 8_000, 7_999, 10_000, 11_000, 8_999, 9_000].enumerated().map {
              Record(Int64($0), at: $1)
            })
        ]
      ], time: "{ out_of_orderness: 2s }")
    #expect(try sequence.run() == .end)
    // At tick 10 the watermark is 8,000, at tick 11 it is 9,000.
    #expect(sequence.engine.late == 2)
    #expect(sequence.engine.newestTime == 11_000 && sequence.engine.oldestTime == 7_999)
  }

  @Test func priorsComeFromTrustedSourcesOnly() throws {
    let prior = #"{"type":"prior","id":"p","time":5000,"kind":"weights","payload":"x"}"#
    var sequence = try Sequence(
      [[.records([Record(0, prior)])], [.records([Record(0, prior), Record(1, at: 1_000)])]],
      trusted: [0])
    #expect(try sequence.run() == .end)
    #expect(sequence.engine.records == 3 && sequence.engine.rejected == 1)
    let letter = try #require(sequence.deadLetters.first)
    #expect(letter.contains(#""topic":"s1""#) && letter.contains(#""field":"type""#))
    // What is refused moves no time: b1 comes before a0.
    #expect(try sequence.trace == "b0 |1 b1 |5 a0")
  }

  @Test func heartbeatsMoveTimeAndNothingElse() throws {
    let impression =
      #"{"type":"impression","id":"i","time":1000,"account":"a","campaign":"c","ad":"d","price":1}"#
    var sequence = try Sequence([
      [.records([Record(0, impression), Record(1, at: 59_999)])], [],
    ])
    #expect(try sequence.run() == .end)
    #expect(sequence.outputs.isEmpty)
    sequence.log.add([.records([Record(2, at: 60_000)])], to: 0)
    #expect(try sequence.run() == .end)
    #expect(sequence.outputs.records.count == 1)
    #expect(sequence.engine.records == 3)
  }

  @Test func idleTimeGoesOnFromTheNewestEvent() throws {
    var sequence = try Sequence([[.records([Record(0, at: 50_400)])]], mode: .live)
    #expect(!sequence.sequencer.advanceIdleClock(now: 9_000))
    sequence.now = 10_000
    #expect(try sequence.run() == .end)
    #expect(!sequence.sequencer.advanceIdleClock(now: 10_599))
    #expect(sequence.sequencer.advanceIdleClock(now: 10_600))
    #expect(!sequence.sequencer.advanceIdleClock(now: 11_000))
    #expect(sequence.sequencer.advanceIdleClock(now: 20_000))
    #expect(try sequence.trace == "|50 a0 |51 |60")
    // A clock that goes back does not take time with it.
    #expect(!sequence.sequencer.advanceIdleClock(now: 5_000))
    #expect(sequence.core.tick == 60)
  }

  @Test func idleTimeDoesNotBeginBeforeTheFirstEvent() throws {
    var sequence = try Sequence([[.records([.bad(0)])]], mode: .live)
    #expect(try sequence.run() == .end)
    for now in [10_000, 20_000, 10_000_000] as [Int64] {
      #expect(!sequence.sequencer.advanceIdleClock(now: now))
    }
    #expect(sequence.core.tick == -1)
  }

  @Test func idleTimeGoesOnWhereItStoodBeforeARestart() throws {
    var sequence = try Sequence([[.records([Record(0, at: 50_000)])]], mode: .live)
    #expect(try sequence.run() == .end)
    #expect(sequence.sequencer.advanceIdleClock(now: 10_000 + 3_600_000))
    #expect(sequence.core.tick == 3_650)
    // Another process takes over: the same state, a clock of its own.
    var options = RunnerOptions(mode: .live)
    options.idleClock = true
    let next = Sequencer(core: sequence.core, log: sequence.log, options: options)
    try next.start(at: nil)
    next.journal.begin(tick: 3_650, nextOffsets: next.nextOffsets)
    #expect(!next.advanceIdleClock(now: 77))
    #expect(next.advanceIdleClock(now: 77 + 2_000))
    #expect(sequence.core.tick == 3_652)
  }

  @Test func theLastMomentThatCanBeWritten() throws {
    var sequence = try Sequence(
      [[.records([Record(0, at: 253_402_300_799_999), Record(1, at: 0)])]], mode: .live,
      time: "{ tick: 10ms }")
    #expect(try sequence.run() == .end)
    #expect(sequence.engine.late == 1)
    #expect(sequence.sequencer.advanceIdleClock(now: 10_000 + 86_400_000))
  }
}
