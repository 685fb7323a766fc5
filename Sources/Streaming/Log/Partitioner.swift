/// Which partition a key belongs to, as Kafka's producers decide it.
public enum Partitioner {
  /// The Java client's default for records with a key: murmur2, its sign bit cleared, modulo the
  /// number of partitions.
  ///
  /// - Parameters:
  ///   - key: the record's key: here, the account.
  ///   - partitions: at least 1.
  public static func murmur2(_ key: UnsafeRawBufferPointer, partitions: Int) -> Int {
    precondition(partitions > 0, "a topic has at least one partition")
    return Int(murmur2(key) & 0x7fff_ffff) % partitions
  }

  /// Murmur2 with Kafka's seed, over the key's bytes as little-endian words.
  package static func murmur2(_ key: UnsafeRawBufferPointer) -> UInt32 {
    let multiplier: UInt32 = 0x5bd1_e995
    var hash = 0x9747_b28c ^ UInt32(truncatingIfNeeded: key.count)
    let whole = key.count & ~3
    for place in stride(from: 0, to: whole, by: 4) {
      var word = UInt32(littleEndian: key.loadUnaligned(fromByteOffset: place, as: UInt32.self))
      word = word &* multiplier
      word ^= word >> 24
      word = word &* multiplier
      hash = (hash &* multiplier) ^ word
    }
    if key.count & 3 == 3 { hash ^= UInt32(key[whole + 2]) << 16 }
    if key.count & 3 >= 2 { hash ^= UInt32(key[whole + 1]) << 8 }
    if key.count & 3 >= 1 { hash = (hash ^ UInt32(key[whole])) &* multiplier }
    hash = (hash ^ (hash >> 13)) &* multiplier
    return hash ^ (hash >> 15)
  }
}
