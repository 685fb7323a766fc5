import Bidding
import Events
public import Streaming

/// Decides what is published: the last operator, and the only one whose word bidders obey.
///
/// Orders (`control` events), exhausted budgets, schedules and the catalogue's status act at once,
/// with or without a new proposal. Then come the caps: `bid.max`, `set_max_bid`, `bid.ceiling` ×
/// value, and `step_limit` × the last published bid. A record is published when the bid moved by
/// `publish.change`, when status or caps changed, every `publish.every` for what bids, and at the
/// end of a replay for what was counted since; at most one a second and ad, except stops, which
/// are never held back. Times are the clock's.
///
/// About 400 bytes an ad. O(1) a proposal; an order costs its scope's ads.
public struct Safety: Operator {
  public static let description = OperatorDescription(
    name: "safety", version: 1,
    summary: "Limits every proposal by orders, budgets and caps, and decides what is published.",
    inputs: [.init(.events), .init(.proposals)],
    outputs: [.bidParameters, .alerts],
    settings: [
      SettingDescription(
        "publish",
        .structure([
          SettingDescription(
            "change", .number(0...1), default: "0.01",
            meaning: "A bid that moved by this part of the published one is published."),
          SettingDescription(
            "every", .duration(.seconds(1)...(.days(1))), default: "4m",
            meaning: "What bids is published this often even if nothing changed."),
          SettingDescription(
            "idle", .duration(.minutes(1)...(.days(400))), default: "7d",
            meaning: """
              An ad that nothing was heard of for this long (no impression, click, credit or \
              auction) is let lapse.
              """),
        ]), default: "{}",
        meaning: "When a record is published."),
      SettingDescription(
        "valid_for", .duration(.seconds(1)...(.days(7))), default: "10m",
        meaning: "A bidder that hears nothing for this long stops. More than `publish.every`."),
      SettingDescription(
        "step_limit", .number(1.001...1000), default: "1.25",
        meaning: "A bid rises to at most this times the one that was published last."),
    ])

  private let events: EventInput
  private let proposals: Stream<ProposalRecord>
  private let output: Stream<BidParameterRecord>
  private let alerts: Stream<AlertRecord>
  private let timers: Timers
  let directory: Directory
  private let change: Double
  private let every: Int64
  private let idle: Int64
  let validFor: Int64
  let stepLimit: Double
  let book: SafetyBook
  private let published: Counter
  private let clipped: Counter
  private let ignoredOrders: Counter

  /// At most one record an ad in this long.
  private static let pauseMilliseconds: Int64 = 1_000

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    let settings = setup.settings
    let publish = settings.structure("publish")
    change = publish.number("change")
    every = publish.duration("every").milliseconds
    idle = publish.duration("idle").milliseconds
    validFor = settings.duration("valid_for").milliseconds
    stepLimit = settings.number("step_limit")
    guard validFor > every else {
      throw SettingProblem(
        setting: "valid_for",
        message: "`valid_for` is longer than `publish.every`, or bids lapse between two records")
    }
    guard stepLimit - 1 >= change else {
      throw SettingProblem(
        setting: "step_limit",
        message:
          "`step_limit` lets a bid rise by at least `publish.change`, or a step would not be "
          + "worth a record")
    }
    events = setup.events()
    proposals = setup.input(ProposalRecord.self)
    output = setup.output(BidParameterRecord.self)
    alerts = setup.output(AlertRecord.self)
    timers = setup.timers
    directory = setup.directory
    book = SafetyBook(in: setup.store, directory)
    published = setup.counter("published")
    clipped = setup.counter("clipped")
    ignoredOrders = setup.counter("ignored_orders")
  }

  public func deallocate() { events.deallocate() }

  // MARK: What comes in

  public mutating func process(_ entry: borrowing Entry) {
    // Everything that the entry brings is taken before anything is published: a record that is
    // half of what is known would keep the whole back for a second.
    takeAll(entry)
    if let event = events.current?.pointer {
      switch event.pointee.type {
      case .control: obey(event, entry)
      case .campaign: describe(event, entry)
      default: break
      }
    }
    for i in 0..<proposals.count { review(proposals.address(i), entry) }
  }

  private func takeAll(_ entry: borrowing Entry) {
    for i in 0..<proposals.count { take(proposals.address(i), entry) }
  }

  /// Most proposals have only new evidence: the rest is neither read nor written.
  private func take(_ proposal: UnsafePointer<ProposalRecord>, _ entry: borrowing Entry) {
    let ad = proposal.pointee.estimate.ad
    let row = book.ad(ad)
    if !row.pointee.isProposed {
      book.list(ad)
      row.pointee.heardAt = entry.clock.milliseconds
    } else if row.pointee.proposal.estimate.evidence != proposal.pointee.estimate.evidence {
      row.pointee.heardAt = entry.clock.milliseconds
    }
    if proposal.pointee.isRefreshed {
      row.pointee.proposal = proposal.pointee
    } else {
      row.pointee.proposal.estimate.evidence = proposal.pointee.estimate.evidence
    }
  }

  private func review(_ proposal: UnsafePointer<ProposalRecord>, _ entry: borrowing Entry) {
    let ad = proposal.pointee.estimate.ad
    if proposal.pointee.isRefreshed { return review(ad, entry) }
    let row = book.ads.address(ad)
    // It was let lapse, and is heard of again.
    if row.pointee.publishedStatus.bids,
      entry.clock.milliseconds &- row.pointee.publishedAt >= every
    {
      review(ad, entry)
    }
  }

  private func describe(_ event: UnsafePointer<Event>, _ entry: borrowing Entry) {
    guard case .campaign(let details)? = entry.details(of: event) else { return }
    let row = event.pointee.campaign.row
    let campaign = book.campaign(row)
    guard event.pointee.time.milliseconds >= campaign.pointee.describedAt else { return }
    campaign.pointee.describedAt = event.pointee.time.milliseconds
    if let status = details.status { campaign.pointee.status = status }
    if let bid = details.maxBid { campaign.pointee.maxBidMicros = max(bid.micros, 0) }
    if let ceiling = details.ceilingMicros {
      campaign.pointee.ceilingMillionths = max(ceiling, 0)
    }
    reviewAll(ofCampaign: row, entry)
  }

  /// Takes an order for the scope that it names and lets it act at once.
  private func obey(_ event: UnsafePointer<Event>, _ entry: borrowing Entry) {
    guard case .control(let order)? = entry.details(of: event) else { return }
    let account = event.pointee.account.row
    if event.pointee.ad.isAbsent, event.pointee.campaign.isAbsent {
      give(order, to: .account, account, event, entry)
    } else if event.pointee.ad.isAbsent {
      give(order, to: .campaign, event.pointee.campaign.row, event, entry)
    } else if event.pointee.ad.row >= 0 {
      give(order, to: .ad, event.pointee.ad.row, event, entry)
    } else {
      obeyForAds(named: event, order, entry)
    }
  }

  /// An order that names an ad without its campaign holds for every ad of that name.
  private func obeyForAds(
    named event: UnsafePointer<Event>, _ order: EventDetails.Control, _ entry: borrowing Entry
  ) {
    var found = false
    book.forEachAd(ofAccount: event.pointee.account.row) { ad in
      guard directory.ads.name(ad).bytes.elementsEqual(event.pointee.ad.bytes) else { return }
      found = true
      give(order, to: .ad, ad, event, entry)
    }
    if !found {
      let stops = order.action == .kill || order.action == .pause
      ignore(event, .unknownAd, stops ? .critical : .warning)
    }
  }

  private func give(
    _ order: EventDetails.Control, to scope: SafetyBook.Scope, _ row: Int32,
    _ event: UnsafePointer<Event>, _ entry: borrowing Entry
  ) {
    let refusal = book.orders(scope, row).pointee.standing.take(
      order.action, valueMicros: order.valueMicros, until: order.until, at: event.pointee.time,
      clock: entry.clock)
    switch refusal {
    case .missingValue: return ignore(event, .missingValue)
    case .expired: return ignore(event, .expired)
    case .superseded: return ignore(event, .superseded)
    case nil: break
    }
    setOrderEnd(scope, row, entry)
    reviewAll(scope, row, entry)
  }

  /// One timer a scope, however many orders come: for the first that ends.
  private func setOrderEnd(
    _ scope: SafetyBook.Scope, _ row: Int32, _ entry: borrowing Entry
  ) {
    let orders = book.orders(scope, row)
    guard let end = orders.pointee.standing.nextEnd(after: entry.clock),
      orders.pointee.timerAt == 0 || end.milliseconds < orders.pointee.timerAt
    else { return }
    orders.pointee.timerAt = end.milliseconds
    timers.add(at: end, key: SafetyTimer.orderEnd(scope, row).key)
  }

  private func endOrders(_ scope: SafetyBook.Scope, _ row: Int32, _ entry: borrowing Entry) {
    let orders = book.orders(scope, row)
    if orders.pointee.timerAt <= entry.clock.milliseconds {
      orders.pointee.timerAt = 0
      setOrderEnd(scope, row, entry)
    }
    reviewAll(scope, row, entry)
  }

  private func ignore(
    _ event: UnsafePointer<Event>, _ why: AlertRecord.Subject,
    _ severity: Alert.Severity = .warning
  ) {
    ignoredOrders.add()
    alerts.append(
      AlertRecord(
        account: event.pointee.account.row, campaign: event.pointee.campaign.row,
        ad: event.pointee.ad.row, kind: .anomaly, severity: severity, subject: why, observed: 0,
        expected: 0))
  }

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    takeAll(entry)
    for timer in due {
      switch SafetyTimer(key: timer.key) {
      case .orderEnd(let scope, let row): endOrders(scope, row, entry)
      case .refresh(let ad):
        book.ad(ad).pointee.isRefreshSet = false
        review(ad, entry)
      case .heldBack(let ad):
        book.ad(ad).pointee.isHeldBack = false
        review(ad, entry)
      }
    }
  }

  /// What was counted since an ad's last record is published too, so that the last records of a
  /// replay reconcile with its input.
  public mutating func finish(_ entry: borrowing Entry) {
    for ad in 0..<Int32(book.adCount) {
      let row = book.ad(ad)
      guard row.pointee.isProposed,
        row.pointee.published != row.pointee.proposal.estimate.evidence
      else { continue }
      publish(ad, decide(ad, entry), entry)
    }
  }

  /// What readers have of an ad was decided on other state: it is said again at the next clock
  /// entry, which is later than any that a record of the same log was published at.
  public mutating func rebuilt(_ entry: borrowing Entry) {
    for ad in 0..<Int32(book.adCount) {
      let row = book.ad(ad)
      guard row.pointee.sequence > 0 else { continue }
      row.pointee.publishedCapMicros = SafetyBook.notSaid
      guard !row.pointee.isHeldBack else { continue }
      row.pointee.isHeldBack = true
      timers.add(at: entry.clock + .milliseconds(1), key: SafetyTimer.heldBack(ad).key)
    }
  }

  // MARK: What goes out

  private func reviewAll(_ scope: SafetyBook.Scope, _ row: Int32, _ entry: borrowing Entry) {
    switch scope {
    case .ad: if book.ad(row).pointee.isProposed { review(row, entry) }
    case .campaign: reviewAll(ofCampaign: row, entry)
    case .account:
      let ads = book.ads
      book.forEachAd(ofAccount: row) { ad in
        if ads[ad].isProposed { review(ad, entry) }
      }
    }
  }

  private func reviewAll(ofCampaign row: Int32, _ entry: borrowing Entry) {
    var ad = book.adsOfCampaign.first(of: row)
    while ad != ChildLists.end {
      if book.ad(ad).pointee.isProposed { review(ad, entry) }
      ad = book.adsOfCampaign.next(after: ad)
    }
  }

  /// Publishes what there is to say about an ad, or sees to it that it is said as soon as it may.
  private func review(_ ad: Int32, _ entry: borrowing Entry) {
    let decision = decide(ad, entry)
    let row = book.ad(ad)
    let clock = entry.clock.milliseconds
    let since = clock &- row.pointee.publishedAt
    let isNew = row.pointee.sequence == 0
    if !isNew, !isWorthSaying(decision, than: row.pointee) {
      guard decision.status.bids, since >= every else { return setRefresh(ad, decision.status) }
      guard clock &- row.pointee.heardAt < idle else { return }
    }
    if !isNew, decision.status.bids, since < Safety.pauseMilliseconds { return holdBack(ad) }
    publish(ad, decision, entry)
  }

  /// Looks at an ad again when its next record may be published.
  private func holdBack(_ ad: Int32) {
    let row = book.ad(ad)
    guard !row.pointee.isHeldBack else { return }
    row.pointee.isHeldBack = true
    timers.add(
      at: EventTime(milliseconds: row.pointee.publishedAt &+ Safety.pauseMilliseconds),
      key: SafetyTimer.heldBack(ad).key)
  }

  private func isWorthSaying(_ decision: Decision, than row: SafetyBook.Ad) -> Bool {
    if decision.status != row.publishedStatus || decision.capMicros != row.publishedCapMicros {
      return true
    }
    if !decision.status.bids { return decision.reasons != row.publishedReasons }
    let moved = abs(decision.bidMicros &- row.publishedBidMicros)
    return moved > 0 && Double(moved) >= change * Double(row.publishedBidMicros)
  }

  private func setRefresh(_ ad: Int32, _ status: BidStatus) {
    let row = book.ad(ad)
    guard status.bids, !row.pointee.isRefreshSet else { return }
    row.pointee.isRefreshSet = true
    timers.add(
      at: EventTime(milliseconds: row.pointee.publishedAt &+ every),
      key: SafetyTimer.refresh(ad).key)
  }

  private func publish(_ ad: Int32, _ decision: Decision, _ entry: borrowing Entry) {
    let row = book.ad(ad)
    let clock = entry.clock.milliseconds
    let proposal = row.pointee.proposal
    row.pointee.sequence = max(row.pointee.sequence &+ 1, clock &* 1_000)
    row.pointee.publishedAt = clock
    row.pointee.publishedStatus = decision.status
    row.pointee.publishedBidMicros = decision.bidMicros
    row.pointee.publishedCapMicros = decision.capMicros
    row.pointee.publishedReasons = decision.reasons
    row.pointee.published = proposal.estimate.evidence
    if decision.bidMicros > 0 { row.pointee.lastBidMicros = decision.bidMicros }
    published.add()
    if decision.isClipped { clipped.add() }
    output.append(
      BidParameterRecord(
        estimate: proposal.estimate, sequence: row.pointee.sequence,
        validUntil: EventTime(milliseconds: clock &+ validFor), status: decision.status,
        bid: Money(micros: decision.bidMicros), maxBid: Money(micros: decision.maxBidMicros),
        pacing: proposal.pacing, modelVersion: proposal.view.version, reasons: decision.reasons,
        clips: decision.clips))
    setRefresh(ad, decision.status)
    // On its way up, step by step.
    if decision.reasons.contains(.stepLimit) { holdBack(ad) }
  }

  // MARK: The decision

  struct Decision {
    var status: BidStatus
    var bidMicros: Int64 = 0
    var maxBidMicros: Int64 = 0
    /// The configured cap; -1 for none or where nothing is bid.
    var capMicros: Int64 = -1
    var reasons: BidReasons
    var clips: (BidLimits.Clip, BidLimits.Clip, BidLimits.Clip, BidLimits.Clip)

    var isClipped: Bool {
      !reasons.isDisjoint(with: [.maxBid, .controlMaxBid, .ceiling, .stepLimit])
    }
  }

  func decide(_ ad: Int32, _ entry: borrowing Entry) -> Decision {
    let row = book.ad(ad)
    let campaignRow = directory.ads.parent(ad)
    let campaign = book.campaign(campaignRow)
    let scopes = (
      row.pointee.orders.standing, campaign.pointee.orders.standing,
      book.account(directory.campaigns.parent(campaignRow)).pointee.orders.standing
    )
    let stop = stop(row.pointee.proposal.pace, campaign.pointee.status, scopes, entry.clock)
    if let status = stop.status {
      return Decision(status: status, reasons: stop.reasons, clips: (.none, .none, .none, .none))
    }
    let proposal = row.pointee.proposal
    var reasons: BidReasons = []
    if proposal.usesDefault { reasons.insert(.defaultBid) }
    if proposal.pacing < 1 { reasons.insert(.pacing) }
    let multiplier =
      scopes.0.multiplier(at: entry.clock) * scopes.1.multiplier(at: entry.clock)
      * scopes.2.multiplier(at: entry.clock)
    if multiplier != 1 { reasons.insert(.controlMultiplier) }
    var ordered: Int64?
    func lower(_ cap: Int64?) {
      if let cap { ordered = min(ordered ?? cap, cap) }
    }
    lower(scopes.0.maxBidMicros(at: entry.clock))
    lower(scopes.1.maxBidMicros(at: entry.clock))
    lower(scopes.2.maxBidMicros(at: entry.clock))
    let limits = BidLimits(
      maxBidMicros: campaign.pointee.maxBidMicros < 0 ? nil : campaign.pointee.maxBidMicros,
      controlMaxBidMicros: ordered,
      ceiling: campaign.pointee.ceilingMillionths < 0
        ? nil : Double(campaign.pointee.ceilingMillionths) / 1e6,
      stepLimit: stepLimit)
    let bounded = limits.bound(
      bidMicros: BidLimits.micros(proposal.bidMicros * multiplier),
      // The default bid stands in for a value that is not known.
      valueMicros: proposal.usesDefault ? nil : proposal.valueMicros,
      lastMicros: row.pointee.lastBidMicros > 0 ? row.pointee.lastBidMicros : nil)
    return Decision(
      status: proposal.isLearning ? .learning : .active, bidMicros: bounded.bidMicros,
      maxBidMicros: bounded.capMicros
        ?? BidLimits.micros(Double(bounded.bidMicros) * stepLimit),
      capMicros: bounded.capMicros ?? -1, reasons: reasons.union(bounded.reasons),
      clips: bounded.clips)
  }

  /// Everything that forbids a bid; the status of the strongest, nil when nothing does.
  private func stop(
    _ pace: PaceState, _ status: EventDetails.Campaign.Status,
    _ scopes: (StandingOrders, StandingOrders, StandingOrders), _ clock: EventTime
  ) -> (status: BidStatus?, reasons: BidReasons) {
    var reasons: BidReasons = []
    var found: BidStatus?
    func note(_ reason: BidReasons, _ status: BidStatus) {
      reasons.insert(reason)
      if found == nil { found = status }
    }
    if scopes.0.isKilled(at: clock) || scopes.1.isKilled(at: clock) || scopes.2.isKilled(at: clock)
    {
      note(.controlKill, .killed)
    }
    if scopes.0.isPaused(at: clock) || scopes.1.isPaused(at: clock) || scopes.2.isPaused(at: clock)
    {
      note(.controlPause, .paused)
    }
    switch status {
    case .active: break
    case .paused: note(.campaignPaused, .paused)
    case .ended: note(.campaignEnded, .paused)
    }
    switch pace {
    case .running: break
    case .dailyExhausted: note(.dailyBudget, .exhausted)
    case .totalExhausted: note(.totalBudget, .exhausted)
    case .notStarted: note(.scheduleNotStarted, .paused)
    case .ended: note(.scheduleEnded, .paused)
    }
    return (found, reasons)
  }

  public func digest(into digest: inout StateDigest) { book.digest(into: &digest) }
}
