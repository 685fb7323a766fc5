/// Differential privacy of normal noise on a sum to which each account adds a vector of length at
/// most 1: exact, by Balle and Wang's analysis (ICML 2018, Theorem 8), not a tail bound.
///
/// Several rounds in which all accounts take part are one with σ / √rounds, exactly.
public enum GaussianMechanism {
  /// The δ that holds with ε: Φ(1/2σ − εσ) − e^ε Φ(−1/2σ − εσ).
  ///
  /// - Parameters:
  ///   - epsilon: At least 0.
  ///   - sigma: Standard deviation of the noise over the clipping length, above 0.
  public static func delta(epsilon: Double, sigma: Double) -> Double {
    precondition(epsilon >= 0 && sigma > 0, "privacy has ε ≥ 0 and noise above 0")
    let near = 1 / (2 * sigma) - epsilon * sigma
    let far = 1 / (2 * sigma) + epsilon * sigma
    // e^ε φ(far) = φ(near), so the second term is φ(near) times Mills' ratio of `far`.
    let second = Elementary.normalDensity(near) * millsRatio(far)
    return min(max(Elementary.normalCDF(near) - second, 0), 1)
  }

  /// Φ(−x) / φ(x) for x ≥ 0.
  private static func millsRatio(_ x: Double) -> Double {
    guard x > 25 else { return Elementary.normalCDF(-x) / Elementary.normalDensity(x) }
    let y = 1 / (x * x)
    return (1 - y * (1 - 3 * y * (1 - 5 * y * (1 - 7 * y)))) / x
  }

  /// The least ε that holds with δ; ∞ above 10⁶.
  ///
  /// - Parameter delta: In (0, 1).
  public static func epsilon(delta: Double, sigma: Double) -> Double {
    precondition(delta > 0 && delta < 1 && sigma > 0, "privacy has 0 < δ < 1 and noise above 0")
    guard self.delta(epsilon: 0, sigma: sigma) > delta else { return 0 }
    var low = 0.0
    var high = 1.0
    while self.delta(epsilon: high, sigma: sigma) > delta {
      guard high < 1e6 else { return .infinity }
      low = high
      high *= 2
    }
    for _ in 0..<100 {
      let middle = low + (high - low) / 2
      guard middle > low, middle < high else { break }
      if self.delta(epsilon: middle, sigma: sigma) > delta { low = middle } else { high = middle }
    }
    return high
  }

  /// The least noise, over the clipping length, with which ε and δ hold.
  ///
  /// - Parameters:
  ///   - epsilon: Above 0.
  ///   - delta: In (0, 1).
  public static func sigma(epsilon: Double, delta: Double) -> Double {
    precondition(epsilon > 0 && delta > 0 && delta < 1, "privacy has ε > 0 and 0 < δ < 1")
    var low = 1e-6
    var high = 1.0
    while self.delta(epsilon: epsilon, sigma: high) > delta, high < 1e12 { high *= 2 }
    for _ in 0..<200 {
      let middle = (low * high).squareRoot()
      guard middle > low, middle < high else { break }
      if self.delta(epsilon: epsilon, sigma: middle) > delta { low = middle } else { high = middle }
    }
    return high
  }
}

/// What an account has given away of its privacy over all rounds so far. 8 bytes, O(1).
@frozen
public struct PrivacyLedger: BitwiseCopyable, Sendable, Equatable {
  /// Σ 1 / σ² over the rounds.
  public private(set) var spent = 0.0

  @inlinable public init() {}

  /// A round took place.
  ///
  /// - Parameter sigma: Its noise over the clipping length, above 0.
  public mutating func add(sigma: Double) {
    precondition(sigma > 0, "a round has noise above 0")
    spent += 1 / (sigma * sigma)
  }

  /// The ε of all rounds together, with δ in (0, 1).
  public func epsilon(delta: Double) -> Double {
    spent > 0 ? GaussianMechanism.epsilon(delta: delta, sigma: 1 / spent.squareRoot()) : 0
  }

  /// Whether another round would stay within ε and δ.
  public func permits(sigma: Double, epsilon: Double, delta: Double) -> Bool {
    var next = self
    next.add(sigma: sigma)
    return next.epsilon(delta: delta) <= epsilon
  }
}
