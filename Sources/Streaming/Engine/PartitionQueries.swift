import Events

/// A question to a partition: what stands of a campaign, or of one ad of it.
public struct Question: Sendable {
  public var account: String
  public var campaign: String
  /// nil: the campaign.
  public var ad: String?
  /// Of a campaign's ads at most so many are told of.
  public var adsMax: Int

  public init(account: String, campaign: String, ad: String? = nil, adsMax: Int = 100) {
    self.account = account
    self.campaign = campaign
    self.ad = ad
    self.adsMax = adsMax
  }
}

/// What a partition says to a question.
public enum PartitionAnswer: Sendable, Equatable {
  /// A JSON object; one member per operator that knows something.
  case known([UInt8])
  case unknownAccount
  case unknownCampaign
  case unknownAd
  /// The partition is not at work here (any more).
  case gone
}

extension PartitionStatus {
  /// Asks the partition between two of its steps; its state is not touched elsewhere.
  public func ask(_ question: Question) async -> PartitionAnswer {
    guard let owner else { return .gone }
    return await owner.answer(question)
  }

  /// The campaigns of an account that have an ad of this name; at most two. Looks through the
  /// partition's ads in slices, so that the partition goes on in between.
  ///
  /// - Returns: nil where the account is not known here.
  public func campaigns(ofAccount account: String, withAd ad: String) async -> [String]? {
    guard let owner else { return nil }
    var found: [String] = []
    var next: Int32 = 0
    while found.count < 2 {
      guard let slice = await owner.campaigns(ofAccount: account, withAd: ad, from: next) else {
        return nil
      }
      found += slice.campaigns
      guard let row = slice.next else { break }
      next = row
    }
    return Array(found.prefix(2))
  }
}

extension PartitionActor {
  package func answer(_ question: Question) -> PartitionAnswer {
    guard let core = coreAtWork else { return .gone }
    return core.answer(question, partition: status.index)
  }

  package func campaigns(
    ofAccount account: String, withAd ad: String, from first: Int32
  ) -> (campaigns: [String], next: Int32?)? {
    coreAtWork?.campaigns(ofAccount: account, withAd: ad, from: first)
  }
}

extension PartitionCore {
  /// Rows of ads that are looked at in one go: well below a millisecond.
  private static let adsPerSlice: Int32 = 8_192

  package func answer(_ question: Question, partition: Int) -> PartitionAnswer {
    guard let account = directory.accounts.row(of: question.account, parent: -1, parentHash: 0)
    else { return .unknownAccount }
    guard
      let campaign = directory.campaigns.row(
        of: question.campaign, parent: account, parentHash: directory.accounts.hash(account))
    else { return .unknownCampaign }
    var query = Query(account: account, campaign: campaign, adsMax: question.adsMax)
    if let ad = question.ad {
      guard
        let row = directory.ads.row(
          of: ad, parent: campaign, parentHash: directory.campaigns.hash(campaign))
      else { return .unknownAd }
      query.ad = row
    }
    var json = JSONWriter()
    json.beginObject()
    json.member("account", text: question.account)
    json.member("campaign", text: question.campaign)
    if let ad = question.ad { json.member("ad", text: ad) }
    json.member("partition", Int64(partition))
    json.member("time", clock)
    json.key("operators")
    json.beginObject()
    graph.query(query, clockEntry(atTick: max(tick, 0)), to: &json)
    json.endObject()
    json.endObject()
    return .known(Array(json.bytes))
  }

  func campaigns(
    ofAccount account: String, withAd ad: String, from first: Int32
  ) -> (campaigns: [String], next: Int32?)? {
    guard let account = directory.accounts.row(of: account, parent: -1, parentHash: 0) else {
      return nil
    }
    let ads = directory.ads
    let name = Array(ad.utf8)
    let end = min(first + PartitionCore.adsPerSlice, Int32(ads.count))
    var found: [String] = []
    for row in first..<max(first, end) {
      let campaign = ads.parent(row)
      guard directory.campaigns.parent(campaign) == account,
        ads.name(row).bytes.elementsEqual(name)
      else { continue }
      found.append(directory.campaigns.name(campaign).string)
    }
    return (found, end < Int32(ads.count) ? end : nil)
  }
}

extension NameTable {
  /// The row of a name, without making one.
  func row(of name: String, parent: Int32, parentHash: UInt64) -> Int32? {
    var name = name
    return name.withUTF8 { bytes in
      guard !bytes.isEmpty, bytes.count <= 1 << 20 else { return nil }
      let identifier = Identifier(
        hash: Hash.text(bytes), start: bytes.baseAddress, length: UInt32(bytes.count))
      return row(of: identifier, parent: parent, parentHash: parentHash)
    }
  }
}
