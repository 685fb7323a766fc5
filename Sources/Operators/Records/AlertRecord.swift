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
  /// What the message says.
  public var subject: Subject
  public var observed: Double
  public var expected: Double
  /// The model that it is about, if any, and which of its predictions.
  var model: UnsafePointer<PredictionRecord.ModelName>?
  var head: RateHead?
  /// The feature that it is about, if any: by its name, or by its hash where no setting names it.
  var feature: UnsafePointer<PredictionRecord.ModelName>?
  var featureHash: UInt32?

  public init(
    account: Int32, campaign: Int32 = -1, ad: Int32 = -1, kind: Alert.Kind,
    severity: Alert.Severity, subject: Subject, observed: Double, expected: Double
  ) {
    self.account = account
    self.campaign = campaign
    self.ad = ad
    self.kind = kind
    self.severity = severity
    self.subject = subject
    self.observed = observed
    self.expected = expected
  }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let directory = context.directory
    let name = directory.accounts.name(account)
    let keyLength = json.writeKey(name)
    var alert = Alert(
      account: name, time: context.time, source: context.source, kind: kind, severity: severity,
      observed: observed, expected: expected, message: message)
    if campaign >= 0 { alert.campaign = directory.campaigns.name(campaign) }
    if ad >= 0 { alert.ad = directory.ads.name(ad) }
    alert.model = model?.pointee.text
    alert.head = head?.name
    if let featureHash {
      alert.feature = feature?.pointee.text ?? "features.#\(String(featureHash, radix: 16))"
    }
    alert.write(to: &json)
    return keyLength
  }

  /// What an alert is about, more closely than its kind.
  public enum Subject: UInt8, BitwiseCopyable, Sendable {
    case supernode
    case missingValue
    case expired
    case superseded
    case unknownAd
    case unknownTimeZone
    case beyondBudget
    case budgetCut
    case featureDrift
    case ratesDrift
    case ratesRecovered
    case lossDrift
    case lossRecovered
    case rateChanged
    case forgot
    case recalibrated
    case challengerRestarted
    case promoted
    case rolledBack
    case dismissed
    case confirmed
    case fewAccounts
    case budgetSpent
  }

  private var message: StaticString {
    switch subject {
    case .supernode:
      "one person with more devices or users than a person has: frozen, nothing more is merged"
    case .missingValue: "an order without the `value` that its action needs: it has no effect"
    case .expired: "an order whose `until` has passed: it has no effect"
    case .superseded: "an order that is older than one that came before it: it has no effect"
    case .unknownAd: "an order for an ad that is not known, without its campaign: it has no effect"
    case .unknownTimeZone:
      "a `timezone` that is no IANA name: the one before it stays, UTC at first"
    case .beyondBudget: "spend goes on although the budget is used up: more than was on its way"
    case .budgetCut: "the budget was cut below what is spent"
    case .featureDrift:
      "a feature is distributed otherwise than before: its stability index, and what chance gives"
    case .ratesDrift:
      "outcomes are not as often as predicted: mean of label less prediction"
    case .ratesRecovered: "outcomes are as often as predicted again: mean of label less prediction"
    case .lossDrift:
      "outcomes are not those that were predicted: log-loss beyond what the model expects"
    case .lossRecovered:
      "outcomes are those that were predicted again: log-loss beyond what the model expects"
    case .rateChanged:
      "outcomes are more or less frequent than before: how often they are, and were"
    case .forgot: "the model forgets: only this part of its evidence is kept, its weights all are"
    case .recalibrated: "calibration forgets: only this part of its evidence is kept"
    case .challengerRestarted: "a challenger begins anew, with what comes from now on"
    case .promoted: "a challenger proved better and counts from now on: log-loss of both"
    case .rolledBack:
      "a promoted model proved worse or lost its calibration: the one before counts again"
    case .dismissed: "a challenger proved worse and is set aside: log-loss of both"
    case .confirmed: "a promoted model kept its place: the one before is set aside"
    case .fewAccounts: "a round had too few accounts: nothing of it is published"
    case .budgetSpent:
      "another prior would tell more of an account than `epsilon` allows: no more are published"
    }
  }
}
