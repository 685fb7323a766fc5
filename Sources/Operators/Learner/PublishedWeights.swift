import Learning
import Streaming

// What each kind of model says to bidders: how its rates follow, and from which numbers.

extension ModelRecord.Link {
  /// nil where rates do not follow from one weight a feature.
  init?(_ algorithm: String) {
    switch algorithm {
    case "ftrl", "invariant": self = .logistic
    case "bayes": self = .bayes
    case "ad_predictor": self = .probit
    default: return nil
    }
  }
}

extension PublishedBytes {
  mutating func append(_ heads: Heads) {
    append(heads.x)
    append(heads.y)
  }
}

extension AnyRateModel {
  private static let isPublished: StaticString =
    "only models whose rates follow from one weight a feature are published"

  /// A feature's weights.
  func weights(of row: Int32) -> Heads {
    switch self {
    case .ftrl(let model): model.learner.weights(model.coordinate(row))
    case .invariant(let model): model.coordinate(row).weights
    case .bayes(let model): model.coordinate(row).means
    case .probit(let model): model.coordinate(row).means
    default: preconditionFailure("\(AnyRateModel.isPublished)")
    }
  }

  /// How sure they are: precisions of `bayes`, variances of `probit`.
  func spreads(of row: Int32) -> Heads {
    switch self {
    case .bayes(let model): model.coordinate(row).precisions
    case .probit(let model): model.coordinate(row).variances
    default: preconditionFailure("\(AnyRateModel.isPublished), some with how sure it is")
    }
  }

  /// What stands before an account's features are added, where that is not the prior's log-odds
  /// alone.
  func describe(_ base: inout ModelRecord.Base, of account: Int32) {
    switch self {
    case .bayes(let model): base.unknown = model.learner.coordinate(of: 0).precisions.x
    case .probit(let model):
      let total = model.totals[account]
      base.unknown = model.learner.coordinate(of: 0).variances.x
      base.noise = model.learner.noise
      base.isUnplaced = !total.isPlaced
      let means = total.isPlaced ? total.bias.means : model.learner.start
      (base.click, base.conversion) = (means.x, means.y)
      base.spread = (total.bias.variances.x, total.bias.variances.y)
    default: return
    }
  }
}
