import Learning

// Scoring: what a bidder needs to score impressions by itself, exactly as the learner would. It reads
// records of `models`, keeps the weights of one account, and adds those of an impression's features.
//
// Stands alone: no engine, no Foundation, no learning. Where records come from, and in which order
// accounts are read, is the bidder's affair.

/// What an impression is expected to bring.
@frozen
public struct Score: BitwiseCopyable, Sendable, Equatable {
  /// Probability of a click, and of a conversion given a click.
  public var click: Double
  public var conversion: Double
  /// What a conversion is expected to bring, in micros of the account's currency; 0 while no value
  /// is known.
  public var valueMicros: Double

  @inlinable
  public init(click: Double, conversion: Double, valueMicros: Double) {
    self.click = click
    self.conversion = conversion
    self.valueMicros = valueMicros
  }

  /// Probability of a click that converts.
  @inlinable public var clickAndConversion: Double { click * conversion }

  /// Micros.
  @inlinable public var valuePerImpressionMicros: Double { click * conversion * valueMicros }
}

/// One account's model, as a bidder has it: give it the account's records of `models` in their order,
/// and ask it for scores.
///
/// It may begin anywhere in the stream: the weights are complete when a sweep was read from its
/// beginning to its end, and `state` says so. A record that is missing makes it forget everything, so
/// that it never scores by half of a version. About 40 bytes a weight. Not for several threads at
/// once.
public final class ScoringModel {
  public enum State: Equatable, Sendable {
    /// Nothing was read that a model could begin with.
    case waiting
    /// A sweep has begun and not yet ended.
    case collecting
    /// Every weight is known, as of this version.
    case ready(version: Int64)
    /// A record is missing: behind number `expected` came the one after `found`. A model begins
    /// again with the next sweep.
    case gap(expected: Int64, found: Int64)
  }

  public private(set) var state = State.waiting
  /// Whose model it is, and what the learner calls it; empty before the first record.
  public private(set) var account = ""
  public private(set) var name = ""

  private var weights = WeightTable()
  private var plan: ScoringPlan?
  private var base = ModelUpdate.Base()
  /// Number of the last record that was taken; 0 while none counts.
  private var last: Int64 = 0
  /// The publication that is being read.
  private var head: ModelUpdate?
  private var parts: [UInt8] = []
  private var isWhole = false
  private var aside: [(weights: WeightTable.Weights, value: Double)] = []

  public init() { aside.reserveCapacity(ScoringPlan.featuresMax) }

  deinit { weights.deallocate() }

  /// Weights that are known.
  public var count: Int { weights.count }

  // MARK: Records

  /// Takes the next record of the account. O(weights in it). One that was taken before is ignored.
  ///
  /// - Throws: What is wrong with the record's settings; the model is as before.
  public func apply(_ update: ModelUpdate) throws(ModelProblem) {
    let isRepeated = last != 0 && update.sequence <= last
    if isRepeated { return }
    let plan = try update.hashing.map { (hashing) throws(ModelProblem) in
      try ScoringPlan(hashing)
    }
    if update.after == 0 || last != 0 && update.after != last {
      let state: State =
        update.after == 0 ? .waiting : .gap(expected: last, found: update.after)
      forget(state)
    }
    let begins = update.begins && update.chunk == 1
    if begins, let plan, last == 0 || plan != self.plan {
      forget(.collecting)
      self.plan = plan
      (account, name) = (update.account, update.name)
    }
    guard begins || last != 0 else { return }
    last = update.sequence
    if update.chunk == 1 {
      head = update
      parts.removeAll(keepingCapacity: true)
    }
    parts += update.weights
    if update.chunk == update.chunks { commit(ends: update.ends) }
  }

  private func forget(_ state: State) {
    weights.removeAll()
    plan = nil
    last = 0
    head = nil
    isWhole = false
    self.state = state
  }

  /// A publication is there as a whole: from now on scores are its.
  private func commit(ends: Bool) {
    guard let head else { return }
    parts.withUnsafeBytes { bytes in
      for start in stride(from: 0, to: bytes.count, by: ModelUpdate.weightByteCount) {
        weights.set(ModelUpdate.weight(bytes, start))
      }
    }
    parts.removeAll(keepingCapacity: true)
    if let base = head.base { self.base = base }
    isWhole = isWhole || ends
    self.head = nil
    state = isWhole ? .ready(version: head.version) : .collecting
  }

  // MARK: Scores

  /// What an impression with these features is expected to bring: bit for bit what the learner says
  /// at this version. nil while the model is not `ready`. O(features), allocates nothing.
  public func score(_ impression: ImpressionFeatures) -> Score? {
    guard case .ready = state, let plan else { return nil }
    // As the learner adds: words in their order, then numbers in theirs.
    var logits = Heads(base.click, base.conversion)
    var amount = base.value ?? 0
    aside.removeAll(keepingCapacity: true)
    plan.forEachFeature(of: impression) { hash, value in
      guard let found = weights.find(hash) else { return }
      if value == 1 {
        logits += found.heads
        amount += found.value
      } else if value != 0 {
        aside.append((found, value))
      }
    }
    for number in aside {
      logits += number.weights.heads * number.value
      amount += number.weights.value * number.value
    }
    let rates = Rate.bounded(Rate.sigmoid(logits))
    return Score(
      click: rates.x, conversion: rates.y,
      valueMicros: base.value == nil ? 0 : expected(amount + base.scatter) * 1e6)
  }

  private func expected(_ logarithm: Double) -> Double {
    let limit = ValueRegression.logarithmMax
    return Elementary.exp(min(max(logarithm, -limit), limit))
  }
}

/// Weights by the hashes of their features.
struct WeightTable {
  struct Weights: BitwiseCopyable {
    /// What it adds to the log-odds of a click and of a conversion.
    var heads: Heads
    /// What it adds to the logarithm of a conversion's value.
    var value: Double
  }

  private var index = FeatureIndex()
  private var rows: UnsafeMutablePointer<Weights>
  private var capacity = 64
  private(set) var count = 0

  init() { rows = .allocate(capacity: capacity) }

  func deallocate() {
    index.deallocate()
    rows.deallocate()
  }

  mutating func removeAll() {
    index.removeAll()
    count = 0
  }

  /// Amortised O(1).
  mutating func set(_ weight: ModelUpdate.Weight) {
    let weights = Weights(
      heads: Heads(weight.click, weight.conversion), value: weight.value)
    let row = index.row(of: weight.feature)
    if row >= 0 {
      rows[Int(row)] = weights
      return
    }
    if count == capacity { grow() }
    (rows + count).initialize(to: weights)
    index.insert(weight.feature, row: Int32(truncatingIfNeeded: count))
    count += 1
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Weights>.allocate(capacity: 2 * capacity)
    larger.moveInitialize(from: rows, count: count)
    rows.deallocate()
    rows = larger
    capacity *= 2
  }

  @inline(__always)
  func find(_ feature: UInt32) -> Weights? {
    let row = index.row(of: feature)
    return row >= 0 ? rows[Int(row)] : nil
  }
}
