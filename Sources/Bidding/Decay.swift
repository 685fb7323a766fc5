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
    return series(y) >> UInt64(halvings)
  }

  /// e⁻ʸ. Written out, because dividing by a literal is multiplying, and takes half the time.
  @inline(__always)
  private static func series(_ y: UInt64) -> UInt64 {
    let one: UInt64 = 1 << 63
    @inline(__always)
    func term(_ rest: UInt64, over k: UInt64) -> UInt64 {
      one &- (y.multipliedFullWidth(by: rest).high &<< 1) / k
    }
    var value = one
    value = term(value, over: 21)
    value = term(value, over: 20)
    value = term(value, over: 19)
    value = term(value, over: 18)
    value = term(value, over: 17)
    value = term(value, over: 16)
    value = term(value, over: 15)
    value = term(value, over: 14)
    value = term(value, over: 13)
    value = term(value, over: 12)
    value = term(value, over: 11)
    value = term(value, over: 10)
    value = term(value, over: 9)
    value = term(value, over: 8)
    value = term(value, over: 7)
    value = term(value, over: 6)
    value = term(value, over: 5)
    value = term(value, over: 4)
    value = term(value, over: 3)
    value = term(value, over: 2)
    value = term(value, over: 1)
    return value
  }
}
