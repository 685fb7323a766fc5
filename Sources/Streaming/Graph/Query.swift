/// What operators are asked about: a campaign, or one ad of it, by their rows in the directory.
public struct Query: Sendable {
  public var account: Int32
  public var campaign: Int32
  /// -1 where the campaign is asked about.
  public var ad: Int32
  /// Of a campaign's ads at most so many are told of.
  public var adsMax: Int

  public init(account: Int32, campaign: Int32, ad: Int32 = -1, adsMax: Int = 100) {
    self.account = account
    self.campaign = campaign
    self.ad = ad
    self.adsMax = adsMax
  }
}
