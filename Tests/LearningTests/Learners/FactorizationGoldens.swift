import Learning
import Testing

@Suite struct FactorizationMachineTests {
  private typealias Machine = FactorizationMachine<SIMD2<Double>>

  private let machine = FactorizationMachine<SIMD2<Double>>(rate: 0.1, isAdaptive: false)

  /// River 0.26.1's FMClassifier with fixed latents (`factorization_machine.py`).
  @Test func learnsAsRiver() {
    let (u1, u2, ad1, ad2, h) = (1, 2, 3, 4, 5) as (UInt32, UInt32, UInt32, UInt32, UInt32)
    let model = LearnerModel(machine)
    for (feature, latent) in [
      (u1, SIMD2(0.1, -0.2)), (u2, SIMD2(0.3, 0.1)), (ad1, SIMD2(0.2, 0.2)),
      (ad2, SIMD2(-0.1, 0.3)), (h, SIMD2(0.05, 0.4)),
    ] { model.set(Machine.Coordinate(first: latent, second: .zero), of: feature) }
    let rates = [
      ([(u1, 1), (ad1, 1), (h, 0.5)], 1), ([(u1, 1), (ad2, 1), (h, 0.2)], 0),
      ([(u2, 1), (ad1, 1), (h, 0.9)], 1), ([(u2, 1), (ad2, 1)], 0),
      ([(u1, 1), (ad1, 1), (h, 0.1)], 0),
    ].map { model.learn($0.0, $0.1) }
    #expect(
      areNear(rates, [0.496875041, 0.512572849, 0.569179712, 0.509686406, 0.518558185], 1e-9))
    #expect(isNear(model.total.bias.value.x, -0.060687219, 1e-9))
    #expect(isNear(model.coordinate(h).first.value.x, 0.07531251, 1e-8))
    #expect(isNear(model.coordinate(h).first.value.y, 0.41029482, 1e-8))
    #expect(isNear(model.coordinate(ad1).first.value.x, 0.21503306, 1e-8))
    #expect(isNear(model.coordinate(ad1).first.value.y, 0.22797942, 1e-8))
    #expect(isNear(model.coordinate(ad2).weights.value.x, -0.10222593, 1e-8))
  }

  /// The start depends on the seed and the feature; a machine that starts at 0 never learns.
  @Test func startsFromTheFeatureAlone() {
    let first = machine.coordinate(of: 7)
    #expect(first.first.value == machine.coordinate(of: 7).first.value)
    #expect(first.first.value != machine.coordinate(of: 8).first.value)
    #expect(first.first.value != first.second.value)
    let other = FactorizationMachine<SIMD2<Double>>(seed: 2)
    #expect(first.first.value != other.coordinate(of: 7).first.value)
    var sum = SIMD2<Double>.zero
    var squares = SIMD2<Double>.zero
    for feature in 0..<10_000 as Range<UInt32> {
      let latent = machine.coordinate(of: feature).first.value
      sum += latent
      squares += latent * latent
    }
    #expect(isNear(sum.x / 10_000, 0, 0.004) && isNear(squares.y / 10_000, 0.01, 0.0006))
  }

  /// What only a cross says: an exclusive or of two features.
  @Test func learnsCrosses() {
    let model = LearnerModel(
      FactorizationMachine<SIMD4<Double>>(rate: 0.1, spread: 0.1, isAdaptive: true))
    var random = SplitMix64(seed: 5)
    var loss = 0.0
    for i in 0..<4_000 {
      let bits = random.next()
      let (x, y) = (UInt32(bits & 1), UInt32((bits >> 1) & 1))
      let rate = model.learn([(10 + x, 1), (20 + y, 1)], x == y ? 1 : 0)
      if i >= 3_000 { loss += Rate.logLoss(x == y ? 1 : 0, rate) / 1_000 }
    }
    #expect(loss < 0.05)
  }
}
