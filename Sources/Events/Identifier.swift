/// An identifier as it stood in a record: its text, in place, and a 64-bit hash of that text.
///
/// The text points into the record's bytes (or, where the JSON held escapes, into the batch's
/// arena) and is valid as long as the batch it was decoded into. Absent identifiers have
/// `length == 0`.
@frozen
public struct Identifier: BitwiseCopyable, @unchecked Sendable {
  /// `Hash.text` of the UTF-8 bytes; 0 when absent.
  public var hash: UInt64
  public var start: UnsafePointer<UInt8>?
  public var length: UInt32
  /// Reserved for a dense row assigned by a `Directory`; -1 until then.
  public var row: Int32

  @inlinable
  public init(hash: UInt64, start: UnsafePointer<UInt8>?, length: UInt32) {
    self.hash = hash
    self.start = start
    self.length = length
    self.row = -1
  }

  public static var absent: Identifier {
    @inlinable get { Identifier(hash: 0, start: nil, length: 0) }
  }

  @inlinable
  public var isAbsent: Bool { length == 0 }

  /// The UTF-8 bytes, unescaped. Valid as long as the batch.
  @inlinable
  public var bytes: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: start, count: Int(length))
  }

  /// A copy of the text.
  public var string: String { String(decoding: bytes, as: UTF8.self) }
}
