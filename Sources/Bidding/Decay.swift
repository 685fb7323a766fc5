/// 2⁻ˣ in fixed point, the same on every machine: no binary floating point, no C library.
public enum Decay {
  /// ln 2 in units of 2⁻⁶³.
  private static let ln2: UInt64 = 0x58B9_0BFB_E8E7_BCD6

  /// 2^(−`age`/`halfLife`) in units of 2⁻⁶³: 2⁶³ for age 0, half of that after each half-life, 0
  /// beyond 63 of them.
  ///
  /// Source: e⁻ʸ = 1 − y(1 − y/2(1 − y/3(…))) for y = ln 2 · (the fraction of a half-life), cut
  /// after y²¹/21!, which is below 2⁻⁷⁶; each step truncates by less than 2⁻⁶² and shrinks what
  /// came before to at most 0.7 of it. Error: at most 2⁻⁶⁰ of the result.
  ///
  /// - Parameters:
  ///   - age: Milliseconds; at least 0.
  ///   - halfLife: Milliseconds; above 0.
  public static func weight(age: Int64, halfLife: Int64) -> UInt64 {
    precondition(age >= 0 && halfLife > 0, "ages are not negative, half-lives above 0")
    let halvings = age / halfLife
    guard halvings < 64 else { return 0 }
    let rest = UInt64(age % halfLife)
    let one: UInt64 = 1 << 63
    guard rest > 0 else { return one >> UInt64(halvings) }
    let fraction = UInt64(halfLife).dividingFullWidth((rest, 0)).quotient
    // (2⁻⁶⁴ × 2⁻⁶³) / 2⁻⁶⁴: the high word is in units of 2⁻⁶³ again.
    let y = fraction.multipliedFullWidth(by: ln2).high
    var value = one
    var k: UInt64 = 21
    while k > 0 {
      value = one &- (y.multipliedFullWidth(by: value).high &<< 1) / k
      k &-= 1
    }
    return value >> UInt64(halvings)
  }
}
