import Learning
import Streaming

// What is done to an account's models when the world has changed.

extension RateModel where Learner: ForgettingLearner {
  /// Keeps a part of the evidence that an account's features have gathered. O(all features).
  func forget(_ rows: FeatureRows, of account: Int32, keeping parts: Heads) {
    rows.visit { owner, _, row in
      if owner == account { learner.forget(&coordinates.update(row).pointee, keeping: parts) }
    }
    learner.forget(&totals.update(account).pointee, keeping: parts)
  }
}

extension RateModel {
  /// Begins anew: as if nothing of the account had been learned. O(all features).
  func restart(_ rows: FeatureRows, of account: Int32) {
    rows.visit { owner, feature, row in
      if owner == account { coordinates.update(row).pointee = learner.coordinate(of: feature) }
    }
    totals.update(account).pointee = learner.total()
  }
}

extension AnyRateModel {
  /// Lets what comes count more, without changing what is predicted now.
  func forget(_ rows: FeatureRows, of account: Int32, keeping parts: Heads) {
    switch self {
    case .ftrl(let model): model.forget(rows, of: account, keeping: parts)
    case .invariant(let model): model.forget(rows, of: account, keeping: parts)
    case .bayes(let model): model.forget(rows, of: account, keeping: parts)
    case .probit(let model): model.forget(rows, of: account, keeping: parts)
    case .machine2(let model): model.forget(rows, of: account, keeping: parts)
    case .machine4(let model): model.forget(rows, of: account, keeping: parts)
    case .machine8(let model): model.forget(rows, of: account, keeping: parts)
    }
  }

  /// Begins anew.
  func restart(_ rows: FeatureRows, of account: Int32) {
    switch self {
    case .ftrl(let model): model.restart(rows, of: account)
    case .invariant(let model): model.restart(rows, of: account)
    case .bayes(let model): model.restart(rows, of: account)
    case .probit(let model): model.restart(rows, of: account)
    case .machine2(let model): model.restart(rows, of: account)
    case .machine4(let model): model.restart(rows, of: account)
    case .machine8(let model): model.restart(rows, of: account)
    }
  }
}
