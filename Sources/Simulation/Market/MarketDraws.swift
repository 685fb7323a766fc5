import Learning

// How a market draws: quantiles of distributions at a counter-based even chance.

extension Chance.Draws {
  /// Uniform in (0, 1), never either.
  @inline(__always)
  func unit(_ purpose: Chance.Purpose, _ counter: UInt64 = 0) -> Double {
    (Double(bits(purpose, counter) >> 11) + 0.5) * 0x1p-53
  }
}

extension Elementary {
  /// x to a power, for positive x.
  static func positivePower(_ x: Double, _ y: Double) -> Double { exp(y * log(x)) }

  /// A log-normal factor with mean 1 at the quantile `u`.
  static func factor(sigma: Double, _ u: Double) -> Double {
    sigma == 0 ? 1 : exp(sigma * normalQuantile(u) - sigma * sigma / 2)
  }
}
