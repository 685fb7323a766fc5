import Learning
import Testing

/// One round of accounts that learn from each other.
@Suite struct RoundReleaseTests {
  private let layout = UpdateLayout(slots: 5, weightLimit: 2)

  /// What one account says, before it is clipped.
  private struct Account {
    var trials: [Double]
    var successes: [Double]
    var weights: [Heads]
    /// Features that it knows.
    var known = 5
  }

  /// Rates around 1 % and 3 %, and weights around `effects`.
  private func accounts(
    _ count: Int, effects: [Double], seed: UInt64, scatter: Double = 0.1
  ) -> [Account] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in
      let trials = [random.uniform(20_000, 60_000), random.uniform(2_000, 6_000)]
      let rates = [random.uniform(0.008, 0.012), random.uniform(0.02, 0.04)]
      return Account(
        trials: trials, successes: zip(trials, rates).map { ($0 * $1).rounded() },
        weights: effects.map { effect in
          Heads(
            effect + random.uniform(-scatter, scatter),
            -effect + random.uniform(-scatter, scatter))
        })
    }
  }

  private func vector(_ account: Account, clipped: Bool = true) -> [Double] {
    var vector = [Double](repeating: 0, count: layout.count)
    vector.withUnsafeMutableBufferPointer { vector in
      for head in 0..<2 {
        layout.set(
          head, successes: account.successes[head], trials: account.trials[head], in: vector)
      }
      for (slot, weights) in account.weights.enumerated() {
        layout.set(
          slot, weights: weights, known: .init(repeating: slot < account.known),
          raises: weights .> 0.1,
          lowers: weights .< -0.1, in: vector)
      }
      if clipped { layout.clip(vector) }
    }
    return vector
  }

  private func release(
    _ accounts: [Account], noise: Double = 0, k: Double = 20, told: [CommonPattern]? = nil,
    counter: UInt64 = 1
  ) -> CommonPrior {
    var sum = [Int64](repeating: 0, count: layout.count)
    for account in accounts {
      for (i, number) in vector(account).enumerated() {
        sum[i] += Int64(UpdateLayout.fixed(number))
      }
    }
    var draws = Draws(seed: 5, account: 1, purpose: 2, entity: 3, counter: counter)
    let release = RoundRelease(
      layout: layout, noise: noise, rule: PatternRule(accountsMin: k))
    let told = told ?? [CommonPattern](repeating: [], count: layout.slots)
    return sum.withUnsafeBufferPointer { sum in
      told.withUnsafeBufferPointer {
        release.prior(sum: sum, accounts: accounts.count, told: $0, draws: &draws)
      }
    }
  }

  @Test func withoutNoiseItIsTheMean() throws {
    let seed: UInt64 = 91
    let effects = [0.5, 0.3, 0, -0.3, -0.5]
    let accounts = accounts(40, effects: effects, seed: seed)
    let prior = release(accounts)
    for slot in 0..<layout.slots {
      // No account's weights are longer than the limit.
      let mean = accounts.reduce(Heads.zero) { $0 + $1.weights[slot] } / 40
      #expect((prior.weights[slot] - mean).max().magnitude < 1e-6, "seed \(seed)")
      #expect((mean - prior.weights[slot]).max() < 1e-6, "seed \(seed)")
    }
    for head in 0..<2 {
      let logits = accounts.map { Rate.logit($0.successes[head] / $0.trials[head]) }
      let mean = logits.reduce(0, +) / 40
      let beta = try #require(prior.rates[head])
      expect(Rate.logit(beta.mean), near: mean, within: 0.01)
      // Rates that are uniform over two thirds to four thirds of their mean scatter by a fifth of it.
      expect(beta.variance.squareRoot() / beta.mean, near: head == 0 ? 0.115 : 0.19, within: 0.35)
    }
    #expect(
      prior.patterns == [
        [.raisesClicks, .lowersConversions], [.raisesClicks, .lowersConversions], [],
        [.lowersClicks, .raisesConversions], [.lowersClicks, .raisesConversions],
      ])
  }

  @Test func noAccountMovesTheSumByMoreThanOne() {
    let seed: UInt64 = 92
    var random = SplitMix64(seed: seed)
    for _ in 0..<300 {
      let account = Account(
        trials: [random.uniform(0, 1e9), .infinity], successes: [random.uniform(0, 1e9), 3],
        weights: (0..<5).map { _ in Heads(random.signed(-20, 300), random.signed(-20, 20)) })
      let vector = vector(account)
      let square = vector.reduce(0) { sum, number in
        let travelled = UpdateLayout.number(UpdateLayout.fixed(number))
        #expect(travelled.magnitude <= number.magnitude)
        return sum + travelled * travelled
      }
      #expect(square <= 1 + 1e-12, "seed \(seed)")
      var again = vector
      again.withUnsafeMutableBufferPointer { layout.clip($0) }
      for (a, b) in zip(vector, again) { #expect((a - b).magnitude < 1e-12) }
    }
  }

  @Test func noiseIsThatOfTheMechanism() {
    let accounts = accounts(2_000, effects: [0.5, 0.3, 0, -0.3, -0.5], seed: 93)
    let exact = release(accounts)
    var squares = 0.0
    for counter in 1...200 as ClosedRange<UInt64> {
      let noised = release(accounts, noise: 4, counter: counter)
      for slot in 0..<5 {
        let difference = (noised.weights[slot] - exact.weights[slot]).x
        squares += difference * difference
      }
    }
    // 4 · √3 · 2 / 2000, a little less where weights are moved toward 0.
    let deviation = (squares / 1000).squareRoot()
    #expect(deviation > 0.0065 && deviation < 0.0072)
    // The same draws, the same prior.
    #expect(release(accounts, noise: 4, counter: 3) == release(accounts, noise: 4, counter: 3))
  }

  /// Where noise is all there is, nothing is told.
  @Test func noiseIsNotTakenForKnowledge() {
    let few = accounts(25, effects: [0, 0, 0, 0, 0], seed: 94, scatter: 0.02)
    for counter in 1...50 as ClosedRange<UInt64> {
      let prior = release(few, noise: 20, counter: counter)
      #expect(prior.rates == [nil, nil])
      #expect(!prior.patterns.contains { !$0.isEmpty })
      let length = prior.weights.reduce(0) { $0 + ($1 * $1).sum() }.squareRoot()
      // 20 · √3 · 2 / 25, on ten numbers, is 8.8.
      #expect(length < 7)
    }
  }

  @Test func patternsNeedEnoughAccounts() {
    let effects = [0.5, 0.5, 0, -0.5, -0.5]
    #expect(release(accounts(60, effects: effects, seed: 95), k: 61).patterns[0].isEmpty)
    let told = release(accounts(60, effects: effects, seed: 95), k: 40)
    #expect(told.patterns[0].contains(.raisesClicks))
    // These are sure of so much that each counts three quarters. Once told, a few accounts less than
    // are needed take nothing back.
    let fewer = accounts(45, effects: effects, seed: 95)
    #expect(release(fewer, k: 40).patterns[0].isEmpty)
    #expect(release(fewer, k: 40, told: told.patterns).patterns[0].contains(.raisesClicks))
  }

  /// A mean over all accounts must not be one account's own.
  @Test func whatFewKnowIsNotTold() {
    var accounts = accounts(40, effects: [0.5, 0.3, 0.3, -0.3, -0.5], seed: 96)
    for i in 0..<40 {
      accounts[i].known = i < 19 ? 5 : i < 30 ? 4 : 3
      for slot in accounts[i].known..<5 { accounts[i].weights[slot] = .zero }
    }
    let prior = release(accounts)
    #expect(prior.weights[4] == .zero && prior.patterns[4].isEmpty)
    for slot in 0..<4 { #expect(prior.weights[slot].x.magnitude > 0.1) }
    #expect(release(accounts, k: 10).weights[4].x < -0.1)
  }

  @Test func littleKnowledgeIsNone() {
    let prior = release(
      (0..<30).map { _ in
        Account(trials: [50, 0], successes: [1, 0], weights: [Heads](repeating: .zero, count: 5))
      })
    #expect(prior.rates == [nil, nil])
    #expect(prior.weights.allSatisfy { $0 == .zero })
  }
}
