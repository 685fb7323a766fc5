import Events
import Learning
import Streaming

/// A prediction and its label, with what every sum wants to know of them.
struct ScoredLabel {
  let probability: Double
  let label: Double
  /// −y ln p − (1 − y) ln(1 − p).
  let loss: Double
  let square: Double
  /// The prediction's log-odds.
  let logit: Double

  @inline(__always)
  init(_ probability: Double, _ label: Double) {
    let p = Loss.bounded(probability)
    let (hit, miss) = (Elementary.log(p), Elementary.log1p(-p))
    self.probability = p
    self.label = label
    loss = -label * hit - (1 - label) * miss
    square = (p - label) * (p - label)
    logit = hit - miss
  }
}

extension ScoreSums {
  @inline(__always)
  mutating func add(_ scored: ScoredLabel, weight: Double) {
    self.weight += weight
    labels += weight * scored.label
    predictions += weight * scored.probability
    losses += weight * scored.loss
    squares += weight * scored.square
  }
}

/// How good published predictions were: sums over labels that are known, by account and campaign,
/// model and head, over the whole stream and fading.
///
/// 88 bytes for each head and model of a campaign, and 12 KiB of histograms of an account, whose sums
/// are those of its campaigns.
struct ModelEvaluation {
  static let setting = SettingDescription(
    "evaluation",
    .structure([
      SettingDescription(
        "report_every", .duration(.minutes(1)...(.days(30))), default: "1h",
        meaning: "How often scores are published: at every multiple of it, where labels came."),
      SettingDescription(
        "half_life", .duration(.minutes(1)...(.days(3650))), default: "7d",
        meaning: "After which time a label counts half in the recent scores."),
      SettingDescription(
        "curves", .boolean, default: "true",
        meaning: """
          Keep histograms of scores, for what ranks and groups predictions (`auc`, `pr_auc`, `ece`, \
          `lift`, `capture`): 36 KiB an account and model.
          """),
    ]), default: "{}", meaning: "How predictions are scored when their labels are known.")

  private struct Sums: BitwiseCopyable {
    var all = ScoreSums()
    var recent = Fading<ScoreSums>()
  }

  private struct Account: BitwiseCopyable {
    /// Its first row; -1 before its first label.
    var first: Int32 = -1
    /// Its campaigns that have labels, the one that had them last first; -1 for none.
    var campaign: Int32 = -1
    /// Campaigns with labels since the last report, in the order of these; -1 for none.
    var changedFirst: Int32 = -1
    var changedLast: Int32 = -1
    /// A report is due.
    var isChanged: Int32 = 0
  }

  private struct Campaign: BitwiseCopyable {
    var first: Int32 = -1
    /// The account's next one; -1 at the end.
    var sibling: Int32 = -1
    var next: Int32 = -1
    var isChanged: Int32 = 0
  }

  /// Rows of the account and the campaign that labels belong to.
  struct Place {
    var account: Int32
    var campaign: Int32
    /// Nothing was to be reported of the account before.
    var isFirst: Bool
  }

  /// The weight of what becomes known at a time: the same for whole slots.
  private struct Moment {
    var time = Int64.min
    var landmark: Int64 = 0
    var weight = 1.0
  }

  let every: Int64
  let decay: ForwardDecay
  private let rowsEach: Int32
  private let hasCurves: Bool
  private let hasRaw: Bool
  private let directory: Directory
  private let accounts: Table<Account>
  private let campaigns: Table<Campaign>
  /// One row: how many rows accounts have.
  private let accountRows: Table<Int32>
  private let campaignSums: Table<Sums>
  /// By accounts' rows.
  private let raw: Table<Sums>
  private let all: Table<ScoreHistogram>
  private let recent: Table<Fading<ScoreHistogram>>
  private let moment: UnsafeMutablePointer<Moment>

  init(_ settings: Settings, models: Int, isCalibrating: Bool, _ setup: OperatorSetup) {
    every = settings.duration("report_every").milliseconds
    decay = ForwardDecay(halfLife: settings.duration("half_life").milliseconds)
    hasCurves = settings.boolean("curves")
    hasRaw = isCalibrating
    rowsEach = Int32(models * RateHead.count)
    directory = setup.directory
    accounts = setup.store.table("evaluation.accounts", of: Account.self)
    campaigns = setup.store.table("evaluation.campaigns", of: Campaign.self)
    accountRows = setup.store.table("evaluation.rows", of: Int32.self, capacity: 1)
    accountRows.fill(to: 1, with: 0)
    campaignSums = setup.store.table("evaluation.campaign_sums", of: Sums.self)
    raw = setup.store.table("evaluation.raw_sums", of: Sums.self)
    all = setup.store.table("evaluation.scores", of: ScoreHistogram.self, capacity: 1)
    recent = setup.store.table(
      "evaluation.recent_scores", of: Fading<ScoreHistogram>.self, capacity: 1)
    moment = .allocate(capacity: 1)
    moment.initialize(to: Moment())
  }

  func deallocate() { moment.deallocate() }

  // MARK: Labels

  /// Where labels that become known at `now` are to be added.
  @inline(__always)
  func place(_ account: Int32, _ campaign: Int32, _ now: Int64) -> Place {
    if Int(account) >= accounts.count || accounts[account].first < 0 { begin(account) }
    if Int(campaign) >= campaigns.count || campaigns[campaign].first < 0 {
      begin(campaign: campaign, of: account)
    }
    if moment.pointee.time != now { move(to: now) }
    var isFirst = false
    if campaigns[campaign].isChanged == 0 { isFirst = change(campaign, of: account) }
    return Place(
      account: accounts[account].first, campaign: campaigns[campaign].first, isFirst: isFirst)
  }

  @inline(never)
  private func begin(_ account: Int32) {
    accounts.fill(to: Int(account) + 1, with: Account())
    let first = accountRows[0]
    accounts.update(account).pointee.first = first
    let end = Int(first + rowsEach)
    accountRows.update(0).pointee = first + rowsEach
    if hasRaw { raw.fill(to: end, with: Sums()) }
    guard hasCurves else { return }
    all.fill(to: end, with: ScoreHistogram())
    recent.fill(to: end, with: Fading<ScoreHistogram>())
  }

  @inline(never)
  private func begin(campaign: Int32, of account: Int32) {
    campaigns.fill(to: Int(campaign) + 1, with: Campaign())
    let first = Int32(campaignSums.count)
    campaigns.update(campaign).pointee.first = first
    campaigns.update(campaign).pointee.sibling = accounts[account].campaign
    accounts.update(account).pointee.campaign = campaign
    campaignSums.fill(to: Int(first + rowsEach), with: Sums())
  }

  @inline(never)
  private func move(to now: Int64) {
    let time = max(now, 0)
    let landmark = decay.landmark(time)
    moment.pointee = Moment(
      time: now, landmark: landmark, weight: decay.weight(time, from: landmark))
  }

  /// Notes that a campaign has something to report; whether its account had nothing before.
  @inline(never)
  private func change(_ campaign: Int32, of account: Int32) -> Bool {
    let state = accounts.update(account)
    let row = campaigns.update(campaign)
    row.pointee.isChanged = 1
    row.pointee.next = -1
    if state.pointee.changedLast >= 0 {
      campaigns.update(state.pointee.changedLast).pointee.next = campaign
    } else {
      state.pointee.changedFirst = campaign
    }
    state.pointee.changedLast = campaign
    guard state.pointee.isChanged == 0 else { return false }
    state.pointee.isChanged = 1
    return true
  }

  @inline(__always)
  func add(_ scored: ScoredLabel, _ head: RateHead, _ model: Int, _ place: Place) {
    let number = Int32(truncatingIfNeeded: model &* RateHead.count &+ head.rawValue)
    let row = place.account &+ number
    add(scored, to: campaignSums.update(place.campaign &+ number))
    guard hasCurves else { return }
    all.update(row).pointee.add(
      logit: scored.logit, probability: scored.probability, label: scored.label)
    let histogram = recent.update(row)
    let weight = weight(histogram)
    histogram.pointee.sums.add(
      logit: scored.logit, probability: scored.probability, label: scored.label, weight: weight)
  }

  /// What the model itself said, before calibration.
  func addRaw(_ scored: ScoredLabel, _ head: RateHead, _ model: Int, _ place: Place) {
    add(scored, to: raw.update(place.account + Int32(model * RateHead.count + head.rawValue)))
  }

  @inline(__always)
  private func add(_ scored: ScoredLabel, to sums: UnsafeMutablePointer<Sums>) {
    sums.pointee.all.add(scored, weight: 1)
    let weight: Double
    if sums.pointee.recent.landmark == moment.pointee.landmark {
      weight = moment.pointee.weight
    } else {
      weight = sums.pointee.recent.weight(at: max(moment.pointee.time, 0), decay: decay)
    }
    sums.pointee.recent.sums.add(scored, weight: weight)
  }

  @inline(__always)
  private func weight(_ histogram: UnsafeMutablePointer<Fading<ScoreHistogram>>) -> Double {
    if histogram.pointee.landmark == moment.pointee.landmark { return moment.pointee.weight }
    return histogram.pointee.weight(at: max(moment.pointee.time, 0), decay: decay)
  }

  // MARK: Figures

  /// Of one head of one model.
  struct Figures {
    var all: ScoreFigures
    var recent: ScoreFigures
    /// Of what was said before calibration, recently; no labels where nothing is calibrated.
    var raw: ScoreFigures
  }

  var accountCount: Int { accounts.count }

  /// Calls with everything of an account that has new labels: the account itself (campaign -1), then
  /// its campaigns.
  func takeChanged(
    _ account: Int32, at now: Int64,
    _ body: (_ campaign: Int32, _ model: Int, _ head: RateHead, Figures) -> Void
  ) {
    guard Int(account) < accounts.count, accounts[account].isChanged == 1 else { return }
    forEachHead { model, head, number in
      let row = accounts[account].first + number
      let figures = figures(account, row, number, at: now)
      if figures.all.labels > 0 { body(-1, model, head, figures) }
    }
    var campaign = accounts[account].changedFirst
    while campaign >= 0 {
      forEachHead { model, head, number in
        let figures = figures(campaignSums.address(campaigns[campaign].first + number), at: now)
        if figures.all.labels > 0 { body(campaign, model, head, figures) }
      }
      let row = campaigns.update(campaign)
      row.pointee.isChanged = 0
      campaign = row.pointee.next
    }
    let state = accounts[account]
    accounts.update(account).pointee = Account(first: state.first, campaign: state.campaign)
  }

  private func forEachHead(_ body: (_ model: Int, _ head: RateHead, _ number: Int32) -> Void) {
    for number in 0..<rowsEach {
      let (model, head) = Int(number).quotientAndRemainder(dividingBy: RateHead.count)
      if let head = RateHead(rawValue: head) { body(model, head, number) }
    }
  }

  /// What a decayed sum is worth now.
  private func discount(from landmark: Int64, at now: Int64) -> Double {
    let time = max(now, 0)
    // A sum that is of a later landmark than now cannot be: labels come in order of time.
    return decay.landmark(time) >= landmark ? decay.discount(time, from: landmark) : 1
  }

  private func figures(_ sums: UnsafePointer<Sums>, at now: Int64) -> Figures {
    Figures(
      all: ScoreFigures(sums.pointee.all, nil),
      recent: ScoreFigures(
        sums.pointee.recent.sums, nil,
        scale: discount(from: sums.pointee.recent.landmark, at: now)),
      raw: ScoreFigures())
  }

  /// Of an account, whose row of the head and model is `row`. O(its campaigns).
  private func figures(
    _ account: Int32, _ row: Int32, _ number: Int32, at now: Int64
  ) -> Figures {
    var (whole, fading) = (ScoreSums(), ScoreSums())
    var campaign = accounts[account].campaign
    while campaign >= 0 {
      let sums = campaignSums.address(campaigns[campaign].first + number)
      whole.add(sums.pointee.all)
      fading.add(
        sums.pointee.recent.sums, times: discount(from: sums.pointee.recent.landmark, at: now))
      campaign = campaigns[campaign].sibling
    }
    var figures = Figures(
      all: ScoreFigures(whole, hasCurves ? all[row] : nil),
      recent: ScoreFigures(fading, hasCurves ? recent[row].sums : nil), raw: ScoreFigures())
    if hasRaw {
      let raw = raw.address(row)
      figures.raw = ScoreFigures(
        raw.pointee.recent.sums, nil, scale: discount(from: raw.pointee.recent.landmark, at: now))
    }
    return figures
  }

  /// Recent figures of each head of a model that has labels in a campaign.
  func figures(
    ofCampaign campaign: Int32, _ model: Int, at now: Int64
  ) -> [(RateHead, ScoreFigures)]? {
    guard Int(campaign) < campaigns.count, campaigns[campaign].first >= 0 else { return nil }
    return RateHead.allCases.compactMap { head in
      let number = Int32(model * RateHead.count + head.rawValue)
      let figures = figures(campaignSums.address(campaigns[campaign].first + number), at: now)
      return figures.recent.labels > 0 ? (head, figures.recent) : nil
    }
  }

  /// Notes everything as not reported; the accounts that had nothing to report before.
  func markAll() -> [Int32] {
    var found: [Int32] = []
    for campaign in 0..<Int32(campaigns.count)
    where campaigns[campaign].first >= 0 && campaigns[campaign].isChanged == 0 {
      let account = directory.campaigns.parent(campaign)
      if change(campaign, of: account) { found.append(account) }
    }
    return found
  }

  // MARK: State

  func digest(into digest: inout StateDigest) {
    for account in 0..<Int32(accounts.count) where accounts[account].first >= 0 {
      let owner = directory.accounts.hash(account)
      for number in 0..<rowsEach {
        let row = accounts[account].first + number
        let place = Int64(number) &<< 4
        if hasRaw { digest.add(owner: owner, place: place | 1, wordsOf: raw.address(row)) }
        guard hasCurves else { continue }
        digest.add(owner: owner, place: place | 2, wordsOf: all.address(row))
        digest.add(owner: owner, place: place | 3, wordsOf: recent.address(row))
      }
    }
    for campaign in 0..<Int32(campaigns.count) where campaigns[campaign].first >= 0 {
      let owner = directory.campaigns.hash(campaign)
      for number in 0..<rowsEach {
        digest.add(
          owner: owner, place: Int64(number) &<< 4 | 4,
          wordsOf: campaignSums.address(campaigns[campaign].first + number))
      }
    }
  }
}
