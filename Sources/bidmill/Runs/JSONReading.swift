/// A record that bidmill wrote, for reading single values: `object["evidence", "clicks"]`.
///
/// Each look goes through the text again: for the few records that a person asks about.
struct JSONRecord: Sendable {
  let bytes: [UInt8]

  init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

  /// The text of a value below the names; nil where there is none or it is null.
  subscript(path: String...) -> String? {
    bytes.withUnsafeBytes { JSONRecord.text(of: path[...], in: $0) }
  }

  private static func text(of path: ArraySlice<String>, in bytes: UnsafeRawBufferPointer) -> String?
  {
    guard let name = path.first else { return nil }
    for member in JSONMembers(bytes) where member.key.elementsEqual(name.utf8) {
      if path.count > 1 { return text(of: path.dropFirst(), in: member.value) }
      return member.text == "null" ? nil : member.text
    }
    return nil
  }

  func number(_ path: String...) -> Double? {
    bytes.withUnsafeBytes { JSONRecord.text(of: path[...], in: $0) }.flatMap { Double($0) }
  }

  func integer(_ path: String...) -> Int64? {
    bytes.withUnsafeBytes { JSONRecord.text(of: path[...], in: $0) }.flatMap { Int64($0) }
  }

  var text: String { String(decoding: bytes, as: UTF8.self) }
}
