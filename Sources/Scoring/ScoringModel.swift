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
/// that it never scores by half of a version. Where another model has become the champion it goes on
/// with the one before until everything of the new one is there. About 40 bytes a weight, 60 where a
/// model also says how sure it is of each. Not for several threads at once.
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
  private var maps = RateMaps()
  private var form: ModelForm?
  private var base = ModelUpdate.Base()
  /// Number of the last record that was taken; 0 while none counts.
  private var last: Int64 = 0
  /// The publication that is being read: its first record, and what it brings.
  private var head: ModelUpdate?
  private var parts: (maps: [UInt8], weights: [UInt8]) = ([], [])
  /// The form that it begins; everything of another one is forgotten with its last chunk.
  private var next: ModelForm?
  private var isWhole = false
  private var aside: [(row: Int32, value: Double)] = []
  private var numbers: [(row: Int32, value: Double)] = []

  public init() {
    aside.reserveCapacity(ScoringPlan.featuresMax)
    numbers.reserveCapacity(ScoringPlan.featuresMax)
  }

  deinit { weights.deallocate() }

  /// Weights that are known.
  public var count: Int { weights.count }

  // MARK: Records

  /// Takes the next record of the account. O(weights in it). One that was taken before is ignored.
  ///
  /// - Throws: What is wrong with it. The model is as before, unless that shows only with the last
  ///   chunk of a publication: then it waits for the next sweep.
  public func apply(_ update: ModelUpdate) throws(ModelProblem) {
    let isRepeated = last != 0 && update.sequence <= last
    if isRepeated { return }
    let begun = try ModelForm(update)
    if update.after == 0 || last != 0 && update.after != last {
      forget(update.after == 0 ? .waiting : .gap(expected: last, found: update.after))
    }
    let begins = update.begins && update.chunk == 1
    if begins, last == 0, let begun {
      forget(.collecting)
      form = begun
      (account, name) = (update.account, update.name)
    }
    guard begins || last != 0 else { return }
    last = update.sequence
    if update.chunk == 1 {
      head = update
      next = begins && begun != form ? begun : nil
      parts.maps.removeAll(keepingCapacity: true)
      parts.weights.removeAll(keepingCapacity: true)
    }
    parts.maps += update.maps
    parts.weights += update.weights
    guard update.chunk == update.chunks else { return }
    do throws(ModelProblem) { try commit(ends: update.ends) } catch {
      forget(.waiting)
      throw error
    }
  }

  private func forget(_ state: State) {
    weights.removeAll()
    maps.removeAll()
    form = nil
    next = nil
    last = 0
    head = nil
    isWhole = false
    self.state = state
  }

  /// A publication is there as a whole: from now on scores are its.
  private func commit(ends: Bool) throws(ModelProblem) {
    guard let head else { return }
    if let next {
      weights.removeAll()
      maps.removeAll()
      form = next
      name = next.name
      isWhole = false
      self.next = nil
    }
    guard let form else { return }
    try take(form)
    if let base = head.base { self.base = base }
    isWhole = isWhole || ends
    self.head = nil
    state = isWhole ? .ready(version: head.version) : .collecting
  }

  private func take(_ form: ModelForm) throws(ModelProblem) {
    guard form.click != .probit && form.conversion != .probit || (head?.base?.noise ?? 1) > 0 else {
      throw ModelProblem("`base` has no `noise`")
    }
    let size = form.weightByteCount
    guard parts.weights.count % size == 0 else {
      throw ModelProblem(
        "`weights` are \(parts.weights.count) bytes, which is no multiple of \(size)")
    }
    try parts.maps.withUnsafeBufferPointer { (bytes) throws(ModelProblem) in
      try maps.take(UnsafeRawBufferPointer(bytes), form.calibration)
    }
    try parts.weights.withUnsafeBufferPointer { (buffer) throws(ModelProblem) in
      let bytes = UnsafeRawBufferPointer(buffer)
      for start in stride(from: 0, to: bytes.count, by: size) {
        let weight = ModelUpdate.weight(bytes, start, hasSpreads: form.hasSpreads)
        guard weight.isSane else {
          throw ModelProblem("`weights`: that of feature \(weight.feature) is no number to add")
        }
        weights.set(weight, hasSpreads: form.hasSpreads)
      }
    }
    parts.maps.removeAll(keepingCapacity: true)
    parts.weights.removeAll(keepingCapacity: true)
  }

  // MARK: Scores

  /// What an impression with these features is expected to bring: bit for bit what the learner says
  /// at this version. nil while the model is not `ready`. O(features), allocates nothing.
  public func score(_ impression: ImpressionFeatures) -> Score? {
    guard case .ready = state, let form else { return nil }
    var amount = base.value ?? 0
    let raw =
      form.hasSpreads
      ? spreadRates(form, impression, &amount) : rates(form.plan, impression, &amount)
    let rates = maps.published(raw, form.calibration, campaign: impression.campaignKey)
    return Score(
      click: rates.x, conversion: rates.y,
      valueMicros: base.value == nil ? 0 : expected(amount + base.scatter) * 1e6)
  }

  /// What the model itself says; adds to `amount` what features do.
  private func rates(
    _ plan: ScoringPlan, _ impression: ImpressionFeatures, _ amount: inout Double
  ) -> Heads {
    // As the learner adds: words in their order, then numbers in theirs.
    var logits = Heads(base.click, base.conversion)
    aside.removeAll(keepingCapacity: true)
    plan.forEachFeature(of: impression) { hash, value in
      let row = weights.row(of: hash)
      guard row >= 0 else { return }
      if value == 1 {
        logits += weights[row].heads
        amount += weights[row].value
      } else if value != 0 {
        aside.append((row, value))
      }
    }
    for number in aside {
      logits += weights[number.row].heads * number.value
      amount += weights[number.row].value * number.value
    }
    return Rate.bounded(Rate.sigmoid(logits))
  }

  /// The same of weights that have how sure they are beside them: features without one count too.
  private func spreadRates(
    _ form: ModelForm, _ impression: ImpressionFeatures, _ amount: inout Double
  ) -> Heads {
    aside.removeAll(keepingCapacity: true)
    numbers.removeAll(keepingCapacity: true)
    form.plan.forEachFeature(of: impression) { hash, value in
      if value == 1 {
        aside.append((weights.row(of: hash), value))
      } else if value != 0 {
        numbers.append((weights.row(of: hash), value))
      }
    }
    aside += numbers
    var sums = SpreadSums(form, base, active: aside.count)
    for feature in aside {
      guard feature.row >= 0 else {
        sums.add(.zero, Heads(repeating: base.unknown), feature.value)
        continue
      }
      let found = weights[feature.row]
      sums.add(found.heads, weights.spreads(feature.row), feature.value)
      amount += found.value * feature.value
    }
    return sums.rates
  }

  private func expected(_ logarithm: Double) -> Double {
    let limit = ValueRegression.logarithmMax
    return Elementary.exp(min(max(logarithm, -limit), limit))
  }
}
