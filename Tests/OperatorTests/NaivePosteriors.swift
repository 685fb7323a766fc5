import Foundation

/// Recounts what `posteriors` should know from what went into it: every observation is kept, and
/// every sum is taken anew from all of them.
struct NaivePosteriors {
  /// Milliseconds, as in the topology under test.
  var clickMaturity: Int64
  var conversionMaturity: Int64
  var halfLife: Int64
  var strength = 50.0
  var ctr = 0.005
  var cvr = 0.02

  struct Observation {
    var account: String
    var campaign: String
    var ad: String
    var time: Int64
    /// The clock when it came.
    var seen: Int64
    var isClick = false
    /// Of a credit: what was touched is the time.
    var credit: Double?
    var spend: Int64 = 0
    var value: Int64 = 0
  }

  struct Evidence: Equatable {
    var impressions: Int64 = 0
    var clicks: Int64 = 0
    var credits: Int64 = 0
    var value: Int64 = 0
    var spend: Int64 = 0
  }

  var observations: [Observation] = []

  mutating func add(_ observation: Observation) { observations.append(observation) }

  func evidence(of path: [String]) -> Evidence {
    var evidence = Evidence()
    for seen in observations where [seen.account, seen.campaign, seen.ad] == path {
      if let credit = seen.credit {
        evidence.credits += Int64((credit * 1e6).rounded())
        evidence.value += seen.value
      } else {
        evidence.impressions += seen.isClick ? 0 : 1
        evidence.clicks += seen.isClick ? 1 : 0
        evidence.spend += seen.spend
      }
    }
    return evidence
  }

  /// Discounted sums of what lies below a path and has matured at a time.
  struct Sums {
    var impressions = 0.0
    var clicks = 0.0
    var clickTrials = 0.0
    var clickCredits = 0.0
    var viewTrials = 0.0
    var viewCredits = 0.0
    var credits = 0.0
    var value = 0.0
    var squares = 0.0
  }

  func sums(of path: [String], at now: Int64) -> Sums {
    let minute: Int64 = 60_000
    let hour = 60 * minute
    var sums = Sums()
    for seen in observations
    where [seen.account, seen.campaign, seen.ad].starts(with: path) {
      let minuteStart = seen.time / minute * minute
      let hourStart = seen.time / hour * hour
      func weight(_ start: Int64) -> Double { pow(2, -Double(now - start) / Double(halfLife)) }
      let isHourDue = hourStart + hour + conversionMaturity <= now
      if let credit = seen.credit {
        guard isHourDue else { continue }
        let value = Double(seen.value)
        if seen.isClick {
          sums.clickCredits += weight(hourStart) * credit
        } else {
          sums.viewCredits += weight(hourStart) * credit
        }
        sums.credits += weight(hourStart) * credit
        sums.value += weight(hourStart) * value
        sums.squares += credit > 0 ? weight(hourStart) * value * value / credit : 0
      } else {
        if minuteStart + minute + clickMaturity <= now {
          sums.impressions += seen.isClick ? 0 : weight(minuteStart)
          sums.clicks += seen.isClick ? weight(minuteStart) : 0
        }
        if isHourDue {
          // As trials, observations are as old as the minute's hour.
          sums.viewTrials += seen.isClick ? 0 : weight(hourStart)
          sums.clickTrials += seen.isClick ? weight(hourStart) : 0
        }
      }
    }
    return sums
  }

  struct Belief {
    var ctr: (alpha: Double, beta: Double)
    var cvr: (alpha: Double, beta: Double)
    /// Micros.
    var valuePerConversion: Double
    var valuePerImpression: Double
  }

  func belief(of path: [String], at now: Int64) -> Belief {
    let levels = (1...3).map { sums(of: Array(path.prefix($0)), at: now) }
    var (rate, conversion, view) = (ctr, cvr, 0.0)
    var value: (mean: Double, variance: Double)?
    if levels[0].credits > 1e-9, levels[0].value > 0 {
      let mean = levels[0].value / levels[0].credits
      value = (mean, mean * mean)
    }
    var belief = Belief(
      ctr: (0, 0), cvr: (0, 0), valuePerConversion: 0, valuePerImpression: 0)
    for (level, sums) in levels.enumerated() {
      if level == 1 {
        let ads = adSums(of: Array(path.prefix(2)), at: now)
        rate = average(rate, ads.map { ($0.clicks, $0.impressions) })
        conversion = average(conversion, ads.map { ($0.clickCredits, $0.clickTrials) })
        view = average(view, ads.map { ($0.viewCredits, $0.viewTrials) })
      } else {
        belief.ctr = beta(rate, sums.clicks, sums.impressions)
        belief.cvr = beta(conversion, sums.clickCredits, sums.clickTrials)
        rate = belief.ctr.alpha / (belief.ctr.alpha + belief.ctr.beta)
        conversion = belief.cvr.alpha / (belief.cvr.alpha + belief.cvr.beta)
        view = (sums.viewCredits + strength * view) / (sums.viewTrials + strength)
      }
      if let prior = value { value = self.value(prior, sums) }
    }
    belief.valuePerConversion = value?.mean ?? 0
    belief.valuePerImpression = (rate * conversion + view) * belief.valuePerConversion
    return belief
  }

  private func adSums(of campaign: [String], at now: Int64) -> [Sums] {
    let ads = Set(
      observations.filter { [$0.account, $0.campaign] == campaign }.map(\.ad))
    return ads.sorted().map { sums(of: campaign + [$0], at: now) }
  }

  /// The mean of the ads' rates and of their parent's, the ads weighted by n / (n + strength).
  private func average(
    _ parent: Double, _ ads: [(successes: Double, trials: Double)]
  ) -> Double {
    let trials = ads.map { max($0.trials, $0.successes) }
    let sum = zip(ads, trials).reduce(parent) { $0 + $1.0.successes / ($1.1 + strength) }
    return sum / trials.reduce(1) { $0 + $1 / ($1 + strength) }
  }

  private func beta(
    _ prior: Double, _ successes: Double, _ trials: Double
  ) -> (alpha: Double, beta: Double) {
    (successes + strength * prior, max(trials - successes, 0) + strength * (1 - prior))
  }

  private func value(
    _ prior: (mean: Double, variance: Double), _ sums: Sums
  ) -> (mean: Double, variance: Double) {
    guard sums.credits > 0 else { return prior }
    let k = strength / 10
    let mean = sums.value / sums.credits
    let deviations = max(0, sums.squares - sums.credits * mean * mean)
    let shape = 1 + (k + sums.credits) / 2
    let scale =
      prior.variance * k / 2 + deviations / 2
      + k * sums.credits * (mean - prior.mean) * (mean - prior.mean) / (2 * (k + sums.credits))
    return ((k * prior.mean + sums.value) / (k + sums.credits), scale / (shape - 1))
  }
}
