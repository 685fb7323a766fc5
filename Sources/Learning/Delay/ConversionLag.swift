/// Bins of lag, even in its logarithm: the first up to `first`, the others from there to `window`.
@frozen
public struct LagBins: BitwiseCopyable, Sendable, Equatable {
  /// Number of bins.
  public static var count: Int { Block64.count }

  /// End of the first bin, ms.
  public let first: Double
  /// End of the last bin, ms: how long a conversion may take.
  public let window: Double
  /// Bins per unit of the logarithm.
  let density: Double

  /// - Parameters:
  ///   - first: In ms, at least 1: lags below it are not told apart.
  ///   - window: In ms, above `first`, at most 2⁵⁰.
  public init(first: Int64 = 60_000, window: Int64 = 2_592_000_000) {
    precondition(
      first >= 1 && window > first && window <= 1 << 50,
      "lag bins run from at least 1 ms to a later end of at most 2^50 ms")
    self.first = Double(first)
    self.window = Double(window)
    density = Double(LagBins.count - 1) / Elementary.log(Double(window) / Double(first))
  }

  /// Where a bin ends, ms; O(1).
  public func end(_ bin: Int) -> Double {
    bin == LagBins.count - 1 ? window : first * Elementary.exp(Double(bin) / density)
  }

  /// The bin of a lag (ms; what is below 0 counts as 0) and the part of the bin below it;
  /// `count` and 0 from the window's end on.
  public func position(_ lag: Double) -> (bin: Int, part: Double) {
    guard lag < window else { return (LagBins.count, 0) }
    guard lag >= first else { return (0, max(lag, 0) / first) }
    let bin = min(1 + Int(Elementary.log(lag / first) * density), LagBins.count - 1)
    let start = end(bin - 1)
    return (bin, min(max((lag - start) / (end(bin) - start), 0), 1))
  }
}

/// How long after the click conversions come: sums for a Kaplan–Meier curve over all clicks, the
/// pending ones as far as they have been followed.
///
/// Lags of conversions seen so far are too short on average, for long ones of young clicks are
/// still to come (right truncation). Here clicks are what is followed, and a young one says
/// nothing about the ages that it has not reached, so the curve is not biased. A click followed
/// into a bin counts in it by the part of the bin that it has passed (the actuarial rule, with
/// exact parts). That is exact up to the width of a bin, 18 % of the lag by default.
///
/// Everything is a sum of weights: give each click the weight of its time (`ForwardDecay`) with
/// every call about it, take a click back with the weight negated, merge by adding. 1.5 KiB, O(1)
/// per call. Ages and lags are in ms.
@frozen
public struct ConversionLag: BitwiseCopyable, Sendable, Equatable {
  /// Weight of conversions by the bin of their lag.
  @usableFromInline var conversions = Block64()
  /// Weight of clicks without conversion by the bin that they were followed into.
  @usableFromInline var pending = Block64()
  /// Parts of those bins that they have passed, weighted.
  @usableFromInline var parts = Block64()
  /// Weight of clicks followed to the window's end.
  @usableFromInline var unconverted = 0.0

  public init() {}

  /// A click begins to be followed, at age 0.
  public mutating func open(weight: Double = 1) { pending[0] += weight }

  /// A click has not converted up to a later age.
  ///
  /// - Parameter from: The age given in the last call about this click, 0 after `open`.
  public mutating func follow(from: Double, to: Double, weight: Double = 1, bins: LagBins) {
    place(from, weight: -weight, bins: bins)
    place(to, weight: weight, bins: bins)
  }

  /// A click converted.
  ///
  /// - Parameters:
  ///   - from: As in `follow`.
  ///   - lag: From the click to the conversion; beyond the window it is none.
  public mutating func convert(from: Double, lag: Double, weight: Double = 1, bins: LagBins) {
    place(from, weight: -weight, bins: bins)
    let (bin, _) = bins.position(lag)
    if bin < LagBins.count { conversions[bin] += weight } else { unconverted += weight }
  }

  private mutating func place(_ age: Double, weight: Double, bins: LagBins) {
    let (bin, part) = bins.position(age)
    guard bin < LagBins.count else {
      unconverted += weight
      return
    }
    pending[bin] += weight
    parts[bin] += weight * part
  }

  /// Adds another's sums, or takes them away with `times` −1.
  public mutating func add(_ other: ConversionLag, times factor: Double = 1) {
    conversions.add(other.conversions, times: factor)
    pending.add(other.pending, times: factor)
    parts.add(other.parts, times: factor)
    unconverted += factor * other.unconverted
  }

  /// Multiplies every sum: for a new landmark of the decay.
  public mutating func scale(by factor: Double) {
    conversions.scale(by: factor)
    pending.scale(by: factor)
    parts.scale(by: factor)
    unconverted *= factor
  }

  /// The curve that follows from the sums. O(bins).
  public func curve(_ bins: LagBins) -> LagCurve {
    var hazards = Block64()
    var later = unconverted
    hazards.withElements { hazards in
      for bin in stride(from: LagBins.count - 1, through: 0, by: -1) {
        let converted = max(conversions[bin], 0)
        let atRisk = later + converted + max(parts[bin], 0)
        hazards[bin] = converted > 0 && atRisk > 0 ? min(converted / atRisk, 1) : 0
        later = max(later + conversions[bin] + pending[bin], 0)
      }
    }
    return LagCurve(hazards: hazards, bins: bins)
  }
}

/// The part of clicks that have not converted by an age, and what follows from it.
@frozen
public struct LagCurve: BitwiseCopyable, Sendable, Equatable {
  public let bins: LagBins
  /// Probability of no conversion up to the end of each bin.
  @usableFromInline var ends = Block64()

  init(hazards: Block64, bins: LagBins) {
    self.bins = bins
    var survival = 1.0
    ends.withElements { ends in
      hazards.withElements { hazards in
        for bin in 0..<ends.count {
          survival *= 1 - hazards[bin]
          ends[bin] = survival
        }
      }
    }
  }

  /// Probability that a click has not converted by an age (ms); geometric within a bin. O(1).
  public func survival(_ age: Double) -> Double {
    let (bin, part) = bins.position(age)
    guard bin < LagBins.count else { return ends[LagBins.count - 1] }
    let start = bin == 0 ? 1 : ends[bin - 1]
    let end = ends[bin]
    guard end > 0 else { return start * (1 - part) }
    return start * Elementary.exp(part * Elementary.log(end / start))
  }

  /// Probability that a click converts within the window.
  public var conversionRate: Double { 1 - ends[LagBins.count - 1] }

  /// The part of the window's conversions that has come by an age (ms), in 0...1; nil while no
  /// conversion is known. A count of young clicks' conversions divided by it forecasts the final
  /// count; below 0.3 or so the quotient is noise.
  public func maturity(_ age: Double) -> Double? {
    let rate = conversionRate
    guard rate > 0 else { return nil }
    return min(max((1 - survival(age)) / rate, 0), 1)
  }

  /// Probability that a click which has not converted by an age (ms) still will within the window:
  /// the soft label of a pending click, for all clicks alike.
  public func pendingLabel(_ age: Double) -> Double {
    let now = survival(age)
    return now > 0 ? min(max(1 - ends[LagBins.count - 1] / now, 0), 1) : 0
  }
}
