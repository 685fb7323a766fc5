/// A record of `tallies`: the exact running totals of one ad.
public struct Tally {
  public var account: Identifier
  public var campaign: Identifier
  public var ad: Identifier
  public var time: EventTime
  public var source: RecordSource
  public var impressions: Int64
  public var clicks: Int64
  public var spend: Money
  public var auctions: Int64
  public var wins: Int64

  public init(
    account: Identifier, campaign: Identifier, ad: Identifier, time: EventTime,
    source: RecordSource, impressions: Int64 = 0, clicks: Int64 = 0, spend: Money = .zero,
    auctions: Int64 = 0, wins: Int64 = 0
  ) {
    self.account = account
    self.campaign = campaign
    self.ad = ad
    self.time = time
    self.source = source
    self.impressions = impressions
    self.clicks = clicks
    self.spend = spend
    self.auctions = auctions
    self.wins = wins
  }

  /// Writes the record as one JSON object.
  public func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("account", account)
    json.member("campaign", campaign)
    json.member("ad", ad)
    json.member("time", time)
    json.key("source")
    json.source(source)
    json.member("impressions", impressions)
    json.member("clicks", clicks)
    json.member("spend", spend)
    json.member("auctions", auctions)
    json.member("wins", wins)
    json.endObject()
  }
}
