import Events
import Simulation
import Streaming
import Testing

@testable import Operators

/// Impressions that wait for clicks, beside a dictionary of them.
@Suite struct ShownImpressionsTests {
  private struct Plain: Equatable {
    var number: Int
    var time: Int64
    var rows: [Int32]
    var values: [Double]
    var click: Double
  }

  private struct Slot {
    var row: Int32
    var start: Int64
  }

  private let wait: Int64 = 30_000

  @Test func givesBackWhatItWasGiven() throws {
    let seed: UInt64 = 20_261_121
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    let store = StateStore()
    let shown = ShownImpressions(models: 2, length: 1_000, in: store)
    let example = ExampleFeatures()
    defer { example.deallocate() }
    var waiting: [String: Plain] = [:]
    var slots: [Slot] = []
    var now: Int64 = 0
    var bytesHalfway = 0
    for number in 0..<20_000 {
      now += Int64(random.next() % 90)
      // Some come late, and so out of order.
      let late = random.next() % 20 == 0 ? Int64(random.next() % 20_000) : 0
      // The first is as large as one can be.
      let words = number == 0 ? FeaturePlan.featuresMax - 28 : Int(random.next() % 20)
      let numbers = number == 0 ? 28 : Int(random.next() % 4)
      let text = String(repeating: "x", count: number == 0 ? 127 : Int(random.next() % 40))
      let id = text + "\(number)".suffix(128 - text.count)
      fill(example, words, numbers, &random)
      let plain = Plain(
        number: number, time: max(now - late, 0), rows: rows(example), values: values(example),
        click: random.nextUnit())
      let slot = add(plain, id, example, to: shown)
      if let slot { slots.append(Slot(row: slot, start: plain.time / 1_000 * 1_000)) }
      waiting[id] = plain
      for slot in slots where slot.start + wait < now {
        try take(slot, of: shown, example, from: &waiting)
      }
      slots.removeAll { $0.start + wait < now }
      shown.beginEntry()
      if number == 10_000 { bytesHalfway = store.byteCounts.reduce(0) { $0 + $1.bytes } }
    }
    // Chunks are used again.
    #expect(store.byteCounts.reduce(0) { $0 + $1.bytes } < 2 * bytesHalfway)
    var left = 0
    shown.visit { _ in left += 1 }
    #expect(left == waiting.count && left > 100)
    for slot in slots { try take(slot, of: shown, example, from: &waiting) }
    #expect(waiting.isEmpty)
  }

  private func fill(
    _ example: ExampleFeatures, _ words: Int, _ numbers: Int, _ random: inout SplitMix64
  ) {
    var features = ExampleFeatures.Collector(example)
    for i in 0..<words { features.add(UInt32(i), 1) }
    for i in 0..<numbers { features.add(UInt32(i), random.nextUnit() + 1.5) }
    example.set(features)
    for i in 0..<example.count { example.rows[i] = Int32(random.next() % 1_000_000) }
  }

  private func rows(_ example: ExampleFeatures) -> [Int32] {
    (0..<example.count).map { example.rows[$0] }
  }

  private func values(_ example: ExampleFeatures) -> [Double] {
    (0..<example.count).map { example.values[$0] }
  }

  private func add(
    _ plain: Plain, _ id: String, _ example: ExampleFeatures, to shown: ShownImpressions
  ) -> Int32? {
    let added = Array(id.utf8).withUnsafeBufferPointer {
      shown.add(
        ShownImpressions.Impression(
          account: 1, ad: Int32(plain.number), time: plain.time, key: UInt64(plain.number) + 1),
        Identifier(hash: 0, start: $0.baseAddress, length: UInt32($0.count)), example)
    }
    for model in 0..<2 {
      shown.set(
        ImpressionPrediction(click: plain.click, conversion: Double(model), value: 7),
        of: added.position, model: model)
    }
    return added.newSlot
  }

  /// What a slot holds is what was added, in the order in which it came.
  private func take(
    _ slot: Slot, of shown: ShownImpressions, _ example: ExampleFeatures,
    from waiting: inout [String: Plain]
  ) throws {
    var reader = shown.take(slot.row)
    var last = -1
    while case let position = shown.next(&reader), position >= 0 {
      let found = waiting.removeValue(forKey: shown.id(position).string)
      let plain = try #require(found)
      #expect(plain.time / 1_000 * 1_000 == slot.start && plain.number > last)
      last = plain.number
      let impression = shown[position]
      #expect(impression.time == plain.time && impression.key == UInt64(plain.number) + 1)
      shown.load(position, into: example)
      #expect(rows(example) == plain.rows && values(example) == plain.values)
      for model in 0..<2 {
        let said = shown.prediction(of: position, model: model)
        #expect(said.click == plain.click && said.conversion == Double(model))
      }
    }
    #expect(last >= 0)
  }
}
