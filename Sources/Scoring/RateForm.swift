import Learning

/// How a head's rate follows from the weights of an impression's features.
enum RateLink: String, Sendable {
  /// By the logistic function of their sum.
  case logistic
  /// The same, the sum shrunk by how unsure it is: weights have precisions.
  case bayes
  /// By the normal distribution of their sum: weights have variances, values other than 0 count as
  /// 1.
  case probit
}

/// What corrects rates before they are published.
enum CalibrationKind: String, Sendable {
  case none
  /// A line in the log-odds for each campaign.
  case platt
  /// A curve or three parameters for each account.
  case isotonic, beta, temperature
}

/// How scores follow from weights: what a sweep begins with. Weights of another form are of no use.
struct ModelForm: Equatable {
  var name: String
  var plan: ScoringPlan
  var click: RateLink
  var conversion: RateLink
  var calibration: CalibrationKind

  /// nil where the record says nothing of it.
  init?(_ update: ModelUpdate) throws(ModelProblem) {
    guard let hashing = update.hashing else { return nil }
    name = update.name
    plan = try ScoringPlan(hashing)
    (click, conversion, calibration) = (update.click, update.conversion, update.calibration)
  }

  /// Weights have how sure they are beside them.
  var hasSpreads: Bool { click != .logistic || conversion != .logistic }

  /// Of one weight in a record, with its feature's hash.
  var weightByteCount: Int { hasSpreads ? 44 : 28 }
}

/// The sums of an impression whose weights have how sure they are beside them: what `score` of the
/// learners in `Learning` adds, for each head in the way of its link.
struct SpreadSums {
  private(set) var means: Heads
  private(set) var variances = Heads.zero
  private let links: (RateLink, RateLink)

  /// - Parameter active: Features of the impression whose values are not 0.
  init(_ form: ModelForm, _ base: ModelUpdate.Base, active: Int) {
    links = (form.click, form.conversion)
    means = Heads(base.click, base.conversion)
    guard form.click == .probit || form.conversion == .probit else { return }
    let start =
      base.isUnplaced
      ? AdPredictor.placed(means, active: Double(active), noise: base.noise) : means
    let spread = Heads(base.clickSpread, base.conversionSpread) + base.noise
    if form.click == .probit { (means.x, variances.x) = (start.x, spread.x) }
    if form.conversion == .probit { (means.y, variances.y) = (start.y, spread.y) }
  }

  /// Adds a feature.
  ///
  /// - Parameter value: Not 0.
  @inline(__always)
  mutating func add(_ weights: Heads, _ spreads: Heads, _ value: Double) {
    add(weights.x, spreads.x, value, links.0, &means.x, &variances.x)
    add(weights.y, spreads.y, value, links.1, &means.y, &variances.y)
  }

  @inline(__always)
  private func add(
    _ weight: Double, _ spread: Double, _ value: Double, _ link: RateLink, _ mean: inout Double,
    _ variance: inout Double
  ) {
    switch link {
    case .logistic: mean += weight * value
    case .bayes:
      mean += weight * value
      variance += value * value / spread
    case .probit:
      mean += weight
      variance += spread
    }
  }

  var rates: Heads { Heads(rates(links.0).x, rates(links.1).y) }

  /// Both heads by a link.
  private func rates(_ link: RateLink) -> Heads {
    switch link {
    case .logistic: Rate.bounded(Rate.sigmoid(means))
    case .bayes:
      BayesianLogistic.rates(BayesianLogistic.Score(means: means, variances: variances))
    case .probit: AdPredictor.rates(AdPredictor.Score(means: means, variances: variances))
    }
  }
}
