/// The population stability index: how far a feature's distribution has moved from a reference,
/// over up to 16 bins. Below 0.1 is called stable, above 0.25 a shift, if chance cannot do it.
///
/// Reference and present counts are sums: they merge and subtract. 392 bytes, O(log bins).
@frozen
public struct PopulationStability: BitwiseCopyable, Sendable, Equatable {
  public static var binsMax: Int { 16 }
  /// A share counts as at least this, for an empty bin is no proof of never.
  public static let shareMin = 1e-4

  private var reference = Block8()
  private var referenceRest = Block8()
  private var present = Block8()
  private var presentRest = Block8()
  /// Upper ends of all bins but the last.
  private var edges = Block8()
  private var edgesRest = Block8()
  private var bins: Int64

  /// Bins that are named by their number.
  ///
  /// - Parameter bins: 2...16.
  public init(bins: Int) {
    precondition(
      bins >= 2 && bins <= PopulationStability.binsMax, "stability is judged over 2...16 bins")
    self.bins = Int64(bins)
  }

  /// Bins between the deciles of a sample. A value at an edge is in the bin below it; where values
  /// repeat there are fewer bins than ten.
  ///
  /// - Parameter sample: Finite; at least one. Sorted here.
  public init(decilesOf sample: [Double]) {
    precondition(!sample.isEmpty, "deciles are of a sample")
    let sorted = sample.sorted()
    var ends: [Double] = []
    for i in 1..<10 {
      let end = sorted[min(sorted.count * i / 10, sorted.count - 1)]
      if ends.last.map({ end > $0 }) ?? true { ends.append(end) }
    }
    self.init(bins: ends.count + 1)
    for (i, end) in ends.enumerated() {
      PopulationStability.set(&edges, &edgesRest, i, end)
    }
  }

  private static func get(_ a: Block8, _ b: Block8, _ i: Int) -> Double {
    i < 8 ? a[i] : b[i - 8]
  }

  private static func set(_ a: inout Block8, _ b: inout Block8, _ i: Int, _ value: Double) {
    if i < 8 { a[i] = value } else { b[i - 8] = value }
  }

  /// The bin of a value; the last for what is no number.
  public func bin(of value: Double) -> Int {
    let last = Int(bins) - 1
    for i in 0..<last where value <= PopulationStability.get(edges, edgesRest, i) { return i }
    return last
  }

  /// Counts a value of the reference.
  public mutating func addReference(bin: Int, weight: Double = 1) {
    precondition(bin >= 0 && bin < Int(bins), "there is no such bin")
    if bin < 8 { reference.add(weight, at: bin) } else { referenceRest.add(weight, at: bin - 8) }
  }

  /// Counts a value of the present.
  public mutating func addPresent(bin: Int, weight: Double = 1) {
    precondition(bin >= 0 && bin < Int(bins), "there is no such bin")
    if bin < 8 { present.add(weight, at: bin) } else { presentRest.add(weight, at: bin - 8) }
  }

  /// Begins a new present; the old one joins the reference if it is not to be told from it.
  public mutating func next(joining: Bool) {
    if joining {
      reference.add(present)
      referenceRest.add(presentRest)
    }
    present = Block8()
    presentRest = Block8()
  }

  /// What is found of the present.
  @frozen
  public struct Index: BitwiseCopyable, Sendable, Equatable {
    /// Σ (o − e) ln(o / e) over the bins' shares.
    public var value: Double
    /// What chance alone gives on average: (bins − 1)(1/N + 1/M).
    public var expected: Double
    /// Its standard deviation: that of χ² with bins − 1 degrees of freedom.
    public var deviation: Double

    /// How far the index is beyond chance, in standard deviations.
    public var excess: Double { deviation > 0 ? (value - expected) / deviation : 0 }
  }

  /// The index of the present against the reference; nil while either is empty.
  public var index: Index? {
    var expected: [Double] = []
    var observed: [Double] = []
    for i in 0..<Int(bins) {
      expected.append(max(PopulationStability.get(reference, referenceRest, i), 0))
      observed.append(max(PopulationStability.get(present, presentRest, i), 0))
    }
    return PopulationStability.index(expected: expected, observed: observed)
  }

  /// The index of counts against counts; nil while either sums to 0.
  public static func index(expected: [Double], observed: [Double]) -> Index? {
    precondition(expected.count == observed.count, "both are counted over the same bins")
    let (n, m) = (expected.reduce(0, +), observed.reduce(0, +))
    guard n > 0, m > 0 else { return nil }
    var value = 0.0
    for (e, o) in zip(expected, observed) {
      let (e, o) = (max(e / n, shareMin), max(o / m, shareMin))
      value += (o - e) * Elementary.log(o / e)
    }
    let noise = 1 / n + 1 / m
    let degrees = Double(expected.count - 1)
    return Index(
      value: value, expected: degrees * noise, deviation: (2 * degrees).squareRoot() * noise)
  }
}
