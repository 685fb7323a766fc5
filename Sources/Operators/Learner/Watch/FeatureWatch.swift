import Events
import Learning
import Streaming

/// Whether features are still distributed as they were: each account's population stability
/// indexes, judged every hour of event time.
///
/// Looks at one impression of eight, chosen by its id, and at the first 24 fields of an account,
/// each in 16 bins: words by their hash, numbers by their order of magnitude. What chance alone can
/// do is taken off, and an hour with few impressions joins the next one. After an alert the field's
/// reference begins anew. 10 KiB an account.
struct FeatureWatch {
  static let fieldsMax = 24
  /// Impressions that are looked at, of an hour and of its reference.
  static let countMin: Int64 = 250
  /// Standard deviations beyond chance.
  static let excessMin = 6.0
  private static let bins = 16
  private static let hour = TimeSpan.hours(1).milliseconds

  private struct Account: BitwiseCopyable {
    var first: Int32 = -1
    var used: Int32 = 0
    var isScheduled: Int64 = 0
  }

  private struct Field: BitwiseCopyable {
    var stability = PopulationStability(bins: FeatureWatch.bins)
    var reference: Int64 = 0
    var present: Int64 = 0
  }

  /// A field whose distribution has changed.
  struct Finding {
    var field: UInt32
    /// The index, and what chance alone gives on average.
    var index: Double
    var expected: Double
  }

  let isOn: Bool
  private let indexMax: Double
  private let directory: Directory
  private let accounts: Table<Account>
  private let keys: Table<UInt32>
  private let fields: Table<Field>
  /// Fields that have a name in the settings.
  private let named: UnsafeMutableBufferPointer<UInt32>
  private let names: UnsafeMutableBufferPointer<PredictionRecord.ModelName>

  init(_ drift: Settings, _ setup: OperatorSetup) {
    isOn = drift.boolean("enabled") && drift.number("feature_index") > 0
    indexMax = drift.number("feature_index")
    directory = setup.directory
    accounts = setup.store.table("features.watch.accounts", of: Account.self)
    keys = setup.store.table("features.watch.keys", of: UInt32.self)
    fields = setup.store.table("features.watch.fields", of: Field.self, capacity: 1)
    let known = FeaturePlan.namedFields(setup.settings)
    named = .allocate(capacity: known.count)
    _ = named.initialize(from: known.map(\.field))
    names = .allocate(capacity: known.count)
    _ = names.initialize(from: known.map { .init(text: $0.name) })
  }

  func deallocate() {
    named.deallocate()
    names.deinitialize()
    names.deallocate()
  }

  /// Whether an impression is looked at.
  @inline(__always)
  func takes(_ id: Identifier) -> Bool { isOn && id.hash & 7 == 0 }

  /// Counts an impression's features as `plan.read` has just found them; true where a judgement is
  /// to be scheduled.
  @inline(never)
  func count(
    _ plan: FeaturePlan, _ own: UnsafeBufferPointer<Feature>, of account: Int32
  ) -> Bool {
    if Int(account) >= accounts.count || accounts[account].first < 0 { begin(account) }
    plan.forEachField(own) { field, hash, value in
      let row = row(of: field, account)
      guard row >= 0 else { return }
      let word = value == 1 ? hash : UInt32(bitPattern: FeatureHash.bucket(value))
      let counted = fields.update(row)
      counted.pointee.stability.addPresent(bin: Int((word &* 0x9E37_79B1) >> 28))
      counted.pointee.present &+= 1
    }
    guard accounts[account].isScheduled == 0 else { return false }
    accounts.update(account).pointee.isScheduled = 1
    return true
  }

  private func begin(_ account: Int32) {
    accounts.fill(to: Int(account) + 1, with: Account())
    accounts.update(account).pointee.first = Int32(keys.count)
    keys.fill(to: keys.count + FeatureWatch.fieldsMax, with: 0)
    fields.fill(to: keys.count, with: Field())
  }

  /// -1 where an account has too many.
  private func row(of field: UInt32, _ account: Int32) -> Int32 {
    let state = accounts[account]
    for row in state.first..<state.first + state.used where keys[row] == field { return row }
    guard state.used < Int32(FeatureWatch.fieldsMax) else { return -1 }
    let row = state.first + state.used
    keys.update(row).pointee = field
    accounts.update(account).pointee.used += 1
    return row
  }

  /// When an hour that has begun at `now` is judged.
  static func end(_ now: Int64) -> Int64? {
    let (end, isOver) = (now / hour + 1).multipliedReportingOverflow(by: hour)
    return isOver ? nil : end
  }

  /// The hour is over: what has changed in it.
  func judge(_ account: Int32, _ body: (Finding) -> Void) {
    guard Int(account) < accounts.count, accounts[account].first >= 0 else { return }
    accounts.update(account).pointee.isScheduled = 0
    let state = accounts[account]
    for row in state.first..<state.first + state.used {
      let field = fields.update(row)
      guard field.pointee.present >= FeatureWatch.countMin else { continue }
      let isKnown = field.pointee.reference >= FeatureWatch.countMin
      if isKnown, let index = field.pointee.stability.index, index.value > indexMax,
        index.excess > FeatureWatch.excessMin
      {
        field.pointee = Field()
        body(Finding(field: keys[row], index: index.value, expected: index.expected))
      } else {
        field.pointee.stability.next(joining: true)
        field.pointee.reference &+= field.pointee.present
        field.pointee.present = 0
      }
    }
  }

  /// A field's name where the settings have it; lives as long as the operator.
  func name(of field: UInt32) -> UnsafePointer<PredictionRecord.ModelName>? {
    for i in named.indices where named[i] == field {
      return names.baseAddress.map { UnsafePointer($0 + i) }
    }
    return nil
  }

  func digest(into digest: inout StateDigest) {
    for account in 0..<Int32(accounts.count) where accounts[account].first >= 0 {
      let state = accounts[account]
      for row in state.first..<state.first + state.used {
        digest.add(
          owner: Hash.combine(directory.accounts.hash(account), UInt64(keys[row])), place: 15,
          wordsOf: fields.address(row))
      }
    }
  }
}
