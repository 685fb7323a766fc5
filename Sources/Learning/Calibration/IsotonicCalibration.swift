/// Calibration by a rising curve: the nearest non-decreasing rates, joined by straight lines.
///
/// Needs about 1000 positives before it beats a line. Up to 256 corners, 4 KiB and 8 bytes.
@frozen
public struct IsotonicCalibration: BitwiseCopyable, Sendable, Equatable {
  /// Raw and calibrated probabilities of the corners, rising.
  @usableFromInline var scores = Block256()
  @usableFromInline var rates = Block256()
  @usableFromInline var count: Int64 = 0

  /// The identity.
  public init() {}

  /// Number of corners.
  public var corners: Int { Int(count) }

  /// The most corners that a curve has.
  public static var cornersMax: Int { Block256.count }

  /// A corner: the raw and the calibrated probability.
  public func corner(_ index: Int) -> (score: Double, rate: Double) {
    (scores[index], rates[index])
  }

  /// Adds a corner at the end of a curve.
  ///
  /// - Returns: Whether it is one: its score is above the last, its rate not below, both are
  ///   probabilities, and there is room.
  public mutating func append(score: Double, rate: Double) -> Bool {
    guard corners < IsotonicCalibration.cornersMax, (0...1).contains(score),
      (0...1).contains(rate)
    else { return false }
    if let last = corners > 0 ? corner(corners - 1) : nil {
      guard score > last.score, rate >= last.rate else { return false }
    }
    add(score, rate)
    return true
  }

  /// The calibrated probability of a raw one, in [10⁻⁶, 1 − 10⁻⁶]; the first or last corner's
  /// beyond them, and the raw one itself before any fit. O(log corners).
  public func callAsFunction(_ probability: Double) -> Double {
    let p = Loss.bounded(probability)
    guard count > 0 else { return p }
    return scores.withElements { scores in
      rates.withElements { rates in
        var low = 0
        var high = Int(count)
        // The first corner above p.
        while low < high {
          let middle = (low + high) / 2
          if scores[middle] <= p { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return Loss.bounded(rates[0]) }
        guard low < Int(count) else { return Loss.bounded(rates[low - 1]) }
        let part = (p - scores[low - 1]) / (scores[low] - scores[low - 1])
        return Loss.bounded(rates[low - 1] + part * (rates[low] - rates[low - 1]))
      }
    }
  }

  /// The curve of pooled rates. O(points).
  ///
  /// - Parameters:
  ///   - points: In rising probability; those of equal probability count together.
  ///   - strength: Each point is also seen so often at its own raw probability, which keeps few
  ///     outcomes near the identity and rates off 0 and 1. 0 for the plain regression.
  /// - Returns: The identity for no points. Where the curve has more than 256 corners the points
  ///   are merged by pairs before.
  public static func fit(
    _ points: [CalibrationPoint], strength: Double = 1
  ) -> IsotonicCalibration {
    var merged = mergeTies(points)
    while true {
      let blocks = pool(merged, strength: strength)
      let corners = blocks.reduce(0) { $0 + ($1.first == $1.last ? 1 : 2) }
      if corners <= Block256.count { return IsotonicCalibration(blocks: blocks) }
      merged = halve(merged)
    }
  }

  private init(blocks: [Pool]) {
    for block in blocks {
      add(block.first, block.rate)
      if block.last > block.first { add(block.last, block.rate) }
    }
  }

  private mutating func add(_ score: Double, _ rate: Double) {
    scores[Int(count)] = score
    rates[Int(count)] = rate
    count += 1
  }

  // MARK: Pooling

  /// Neighbours that share a rate.
  struct Pool {
    var first: Double
    var last: Double
    var sum: Double
    var weight: Double

    var rate: Double { sum / weight }
  }

  /// Pools adjacent violators from the lowest score up.
  static func pool(_ points: [CalibrationPoint], strength: Double) -> [Pool] {
    var pools: [Pool] = []
    pools.reserveCapacity(points.count)
    for point in points {
      let p = point.probability
      var next = Pool(
        first: p, last: p, sum: max(point.positives, 0) + strength * p,
        weight: max(point.positives, 0) + max(point.negatives, 0) + strength)
      guard next.weight > 0 else { continue }
      while let before = pools.last, before.rate >= next.rate {
        next.first = before.first
        next.sum += before.sum
        next.weight += before.weight
        pools.removeLast()
      }
      pools.append(next)
    }
    return pools
  }

  private static func mergeTies(_ points: [CalibrationPoint]) -> [CalibrationPoint] {
    var merged: [CalibrationPoint] = []
    merged.reserveCapacity(points.count)
    for point in points {
      guard let last = merged.last else {
        merged.append(point)
        continue
      }
      precondition(point.probability >= last.probability, "points rise in probability")
      if point.probability > last.probability {
        merged.append(point)
      } else {
        merged[merged.count - 1].positives += point.positives
        merged[merged.count - 1].negatives += point.negatives
      }
    }
    return merged
  }

  private static func halve(_ points: [CalibrationPoint]) -> [CalibrationPoint] {
    stride(from: 0, to: points.count, by: 2).map { i in
      guard i + 1 < points.count else { return points[i] }
      let (a, b) = (points[i], points[i + 1])
      let weight = a.weight + b.weight
      return CalibrationPoint(
        probability: weight > 0
          ? (a.weight * a.probability + b.weight * b.probability) / weight : a.probability,
        positives: a.positives + b.positives, negatives: a.negatives + b.negatives)
    }
  }
}
