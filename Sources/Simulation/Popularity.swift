/// Draws from `0..<count` where entry r is chosen with weight 1 / (r + 1): Zipf's law.
///
/// Walker's alias method on integers: weights are whole numbers and the table is exact, so no
/// rounding of floating point can differ between machines. A draw costs two multiplications.
struct Popularity {
  /// The entry stays in its column when the coin is below this.
  private let thresholds: [UInt64]
  private let aliases: [UInt32]
  /// What a column holds: the sum of all weights.
  private let total: UInt64

  /// - Parameter count: entries, 1…1,000,000.
  init(count: Int) {
    precondition((1...1_000_000).contains(count), "popularity needs 1…1,000,000 entries")
    let weights = (1...UInt64(count)).map { 1_000_000_000 / $0 }
    let total = weights.reduce(0, +)
    var scaled = weights.map { $0 * UInt64(count) }
    var aliases = (0..<UInt32(count)).map { $0 }
    var small = scaled.indices.filter { scaled[$0] < total }
    var large = scaled.indices.filter { scaled[$0] >= total }
    while let low = small.popLast(), let high = large.last {
      aliases[low] = UInt32(high)
      scaled[high] -= total - scaled[low]
      if scaled[high] < total {
        large.removeLast()
        small.append(high)
      }
    }
    // The sums are exact, so what is left fills its columns to the brim.
    thresholds = scaled
    self.aliases = aliases
    self.total = total
  }

  /// The entry that 64 even bits choose.
  @inline(__always)
  func entry(_ bits: UInt64) -> Int {
    let column = Chance.below(thresholds.count, bits)
    let coin = (bits & 0xffff_ffff).multipliedFullWidth(by: total)
    // total < 2^35, so the coin fits after giving up the 32 bits.
    let value = (coin.high << 32) | (coin.low >> 32)
    return value < thresholds[column] ? column : Int(aliases[column])
  }
}
