public import Events
public import Streaming

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
    estimate.writeBelief(to: &json)
    json.endObject()
    return keyLength
  }
}
