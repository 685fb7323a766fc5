import Bidding
import Events
import Testing

@Suite struct ApportionmentTests {
  static func divide(_ total: Int64, _ weights: [UInt64]) -> [Int64] {
    var parts = [Int64](repeating: -1, count: weights.count)
    var scratch = [UInt64](repeating: 0, count: 2 * weights.count)
    weights.withUnsafeBufferPointer { weights in
      parts.withUnsafeMutableBufferPointer { parts in
        scratch.withUnsafeMutableBufferPointer {
          Apportionment.divide(total, by: weights, into: parts, scratch: $0)
        }
      }
    }
    return parts
  }

  @Test func whatIsLeftGoesToTheLargestRemaindersAndOfEqualsToTheFirst() {
    #expect(Self.divide(1_000_000, [1, 1, 1]) == [333_334, 333_333, 333_333])
    #expect(Self.divide(2, [1, 1, 1]) == [1, 1, 0])
    #expect(Self.divide(10, [1, 2, 4]) == [1, 3, 6])
    #expect(Self.divide(1, [1, 2, 4]) == [0, 0, 1])
    #expect(Self.divide(0, [3, 5]) == [0, 0])
    #expect(Self.divide(7, [0, 1, 0]) == [0, 7, 0])
  }

  @Test func theLargestAmountsAndWeightsFit() {
    let most: UInt64 = (1 << 54) - 1
    let weights = [UInt64](repeating: most, count: Apportionment.partsMax)
    for total in [Int64.max, Int64.min, -1, 1] {
      let parts = Self.divide(total, weights)
      #expect(parts.reduce(0, &+) == total)
      #expect(Set(parts).count <= 2)
    }
    #expect(Self.divide(Int64.min, [1]) == [Int64.min])
    #expect(Self.divide(-5, [1, 1]) == [-3, -2])
  }

  /// Against the definition: sort by remainder with the standard library.
  @Test func equalsTheDefinition() {
    let seed: UInt64 = 20_261
    var random = SplitMix64(seed: seed)
    for round in 0..<2_000 {
      let count = 1 + Int(random.next() % (round % 100 == 0 ? 1_024 : 60))
      let bits = random.next() % 20
      var weights = (0..<count).map { _ in random.next() >> (64 - 1 - bits) }
      if weights.allSatisfy({ $0 == 0 }) { weights[0] = 1 }
      let total = Int64(random.next() >> (1 + random.next() % 40)) >> 20
      let sum = weights.reduce(0, +)
      var expected = weights.map { Int64((UInt64(total) * $0) / sum) }
      let remainders = weights.map { (UInt64(total) * $0) % sum }
      let order = (0..<count).sorted {
        (remainders[$1], $0) < (remainders[$0], $1)
      }
      let left = total - expected.reduce(0, +)
      for i in order.prefix(Int(left)) { expected[i] += 1 }
      #expect(Self.divide(total, weights) == expected, "seed \(seed), round \(round)")
    }
  }
}
