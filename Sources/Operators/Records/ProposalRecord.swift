public import Bidding
public import Events
public import Streaming

/// What a model expects of an ad's recent traffic, and what it counts beside the ad's own evidence.
public struct ModelView: BitwiseCopyable, Sendable, Equatable {
  /// The account's models' when the ad was predicted last; 0 where no model has a part.
  public var version: Int64 = 0
  /// Clicks per impression, and conversions per click.
  public var click = RateBlend()
  public var conversion = RateBlend()

  public init() {}

  func write(to json: inout JSONWriter) {
    guard version > 0 else { return }
    json.key("prediction")
    json.beginObject()
    json.member("model", version)
    json.member("ctr", click.predicted, places: 9)
    json.member("ctr_weight", click.weight, places: 6)
    json.member("cvr", conversion.predicted, places: 9)
    json.member("cvr_weight", conversion.weight, places: 6)
    json.endObject()
  }
}

/// A record of `proposals`: what an ad's bid would be if nothing limited it, and all that is known
/// of the ad. One for every estimate of the ad and for every change of its campaign.
public struct ProposalRecord: StreamRecord {
  public static var stream: StreamType { .proposals }

  public var estimate: EstimateRecord
  /// False: since the ad's last proposal only the evidence has changed.
  public var isRefreshed: Bool
  /// What is known of the ad is too vague to bid by.
  public var isLearning: Bool
  /// The campaign's default bid stands in for the value.
  public var usesDefault: Bool
  public var pace: PaceState
  /// In (0, 1]; `bidMicros` has been multiplied by it.
  public var pacing: Double
  /// For an average impression, by the campaign's goal, before pacing.
  public var worthMicros: Double
  /// What `bid.ceiling` is a part of: the value of an average impression, or its worth where the
  /// goal is a cost per conversion and values may not be known.
  public var valueMicros: Double
  /// For an average impression; not rounded.
  public var bidMicros: Double
  /// What the learner's model adds to what is believed of the ad.
  public var view = ModelView()

  /// The directory's row of the ad.
  public var ad: Int32 { estimate.ad }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let keyLength = json.beginRecord(ofAd: ad, context)
    json.member("bid", bidMicros / 1e6, places: 9)
    json.member("worth", worthMicros / 1e6, places: 9)
    json.member("learning", isLearning)
    json.member("default", usesDefault)
    json.member("pace", text: pace.name)
    json.member("pacing", pacing, places: 9)
    view.write(to: &json)
    estimate.writeBelief(to: &json)
    json.endObject()
    return keyLength
  }
}
