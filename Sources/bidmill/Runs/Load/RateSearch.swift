/// Looks for the highest rate that is sustained: up or down by doubling, then between.
///
/// A value: what to try next follows from what was seen.
struct RateSearch {
  /// The highest rate that was sustained.
  private(set) var sustained: Double?
  /// The lowest that was not.
  private(set) var failed: Double?
  /// The rate to try; nil once it is known well enough.
  private(set) var next: Double?

  private let bounds: ClosedRange<Double>
  /// Both ends are this close to each other in the end.
  private let precision: Double

  init(from start: Double, bounds: ClosedRange<Double> = 10...10e6, precision: Double = 1.1) {
    self.bounds = bounds
    self.precision = precision
    next = min(max(start, bounds.lowerBound), bounds.upperBound)
  }

  mutating func note(_ rate: Double, isSustained: Bool) {
    if isSustained {
      sustained = max(sustained ?? rate, rate)
    } else {
      failed = min(failed ?? rate, rate)
    }
    next = decide()
  }

  private func decide() -> Double? {
    switch (sustained, failed) {
    case (let low?, let high?):
      return high / low > precision ? (low * high).squareRoot() : nil
    case (let low?, nil): return low < bounds.upperBound ? min(low * 2, bounds.upperBound) : nil
    case (nil, let high?): return high > bounds.lowerBound ? max(high / 2, bounds.lowerBound) : nil
    case (nil, nil): return next
    }
  }
}
