import Bidding
import Events
import Testing

@Suite struct CreditTests {
  private static let hour: Int64 = 3_600_000
  private static let day = 24 * hour

  /// Credits in millionths for touches of these ages (ms), oldest first.
  private func credits(
    _ model: AttributionModel, ages: [Int64], _ rules: CreditRules = CreditRules(),
    of total: Int64 = 1_000_000
  ) -> [Int64] {
    let times = ages.map { 1_800_000_000_000 - $0 }
    var weights = [UInt64](repeating: 0, count: ages.count)
    times.withUnsafeBufferPointer { times in
      weights.withUnsafeMutableBufferPointer { rules.weigh(model, times: times, into: $0) }
    }
    return ApportionmentTests.divide(total, weights)
  }

  /// 2^(63 − age/halfLife), rounded; computed with 60 digits.
  @Test(
    arguments: [
      (0, 604_800_000, 9_223_372_036_854_775_808),
      (1, 604_800_000, 9_223_372_026_284_084_143),
      (604_800_000, 604_800_000, 4_611_686_018_427_387_904),
      (3_600_000, 604_800_000, 9_185_395_943_039_508_846),
      (864_000_000, 604_800_000, 3_426_469_543_337_905_161),
      (172_800_000, 604_800_000, 7_566_258_183_444_155_114),
      (604_799_999, 604_800_000, 4_611_686_023_712_733_743),
      (1, 2, 6_521_908_912_666_391_106),
      (1, 3, 7_320_595_236_998_672_907),
      (2, 3, 5_810_360_290_122_541_961),
      (999, 1000, 4_614_883_703_693_923_851),
      (6_048_012_345, 604_800_000, 9_007_071_818_934_802),
      (38_102_399_999, 604_800_000, 1),
      (500, 1000, 6_521_908_912_666_391_106),
      (123_456_789, 987_654_321, 8_457_869_456_454_542_332),
    ] as [(Int64, Int64, UInt64)])
  func decayIsExact(age: Int64, halfLife: Int64, expected: UInt64) {
    let weight = Decay.weight(age: age, halfLife: halfLife)
    let error = weight > expected ? weight - expected : expected - weight
    // At most 2⁻⁶⁰ of the result, and half a unit from rounding the expectation.
    #expect(error <= max(expected >> 60, 1), "off by \(error) units of 2^-63")
  }

  @Test func decayFallsToNothing() {
    #expect(Decay.weight(age: 64, halfLife: 1) == 0)
    #expect(Decay.weight(age: .max, halfLife: .max) == 1 << 62)
    #expect(Decay.weight(age: .max, halfLife: 1) == 0)
    var previous = UInt64.max
    for age in 0...2_000 {
      let weight = Decay.weight(age: Int64(age), halfLife: 100)
      #expect(weight <= previous)
      previous = weight
    }
  }

  @Test func timeDecay() {
    #expect(
      credits(.timeDecay, ages: [10 * Self.day, 2 * Self.day, 0]) == [169_492, 374_269, 456_239])
    // However long ago the newest touch was, only the distances between touches count.
    #expect(
      credits(.timeDecay, ages: [3_010 * Self.day, 3_002 * Self.day, 3_000 * Self.day])
        == [169_492, 374_269, 456_239])
    #expect(credits(.timeDecay, ages: [900 * Self.day, 0]) == [0, 1_000_000])
  }

  @Test func wholeAndEqualShares() {
    #expect(credits(.lastTouch, ages: [3, 2, 1]) == [0, 0, 1_000_000])
    #expect(credits(.firstTouch, ages: [3, 2, 1]) == [1_000_000, 0, 0])
    #expect(credits(.linear, ages: [3, 2, 1]) == [333_334, 333_333, 333_333])
    for model in AttributionModel.allCases {
      #expect(credits(model, ages: [5]) == [1_000_000], "\(model) with one touch")
    }
  }

  /// What the weights say without being asked for them.
  @Test func whereOneTouchGetsEverything() {
    for model in AttributionModel.allCases {
      for count in 1...4 {
        let parts = credits(model, ages: (0..<Int64(count)).map { 4 - $0 })
        guard let only = model.onlyTouch(of: count) else {
          #expect(parts.count { $0 > 0 } > 1, "\(model) shares among \(count)")
          continue
        }
        #expect(parts == (0..<count).map { $0 == only ? 1_000_000 : 0 }, "\(model) of \(count)")
      }
    }
  }

  @Test func position() {
    #expect(credits(.position, ages: [2, 1]) == [500_000, 500_000])
    #expect(credits(.position, ages: [3, 2, 1]) == [400_000, 200_000, 400_000])
    #expect(
      credits(.position, ages: [5, 4, 3, 2, 1]) == [400_000, 66_667, 66_667, 66_666, 400_000])
    let middle = CreditRules(first: 0, middle: 1_000_000, last: 0)
    #expect(credits(.position, ages: [2, 1], middle) == [500_000, 500_000])
    #expect(credits(.position, ages: [4, 3, 2, 1], middle) == [0, 500_000, 500_000, 0])
    let first = CreditRules(first: 800_000, middle: 0, last: 200_000)
    #expect(credits(.position, ages: [2, 1], first) == [800_000, 200_000])
  }

  /// Four journeys over channels A–D, as a public attribution library credits them: position
  /// A 38 B 18 C 42 D 24; time decay (168 h) A 45.57929171 B 26.54196497 C 27.34411678
  /// D 22.53462655.
  @Test func journeysOfTheOracle() {
    let journeys: [(path: String, weight: Int64, value: Int64, ages: [Int64])] = [
      ("ABC", 3, 10, [240, 48, 0]), ("A", 2, 10, [0]), ("BC", 1, 12, [168, 0]),
      ("CBAD", 4, 15, [336, 168, 24, 1]),
    ]
    func total(_ model: AttributionModel) -> [Character: Int64] {
      var sums: [Character: Int64] = [:]
      for journey in journeys {
        let micros = credits(
          model, ages: journey.ages.map { $0 * Self.hour }, of: journey.value * 1_000_000)
        for (channel, micros) in zip(journey.path, micros) {
          sums[channel, default: 0] += micros * journey.weight
        }
      }
      return sums
    }
    #expect(
      total(.position) == ["A": 38_000_000, "B": 18_000_000, "C": 42_000_000, "D": 24_000_000])
    let decayed = total(.timeDecay)
    for (channel, micros) in [
      ("A", 45_579_291), ("B", 26_541_964), ("C", 27_344_116), ("D", 22_534_626),
    ] as [(Character, Int64)] {
      // Rounding moves each journey's part by less than a micro, times its weight.
      #expect(abs(decayed[channel, default: 0] - micros) <= 10, "channel \(channel)")
    }
  }

  @Test func windowsAreHalfOpen() {
    let windows = AttributionWindows(click: .days(30), view: .days(1))
    let conversion = EventTime(milliseconds: 1_800_000_000_000)
    func holds(_ age: Int64, click: Bool, viewable: Bool = true) -> Bool {
      windows.holds(
        isClick: click, isViewable: viewable,
        at: EventTime(milliseconds: conversion.milliseconds - age), conversion: conversion)
    }
    #expect(holds(30 * Self.day, click: true) && !holds(30 * Self.day + 1, click: true))
    #expect(holds(Self.day, click: false) && !holds(Self.day + 1, click: false))
    #expect(holds(1, click: true) && !holds(0, click: true) && !holds(-1, click: true))
    #expect(holds(1, click: true, viewable: false) && !holds(1, click: false, viewable: false))
  }
}
