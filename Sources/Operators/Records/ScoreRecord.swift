public import Events
import Learning
public import Streaming

/// What predictions of one head were worth. NaN where there is nothing to say yet: without labels of
/// both kinds there is no ranking, without any positive one no calibration.
public struct ScoreFigures: BitwiseCopyable, Sendable {
  /// Weight of the labels, and of the positive ones (parts of credits count as parts).
  public var labels = 0.0
  public var positives = 0.0
  /// Mean, in nats.
  public var logLoss = Double.nan
  /// Mean log-loss over that of always predicting the rate of the same labels.
  public var normalizedEntropy = Double.nan
  /// Mean squared error.
  public var brier = Double.nan
  /// Σ predicted / Σ observed.
  public var calibration = Double.nan
  /// Expected distance of predicted and observed rates over ten groups of equal weight.
  public var calibrationError = Double.nan
  /// Area under the receiver operating characteristic.
  public var auc = Double.nan
  /// Average precision.
  public var averagePrecision = Double.nan
  /// The rate of the tenth that was scored highest over the rate of all, and the part of the
  /// positives that it has.
  public var lift = Double.nan
  public var capture = Double.nan

  public init() {}

  /// - Parameter scale: What the sums are worth now.
  init(_ sums: ScoreSums, _ histogram: ScoreHistogram?, scale: Double = 1) {
    labels = max(sums.weight * scale, 0)
    positives = max(sums.labels * scale, 0)
    logLoss = sums.logLoss ?? .nan
    normalizedEntropy = sums.normalizedEntropy ?? .nan
    brier = sums.brier ?? .nan
    calibration = sums.calibrationRatio ?? .nan
    guard let histogram else { return }
    calibrationError = histogram.calibration()?.expected ?? .nan
    auc = histogram.auc?.value ?? .nan
    averagePrecision = histogram.averagePrecision?.value ?? .nan
    lift = histogram.lift()?.value ?? .nan
    capture = histogram.capture()?.value ?? .nan
  }

  /// Members of an object that is open; what is not known is left out.
  func write(to json: inout JSONWriter) {
    json.member("labels", labels, places: 6)
    json.member("positives", positives, places: 6)
    func member(_ key: StaticString, _ value: Double) {
      if value.isFinite { json.member(key, value, places: 9) }
    }
    member("log_loss", logLoss)
    member("normalized_entropy", normalizedEntropy)
    member("brier", brier)
    member("calibration", calibration)
    member("ece", calibrationError)
    member("auc", auc)
    member("pr_auc", averagePrecision)
    member("lift", lift)
    member("capture", capture)
  }
}

/// A record of `scores`: how good one model's predictions were, of an account or one of its
/// campaigns.
public struct ScoreRecord: StreamRecord {
  public static var stream: StreamType { .scores }

  /// Rows in the directory; the campaign is -1 where the record is about the account.
  public var account: Int32
  public var campaign: Int32
  public var model: UnsafePointer<PredictionRecord.ModelName>
  var head: RateHead
  /// The model is the one that counts.
  public var isChampion: Bool
  /// Over the whole stream, and fading.
  public var all: ScoreFigures
  public var recent: ScoreFigures
  /// The same fading of what the model said before calibration; no labels where there is none.
  public var raw: ScoreFigures

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let name = context.directory.accounts.name(account)
    let keyLength = writeKey(to: &json, name, context)
    json.beginObject()
    json.member("account", name)
    if campaign >= 0 { json.member("campaign", context.directory.campaigns.name(campaign)) }
    json.member("model", text: model.pointee.text)
    json.member("head", text: head.name)
    json.member("time", context.time)
    json.key("source")
    json.source(context.source)
    json.member("champion", isChampion)
    all.write(to: &json)
    json.key("recent")
    json.beginObject()
    recent.write(to: &json)
    json.endObject()
    if raw.labels > 0 {
      json.key("raw")
      json.beginObject()
      raw.write(to: &json)
      json.endObject()
    }
    json.endObject()
    return keyLength
  }

  /// account/campaign/model/head; the campaign is empty in a record about the account.
  private func writeKey(
    to json: inout JSONWriter, _ name: Identifier, _ context: borrowing EncodingContext
  ) -> Int {
    let slash = UInt8(ascii: "/")
    let start = json.count
    json.unframed(name.bytes)
    json.unframed(slash)
    if campaign >= 0 { json.unframed(context.directory.campaigns.name(campaign).bytes) }
    json.unframed(slash)
    json.unframed(model.pointee.text)
    json.unframed(slash)
    json.unframed("\(head.name)")
    return json.count - start
  }
}
