import Learning
import Testing

@Suite struct ForwardDecayTests {
  /// bandits.py: 0.99 a step, 1000 draws at 0.3 from seed 5.
  @Test func discountedSumsGolden() {
    // One step in milliseconds, so that the half-life ln 2 / −ln 0.99 is a whole number of them.
    let step: Int64 = 1_000_000
    let decay = ForwardDecay(halfLife: 68_967_564)
    var random = SplitMix64(seed: 5)
    var landmark: Int64 = 0
    var sums = (successes: 0.0, failures: 0.0)
    for i in 0..<1000 {
      let now = Int64(i) * step
      let current = decay.landmark(now)
      let scale = ForwardDecay.rescale(from: landmark, to: current)
      sums.successes *= scale
      sums.failures *= scale
      landmark = current
      let weight = decay.weight(now, from: landmark)
      if random.unit() < 0.3 { sums.successes += weight } else { sums.failures += weight }
    }
    let discount = decay.discount(999 * step, from: landmark)
    expect(sums.successes * discount, near: 26.85560507, within: 1e-8)
    expect(sums.failures * discount, near: 73.14007781, within: 1e-8)
  }

  @Test func weightsDouble() {
    let decay = ForwardDecay(halfLife: 7 * 86_400_000)
    let time: Int64 = 1_700_000_000_000
    let landmark = decay.landmark(time)
    let weight = decay.weight(time, from: landmark)
    #expect(decay.weight(time + decay.halfLife, from: landmark) == 2 * weight)
    expect(
      decay.weight(time + decay.halfLife / 2, from: landmark), near: weight * 2.squareRoot(),
      within: 1e-14)
    expect(weight * decay.discount(time, from: landmark), near: 1, within: 1e-15)
  }

  /// What was added is taken away to the bit, whatever landmark the sum has moved to meanwhile.
  @Test func aRetractionSubtractsTheSameWeight() {
    let decay = ForwardDecay(halfLife: 3_600_000)
    let seed: UInt64 = 17
    var random = SplitMix64(seed: seed)
    for _ in 0..<2000 {
      let time = Int64(random.next() % 1_000_000_000_000)
      let landmark = decay.landmark(time)
      var sum = decay.weight(time, from: landmark)
      var reached = landmark
      for _ in 0..<Int(random.next() % 6) {
        let next = reached + Int64(random.next() % 4)
        sum *= ForwardDecay.rescale(from: reached, to: next)
        reached = next
      }
      #expect(sum - decay.weight(time, from: reached) == 0, "seed \(seed)")
    }
  }

  @Test func whatIsLongAgoIsNothing() {
    let decay = ForwardDecay(halfLife: 1)
    #expect(decay.weight(0, from: 32) == 0)
    #expect(decay.weight(0, from: 31) > 0)
    #expect(ForwardDecay.rescale(from: 0, to: 1000) == 0)
    #expect(ForwardDecay.rescale(from: 5, to: 5) == 1)
    #expect(ForwardDecay.rescale(from: 0, to: 1) * ForwardDecay.rescale(from: 1, to: 0) == 1)
  }
}
