/// Counter-based chance: every draw is a pure function of (seed, entity, purpose, counter).
///
/// There is no generator to share or to advance, so a draw does not depend on what was drawn
/// before it. The mixing is SplitMix64's finalizer (Steele, Lea, Flood 2014), applied once to
/// (seed, entity) and once more to (that, purpose, counter).
struct Chance {
  private let seed: UInt64

  init(seed: UInt64) { self.seed = seed }

  /// The draws of one entity: a record, an ad, a user.
  @inline(__always)
  func entity(_ number: UInt64) -> Draws {
    Draws(key: Self.mixed(seed &+ number &* 0x9e37_79b9_7f4a_7c15 &+ 0x632b_e59b_d9b4_e019))
  }

  /// A bijection of 64-bit words that leaves no visible pattern.
  @inline(__always)
  static func mixed(_ word: UInt64) -> UInt64 {
    var z = word
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  struct Draws {
    fileprivate let key: UInt64

    /// 64 bits for a purpose; `counter` tells repeated draws for one purpose apart.
    @inline(__always)
    func bits(_ purpose: Purpose, _ counter: UInt64 = 0) -> UInt64 {
      Chance.mixed(
        key &+ purpose.rawValue &* 0xd1b5_4a32_d192_ed03 &+ counter &* 0xabc9_8388_fb8f_ac03)
    }

    /// Whether something that happens `parts` times in a million happens.
    @inline(__always)
    func happens(_ parts: Int, _ purpose: Purpose) -> Bool {
      Chance.below(1_000_000, bits(purpose)) < parts
    }
  }

  /// What a draw is for. Raw values are part of what a seed means: they never change.
  enum Purpose: UInt64 {
    case type = 1
    case account = 2
    case campaign = 3
    case ad = 4
    case user = 5
    case form = 6
    case money = 7
    case features = 8
    case reference = 9
    case duplicate = 10
    case late = 11
    case bad = 12
    case identifier = 13
    case device = 14
    case stage = 15
    case quality = 16
    case arrival = 17
    case rival = 18
    case drift = 19
    case newcomer = 20
    case affinity = 21
    case click = 22
    case conversion = 23
    case delay = 24
    case conversionQuality = 25
  }

  /// An even choice from `0..<count`, from the upper half of the bits (Lemire 2019, without the
  /// rejection step: the bias is below count / 2^32).
  @inline(__always)
  static func below(_ count: Int, _ bits: UInt64) -> Int {
    Int(truncatingIfNeeded: ((bits >> 32) &* UInt64(truncatingIfNeeded: count)) >> 32)
  }
}
