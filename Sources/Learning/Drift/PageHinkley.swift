/// Page and Hinkley's test: the accumulated distance of values from their running mean, beyond a
/// tolerance, in either direction. 48 bytes, O(1).
@frozen
public struct PageHinkley: DriftDetector, Equatable {
  @frozen
  public struct Settings: BitwiseCopyable, Sendable {
    /// Distance from the mean that is tolerated, in the values' unit.
    public var delta: Double
    /// Accumulated distance that is an alarm.
    public var threshold: Double
    /// What is left of the accumulated distance at each step, in (0, 1].
    public var keep: Double
    /// Observations before the first alarm.
    public var warmup: Double

    @inlinable
    public init(
      delta: Double = 0.005, threshold: Double = 50, keep: Double = 0.9999, warmup: Double = 30
    ) {
      self.delta = delta
      self.threshold = threshold
      self.keep = keep
      self.warmup = warmup
    }
  }

  public private(set) var count = 0.0
  public private(set) var mean = 0.0
  private var rise = 0.0
  private var riseMin = Double.infinity
  private var fall = 0.0
  private var fallMax = -1.0

  public init() {}

  public mutating func update(_ value: Double, _ settings: Settings) -> DriftSignal {
    guard value.isFinite else { return .stable }
    count += 1
    mean += (value - mean) / count
    let distance = value - mean
    rise = settings.keep * rise + distance - settings.delta
    fall = settings.keep * fall + distance + settings.delta
    riseMin = min(riseMin, rise)
    fallMax = max(fallMax, fall)
    guard count >= settings.warmup,
      rise - riseMin > settings.threshold || fallMax - fall > settings.threshold
    else { return .stable }
    self = PageHinkley()
    return .drift
  }
}
