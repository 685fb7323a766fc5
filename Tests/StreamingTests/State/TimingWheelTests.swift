import TestKit
import Testing

@testable import Streaming

/// The wheel against a list that is searched from end to end.
@Suite struct TimingWheelTests {
  /// All timers in one list.
  struct Model {
    var tickLength: Int64
    var tick: Int64
    var sequence: Int64 = 0
    var waiting: [(target: Int64, timer: Timer)] = []

    mutating func add(due: Int64, key: Int64, owner: Int32) {
      let timer = Timer(due: due, key: key, sequence: sequence, owner: owner)
      let down = due >= 0 ? due / tickLength : -((-due + tickLength - 1) / tickLength)
      let exact = down * tickLength == due
      waiting.append((max(exact ? down : down + 1, tick + 1), timer))
      sequence += 1
    }

    /// The first tick up to `limit` that has a timer.
    func next(upTo limit: Int64) -> Int64? {
      waiting.map(\.target).min().flatMap { $0 <= limit ? $0 : nil }
    }

    mutating func take(atTick stop: Int64) -> [Timer] {
      let due = waiting.filter { $0.target == stop }.map(\.timer)
      waiting.removeAll { $0.target == stop }
      tick = stop
      return due.sorted { ($0.owner, $0.due, $0.sequence) < ($1.owner, $1.due, $1.sequence) }
    }
  }

  /// A wheel and its model, changed together.
  struct Pair {
    let store = StateStore()
    let wheel: TimingWheel
    var model: Model

    init(tickLength: Int64, startTick: Int64) {
      wheel = TimingWheel(tickLength: tickLength, in: store)
      wheel.start(atTick: startTick)
      model = Model(tickLength: tickLength, tick: startTick)
    }

    init(restoring copy: StoreCopy, model: Model) {
      wheel = TimingWheel(tickLength: model.tickLength, in: store)
      self.model = model
      copy.restore(into: store)
    }

    mutating func add(_ choice: inout SeededChoice) {
      let distance = choice.magnitude(bits: 44) - choice.magnitude(bits: 12)
      let due = model.tick * model.tickLength + distance
      let (key, owner) = (Int64(choice.below(1000)), Int32(choice.below(4)))
      wheel.add(due: due, key: key, owner: owner)
      model.add(due: due, key: key, owner: owner)
    }

    /// Walks to a tick; some timers ask for more when they fire.
    mutating func advance(to limit: Int64, _ choice: inout SeededChoice) -> Bool {
      var due: ContiguousArray<Timer> = []
      while let stop = wheel.advance(to: limit) {
        guard stop == model.next(upTo: limit) else { return false }
        wheel.take(atTick: stop, into: &due)
        guard TimingWheelTests.equal(Array(due), model.take(atTick: stop)) else { return false }
        if choice.once(in: 3) { add(&choice) }
      }
      let isQuiet = model.next(upTo: limit) == nil
      model.tick = max(model.tick, limit)
      return isQuiet && wheel.count == model.waiting.count
    }
  }

  static func equal(_ a: [Timer], _ b: [Timer]) -> Bool {
    a.count == b.count
      && zip(a, b).allSatisfy {
        $0.due == $1.due && $0.key == $1.key && $0.sequence == $1.sequence && $0.owner == $1.owner
      }
  }

  @Test func firesWhatAListWouldFire() {
    for seed in 1...150 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      let length = choice.pick([10, 1_000, 3_600_000] as [Int64])
      var pair = Pair(tickLength: length, startTick: choice.magnitude(bits: 44) / length - 1)
      for _ in 0..<60 {
        for _ in 0..<choice.below(6) { pair.add(&choice) }
        let jump = choice.once(in: 8) ? choice.magnitude(bits: 45) / length : 0
        let limit = pair.model.tick + choice.magnitude(bits: 16) + jump
        guard pair.advance(to: limit, &choice) else {
          Issue.record("seed \(seed): the wheel and the list disagree")
          return
        }
      }
    }
  }

  @Test func manyTimersOfOneTickComeInOrderOfOperatorTimeAndAge() {
    var choice = SeededChoice(seed: 11)
    var pair = Pair(tickLength: 1_000, startTick: 99)
    for _ in 0..<500 {
      let due = 200_000 - Int64(choice.below(1_000))
      let owner = Int32(choice.below(3))
      pair.wheel.add(due: due, key: 0, owner: owner)
      pair.model.add(due: due, key: 0, owner: owner)
    }
    var due: ContiguousArray<Timer> = []
    #expect(pair.wheel.advance(to: 1_000) == 200)
    pair.wheel.take(atTick: 200, into: &due)
    #expect(due.count == 500)
    #expect(TimingWheelTests.equal(Array(due), pair.model.take(atTick: 200)))
    #expect(pair.wheel.advance(to: 1_000) == nil)
  }

  @Test func aSnapshotOfAnyMomentGoesOnLikeTheWheel() {
    for seed in 1...60 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      var pair = Pair(tickLength: 1_000, startTick: choice.magnitude(bits: 31))
      for _ in 0..<choice.below(200) { pair.add(&choice) }
      _ = pair.advance(to: pair.model.tick + choice.magnitude(bits: 20), &choice)
      let copy = StoreCopy(freezing: pair.store)
      let model = pair.model
      // The wheel goes on while it is copied.
      while !copy.isDone {
        pair.add(&choice)
        guard pair.advance(to: pair.model.tick + choice.magnitude(bits: 12), &choice) else {
          Issue.record("seed \(seed): the wheel and the list disagree while it is copied")
          return
        }
        copy.copySlice(pages: 1)
      }
      var restored = Pair(restoring: copy, model: model)
      for _ in 0..<10 {
        restored.add(&choice)
        let limit = restored.model.tick + choice.magnitude(bits: 30)
        guard restored.advance(to: limit, &choice) else {
          Issue.record("seed \(seed): the restored wheel and the list disagree")
          return
        }
      }
    }
  }

  @Test func timersMoveToTheirOperatorsNewPlaces() {
    for seed in 1...40 as ClosedRange<UInt64> {
      var choice = SeededChoice(seed: seed)
      var pair = Pair(tickLength: 10, startTick: choice.magnitude(bits: 30))
      for _ in 0..<100 { pair.add(&choice) }
      _ = pair.advance(to: pair.model.tick + choice.magnitude(bits: 20), &choice)
      let places: [Int32?] = [2, nil, 0, 1]
      pair.wheel.reassign { places[Int($0)] }
      // The list keeps the targets: nothing that waits lies at or before now.
      pair.model.waiting = pair.model.waiting.compactMap { entry in
        guard let owner = places[Int(entry.timer.owner)] else { return nil }
        var moved = entry
        moved.timer.owner = owner
        return moved
      }
      for i in pair.model.waiting.indices {
        pair.model.waiting[i].timer.sequence = pair.model.sequence + Int64(i)
      }
      pair.model.sequence += Int64(pair.model.waiting.count)
      guard pair.advance(to: Int64(1) << 50, &choice) else {
        Issue.record("seed \(seed): timers are lost or misplaced")
        return
      }
    }
  }

  @Test func aYearWithoutTimersIsOneStep() {
    var choice = SeededChoice(seed: 3)
    var pair = Pair(tickLength: 10, startTick: -1)
    #expect(pair.advance(to: 86_400 * 365 * 100, &choice))
    pair.wheel.add(due: 253_402_300_799_999, key: 7, owner: 0)
    pair.model.add(due: 253_402_300_799_999, key: 7, owner: 0)
    #expect(pair.wheel.advance(to: 25_340_230_079_999) == nil)
    #expect(pair.wheel.advance(to: 25_340_230_080_000) == 25_340_230_080_000)
  }
}
