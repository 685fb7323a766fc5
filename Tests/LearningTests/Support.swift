/// The tests' generator: Steele, Lea and Flood's SplitMix64.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }

  /// Of any sign, with an exponent drawn evenly.
  mutating func signed(_ lowest: Int, _ highest: Int) -> Double {
    let exponent = lowest + Int(next() % UInt64(highest - lowest + 1))
    let value = Double(sign: .plus, exponent: exponent, significand: 1 + unit())
    return next() & 1 == 0 ? value : -value
  }
}
