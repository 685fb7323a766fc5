/// Gauss–Legendre nodes and weights on [-1, 1].
public struct GaussLegendre: Sendable {
  public let nodes: [Double]
  public let weights: [Double]

  /// 32 nodes: exact for polynomials up to degree 63.
  public static let coarse = GaussLegendre(count: 32)

  /// 64 nodes: exact for polynomials up to degree 127.
  public static let standard = GaussLegendre(count: 64)

  /// The roots of the Legendre polynomial, from the largest down: Newton's method with the known
  /// roots divided out, then on the polynomial itself. O(count²) evaluations of a recurrence.
  ///
  /// - Parameter count: 2…512.
  public init(count: Int) {
    precondition(count >= 2 && count <= 512, "a rule has 2…512 nodes")
    var nodes = [Double](repeating: 0, count: count)
    var weights = nodes
    for i in 0..<(count + 1) / 2 {
      var x = i == 0 ? 1 : nodes[i - 1]
      for step in 0..<200 {
        let (value, slope) = GaussLegendre.polynomial(count, x)
        var deflation = 0.0
        // Both of each pair of known roots; the first steps only, the last are plain.
        for j in 0..<i { deflation += 1 / (x - nodes[j]) + 1 / (x + nodes[j]) }
        let change = step == 0 && i > 0 ? 1e-3 / Double(count) : value / (slope - value * deflation)
        x -= change
        if change.magnitude < 1e-9 { break }
      }
      for _ in 0..<3 {
        let (value, slope) = GaussLegendre.polynomial(count, x)
        x -= value / slope
      }
      if count % 2 == 1 && i == count / 2 { x = 0 }
      let slope = GaussLegendre.polynomial(count, x).slope
      let weight = 2 / ((1 - x * x) * slope * slope)
      nodes[i] = x
      nodes[count - 1 - i] = -x
      weights[i] = weight
      weights[count - 1 - i] = weight
    }
    self.nodes = nodes
    self.weights = weights
  }

  /// The Legendre polynomial and its derivative.
  private static func polynomial(_ n: Int, _ x: Double) -> (value: Double, slope: Double) {
    var previous = 1.0
    var value = x
    for k in 2..<(n + 1) {
      let m = Double(k)
      (previous, value) = (value, ((2 * m - 1) * x * value - (m - 1) * previous) / m)
    }
    // At ±1 the general form is 0/0.
    let slope =
      x == 1
      ? 0.5 * Double(n) * Double(n + 1)
      : Double(n) * (x * value - previous) / (x * x - 1)
    return (value, slope)
  }
}
