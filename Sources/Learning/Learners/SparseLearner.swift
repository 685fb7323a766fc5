// Learners: models that learn from one example at a time, in whatever order examples come.
//
// What lives here is arithmetic on coordinates: small structs of numbers, one per feature, that
// stand in memory which somebody else owns, grows, hashes into and snapshots. A learner itself is
// its settings and holds nothing that changes. Features are numbers of rows with values; where
// they come from, when a label is known and what is done with a prediction is not decided here.

/// Two numbers, one for each of two heads that share their features: clicks and conversions.
/// A single model uses the first lane and learns with weight 0 in the second.
public typealias Heads = SIMD2<Double>

extension SIMD2<Double> {
  /// Square roots of numbers that are not negative. What asks for the magnitude's is compiled to one
  /// instruction for both; for a number that might be negative the C library would be called.
  @inlinable @inline(__always)
  var roots: Heads { Heads(x.magnitude.squareRoot(), y.magnitude.squareRoot()) }
}

/// The active features of one example: rows of coordinates, and the feature's value at each.
///
/// Values are 0 or of a magnitude from `FeatureValue.least` to `FeatureValue.limit`, as
/// `FeatureValue.bounded` makes them.
/// No row is named twice, or it is as two features that happen to share what is learned.
@frozen
public struct ActiveFeatures<Coordinate: BitwiseCopyable> {
  @usableFromInline let coordinates: UnsafeMutablePointer<Coordinate>
  @usableFromInline let rows: UnsafePointer<Int32>
  @usableFromInline let values: UnsafePointer<Double>
  public let count: Int

  /// - Parameters:
  ///   - coordinates: Row 0; every named row is initialised.
  ///   - rows: `count` rows, not below 0.
  ///   - values: `count` values.
  @inlinable @inline(__always)
  public init(
    coordinates: UnsafeMutablePointer<Coordinate>, rows: UnsafePointer<Int32>,
    values: UnsafePointer<Double>, count: Int
  ) {
    self.coordinates = coordinates
    self.rows = rows
    self.values = values
    self.count = count
  }

  @inlinable @inline(__always)
  func at(_ index: Int) -> UnsafeMutablePointer<Coordinate> {
    coordinates + Int(rows[index])
  }
}

/// A model of two rates over sparse features, learned one example at a time.
///
/// Labels are in 0...1: an uncertain or shared outcome is a soft one, and costs what the mixture of
/// both outcomes would. Weights are finite and not negative; with weight 0 a head learns nothing
/// and none of its numbers changes. All functions are O(features) and allocate nothing.
public protocol SparseLearner: Sendable {
  /// What is known of one feature, for both heads.
  associatedtype Coordinate: BitwiseCopyable, Sendable
  /// What is known beside features: one for each set of coordinates.
  associatedtype Total: BitwiseCopyable, Sendable
  /// What a prediction leaves for learning from the same example.
  associatedtype Score: BitwiseCopyable, Sendable

  /// Of a feature that was never seen: a function of the feature alone, not of when it comes.
  func coordinate(of feature: UInt32) -> Coordinate

  func total() -> Total

  func score(_ features: ActiveFeatures<Coordinate>, _ total: Total) -> Score

  /// Both rates, in `Rate.least`...1 − `Rate.least`.
  func rates(_ score: Score) -> Heads

  /// Learns from the example that was scored. Nothing may have been learned in between.
  func learn(
    _ features: ActiveFeatures<Coordinate>, _ total: inout Total, _ score: Score, labels: Heads,
    weights: Heads)
}

/// Values of features, as learners take them.
public enum FeatureValue {
  /// 2²⁰: squares and products of such values, summed over all features, stay far from overflow.
  @inlinable @inline(__always) public static var limit: Double { 0x1p20 }

  /// 2⁻⁴⁰: what is nearer to 0 is 0.
  @inlinable @inline(__always) public static var least: Double { 0x1p-40 }

  /// The nearest value that learners take; 0 for NaN.
  @inlinable @inline(__always)
  public static func bounded(_ value: Double) -> Double {
    guard value.magnitude >= least else { return 0 }
    return min(max(value, -limit), limit)
  }
}

/// Rates and their log-odds.
public enum Rate {
  /// No published rate is nearer to 0 or 1.
  @inlinable @inline(__always) public static var least: Double { 1e-6 }

  /// Log-odds are cut here before they become rates.
  @inlinable @inline(__always) public static var logitMax: Double { 35 }

  /// 1 / (1 + e⁻ˣ), the log-odds cut at ±35: never 0 or 1.
  @inlinable @inline(__always)
  public static func sigmoid(_ logit: Double) -> Double {
    1 / (1 + Elementary.exp(-min(max(logit, -logitMax), logitMax)))
  }

  @inlinable @inline(__always)
  public static func sigmoid(_ logits: Heads) -> Heads {
    let limit = Heads(repeating: logitMax)
    let bounded =
      logits.replacing(with: limit, where: logits .> limit)
      .replacing(with: -limit, where: logits .< -limit)
    return 1 / (1 + Elementary.exp(-bounded))
  }

  @inlinable @inline(__always)
  public static func bounded(_ rate: Double) -> Double { min(max(rate, least), 1 - least) }

  @inlinable @inline(__always)
  public static func bounded(_ rates: Heads) -> Heads {
    Heads(bounded(rates.x), bounded(rates.y))
  }

  /// ln(p / (1 − p)) of a bounded rate.
  @inlinable
  public static func logit(_ rate: Double) -> Double {
    Elementary.log(rate) - Elementary.log1p(-rate)
  }

  /// −y ln p − (1 − y) ln(1 − p); `rate` in (0, 1).
  @inlinable
  public static func logLoss(_ label: Double, _ rate: Double) -> Double {
    // What is known for certain needs one logarithm; the sum below would be the same.
    if label == 0 { return -Elementary.log1p(-rate) }
    if label == 1 { return -Elementary.log(rate) }
    return -(label * Elementary.log(rate) + (1 - label) * Elementary.log1p(-rate))
  }
}
