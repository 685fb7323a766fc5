public import Events

/// Exact spend of one campaign in micros: of its current local day and of all time. Sums stay at
/// 2⁶³ − 1 instead of overflowing.
@frozen
public struct SpendLedger: Sendable, BitwiseCopyable {
  public var todayMicros: Int64 = 0
  public var totalMicros: Int64 = 0

  @inlinable
  public init() {}

  /// Counts an amount, which must not be negative; returns what the total had no room for.
  @inlinable @inline(__always)
  public mutating func add(_ amount: Money, isToday: Bool) -> Int64 {
    let total = totalMicros.addingReportingOverflow(amount.micros)
    if isToday {
      let today = todayMicros.addingReportingOverflow(amount.micros)
      todayMicros = today.overflow ? Int64.max : today.partialValue
    }
    guard total.overflow else {
      totalMicros = total.partialValue
      return 0
    }
    defer { totalMicros = Int64.max }
    return amount.micros &- (Int64.max &- totalMicros)
  }
}
