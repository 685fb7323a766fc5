/// What whoever asks must show. It is never part of a message.
public struct BearerToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible {
  /// Shorter ones are guessed.
  public static let bytesMin = 16

  private let bytes: [UInt8]

  /// - Returns: nil where the text, without white space around it, cannot stand in a header or has
  ///   less than `bytesMin` bytes.
  public init?(_ text: String) {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
    var bytes = Array(text.utf8.drop(while: isSpace))
    while let last = bytes.last, isSpace(last) { bytes.removeLast() }
    guard bytes.count >= BearerToken.bytesMin, bytes.allSatisfy({ (0x21...0x7E).contains($0) })
    else { return nil }
    self.bytes = bytes
  }

  /// Whether the `Authorization` header shows it. The time that it takes depends on the header's
  /// length alone, never on how much of it is right.
  func isShown(in authorization: String?) -> Bool {
    let header = Array((authorization ?? "").utf8)
    let scheme = Array("bearer ".utf8)
    var difference: UInt8 = header.count == scheme.count + bytes.count ? 0 : 1
    for (i, byte) in header.enumerated() {
      if i < scheme.count {
        let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
        difference |= lower ^ scheme[i]
      } else {
        difference |= byte ^ bytes[(i - scheme.count) % bytes.count]
      }
    }
    return difference == 0
  }

  public var description: String { "(a secret)" }
  public var debugDescription: String { description }
}
