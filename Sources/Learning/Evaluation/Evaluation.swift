// Evaluation: how good predictions were, from sums. Each prediction is scored as it was made,
// before anything was learned from its event, when its label matures.
//
// Everything here is a sum of weights, so it merges by adding and takes back by subtracting; with
// forward-decayed weights the same sums give the fading figures, for a common factor cancels in
// every one of them. Decisions on figures (promotion, drift) live elsewhere.

/// Losses of single predictions.
public enum Loss {
  /// Probabilities are scored as at least this and at most 1 less it: one certain mistake costs
  /// 13.8 at most.
  public static let probabilityMin = 1e-6

  /// A probability within the bounds that are scored; the middle for what is no number.
  @inlinable
  public static func bounded(_ probability: Double) -> Double {
    guard probability == probability else { return 0.5 }
    return min(max(probability, probabilityMin), 1 - probabilityMin)
  }

  /// −y ln p − (1 − y) ln(1 − p), in nats; a label may be a part of 1.
  @inlinable
  public static func log(_ probability: Double, label: Double) -> Double {
    let p = bounded(probability)
    if label == 0 { return -Elementary.log1p(-p) }
    if label == 1 { return -Elementary.log(p) }
    return -label * Elementary.log(p) - (1 - label) * Elementary.log1p(-p)
  }

  /// (p − y)², in 0...1.
  @inlinable
  public static func brier(_ probability: Double, label: Double) -> Double {
    let difference = bounded(probability) - label
    return difference * difference
  }

  /// Entropy of a rate, in nats: the log-loss of predicting it always.
  @inlinable
  public static func entropy(_ rate: Double) -> Double { log(rate, label: rate) }
}

/// Sums that a decay may scale.
public protocol Summable: BitwiseCopyable {
  /// No observations.
  init()

  /// Adds another's sums; takes them away with a factor of −1.
  mutating func add(_ other: Self, times factor: Double)

  /// Multiplies every sum.
  mutating func scale(by factor: Double)
}

/// Sums with forward-decayed weights, beside the landmark that they count from.
@frozen
public struct Fading<Sums: Summable>: BitwiseCopyable {
  public var landmark: Int64
  public var sums: Sums

  @inlinable
  public init() {
    landmark = 0
    sums = Sums()
  }

  /// Brings the sums to the landmark of `time` (ms, not negative) if that is later than theirs, and
  /// returns the weight there of an observation made at `time`. O(1) but at a new landmark.
  @inlinable
  public mutating func weight(at time: Int64, decay: ForwardDecay) -> Double {
    let landmark = decay.landmark(time)
    if landmark > self.landmark {
      sums.scale(by: ForwardDecay.rescale(from: self.landmark, to: landmark))
      self.landmark = landmark
    }
    return decay.weight(time, from: self.landmark)
  }
}
