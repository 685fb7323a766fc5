import Learning
import Testing

/// A learner of two rates, as it is.
private final class SparseModel<Learner: SparseLearner>: ContractModel {
  /// What the contract cannot read of a coordinate by itself.
  struct Reading {
    var numbers: (Learner.Coordinate) -> [Double]
    var totals: (Learner.Total) -> [Double] = { _ in [] }
    var weights: (Learner.Coordinate) -> Heads
  }

  private let model: LearnerModel<Learner>
  private let reading: Reading

  init(_ model: LearnerModel<Learner>, _ reading: Reading) {
    self.model = model
    self.reading = reading
  }

  func learn(_ example: Example) -> Heads { model.learn(example) }
  func rates(_ features: [(UInt32, Double)]) -> Heads { model.rates(features) }
  func meet(_ features: [UInt32]) { model.meet(features) }
  func copy() -> SparseModel { SparseModel(model.copy(), reading) }
  func numbers(_ feature: UInt32) -> [Double] { reading.numbers(model.coordinate(feature)) }
  var totals: [Double] { reading.totals(model.total) }
  func weights(_ feature: UInt32) -> Heads { reading.weights(model.coordinate(feature)) }
}

/// Gradient descent on scaled features: it scores anew when it learns.
private final class ScaledModel: ContractModel {
  private let learner: ScaledLinear
  private var memory: FeatureMemory<ScaledLinear.Coordinate>
  private var total: ScaledLinear.Total

  init(_ learner: ScaledLinear) {
    self.learner = learner
    memory = FeatureMemory { learner.coordinate(of: $0) }
    total = learner.total()
  }

  func learn(_ example: Example) -> Heads {
    memory.with(example.features) { features in
      let rates = learner.rates(learner.score(features, total))
      learner.learn(features, &total, labels: example.labels, weights: example.weights)
      return rates
    }
  }

  func rates(_ features: [(UInt32, Double)]) -> Heads {
    memory.with(features) { learner.rates(learner.score($0, total)) }
  }

  func meet(_ features: [UInt32]) { memory.meet(features) }

  func copy() -> ScaledModel {
    let other = ScaledModel(learner)
    (other.memory, other.total) = (memory.copy(), total)
    return other
  }

  func numbers(_ feature: UInt32) -> [Double] {
    let c = memory.coordinate(feature)
    return [
      c.weights.x, c.weights.y, c.squares.x, c.squares.y, c.count, c.mean, c.squaredDeviations,
    ]
  }

  var totals: [Double] { [total.intercept.x, total.intercept.y] }
  func weights(_ feature: UInt32) -> Heads { memory.coordinate(feature).weights }
}

/// Two regressions of an amount from 0.1 to 1.1, which is a rate and a tenth.
private final class ValueModel: ContractModel {
  private let learner: ValueRegression
  private var memories: [FeatureMemory<ValueRegression.Coordinate>]
  private var totalsOfHeads: [ValueRegression.Total]

  init(_ learner: ValueRegression) {
    self.learner = learner
    memories = (0..<2).map { _ in FeatureMemory { learner.coordinate(of: $0) } }
    totalsOfHeads = [learner.total(), learner.total()]
  }

  func learn(_ example: Example) -> Heads {
    let rates = rates(example.features)
    for head in 0..<2 {
      memories[head].with(example.features) {
        learner.learn(
          $0, &totalsOfHeads[head], amount: 0.1 + example.labels[head],
          weight: example.weights[head])
      }
    }
    return rates
  }

  func rates(_ features: [(UInt32, Double)]) -> Heads {
    var rates = Heads.zero
    for head in 0..<2 {
      let rate = memories[head].with(features) {
        learner.expected(learner.score($0, totalsOfHeads[head]), totalsOfHeads[head]) - 0.1
      }
      // Amounts may be expected outside of what they were: bent, so that more is still more.
      rates[head] =
        rate < 0.1
        ? 0.1 * Elementary.exp(10 * rate - 1)
        : rate > 0.9 ? 1 - 0.1 * Elementary.exp(9 - 10 * rate) : rate
    }
    return Rate.bounded(rates)
  }

  func meet(_ features: [UInt32]) { for memory in memories { memory.meet(features) } }

  func copy() -> ValueModel {
    let other = ValueModel(learner)
    (other.memories, other.totalsOfHeads) = (memories.map { $0.copy() }, totalsOfHeads)
    return other
  }

  func numbers(_ feature: UInt32) -> [Double] {
    memories.flatMap { [$0.coordinate(feature).mean, $0.coordinate(feature).precision] }
  }

  var totals: [Double] {
    totalsOfHeads.flatMap { [$0.bias.mean, $0.bias.precision, $0.weight, $0.squaredErrors] }
  }

  func weights(_ feature: UInt32) -> Heads {
    Heads(memories[0].coordinate(feature).mean, memories[1].coordinate(feature).mean)
  }
}

@Suite struct LearnerContractTests {
  private static let seeds: [UInt64] = [1, 2, 3]

  private func check<Learner: SparseLearner>(
    _ learner: Learner, _ reading: SparseModel<Learner>.Reading, reseeded: Learner? = nil,
    seed: UInt64
  ) {
    var contract = LearnerContract { SparseModel(LearnerModel(learner), reading) }
    if let reseeded {
      contract.reseeded = { SparseModel(LearnerModel(reseeded), reading) }
    }
    #expect(contract.violations(seed: seed) == [], "seed \(seed)")
  }

  @Test(arguments: seeds, [FTRL(), FTRL(alpha: 0.5, l1: 0.1, l2: 1)])
  func ftrl(_ seed: UInt64, _ learner: FTRL) {
    check(
      learner,
      .init(
        numbers: { [$0.z.x, $0.z.y, $0.root.x, $0.root.y] }, weights: { learner.weights($0) }),
      seed: seed)
  }

  @Test(arguments: seeds) func invariant(_ seed: UInt64) {
    check(
      InvariantUpdate(),
      .init(
        numbers: { [$0.weights.x, $0.weights.y, $0.squares.x, $0.squares.y, $0.scale] },
        totals: { [$0.examples.x, $0.examples.y, $0.norms.x, $0.norms.y] },
        weights: { $0.weights }), seed: seed)
  }

  @Test(arguments: seeds, [BayesianLogistic(), BayesianLogistic(precision: 0.5, memory: 0.999)])
  func bayes(_ seed: UInt64, _ learner: BayesianLogistic) {
    check(
      learner,
      .init(
        numbers: { [$0.means.x, $0.means.y, $0.precisions.x, $0.precisions.y] },
        weights: { $0.means }), seed: seed)
  }

  @Test(
    arguments: seeds,
    [AdPredictor(beta: 1), AdPredictor(beta: 0.5, prior: Heads(0.1, 0.1), fading: 0.01)])
  func adPredictor(_ seed: UInt64, _ learner: AdPredictor) {
    check(
      learner,
      .init(
        numbers: { [$0.means.x, $0.means.y, $0.variances.x, $0.variances.y] },
        totals: {
          [$0.bias.means.x, $0.bias.means.y, $0.bias.variances.x, $0.bias.variances.y]
        }, weights: { $0.means }), seed: seed)
  }

  @Test(
    arguments: seeds,
    [
      FactorizationMachine<SIMD4<Double>>(),
      FactorizationMachine<SIMD4<Double>>(rate: 0.05, l2: 1e-5, seed: 9, isAdaptive: false),
    ])
  func factorizationMachine(_ seed: UInt64, _ learner: FactorizationMachine<SIMD4<Double>>) {
    check(
      learner,
      .init(
        numbers: {
          var numbers = [$0.weights.value.x, $0.weights.value.y]
          numbers += [$0.weights.squares.x, $0.weights.squares.y]
          for latent in [$0.first, $0.second] {
            numbers += latent.value.indices.map { latent.value[$0] }
            numbers += latent.squares.indices.map { latent.squares[$0] }
          }
          return numbers
        },
        totals: {
          [$0.bias.value.x, $0.bias.value.y, $0.bias.squares.x, $0.bias.squares.y]
        },
        weights: {
          // A latent vector counts by its longest part.
          let reach = Heads(
            ($0.first.value * $0.first.value).max().squareRoot(),
            ($0.second.value * $0.second.value).max().squareRoot())
          return pointwiseMax(
            reach, Heads($0.weights.value.x.magnitude, $0.weights.value.y.magnitude))
        }),
      reseeded: FactorizationMachine<SIMD4<Double>>(seed: 77), seed: seed)
  }

  @Test(arguments: seeds, [ScaledLinear.Step.plain, .adaptive])
  func scaledLinear(_ seed: UInt64, _ step: ScaledLinear.Step) {
    let learner = ScaledLinear(step: step, rate: step == .plain ? 0.02 : 0.1)
    var contract = LearnerContract { ScaledModel(learner) }
    contract.isDense = true
    contract.exampleWeightMax = 50
    #expect(contract.violations(seed: seed) == [], "seed \(seed)")
  }

  @Test(arguments: seeds, [ValueRegression.Family.logNormal, .gamma])
  func valueRegression(_ seed: UInt64, _ family: ValueRegression.Family) {
    var contract = LearnerContract { ValueModel(ValueRegression(family: family)) }
    // A value moves the logarithm of an amount: what is learned at 2⁻³⁰ and 1 is beyond all
    // amounts at 2²⁰, and a gamma likelihood comes back from there by small steps.
    contract.exampleWeightMax = 50
    contract.valueMax = 4
    #expect(contract.violations(seed: seed) == [], "seed \(seed)")
  }

  /// Before any evidence a rate is what it was said to be, whatever the features; the probit model
  /// and the factorization machine come near it.
  @Test func beginsWithTheBase() {
    let rates = Heads(0.005, 0.02)
    let base = Heads(Rate.logit(rates.x), Rate.logit(rates.y))
    let features: [(UInt32, Double)] = [(1, 1), (2, 0.5), (3, 1)]
    func check<Learner: SparseLearner>(_ learner: Learner, within tolerance: Double) {
      let found = LearnerModel(learner).rates(features)
      #expect(isNear(found.x / rates.x, 1, tolerance), "\(Learner.self)")
      #expect(isNear(found.y / rates.y, 1, tolerance), "\(Learner.self)")
    }
    check(FTRL(base: base), within: 1e-12)
    check(InvariantUpdate(base: base), within: 1e-12)
    check(BayesianLogistic(precision: 1e9, base: base), within: 1e-6)
    check(FactorizationMachine<SIMD4<Double>>(base: base), within: 0.1)
    check(AdPredictor(beta: 10, prior: rates), within: 0.1)
  }
}

/// A good learner with one thing wrong.
private final class BrokenModel: ContractModel {
  enum Fault: String, CaseIterable {
    case learnsTheOpposite, drawsOnItsOwn, leavesPartBehind, startsByRow, fadesOthers,
      ignoresWeights
    case learnsWithoutWeight, overshoots, growsWithoutBounds, losesNumbers

    /// What the contract says of it, if of nothing else.
    var law: LearnerContract<BrokenModel>.Law {
      switch self {
      case .learnsTheOpposite: .learns
      case .drawsOnItsOwn: .seed
      case .leavesPartBehind: .roundTrip
      case .startsByRow: .appearing
      case .fadesOthers: .vanishing
      case .ignoresWeights, .overshoots: .weight
      case .learnsWithoutWeight: .noWeight
      case .growsWithoutBounds, .losesNumbers: .endurance
      }
    }
  }

  /// What several models draw from, as no model may.
  final class Urn { var drawn = 0 }

  private let fault: Fault
  private let urn: Urn
  private let learner = FTRL()
  private var model: LearnerModel<FTRL>
  private var known: [UInt32] = []
  private var examples = 0.0

  init(_ fault: Fault, _ urn: Urn) {
    self.fault = fault
    self.urn = urn
    model = LearnerModel(learner)
  }

  func learn(_ example: Example) -> Heads {
    meet(example.features.map(\.0))
    var example = example
    switch fault {
    case .learnsTheOpposite: example.labels = 1 - example.labels
    case .drawsOnItsOwn:
      urn.drawn += 1
      example.weights *= 1 + Double(urn.drawn % 7) / 1e6
    case .fadesOthers:
      for feature in known {
        var coordinate = model.coordinate(feature)
        coordinate = model.learner.coordinate(z: coordinate.z, root: coordinate.root * 0.999)
        model.set(coordinate, of: feature)
      }
    case .ignoresWeights: example.weights.replace(with: 1, where: example.weights .> 0)
    case .learnsWithoutWeight:
      example.weights.replace(with: 0.01, where: example.weights .== 0)
    // A step of the weight's size, in whose sign alone the label is seen.
    case .overshoots: example.labels = 3 * example.labels * example.weights - 1
    case .growsWithoutBounds:
      for (feature, _) in example.features {
        var coordinate = model.coordinate(feature)
        coordinate = model.learner.coordinate(z: coordinate.z * 1.01, root: coordinate.root)
        model.set(coordinate, of: feature)
      }
    case .losesNumbers:
      if example.features.contains(where: { $0.1 == FeatureValue.limit }) {
        let lost = model.learner.coordinate(z: Heads(.nan, 0), root: .zero)
        model.set(lost, of: example.features[0].0)
      }
    case .leavesPartBehind, .startsByRow: break
    }
    if fault == .leavesPartBehind {
      examples += 1
      example.weights *= 1 / (1 + examples / 1_000)
    }
    return model.learn(example)
  }

  func rates(_ features: [(UInt32, Double)]) -> Heads { model.rates(features) }

  func meet(_ features: [UInt32]) {
    for feature in features where !known.contains(feature) {
      known.append(feature)
      guard fault == .startsByRow else { continue }
      let z = Heads(repeating: 1e-9 * Double(known.count))
      model.set(model.learner.coordinate(z: z, root: .zero), of: feature)
    }
  }

  func copy() -> BrokenModel {
    let other = BrokenModel(fault, urn)
    (other.model, other.known) = (model.copy(), known)
    return other
  }

  func numbers(_ feature: UInt32) -> [Double] {
    let c = model.coordinate(feature)
    return [c.z.x, c.z.y, c.root.x, c.root.y]
  }

  var totals: [Double] { [examples] }
  func weights(_ feature: UInt32) -> Heads { learner.weights(model.coordinate(feature)) }
}

/// The contract finds what is wrong.
@Suite struct BrokenLearnerTests {
  @Test(arguments: BrokenModel.Fault.allCases)
  private func everyFaultIsFound(_ fault: BrokenModel.Fault) {
    let urn = BrokenModel.Urn()
    let contract = LearnerContract { BrokenModel(fault, urn) }
    let found = contract.violations(seed: 1)
    #expect(found.contains(fault.law), "\(fault): \(found)")
  }
}
