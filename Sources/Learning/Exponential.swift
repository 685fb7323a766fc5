// Exponentials and logarithms.

extension Elementary {
  /// Upper 32 bits of ln 2: a product with an exponent is exact.
  @inlinable @inline(__always) static var ln2High: Double { 0x1.62e42feep-1 }
  @inlinable @inline(__always) static var ln2Low: Double { 0x1.a39ef35793c76p-33 }
  /// Adding it rounds to an integer, whose bits then stand lowest.
  @inlinable @inline(__always) static var rounder: Double { 0x1.8p52 }

  /// 2ᵏ for k in -1022...1023.
  @inlinable @inline(__always)
  static func power(_ k: Int64) -> Double {
    Double(bitPattern: UInt64(bitPattern: k &+ 1023) &<< 52)
  }

  /// x·2ᵏ for k in -1200...1200, rounded once when `x` lies in [1/2, 2].
  @inlinable
  static func scaled(_ x: Double, _ k: Int64) -> Double {
    if k > 1000 { return x * power(k &- 500) * power(500) }
    if k < -1000 { return x * power(k &+ 500) * power(-500) }
    return x * power(k)
  }

  /// eʰ⁺ˡ where l is small beside h's last places; |h + l| ≤ ln 2 / 2.
  @inlinable @inline(__always)
  static func exponential(_ high: Double, _ low: Double) -> Double {
    let r = high + low
    return 1 + (high + (low + r * r * exponentialTail(r)))
  }

  /// eˣ, within 1 ULP (below 2⁻¹⁰²², within one of the last place there).
  @inlinable
  public static func exp(_ x: Double) -> Double {
    guard x.magnitude < 708 else { return exponentialAtTheEdge(x) }
    let shifted = x * 1.4426950408889634 + rounder
    let k = Int64(bitPattern: shifted.bitPattern) &- Int64(bitPattern: rounder.bitPattern)
    let n = shifted - rounder
    return exponential(x - n * ln2High, -(n * ln2Low)) * power(k)
  }

  /// eˣ of two numbers side by side, to the bit what `exp` says of each; |x| < 708.
  @inlinable @inline(__always)
  static func exp(_ x: SIMD2<Double>) -> SIMD2<Double> {
    let shifted = x * 1.4426950408889634 + rounder
    let k = unsafeBitCast(shifted, to: SIMD2<UInt64>.self) &- rounder.bitPattern
    let n = shifted - rounder
    let power = unsafeBitCast((k &+ 1023) &<< 52, to: SIMD2<Double>.self)
    let (high, low) = (x - n * ln2High, -(n * ln2Low))
    let r = high + low
    let square = r * r
    var even = 2.0914686968086876e-09 * square + 2.75572736431103e-07
    even = even * square + 2.4801587325547743e-05
    even = even * square + 0.0013888888888883748
    even = even * square + 0.04166666666666667
    even = even * square + 0.5
    var odd = 2.5105217004720745e-08 * square + 2.7557255400206422e-06
    odd = odd * square + 0.00019841269874820627
    odd = odd * square + 0.008333333333326136
    odd = odd * square + 0.1666666666666667
    return (1 + (high + (low + square * (even + odd * r)))) * power
  }

  @usableFromInline @inline(never)
  static func exponentialAtTheEdge(_ x: Double) -> Double {
    if x > 709.79 { return .infinity }
    if x < -745.14 { return 0 }
    guard x == x else { return x }
    let shifted = x * 1.4426950408889634 + rounder
    let k = Int64(bitPattern: shifted.bitPattern) &- Int64(bitPattern: rounder.bitPattern)
    let n = shifted - rounder
    return scaled(exponential(x - n * ln2High, -(n * ln2Low)), k)
  }

  /// 2ˣ, within 1 ULP; exact for integers.
  @inlinable
  public static func exp2(_ x: Double) -> Double {
    guard x.magnitude < 1100 else { return x == x ? (x > 0 ? .infinity : 0) : x }
    let shifted = x + rounder
    let k = Int64(bitPattern: shifted.bitPattern) &- Int64(bitPattern: rounder.bitPattern)
    let f = x - (shifted - rounder)
    // f·ln 2 in two parts: 26 bits of each factor make an exact product.
    let upper = (f + 0x1.8p26) - 0x1.8p26
    let high = upper * 0x1.62e42f8p-1
    let low = (f - upper) * 0.6931471805599453 + upper * 0x1.be8e7bcd5e4f2p-27
    return scaled(exponential(high, low), k)
  }

  /// eˣ − 1, within 2 ULP, also for small `x`.
  @inlinable
  public static func expm1(_ x: Double) -> Double {
    guard x.magnitude < 40 else {
      return x < 0 ? -1 : exp(x)
    }
    if x.magnitude < 0x1p-54 { return x }
    let shifted = x * 1.4426950408889634 + rounder
    let k = Int64(bitPattern: shifted.bitPattern) &- Int64(bitPattern: rounder.bitPattern)
    let n = shifted - rounder
    let high = x - n * ln2High
    let low = -(n * ln2Low)
    let r = high + low
    let square = r * r
    // eʳ − 1, the rounding of r given back.
    let tail = (high - r) + low + square * r * exponentialTail3(r)
    if k == 0 { return r + (0.5 * square + tail) }
    let scale = power(k)
    let inverse = power(0 &- k)
    // 2ᵏ(eʳ − 1) + (2ᵏ − 1)
    return scale * ((1 - inverse) + (r + (0.5 * square + tail)))
  }

  /// ln x, within 1 ULP. -∞ for 0, NaN below.
  @inlinable
  public static func log(_ x: Double) -> Double {
    var bits = x.bitPattern
    var k: Int64 = -1023
    // Normal and positive: the exponent's bits, without the sign, are 1...2046.
    if bits &- 0x0010_0000_0000_0000 >= 0x7fe0_0000_0000_0000 {
      if x == 0 { return -.infinity }
      guard x > 0 else { return .nan }
      guard x < .infinity else { return x }
      bits = (x * 0x1p54).bitPattern
      k = -1023 - 54
    }
    let shifted = bits &+ (0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd)
    k &+= Int64(shifted &>> 52)
    let m = Double(
      bitPattern: (shifted & 0x000f_ffff_ffff_ffff) &+ 0x3fe6_a09e_667f_3bcd)
    return logarithm(m - 1, exponent: Double(k), correction: 0)
  }

  /// k·ln 2 + ln(1 + f) + correction for 1 + f in [√½, √2).
  @inlinable @inline(__always)
  static func logarithm(_ f: Double, exponent: Double, correction: Double) -> Double {
    let s = f / (2 + f)
    let z = s * s
    let half = 0.5 * f * f
    let rest = s * (half + z * logarithmTail(z)) + (exponent * ln2Low + correction)
    return exponent * ln2High - ((half - rest) - f)
  }

  /// ln(1 + x), within 1 ULP, also for small `x`. -∞ for -1, NaN below.
  @inlinable
  public static func log1p(_ x: Double) -> Double {
    guard x > -1, x < 0x1p60 else { return log(1 + x) }
    if x.magnitude < 0x1p-54 { return x }
    if x > -0.2928 && x < 0.4142 { return logarithm(x, exponent: 0, correction: 0) }
    let u = 1 + x
    let lost = x >= 1 ? 1 - (u - x) : x - (u - 1)
    let shifted = u.bitPattern &+ (0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd)
    let k = Int64(shifted &>> 52) &- 1023
    let m = Double(
      bitPattern: (shifted & 0x000f_ffff_ffff_ffff) &+ 0x3fe6_a09e_667f_3bcd)
    return logarithm(m - 1, exponent: Double(k), correction: lost / u)
  }

  /// ln(1 + u) − u without cancellation for small `u`; u > -1.
  @inlinable
  static func log1pMinus(_ u: Double) -> Double {
    guard u.magnitude < 0.28 else { return log1p(u) - u }
    let s = u / (2 + u)
    let z = s * s
    return s * (z * logarithmTail(z) - u)
  }

  // MARK: Polynomials

  /// (eʳ − 1 − r) / r² for |r| ≤ ln 2 / 2, to 2⁻⁵⁶ of eʳ.
  @inlinable @inline(__always)
  static func exponentialTail(_ r: Double) -> Double {
    let square = r * r
    var even = 2.0914686968086876e-09
    even = even * square + 2.75572736431103e-07
    even = even * square + 2.4801587325547743e-05
    even = even * square + 0.0013888888888883748
    even = even * square + 0.04166666666666667
    even = even * square + 0.5
    var odd = 2.5105217004720745e-08
    odd = odd * square + 2.7557255400206422e-06
    odd = odd * square + 0.00019841269874820627
    odd = odd * square + 0.008333333333326136
    odd = odd * square + 0.1666666666666667
    return even + odd * r
  }

  /// (eʳ − 1 − r − r²/2) / r³ for |r| ≤ ln 2 / 2.
  @inlinable @inline(__always)
  static func exponentialTail3(_ r: Double) -> Double {
    let square = r * r
    var even = 1.6084327883952603e-10
    even = even * square + 2.5052078002329456e-08
    even = even * square + 2.7557319239957097e-06
    even = even * square + 0.00019841269841266415
    even = even * square + 0.008333333333333333
    even = even * square + 0.16666666666666666
    var odd = 2.0914686968086876e-09
    odd = odd * square + 2.75572736431103e-07
    odd = odd * square + 2.4801587325547743e-05
    odd = odd * square + 0.0013888888888883748
    odd = odd * square + 0.04166666666666667
    return even + odd * r
  }

  /// (2 artanh(s) − 2s) / s³ with z = s², for |s| ≤ 0.1716.
  @inlinable @inline(__always)
  static func logarithmTail(_ z: Double) -> Double {
    let square = z * z
    var even = 0.13268714792348096
    even = even * square + 0.18181795600060793
    even = even * square + 0.28571428570801954
    even = even * square + 0.6666666666666666
    var odd = 0.1308723619665962
    odd = odd * square + 0.15386241881938595
    odd = odd * square + 0.22222222392089008
    odd = odd * square + 0.4000000000000088
    return even + odd * z
  }
}
