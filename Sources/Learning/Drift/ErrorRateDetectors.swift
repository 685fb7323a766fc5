/// The drift detection method (Gama et al. 2004): a rate of errors, 0 or 1, that has risen by so
/// many standard deviations above its lowest. 32 bytes, O(1). Notices increases only (`Mirrored`).
@frozen
public struct DDM: DriftDetector, Equatable {
  @frozen
  public struct Settings: BitwiseCopyable, Sendable {
    /// Standard deviations above the lowest rate.
    public var warning: Double
    public var drift: Double
    /// Observations before the first signal.
    public var warmup: Double

    @inlinable
    public init(warning: Double = 2, drift: Double = 3, warmup: Double = 30) {
      self.warning = warning
      self.drift = drift
      self.warmup = warmup
    }
  }

  public private(set) var count = 0.0
  public private(set) var rate = 0.0
  private var rateMin = Double.infinity
  private var deviationMin = Double.infinity

  public init() {}

  public mutating func update(_ value: Double, _ settings: Settings) -> DriftSignal {
    guard value.isFinite else { return .stable }
    count += 1
    rate += (value - rate) / count
    guard count > settings.warmup else { return .stable }
    let deviation = (max(rate * (1 - rate), 0) / count).squareRoot()
    if rate + deviation <= rateMin + deviationMin {
      rateMin = rate
      deviationMin = deviation
    }
    if rate + deviation > rateMin + settings.drift * deviationMin {
      self = DDM()
      return .drift
    }
    return rate + deviation > rateMin + settings.warning * deviationMin ? .warning : .stable
  }
}

/// How sure the Hoeffding-bound detectors are.
@frozen
public struct HoeffdingSettings: BitwiseCopyable, Sendable {
  /// Bounds on the probability that one comparison is wrong, in (0, 1).
  public var drift: Double
  public var warning: Double
  /// Weight of the newest value in the moving average, in (0, 1); `HDDMW` alone.
  public var rate: Double

  @inlinable
  public init(drift: Double = 0.001, warning: Double = 0.005, rate: Double = 0.05) {
    self.drift = drift
    self.warning = warning
    self.rate = rate
  }
}

/// HDDM-A (Frías-Blanco et al. 2015): has the mean of values in 0...1 risen since it was lowest, by
/// more than Hoeffding's bound? For abrupt changes. 32 bytes, O(1). Increases only (`Mirrored`).
@frozen
public struct HDDMA: DriftDetector, Equatable {
  public typealias Settings = HoeffdingSettings

  public private(set) var count = 0.0
  public private(set) var sum = 0.0
  private var countLow = 0.0
  private var sumLow = 0.0

  public init() {}

  public mutating func update(_ value: Double, _ settings: Settings) -> DriftSignal {
    guard value.isFinite else { return .stable }
    count += 1
    sum += value
    let confidence = Elementary.log(1 / settings.drift)
    let bound = (confidence / (2 * count)).squareRoot()
    let isLower =
      countLow == 0
      || sumLow / countLow + (confidence / (2 * countLow)).squareRoot() >= sum / count + bound
    if isLower { (countLow, sumLow) = (count, sum) }
    if hasRisen(settings.drift) {
      self = HDDMA()
      return .drift
    }
    return hasRisen(settings.warning) ? .warning : .stable
  }

  private func hasRisen(_ confidence: Double) -> Bool {
    guard countLow < count else { return false }
    let m = (count - countLow) / countLow / count
    return sum / count - sumLow / countLow
      >= (m / 2 * Elementary.log(2 / confidence)).squareRoot()
  }
}

/// HDDM-W (Frías-Blanco et al. 2015): as HDDM-A with moving averages, by McDiarmid's bound. For
/// gradual changes too. 56 bytes, O(1). Increases only (`Mirrored`).
@frozen
public struct HDDMW: DriftDetector, Equatable {
  public typealias Settings = HoeffdingSettings

  /// A moving average and the sum of its squared weights; `spread` is 0 before any value.
  @usableFromInline
  struct Average: BitwiseCopyable, Equatable, Sendable {
    @usableFromInline var mean = 0.0
    @usableFromInline var spread = 0.0

    @usableFromInline init() {}

    @usableFromInline init(mean: Double, spread: Double) {
      self.mean = mean
      self.spread = spread
    }

    mutating func add(_ value: Double, rate: Double) {
      guard spread > 0 else {
        self = Average(mean: value, spread: 1)
        return
      }
      mean = rate * value + (1 - rate) * mean
      spread = rate * rate + (1 - rate) * (1 - rate) * spread
    }
  }

  private var all = Average()
  private var low = Average()
  private var since = Average()
  private var cut = Double.infinity

  public init() {}

  public mutating func update(_ value: Double, _ settings: Settings) -> DriftSignal {
    guard value.isFinite else { return .stable }
    all.add(value, rate: settings.rate)
    let bound = (all.spread * Elementary.log(1 / settings.drift) / 2).squareRoot()
    if all.mean + bound < cut {
      cut = all.mean + bound
      low = all
      since = Average()
    } else {
      since.add(value, rate: settings.rate)
    }
    if hasRisen(settings.drift) {
      self = HDDMW()
      return .drift
    }
    return hasRisen(settings.warning) ? .warning : .stable
  }

  private func hasRisen(_ confidence: Double) -> Bool {
    guard low.spread > 0, since.spread > 0 else { return false }
    let spread = low.spread + since.spread
    return since.mean - low.mean
      > (spread * Elementary.log(1 / confidence) / 2).squareRoot()
  }
}
