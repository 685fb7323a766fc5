// Weights that make learning at once from unfinished labels unbiased in expectation. Predictions
// that enter a weight are constants of it: no gradient flows through them. All O(1); arguments are
// probabilities and are cut to 0...1.

@inlinable
func cutToUnit(_ p: Double) -> Double { min(max(p, 0), 1) }

/// Every click is a negative when it comes and a positive when it converts (Ktena et al., RecSys
/// 2019).
public enum FakeNegatives {
  /// A conversion: weight 1 + p, with p the model's own present prediction.
  @inlinable
  public static func positive(predicted: Double) -> WeightedLabel {
    WeightedLabel(label: 1, weight: 1 + cutToUnit(predicted))
  }

  /// A click on its arrival: weight (1 − p)(1 + p).
  @inlinable
  public static func negative(predicted: Double) -> WeightedLabel {
    let p = cutToUnit(predicted)
    return WeightedLabel(label: 0, weight: (1 - p) * (1 + p))
  }

  /// The conversion probability behind the prediction `biased` of a learner that saw fake
  /// negatives unweighted: b / (1 − b), at most 1.
  @inlinable
  public static func calibrated(_ biased: Double) -> Double {
    let b = cutToUnit(biased)
    return b < 0.5 ? b / (1 - b) : 1
  }
}

/// A label is taken after a waiting time; later conversions come again as positives (ES-DFM, Yang
/// et al., AAAI 2021).
///
/// `late` is the predicted probability that a click converts, and only after the waiting time.
public enum ElapsedSampling {
  /// A conversion, whether within the waiting time or later: weight 1 + late.
  @inlinable
  public static func positive(late: Double) -> WeightedLabel {
    WeightedLabel(label: 1, weight: 1 + cutToUnit(late))
  }

  /// A click without a conversion in the waiting time: weight (1 + late) · p₀ / (p₀ + late), where
  /// p₀ = 1 − `predicted` is the probability that it never converts.
  @inlinable
  public static func negative(predicted: Double, late: Double) -> WeightedLabel {
    let none = 1 - cutToUnit(predicted)
    let later = cutToUnit(late)
    let observed = none + later
    // Neither a real nor a late conversion is possible: nobody is left to weigh.
    guard observed > 0 else { return WeightedLabel(label: 0, weight: 0) }
    return WeightedLabel(label: 0, weight: (1 + later) * (none / observed))
  }
}

/// As `ElapsedSampling`, but every click comes again when its window has closed, real negatives
/// too, so that features keep their distribution (DEFER, Gu et al., KDD 2021).
public enum DuplicatedSampling {
  /// A conversion: weight p / (p − late / 2).
  @inlinable
  public static func positive(predicted: Double, late: Double) -> WeightedLabel {
    let p = cutToUnit(predicted)
    // Nobody converts late who does not convert.
    let observed = p - min(cutToUnit(late), p) / 2
    return WeightedLabel(label: 1, weight: observed > 0 ? p / observed : 1)
  }

  /// A click without a conversion so far: weight p₀ / (p₀ + late / 2).
  @inlinable
  public static func negative(predicted: Double, late: Double) -> WeightedLabel {
    let p = cutToUnit(predicted)
    let observed = 1 - p + min(cutToUnit(late), p) / 2
    return WeightedLabel(label: 0, weight: observed > 0 ? (1 - p) / observed : 1)
  }
}
