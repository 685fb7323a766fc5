/// Kolmogorov and Smirnov's test in a sliding window (Raab et al. 2020): do the newest values have
/// the distribution of as many drawn from those before them? For features, whose mean may stay.
///
/// 1 KiB and 24 bytes. O(recent²) at a test, of which there is one for every `every` values.
@frozen
public struct KSWIN: BitwiseCopyable, Sendable, Equatable {
  @frozen
  public struct Settings: BitwiseCopyable, Sendable {
    /// Values kept: at least 2 · `recent`, at most 128.
    public var window: Int
    /// Newest values that are compared, 2...64.
    public var recent: Int
    /// The p-value below which a test is an alarm, in (0, 1).
    public var alpha: Double
    /// Values between two tests, at least 1.
    public var every: Int64

    /// The defaults give few false alarms. The usual 100, 30, 0.005 and 1 give thousands in a
    /// million, and distances that 30 values cannot show at a stricter `alpha`.
    @inlinable
    public init(window: Int = 128, recent: Int = 60, alpha: Double = 0.0001, every: Int64 = 30) {
      precondition(
        recent >= 2 && recent <= 64 && window >= 2 * recent && window <= 128 && every >= 1
          && alpha > 0 && alpha < 1,
        "KSWIN compares 2...64 recent values within at most 128, every 1 or more of them")
      self.window = window
      self.recent = recent
      self.alpha = alpha
      self.every = every
    }
  }

  /// The window, oldest first from `start`, round the end.
  private var values = Block128()
  private var start: Int64 = 0
  private var count: Int64 = 0
  private var seen: Int64 = 0

  public init() {}

  /// Takes a value. After a drift the newest values are kept.
  ///
  /// - Parameter draws: The draws of test number so and so.
  public mutating func update(
    _ value: Double, _ settings: Settings, draws: (UInt64) -> Draws
  ) -> DriftSignal {
    guard value.isFinite else { return .stable }
    if count == Int64(settings.window) {
      values[Int(start)] = value
      start = (start + 1) % Int64(settings.window)
    } else {
      values[Int((start + count) % Int64(settings.window))] = value
      count += 1
    }
    seen &+= 1
    guard count == Int64(settings.window), seen % settings.every == 0 else { return .stable }
    var draws = draws(UInt64(truncatingIfNeeded: seen))
    guard test(settings, &draws) <= settings.alpha else { return .stable }
    keepNewest(settings.recent, window: settings.window)
    return .drift
  }

  private mutating func keepNewest(_ number: Int, window: Int) {
    start = (start + count - Int64(number)) % Int64(window)
    count = Int64(number)
  }

  /// The p-value of the newest values against a sample of the older ones.
  private mutating func test(_ settings: Settings, _ draws: inout Draws) -> Double {
    let (window, recent) = (settings.window, settings.recent)
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: window) { copy in
      let start = Int(self.start)
      values.withMutableElements { values in
        for i in 0..<window { copy.initializeElement(at: i, to: values[(start + i) % window]) }
      }
      let older = window - recent
      // The first `recent` of a shuffle of the older values.
      for i in 0..<recent {
        let room = UInt64(older - i)
        let j = i + Int(draws.word().multipliedFullWidth(by: room).high)
        copy.swapAt(i, j)
      }
      let sample = UnsafeMutableBufferPointer(rebasing: copy[..<recent])
      let newest = UnsafeMutableBufferPointer(rebasing: copy[older...])
      let steps = KolmogorovSmirnov.distanceSteps(sample, newest)
      return KolmogorovSmirnov.pValue(steps: steps, count: recent)
    }
  }
}

/// Kolmogorov and Smirnov's test of two samples of equal size.
public enum KolmogorovSmirnov {
  /// The largest distance of the empirical distributions, times their size. Sorts both. O(n²).
  static func distanceSteps(
    _ a: UnsafeMutableBufferPointer<Double>, _ b: UnsafeMutableBufferPointer<Double>
  ) -> Int {
    sort(a)
    sort(b)
    var (i, j, worst) = (0, 0, 0)
    while i < a.count && j < b.count {
      let next = min(a[i], b[j])
      while i < a.count, a[i] == next { i += 1 }
      while j < b.count, b[j] == next { j += 1 }
      worst = max(worst, abs(i - j))
    }
    return worst
  }

  /// By insertion: samples are small, and nothing is allocated.
  private static func sort(_ values: UnsafeMutableBufferPointer<Double>) {
    guard values.count > 1 else { return }
    for i in 1..<values.count {
      let value = values[i]
      var j = i
      while j > 0, values[j - 1] > value {
        values[j] = values[j - 1]
        j -= 1
      }
      values[j] = value
    }
  }

  /// The probability of a distance of at least `steps` / `count` between two samples of `count`
  /// values from one continuous distribution: exact (Gnedenko and Korolyuk 1951).
  ///
  /// 2 Σ (−1)^(j+1) C(2n, n − j k) / C(2n, n) over j from 1 while j k ≤ n. O(count).
  public static func pValue(steps: Int, count: Int) -> Double {
    guard steps > 0 else { return 1 }
    var sum = 0.0
    var ratio = 1.0
    var sign = 1.0
    var i = 0
    while i + steps <= count {
      for _ in 0..<steps {
        i += 1
        ratio *= Double(count - i + 1) / Double(count + i)
      }
      sum += sign * ratio
      sign = -sign
    }
    return min(max(2 * sum, 0), 1)
  }

  /// Of two samples as arrays of the same size: distance in 0...1 and p-value.
  public static func test(_ a: [Double], _ b: [Double]) -> (distance: Double, pValue: Double) {
    precondition(a.count == b.count && !a.isEmpty, "the samples have the same size")
    var (a, b) = (a, b)
    let steps = a.withUnsafeMutableBufferPointer { a in
      b.withUnsafeMutableBufferPointer { b in distanceSteps(a, b) }
    }
    return (Double(steps) / Double(a.count), pValue(steps: steps, count: a.count))
  }
}
