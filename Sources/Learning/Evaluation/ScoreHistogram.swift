/// Predictions and labels by the log-odds of the prediction: ranking and calibration figures, and
/// the sufficient statistics of the batch calibrators.
///
/// 256 bins of 1/16 from −12 to 4: predictions from 6·10⁻⁶ to 0.98 are told apart to 6 % of their
/// odds; what lies beyond shares the last bins. 6 KiB, O(1) per prediction. Labels may be parts of
/// 1: such a prediction counts as a positive and as a negative by parts.
@frozen
public struct ScoreHistogram: Summable, Sendable, Equatable {
  @inlinable public static var count: Int { 256 }

  /// Weight of positives, of negatives, and Σ predicted of each bin, one after the other: what an
  /// addition changes stands together.
  @usableFromInline var sums = Block768()

  @inlinable public init() {}

  /// The bin of a log-odds.
  @inlinable @inline(__always)
  public static func bin(logit: Double) -> Int {
    guard logit == logit else { return 0 }
    return Int(min(max((logit + 12) * 16, 0), Double(count - 1)))
  }

  /// Adds a scored prediction; a negative weight takes it away.
  ///
  /// - Parameters:
  ///   - logit: The log-odds that `probability` came from; it alone decides the rank.
  ///   - probability: The prediction.
  ///   - label: In 0...1.
  @inlinable
  public mutating func add(
    logit: Double, probability: Double, label: Double, weight: Double = 1
  ) {
    let first = 3 &* ScoreHistogram.bin(logit: logit)
    sums.withMutableElements {
      $0[first] += weight * label
      $0[first &+ 1] += weight * (1 - label)
      $0[first &+ 2] += weight * Loss.bounded(probability)
    }
  }

  /// Adds a scored prediction; a negative weight takes it away.
  @inlinable
  public mutating func add(probability: Double, label: Double, weight: Double = 1) {
    let p = Loss.bounded(probability)
    add(logit: Elementary.logit(p), probability: p, label: label, weight: weight)
  }

  @inlinable
  public mutating func add(_ other: ScoreHistogram, times factor: Double = 1) {
    sums.add(other.sums, times: factor)
  }

  @inlinable
  public mutating func scale(by factor: Double) {
    sums.scale(by: factor)
  }

  /// What one bin holds. Subtraction leaves −10⁻¹⁷ where there is nothing: never below 0.
  @frozen
  public struct Bin: BitwiseCopyable, Sendable, Equatable {
    public var positives: Double
    public var negatives: Double
    /// Σ predicted.
    public var predictions: Double

    public var weight: Double { positives + negatives }
  }

  /// Calls with each bin in falling score.
  @inline(__always)
  private func forEachFromTop(_ body: (Bin) -> Void) {
    sums.withElements { sums in
      for i in stride(from: ScoreHistogram.count - 1, through: 0, by: -1) {
        body(
          Bin(
            positives: max(sums[3 * i], 0), negatives: max(sums[3 * i + 1], 0),
            predictions: max(sums[3 * i + 2], 0)))
      }
    }
  }

  /// All bins, lowest score first.
  public func bins() -> [Bin] {
    var bins: [Bin] = []
    bins.reserveCapacity(ScoreHistogram.count)
    forEachFromTop { bins.append($0) }
    return bins.reversed()
  }
}

/// A figure from bins, and how far the figure of the single predictions may lie from it.
@frozen
public struct Bounded: BitwiseCopyable, Sendable, Equatable {
  public var value: Double
  public var error: Double

  @inlinable
  public init(value: Double, error: Double) {
    self.value = value
    self.error = error
  }
}

extension ScoreHistogram {
  /// Probability that a positive scores above a negative, a tie counting one half; nil without
  /// both. O(bins).
  ///
  /// Pairs within a bin count as ties; the error is half of their share, and met only if every bin
  /// is sorted perfectly or in reverse: what is usual is the square of it.
  public var auc: Bounded? {
    var ranked = 0.0
    var tied = 0.0
    var above = 0.0
    var negatives = 0.0
    forEachFromTop {
      ranked += above * $0.negatives
      tied += $0.positives * $0.negatives
      above += $0.positives
      negatives += $0.negatives
    }
    let pairs = above * negatives
    guard pairs > 0 else { return nil }
    return Bounded(value: (ranked + tied / 2) / pairs, error: tied / 2 / pairs)
  }

  /// Average precision (the step-wise area under the precision–recall curve); nil without
  /// positives. O(bins).
  ///
  /// Predictions of a bin count as tied. The error is met at most when every bin is sorted
  /// perfectly or in reverse.
  public var averagePrecision: Bounded? {
    var positives = 0.0
    var all = 0.0
    var tied = 0.0
    var best = 0.0
    var worst = 0.0
    forEachFromTop { bin in
      guard bin.positives > 0 else {
        all += bin.weight
        return
      }
      tied += bin.positives * (positives + bin.positives) / (all + bin.weight)
      best += bin.positives * (positives + bin.positives) / (all + bin.positives)
      // Negatives first, then ∫ (TP + x) / (n + x) dx over the positives.
      let missed = all + bin.negatives - positives
      let before = all + bin.negatives
      let misses =
        before > 0 ? missed * Elementary.log1p(bin.positives / before) : 0
      worst += max(bin.positives - misses, 0)
      positives += bin.positives
      all += bin.weight
    }
    guard positives > 0 else { return nil }
    let value = tied / positives
    return Bounded(
      value: value, error: max(best / positives - value, value - worst / positives, 0))
  }

  /// The part of positives among the highest-scored `part` of all; nil without positives. O(bins).
  ///
  /// - Parameter part: In (0, 1]; 0.1 is the top decile.
  /// - Returns: The bin at the edge counts by parts; the error is what its order could change.
  public func capture(part: Double = 0.1) -> Bounded? {
    var total = 0.0
    var weight = 0.0
    forEachFromTop {
      total += $0.positives
      weight += $0.weight
    }
    guard total > 0 else { return nil }
    var room = part * weight
    var taken = 0.0
    var error = 0.0
    forEachFromTop { bin in
      guard room > 0, bin.weight > 0 else { return }
      if bin.weight <= room {
        taken += bin.positives
      } else {
        let even = bin.positives * room / bin.weight
        taken += even
        let most = min(bin.positives, room)
        let least = max(room - bin.negatives, 0)
        error = max(most - even, even - least)
      }
      room -= bin.weight
    }
    return Bounded(value: taken / total, error: error / total)
  }

  /// The rate among the highest-scored `part` over the rate of all; as `capture`.
  public func lift(part: Double = 0.1) -> Bounded? {
    capture(part: part).map { Bounded(value: $0.value / part, error: $0.error / part) }
  }

  /// Distance between predicted and observed rates over ten groups of equal weight, whatever the
  /// rates are; nil when empty. A bin at the edge of two groups is divided by parts. O(bins).
  public func calibration(groups: Int = 10) -> CalibrationError? {
    precondition(groups >= 1, "calibration is judged over at least one group")
    var weight = 0.0
    forEachFromTop { weight += $0.weight }
    guard weight > 0 else { return nil }
    let size = weight / Double(groups)
    var error = CalibrationError.Sums()
    var group = Bin(positives: 0, negatives: 0, predictions: 0)
    func close() {
      guard group.weight > 1e-9 * size else { return }
      error.add(
        weight: group.weight, predicted: group.predictions, observed: group.positives)
      group = Bin(positives: 0, negatives: 0, predictions: 0)
    }
    forEachFromTop { bin in
      var left = 1.0
      while left > 0, bin.weight > 0 {
        let part = min(left, max(size - group.weight, 0) / bin.weight)
        group.positives += part * bin.positives
        group.negatives += part * bin.negatives
        group.predictions += part * bin.predictions
        left -= part
        if part == 0 || group.weight >= size * (1 - 1e-12) { close() }
        if part == 0 && group.weight == 0 && size == 0 { break }
      }
    }
    close()
    return error.result
  }
}
