import Events
import Learning
public import Streaming

/// What is known and believed of each ad: click rate, conversion rate, value, return on spend, and
/// the share of its campaign's budget that it deserves.
///
/// `evidence` is exact and at once: one record for every impression, click and credit of the
/// primary model. Beliefs rest on matured evidence alone: an impression is a trial of the click
/// rate when `maturity.click` has passed, a click one of the conversion rate when
/// `maturity.conversion` has, both counted from the end of its slot: a sixth of `maturity.click` in
/// whole minutes, and an hour. Evidence is
/// discounted by its own age. An ad is shrunk to its campaign, that to its account, that to
/// `prior`. An ad's first record is refreshed at once. Later, once a minute, the ads of which
/// evidence has matured are, and with them those of the same campaign whose value moved by more
/// than a thousandth; when a share moved by that much, so are all whose share did.
///
/// `share` is the probability of being the campaign's best ad by value per impression, each ad's
/// value taken as log-normal and as independent of the others', raised to a floor. In a campaign
/// of more than 64 ads the 64 of the highest mean are compared and the others get the floor; a new
/// ad's share is settled with the next minute, and none is refreshed for its value alone. Where
/// events are among the inputs, an auction makes an ad known too.
///
/// Takes about 350 bytes an ad, 72 bytes for each slot in which it had events until `maturity.click`
/// has passed, and as much for each hour until `maturity.conversion` has.
public struct Posteriors: Operator {
  public static let description = OperatorDescription(
    name: "posteriors", version: 1,
    summary: "Believed click rate, conversion rate, value and share of each ad.",
    inputs: [
      .init(.interactions), .init(.attributions), .init(.events, required: false),
    ],
    outputs: [.estimates],
    settings: [
      SettingDescription(
        "half_life", .duration(.minutes(1)...(.days(400))), default: "7d",
        meaning: "Evidence of this age counts half."),
      SettingDescription(
        "prior_strength", .number(0.01...1e6), default: "50",
        meaning: """
          What is known of the level above counts as this many trials of a rate, and as a tenth \
          as many conversions of a value.
          """),
      SettingDescription(
        "share_floor", .number(0...1), default: "0.05",
        meaning: "The part of a campaign's budget that is shared evenly among its ads."),
      SettingDescription(
        "prior",
        .structure([
          SettingDescription(
            "ctr", .number(1e-9...0.999), default: "0.005", meaning: "Clicks per impression."),
          SettingDescription(
            "cvr", .number(1e-9...0.999), default: "0.02", meaning: "Conversions per click."),
        ]),
        default: "{}",
        meaning: "What is believed of an account of which nothing is known."),
      SettingDescription(
        "maturity",
        .structure([
          SettingDescription(
            "click", .duration(.seconds(1)...(.days(30))), default: "30m",
            meaning: "Of an impression: time for a click to come."),
          SettingDescription(
            "conversion", .duration(.seconds(1)...(.days(60))), default: "1d",
            meaning: "Of a click: time for a conversion to come. At least `click`."),
        ]),
        default: "{}",
        meaning: "How old evidence is when it is believed."),
    ])

  /// How far a belief may move, by its own deviation, before ads are compared again.
  static let comparisonBound = 0.05

  /// The most ads of a campaign that are compared.
  static let armsMax = 64
  /// What has moved by no more has not moved.
  private static let tolerance = 1e-3

  /// One ad.
  struct Ad: BitwiseCopyable {
    /// Row of its campaign; -1 before its first event.
    var campaign: Int32 = -1
    /// What is believed of it has changed since its last refreshed record.
    var isChanged = false
    /// How often was drawn.
    var draws: Int64 = 0
    /// The logarithm of its value, mean and deviation, when its share was computed; deviation 0
    /// before that.
    var comparedMean = 0.0
    var comparedDeviation = 0.0
    var sums = MaturedSums()
  }

  /// One campaign.
  struct Campaign: BitwiseCopyable {
    var account: Int32 = -1
    /// How many ads it has.
    var count: Int32 = 0
    /// A timer for it is set.
    var isScheduled = false
    /// Its shares do not sum to 1 yet.
    var hasNewAd = false
    /// It stands in `touched`.
    var isTouched = false
    var sums = MaturedSums()
  }

  /// What a timer is about, in the low bits of its key; above them a row.
  private enum TimerKind: Int64 {
    case slot
    case hour
    /// Of a campaign.
    case refresh
  }

  /// What draws are for.
  private enum Purpose: UInt64 {
    case ctr = 1
    case cvr = 2
  }

  private let interactions: Stream<Interaction>
  private let attributions: Stream<AttributionRecord>
  /// Where auctions come from, which are no interactions; nil where they are left out.
  private let events: EventInput?
  private let output: Stream<EstimateRecord>
  private let timers: Timers
  private let directory: Directory
  private let seed: UInt64
  private let decay: ForwardDecay
  private let shrinkage: Shrinkage
  private let prior: RatePrior
  private let shareFloor: Double
  private let clickMaturity: Int64
  private let conversionMaturity: Int64
  /// By the directory's rows.
  private let ads: Table<Ad>
  private let campaigns: Table<Campaign>
  private let adsOfCampaign: ChildLists
  private let accounts: Table<MaturedSums>
  /// Each ad's last record, its evidence up to date.
  private let estimates: Table<EstimateRecord>
  private let maturing: MaturingEvidence
  /// Campaigns to refresh behind the timers that came due together; empty between entries.
  private let touched: Table<Int32>
  private let scratch: Scratch

  /// Memory for comparing ads; holds nothing between calls.
  private struct Scratch {
    let ads = UnsafeMutableBufferPointer<Int32>.allocate(capacity: armsMax)
    let means = UnsafeMutableBufferPointer<Double>.allocate(capacity: armsMax)
    let deviations = UnsafeMutableBufferPointer<Double>.allocate(capacity: armsMax)
    let shares = UnsafeMutableBufferPointer<Double>.allocate(capacity: armsMax)
    let work = UnsafeMutableBufferPointer<Double>.allocate(
      capacity: armsMax * BestArm.scratchPerArm)

    func deallocate() {
      ads.deallocate()
      means.deallocate()
      deviations.deallocate()
      shares.deallocate()
      work.deallocate()
    }
  }

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    let settings = setup.settings
    let rates = settings.structure("prior")
    let maturity = settings.structure("maturity")
    clickMaturity = maturity.duration("click").milliseconds
    conversionMaturity = maturity.duration("conversion").milliseconds
    guard conversionMaturity >= clickMaturity else {
      throw SettingProblem(
        setting: "maturity",
        message: "`maturity.conversion` is shorter than `maturity.click`; a click is believed "
          + "before it can have converted")
    }
    decay = ForwardDecay(halfLife: settings.duration("half_life").milliseconds)
    shrinkage = Shrinkage(strength: settings.number("prior_strength"))
    prior = RatePrior(ctr: rates.number("ctr"), cvr: rates.number("cvr"))
    shareFloor = settings.number("share_floor")
    seed = setup.seed
    interactions = try setup.onlyInput(Interaction.self)
    attributions = try setup.onlyInput(AttributionRecord.self)
    events = setup.optionalEvents()
    output = setup.output(EstimateRecord.self)
    timers = setup.timers
    directory = setup.directory
    ads = setup.store.table("ads", of: Ad.self, version: 2)
    campaigns = setup.store.table("campaigns", of: Campaign.self, version: 2)
    adsOfCampaign = ChildLists("campaigns.ads", in: setup.store)
    accounts = setup.store.table("accounts", of: MaturedSums.self)
    estimates = setup.store.table("estimates", of: EstimateRecord.self)
    maturing = MaturingEvidence(clickMaturity: clickMaturity, in: setup.store)
    touched = setup.store.table("touched", of: Int32.self)
    scratch = Scratch()
  }

  public func deallocate() {
    scratch.deallocate()
    events?.deallocate()
  }

  // MARK: Evidence

  public mutating func process(_ entry: borrowing Entry) {
    for i in 0..<interactions.count {
      let interaction = interactions[i]
      guard interaction.kind == .event, let event = interaction.event else { continue }
      switch event.pointee.type {
      case .impression: count(event, impressions: 1, clicks: 0, entry)
      case .click: count(event, impressions: 0, clicks: 1, entry)
      default: break
      }
    }
    for i in 0..<attributions.count where attributions[i].isPrimary && attributions[i].isAttributed
    {
      credit(attributions[i], entry)
    }
    if let event = events?.current?.pointer, event.pointee.type == .auction { meet(event, entry) }
  }

  /// An ad that was bid for and never shown is one to have a belief about: its parents'.
  private func meet(_ event: UnsafePointer<Event>, _ entry: borrowing Entry) {
    let ad = event.pointee.ad.row
    guard ad >= 0, enrol(ad, event.pointee.campaign.row) else { return }
    publish(ad, isNew: true, entry)
  }

  @inline(__always)
  private func count(
    _ event: UnsafePointer<Event>, impressions: Int64, clicks: Int64, _ entry: borrowing Entry
  ) {
    let ad = event.pointee.ad.row
    guard ad >= 0 else { return }
    let price = event.pointee.price
    let isNew = enrol(ad, event.pointee.campaign.row)
    let evidence = estimates.update(ad)
    evidence.pointee.evidence.impressions &+= impressions
    evidence.pointee.evidence.clicks &+= clicks
    evidence.pointee.evidence.spend = Posteriors.sum(evidence.pointee.evidence.spend, price)
    let (row, isNewBucket) = maturing.slots.bucket(of: ad, at: event.pointee.time.milliseconds)
    let bucket = maturing.slots.buckets.update(row)
    bucket.pointee.impressions &+= impressions
    bucket.pointee.clicks &+= clicks
    bucket.pointee.spend += Double(price.micros)
    if isNewBucket {
      let end = bucket.pointee.start &+ maturing.slots.length
      set(.slot, row, at: end &+ clickMaturity)
    }
    publish(ad, isNew: isNew, entry)
  }

  private func credit(_ record: AttributionRecord, _ entry: borrowing Entry) {
    let ad = record.touch.ad
    guard ad >= 0 else { return }
    let isNew = enrol(ad, record.touch.campaign)
    let evidence = estimates.update(ad)
    evidence.pointee.evidence.conversionsMillionths &+= record.creditMillionths
    evidence.pointee.evidence.value = Posteriors.sum(evidence.pointee.evidence.value, record.value)
    let start = maturing.hours.start(record.touch.time.milliseconds)
    let due = start &+ MaturingEvidence.hour &+ conversionMaturity
    if due <= entry.clock.milliseconds {
      // Its click, or impression, has been a trial since.
      var bucket = MaturingEvidence.Bucket(ad: ad, start: start)
      Posteriors.add(record, to: &bucket)
      mature(hour: bucket)
      schedule(ads[ad].campaign, entry)
    } else {
      let row = cohort(of: ad, at: start)
      Posteriors.add(record, to: &maturing.hours.buckets.update(row).pointee)
    }
    publish(ad, isNew: isNew, entry)
  }

  private static func add(_ record: AttributionRecord, to bucket: inout MaturingEvidence.Bucket) {
    if record.touch.isClick {
      bucket.clickCredits &+= record.creditMillionths
    } else {
      bucket.viewCredits &+= record.creditMillionths
    }
    let value = Double(record.value.micros)
    bucket.value += value
    // w·x² of a conversion's value x, of which w·x is credited.
    if record.creditMillionths > 0 {
      bucket.squares += value * (value / (Double(record.creditMillionths) * 1e-6))
    }
  }

  /// The bucket of an hour, with its timer.
  private func cohort(of ad: Int32, at time: Int64) -> Int32 {
    let (row, isNew) = maturing.hours.bucket(of: ad, at: time)
    if isNew {
      let end = maturing.hours.buckets[row].start &+ MaturingEvidence.hour
      set(.hour, row, at: end &+ conversionMaturity)
    }
    return row
  }

  private func set(_ kind: TimerKind, _ row: Int32, at time: Int64) {
    timers.add(at: EventTime(milliseconds: time), key: Int64(row) << 2 | kind.rawValue)
  }

  /// A sum of money that stays at its limit.
  @inline(__always)
  private static func sum(_ a: Money, _ b: Money) -> Money {
    let (sum, overflow) = a.micros.addingReportingOverflow(b.micros)
    return Money(micros: overflow ? (b.micros < 0 ? .min : .max) : sum)
  }

  /// Puts an ad into its campaign's list with its first event; true then.
  @inline(__always)
  private func enrol(_ ad: Int32, _ campaign: Int32) -> Bool {
    if Int(ad) < ads.count && ads.address(ad).pointee.campaign >= 0 { return false }
    addAd(ad, campaign)
    return true
  }

  @inline(never)
  private func addAd(_ ad: Int32, _ campaign: Int32) {
    let account = directory.campaigns.parent(campaign)
    ads.fill(to: Int(ad) + 1, with: Ad())
    estimates.fill(to: Int(ad) + 1, with: EstimateRecord(ad: -1, isRefreshed: false))
    campaigns.fill(to: Int(campaign) + 1, with: Campaign())
    accounts.fill(to: Int(account) + 1, with: MaturedSums())
    ads.update(ad).pointee.campaign = campaign
    estimates.update(ad).pointee.ad = ad
    let row = campaigns.update(campaign)
    row.pointee.account = account
    adsOfCampaign.add(ad, below: campaign)
    row.pointee.count &+= 1
    row.pointee.hasNewAd = true
  }

  /// Gives an ad's record after an event. The first of an ad is refreshed, together with the ads
  /// that it now shares its campaign with; where these are too many, they wait for the next minute.
  @inline(__always)
  private func publish(_ ad: Int32, isNew: Bool, _ entry: borrowing Entry) {
    if isNew { return appear(ad, entry) }
    let record = estimates.update(ad)
    record.pointee.isRefreshed = false
    output.append(record.pointee)
  }

  @inline(never)
  private func appear(_ ad: Int32, _ entry: borrowing Entry) {
    let campaign = ads[ad].campaign
    ads.update(ad).pointee.isChanged = true
    let count = Int(campaigns[campaign].count)
    if count <= Posteriors.armsMax { return refresh(campaign, at: entry.clock.milliseconds) }
    let now = entry.clock.milliseconds
    let belief = AdBelief(counts(of: ad, at: now), below: prior(of: campaign, at: now), shrinkage)
    refresh(ad, belief, share: shareFloor / Double(count))
    schedule(campaign, entry)
  }

  // MARK: Time

  /// Refreshes a campaign at the next full minute.
  private func schedule(_ campaign: Int32, _ entry: borrowing Entry) {
    guard !campaigns[campaign].isScheduled else { return }
    campaigns.update(campaign).pointee.isScheduled = true
    let minute = entry.clock.milliseconds / MaturingEvidence.minute &+ 1
    set(.refresh, campaign, at: minute &* MaturingEvidence.minute)
  }

  /// What matures is counted first, then its campaigns are refreshed, each once: whatever else came
  /// due with it, an account's records are the same.
  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    for timer in due {
      let row = Int32(truncatingIfNeeded: timer.key >> 2)
      switch TimerKind(rawValue: timer.key & 3) {
      case .slot: mature(slot: maturing.slots.take(row))
      case .hour:
        let bucket = maturing.hours.take(row)
        mature(hour: bucket)
        touch(ads[bucket.ad].campaign)
      case .refresh:
        campaigns.update(row).pointee.isScheduled = false
        touch(row)
      case nil: preconditionFailure("posteriors: a timer is about a slot, an hour or a refresh")
      }
    }
    for i in 0..<Int32(touched.count) {
      campaigns.update(touched[i]).pointee.isTouched = false
      refresh(touched[i], at: entry.clock.milliseconds)
    }
    touched.removeAll()
  }

  private func touch(_ campaign: Int32) {
    guard !campaigns[campaign].isTouched else { return }
    campaigns.update(campaign).pointee.isTouched = true
    touched.append(campaign)
  }

  /// Impressions and clicks of a slot become trials and successes of the click rate, and wait on
  /// as trials of what comes of them.
  private func mature(slot bucket: MaturingEvidence.Bucket) {
    let hour = maturing.hours.buckets.update(cohort(of: bucket.ad, at: bucket.start))
    hour.pointee.impressions &+= bucket.impressions
    hour.pointee.clicks &+= bucket.clicks
    var counts = MaturedSums.Counts()
    counts.impressions = Double(bucket.impressions)
    counts.clicks = Double(bucket.clicks)
    counts.spend = bucket.spend
    add(counts, to: bucket.ad, at: bucket.start)
    touch(ads[bucket.ad].campaign)
  }

  private func mature(hour bucket: MaturingEvidence.Bucket) {
    var counts = MaturedSums.Counts()
    counts.clickTrials = Double(bucket.clicks)
    counts.viewTrials = Double(bucket.impressions)
    counts.clickCredits = Double(bucket.clickCredits) * 1e-6
    counts.viewCredits = Double(bucket.viewCredits) * 1e-6
    counts.values.count = counts.clickCredits + counts.viewCredits
    counts.values.sum = bucket.value
    counts.values.sumOfSquares = bucket.squares
    add(counts, to: bucket.ad, at: bucket.start)
  }

  private func add(_ counts: MaturedSums.Counts, to ad: Int32, at time: Int64) {
    let row = ads.update(ad)
    row.pointee.isChanged = true
    row.pointee.sums.add(counts, at: time, decay)
    let campaign = campaigns.update(row.pointee.campaign)
    campaign.pointee.sums.add(counts, at: time, decay)
    accounts.update(campaign.pointee.account).pointee.add(counts, at: time, decay)
  }

  public mutating func finish(_ entry: borrowing Entry) {
    for campaign in 0..<Int32(campaigns.count) where campaigns[campaign].isScheduled {
      refresh(campaign, at: entry.clock.milliseconds)
    }
  }

  // MARK: Belief

  private func counts(of ad: Int32, at now: Int64) -> MaturedSums.Counts {
    ads.address(ad).pointee.sums.counts(at: now, decay)
  }

  /// What is believed of a campaign's ads in general: what its average ad is like, not what its
  /// average impression is, which would be that of the ad that is shown most. Of a campaign with
  /// too many ads to look at each it is the latter.
  private func prior(of campaign: Int32, at now: Int64) -> RatePrior {
    let row = campaigns.address(campaign)
    let account = shrinkage.account(
      prior, accounts[row.pointee.account].counts(at: now, decay))
    let pooled = shrinkage.child(of: account, row.pointee.sums.counts(at: now, decay))
    guard Int(row.pointee.count) <= Posteriors.armsMax else { return pooled }
    var average = AverageAd(below: account, shrinkage)
    var ad = adsOfCampaign.first(of: campaign)
    while ad != ChildLists.end {
      average.add(counts(of: ad, at: now))
      ad = adsOfCampaign.next(after: ad)
    }
    return average.prior(value: pooled)
  }

  /// Computes anew what is believed of a campaign's ads, and gives a record of each that changed.
  private func refresh(_ campaign: Int32, at now: Int64) {
    let prior = prior(of: campaign, at: now)
    let arms = gather(campaign, below: prior, at: now)
    var areMoved = false
    if isComparisonDue(campaign, arms) {
      compare(arms)
      areMoved = areSharesMoved(campaign, arms)
    }
    var ad = adsOfCampaign.first(of: campaign)
    while ad != ChildLists.end {
      let last = estimates[ad].share
      let share = areMoved ? self.share(of: ad, campaign, arms) : last
      if share != last || ads[ad].isChanged {
        refresh(ad, AdBelief(counts(of: ad, at: now), below: prior, shrinkage), share: share)
      }
      ad = adsOfCampaign.next(after: ad)
    }
    campaigns.update(campaign).pointee.hasNewAd = false
  }

  /// Shares are given anew together or not at all, so that those of the newest records sum to 1.
  private func areSharesMoved(_ campaign: Int32, _ arms: Int) -> Bool {
    guard !campaigns[campaign].hasNewAd else { return true }
    var ad = adsOfCampaign.first(of: campaign)
    while ad != ChildLists.end {
      let change = share(of: ad, campaign, arms) - estimates[ad].share
      if change.magnitude > Posteriors.tolerance { return true }
      ad = adsOfCampaign.next(after: ad)
    }
    return false
  }

  private func share(of ad: Int32, _ campaign: Int32, _ arms: Int) -> Double {
    var share = shareFloor / Double(campaigns[campaign].count)
    for i in 0..<arms where scratch.ads[i] == ad { share += (1 - shareFloor) * scratch.shares[i] }
    return share
  }

  /// Whether a belief has moved by so much of its own uncertainty that probabilities of being the
  /// best may have: below that they move by less than a fiftieth, and comparing is dear.
  private func isComparisonDue(_ campaign: Int32, _ arms: Int) -> Bool {
    guard !campaigns[campaign].hasNewAd else { return true }
    for i in 0..<arms {
      let ad = ads.address(scratch.ads[i])
      let bound = Posteriors.comparisonBound * ad.pointee.comparedDeviation
      let moved = max(
        (scratch.means[i] - ad.pointee.comparedMean).magnitude,
        (scratch.deviations[i] - ad.pointee.comparedDeviation).magnitude)
      if moved > bound { return true }
    }
    return false
  }

  /// Computes the probabilities of being the best of the ads in the scratch memory.
  private func compare(_ count: Int) {
    for i in 0..<count {
      let ad = ads.update(scratch.ads[i])
      ad.pointee.comparedMean = scratch.means[i]
      ad.pointee.comparedDeviation = scratch.deviations[i]
    }
    BestArm.normal(
      means: UnsafeBufferPointer(rebasing: scratch.means[..<count]),
      deviations: UnsafeBufferPointer(rebasing: scratch.deviations[..<count]),
      into: scratch.shares, scratch: scratch.work)
  }

  /// Fills the scratch memory with the ads that are to be compared; returns how many.
  private func gather(_ campaign: Int32, below prior: RatePrior, at now: Int64) -> Int {
    let isLarge = Int(campaigns[campaign].count) > Posteriors.armsMax
    var count = 0
    var ad = adsOfCampaign.first(of: campaign)
    while ad != ChildLists.end {
      let belief = AdBelief(counts(of: ad, at: now), below: prior, shrinkage)
      let last = estimates.address(ad).pointee.valuePerImpressionMicros
      let change = belief.valuePerImpression - last
      if !isLarge && change.magnitude > Posteriors.tolerance * last {
        ads.update(ad).pointee.isChanged = true
      }
      consider(ad, belief, &count)
      ad = adsOfCampaign.next(after: ad)
    }
    return count
  }

  /// Adds an ad to those that are compared; of too many, the lowest mean goes, of equals the last.
  private func consider(_ ad: Int32, _ belief: AdBelief, _ count: inout Int) {
    let (mean, deviation) = belief.logarithm
    var place = count
    if count < Posteriors.armsMax {
      count += 1
    } else {
      place = 0
      for i in 1..<count where scratch.means[i] <= scratch.means[place] { place = i }
      guard mean > scratch.means[place] else { return }
    }
    scratch.ads[place] = ad
    scratch.means[place] = mean
    scratch.deviations[place] = deviation
  }

  /// Gives an ad's record with what is now believed of it.
  private func refresh(_ ad: Int32, _ belief: AdBelief, share: Double) {
    let row = ads.update(ad)
    row.pointee.isChanged = false
    let counter = UInt64(bitPattern: row.pointee.draws)
    row.pointee.draws &+= 1
    let record = estimates.update(ad)
    record.pointee.isRefreshed = true
    record.pointee.ctr = posterior(belief.ctr, .ctr, of: ad, counter)
    record.pointee.cvr = posterior(belief.cvr, .cvr, of: ad, counter)
    record.pointee.valuePerConversionMicros = belief.valuePerConversion
    record.pointee.valuePerImpressionMicros = belief.valuePerImpression
    record.pointee.relativeDeviation = belief.relativeDeviation
    record.pointee.conversionDeviation = belief.rateDeviationSquared.squareRoot()
    record.pointee.roas = belief.roas
    record.pointee.share = share
    output.append(record.pointee)
  }

  private func posterior(
    _ rate: BetaDistribution, _ purpose: Purpose, of ad: Int32, _ counter: UInt64
  ) -> RatePosterior {
    let account = campaigns[ads[ad].campaign].account
    var draws = Draws(
      seed: seed, account: directory.accounts.hash(account), purpose: purpose.rawValue,
      entity: directory.ads.hash(ad), counter: counter)
    var posterior = RatePosterior()
    posterior.mean = rate.mean
    posterior.alpha = rate.alpha
    posterior.beta = rate.beta
    posterior.draw = draws.beta(rate)
    return posterior
  }

  // MARK: Digest

  public func digest(into digest: inout StateDigest) {
    for ad in 0..<Int32(ads.count) where ads[ad].campaign >= 0 {
      let (row, last) = (ads[ad], estimates[ad])
      let owner = directory.ads.hash(ad)
      digest.add(
        owner: owner, last.evidence.impressions, last.evidence.clicks,
        last.evidence.conversionsMillionths, last.evidence.value.micros,
        last.evidence.spend.micros, row.draws, row.isChanged ? 1 : 0)
      digest.add(owner: owner, bits(row.comparedMean), bits(row.comparedDeviation))
      digest.add(
        owner: owner, bits(last.ctr.alpha), bits(last.ctr.beta), bits(last.cvr.alpha),
        bits(last.cvr.beta), bits(last.valuePerImpressionMicros), bits(last.share))
      add(row.sums, of: owner, to: &digest)
    }
    for campaign in 0..<Int32(campaigns.count) where campaigns[campaign].count > 0 {
      let row = campaigns[campaign]
      let owner = directory.campaigns.hash(campaign)
      digest.add(
        owner: owner, Int64(row.count), row.isScheduled ? 1 : 0, row.hasNewAd ? 1 : 0)
      add(row.sums, of: owner, to: &digest)
    }
    for account in 0..<Int32(accounts.count) {
      add(accounts[account], of: directory.accounts.hash(account), to: &digest)
    }
    maturing.slots.digest(into: &digest, directory)
    maturing.hours.digest(into: &digest, directory)
  }

  private func add(_ sums: MaturedSums, of owner: UInt64, to digest: inout StateDigest) {
    let counts = sums.counts
    // What nothing has matured of is no fact.
    guard counts.impressions + counts.clicks + counts.viewTrials + counts.values.count > 0
    else { return }
    digest.add(
      owner: owner, sums.landmark, bits(counts.impressions), bits(counts.clicks),
      bits(counts.spend), bits(counts.clickTrials), bits(counts.clickCredits),
      bits(counts.viewTrials), bits(counts.viewCredits), bits(counts.values.count),
      bits(counts.values.sum), bits(counts.values.sumOfSquares))
  }
}
