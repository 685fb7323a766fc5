import Events
import Learning
import Streaming

/// A learner's part in learning across accounts: it contributes what each account has learned, and
/// lets new accounts begin with what others have in common.
///
/// What is contributed stands in the first model that is an `ftrl`: of each shared feature the
/// weights, around the mean of the feature's field (by evidence), and how often there was a click and a
/// conversion, by labels that nothing can change any more. These counts are halved after each
/// contribution, so that the last rounds count most. An account contributes at each multiple of
/// `every`, once so many labels of clicks have come since the last time that it has something to
/// say.
///
/// A prior is taken where its group and features are ours; a newer one replaces it. An account that is
/// first seen while there is one begins with it: the bias takes over the common rates, and a shared
/// feature, whenever the account first sees it, the common weights, in every `ftrl` and in the head
/// that learns late conversions. They count as `strength` examples' evidence, so the account's own
/// soon prevail. Accounts that were there before go on as they are.
///
/// 64 bytes an account; nothing while it is off.
struct LearnerFederation {
  static let setting = SettingDescription(
    "federate",
    .structure(
      [
        SettingDescription(
          "enabled", .boolean, default: "false",
          meaning: """
            Contributes to `updates` what accounts learn, and takes `prior` events from what feeds \
            it for new accounts. Features and rounds have to be those of `federate`.
            """)
      ] + SharedFeatures.settings + [
        SettingDescription(
          "key", .secret, default: "",
          meaning: """
            Accounts are named in updates by hashes under this key. Empty: one that everybody knows.
            """),
        SettingDescription(
          "strength", .number(0.01...1e6), default: "4",
          meaning: """
            What a prior counts as, in summed p (1 - p) over examples; more: new accounts stay near \
            it for longer.
            """),
      ]),
    default: "{}",
    meaning: "Learning across accounts: what leaves an account, and what a new one begins with.")

  /// Labels of clicks without which an account has nothing to say.
  static let labelsMin: Int64 = 100
  /// A weight is known with this much evidence, and clear where it changes odds by a tenth and is
  /// no smaller than its deviation.
  private static let evidenceMin = 0.5
  private static let clear = 0.1
  private static let timerKey = Int64.max

  private struct Account: BitwiseCopyable {
    /// Clicks and conversions, and impressions and clicks that could have brought them.
    var successes = Heads.zero
    var trials = Heads.zero
    /// Labels of clicks since the last contribution.
    var labels: Int64 = 0
    /// Time of the prior that it began with; `unmet` before its first feature, `alone` where there
    /// was none.
    var begun = Account.unmet

    static let unmet = Int64.min
    static let alone = Int64.min + 1
    var isFromPrior: Bool { begun > Account.alone }
  }

  /// The newest prior.
  private struct Prior: BitwiseCopyable {
    var time = Int64.min
    /// Of the bias, beside the learner's own expectation; where the rate is known.
    var bias = Heads.zero
    var isKnown = Heads.zero
  }

  let isOn: Bool
  private let every: Int64
  private let strength: Double
  private let key: KeyedHash
  private let group: UInt64
  private let base: Heads
  private let bits: Int
  private let bias: UInt32
  private let features: SharedFeatures?
  /// Slots by their masked hashes.
  private let index: FeatureIndex
  private let events: EventInput?
  private let output: Stream<UpdateRecord>
  private let timers: Timers
  private let directory: Directory
  private let rows: FeatureRows
  private let models: UnsafeMutableBufferPointer<AnyRateModel>
  private let delayed: UnsafeMutableBufferPointer<DelayedConversions>
  private let accounts: Table<Account>
  private let prior: Table<Prior>
  private let weights: Table<Heads>
  /// 1 once the timer of the rounds runs.
  private let isScheduled: Table<Int64>
  private let shared: UnsafeMutablePointer<UpdateRecord.Shared>
  private let vector: UnsafeMutableBufferPointer<Double>
  private let counters: (updates: Counter, priors: Counter, refused: Counter, begun: Counter)?

  init(
    _ setup: OperatorSetup, models: UnsafeMutableBufferPointer<AnyRateModel>,
    delayed: UnsafeMutableBufferPointer<DelayedConversions>, rows: FeatureRows
  ) throws(SettingProblem) {
    let settings = setup.settings.structure("federate")
    isOn = settings.boolean("enabled")
    if isOn { try LearnerFederation.check(setup.settings, models) }
    let features = isOn ? try SharedFeatures(settings, at: "federate.") : nil
    let group = try SharedFeatures.group(settings, at: "federate.")
    every = settings.duration("every").milliseconds
    strength = settings.number("strength")
    key = KeyedHash(secret: settings.secret("key").value)
    self.group = Array(group.utf8).withUnsafeBufferPointer { Hash.text($0) }
    let expected = setup.settings.structure("prior")
    base = Heads(Rate.logit(expected.number("ctr")), Rate.logit(expected.number("cvr")))
    bits = Int(setup.settings.integer("hash_bits"))
    bias = FeatureHash.masked(FeaturePlan.field("bias"), bits: bits)
    var index = FeatureIndex()
    for (number, slot) in (features?.slots ?? []).enumerated() {
      let hash = FeatureHash.masked(slot.hash, bits: bits)
      if index.row(of: hash) < 0 { index.insert(hash, row: Int32(number)) }
    }
    self.index = index
    self.features = features
    events = setup.optionalEvents()
    output = setup.output(UpdateRecord.self)
    timers = setup.timers
    directory = setup.directory
    self.rows = rows
    self.models = models
    self.delayed = delayed
    accounts = setup.store.table("federation.accounts", of: Account.self)
    prior = setup.store.table("federation.prior", of: Prior.self)
    weights = setup.store.table("federation.weights", of: Heads.self)
    isScheduled = setup.store.table("federation.timer", of: Int64.self)
    shared = .allocate(capacity: 1)
    shared.initialize(to: UpdateRecord.Shared(group: group, features: features?.id ?? 0))
    vector = .allocate(capacity: features?.layout.count ?? 0)
    vector.initialize(repeating: 0)
    counters =
      isOn
      ? (
        setup.counter("updates"), setup.counter("priors"), setup.counter("priors_refused"),
        setup.counter("accounts_begun_with_prior")
      ) : nil
  }

  func deallocate() {
    index.deallocate()
    events?.deallocate()
    shared.deinitialize(count: 1)
    shared.deallocate()
    vector.deallocate()
  }

  private static func check(
    _ settings: Settings, _ models: UnsafeMutableBufferPointer<AnyRateModel>
  ) throws(SettingProblem) {
    func problem(_ message: String) -> SettingProblem {
      SettingProblem(setting: "federate.enabled", message: message)
    }
    guard models.contains(where: { $0.ftrl != nil }) else {
      throw problem("`federate` shares the weights of an `ftrl`; none of the models is one")
    }
    guard case .list(let names) = settings["features"], names.contains(.text("bias")) else {
      throw problem("`federate` gives common rates to the bias; `features` does not name `bias`")
    }
    guard !settings.structure("models").boolean("publish") else {
      throw problem(
        "`federate` does not go with `models: { publish: true }`: features of new accounts begin "
          + "with weights that bidders are not told of")
    }
  }

  // MARK: Priors

  /// Takes a prior, if that is what the entry brings.
  func take(_ entry: borrowing Entry) {
    guard isOn, let event = events?.current?.pointer, event.pointee.type == .prior,
      case .prior(let kind, let payload)? = entry.details(of: event),
      kind.hash == LearnerFederation.kind
    else { return }
    let isTaken = take(Payload(payload.bytes), at: event.pointee.time.milliseconds)
    (isTaken ? counters?.priors : counters?.refused)?.add()
  }

  private static let kind = Hash.text("prior")

  private func take(_ payload: Payload, at time: Int64) -> Bool {
    guard let features, let name = payload["group"]?.text, Hash.text(name) == group,
      payload["features"]?.hexadecimal == features.id,
      prior.count == 0 || time > prior[0].time
    else { return false }
    var read = [Heads](repeating: .zero, count: features.slots.count)
    let limit = features.layout.weightLimit
    guard
      payload["click_weights"]?.numbers(
        read.count, { read[$0].x = min(max($1, -limit), limit) }) == true,
      payload["conversion_weights"]?.numbers(
        read.count, { read[$0].y = min(max($1, -limit), limit) }) == true
    else { return false }
    var new = Prior(time: time)
    for (head, rate) in [payload["ctr"], payload["cvr"]].enumerated() {
      guard let mean = rate?["mean"]?.number else { continue }
      new.bias[head] = Rate.logit(Rate.bounded(mean)) - base[head]
      new.isKnown[head] = 1
    }
    prior.fill(to: 1, with: new)
    prior.update(0).pointee = new
    weights.fill(to: read.count, with: .zero)
    for slot in read.indices { weights.update(Int32(slot)).pointee = read[slot] }
    return true
  }

  // MARK: New accounts

  /// An account has seen a feature for the first time, which stands in the models' rows by now.
  func add(_ row: Int32, _ feature: UInt32, of account: Int32) {
    guard isOn else { return }
    accounts.fill(to: Int(account) + 1, with: Account())
    if accounts[account].begun == Account.unmet {
      let isAlone = prior.count == 0
      accounts.update(account).pointee.begun = isAlone ? Account.alone : prior[0].time
      if !isAlone { counters?.begun.add() }
    }
    guard accounts[account].isFromPrior else { return }
    if feature == bias {
      let known = prior[0].isKnown
      return seed(row, prior[0].bias, evidence: known * strength)
    }
    let slot = index.row(of: feature)
    guard slot >= 0, slot < weights.count else { return }
    seed(row, weights[slot], evidence: Heads(strength, strength))
  }

  private func seed(_ row: Int32, _ weights: Heads, evidence: Heads) {
    for model in models {
      guard let model = model.ftrl else { continue }
      model.coordinates.update(row).pointee = model.learner.coordinate(
        weights: weights, squaredGradients: evidence)
    }
    for head in delayed { head.seed(row, weight: weights.y, evidence: evidence.y) }
  }

  // MARK: Labels

  /// Labels of an impression are known.
  func count(
    _ account: Int32, click: Label, conversion: Label, isClicked: Bool, at clock: EventTime
  ) {
    guard isOn, Int(account) < accounts.count else { return }
    let own = accounts.update(account)
    if click.isKnown {
      own.pointee.trials.x += 1
      own.pointee.successes.x += click.value
      own.pointee.labels += 1
    }
    if conversion.isKnown, isClicked {
      own.pointee.trials.y += 1
      own.pointee.successes.y += conversion.value
    }
    guard isScheduled.count == 0 else { return }
    isScheduled.append(1)
    schedule(after: clock.milliseconds)
  }

  private func schedule(after clock: Int64) {
    timers.add(
      at: EventTime(milliseconds: (clock / every + 1) * every), key: LearnerFederation.timerKey)
  }

  /// Whether a timer is that of the rounds.
  static func owns(_ timer: Timer) -> Bool { timer.key == timerKey }

  // MARK: Contributions

  /// A round: every account that has something to say contributes.
  func contribute(at clock: EventTime) {
    guard isOn, let features, let model = models.lazy.compactMap(\.ftrl).first else { return }
    schedule(after: clock.milliseconds)
    shared.pointee.numbers.removeAll(keepingCapacity: true)
    for account in 0..<Int32(accounts.count)
    where accounts[account].labels >= LearnerFederation.labelsMin {
      fill(features, of: account, model)
      let own = accounts.update(account)
      own.pointee.labels = 0
      own.pointee.successes *= 0.5
      own.pointee.trials *= 0.5
      let start = shared.pointee.numbers.count
      for number in vector { shared.pointee.numbers.append(UpdateLayout.fixed(number)) }
      output.append(
        UpdateRecord(
          shared: UnsafePointer(shared),
          contributor: key.hash(directory.accounts.hash(account), group, 0),
          start: start, count: vector.count))
      counters?.updates.add()
    }
  }

  /// What an account says, as short as it has to be.
  private func fill(
    _ features: SharedFeatures, of account: Int32, _ model: RateModel<FTRL>
  ) {
    vector.update(repeating: 0)
    let own = accounts[account]
    let layout = features.layout
    for head in 0..<2 {
      layout.set(head, successes: own.successes[head], trials: own.trials[head], in: vector)
    }
    let lent = Heads(repeating: own.isFromPrior ? strength : 0)
    let slots = features.slots
    var slot = 0
    while slot < slots.count {
      // The slots of a field stand together.
      var end = slot
      while end < slots.count, slots[end].field == slots[slot].field { end += 1 }
      fill(features, slot..<end, of: account, model, lent: lent)
      slot = end
    }
    layout.clip(vector)
  }

  private func fill(
    _ features: SharedFeatures, _ field: Range<Int>, of account: Int32, _ model: RateModel<FTRL>,
    lent: Heads
  ) {
    var (sum, evidence) = (Heads.zero, Heads.zero)
    func visit(_ body: (Int, Heads, Heads) -> Void) {
      for slot in field {
        let hash = FeatureHash.masked(features.slots[slot].hash, bits: bits)
        let row = rows.row(of: hash, account)
        guard row >= 0 else { continue }
        let coordinate = model.coordinate(row)
        body(slot, model.learner.weights(coordinate), coordinate.n)
      }
    }
    visit { _, weights, n in
      sum += weights * n
      evidence += n
    }
    var mean = Heads.zero
    mean.replace(with: sum / evidence, where: evidence .> 0)
    visit { slot, weights, n in
      var told = Heads.zero
      told.replace(with: weights - mean, where: n .> 0)
      // What was lent is nobody's own evidence.
      let own = (n - lent).clamped(lowerBound: .zero, upperBound: n)
      let deviations = told * own.squareRoot()
      let known = own .>= LearnerFederation.evidenceMin
      features.layout.set(
        slot, weights: told, known: known,
        raises: (told .>= LearnerFederation.clear) .& (deviations .>= 1),
        lowers: (told .<= -LearnerFederation.clear) .& (deviations .<= -1), in: vector)
    }
  }

  /// The counts, and what each account began with; what became of it stands in the models.
  func digest(into digest: inout StateDigest) {
    for account in 0..<Int32(accounts.count) where accounts[account].begun != Account.unmet {
      let own = accounts[account]
      let owner = directory.accounts.hash(account)
      digest.add(
        owner: owner, 1 << 41, own.labels, own.begun,
        Int64(bitPattern: own.successes.x.bitPattern),
        Int64(bitPattern: own.successes.y.bitPattern))
      digest.add(
        owner: owner, 1 << 42, Int64(bitPattern: own.trials.x.bitPattern),
        Int64(bitPattern: own.trials.y.bitPattern), 0)
    }
  }
}

extension AnyRateModel {
  /// The model, where it is one.
  var ftrl: RateModel<FTRL>? {
    if case .ftrl(let model) = self { model } else { nil }
  }
}
