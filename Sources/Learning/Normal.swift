// The error function and the normal distribution.

extension Elementary {
  /// 2/√π ∫₀ˣ e^(−t²) dt, within 2 ULP.
  @inlinable
  public static func erf(_ x: Double) -> Double {
    if x.magnitude < 0.5 { return x + x * errorTail(x * x) }
    return x < 0 ? complement(-x) - 1 : 1 - complement(x)
  }

  /// 1 − erf x, within 4 ULP.
  @inlinable
  public static func erfc(_ x: Double) -> Double {
    if x.magnitude < 0.5 { return 1 - (x + x * errorTail(x * x)) }
    return x < 0 ? 2 - complement(-x) : complement(x)
  }

  /// The normal distribution's cumulative probability, within 6 ULP; 0 below -38.5.
  @inlinable
  public static func normalCDF(_ x: Double) -> Double {
    let y = x.magnitude * 0.7071067811865476
    if y < 0.5 {
      let signed = x * 0.7071067811865476
      return 0.5 + 0.5 * (signed + signed * errorTail(signed * signed))
    }
    guard y < 28 else { return x == x ? (x < 0 ? 0 : 1) : x }
    let tail = 0.5 * complement(y, exponentOf: x.magnitude, factor: 0.5)
    return x < 0 ? tail : 1 - tail
  }

  /// e^(−x²/2) / √(2π), within 4 ULP.
  @inlinable
  public static func normalDensity(_ x: Double) -> Double {
    guard x.magnitude < 40 else { return x == x ? 0 : x }
    return 0.3989422804014327 * squareExponential(x.magnitude, factor: 0.5)
  }

  /// The normal distribution's density and cumulative probability from one exponential: to 10⁻¹⁴
  /// of 1, which is enough for sums; nothing beyond 8.
  @inlinable @inline(__always)
  static func normalPair(_ x: Double) -> (density: Double, cumulative: Double) {
    let z = x.magnitude
    guard z < 8 else { return (0, x > 0 ? 1 : 0) }
    let exponential = exp(-0.5 * z * z)
    let density = 0.3989422804014327 * exponential
    let y = z * 0.7071067811865476
    if y < 0.5 {
      let half = 0.5 * (y + y * errorTail(y * y))
      return (density, x < 0 ? 0.5 - half : 0.5 + half)
    }
    let tail = 0.5 * exponential * scaledComplement((y - 4) / (y + 4)) / (1 + 2 * y)
    return (density, x < 0 ? tail : 1 - tail)
  }

  /// erfc(x) for x ≥ 1/2.
  @inlinable @inline(__always)
  static func complement(_ x: Double) -> Double {
    guard x < 28 else { return x == x ? 0 : x }
    return complement(x, exponentOf: x, factor: 1)
  }

  /// e^(−factor·z²) times the rest of erfc(x), where factor·z² = x²: the exponent is taken from
  /// the number that is known exactly.
  @inlinable @inline(__always)
  static func complement(_ x: Double, exponentOf z: Double, factor: Double) -> Double {
    squareExponential(z, factor: factor) * (scaledComplement((x - 4) / (x + 4)) / (1 + 2 * x))
  }

  /// e^(−factor·z²) for z in 0...40 and a factor that is a power of two. The square is split, for
  /// its rounding would be multiplied by itself: z = s + d with s of 26 bits.
  @inlinable @inline(__always)
  static func squareExponential(_ z: Double, factor: Double) -> Double {
    let s = Double(bitPattern: z.bitPattern & ~0x7ff_ffff)
    let d = -factor * ((z - s) * (z + s))
    return exp(-factor * (s * s)) * (1 + d * (1 + d * (0.5 + d * 0.16666666666666666)))
  }

  /// The number below which a standard normal falls with probability `p`; relative error below
  /// 10⁻¹⁵. -∞ for 0, ∞ for 1, NaN outside.
  ///
  /// Wichura (1988), Algorithm AS 241, PPND16.
  public static func normalQuantile(_ p: Double) -> Double {
    let q = p - 0.5
    if q.magnitude <= 0.425 {
      let r = 0.180625 - q * q
      return q * centralQuotient(r)
    }
    guard p > 0, p < 1 else { return p == 0 ? -.infinity : p == 1 ? .infinity : .nan }
    let r = (-log(q < 0 ? p : 1 - p)).squareRoot()
    let tail = r <= 5 ? outerQuotient(r - 1.6) : farQuotient(r - 5)
    return q < 0 ? -tail : tail
  }

  @inline(__always)
  private static func centralQuotient(_ r: Double) -> Double {
    var a = 2.5090809287301226727e3
    a = a * r + 3.3430575583588128105e4
    a = a * r + 6.7265770927008700853e4
    a = a * r + 4.5921953931549871457e4
    a = a * r + 1.3731693765509461125e4
    a = a * r + 1.9715909503065514427e3
    a = a * r + 1.3314166789178437745e2
    a = a * r + 3.3871328727963666080e0
    var b = 5.2264952788528545610e3
    b = b * r + 2.8729085735721942674e4
    b = b * r + 3.9307895800092710610e4
    b = b * r + 2.1213794301586595867e4
    b = b * r + 5.3941960214247511077e3
    b = b * r + 6.8718700749205790830e2
    b = b * r + 4.2313330701600911252e1
    return a / (b * r + 1)
  }

  private static func outerQuotient(_ r: Double) -> Double {
    var a = 7.74545014278341407640e-4
    a = a * r + 2.27238449892691845833e-2
    a = a * r + 2.41780725177450611770e-1
    a = a * r + 1.27045825245236838258e0
    a = a * r + 3.64784832476320460504e0
    a = a * r + 5.76949722146069140550e0
    a = a * r + 4.63033784615654529590e0
    a = a * r + 1.42343711074968357734e0
    var b = 1.05075007164441684324e-9
    b = b * r + 5.47593808499534494600e-4
    b = b * r + 1.51986665636164571966e-2
    b = b * r + 1.48103976427480074590e-1
    b = b * r + 6.89767334985100004550e-1
    b = b * r + 1.67638483018380384940e0
    b = b * r + 2.05319162663775882187e0
    return a / (b * r + 1)
  }

  private static func farQuotient(_ r: Double) -> Double {
    var a = 2.01033439929228813265e-7
    a = a * r + 2.71155556874348757815e-5
    a = a * r + 1.24266094738807843860e-3
    a = a * r + 2.65321895265761230930e-2
    a = a * r + 2.96560571828504891230e-1
    a = a * r + 1.78482653991729133580e0
    a = a * r + 5.46378491116411436990e0
    a = a * r + 6.65790464350110377720e0
    var b = 2.04426310338993978564e-15
    b = b * r + 1.42151175831644588870e-7
    b = b * r + 1.84631831751005468180e-5
    b = b * r + 7.86869131145613259100e-4
    b = b * r + 1.48753612908506148525e-2
    b = b * r + 1.36929880922735805310e-1
    b = b * r + 5.99832206555887937690e-1
    return a / (b * r + 1)
  }

  // MARK: Polynomials

  /// erf(x)/x − 1 with z = x², for |x| ≤ 1/2.
  @inlinable @inline(__always)
  static func errorTail(_ z: Double) -> Double {
    let square = z * z
    var even = 1.3214378238338438e-08
    even = even * square + 1.6459034327218912e-06
    even = even * square + 0.00012055332131175981
    even = even * square + 0.005223977625403192
    even = even * square + 0.11283791670955123
    even = even * square + 0.1283791670955126
    var odd = -1.6273138761686977e-07
    odd = odd * square - 1.4925586560096415e-05
    odd = odd * square - 0.0008548327016159163
    odd = odd * square - 0.026866170645130034
    odd = odd * square - 0.37612638903183754
    return even + odd * z
  }

  /// e^(x²) erfc(x) (1 + 2x) with t = (x − 4) / (x + 4), for x in [1/2, 28].
  @inlinable @inline(__always)
  static func scaledComplement(_ t: Double) -> Double {
    let square = t * t
    var even = -1.2224048303152388e-08
    even = even * square + 6.702452833728971e-08
    even = even * square + 2.9955790685567077e-07
    even = even * square - 1.12247322473501e-05
    even = even * square + 0.00015062249512264785
    even = even * square - 0.0007577734486762808
    even = even * square - 0.01619773403826592
    even = even * square - 0.06633036581360713
    even = even * square - 0.10103906603625375
    even = even * square + 0.015379652102619027
    even = even * square + 1.2329951186255526
    var odd = -1.0476718674668371e-08
    odd = odd * square + 1.0568025135820959e-07
    odd = odd * square - 8.22559563206072e-07
    odd = odd * square + 5.7086428044048145e-06
    odd = odd * square - 2.4398983809134553e-05
    odd = odd * square - 0.00019925671345040716
    odd = odd * square + 0.0050319699756138135
    odd = odd * square + 0.03716751553818893
    odd = odd * square + 0.09373283499828751
    odd = odd * square + 0.0680970542546948
    odd = odd * square - 0.13962111684056253
    return even + odd * t
  }
}
