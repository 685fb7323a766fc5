import Bidding
import Events
import Learning
public import Streaming

/// Makes of what accounts contribute what they have in common.
///
/// Updates of one group are events of one account, the group's, so they stand in one partition. Those
/// of a round (a multiple of `every`, by their event time) are added up until `wait` after it; each
/// account counts once, and is clipped again, whatever it says. Then noise is added to the sum, and
/// the prior that follows is published, where enough accounts took part and `epsilon` allows it. A
/// round that is not published is forgotten.
///
/// Whether an account took part is no secret here; what it contributed is. Two rounds that differ by
/// what one account says differ by at most 1 in the length of their sums; with `noise` z, one round
/// is the Gaussian mechanism with σ = z, and all together are one with σ = z / √rounds, exactly. Draws
/// are a function of the seed, `key`, group and round: who knows the first two can take the noise
/// away.
///
/// 8 bytes a number of an update (8 for each feature that is shared), once for each group, and 17 to
/// 40 for each account that ever took part. O(numbers) an update.
public struct Federate: Operator {
  public static let description = OperatorDescription(
    name: "federate", version: 1,
    summary: "Averages what accounts learned into priors, with noise.",
    inputs: [.init(.events)],
    outputs: [.priors, .alerts],
    settings: SharedFeatures.settings.filter { $0.name != "group" } + [
      SettingDescription(
        "wait", .duration(.seconds(1)...(.days(30))), default: "1h",
        meaning: "How long after a round's time its updates may come. Less than `every`."),
      SettingDescription(
        "accounts_min", .integer(2...1_000_000), default: "20",
        meaning: """
          Fewest accounts of a round, and of whatever is told of it (k-anonymity).
          """),
      SettingDescription(
        "noise", .number(0...1e6), default: "4",
        meaning: """
          Deviation of the noise, over the most that one account can change; 0: none, which protects \
          by `accounts_min` alone.
          """),
      SettingDescription(
        "epsilon", .number(0.001...1e6), default: "8",
        meaning: """
          What all rounds together may tell of an account's updates (differential privacy). Before it \
          would be exceeded, publishing ends.
          """),
      SettingDescription(
        "delta", .number(1e-15...0.1), default: "0.00001",
        meaning: "The probability with which `epsilon` may be exceeded."),
      SettingDescription(
        "share", .number(0.5...1), default: "0.8",
        meaning: "A pattern is told that holds in this part of the accounts that could have it."),
      SettingDescription(
        "key", .secret, default: "",
        meaning: "Who does not know it cannot take the noise away. Empty: the seed alone hides it."),
    ])

  /// A group of accounts.
  private struct Group: BitwiseCopyable {
    /// Start of the round that is open; `closed` where none is.
    var round = Group.closed
    /// Accounts of that round.
    var accounts: Int64 = 0
    /// Of the last one that was closed.
    var last = Group.closed
    /// Updates that were looked at, and priors that were published.
    var updates: Int64 = 0
    var releases: Int64 = 0
    var ledger = PrivacyLedger()

    static let closed = Int64.min
  }

  /// Noise is one purpose of draws.
  private static let purpose: UInt64 = 0x6665_6465

  private let events: EventInput
  private let output: Stream<PriorRecord>
  private let alerts: Stream<AlertRecord>
  private let timers: Timers
  private let directory: Directory
  private let seed: UInt64
  private let key: KeyedHash
  private let every: Int64
  private let wait: Int64
  private let accountsMin: Int64
  private let epsilon: Double
  private let delta: Double
  private let release: RoundRelease
  private let features: SharedFeatures
  /// By the directory's row of the group's account.
  private let groups: Table<Group>
  /// The same, times the numbers of an update; and times the features.
  private let sums: Table<Int64>
  private let told: Table<CommonPattern>
  /// Start of the newest round of each contributor.
  private let contributors: FingerprintTable
  private let shared: UnsafeMutablePointer<PriorRecord.Shared>
  private let vector: UnsafeMutableBufferPointer<Double>
  private let counters: Counters

  private struct Counters {
    let updates: Counter
    let refused: Counter
    let late: Counter
    let repeated: Counter
    let priors: Counter
    let small: Counter
    let overBudget: Counter

    init(_ setup: OperatorSetup) {
      updates = setup.counter("updates")
      refused = setup.counter("updates_refused")
      late = setup.counter("updates_late")
      repeated = setup.counter("updates_repeated")
      priors = setup.counter("priors")
      small = setup.counter("rounds_too_small")
      overBudget = setup.counter("rounds_over_budget")
    }
  }

  public init(_ setup: OperatorSetup) throws(SettingProblem) {
    let settings = setup.settings
    every = settings.duration("every").milliseconds
    wait = settings.duration("wait").milliseconds
    guard wait < every else {
      throw SettingProblem(setting: "wait", message: "`wait` is not shorter than `every`")
    }
    features = try SharedFeatures(settings, at: "")
    accountsMin = settings.integer("accounts_min")
    epsilon = settings.number("epsilon")
    delta = settings.number("delta")
    release = RoundRelease(
      layout: features.layout, noise: settings.number("noise"),
      rule: PatternRule(accountsMin: Double(accountsMin), shareMin: settings.number("share")))
    events = setup.events()
    output = setup.output(PriorRecord.self)
    alerts = setup.output(AlertRecord.self)
    timers = setup.timers
    directory = setup.directory
    seed = setup.seed
    key = KeyedHash(secret: settings.secret("key").value)
    groups = setup.store.table("groups", of: Group.self)
    sums = setup.store.table("sums", of: Int64.self)
    told = setup.store.table("told", of: CommonPattern.self)
    contributors = FingerprintTable("contributors", in: setup.store)
    shared = .allocate(capacity: 1)
    shared.initialize(to: PriorRecord.Shared(features: features))
    vector = .allocate(capacity: features.layout.count)
    vector.initialize(repeating: 0)
    counters = Counters(setup)
  }

  public func deallocate() {
    events.deallocate()
    contributors.deallocate()
    shared.deinitialize(count: 1)
    shared.deallocate()
    vector.deallocate()
  }

  // MARK: Updates

  public mutating func process(_ entry: borrowing Entry) {
    guard let event = events.current?.pointer, event.pointee.type == .prior,
      event.pointee.account.row >= 0,
      case .prior(let kind, let payload)? = entry.details(of: event),
      kind.hash == Federate.update
    else { return }
    take(Payload(payload.bytes), event, entry)
  }

  private static let update = Hash.text("update")

  private func take(_ payload: Payload, _ event: UnsafePointer<Event>, _ entry: borrowing Entry) {
    let row = event.pointee.account.row
    meet(row)
    let group = groups.update(row)
    group.pointee.updates += 1
    guard let contributor = payload["contributor"]?.hexadecimal,
      payload["features"]?.hexadecimal == features.id,
      let numbers = payload["vector"],
      numbers.integers(vector.count, { vector[$0] = UpdateLayout.number($1) })
    else { return counters.refused.add() }
    let round = event.pointee.time.milliseconds / every * every
    if group.pointee.round == Group.closed, round > group.pointee.last {
      open(row, round, group, at: entry.clock.milliseconds)
    }
    guard round == group.pointee.round else { return counters.late.add() }
    let fingerprint = Hash.combine(directory.accounts.hash(row), contributor) | 1
    guard contributors.time(of: fingerprint) != round else { return counters.repeated.add() }
    contributors.set(fingerprint, time: round)
    counters.updates.add()
    group.pointee.accounts += 1
    add(to: row)
  }

  private func meet(_ row: Int32) {
    groups.fill(to: Int(row) + 1, with: Group())
    sums.fill(to: (Int(row) + 1) * vector.count, with: 0)
    told.fill(to: (Int(row) + 1) * features.slots.count, with: [])
  }

  private func open(
    _ row: Int32, _ round: Int64, _ group: UnsafeMutablePointer<Group>, at clock: Int64
  ) {
    group.pointee.round = round
    group.pointee.accounts = 0
    timers.add(at: EventTime(milliseconds: max(round + wait, clock)), key: Int64(row))
  }

  /// Adds what was read, as short as it has to be.
  private func add(to row: Int32) {
    features.layout.clip(vector)
    let sum = sums.update(range(row, vector.count))
    for i in vector.indices { sum[i] &+= Int64(UpdateLayout.fixed(vector[i])) }
  }

  private func range(_ row: Int32, _ count: Int) -> Range<Int32> {
    let start = row * Int32(count)
    return start..<(start + Int32(count))
  }

  // MARK: Rounds

  public mutating func timers(_ due: UnsafeBufferPointer<Timer>, _ entry: borrowing Entry) {
    shared.pointee.releases.removeAll()
    for timer in due { close(Int32(truncatingIfNeeded: timer.key), at: entry.clock.milliseconds) }
  }

  /// The rounds that are open are closed.
  public mutating func finish(_ entry: borrowing Entry) {
    shared.pointee.releases.removeAll()
    for row in 0..<Int32(groups.count) { close(row, at: Int64.max) }
  }

  private func close(_ row: Int32, at clock: Int64) {
    let group = groups.update(row)
    let round = group.pointee.round
    guard round != Group.closed, clock >= round + wait else { return }
    group.pointee.round = Group.closed
    group.pointee.last = round
    publish(row, round, group)
    let sum = sums.update(range(row, vector.count))
    for i in vector.indices { sum[i] = 0 }
  }

  private func publish(_ row: Int32, _ round: Int64, _ group: UnsafeMutablePointer<Group>) {
    guard group.pointee.accounts >= accountsMin else {
      counters.small.add()
      return alert(
        row, .info, .fewAccounts, observed: Double(group.pointee.accounts),
        expected: Double(accountsMin))
    }
    var privacy: (round: Double, spent: Double, delta: Double)?
    if release.noise > 0 {
      var ledger = group.pointee.ledger
      ledger.add(sigma: release.noise)
      let spent = ledger.epsilon(delta: delta)
      guard spent <= epsilon else {
        counters.overBudget.add()
        return alert(row, .warning, .budgetSpent, observed: spent, expected: epsilon)
      }
      group.pointee.ledger = ledger
      privacy = (
        GaussianMechanism.epsilon(delta: delta, sigma: release.noise), spent, delta
      )
    }
    counters.priors.add()
    group.pointee.releases += 1
    shared.pointee.releases.append(
      PriorRecord.Release(
        prior: prior(row, round, group.pointee.accounts), group: row,
        accounts: group.pointee.accounts, privacy: privacy))
    output.append(
      PriorRecord(
        shared: UnsafePointer(shared), number: shared.pointee.releases.count - 1))
  }

  /// The noised prior of a round; what it tells is kept, for the next round's.
  private func prior(_ row: Int32, _ round: Int64, _ accounts: Int64) -> CommonPrior {
    let account = directory.accounts.hash(row)
    var draws = Draws(
      seed: key.hash(seed, account, UInt64(bitPattern: round)), account: account,
      purpose: Federate.purpose, entity: UInt64(bitPattern: round), counter: 0)
    let count = features.slots.count
    let own = told.update(range(row, count))
    let prior = release.prior(
      sum: UnsafeBufferPointer(
        start: sums.address(row * Int32(vector.count)), count: vector.count),
      accounts: Int(clamping: accounts), told: UnsafeBufferPointer(start: own, count: count),
      draws: &draws)
    for slot in 0..<count { own[slot] = prior.patterns[slot] }
    return prior
  }

  private func alert(
    _ row: Int32, _ severity: Alert.Severity, _ subject: AlertRecord.Subject, observed: Double,
    expected: Double
  ) {
    alerts.append(
      AlertRecord(
        account: row, kind: .federation, severity: severity, subject: subject,
        observed: observed.isFinite ? observed : 1e6, expected: expected))
  }

  public func digest(into digest: inout StateDigest) {
    for row in 0..<Int32(groups.count) where groups[row].updates > 0 {
      let group = groups[row]
      let owner = directory.accounts.hash(row)
      digest.add(
        owner: owner, group.round, group.last, group.updates, group.releases,
        Int64(bitPattern: group.ledger.spent.bitPattern))
      for i in range(row, vector.count) where sums[i] != 0 {
        digest.add(owner: owner, Int64(i - row * Int32(vector.count)), sums[i])
      }
      for i in range(row, features.slots.count) where !told[i].isEmpty {
        digest.add(
          owner: owner, -1 - Int64(i - row * Int32(features.slots.count)), Int64(told[i].rawValue))
      }
    }
    contributors.visit { fingerprint, round in digest.add(owner: fingerprint, round, 0) }
  }
}
