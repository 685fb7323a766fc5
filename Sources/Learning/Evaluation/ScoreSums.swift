/// Log-loss, normalised entropy, Brier score and calibration ratio of a stream of predictions.
///
/// 40 bytes, O(1). A label is 0, 1 or a part of 1 (credit).
@frozen
public struct ScoreSums: Summable, Sendable, Equatable {
  /// Σ weight.
  public var weight = 0.0
  /// Σ weight · label.
  public var labels = 0.0
  /// Σ weight · predicted probability, as scored.
  public var predictions = 0.0
  /// Σ weight · log-loss, nats.
  public var losses = 0.0
  /// Σ weight · (p − y)².
  public var squares = 0.0

  @inlinable public init() {}

  /// Adds a scored prediction; a negative weight takes it away.
  @inlinable
  public mutating func add(probability: Double, label: Double, weight: Double = 1) {
    self.weight += weight
    labels += weight * label
    predictions += weight * Loss.bounded(probability)
    losses += weight * Loss.log(probability, label: label)
    squares += weight * Loss.brier(probability, label: label)
  }

  @inlinable
  public mutating func add(_ other: ScoreSums, times factor: Double = 1) {
    weight += factor * other.weight
    labels += factor * other.labels
    predictions += factor * other.predictions
    losses += factor * other.losses
    squares += factor * other.squares
  }

  @inlinable
  public mutating func scale(by factor: Double) {
    weight *= factor
    labels *= factor
    predictions *= factor
    losses *= factor
    squares *= factor
  }

  /// Mean log-loss, nats; nil without observations.
  @inlinable
  public var logLoss: Double? { weight > 0 ? max(losses / weight, 0) : nil }

  /// Mean squared error; nil without observations.
  @inlinable
  public var brier: Double? { weight > 0 ? max(squares / weight, 0) : nil }

  /// Mean log-loss over that of always predicting the rate of these same observations: below 1 is
  /// better than knowing the rate (He et al. 2014). nil while all labels are the same.
  @inlinable
  public var normalizedEntropy: Double? {
    guard weight > 0, labels > 0, labels < weight else { return nil }
    return max(losses / weight, 0) / Loss.entropy(labels / weight)
  }

  /// Σ predicted / Σ labels: above 1 is too confident. nil without a positive label.
  @inlinable
  public var calibrationRatio: Double? { labels > 0 ? predictions / labels : nil }
}

/// Predictions in ten bins of equal width, for the calibration curve that people read.
///
/// 240 bytes, O(1). Low rates all fall into the first bin: judge those by
/// `ScoreHistogram.calibration`.
@frozen
public struct ReliabilityTable: Summable, Sendable, Equatable {
  public static var bins: Int { 10 }

  /// Weight, Σ predicted and Σ labels of each bin, one after the other.
  @usableFromInline var sums = Block32()

  @inlinable public init() {}

  /// Adds a scored prediction; a negative weight takes it away.
  @inlinable
  public mutating func add(probability: Double, label: Double, weight: Double = 1) {
    let p = Loss.bounded(probability)
    let bin = min(Int(p * Double(ReliabilityTable.bins)), ReliabilityTable.bins - 1)
    sums.withElements {
      $0[3 * bin] += weight
      $0[3 * bin + 1] += weight * p
      $0[3 * bin + 2] += weight * label
    }
  }

  @inlinable
  public mutating func add(_ other: ReliabilityTable, times factor: Double = 1) {
    sums.add(other.sums, times: factor)
  }

  @inlinable
  public mutating func scale(by factor: Double) { sums.scale(by: factor) }

  /// A bin's weight, mean prediction and mean label; nil when it is empty.
  public func bin(_ index: Int) -> (weight: Double, predicted: Double, observed: Double)? {
    let weight = sums[3 * index]
    guard weight > 0 else { return nil }
    return (weight, sums[3 * index + 1] / weight, sums[3 * index + 2] / weight)
  }

  /// Expected and largest distance between predicted and observed rates; nil when empty.
  public var calibration: CalibrationError? {
    var error = CalibrationError.Sums()
    for index in 0..<ReliabilityTable.bins {
      guard let bin = bin(index) else { continue }
      error.add(
        weight: bin.weight, predicted: bin.weight * bin.predicted,
        observed: bin.weight * bin.observed)
    }
    return error.result
  }
}

/// How far observed rates lie from predicted ones over groups of predictions.
///
/// Biased upward by chance: with B groups of n observations in all, about √(B / n) times the
/// labels' standard deviation where there is no error at all.
@frozen
public struct CalibrationError: BitwiseCopyable, Sendable, Equatable {
  /// Weighted mean of the groups' distances (ECE).
  public var expected: Double
  /// The largest of them (MCE).
  public var largest: Double

  struct Sums {
    var weight = 0.0
    var distances = 0.0
    var largest = 0.0

    mutating func add(weight: Double, predicted: Double, observed: Double) {
      self.weight += weight
      distances += (predicted - observed).magnitude
      largest = max(largest, (predicted - observed).magnitude / weight)
    }

    var result: CalibrationError? {
      weight > 0 ? CalibrationError(expected: distances / weight, largest: largest) : nil
    }
  }
}
