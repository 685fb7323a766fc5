import Learning
import Testing

/// Forgetting changes no prediction, only how far the next examples move it.
@Suite struct ForgettingTests {
  private static let features: [(UInt32, Double)] = [(1, 1), (2, 0.5), (3, 1)]

  private func check<Learner: ForgettingLearner>(_ learner: Learner) {
    func trained() -> LearnerModel<Learner> {
      let model = LearnerModel(learner)
      for i in 0..<400 {
        model.learn((Self.features, Heads(i % 4 == 0 ? 1 : 0, i % 5 == 0 ? 1 : 0), .one))
      }
      return model
    }
    func forget(_ model: LearnerModel<Learner>, _ parts: Heads) {
      for (feature, _) in Self.features {
        var coordinate = model.coordinate(feature)
        learner.forget(&coordinate, keeping: parts)
        model.set(coordinate, of: feature)
      }
    }
    let before = trained().rates(Self.features)
    let same = trained()
    forget(same, .one)
    #expect(same.rates(Self.features) == before, "\(Learner.self)")
    let one = trained()
    forget(one, Heads(0.25, 1))
    // Their rates depend on variances too, which is what uncertainty is for.
    let isUncertain = Learner.self == AdPredictor.self || Learner.self == BayesianLogistic.self
    let tolerance = isUncertain ? 0.1 : 1e-9
    #expect(isNear(one.rates(Self.features).x, before.x, tolerance), "\(Learner.self)")
    #expect(one.rates(Self.features).y == before.y, "\(Learner.self)")
    let example = (Self.features, Heads(1, 1), Heads.one)
    same.learn(example)
    let start = one.rates(Self.features)
    one.learn(example)
    let moved = one.rates(Self.features) - start
    let usual = same.rates(Self.features) - before
    #expect(moved.x > 1.2 * usual.x, "\(Learner.self)")
    #expect(isNear(moved.y, usual.y, 1e-12), "\(Learner.self)")
  }

  @Test func everyLearnerForgets() {
    check(FTRL())
    check(FTRL(alpha: 0.3, l1: 0.05, l2: 0.5))
    check(InvariantUpdate())
    check(BayesianLogistic())
    check(AdPredictor(beta: 1))
    check(FactorizationMachine<SIMD4<Double>>())
  }

  /// Again and again: nothing becomes infinite, and predictions stay.
  @Test func forgettingHasABottom() {
    func check<Learner: ForgettingLearner>(_ learner: Learner) {
      let model = LearnerModel(learner)
      for i in 0..<100 { model.learn((Self.features, Heads(i % 3 == 0 ? 1 : 0, 0), .one)) }
      for _ in 0..<2_000 {
        var coordinate = model.coordinate(1)
        learner.forget(&coordinate, keeping: .zero)
        model.set(coordinate, of: 1)
      }
      for i in 0..<100 {
        let rates = model.learn((Self.features, Heads(i % 3 == 0 ? 1 : 0, 0), .one))
        #expect(rates.x > 0 && rates.x < 1 && rates.y > 0 && rates.y < 1, "\(Learner.self)")
      }
    }
    check(FTRL())
    check(InvariantUpdate())
    check(BayesianLogistic())
    check(AdPredictor(beta: 1))
    check(FactorizationMachine<SIMD4<Double>>())
  }
}
