import Bidding
public import Events
public import Streaming

// What `safety` says when it is asked: what stands of an ad, and why.

extension Safety {
  public func query(
    _ query: Query, _ entry: borrowing Entry, to json: inout JSONWriter
  ) -> Bool {
    if query.ad >= 0 { return answer(forAd: query.ad, entry, to: &json) }
    return answer(forCampaign: query.campaign, adsMax: query.adsMax, to: &json)
  }

  /// What was published last, and under `now` what would be decided at this moment: the two differ
  /// while a change is held back or not worth a record.
  private func answer(
    forAd ad: Int32, _ entry: borrowing Entry, to json: inout JSONWriter
  ) -> Bool {
    guard let row = book.knownAd(ad), row.isProposed, row.sequence > 0 else { return false }
    writePublished(row, to: &json)
    row.published.write(to: &json)
    json.key("now")
    json.beginObject()
    let decision = decide(ad, entry)
    json.member("status", text: decision.status.name)
    json.member("bid", Money(micros: decision.bidMicros))
    json.member("max_bid", Money(micros: decision.maxBidMicros))
    writeReasons(decision.reasons, to: &json)
    json.writeClips(decision.clips)
    json.endObject()
    json.key("proposal")
    json.beginObject()
    let proposal = row.proposal
    json.member("bid", proposal.bidMicros / 1e6, places: 9)
    json.member("worth", proposal.worthMicros / 1e6, places: 9)
    json.member("learning", proposal.isLearning)
    json.member("default", proposal.usesDefault)
    json.member("pace", text: proposal.pace.name)
    json.member("pacing", proposal.pacing, places: 9)
    proposal.view.write(to: &json)
    proposal.estimate.writeBelief(to: &json)
    json.endObject()
    return true
  }

  private func answer(
    forCampaign campaign: Int32, adsMax: Int, to json: inout JSONWriter
  ) -> Bool {
    var ad = book.adsOfCampaign.first(of: campaign)
    guard ad != ChildLists.end else { return false }
    json.key("ads")
    json.beginArray()
    var left = adsMax
    while ad != ChildLists.end, left > 0 {
      if let row = book.knownAd(ad), row.isProposed, row.sequence > 0 {
        json.beginObject()
        json.member("ad", directory.ads.name(ad))
        writePublished(row, to: &json)
        json.endObject()
        left -= 1
      }
      ad = book.adsOfCampaign.next(after: ad)
    }
    json.endArray()
    json.member("has_more", ad != ChildLists.end)
    return true
  }

  private func writePublished(_ row: SafetyBook.Ad, to json: inout JSONWriter) {
    json.member("status", text: row.publishedStatus.name)
    json.member("bid", Money(micros: row.publishedBidMicros))
    json.member("max_bid", Money(micros: publishedMaxBid(row)))
    json.member("seq", row.sequence)
    json.member("published_at", EventTime(milliseconds: row.publishedAt))
    json.member("valid_until", EventTime(milliseconds: row.publishedAt &+ validFor))
    writeReasons(row.publishedReasons, to: &json)
  }

  /// As it was published: the cap, or what one step allows where there is none.
  private func publishedMaxBid(_ row: SafetyBook.Ad) -> Int64 {
    guard row.publishedStatus.bids else { return 0 }
    guard row.publishedCapMicros < 0 else { return row.publishedCapMicros }
    return BidLimits.micros(Double(row.publishedBidMicros) * stepLimit)
  }

  private func writeReasons(_ reasons: BidReasons, to json: inout JSONWriter) {
    json.key("reasons")
    json.beginArray()
    reasons.forEachName { json.string($0) }
    json.endArray()
  }
}
