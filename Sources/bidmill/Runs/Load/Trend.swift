/// Whether a run keeps up: the slope of its lag over time, and whether that is more than chance.
///
/// Lag falls with each commit and rises until the next, so samples are averaged over bins of many
/// commits before a line is laid through them (least squares).
struct Trend: Equatable {
  struct Sample: Sendable, Equatable {
    var seconds: Double
    var lag: Double
  }

  /// Records a second that lag grows by.
  var slope: Double
  /// The slope's standard error.
  var error: Double
  /// Mean over the time that was looked at.
  var mean: Double

  /// A slope below this share of the rate is flat: a run that falls behind less than 10 ms each
  /// second cannot be told from one whose load moves.
  static let tolerance = 0.01
  /// Standard errors that a slope must be away from flat.
  private static let errors = 3.0
  private static let bins = 24

  /// Nil with too little to tell: fewer than four bins that hold samples.
  init?(_ samples: [Sample]) {
    guard let first = samples.first?.seconds, let last = samples.last?.seconds, last > first else {
      return nil
    }
    var sums = [(lag: Double, seconds: Double, count: Double)](
      repeating: (0, 0, 0), count: Trend.bins)
    for sample in samples {
      let share = (sample.seconds - first) / (last - first)
      let bin = min(Trend.bins - 1, Int(share * Double(Trend.bins)))
      sums[bin].lag += sample.lag
      sums[bin].seconds += sample.seconds
      sums[bin].count += 1
    }
    let points = sums.filter { $0.count > 0 }.map {
      Sample(seconds: $0.seconds / $0.count, lag: $0.lag / $0.count)
    }
    guard points.count >= 4 else { return nil }
    self.init(through: points)
  }

  private init(through points: [Sample]) {
    let count = Double(points.count)
    let time = points.reduce(0) { $0 + $1.seconds } / count
    let lag = points.reduce(0) { $0 + $1.lag } / count
    var (spread, product) = (0.0, 0.0)
    for point in points {
      spread += (point.seconds - time) * (point.seconds - time)
      product += (point.seconds - time) * (point.lag - lag)
    }
    let slope = product / spread
    var residuals = 0.0
    for point in points {
      let residual = point.lag - lag - slope * (point.seconds - time)
      residuals += residual * residual
    }
    mean = lag
    self.slope = slope
    error = (residuals / (count - 2) / spread).squareRoot()
  }

  /// Whether lag grows at a rate of emission.
  func grows(at rate: Double) -> Bool {
    slope - Trend.errors * error > 0 && slope > Trend.tolerance * rate
  }
}
