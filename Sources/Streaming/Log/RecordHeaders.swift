import Events

/// What goes beside a record's value: names and values, both bytes.
///
/// In an `OutputBuffer` each is a byte with the name's length, the name, four bytes (little-endian)
/// with the value's length, and the value.
public struct RecordHeaders: Sequence, IteratorProtocol {
  private var rest: UnsafeRawBufferPointer

  /// - Parameter bytes: as `OutputBuffer.headers(of:)` gives them.
  public init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

  /// The next header; valid as long as the buffer.
  public mutating func next() -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
    guard let count = rest.first else { return nil }
    let nameEnd = 1 + Int(count)
    let length = Int(
      UInt32(littleEndian: rest.loadUnaligned(fromByteOffset: nameEnd, as: UInt32.self)))
    let valueEnd = nameEnd + 4 + length
    let name = UnsafeRawBufferPointer(rebasing: rest[1..<nameEnd])
    let value = UnsafeRawBufferPointer(rebasing: rest[(nameEnd + 4)..<valueEnd])
    rest = UnsafeRawBufferPointer(rebasing: rest[valueEnd...])
    return (name, value)
  }

  /// Appends one header.
  ///
  /// - Parameter name: at most 255 bytes.
  static func write(
    _ name: StaticString, _ value: UnsafeRawBufferPointer, to json: inout JSONWriter
  ) {
    precondition(name.utf8CodeUnitCount <= 255, "a header's name has at most 255 bytes")
    json.unframed(UInt8(name.utf8CodeUnitCount))
    name.withUTF8Buffer { json.unframed($0) }
    var length = UInt32(value.count)
    for _ in 0..<4 {
      json.unframed(UInt8(truncatingIfNeeded: length))
      length >>= 8
    }
    json.unframed(value.bindMemory(to: UInt8.self))
  }

  static func write(_ name: StaticString, _ value: String, to json: inout JSONWriter) {
    Array(value.utf8).withUnsafeBytes { write(name, $0, to: &json) }
  }
}
