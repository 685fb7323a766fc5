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

  /// librdkafka's `consistent` partitioners: CRC-32 (IEEE 802.3) modulo the number of partitions.
  ///
  /// - Parameters:
  ///   - key: the record's key: here, the account.
  ///   - partitions: at least 1.
  public static func crc32(_ key: UnsafeRawBufferPointer, partitions: Int) -> Int {
    precondition(partitions > 0, "a topic has at least one partition")
    return Int(crc32(key)) % partitions
  }

  package static func crc32(_ key: UnsafeRawBufferPointer) -> UInt32 {
    let table = crcTable
    var rest: UInt32 = 0xFFFF_FFFF
    for byte in key { rest = table[Int((rest ^ UInt32(byte)) & 0xFF)] ^ (rest >> 8) }
    return ~rest
  }

  /// What the reflected polynomial makes of each byte.
  private static let crcTable: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { rest, _ in
      rest & 1 == 1 ? 0xEDB8_8320 ^ (rest >> 1) : rest >> 1
    }
  }
}

/// How a key decides its record's partition.
public struct Keying: Sendable, Hashable {
  public enum Hash: Sendable, Hashable {
    /// The Java client's default.
    case murmur2
    /// librdkafka's default.
    case crc32
  }

  public var hash: Hash
  /// How many partitions the topic has; at least 1.
  public var partitions: Int

  public init(hash: Hash, partitions: Int) {
    precondition(partitions > 0, "a topic has at least one partition")
    self.hash = hash
    self.partitions = partitions
  }

  /// The partition that a key belongs to. Time grows with the key's length alone.
  public func partition(of key: UnsafeRawBufferPointer) -> Int {
    switch hash {
    case .murmur2: Partitioner.murmur2(key, partitions: partitions)
    case .crc32: Partitioner.crc32(key, partitions: partitions)
    }
  }
}
