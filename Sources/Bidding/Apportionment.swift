// Bidding: the domain's rules without their state. Who somebody is, where a person stands on the
// way to buying, which touches a conversion is credited to and with how much.
//
// What lives here takes values and gives values. Tables, streams, timers and text formats belong
// to `Operators`, which puts these rules to work; nothing here does I/O, keeps anything between two
// calls, or calls the C library's mathematics.

/// Dividing a whole amount by weights so that the parts sum to it exactly.
public enum Apportionment {
  /// The most parts that an amount is divided into.
  public static let partsMax = 1024

  /// Divides `total` in proportion to `weights` by largest remainder (Hamilton's method): everyone
  /// gets their share rounded down, and what is left goes, one unit each, to those who lost most by
  /// rounding; of equals, to the first.
  ///
  /// Exact integer arithmetic throughout. O(n) on average, no allocation.
  ///
  /// - Parameters:
  ///   - total: Any amount; the parts of a negative one are those of its magnitude, negated.
  ///   - weights: 1…`partsMax` of them, each below 2⁵⁴, not all 0.
  ///   - parts: As many; filled with the parts, in the order of the weights.
  ///   - scratch: At least twice as many words, overwritten.
  public static func divide(
    _ total: Int64, by weights: UnsafeBufferPointer<UInt64>,
    into parts: UnsafeMutableBufferPointer<Int64>, scratch: UnsafeMutableBufferPointer<UInt64>
  ) {
    let count = weights.count
    precondition(
      count > 0 && count <= partsMax && parts.count >= count && scratch.count >= 2 * count,
      "an amount is divided into 1…1024 parts, with room for each")
    // Below 2⁶⁴: 1024 weights of less than 2⁵⁴.
    let sum = weights.reduce(0) { $0 &+ $1 }
    precondition(sum > 0, "an amount is not divided by weights that are all 0")
    let amount = total.magnitude
    if amount == 0 {
      for i in 0..<count { parts[i] = 0 }
      return
    }
    var left = amount
    for i in 0..<count {
      let product = amount.multipliedFullWidth(by: weights[i])
      // The quotient is at most `amount`, because no weight exceeds the sum.
      let share = sum.dividingFullWidth(product)
      parts[i] = Int64(truncatingIfNeeded: share.quotient)
      scratch[i] = share.remainder
      scratch[count + i] = UInt64(i)
      left &-= share.quotient
    }
    if left > 0 {
      let order = UnsafeMutableBufferPointer(rebasing: scratch[count..<(2 * count)])
      // Fewer than there are parts: each lost less than one unit.
      let wanted = Int(left)
      select(wanted, of: order, byRemainder: UnsafePointer(scratch.baseAddress!))
      for i in 0..<wanted { parts[Int(order[i])] &+= 1 }
    }
    if total < 0 { for i in 0..<count { parts[i] = 0 &- parts[i] } }
  }

  /// Moves those with the `wanted` largest remainders, of equals the first parts, to the front:
  /// Hoare's quickselect.
  private static func select(
    _ wanted: Int, of order: UnsafeMutableBufferPointer<UInt64>,
    byRemainder remainders: UnsafePointer<UInt64>
  ) {
    @inline(__always)
    func precedes(_ a: UInt64, _ b: UInt64) -> Bool {
      let (x, y) = (remainders[Int(a)], remainders[Int(b)])
      return x != y ? x > y : a < b
    }
    var (low, high) = (0, order.count - 1)
    while low < high {
      let middle = low + (high - low) / 2
      if precedes(order[middle], order[low]) { order.swapAt(middle, low) }
      if precedes(order[high], order[low]) { order.swapAt(high, low) }
      if precedes(order[high], order[middle]) { order.swapAt(high, middle) }
      let pivot = order[middle]
      var (i, j) = (low, high)
      while i <= j {
        while precedes(order[i], pivot) { i += 1 }
        while precedes(pivot, order[j]) { j -= 1 }
        if i <= j {
          order.swapAt(i, j)
          i += 1
          j -= 1
        }
      }
      // Up to `j` nothing follows the pivot, from `i` on nothing precedes it.
      if wanted <= j {
        high = j
      } else if wanted > i {
        low = i
      } else {
        return
      }
    }
  }
}
