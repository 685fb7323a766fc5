/// The stream C1 of calibration.py: 2000 uniform scores from seed 2024, then labels with
/// probability 0.05 + 0.6 s².
struct ScoredStream {
  var scores: [Double]
  var labels: [Double]

  static let calibration: ScoredStream = {
    var random = SplitMix64(seed: 2024)
    let scores = (0..<2000).map { _ in random.unit() }
    return ScoredStream(
      scores: scores, labels: scores.map { random.unit() < 0.05 + 0.6 * $0 * $0 ? 1 : 0 })
  }()

  /// The area under the ROC curve by ranks, ties one half.
  var auc: Double {
    let order = scores.indices.sorted { scores[$0] < scores[$1] }
    var rank = 0
    var sum = 0.0
    while rank < order.count {
      var end = rank
      while end < order.count, scores[order[end]] == scores[order[rank]] { end += 1 }
      let middle = Double(rank + 1 + end) / 2
      for i in rank..<end { sum += labels[order[i]] * middle }
      rank = end
    }
    let positives = labels.reduce(0, +)
    return (sum - positives * (positives + 1) / 2)
      / (positives * (Double(labels.count) - positives))
  }

  /// Average precision, no ties.
  var averagePrecision: Double {
    let order = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
    var positives = 0.0
    var sum = 0.0
    for (rank, i) in order.enumerated() where labels[i] == 1 {
      positives += 1
      sum += positives / Double(rank + 1)
    }
    return sum / positives
  }

  /// The part of positives among the highest-scored `part`.
  func capture(_ part: Double) -> Double {
    let order = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
    let taken = order.prefix(Int(Double(order.count) * part)).reduce(0) { $0 + labels[$1] }
    return taken / labels.reduce(0, +)
  }
}
