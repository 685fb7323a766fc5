/// A record of `dead_letters`: a record that was refused, whole, and why.
public struct DeadLetter {
  /// Absent where the record did not get as far as to name one; then it is left out.
  public var account: Identifier
  public var time: EventTime
  public var source: RecordSource
  public var rejection: Rejection
  /// The refused record as it came.
  public var payload: UnsafeRawBufferPointer
  /// `payload` is only the beginning of a record that was too long to be held.
  public var isTruncated: Bool

  public init(
    account: Identifier = .absent, time: EventTime, source: RecordSource, rejection: Rejection,
    payload: UnsafeRawBufferPointer, isTruncated: Bool = false
  ) {
    self.isTruncated = isTruncated
    self.account = account
    self.time = time
    self.source = source
    self.rejection = rejection
    self.payload = payload
  }

  /// Writes the record as one JSON object.
  ///
  /// - Parameter payloadBytesMax: of a longer payload only a beginning is written, cut between
  ///   characters, and the record says `truncated`.
  public func write(to json: inout JSONWriter, payloadBytesMax: Int = .max) {
    let (kept, isText) = payloadKept(payloadBytesMax)
    json.beginObject()
    if !account.isAbsent { json.member("account", account) }
    json.member("time", time)
    json.key("source")
    json.source(source)
    json.member("reason", text: rejection.reason.code)
    if let field = rejection.field {
      json.member("field", text: field)
    } else {
      json.key("field")
      json.null()
    }
    json.member("detail", text: rejection.detail)
    json.key("payload")
    if isText {
      json.string(kept.bindMemory(to: UInt8.self))
    } else {
      json.base64(kept)
    }
    json.member("encoding", text: isText ? "utf8" : "base64" as StaticString)
    json.member("truncated", isTruncated || kept.count < payload.count)
    json.endObject()
  }

  /// The bytes to write, and whether they are UTF-8.
  private func payloadKept(_ bytesMax: Int) -> (kept: UnsafeRawBufferPointer, isText: Bool) {
    guard let start = payload.baseAddress else { return (payload, true) }
    let base = start.assumingMemoryBound(to: UInt8.self)
    var count = min(payload.count, max(bytesMax, 0))
    if let invalid = UTF8Text.firstInvalid(base, in: 0..<count) {
      // The one thing that may be wrong with a text cut short is its last character.
      let isCut =
        count < payload.count
        && UTF8Text.sequenceLength(
          base, at: invalid, end: payload.count) > count - invalid
      if !isCut { return (UnsafeRawBufferPointer(start: start, count: count), false) }
      count = invalid
    }
    return (UnsafeRawBufferPointer(start: start, count: count), true)
  }
}
