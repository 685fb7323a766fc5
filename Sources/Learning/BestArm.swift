/// The probability of each of several arms to be the best of them.
///
/// P(a is best) = ∫ f_a(t) Π_{b≠a} F_b(t) dt, by Gauss–Legendre with fixed nodes: no draws, the
/// same bits every time. The range ends where no arm has more than 10⁻⁸ left, begins below which
/// no product of distributions is alive, and is cut where narrow arms end, so that a wide arm
/// beside a narrow one costs no accuracy. Errors are below 10⁻⁶; the result sums to 1.
public enum BestArm {
  /// Doubles of scratch memory per arm.
  public static let scratchPerArm = 5

  /// Of arms whose values (or their logarithms: only the order counts) are normal.
  ///
  /// O(arms × nodes): 32 nodes for up to 16 arms of similar width, 64 for more, and as many again
  /// for each halving of widths.
  ///
  /// - Parameters:
  ///   - means: One an arm, at least one, finite.
  ///   - deviations: Standard deviations, as many, finite, above 0.
  ///   - probabilities: As many; filled.
  ///   - scratch: `scratchPerArm` doubles an arm, overwritten.
  public static func normal(
    means: UnsafeBufferPointer<Double>, deviations: UnsafeBufferPointer<Double>,
    into probabilities: UnsafeMutableBufferPointer<Double>,
    scratch: UnsafeMutableBufferPointer<Double>
  ) {
    let arms = NormalArms(means: means, deviations: deviations)
    integrate(arms, count: means.count, into: probabilities, scratch: scratch)
  }

  /// Of arms with normal values, as arrays.
  public static func normal(means: [Double], deviations: [Double]) -> [Double] {
    precondition(means.count == deviations.count, "an arm has a mean and a deviation")
    return withScratch(means.count) { probabilities, scratch in
      means.withUnsafeBufferPointer { means in
        deviations.withUnsafeBufferPointer { deviations in
          normal(means: means, deviations: deviations, into: probabilities, scratch: scratch)
        }
      }
    }
  }

  /// Of rates. O(arms × nodes × √evidence).
  public static func beta(_ arms: [BetaDistribution]) -> [Double] {
    withScratch(arms.count) { probabilities, scratch in
      arms.withUnsafeBufferPointer {
        integrate(BetaArms(arms: $0), count: $0.count, into: probabilities, scratch: scratch)
      }
    }
  }

  private static func withScratch(
    _ count: Int,
    _ body: (UnsafeMutableBufferPointer<Double>, UnsafeMutableBufferPointer<Double>) -> Void
  ) -> [Double] {
    precondition(count > 0, "the best of no arms is not defined")
    return [Double](unsafeUninitializedCapacity: count) { probabilities, initialized in
      probabilities.initialize(repeating: 0)
      withUnsafeTemporaryAllocation(of: Double.self, capacity: count * scratchPerArm) { scratch in
        scratch.initialize(repeating: 0)
        body(UnsafeMutableBufferPointer(rebasing: probabilities[..<count]), scratch)
      }
      initialized = count
    }
  }

  // MARK: The integral

  private static func integrate<Arms: ArmSet>(
    _ arms: Arms, count: Int, into probabilities: UnsafeMutableBufferPointer<Double>,
    scratch: UnsafeMutableBufferPointer<Double>
  ) {
    precondition(
      count > 0 && probabilities.count >= count && scratch.count >= count * scratchPerArm,
      "arms are at least one, with room for each")
    let uppers = UnsafeMutableBufferPointer(rebasing: scratch[..<count])
    let work = UnsafeMutableBufferPointer(rebasing: scratch[count...])
    var low = -Double.infinity
    var high = -Double.infinity
    for i in 0..<count {
      let range = arms.range(i)
      uppers[i] = range.upper
      low = max(low, range.lower)
      high = max(high, range.upper)
      probabilities[i] = 0
    }
    // Everything that varies above `low` belongs to an arm that reaches below it, and so is no
    // narrower than from `low` to that arm's end: cut at ends, each at most half of the last.
    while high > low {
      var cut = low
      for i in 0..<count where uppers[i] <= low + (high - low) / 2 { cut = max(cut, uppers[i]) }
      add(arms, count: count, from: cut, to: high, into: probabilities, work: work)
      high = cut
    }
    var sum = 0.0
    for i in 0..<count { sum += probabilities[i] }
    for i in 0..<count { probabilities[i] = sum > 0 ? probabilities[i] / sum : 1 / Double(count) }
  }

  private static func add<Arms: ArmSet>(
    _ arms: Arms, count: Int, from low: Double, to high: Double,
    into probabilities: UnsafeMutableBufferPointer<Double>,
    work: UnsafeMutableBufferPointer<Double>
  ) {
    let half = (high - low) / 2
    let middle = low + half
    let densities = UnsafeMutableBufferPointer(rebasing: work[..<count])
    let cumulatives = UnsafeMutableBufferPointer(rebasing: work[count..<(2 * count)])
    let prefixes = UnsafeMutableBufferPointer(rebasing: work[(2 * count)..<(3 * count)])
    // The product of many distributions rises within a fraction of one arm's width.
    let rule = count <= 16 ? GaussLegendre.coarse : GaussLegendre.standard
    for node in 0..<rule.nodes.count {
      let t = middle + half * rule.nodes[node]
      var product = 1.0
      for i in 0..<count {
        (densities[i], cumulatives[i]) = arms.values(i, at: t)
        prefixes[i] = product
        product *= cumulatives[i]
      }
      // Products without one factor, from both sides: dividing it out would divide by 0.
      var suffix = half * rule.weights[node]
      for i in stride(from: count - 1, through: 0, by: -1) {
        probabilities[i] += densities[i] * prefixes[i] * suffix
        suffix *= cumulatives[i]
      }
    }
  }
}

/// Arms on a common axis.
private protocol ArmSet {
  /// What lies outside has probability 1.1·10⁻⁸ or less on either side.
  func range(_ arm: Int) -> (lower: Double, upper: Double)
  func values(_ arm: Int, at t: Double) -> (density: Double, cumulative: Double)
}

private struct NormalArms: ArmSet {
  var means: UnsafeBufferPointer<Double>
  var deviations: UnsafeBufferPointer<Double>

  @inline(__always)
  func range(_ arm: Int) -> (lower: Double, upper: Double) {
    (means[arm] - 5.6 * deviations[arm], means[arm] + 5.6 * deviations[arm])
  }

  @inline(__always)
  func values(_ arm: Int, at t: Double) -> (density: Double, cumulative: Double) {
    let z = (t - means[arm]) / deviations[arm]
    let (density, cumulative) = Elementary.normalPair(z)
    return (density / deviations[arm], cumulative)
  }
}

/// Rates on the axis of their log-odds, where a pole of the density at 0 or 1 is none.
private struct BetaArms: ArmSet {
  var arms: UnsafeBufferPointer<BetaDistribution>

  func range(_ arm: Int) -> (lower: Double, upper: Double) {
    (arms[arm].logitQuantile(1e-8), arms[arm].logitQuantile(1 - 1e-8))
  }

  func values(_ arm: Int, at t: Double) -> (density: Double, cumulative: Double) {
    let (x, y) = BetaDistribution.rates(t)
    let (alpha, beta) = (arms[arm].alpha, arms[arm].beta)
    return (
      Elementary.exp(Elementary.logBetaKernel(alpha, beta, x, y)),
      Elementary.incompleteBeta(alpha, beta, x, y).lower
    )
  }
}
