// What stands in the files: names, manifests, blocks, compression and checksums. Encodes and
// decodes bytes in memory; opens no file.

/// The 64-bit xxHash, from its specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
///
/// Against damage, not against an attacker. Reads about 8 bytes a cycle.
enum XXH64 {
  private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

  static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
    let count = bytes.count
    guard count > 0, var cursor = bytes.baseAddress else {
      return avalanche(seed &+ prime5)
    }
    let end = cursor + count
    var hash: UInt64
    if count >= 32 {
      var lane1 = seed &+ prime1 &+ prime2
      var lane2 = seed &+ prime2
      var lane3 = seed
      var lane4 = seed &- prime1
      let stripesEnd = cursor + count / 32 * 32
      while cursor < stripesEnd {
        lane1 = round(lane1, word(cursor))
        lane2 = round(lane2, word(cursor + 8))
        lane3 = round(lane3, word(cursor + 16))
        lane4 = round(lane4, word(cursor + 24))
        cursor += 32
      }
      hash =
        rotate(lane1, 1) &+ rotate(lane2, 7) &+ rotate(lane3, 12) &+ rotate(lane4, 18)
      hash = merge(merge(merge(merge(hash, lane1), lane2), lane3), lane4)
    } else {
      hash = seed &+ prime5
    }
    hash &+= UInt64(count)
    while end - cursor >= 8 {
      hash = rotate(hash ^ round(0, word(cursor)), 27) &* prime1 &+ prime4
      cursor += 8
    }
    if end - cursor >= 4 {
      let half = UInt64(UInt32(littleEndian: cursor.loadUnaligned(as: UInt32.self)))
      hash = rotate(hash ^ (half &* prime1), 23) &* prime2 &+ prime3
      cursor += 4
    }
    while cursor < end {
      hash = rotate(hash ^ (UInt64(cursor.load(as: UInt8.self)) &* prime5), 11) &* prime1
      cursor += 1
    }
    return avalanche(hash)
  }

  @inline(__always)
  private static func word(_ pointer: UnsafeRawPointer) -> UInt64 {
    UInt64(littleEndian: pointer.loadUnaligned(as: UInt64.self))
  }

  @inline(__always)
  private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
    (value &<< bits) | (value &>> (64 &- bits))
  }

  @inline(__always)
  private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
    rotate(lane &+ input &* prime2, 31) &* prime1
  }

  @inline(__always)
  private static func merge(_ hash: UInt64, _ lane: UInt64) -> UInt64 {
    (hash ^ round(0, lane)) &* prime1 &+ prime4
  }

  @inline(__always)
  private static func avalanche(_ hash: UInt64) -> UInt64 {
    var hash = hash
    hash = (hash ^ (hash &>> 33)) &* prime2
    hash = (hash ^ (hash &>> 29)) &* prime3
    return hash ^ (hash &>> 32)
  }
}
