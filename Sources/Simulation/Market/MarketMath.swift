/// The few functions that a market draws with, the same to the last bit on every machine.
enum MarketMath {
  /// The natural logarithm of a normal positive number; 1 ulp or so.
  static func log(_ x: Double) -> Double {
    precondition(x > 0 && x.isFinite, "a logarithm of a positive number")
    var exponent = Double(x.exponent)
    var m = x.significand
    if m > 1.4142135623730951 {
      m *= 0.5
      exponent += 1
    }
    // log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.172
    let s = (m - 1) / (m + 1)
    let z = s * s
    var sum = 0.0
    var k = 21.0
    while k > 1 {
      sum = (sum + 1 / k) * z
      k -= 2
    }
    return exponent * 0.6931471805599453 + 2 * s * (1 + sum)
  }

  /// e to a power, 0 below -700 and the largest finite power above 700.
  static func exp(_ x: Double) -> Double {
    if x < -700 { return 0 }
    let bounded = min(x, 700)
    let n = (bounded * 1.4426950408889634).rounded()
    // ln 2 in two parts, so that the difference keeps its bits.
    let r = (bounded - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    var sum = 1.0
    var k = 14.0
    while k > 0 {
      sum = 1 + sum * r / k
      k -= 1
    }
    return sum * Double(sign: .plus, exponent: Int(n), significand: 1)
  }

  /// x to a power, for positive x.
  static func power(_ x: Double, _ y: Double) -> Double { exp(y * log(x)) }

  /// The standard normal's quantile at p in (0, 1): P. J. Acklam's rational approximation, with a
  /// relative error below 1.2e-9.
  static func normalQuantile(_ p: Double) -> Double {
    let tail = 0.02425
    if p < tail { return lowerTail(p) }
    if p > 1 - tail { return -lowerTail(1 - p) }
    let q = p - 0.5
    let r = q * q
    var above = -39.69683028665376
    above = above * r + 220.9460984245205
    above = above * r - 275.9285104469687
    above = above * r + 138.3577518672690
    above = above * r - 30.66479806614716
    above = above * r + 2.506628277459239
    var below = -54.47609879822406
    below = below * r + 161.5858368580409
    below = below * r - 155.6989798598866
    below = below * r + 66.80131188771972
    below = below * r - 13.28068155288572
    return above * q / (below * r + 1)
  }

  private static func lowerTail(_ p: Double) -> Double {
    let q = (-2 * log(max(p, 1e-300))).squareRoot()
    var above = -0.007784894002430293
    above = above * q - 0.3223964580411365
    above = above * q - 2.400758277161838
    above = above * q - 2.549732539343734
    above = above * q + 4.374664141464968
    above = above * q + 2.938163982698783
    var below = 0.007784695709041462
    below = below * q + 0.3224671290700398
    below = below * q + 2.445134137142996
    below = below * q + 3.754408661907416
    return above / (below * q + 1)
  }

  /// A log-normal factor with mean 1 at the quantile `u`.
  static func factor(sigma: Double, _ u: Double) -> Double {
    sigma == 0 ? 1 : exp(sigma * normalQuantile(u) - sigma * sigma / 2)
  }
}

extension Chance.Draws {
  /// Uniform in (0, 1), never either.
  @inline(__always)
  func unit(_ purpose: Chance.Purpose, _ counter: UInt64 = 0) -> Double {
    (Double(bits(purpose, counter) >> 11) + 0.5) * 0x1p-53
  }
}
