import Learning

/// What was observed of an ad, campaign or account and is old enough to be believed, discounted.
///
/// A click that may still come is no missing click: an impression counts only when its clicks had
/// time to arrive, a click only when its conversions had.
struct MaturedSums: BitwiseCopyable {
  /// Sums over observations, each by its weight.
  struct Counts: BitwiseCopyable {
    /// Impressions whose clicks had time to come, those clicks, and the price of both in micros.
    var impressions = 0.0
    var clicks = 0.0
    var spend = 0.0
    /// Clicks whose conversions had time to come, and the credit that they got.
    var clickTrials = 0.0
    var clickCredits = 0.0
    /// Impressions whose conversions had time to come, and the credit that they got themselves.
    var viewTrials = 0.0
    var viewCredits = 0.0
    /// Values of the conversions of both, in micros, by the fractions credited.
    var values = Moments()

    @inline(__always)
    mutating func add(_ other: Counts, weight: Double) {
      impressions += weight * other.impressions
      clicks += weight * other.clicks
      spend += weight * other.spend
      clickTrials += weight * other.clickTrials
      clickCredits += weight * other.clickCredits
      viewTrials += weight * other.viewTrials
      viewCredits += weight * other.viewCredits
      values.count += weight * other.values.count
      values.sum += weight * other.values.sum
      values.sumOfSquares += weight * other.values.sumOfSquares
    }
  }

  /// Where the weights count from; see `ForwardDecay`.
  var landmark: Int64 = 0
  var counts = Counts()

  /// Adds what happened at a time (ms).
  mutating func add(_ observed: Counts, at time: Int64, _ decay: ForwardDecay) {
    let newest = decay.landmark(time)
    if newest > landmark {
      var moved = Counts()
      moved.add(counts, weight: ForwardDecay.rescale(from: landmark, to: newest))
      counts = moved
      landmark = newest
    }
    counts.add(observed, weight: decay.weight(time, from: landmark))
  }

  /// What the sums are worth at a time (ms).
  func counts(at now: Int64, _ decay: ForwardDecay) -> Counts {
    var counts = Counts()
    counts.add(self.counts, weight: decay.discount(now, from: landmark))
    return counts
  }
}

/// What is believed before an ad's own evidence: what is known of all ads above it.
struct RatePrior: BitwiseCopyable {
  /// Clicks per impression, in (0, 1).
  var ctr: Double
  /// Conversions per click, in (0, 1).
  var cvr: Double
  /// Conversions per impression that was only seen.
  var viewRate = 0.0
  /// The account has conversions that brought something.
  var isValueKnown = false
  /// A conversion's value in micros, and its variance; 0 while no value is known.
  var value = 0.0
  var valueVariance = 0.0
}

/// How evidence of an ad, its campaign and its account becomes one belief: each level is shrunk to
/// the one above it, as if that were `strength` trials (empirical Bayes).
struct Shrinkage: BitwiseCopyable {
  var strength: Double

  /// One conversion says as much about its value as ten trials about a rate.
  var valueStrength: Double { strength / 10 }

  /// What an account's ads have in common. Its value is its own mean, for there is nothing above
  /// it; of few conversions the deviation is taken to be the mean itself.
  func account(_ base: RatePrior, _ counts: MaturedSums.Counts) -> RatePrior {
    var base = base
    // Evidence that has faded to nothing says nothing, in particular not by its quotients.
    if counts.values.count > 1e-9, counts.values.sum > 0 {
      base.isValueKnown = true
      base.value = counts.values.sum / counts.values.count
      base.valueVariance = base.value * base.value
    }
    return child(of: base, counts)
  }

  /// A prior for what is below, from evidence and the prior above.
  func child(of parent: RatePrior, _ counts: MaturedSums.Counts) -> RatePrior {
    var prior = RatePrior(
      ctr: rate(parent.ctr, counts.clicks, of: counts.impressions).mean,
      cvr: rate(parent.cvr, counts.clickCredits, of: counts.clickTrials).mean)
    prior.viewRate =
      (counts.viewCredits + strength * parent.viewRate) / (counts.viewTrials + strength)
    if parent.isValueKnown {
      prior.isValueKnown = true
      let value = self.value(parent, counts)
      prior.value = value.mean
      prior.valueVariance = value.scale / (value.shape - 1)
    }
    return prior
  }

  /// A rate's distribution. Successes without their trials (a click of an impression that never
  /// came) are trials themselves.
  func rate(_ prior: Double, _ successes: Double, of trials: Double) -> BetaDistribution {
    BetaDistribution(
      alpha: successes + strength * prior,
      beta: max(trials - successes, 0) + strength * (1 - prior))
  }

  /// The distribution of the value of a conversion.
  func value(_ prior: RatePrior, _ counts: MaturedSums.Counts) -> NormalInverseGamma {
    NormalInverseGamma(
      mean: prior.value, strength: valueStrength, shape: 1 + valueStrength / 2,
      scale: prior.valueVariance * valueStrength / 2
    ).updated(with: counts.values)
  }
}

/// What the average ad below a prior is like: the mean of the ads' rates, each weighted by how much
/// of its belief rests on its own evidence, n / (n + strength), and the prior as one ad. So an ad
/// that is shown a thousand times as often as another counts at most as much as it.
struct AverageAd {
  private let strength: Double
  private var ctr: Mean
  private var cvr: Mean
  private var viewRate: Mean

  /// A weighted mean.
  private struct Mean {
    var weight = 1.0
    var sum: Double

    mutating func add(_ successes: Double, of trials: Double, _ strength: Double) {
      // Successes without their trials are trials themselves.
      let trials = max(trials, successes)
      sum += successes / (trials + strength)
      weight += trials / (trials + strength)
    }

    var value: Double { sum / weight }
  }

  init(below parent: RatePrior, _ shrinkage: Shrinkage) {
    strength = shrinkage.strength
    ctr = Mean(sum: parent.ctr)
    cvr = Mean(sum: parent.cvr)
    viewRate = Mean(sum: parent.viewRate)
  }

  mutating func add(_ counts: MaturedSums.Counts) {
    ctr.add(counts.clicks, of: counts.impressions, strength)
    cvr.add(counts.clickCredits, of: counts.clickTrials, strength)
    viewRate.add(counts.viewCredits, of: counts.viewTrials, strength)
  }

  /// - Parameter value: where the value of a conversion is taken from: it is the campaign's, not
  ///   the ads'.
  func prior(value: RatePrior) -> RatePrior {
    var prior = value
    prior.ctr = ctr.value
    prior.cvr = cvr.value
    prior.viewRate = viewRate.value
    return prior
  }
}

/// What is believed of one ad.
struct AdBelief: BitwiseCopyable {
  var ctr: BetaDistribution
  var cvr: BetaDistribution
  /// Conversions per impression, through clicks and through views.
  var conversionRate: Double
  /// (Standard deviation by mean)² of that.
  var rateDeviationSquared: Double
  /// Micros; 0 while no value is known in the account. Below 0 where conversions cost more than
  /// they bring.
  var valuePerConversion = 0.0
  var isValueKnown = false
  /// (Standard deviation by mean)² of that.
  var valueDeviationSquared = 0.0
  /// Micros; 0 without spend.
  var spendPerImpression: Double

  init(_ counts: MaturedSums.Counts, below prior: RatePrior, _ shrinkage: Shrinkage) {
    ctr = shrinkage.rate(prior.ctr, counts.clicks, of: counts.impressions)
    cvr = shrinkage.rate(prior.cvr, counts.clickCredits, of: counts.clickTrials)
    let viewWeight = counts.viewTrials + shrinkage.strength
    let viewRate = (counts.viewCredits + shrinkage.strength * prior.viewRate) / viewWeight
    let clickRate = ctr.mean * cvr.mean
    conversionRate = clickRate + viewRate
    // First order: the square of the product of two deviations is left out.
    let clickVariance =
      clickRate * clickRate * (AdBelief.deviationSquared(ctr) + AdBelief.deviationSquared(cvr))
    rateDeviationSquared =
      (clickVariance + viewRate / viewWeight) / (conversionRate * conversionRate)
    if prior.isValueKnown {
      let value = shrinkage.value(prior, counts)
      isValueKnown = true
      valuePerConversion = value.mean
      // Of a value near nothing only that it is uncertain matters.
      valueDeviationSquared = min(value.varianceOfMean / max(value.mean * value.mean, 1), 1e6)
    }
    spendPerImpression = counts.impressions > 1e-9 ? counts.spend / counts.impressions : 0
  }

  private static func deviationSquared(_ rate: BetaDistribution) -> Double {
    rate.variance / (rate.mean * rate.mean)
  }

  /// Micros.
  var valuePerImpression: Double { conversionRate * valuePerConversion }

  /// Standard deviation of the value per impression by its mean: that of a product of independent
  /// factors, to first order. ∞ while no value is known.
  var relativeDeviation: Double {
    isValueKnown ? (rateDeviationSquared + valueDeviationSquared).squareRoot() : .infinity
  }

  /// The log-normal distribution with the value's mean and deviation: mean and standard deviation
  /// of the logarithm. While no value is known it is common to all ads of an account, and the
  /// rates alone are compared.
  var logarithm: (mean: Double, deviation: Double) {
    // What brings nothing, or less, has no logarithm: a micro stands in for it.
    let value = max(isValueKnown ? valuePerConversion : 1, 1)
    let variance = Elementary.log1p(rateDeviationSquared + valueDeviationSquared)
    return (Elementary.log(conversionRate * value) - variance / 2, variance.squareRoot())
  }

  /// Return on ad spend and its 5 % and 95 % quantiles, the spend taken as certain.
  var roas: Interval {
    var interval = Interval()
    guard spendPerImpression > 0, isValueKnown else { return interval }
    let (mean, deviation) = logarithm
    let spend = Elementary.log(spendPerImpression)
    interval.mean = valuePerImpression / spendPerImpression
    guard interval.mean > 0 else {
      (interval.low, interval.high) = (interval.mean, interval.mean)
      return interval
    }
    interval.low = Elementary.exp(mean - spend - 1.6448536269514722 * deviation)
    interval.high = Elementary.exp(mean - spend + 1.6448536269514722 * deviation)
    return interval
  }
}
