public import Events

extension JSONWriter {
  /// Writes a record's key: its first fields joined by `/`. Returns its length in bytes.
  public mutating func writeKey(_ parts: Identifier...) -> Int {
    let start = count
    for (i, part) in parts.enumerated() {
      if i > 0 { unframed(UInt8(ascii: "/")) }
      unframed(part.bytes)
    }
    return count - start
  }
}
