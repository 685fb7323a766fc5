import Learning
import Testing

/// A model of two rates, with memory of its own, as the contract looks at it.
protocol ContractModel: AnyObject {
  /// Predicts, then learns.
  func learn(_ example: Example) -> Heads
  func rates(_ features: [(UInt32, Double)]) -> Heads
  /// Gives features their rows before they are seen.
  func meet(_ features: [UInt32])
  /// The same bytes in other memory.
  func copy() -> Self
  /// Every number that is kept of a feature.
  func numbers(_ feature: UInt32) -> [Double]
  /// Every number that is kept beside features.
  var totals: [Double] { get }
  /// What a feature adds to the linear form where its value is 1.
  func weights(_ feature: UInt32) -> Heads
}

/// What every learner keeps, whatever it computes: looked for with seeded histories, of a learner
/// and of deliberately broken ones.
struct LearnerContract<Model: ContractModel> {
  enum Law: String, CaseIterable {
    /// Predictions become better than the base rate, and are rates.
    case learns
    /// The same examples give the same bits; another seed, where there is one, gives others.
    case seed
    /// State whose bytes were moved between two examples goes on to the same bits: where a batch
    /// ends does not matter, and a batch is its examples one by one.
    case roundTrip
    /// Neither the numbers of rows nor when a feature was first heard of change a bit.
    case appearing
    /// A feature that no longer comes keeps every bit of what it was, one that never came is as
    /// new, and no features at all are an example too.
    case vanishing
    /// Weight 0 teaches nothing, and one head nothing of the other.
    case noWeight
    /// More weight moves a prediction further, toward the label and not past certainty.
    case weight
    /// Extreme values, labels and weights: no NaN, no number without bounds, and it still learns.
    case endurance
  }

  let make: () -> Model
  /// The same with another seed; nil where nothing is drawn.
  var reseeded: (() -> Model)?
  /// Every feature has a value in every example, 0 where others have none: for learners of numbers.
  var isDense = false
  /// The largest weight of an example that it has to stand.
  var exampleWeightMax = 1e6
  /// The largest value of a feature that it has to stand.
  var valueMax = FeatureValue.limit
  /// No number may be larger after extreme examples.
  var numberMax = 1e30
  /// No weight may be larger where values are at most 1.
  var weightMax = 100.0

  private static var featureCount: UInt32 { 50 }

  /// The laws that do not hold.
  func violations(seed: UInt64) -> [Law] {
    print("learner contract of \(Model.self), seed \(seed)")
    var random = SplitMix64(seed: seed)
    let history = examples(1_200, &random)
    let cuts = (0..<history.count).filter { _ in random.next() % 40 == 0 }
    return Law.allCases.filter { law in
      switch law {
      case .learns: !learns(history)
      case .seed: !followsItsSeed(history)
      case .roundTrip: !survivesCopies(history, cuts)
      case .appearing: !ignoresWhenFeaturesCame(history)
      case .vanishing: !leavesOthersAlone(history)
      case .noWeight: !learnsNothingOfNoWeight(history)
      case .weight: !weighs(history)
      case .endurance: !endures(&random)
      }
    }
  }

  /// Examples of two rates that depend on features.
  private func examples(_ count: Int, _ random: inout SplitMix64) -> [Example] {
    (0..<count).map { _ in
      var features: [(UInt32, Double)] = [(0, 1)]
      for _ in 0..<3 {
        let feature = 1 + UInt32(random.next() % 12)
        guard !features.contains(where: { $0.0 == feature }) else { continue }
        features.append((feature, feature == 5 ? random.uniform(0.5, 1.5) : 1))
      }
      let present = features
      if isDense {
        features = (0..<13).map { feature in present.first { $0.0 == feature } ?? (feature, 0) }
      }
      let logit = present.dropFirst().reduce(0) { $0 + ($1.0 % 3 == 1 ? 2.0 : -1) }
      let label = random.unit() < Rate.sigmoid(logit) ? 1.0 : 0
      let other = random.unit() < 0.3 ? random.unit() : 1 - label
      return (features, Heads(label, other), Heads(1, random.uniform(0, 2)))
    }
  }

  private func all(_ model: Model) -> [Double] {
    (0..<Self.featureCount).flatMap { model.numbers($0) } + model.totals
  }

  private func state(_ model: Model) -> [UInt64] { all(model).map(\.bitPattern) }

  private func isRate(_ rates: Heads) -> Bool {
    rates.min() >= Rate.least && rates.max() <= 1 - Rate.least
  }

  // MARK: The laws

  private func learns(_ history: [Example]) -> Bool {
    let model = make()
    var (loss, base) = (0.0, 0.0)
    let mean = history.map(\.labels.x).reduce(0, +) / Double(history.count)
    for (i, example) in history.enumerated() {
      let rates = model.learn(example)
      guard isRate(rates) else { return false }
      guard i >= history.count / 2 else { continue }
      loss += Rate.logLoss(example.labels.x, rates.x)
      base += Rate.logLoss(example.labels.x, mean)
    }
    return loss < base
  }

  private func followsItsSeed(_ history: [Example]) -> Bool {
    let (model, again) = (make(), make())
    for example in history {
      guard model.learn(example) == again.learn(example) else { return false }
    }
    guard state(model) == state(again) else { return false }
    guard let reseeded else { return true }
    let other = reseeded()
    for example in history { _ = other.learn(example) }
    return state(model) != state(other)
  }

  private func survivesCopies(_ history: [Example], _ cuts: [Int]) -> Bool {
    let model = make()
    var copy = make()
    for (i, example) in history.enumerated() {
      if cuts.contains(i) { copy = copy.copy() }
      guard model.learn(example) == copy.learn(example) else { return false }
    }
    return !cuts.isEmpty && state(model) == state(copy)
  }

  private func ignoresWhenFeaturesCame(_ history: [Example]) -> Bool {
    let (late, early) = (make(), make())
    early.meet(Array((0..<Self.featureCount).reversed()))
    for example in history {
      guard late.learn(example) == early.learn(example) else { return false }
    }
    return state(late) == state(early)
  }

  private func leavesOthersAlone(_ history: [Example]) -> Bool {
    let model = make()
    for example in history { _ = model.learn(example) }
    let gone = model.numbers(7)
    for example in history {
      _ = model.learn((example.features.filter { $0.0 != 7 }, example.labels, example.weights))
    }
    guard model.numbers(7) == gone, model.numbers(99) == make().numbers(99) else { return false }
    return isRate(model.learn(([], Heads(1, 0), .one)))
  }

  private func learnsNothingOfNoWeight(_ history: [Example]) -> Bool {
    let model = make()
    for example in history[..<100] { _ = model.learn(example) }
    let before = history[100..<200].map { model.rates($0.features) }
    for example in history[..<100] {
      _ = model.learn((example.features, example.labels, .zero))
    }
    guard history[100..<200].map({ model.rates($0.features) }) == before else { return false }
    // One head of two.
    let (one, other) = (make(), make())
    for example in history {
      _ = one.learn((example.features, example.labels, Heads(1, 0)))
      _ = other.learn((example.features, Heads(example.labels.x, 0.5), Heads(1, 0)))
    }
    return history.allSatisfy { one.rates($0.features) == other.rates($0.features) }
  }

  private func weighs(_ history: [Example]) -> Bool {
    func trained() -> Model {
      let model = make()
      for example in history[..<200] { _ = model.learn(example) }
      return model
    }
    // Where there is room on both sides.
    let judge = trained()
    func distance(_ example: Example) -> Double {
      let rates = judge.rates(example.features)
      return max((rates.x - 0.5).magnitude, (rates.y - 0.5).magnitude)
    }
    guard let features = history.min(by: { distance($0) < distance($1) })?.features else {
      return false
    }
    // Scales of features may move whatever the weight: what is compared begins with hardly any.
    let after = [1e-9, 0.1, 1, 3].map { weight in
      let model = trained()
      _ = model.learn((features, Heads(1, 0), Heads(repeating: weight)))
      return model.rates(features)
    }
    return after.allSatisfy { isRate($0) }
      && zip(after, after.dropFirst()).allSatisfy { $0.x < $1.x && $0.y > $1.y }
  }

  private func endures(_ random: inout SplitMix64) -> Bool {
    // Before anything is cut short: values of usual size for ever the same label.
    let steady = make()
    for round in 0..<3_000 {
      let features = (0..<8 as Range<UInt32>).filter { _ in random.next() % 2 == 0 }
        .map { ($0, $0 == 3 ? random.unit() : 1) }
      let labels = Heads(round < 1_500 ? 1 : 0, round % 2 == 0 ? 1 : 0)
      guard isRate(steady.learn((features, labels, Heads(1, 3)))) else { return false }
      guard round % 50 == 49 else { continue }
      for feature in 0..<8 as Range<UInt32> {
        let weights = steady.weights(feature)
        guard weights.x.magnitude < weightMax, weights.y.magnitude < weightMax else { return false }
      }
    }
    let model = make()
    let values = [
      0, 1, -1, 1e-300, .leastNonzeroMagnitude, 1e300, -1e300, .infinity, .nan, 1e-9, 1e6,
    ]
    let weights = [0, 1e-12, 1, 50, 1e6].map { min($0, exampleWeightMax) }
    for round in 0..<3_000 {
      var features: [(UInt32, Double)] = []
      for feature in 0..<Self.featureCount where random.next() % 8 == 0 {
        let value = values[Int(random.next() % UInt64(values.count))]
        let bounded = FeatureValue.bounded(value)
        features.append((feature, min(max(bounded, -valueMax), valueMax)))
      }
      let labels = Heads(round % 3 == 0 ? 1 : 0, random.unit())
      let rates = model.learn(
        (
          features, labels,
          Heads(weights[Int(random.next() % 5)], weights[Int(random.next() % 5)])
        ))
      guard isRate(rates) else { return false }
    }
    guard all(model).allSatisfy({ $0.isFinite && $0.magnitude < numberMax }) else { return false }
    // And it still learns.
    for i in 0..<2_000 {
      _ = model.learn(([(200, 1), (201, i % 2 == 0 ? 1 : 0.5)], Heads(1, 0), .one))
    }
    let rates = model.rates([(200, 1), (201, 1)])
    return rates.x > 0.5 && rates.y < 0.5
  }
}
