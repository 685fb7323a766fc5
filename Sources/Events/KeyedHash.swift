/// A keyed 64-bit hash (SipHash-2-4, Aumasson and Bernstein 2012): who does not know the key can
/// neither predict nor invert it.
///
/// For identifiers of people, which must never stand in state as they are. Not for speed where no
/// secret is kept: `Hash` is several times faster.
public struct KeyedHash: Sendable, Equatable {
  let first: UInt64
  let second: UInt64

  public init(_ first: UInt64, _ second: UInt64) {
    self.first = first
    self.second = second
  }

  /// The key that belongs to a secret of any length. The empty text has one too, which everybody
  /// knows.
  public init(secret: String) {
    let bytes = Array(secret.utf8)
    // "bidmill." and two different endings: two independent hashes of the same text.
    first = KeyedHash(0x2E6C_6C69_6D64_6962, 1).hash(bytes)
    second = KeyedHash(0x2E6C_6C69_6D64_6962, 2).hash(bytes)
  }

  /// What the key may be called in public: changes with the key and does not give it away.
  public var id: UInt64 { hash(0x6469_7965_6B, 0, 0) }

  /// The hash of three words (24 bytes, little-endian).
  public func hash(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
    var state = State(first, second)
    state.absorb(a)
    state.absorb(b)
    state.absorb(c)
    return state.finish(24 << 56)
  }

  /// The hash of bytes. O(n).
  public func hash(_ bytes: [UInt8]) -> UInt64 {
    var state = State(first, second)
    var word: UInt64 = 0
    for (i, byte) in bytes.enumerated() {
      word |= UInt64(byte) << UInt64(8 * (i % 8))
      if i % 8 == 7 {
        state.absorb(word)
        word = 0
      }
    }
    return state.finish(word | UInt64(truncatingIfNeeded: bytes.count) << 56)
  }

  private struct State {
    var v0: UInt64
    var v1: UInt64
    var v2: UInt64
    var v3: UInt64

    init(_ first: UInt64, _ second: UInt64) {
      v0 = first ^ 0x736F_6D65_7073_6575
      v1 = second ^ 0x646F_7261_6E64_6F6D
      v2 = first ^ 0x6C79_6765_6E65_7261
      v3 = second ^ 0x7465_6462_7974_6573
    }

    @inline(__always)
    mutating func absorb(_ word: UInt64) {
      v3 ^= word
      round()
      round()
      v0 ^= word
    }

    @inline(__always)
    mutating func finish(_ last: UInt64) -> UInt64 {
      absorb(last)
      v2 ^= 0xFF
      round()
      round()
      round()
      round()
      return v0 ^ v1 ^ v2 ^ v3
    }

    @inline(__always)
    private mutating func round() {
      v0 &+= v1
      v1 = State.turn(v1, 13) ^ v0
      v0 = State.turn(v0, 32)
      v2 &+= v3
      v3 = State.turn(v3, 16) ^ v2
      v0 &+= v3
      v3 = State.turn(v3, 21) ^ v0
      v2 &+= v1
      v1 = State.turn(v1, 17) ^ v2
      v2 = State.turn(v2, 32)
    }

    @inline(__always)
    private static func turn(_ word: UInt64, _ bits: UInt64) -> UInt64 {
      word &<< bits | word &>> (64 &- bits)
    }
  }
}
