// The logarithm of the gamma function and what hangs on it.

extension Elementary {
  /// ln Γ(x) for x > 0, within 4 ULP or 10⁻¹⁵, whichever is more. ∞ for 0, NaN below.
  public static func logGamma(_ x: Double) -> Double {
    guard x > 0 else { return x == 0 ? .infinity : .nan }
    if x < 0.5 { return logGammaAroundTwo(x) - log(x * (1 + x)) }
    if x < 1.5 { return logGammaAroundTwo(x - 1) - log(x) }
    if x < 8 {
      var product = 1.0
      var y = x
      while y >= 2.5 {
        y -= 1
        product *= y
      }
      return logGammaAroundTwo(y - 2) + log(product)
    }
    guard x < 1e300 else { return .infinity }
    return (x - 0.5) * (log(x) - 1) + (0.41893853320467274 + stirlingTail(1 / (x * x)) / x)
  }

  /// ln Γ(2 + z) for |z| ≤ 1/2.
  @inline(__always)
  private static func logGammaAroundTwo(_ z: Double) -> Double {
    z * (0.42278433509846713 + z * logGammaTail(z))
  }

  /// ln Γ(x) − ((x − ½) ln x − x + ½ ln 2π): what Stirling's formula leaves. x > 0.
  static func stirlingError(_ x: Double) -> Double {
    if x >= 8 { return stirlingTail(1 / (x * x)) / x }
    return logGamma(x) - ((x - 0.5) * log(x) - x + 0.9189385332046728)
  }

  /// ln(xᵃ yᵇ / B(a, b)) for x + y = 1, relative to its own size and not to that of ln Γ(a + b):
  /// the deviance form of Loader (2000).
  static func logBetaKernel(_ a: Double, _ b: Double, _ x: Double, _ y: Double) -> Double {
    let sum = a + b
    // a·u + b·v = 0, so each logarithm may give its linear part away where that cancels.
    let distance = x * b - y * a
    let u = distance / a
    let v = -distance / b
    let exponent: Double
    if u.magnitude < 0.28 && v.magnitude < 0.28 {
      exponent = a * log1pMinus(u) + b * log1pMinus(v)
    } else if v.magnitude < 0.28 {
      exponent = a * log(x * (sum / a)) + (b * log1pMinus(v) - distance)
    } else if u.magnitude < 0.28 {
      exponent = b * log(y * (sum / b)) + (a * log1pMinus(u) + distance)
    } else {
      exponent = a * log(x * (sum / a)) + b * log(y * (sum / b))
    }
    return exponent + 0.5 * log(a * (b / sum)) - 0.9189385332046728
      + (stirlingError(sum) - stirlingError(a) - stirlingError(b))
  }

  /// The regularised incomplete Beta function I_x(a, b) and 1 − I_x(a, b), for x + y = 1 (both
  /// given, so that neither end loses digits) and a, b > 0. Relative error below 10⁻¹² while
  /// a + b < 10⁶.
  ///
  /// Continued fraction (DLMF 8.17.22) by Lentz's method: O(√max(a, b)) steps.
  static func incompleteBeta(
    _ a: Double, _ b: Double, _ x: Double, _ y: Double
  ) -> (lower: Double, upper: Double) {
    guard x > 0 else { return (0, 1) }
    guard y > 0 else { return (1, 0) }
    let kernel = exp(logBetaKernel(a, b, x, y))
    if x * (a + b + 2) < a + 1 {
      let lower = min(kernel / a * betaFraction(a, b, x), 1)
      return (lower, 1 - lower)
    }
    let upper = min(kernel / b * betaFraction(b, a, y), 1)
    return (1 - upper, upper)
  }

  private static func betaFraction(_ a: Double, _ b: Double, _ x: Double) -> Double {
    let least = 1e-300
    func bounded(_ v: Double) -> Double { v.magnitude < least ? least : v }
    let sum = a + b
    var c = 1.0
    var d = 1 / bounded(1 - sum * x / (a + 1))
    var h = d
    var m = 1.0
    // Far beyond what √max(a, b) steps need for any sum below 2⁵³.
    while m < 1e6 {
      let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      d = 1 / bounded(1 + even * d)
      c = bounded(1 + even / c)
      h *= d * c
      let odd = -(a + m) * (sum + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
      d = 1 / bounded(1 + odd * d)
      c = bounded(1 + odd / c)
      let step = d * c
      h *= step
      if (step - 1).magnitude < 1e-15 { break }
      m += 1
    }
    return h
  }

  // MARK: Polynomials

  /// (ln Γ(2 + z) / z − (1 − γ)) / z for |z| ≤ 1/2.
  @inlinable @inline(__always)
  static func logGammaTail(_ z: Double) -> Double {
    let square = z * z
    var even = 6.286887600397704e-08
    even = even * square + 2.0408401495663627e-07
    even = even * square + 9.573811846241715e-07
    even = even * square + 4.374497421555722e-06
    even = even * square + 2.0507249390577883e-05
    even = even * square + 9.94575106565683e-05
    even = even * square + 0.0005096695248097167
    even = even * square + 0.002890510330740574
    even = even * square + 0.020580808427784553
    even = even * square + 0.3224670334241132
    var odd = -1.3219945666117874e-07
    odd = odd * square - 4.3252393445604814e-07
    odd = odd * square - 2.0439048107029907e-06
    odd = odd * square - 9.438715099211532e-06
    odd = odd * square - 4.49263133791557e-05
    odd = odd * square - 0.00022315475400520507
    odd = odd * square - 0.0011927539118428156
    odd = odd * square - 0.0073855510286719986
    odd = odd * square - 0.0673523010531981
    return even + odd * z
  }

  /// x times the remainder of Stirling’s formula, with y = 1/x², for x ≥ 8.
  @inlinable @inline(__always)
  static func stirlingTail(_ y: Double) -> Double {
    let square = y * y
    var even = 0.0062081367662297935
    even = even * square + 0.0008417325268022405
    even = even * square + 0.0007936507935117282
    even = even * square + 0.08333333333333333
    var odd = -0.020855820837463117
    odd = odd * square - 0.001914965912162907
    odd = odd * square - 0.0005952380234291254
    odd = odd * square - 0.0027777777777776747
    return even + odd * y
  }

}
