public import Bidding
public import Events
public import Streaming

/// A record of `bid_parameters`: what a bidder may bid for an ad, and why.
public struct BidParameterRecord: StreamRecord {
  public static var stream: StreamType { .bidParameters }

  public var estimate: EstimateRecord
  /// Rises from record to record of an ad.
  public var sequence: Int64
  /// A bidder that has heard nothing newer by then stops.
  public var validUntil: EventTime
  public var status: BidStatus
  public var bid: Money
  public var maxBid: Money
  /// In (0, 1].
  public var pacing: Double
  /// Of the model that has a part in the bid; 0 where none has.
  public var modelVersion: Int64
  public var reasons: BidReasons
  public var clips: (BidLimits.Clip, BidLimits.Clip, BidLimits.Clip, BidLimits.Clip)

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let keyLength = json.beginRecord(ofAd: estimate.ad, context)
    json.member("seq", sequence)
    json.member("valid_until", validUntil)
    json.member("status", text: status.name)
    json.member("bid", bid)
    json.member("max_bid", maxBid)
    json.member("pacing", pacing, places: 9)
    estimate.writeBelief(to: &json)
    json.member("model", modelVersion)
    json.key("reasons")
    json.beginArray()
    reasons.forEachName { json.string($0) }
    json.endArray()
    json.writeClips(clips)
    json.endObject()
    return keyLength
  }

}

extension JSONWriter {
  mutating func writeClips(
    _ clips: (BidLimits.Clip, BidLimits.Clip, BidLimits.Clip, BidLimits.Clip)
  ) {
    key("clips")
    beginArray()
    write(clips.0)
    write(clips.1)
    write(clips.2)
    write(clips.3)
    endArray()
  }

  private mutating func write(_ clip: BidLimits.Clip) {
    guard !clip.limit.isEmpty else { return }
    beginObject()
    key("limit")
    clip.limit.forEachName { string($0) }
    member("raw", Money(micros: clip.rawMicros))
    member("clipped", Money(micros: clip.clippedMicros))
    endObject()
  }
}
