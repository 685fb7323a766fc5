public import Events
public import Streaming

/// A record of `alerts`.
public struct AlertRecord: StreamRecord {
  public static var stream: StreamType { .alerts }

  /// Rows in the directory; campaign and ad are -1 where the alert is not about one.
  public var account: Int32
  public var campaign: Int32 = -1
  public var ad: Int32 = -1
  public var kind: Alert.Kind
  public var severity: Alert.Severity
  public var observed: Double
  public var expected: Double

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let directory = context.directory
    let name = directory.accounts.name(account)
    let keyLength = json.writeKey(name)
    var alert = Alert(
      account: name, time: context.time, source: context.source, kind: kind, severity: severity,
      observed: observed, expected: expected, message: message)
    if campaign >= 0 { alert.campaign = directory.campaigns.name(campaign) }
    if ad >= 0 { alert.ad = directory.ads.name(ad) }
    alert.write(to: &json)
    return keyLength
  }

  private var message: StaticString {
    switch kind {
    case .identitySupernode:
      "one person with more devices or users than a person has: frozen, nothing more is merged"
    }
  }
}
