/// A record of `alerts`: something that a person should look at.
public struct Alert {
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    case anomaly
    case calibration
    case drift
    case federation
    case identitySupernode
    case overspend
    case promotion

    public var name: StaticString {
      switch self {
      case .anomaly: "anomaly"
      case .calibration: "calibration"
      case .drift: "drift"
      case .federation: "federation"
      case .identitySupernode: "identity_supernode"
      case .overspend: "overspend"
      case .promotion: "promotion"
      }
    }
  }

  public enum Severity: UInt8, Sendable, BitwiseCopyable {
    case info, warning, critical

    public var name: StaticString {
      switch self {
      case .info: "info"
      case .warning: "warning"
      case .critical: "critical"
      }
    }
  }

  public var account: Identifier
  /// Left out where the alert is not about a campaign.
  public var campaign = Identifier.absent
  /// Left out where the alert is not about an ad.
  public var ad = Identifier.absent
  /// Left out where the alert is not about a model, and which of its predictions it is about.
  public var model: String?
  public var head: StaticString?
  /// Left out where the alert is not about a feature.
  public var feature: String?
  public var time: EventTime
  public var source: RecordSource
  public var kind: Kind
  public var severity: Severity
  public var observed: Double
  public var expected: Double
  public var message: StaticString

  public init(
    account: Identifier, time: EventTime, source: RecordSource, kind: Kind, severity: Severity,
    observed: Double, expected: Double, message: StaticString
  ) {
    self.account = account
    self.time = time
    self.source = source
    self.kind = kind
    self.severity = severity
    self.observed = observed
    self.expected = expected
    self.message = message
  }

  /// Writes the record as one JSON object.
  public func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("account", account)
    json.member("time", time)
    json.key("source")
    json.source(source)
    json.member("kind", text: kind.name)
    json.member("severity", text: severity.name)
    if !campaign.isAbsent { json.member("campaign", campaign) }
    if !ad.isAbsent { json.member("ad", ad) }
    if let model { json.member("model", text: model) }
    if let head { json.member("head", text: head) }
    if let feature { json.member("feature", text: feature) }
    json.member("observed", observed)
    json.member("expected", expected)
    json.member("message", text: message)
    json.endObject()
  }
}
