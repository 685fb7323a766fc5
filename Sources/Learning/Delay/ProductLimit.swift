/// Product-limit estimates from single observations, for reports and to check the binned curve.
public enum ProductLimit {
  /// A step of an estimated curve.
  @frozen
  public struct Step: BitwiseCopyable, Sendable, Equatable {
    public var time: Double
    public var value: Double

    @inlinable
    public init(time: Double, value: Double) {
      self.time = time
      self.value = value
    }
  }

  /// Kaplan and Meier's probability of no event up to and including each time of one.
  ///
  /// - Parameters:
  ///   - times: Finite: of an event or of the end of observation.
  ///   - isEvent: As many.
  /// - Returns: Steps in rising time, one for each distinct time of an event. O(n log n).
  public static func survival(times: [Double], isEvent: [Bool]) -> [Step] {
    precondition(times.count == isEvent.count, "a time is of an event or of none")
    let order = times.indices.sorted { (times[$0], $0) < (times[$1], $1) }
    var steps: [Step] = []
    var survival = 1.0
    var i = 0
    while i < order.count {
      let time = times[order[i]]
      let atRisk = order.count - i
      var events = 0
      while i < order.count, times[order[i]] == time {
        if isEvent[order[i]] { events += 1 }
        i += 1
      }
      guard events > 0 else { continue }
      survival *= 1 - Double(events) / Double(atRisk)
      steps.append(Step(time: time, value: survival))
    }
    return steps
  }

  /// The distribution of lags when only those are known that were over by their observation's age:
  /// Kaplan and Meier in reversed time (Lynden-Bell 1971; Lagakos et al. 1988), given that a lag
  /// is at most the longest one.
  ///
  /// - Parameters:
  ///   - lags: Finite; of those seen.
  ///   - ages: As many, each at least its lag.
  /// - Returns: P(lag ≤ time) at each distinct lag, rising. O(n log n).
  public static func truncatedDistribution(lags: [Double], ages: [Double]) -> [Step] {
    precondition(lags.count == ages.count, "a lag is seen at an age")
    let lags = lags.sorted()
    let ages = ages.sorted()
    var steps: [Step] = []
    var below = 1.0
    var end = lags.count
    var old = ages.count
    while end > 0 {
      let time = lags[end - 1]
      var start = end - 1
      while start > 0, lags[start - 1] == time { start -= 1 }
      while old > 0, ages[old - 1] >= time { old -= 1 }
      // Lags up to this one, less those whose observation ended before it.
      let atRisk = end - old
      steps.append(Step(time: time, value: below))
      below *= atRisk > 0 ? max(1 - Double(end - start) / Double(atRisk), 0) : 0
      end = start
    }
    return steps.reversed()
  }
}
