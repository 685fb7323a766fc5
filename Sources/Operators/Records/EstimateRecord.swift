public import Events
public import Streaming

/// What was counted of one ad so far: exact, undiscounted, so that anyone can reconcile it.
public struct Evidence: BitwiseCopyable, Sendable, Equatable {
  /// Every accepted impression, viewable or not.
  public var impressions: Int64 = 0
  public var clicks: Int64 = 0
  /// Credits by attribution's primary model: a million is one conversion.
  public var conversionsMillionths: Int64 = 0
  /// The credited part of the conversions' values.
  public var value = Money.zero
  /// Prices of the impressions and clicks.
  public var spend = Money.zero

  public init() {}

  func write(to json: inout JSONWriter) {
    json.key("evidence")
    json.beginObject()
    json.member("impressions", impressions)
    json.member("clicks", clicks)
    json.member("conversions", Money(micros: conversionsMillionths))
    json.member("value", value)
    json.member("spend", spend)
    json.endObject()
  }
}

/// What is believed about a rate: a Beta distribution, and one draw from it.
public struct RatePosterior: BitwiseCopyable, Sendable, Equatable {
  public var mean: Double = 0
  /// Parameters of the Beta distribution; both above 0.
  public var alpha: Double = 1
  public var beta: Double = 1
  /// For Thompson sampling; a function of the seed, the ad, and how often was drawn.
  public var draw: Double = 0

  public init() {}

  func write(_ key: StaticString, to json: inout JSONWriter) {
    json.key(key)
    json.beginObject()
    json.member("mean", mean, places: 9)
    // They are above 0, also where nine places would not show it.
    json.member("alpha", max(alpha, 1e-9), places: 9)
    json.member("beta", max(beta, 1e-9), places: 9)
    json.member("draw", draw, places: 9)
    json.endObject()
  }
}

/// A mean and what the truth lies between with 90 %.
public struct Interval: BitwiseCopyable, Sendable, Equatable {
  public var mean: Double = 0
  public var low: Double = 0
  public var high: Double = 0

  public init() {}

  func write(_ key: StaticString, to json: inout JSONWriter) {
    json.key(key)
    json.beginObject()
    json.member("mean", mean, places: 6)
    json.member("low", low, places: 6)
    json.member("high", high, places: 6)
    json.endObject()
  }
}

/// A record of `estimates`: what is known and believed about one ad. One for every event that
/// counts for the ad, and one whenever what is believed was computed anew.
public struct EstimateRecord: StreamRecord {
  public static var stream: StreamType { .estimates }

  /// The directory's row of the ad; campaign and account stand above it.
  public var ad: Int32
  /// False: since the ad's last record only `evidence` has changed.
  public var isRefreshed: Bool
  public var evidence = Evidence()
  /// Clicks per impression.
  public var ctr = RatePosterior()
  /// Conversions per click.
  public var cvr = RatePosterior()
  /// Micros; the mean of the posterior.
  public var valuePerConversionMicros: Double = 0
  /// Micros: what an average impression brings, through clicks and through views.
  public var valuePerImpressionMicros: Double = 0
  /// Standard deviation of the value per impression by its mean; infinity while nothing is known.
  public var relativeDeviation: Double = .infinity
  /// The same of the conversions per impression.
  public var conversionDeviation: Double = .infinity
  /// Return on ad spend; zeros without spend.
  public var roas = Interval()
  /// Of the campaign's budget, by the probability of being its best ad. The ads' shares sum to 1.
  public var share: Double = 0

  public init(ad: Int32, isRefreshed: Bool) {
    self.ad = ad
    self.isRefreshed = isRefreshed
  }

  public func encode(to json: inout JSONWriter, _ context: borrowing EncodingContext) -> Int {
    let keyLength = json.beginRecord(ofAd: ad, context)
    writeBelief(to: &json)
    json.endObject()
    return keyLength
  }

  /// The members between an ad's names and the end of its record.
  func writeBelief(to json: inout JSONWriter) {
    ctr.write("ctr", to: &json)
    cvr.write("cvr", to: &json)
    json.key("value")
    json.beginObject()
    json.member("per_impression", valuePerImpressionMicros / 1e6, places: 9)
    json.member("per_click", cvr.mean * valuePerConversionMicros / 1e6, places: 9)
    json.member("per_conversion", valuePerConversionMicros / 1e6, places: 6)
    json.endObject()
    if relativeDeviation.isFinite { json.member("deviation", relativeDeviation, places: 6) }
    roas.write("roas", to: &json)
    json.member("share", share, places: 6)
    evidence.write(to: &json)
  }
}

extension JSONWriter {
  /// Writes the key of an ad's record and the members that it begins with; returns the key's
  /// length in bytes.
  mutating func beginRecord(ofAd ad: Int32, _ context: borrowing EncodingContext) -> Int {
    let directory = context.directory
    let campaignRow = directory.ads.parent(ad)
    let account = directory.accounts.name(directory.campaigns.parent(campaignRow))
    let campaign = directory.campaigns.name(campaignRow)
    let name = directory.ads.name(ad)
    let keyLength = writeKey(account, campaign, name)
    beginObject()
    member("account", account)
    member("campaign", campaign)
    member("ad", name)
    member("time", context.time)
    key("source")
    source(context.source)
    return keyLength
  }
}
