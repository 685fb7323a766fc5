public import Events

/// Output records to encode.
public enum Records {
  // Written once, never freed, only read.
  private static let account = identifier("acct-0004")
  private static let campaign = identifier("camp-0004-01")
  private static let ad = identifier("ad-0004-01-007")
  nonisolated(unsafe) private static let source = prefix(
    RecordSource.topicPrefix("events", partition: 3))
  nonisolated(unsafe) private static let payload = prefix(
    Array(
      #"{"type":"click","id":"k0123456789abcdef","time":1767225657542,"account":"acct-0004","price":"1.2.3","campaign":"camp-0004-01","ad":"ad-0004-01-007","features":{"os":"linux"}}"#
        .utf8))
  private static let rejection = Rejection(
    reason: .invalidField, field: "price", detail: "\"1.2.3\" is no amount", byteOffset: 88)

  /// Kept for good.
  private static func prefix(_ bytes: [UInt8]) -> UnsafeBufferPointer<UInt8> {
    let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
    _ = memory.initialize(from: bytes)
    return UnsafeBufferPointer(memory)
  }

  private static func identifier(_ text: String) -> Identifier {
    let bytes = prefix(Array(text.utf8))
    return Identifier(
      hash: Hash.text(bytes), start: bytes.baseAddress, length: UInt32(bytes.count))
  }

  public static func tally(_ json: inout JSONWriter, _ number: Int) {
    Tally(
      account: account, campaign: campaign, ad: ad,
      time: EventTime(milliseconds: 1_767_225_657_542 + Int64(number)),
      source: RecordSource(prefix: source, number: Int64(number)), impressions: Int64(number) * 97,
      clicks: Int64(number) * 3, spend: Money(micros: Int64(number) * 7_919), auctions: 12, wins: 7
    ).write(to: &json)
  }

  public static func deadLetter(_ json: inout JSONWriter, _ number: Int) {
    DeadLetter(
      account: account, time: EventTime(milliseconds: 1_767_225_657_542 + Int64(number)),
      source: RecordSource(prefix: source, number: Int64(number)), rejection: rejection,
      payload: UnsafeRawBufferPointer(payload)
    ).write(to: &json)
  }
}
