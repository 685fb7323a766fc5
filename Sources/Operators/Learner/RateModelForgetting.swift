import Learning
import Streaming

// What is done to an account's models when the world has changed.

extension RateModel where Learner: ForgettingLearner {
  /// Keeps a part of the evidence that an account's features have gathered. O(all features).
  ///
  /// - Parameter note: Told each row, and what it was before.
  func forget(
    _ rows: FeatureRows, of account: Int32, keeping parts: Heads,
    note: (Int32, Learner.Coordinate) -> Void
  ) {
    rows.visit { owner, _, row in
      guard owner == account else { return }
      let coordinate = coordinates.update(row)
      let before = coordinate.pointee
      learner.forget(&coordinate.pointee, keeping: parts)
      note(row, before)
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
  /// Lets what comes count more, without changing what is predicted now by more than rounding.
  ///
  /// - Parameter changed: Told the rows whose weights, or how sure they are, have changed.
  func forget(
    _ rows: FeatureRows, of account: Int32, keeping parts: Heads, changed: (Int32) -> Void
  ) {
    switch self {
    case .ftrl(let model):
      // A weight may change in its last bit.
      model.forget(rows, of: account, keeping: parts) { row, before in
        let learner = model.learner
        if learner.weights(before) != learner.weights(model.coordinate(row)) { changed(row) }
      }
    case .invariant(let model):
      model.forget(rows, of: account, keeping: parts) { row, before in
        if before.weights != model.coordinate(row).weights { changed(row) }
      }
    case .bayes(let model):
      model.forget(rows, of: account, keeping: parts) { row, before in
        if before != model.coordinate(row) { changed(row) }
      }
    case .probit(let model):
      model.forget(rows, of: account, keeping: parts) { row, before in
        if before != model.coordinate(row) { changed(row) }
      }
    case .machine2(let model):
      model.forget(rows, of: account, keeping: parts) { row, _ in changed(row) }
    case .machine4(let model):
      model.forget(rows, of: account, keeping: parts) { row, _ in changed(row) }
    case .machine8(let model):
      model.forget(rows, of: account, keeping: parts) { row, _ in changed(row) }
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
