public import Events

// Overloads instead of a variadic function: that one would allocate an array for every record.
extension JSONWriter {
  /// Writes a record's key: its only field. Returns its length in bytes.
  public mutating func writeKey(_ part: Identifier) -> Int {
    let start = count
    unframed(part.bytes)
    return count - start
  }

  /// Writes a record's key: its first fields joined by `/`. Returns its length in bytes.
  public mutating func writeKey(_ first: Identifier, _ second: Identifier) -> Int {
    let start = count
    unframed(first.bytes)
    unframed(UInt8(ascii: "/"))
    unframed(second.bytes)
    return count - start
  }

  /// Writes a record's key: its first fields joined by `/`. Returns its length in bytes.
  public mutating func writeKey(
    _ first: Identifier, _ second: Identifier, _ third: Identifier
  ) -> Int {
    let length = writeKey(first, second)
    unframed(UInt8(ascii: "/"))
    unframed(third.bytes)
    return length + 1 + third.bytes.count
  }
}
