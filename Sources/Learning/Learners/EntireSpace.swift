/// Click and conversion rates that are learned over all impressions (Ma et al., SIGIR 2018):
/// pCTCVR = pCTR · pCVR, and the conversion head learns from the loss of pCTCVR alone, so that it
/// is not biased toward what was clicked.
///
/// No gradient of that loss goes into the click head: its labels are known after minutes, and
/// conversions that are still missing would pull it down.
public enum EntireSpace {
  /// What the conversion head learns from one impression.
  @frozen
  public struct Example: BitwiseCopyable, Sendable {
    /// In 0...1.
    public var label: Double
    /// Not negative.
    public var weight: Double
    @inlinable
    init(label: Double, weight: Double) {
      self.label = label
      self.weight = weight
    }
  }

  /// The loss −k ln c − (1 − k) ln(1 − c), c = p q, has the derivative (c − k)(1 − q) / (1 − c) by
  /// q's log-odds. That is the derivative of a logistic loss: of a conversion with weight k, and of
  /// none with (1 − k) times p (1 − q) / (1 − c), the probability that an impression that did not
  /// convert was clicked. In this form every learner can take it.
  ///
  /// - Parameters:
  ///   - click: p, in (0, 1): predicted, or 1 where a click was observed.
  ///   - conversion: q, in (0, 1).
  ///   - credit: k, in 0...1: the part of a conversion that the impression brought.
  @inlinable @inline(__always)
  public static func example(click: Double, conversion: Double, credit: Double) -> Example {
    let clickedAnyway = click * (1 - conversion) / (1 - click * conversion)
    let weight = credit + (1 - credit) * clickedAnyway
    return Example(label: weight > 0 ? credit / weight : 0, weight: weight)
  }

  // MARK: Labels that come late

  // A clicked impression without a conversion and one without a click are the same here, and the
  // loss holds them against each other: it may only be learned from labels of the same age. Where
  // clicks wait for their conversions and other impressions do not, q falls toward 0 for as long as
  // the wait, and comes back slowly.

  /// (1 − q) / (1 − c): what a unit of pCTCVR weighs in the derivative by q's log-odds.
  @inlinable @inline(__always)
  public static func slope(click: Double, conversion: Double) -> Double {
    (1 - conversion) / (1 - click * conversion)
  }
}
