import Learning

// Pacing: how fast a campaign may spend so that its budget lasts as long as it should. Plans say
// what should be spent by when, controllers turn the difference into a multiplier of bids or of
// participation. Pure functions of money and time; who counts spend and when ticks come is the
// operator's business.

/// The price of budget, by mirror descent (Balseiro, Lu & Mirrokni 2020): what a unit of money is
/// worth beyond itself, so that bids are multiplied by 1 / (1 + mu).
@frozen
public struct BudgetDual: Sendable, BitwiseCopyable {
  /// 0 while there is more budget than can be spent.
  public var mu: Double

  /// What mu is moved by before it is multiplied, so that it can reach 0 and leave it again: the
  /// mirror map is the entropy of mu + 0.1. Far above it the step is the pure multiplicative one.
  public static let shift = 0.1
  /// Bids are never multiplied by less than about a millionth.
  public static let muMax = 1e6
  /// One step changes mu + `shift` by at most e to this.
  public static let stepMax = 0.5

  @inlinable
  public init(mu: Double = 0) { self.mu = mu }

  /// What bids are multiplied by, in (0, 1].
  @inlinable
  public var multiplier: Double { 1 / (1 + mu) }

  /// One step of control: mu + s ← (mu + s) · exp(−rate · (target − spent) / max(target, price)).
  ///
  /// - Parameters:
  ///   - spent: Money spent since the last step, at least 0.
  ///   - target: What should have been spent, at least 0.
  ///   - price: What one purchase costs, at least 0. Where the target is less than that, a step
  ///     must not answer one purchase as if it were a flood.
  ///   - rate: Of adaptation per step; 0.02 to 0.2 for steps of a minute.
  public mutating func step(spent: Double, target: Double, price: Double, rate: Double) {
    let scale = max(target, price)
    // Nothing should be spent and nothing is.
    guard scale > 0 || spent > 0 else { return }
    let error = scale > 0 ? (spent - target) / scale : Double.greatestFiniteMagnitude
    let change = max(-BudgetDual.stepMax, min(BudgetDual.stepMax, rate * error))
    let moved = (mu + BudgetDual.shift) * Elementary.exp(change) - BudgetDual.shift
    mu = max(0, min(BudgetDual.muMax, moved))
  }
}

/// Probabilistic throttling (Agarwal et al. 2014): take part in a share of the auctions, at
/// unchanged bids.
@frozen
public struct Throttle: Sendable, BitwiseCopyable {
  /// Share of auctions to take part in, in (0, 1].
  public var probability: Double

  /// Where a campaign begins: slowly, so that there is time to correct.
  public static let initialProbability = 0.1
  public static let probabilityMin = 1e-6
  /// A step changes the probability by this share.
  public static let rate = 0.1

  @inlinable
  public init(probability: Double = Throttle.initialProbability) {
    self.probability = probability
  }

  /// One step: less when more than planned was spent so far, else more.
  public mutating func step(spent: Double, planned: Double, rate: Double = Throttle.rate) {
    let changed = spent > planned ? probability * (1 - rate) : probability * (1 + rate)
    probability = min(1, max(Throttle.probabilityMin, changed))
  }
}
