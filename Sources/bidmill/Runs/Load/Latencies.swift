import Histogram

/// Latencies of events, in a histogram of three significant digits.
struct Latencies: Sendable {
  // Microseconds: finer than anything that is measured here.
  private var histogram = Histogram<UInt64>(numberOfSignificantValueDigits: .three)

  mutating func record(nanoseconds: Int64) {
    histogram.record(UInt64(max(nanoseconds, 0)) / 1000)
  }

  var count: Int { Int(histogram.totalCount) }

  /// The percentiles that are reported.
  static let reported: [(name: String, percentile: Double)] = [
    ("p50", 50), ("p90", 90), ("p99", 99), ("p99_9", 99.9), ("max", 100),
  ]

  /// In ms, to three significant digits; nil without any.
  func milliseconds(_ percentile: Double) -> Double? {
    guard count > 0 else { return nil }
    return Double(histogram.valueAtPercentile(percentile)) / 1000
  }

  /// (percentile, ms) from the median's half on, ever closer to 100.
  var curve: [(percentile: Double, milliseconds: Double)] {
    guard count > 0 else { return [] }
    return histogram.percentiles(ticksPerHalfDistance: 8).map {
      ($0.percentile, Double($0.value) / 1000)
    }
  }
}
