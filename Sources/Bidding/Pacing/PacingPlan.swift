public import Events

/// What share of a budget should be spent by when.
///
/// Uniform in real time without a forecast: a day of 23 hours has more for each of them. With a
/// forecast of eligible traffic, in equal slots of the plan's time, spend follows it.
public struct PacingPlan: Sendable {
  public var start: EventTime
  public var end: EventTime
  /// Forecast traffic per slot, at least 0 each; empty for the uniform plan.
  public var forecast: [Double]

  public init(from start: EventTime, to end: EventTime, forecast: [Double] = []) {
    self.start = start
    self.end = end
    self.forecast = forecast
  }

  /// F(t) / F(T): the share of the plan's traffic that has come by a moment; from 0 to 1.
  public func share(by time: EventTime) -> Double {
    guard time < end else { return 1 }
    guard time > start else { return 0 }
    let fraction =
      Double(time.milliseconds - start.milliseconds)
      / Double(end.milliseconds - start.milliseconds)
    let whole = forecast.reduce(0, +)
    guard whole > 0 else { return fraction }
    let position = fraction * Double(forecast.count)
    let slot = min(Int(position), forecast.count - 1)
    let before = forecast[..<slot].reduce(0, +)
    return min(1, (before + forecast[slot] * (position - Double(slot))) / whole)
  }

  /// The cumulative target a(t) = B · F(t) / F(T).
  public func target(of budget: Double, by time: EventTime) -> Double {
    budget * share(by: time)
  }

  /// What of a remaining budget should be spent in the next `span`: its share of all that is still
  /// to come. All of it when nothing is to come any more.
  public func next(of remaining: Double, from time: EventTime, for span: TimeSpan) -> Double {
    let now = share(by: time)
    guard now < 1 else { return remaining }
    return remaining * min(1, (share(by: time + span) - now) / (1 - now))
  }
}
