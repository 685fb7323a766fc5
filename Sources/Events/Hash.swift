/// The engine's own hash functions. Their results are part of fingerprints, snapshots and models:
/// a changed constant is a changed state format.
public enum Hash {
  // The first fractional bits of pi and of the golden ratio: odd, about half of their bits set,
  // and with nothing to hide.
  @usableFromInline static let seed: UInt64 = 0x243F_6A88_85A3_08D3
  @usableFromInline static let wordFactor: UInt64 = 0x9E37_79B9_7F4A_7C15
  @usableFromInline static let lengthFactor: UInt64 = 0xA409_3822_299F_31D1

  /// The 128-bit product of two words, folded to 64 bits: every bit of the result depends on
  /// every bit of both.
  @inlinable @inline(__always)
  static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }

  /// Takes in the next eight bytes of a text (little-endian).
  @inlinable @inline(__always)
  static func absorb(_ state: UInt64, _ word: UInt64) -> UInt64 {
    fold(state ^ word, wordFactor)
  }

  /// Ends a text: `tail` holds its last 0…7 bytes, zero above them; `length` counts all bytes.
  /// 0 for the empty text, never 0 for another.
  @inlinable @inline(__always)
  static func finish(_ state: UInt64, tail: UInt64, length: Int) -> UInt64 {
    if length == 0 { return 0 }
    let hash = fold(absorb(state, tail) ^ UInt64(truncatingIfNeeded: length), lengthFactor)
    return hash == 0 ? 1 : hash
  }

  /// The 64-bit hash of a text's bytes: 0 for the empty text and for no other.
  ///
  /// Eight bytes at a time, so that the decoder's string scanner computes it on its way. Not for
  /// secrets: the constants are public, and collisions can be constructed.
  public static func text(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    guard let start = bytes.baseAddress, !bytes.isEmpty else { return 0 }
    var state = seed
    var index = 0
    while index &+ 8 <= bytes.count {
      state = absorb(state, Words.load(start + index))
      index &+= 8
    }
    let tail = Words.load(start + index, count: bytes.count &- index)
    return finish(state, tail: tail, length: bytes.count)
  }

  /// The hash of a literal; equals `text` of its UTF-8 bytes.
  public static func text(_ literal: StaticString) -> UInt64 {
    literal.withUTF8Buffer { text($0) }
  }

  /// Spreads one word over all 64 bits; a bijection (SplitMix64's finaliser).
  @inlinable
  public static func mix(_ word: UInt64) -> UInt64 {
    var z = word
    z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z &>> 31)
  }

  /// Takes `word` into `hash`. The order matters; for a fixed value of either argument the result
  /// is a bijection of the other, so combining adds no collisions of its own.
  @inlinable
  public static func combine(_ hash: UInt64, _ word: UInt64) -> UInt64 {
    let turned = (hash &<< 23) | (hash &>> 41)
    return mix((turned &* wordFactor) ^ word)
  }

  /// What an event is known by for deduplication: its account, type and id. Never 0.
  @inlinable
  public static func fingerprint(account: UInt64, type: EventType, id: UInt64) -> UInt64 {
    let hash = combine(combine(account, UInt64(type.rawValue) &+ 1), id)
    return hash == 0 ? 1 : hash
  }
}

// MurmurHash3_x86_32 (Austin Appleby's public-domain algorithm), for feature names and values: it
// is what scikit-learn and Vowpal Wabbit hash with, so models can be compared with theirs.
extension Hash {
  /// MurmurHash3_x86_32 of `bytes`, going on from `seed`.
  public static func murmur3(_ bytes: UnsafeBufferPointer<UInt8>, seed: UInt32 = 0) -> UInt32 {
    guard let start = bytes.baseAddress, !bytes.isEmpty else {
      return murmurFinish(seed, tail: 0, length: 0)
    }
    var hash = seed
    var index = 0
    while index &+ 4 <= bytes.count {
      hash = murmurBlock(hash, Words.loadHalf(start + index))
      index &+= 4
    }
    let tail = Words.load(start + index, count: bytes.count &- index)
    return murmurFinish(hash, tail: UInt32(truncatingIfNeeded: tail), length: bytes.count)
  }

  /// MurmurHash3_x86_32 of a literal's UTF-8 bytes.
  public static func murmur3(_ literal: StaticString, seed: UInt32 = 0) -> UInt32 {
    literal.withUTF8Buffer { murmur3($0, seed: seed) }
  }

  @inline(__always)
  static func murmurScramble(_ block: UInt32) -> UInt32 {
    let k = block &* 0xCC9E_2D51
    return ((k &<< 15) | (k &>> 17)) &* 0x1B87_3593
  }

  /// Takes in four bytes (little-endian).
  @inline(__always)
  static func murmurBlock(_ hash: UInt32, _ block: UInt32) -> UInt32 {
    let h = hash ^ murmurScramble(block)
    return ((h &<< 13) | (h &>> 19)) &* 5 &+ 0xE654_6B64
  }

  /// Ends a text whose last 0…3 bytes are in `tail`, zero above them.
  @inline(__always)
  static func murmurFinish(_ hash: UInt32, tail: UInt32, length: Int) -> UInt32 {
    // Scrambling zero gives zero, so an empty tail needs no branch.
    var h = hash ^ murmurScramble(tail) ^ UInt32(truncatingIfNeeded: length)
    h = (h ^ (h &>> 16)) &* 0x85EB_CA6B
    h = (h ^ (h &>> 13)) &* 0xC2B2_AE35
    return h ^ (h &>> 16)
  }
}
